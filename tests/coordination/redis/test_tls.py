"""A Redis behind TLS: a certificate that is vouched for is used, every other is refused before anything is sent."""

import asyncio
import contextlib

import pytest
from phoenix_coordination.redis.client import FAULTS, check_server, connect, fault_of
from phoenix_coordination.redis.server import server_socket
from tls_terminator import tls_before


@pytest.fixture
async def port(redis_world, certificate):
    socket = str(server_socket(redis_world.server.directory))
    async with tls_before(lambda: asyncio.open_unix_connection(socket), certificate) as port:
        yield port


@contextlib.asynccontextmanager
async def connected(url):
    client = connect(url, 5.0)
    try:
        yield client
    finally:
        await client.aclose()


async def test_a_certificate_that_is_vouched_for_is_used(port, certificate):
    async with connected(f"rediss://localhost:{port}?ssl_ca_certs={certificate[0]}") as client:
        assert (await check_server(client)).run


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rediss://localhost:{port}", "ssl_ca_certs"),
        ("rediss://127.0.0.1:{port}?ssl_ca_certs={ca}", "IP address mismatch"),
        ("redis://localhost:{port}", "may want TLS"),
    ],
    ids=["unknown authority", "another name", "no TLS"],
)
async def test_every_other_is_refused_with_what_to_do(port, certificate, url, told):
    async with connected(url.format(port=port, ca=certificate[0])) as client:
        with pytest.raises(FAULTS) as refused:
            await check_server(client)
    assert told in fault_of(refused.value)

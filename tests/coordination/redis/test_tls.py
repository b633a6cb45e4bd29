"""A Redis behind TLS: a certificate that is vouched for is used, every other is refused before anything is sent."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess

import pytest
from phoenix_coordination.redis.client import FAULTS, check_server, connect, fault_of
from phoenix_coordination.redis.server import server_socket


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for `localhost` alone, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl here")
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


class Terminator:
    """Takes TLS off and passes on to the server's socket: what stands before many a Redis, and all of ours can have."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_reader, to_writer = await asyncio.open_unix_connection(self._socket)
        await asyncio.gather(self._pass_on(reader, to_writer), self._pass_on(to_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def port(redis_world, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    terminator = Terminator(str(server_socket(redis_world.server.directory)))
    server = await asyncio.start_server(terminator.serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


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

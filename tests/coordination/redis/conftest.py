"""The scripts on a real server, whose run and clock the test sets: what a restart, or a jump, changes for them."""

import shutil
import subprocess
from typing import Any

import pytest
import redis
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.scripts import Script
from redis_process import redis_client


class Server:
    """Calls scripts in which `INFO server` and `TIME` are answered by this object; all else is the server's own."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.keys = AccountKeys("binance-usdm:simulator:abc")
        self.run = 1
        self.now_ms = 1_700_000_000_000

    def begin(self) -> None:
        self.client.flushall()
        self.run, self.now_ms = 1, 1_700_000_000_000

    def call(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        source = script.source.replace("redis.call('INFO', 'server')", f"'run_id:{self.run:040x}'")
        source = source.replace("redis.call('TIME')", f"{{'{self.now_ms // 1000}', '{self.now_ms % 1000 * 1000}'}}")
        assert "'INFO'" not in source
        assert "'TIME'" not in source
        return self.client.eval(source, len(keys), *keys, *arguments)

    def save(self) -> dict[bytes, dict[bytes, bytes]]:
        return {key: self.client.hgetall(key) for key in self.client.scan_iter("mm:*") if self._is_hash(key)}

    def restart(self, kept: dict[bytes, dict[bytes, bytes]]) -> None:
        """Another run of the server, with what it still has."""
        self.client.flushall()
        for key, fields in kept.items():
            self.client.hset(key, mapping=fields)
        self.run += 1

    def _is_hash(self, key: bytes) -> bool:
        return self.client.type(key) == b"hash"


@pytest.fixture(scope="session")
def server():
    with redis_client() as client:
        yield Server(client)


@pytest.fixture
def lua(server):
    server.begin()
    return server


@pytest.fixture(scope="session")
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

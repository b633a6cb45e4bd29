"""A real redis-server of the tests' own, on a socket, in a directory whose name is short enough for one."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from phoenix_coordination.redis.server import find_server, server_arguments, server_socket, server_url

STARTS_WITHIN_S = 20.0
LOOK_S = 0.01


class RedisProcess:
    """Dies and comes back with what it had. Skips the test by name where the machine has no server."""

    def __init__(self) -> None:
        program = find_server()
        if program is None:
            pytest.skip("no redis-server here")
        self._program = program
        self.directory = Path(tempfile.mkdtemp(prefix="px-redis-"))
        self.url = server_url(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Does not wait until it answers. `options` as on the command line of redis-server, after ours."""
        arguments = [*server_arguments(self._program, self.directory), *options]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a node takes it away: what was written in the last second may be lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def redis_client() -> Iterator[redis.Redis]:
    """A client of a server that answers, until the end of the block."""
    process = RedisProcess()
    client = redis.Redis(unix_socket_path=str(server_socket(process.directory)))
    try:
        process.start()
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < until, "redis-server does not answer"
                time.sleep(LOOK_S)
        yield client
    finally:
        client.close()
        process.close()

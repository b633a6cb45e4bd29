"""A redis-server of a test's own: a real process on a socket, and what can happen to one."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from phoenix_coordination.redis.server import find_server, server_arguments, server_socket, server_url
from redis import exceptions
from redis.asyncio import Redis

_STARTS_WITHIN_S = 20.0
_LOOK_S = 0.01


class RedisServer:
    """Data and socket lie in a directory whose name is short enough for a socket's."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._program = program
        self.directory = directory
        self.url = server_url(directory)
        self._password = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        """`options` as on the command line of redis-server, after ours."""
        self._process = await asyncio.create_subprocess_exec(
            *server_arguments(self._program, self.directory), *options, stdout=asyncio.subprocess.DEVNULL
        )
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            with suppress(exceptions.ConnectionError, exceptions.BusyLoadingError):
                await self.command("PING")
                break
            assert time.monotonic() < deadline, "redis-server did not start"
            await asyncio.sleep(_LOOK_S)

    async def command(self, *words: str | int) -> Any:
        """One command over a connection of its own: those before a restart are gone."""
        async with Redis(
            unix_socket_path=str(server_socket(self.directory)), password=self._password or None
        ) as client:
            return await client.execute_command(*words)

    async def demand(self, password: str) -> None:
        """From now on the server asks for a password, and has forgotten who was there before."""
        await self.command("CONFIG", "SET", "requirepass", password)
        self._password = password
        await self.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """As a node takes it away: what was written in the last second may be lost."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def restart(self, *, keep: bool) -> None:
        """Killed and started again, with what it had written or without."""
        await self.kill()
        if not keep:
            for path in self.directory.iterdir():
                if path.is_file():
                    path.unlink()
        await self.start()


@asynccontextmanager
async def redis_server(*options: str) -> AsyncIterator[RedisServer]:
    """One that runs; skips the test by name where the machine has none."""
    program = find_server()
    if program is None:
        pytest.skip("no redis-server here")
    directory = Path(tempfile.mkdtemp(prefix="px-redis-"))
    server = RedisServer(program, directory)
    try:
        await server.start(*options)
        yield server
    finally:
        await server.kill()
        shutil.rmtree(directory, ignore_errors=True)

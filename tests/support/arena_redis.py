"""A redis-server of a test's own: a real process on a socket, and what can happen to one."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from phoenix_coordination.redis.server import server_socket
from redis import exceptions
from redis.asyncio import Redis
from redis_process import LOOK_S, STARTS_WITHIN_S, RedisProcess


class RedisServer:
    """What tests that run an event loop do to one: nothing here blocks it."""

    def __init__(self) -> None:
        self._process = RedisProcess()
        self.directory, self.url = self._process.directory, self._process.url
        self._password = ""

    async def start(self, *options: str) -> None:
        """Returns when it answers. `options` as on the command line of redis-server, after ours."""
        self._process.start(*options)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            with suppress(exceptions.ConnectionError, exceptions.BusyLoadingError):
                await self.command("PING")
                break
            assert time.monotonic() < deadline, "redis-server did not start"
            await asyncio.sleep(LOOK_S)

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
        self._process.signal(number)

    async def kill(self) -> None:
        """As a node takes it away: what was written in the last second may be lost."""
        await asyncio.to_thread(self._process.kill)

    async def close(self) -> None:
        await asyncio.to_thread(self._process.close)

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
    server = RedisServer()
    try:
        await server.start(*options)
        yield server
    finally:
        await server.close()

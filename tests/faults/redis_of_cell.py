"""The Redis of a cell: a real server that can die, forget and go back, and the witness of what it writes."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from history import AnyFact, KeysLost, KeysOld, RedisDied, RedisStarted
from monitor import Monitor, Reader, wall_minus_monotonic_ns
from phoenix_coordination.redis.client import FAULTS, connect
from phoenix_coordination.redis.server import find_server, server_arguments, server_socket, server_url

_STARTS_WITHIN_S = 20.0
_AOF_LOOK_S = 0.1
_HEARS_OUT_S = 2.0


class RedisOfCell:
    """The server's process, and its witness."""

    def __init__(self, directory: Path, hear: Callable[[AnyFact], None]) -> None:
        program = find_server()
        if program is None:
            raise RuntimeError("no redis-server here: install Redis 6.2 or newer")
        self._program = program
        self.directory = directory
        directory.mkdir(parents=True)
        self.socket = server_socket(directory)
        self.url = server_url(directory)
        self._hear = hear
        self._readers: list[tuple[Reader, Callable[[AnyFact], None]]] = []
        self.watched = asyncio.Event()
        """Its witness listens: nobody of this process talks to it before."""
        self.process: asyncio.subprocess.Process | None = None
        self.monitor: Monitor | None = None
        self._mark = b"nothing yet"
        self._marked = asyncio.Event()
        self._sizes: list[tuple[int, int]] = []
        """(moment, length of the append-only file): what a loss of power could lead back to."""

    def watch(self, account: str, hear: Callable[[AnyFact], None]) -> None:
        """What is written of the account is told from the next start on."""
        self._readers.append((Reader(wall_minus_monotonic_ns(), account), hear))

    def _heard(self, line: bytes) -> None:
        if self._mark in line:
            self._marked.set()
        for reader, hear in self._readers:
            for fact in reader.read(line):
                hear(fact)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *server_arguments(self._program, self.directory), stdout=asyncio.subprocess.DEVNULL
        )
        client = connect(self.url, 5.0)
        try:
            async with asyncio.timeout(_STARTS_WITHIN_S):
                while True:
                    try:
                        await client.execute_command("PING")
                        break
                    except FAULTS:
                        await asyncio.sleep(0.005)
        finally:
            await client.aclose()
        self.monitor = await Monitor.attach(self.socket, self._heard)
        self.watched.set()
        for reader, _ in self._readers:
            reader.restarted()
        self._hear(RedisStarted(at_ns=time.monotonic_ns()))
        self._sizes.clear()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def kill(self) -> None:
        """Nobody talks to it any more; what it has done is heard out first: an answer leaves it before its witness."""
        assert self.process is not None
        self.watched.clear()
        await self._hear_out()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.monitor is not None:
            await self.monitor.ended.wait()
        self._hear(RedisDied(at_ns=time.monotonic_ns()))

    def stop_watching(self) -> None:
        if self.monitor is not None and self.monitor.transport is not None:
            self.monitor.transport.close()

    async def _hear_out(self) -> None:
        self._mark = f"heard out {time.monotonic_ns()}".encode()
        self._marked.clear()
        client = connect(self.url, 1.0)
        with contextlib.suppress(TimeoutError, *FAULTS):
            async with asyncio.timeout(_HEARS_OUT_S):
                await client.execute_command("ECHO", self._mark)
                await self._marked.wait()
        await client.aclose()

    def forget(self) -> None:
        """Its data are gone, as with a node's disk."""
        for path in self.directory.iterdir():
            if path.is_file():
                path.unlink()
        self._hear(KeysLost(at_ns=time.monotonic_ns()))

    def go_back(self, seconds: float) -> bool:
        """What it had written so long before it died, as after a loss of power; whether that was less."""
        horizon_ns = time.monotonic_ns() - int(seconds * 1e9)
        path = self.directory / "appendonly.aof"
        lengths = [length for at_ns, length in self._sizes if at_ns <= horizon_ns]
        if not lengths or not path.exists() or path.stat().st_size <= lengths[-1]:
            return False
        os.truncate(path, lengths[-1])
        self._hear(KeysOld(at_ns=time.monotonic_ns()))
        return True

    async def watch_file(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                length = (self.directory / "appendonly.aof").stat().st_size
                self._sizes.append((time.monotonic_ns(), length))
                del self._sizes[:-100]
            await asyncio.sleep(_AOF_LOOK_S)

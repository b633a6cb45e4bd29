"""An event loop in virtual time: what is ready runs, and when nothing is the clock jumps to the next timer.

Its network is in memory (`memory_network`), so a byte under way is a callback that is ready. All that happens outside
is what was given to a thread or a child process; while one works, time stands still.

It keeps apart what belongs to processes: each program that runs in a context of its own (`PROGRAM`) has its own signals
and its own handler of failures.
"""

import asyncio
import selectors
import signal
import socket
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from memory_network import MemoryNetwork, MemoryServer
from virtual_time import NS, VirtualTime

PROGRAM: ContextVar[str] = ContextVar("program", default="")
"""Whose work this is: what would be a process of its own in life."""


_LOOKS_ABROAD_EVERY = 64
"""Where nobody is abroad: asking the system is dear, and all that could come is a signal."""


class _Idle(selectors.DefaultSelector):
    """Never waits where time can pass instead."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time
        self._asked = 0
        self.abroad = 0
        """How many threads and children work for the loop."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._asked += 1
        looks = self.abroad or self._asked % _LOOKS_ABROAD_EVERY == 0
        ready = super().select(0) if looks else []
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.abroad:
            return super().select(None)  # an answer wakes it
        if timeout is None:
            raise RuntimeError("nobody has anything to do, now or later")
        self._time.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`defects`: what failed where no program of ours handles it."""

    def __init__(self, time: VirtualTime) -> None:
        self._idle = _Idle(time)
        self._virtual = time
        super().__init__(self._idle)
        self.network = MemoryNetwork()
        self.defects: list[str] = []
        self._meant: dict[socket.socket, tuple[str, int]] = {}
        self._failure_handlers: dict[str, Callable[[Any, dict[str, Any]], object] | None] = {}
        self._signals: dict[tuple[str, int], Callable[[], object]] = {}

    def time(self) -> float:
        return self._virtual.monotonic_ns() / NS

    # -- threads and processes ---------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._idle.abroad += 1
        future.add_done_callback(self._home)
        return future

    async def subprocess_exec(self, protocol_factory: Callable[[], Any], *args: Any, **options: Any) -> Any:
        """Until it has ended and all that it wrote has been read."""

        def counted() -> Any:
            protocol = protocol_factory()
            lost = protocol.connection_lost

            def connection_lost(error: Exception | None) -> None:
                self._idle.abroad -= 1
                lost(error)

            protocol.connection_lost = connection_lost
            return protocol

        self._idle.abroad += 1
        try:
            return await super().subprocess_exec(counted, *args, **options)
        except BaseException:
            self._idle.abroad -= 1
            raise

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        self._idle.abroad += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._idle.abroad -= 1

    def _home(self, _: asyncio.Future[Any]) -> None:
        self._idle.abroad -= 1

    # -- the network -------------------------------------------------------------------------------

    async def create_server(
        self, protocol_factory: Any, host: str | None = None, port: int | None = None, **_: Any
    ) -> MemoryServer:
        return self.network.listen((host or "127.0.0.1", port or self.network.free_port()), protocol_factory)

    async def create_connection(
        self,
        protocol_factory: Any,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: socket.socket | None = None,
        **_: Any,
    ) -> Any:
        if ssl:
            raise NotImplementedError("no TLS in memory")
        address = (host, port)
        if sock is not None:
            address = self._meant.pop(sock)
            sock.close()
        return self.network.connect(self, address, protocol_factory)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """A socket that is connected before it is given to `create_connection` is a promise here."""
        if address not in self.network.servers:
            raise ConnectionRefusedError(f"nobody listens at {address}")
        self._meant[sock] = address

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **_: Any) -> MemoryServer:
        return self.network.listen(str(path), protocol_factory)

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
        return self.network.connect(self, str(path), protocol_factory)

    # -- what belongs to a process -----------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        self._signals[PROGRAM.get(), sig] = lambda: callback(*args)

    def send_signal(self, program: str, number: signal.Signals) -> bool:
        """As the kernel does to a process; whether it handles it."""
        handler = self._signals.get((program, number))
        if handler is not None:
            self.call_soon(handler)
        return handler is not None

    def forget(self, program: str) -> None:
        """It has ended: what it was is held no longer."""
        self._failure_handlers.pop(program, None)
        for key in [key for key in self._signals if key[0] == program]:
            del self._signals[key]

    def set_exception_handler(self, handler: Any) -> None:
        self._failure_handlers[PROGRAM.get()] = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        handler = self._failure_handlers.get(PROGRAM.get())
        if handler is not None:
            handler(self, context)
        else:
            self.defects.append(f"{context.get('message')}: {context.get('exception')!r}")

"""A network inside one event loop: connections whose bytes are handed over as callbacks that are already due.

So a loop that jumps over idle time cannot overtake them: while a byte is under way the loop is not idle. A transport
behaves as asyncio's own: flow control both ways, the end of a stream after its bytes, `connection_lost` once.
"""

import asyncio
import itertools
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context

HIGH_BYTES = 64 * 1024
"""asyncio's own: more than this unread, and the writer is asked to pause."""
_FIRST_PORT = 20_000

Factory = Callable[[], asyncio.BaseProtocol]


class MemoryTransport(asyncio.Transport):
    """One end. What it is written lies in the other end's inbox until that end reads."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        context: Context,
        extra: dict[str, object],
    ) -> None:
        super().__init__(extra)
        self._loop = loop
        self._protocol = protocol
        self._context = context
        self._other: MemoryTransport
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._reads = True
        self._drains = False
        self._ended = False
        """The other end writes nothing more."""
        self._end_told = False
        self._said_end = False
        self._asked_to_pause = False
        self._closing = False

    def join(self, other: "MemoryTransport") -> None:
        self._other = other

    # -- writing -----------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._said_end:
            raise RuntimeError("write after write_eof")
        if self._closing or not data:
            return
        other = self._other
        if other._closing:
            return
        other._inbox.append(bytes(data))
        other._inbox_bytes += len(data)
        other._look()
        if not self._asked_to_pause and other._inbox_bytes > HIGH_BYTES:
            self._asked_to_pause = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._other._inbox_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, HIGH_BYTES

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are fixed here; nobody of ours relies on others."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not (self._said_end or self._closing):
            self._said_end = True
            self._other._hear_end()

    # -- reading -----------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return self._reads and not self._closing

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True
        self._look()

    def _hear_end(self) -> None:
        self._ended = True
        self._look()

    def _look(self) -> None:
        """Something may be there to be read: the protocol gets it in a callback of its own."""
        waits = self._inbox or (self._ended and not self._end_told)
        if waits and self._reads and not self._closing and not self._drains:
            self._drains = True
            self._loop.call_soon(self._drain, context=self._context)

    def _drain(self) -> None:
        self._drains = False
        if not self._reads or self._closing:
            return
        if self._inbox:
            data = b"".join(self._inbox)
            self._inbox.clear()
            self._inbox_bytes = 0
            self._other._resume()
            try:
                self._protocol.data_received(data)
            except BaseException:
                self.abort()
                raise
            self._look()
        elif self._ended and not self._end_told:
            self._end_told = True
            if not self._protocol.eof_received():
                self.close()

    def _resume(self) -> None:
        if self._asked_to_pause and not self._closing:
            self._asked_to_pause = False
            self._loop.call_soon(self._protocol.resume_writing, context=self._context)

    # -- the end -----------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._inbox.clear()
        self._inbox_bytes = 0
        self._other._resume()
        self._other._hear_end()
        self._loop.call_soon(self._protocol.connection_lost, None, context=self._context)

    def abort(self) -> None:
        """What was written before is with the other end already."""
        self.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


class _Name:
    """What a server says of its socket."""

    def __init__(self, name: Hashable) -> None:
        self._name = name

    def getsockname(self) -> Hashable:
        return self._name


class MemoryServer(asyncio.AbstractServer):
    def __init__(self, network: "MemoryNetwork", address: Hashable, factory: Factory) -> None:
        self._network = network
        self._address = address
        self._factory = factory
        self._context = copy_context()
        self.sockets = (_Name(address),)

    def close(self) -> None:
        if self._network.servers.get(self._address) is self:
            del self._network.servers[self._address]

    async def wait_closed(self) -> None:
        """Its connections end by themselves, as asyncio's do."""

    def is_serving(self) -> bool:
        return self._network.servers.get(self._address) is self

    def accept(self, loop: asyncio.AbstractEventLoop, peer: Hashable) -> MemoryTransport:
        protocol = self._context.run(self._factory)
        extra = {"peername": peer, "sockname": self._address, "socket": None}
        transport = MemoryTransport(loop, protocol, self._context.copy(), extra)
        loop.call_soon(protocol.connection_made, transport, context=self._context.copy())
        return transport


class MemoryNetwork:
    """Who listens where. Addresses are (host, port) or a path; they are names here and nothing else."""

    def __init__(self) -> None:
        self.servers: dict[Hashable, MemoryServer] = {}
        self._ports = itertools.count(_FIRST_PORT)

    def listen(self, address: Hashable, factory: Factory) -> MemoryServer:
        if address in self.servers:
            raise OSError(f"{address} is taken")
        server = self.servers[address] = MemoryServer(self, address, factory)
        return server

    def free_port(self) -> int:
        return next(self._ports)

    def connect(
        self, loop: asyncio.AbstractEventLoop, address: Hashable, factory: Factory
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        """Both ends are told that the connection is made, the server's first."""
        server = self.servers.get(address)
        if server is None:
            raise ConnectionRefusedError(f"nobody listens at {address}")
        name = ("127.0.0.1", self.free_port())
        theirs = server.accept(loop, name)
        protocol = factory()
        ours = MemoryTransport(loop, protocol, copy_context(), {"peername": address, "sockname": name, "socket": None})
        ours.join(theirs)
        theirs.join(ours)
        protocol.connection_made(ours)
        return ours, protocol

"""TLS before a server that speaks none: what stands before many a Redis, and all of ours can have."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Terminator:
    """Takes TLS off and passes on. `told`: what of its answers is told otherwise, bytes by bytes."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]], told: dict[bytes, bytes]) -> None:
        self._connect = connect
        self._told = told

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await self._connect()
        await asyncio.gather(self._pass_on(reader, to_writer, {}), self._pass_on(to_reader, writer, self._told))

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: dict[bytes, bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                for what, instead in told.items():
                    data = data.replace(what, instead)
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def tls_before(
    connect: Callable[[], Awaitable[Streams]], certificate: tuple[Path, Path], told: dict[bytes, bytes] | None = None
) -> AsyncIterator[int]:
    """The port at which it listens, with that certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(Terminator(connect, told or {}).serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()

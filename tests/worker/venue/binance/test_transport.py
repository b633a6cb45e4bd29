"""Over real sockets, against a server that writes bytes as the test says."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from phoenix_worker.venue.binance import transport
from phoenix_worker.venue.binance.transport import ConnectError
from websockets.frames import Close, Frame, Opcode


@dataclass
class Ear:
    opened: int = 0
    batches: list[list[bytes]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def on_open(self, _: transport.Connection) -> None:
        self.opened += 1

    def on_batch(self, frames: list[bytearray]) -> None:
        self.batches.append([bytes(frame) for frame in frames])

    def on_lost(self, reason: str) -> None:
        self.lost.append(reason)

    @property
    def frames(self) -> list[bytes]:
        return [frame for batch in self.batches for frame in batch]


class RawServer:
    """Does the handshake and nothing else."""

    def __init__(self) -> None:
        self.port = 0
        self.request = b""
        self.greeting = b""
        self.status = "101 Switching Protocols"
        self.accepts = True
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.connected = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.request = await reader.readuntil(b"\r\n\r\n")
        if self.accepts:
            key = next(
                h.split(b": ")[1] for h in self.request.split(b"\r\n") if h.lower().startswith(b"sec-websocket-key")
            )
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
            writer.write(
                f"HTTP/1.1 {self.status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".encode()
                + (b"" if self.status.startswith("101") else b"Content-Length: 0\r\n")
                + b"Sec-WebSocket-Accept: "
                + accept
                + b"\r\n\r\n"
                + self.greeting
            )
        self.connected.set()

    def text(self, *frames: bytes) -> None:
        self.writer.write(b"".join(Frame(Opcode.TEXT, f).serialize(mask=False) for f in frames))


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    listening = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = listening.sockets[0].getsockname()[1]
    yield raw
    if raw.connected.is_set():
        raw.writer.close()
    listening.close()
    await listening.wait_closed()


@pytest.fixture
async def opened(server, hand_clock):
    ear = Ear()
    connection = await transport.connect(f"ws://127.0.0.1:{server.port}/x?y=1", "phoenix/holder", ear, hand_clock)
    await server.connected.wait()
    yield connection, ear
    connection.abort()
    await connection.closed()


@pytest.mark.usefixtures("opened")
async def test_the_handshake_names_the_holder_and_offers_no_compression(server):
    assert b"GET /x?y=1 HTTP/1.1" in server.request
    assert b"User-Agent: phoenix/holder" in server.request
    assert b"deflate" not in server.request.lower()


async def test_what_came_in_one_read_is_one_batch_in_order(server, opened, until):
    _, ear = opened
    server.text(b"1", b"2", b"3")
    await until(lambda: len(ear.frames) == 3)
    assert ear.batches == [[b"1", b"2", b"3"]]


async def test_frames_behind_the_handshake_come_after_the_opening(server, hand_clock, until):
    server.greeting = Frame(Opcode.TEXT, b"first").serialize(mask=False)
    ear = Ear()
    connection = await transport.connect(f"ws://127.0.0.1:{server.port}/", "x", ear, hand_clock)
    await until(lambda: ear.frames)
    assert (ear.opened, ear.frames) == (1, [b"first"])
    connection.abort()
    await connection.closed()


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
async def test_a_frame_in_pieces_is_one_frame(server, opened, cut, until):
    _, ear = opened
    raw = Frame(Opcode.TEXT, b"whole frame").serialize(mask=False)
    server.writer.write(raw[:cut])
    await server.writer.drain()
    await asyncio.sleep(0.02)
    server.writer.write(raw[cut:])
    await until(lambda: ear.frames)
    assert ear.frames == [b"whole frame"]


async def test_a_fragmented_message_is_joined(server, opened, until):
    _, ear = opened
    for opcode, part, fin in ((Opcode.TEXT, b"a", False), (Opcode.CONT, b"b", False), (Opcode.CONT, b"c", True)):
        server.writer.write(Frame(opcode, part, fin).serialize(mask=False))
    server.text(b"next")
    await until(lambda: len(ear.frames) == 2)
    assert ear.frames == [b"abc", b"next"]


@pytest.mark.usefixtures("opened")
async def test_a_ping_is_answered_with_its_payload(server):
    server.writer.write(Frame(Opcode.PING, b"1760000000000").serialize(mask=False))
    head = await server.reader.readexactly(2)
    assert head[0] & 0x0F == Opcode.PONG
    mask = await server.reader.readexactly(4)
    payload = await server.reader.readexactly(head[1] & 0x7F)
    assert bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) == b"1760000000000"


async def test_sending_writes_one_masked_text_frame_at_once(server, opened):
    connection, _ = opened
    assert connection.can_send
    connection.send(b"order")
    head = await server.reader.readexactly(2)
    assert head[0] == 0x80 | Opcode.TEXT
    assert head[1] == 0x80 | 5


CLOSINGS = {
    "close frame": (lambda s: s.writer.write(close_frame(1008, "Too many requests")), "1008 Too many requests"),
    "end of file": (lambda s: s.writer.close(), "connection lost"),
    "reset": (lambda s: s.writer.transport.abort(), "connection lost"),
    "masked frame": (lambda s: s.writer.write(Frame(Opcode.TEXT, b"x").serialize(mask=True)), "incorrect masking"),
    "no utf-8 in the close frame": (lambda s: s.writer.write(b"\x88\x04\x03\xe8\xff\xff"), "protocol error"),
    "message too long": (lambda s: s.writer.write(b"\x81\x7f" + (2**40).to_bytes(8, "big")), "protocol error"),
}


def close_frame(code: int, reason: str) -> bytes:
    return Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)


@pytest.mark.parametrize(("end", "reason"), CLOSINGS.values(), ids=CLOSINGS)
async def test_every_end_is_told_once_with_its_reason(server, opened, end, reason, until):
    connection, ear = opened
    end(server)
    await until(lambda: ear.lost or not connection.is_open)
    server.writer.close()
    await until(lambda: ear.lost)
    await connection.closed()
    assert len(ear.lost) == 1
    assert reason in ear.lost[0]
    assert not connection.can_send


async def test_our_own_goodbye_is_told_with_our_reason(server, opened, until):
    connection, ear = opened
    connection.close("rotated")
    await until(lambda: not connection.is_open)
    server.writer.write(close_frame(1000, ""))
    server.writer.close()
    await until(lambda: ear.lost)
    assert ear.lost == ["rotated"]


async def test_a_peer_that_does_not_say_goodbye_is_left(opened, hand_clock, until):
    connection, ear = opened
    connection.close("rotated")
    await asyncio.sleep(0.01)
    assert not ear.lost
    hand_clock.advance(transport.CLOSE_PATIENCE_S)
    await until(lambda: ear.lost)


async def test_a_connection_without_a_sign_of_life_is_dead(server, opened, hand_clock, until):
    connection, ear = opened
    hand_clock.advance(transport.PING_EVERY_S)
    assert (await server.reader.readexactly(2))[0] & 0x0F == Opcode.PING
    assert connection.is_open
    hand_clock.advance(transport.PING_EVERY_S)
    await until(lambda: ear.lost)
    assert "no sign of life" in ear.lost[0]


async def test_a_pong_is_a_sign_of_life(server, opened, hand_clock, until):
    connection, ear = opened
    for _ in range(3):
        hand_clock.advance(transport.PING_EVERY_S)
        server.writer.write(
            Frame(Opcode.PONG, b"").serialize(mask=False) + Frame(Opcode.TEXT, b"t").serialize(mask=False)
        )
        count = len(ear.frames)
        await until(lambda count=count: len(ear.frames) > count)
    assert connection.is_open


@pytest.mark.parametrize("status", ["404 Not Found", "503 Service Unavailable", "200 OK"])
async def test_a_handshake_that_is_turned_down_is_one_error(server, hand_clock, status):
    server.status = status
    ear = Ear()
    with pytest.raises(ConnectError, match=status[:3]):
        await transport.connect(f"ws://127.0.0.1:{server.port}/", "x", ear, hand_clock)
    assert (ear.opened, ear.lost) == (0, [])


async def test_nobody_there_is_one_error(hand_clock):
    with pytest.raises(ConnectError):
        await transport.connect("ws://127.0.0.1:1/", "x", Ear(), hand_clock)


async def test_a_handshake_that_never_ends_times_out(server, machine_clock):
    server.accepts = False
    with pytest.raises(ConnectError, match="no handshake"):
        await transport.connect(f"ws://127.0.0.1:{server.port}/", "x", Ear(), machine_clock(rate=100))


async def test_an_address_that_is_none_is_one_error(hand_clock):
    with pytest.raises(ConnectError, match="isn't a valid URI"):
        await transport.connect("http://127.0.0.1/", "x", Ear(), hand_clock)


async def test_a_peer_that_does_not_read_is_not_written_to(opened):
    connection, _ = opened
    for _ in range(2000):
        if not connection.can_send:
            break
        connection.send(b"x" * 65_536)
    assert connection.is_open
    assert not connection.can_send


async def test_a_burst_of_100_000_frames_holds_nothing_beyond_one_read(server, opened, until):
    """What has not been read stays with the sender: its buffer is what grows, and its `drain` is what waits."""
    connection, ear = opened
    largest = 0
    counted = 0

    def count(frames: list[bytearray]) -> None:
        nonlocal counted, largest
        counted += len(frames)
        largest = max(largest, sum(map(len, frames)))

    ear.on_batch = count  # type: ignore[method-assign]
    raw = Frame(Opcode.TEXT, b"x" * 190).serialize(mask=False)
    for _ in range(100):
        server.writer.write(raw * 1000)
        await server.writer.drain()
    await until(lambda: counted == 100_000)
    assert largest <= 1 << 20
    assert len(connection._protocol.events) == 0
    assert len(connection._protocol.reader.buffer) == 0

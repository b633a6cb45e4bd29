"""A real redis-server that lives in virtual time.

Programs of the loop connect to it in memory; each command is put to the server while the loop stands still, so an
answer takes no time and is there before anything else happens. What depends on time follows the loop's:

* `TIME`, asked directly or by a script, is the loop's wall clock;
* a key lives `_STRETCH` times as long on the server, and is aged by what has passed in the loop: the machine's own
  time, in which a minute of the run may take longer or shorter, hardly counts.

Messages of channels are handed on here, behind the answer of the command that sent them.
"""

import asyncio
import hashlib
import io
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from phoenix_coordination.redis.server import MISSING, find_server, server_arguments, server_socket
from virtual_time import NS, VirtualTime, machines_monotonic_ns, machines_sleep

_STRETCH = 10_000
_AGED_EVERY_NS = 5_000_000
_STARTS_WITHIN_S = 20.0
_LOOK_S = 0.005

_VIRTUAL = f"""
local micros, seconds = table.remove(ARGV), table.remove(ARGV)
local server = redis
local redis = setmetatable({{call = function(command, ...)
  if command == 'TIME' then
    return {{seconds, micros}}
  elseif command == 'PEXPIRE' then
    local key, milliseconds = ...
    return server.call('PEXPIRE', key, string.format('%.0f', tonumber(milliseconds) * {_STRETCH}))
  end
  return server.call(command, ...)
end}}, {{__index = server}})
"""
"""What every script begins with here; its own line follows."""

_AGE = b"""
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    left = left - ARGV[1]
    if left <= 0 then redis.call('DEL', key) else redis.call('PEXPIRE', key, string.format('%.0f', left)) end
  end
end
"""

Words = Sequence[bytes]


class VirtualRedis:
    """`url` is where programs of the loop reach it."""

    def __init__(self, time: VirtualTime) -> None:
        program = find_server()
        if program is None:
            raise FileNotFoundError(MISSING)
        self._program = program
        self._time = time
        self._directory = Path(tempfile.mkdtemp(prefix="px-soak-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._news: _Server
        self._lines: set[_Line] = set()
        self._digests: dict[bytes, bytes] = {}
        """Of a script as its program knows it, to the one that the server has."""
        self._aged_ns = 0
        self._aged_machine_ns = 0
        self._listener: asyncio.AbstractServer | None = None
        self.url = "unix:///redis-of-the-run"

    async def open(self) -> None:
        self._start()
        await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(lambda: _Line(self), self.url.removeprefix("unix://"))

    def _start(self) -> None:
        arguments = server_arguments(self._program, self._directory)
        # A session of its own: Ctrl-C is for the run, whose makers still need it to end in order.
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, start_new_session=True)
        until_ns = machines_monotonic_ns() + int(_STARTS_WITHIN_S * NS)
        while True:
            try:
                self._news = self.connection()
                if self._news.ask([[b"PING"]]) == [b"+PONG\r\n"]:
                    break
                self._news.close()  # it loads what it had
            except OSError:
                pass
            if machines_monotonic_ns() > until_ns:
                raise TimeoutError("redis-server does not answer")
            machines_sleep(_LOOK_S)
        self._news.ask([[b"PSUBSCRIBE", b"*"]])
        self._aged_ns, self._aged_machine_ns = self._time.passed_ns, machines_monotonic_ns()

    def connection(self) -> "_Server":
        return _Server(server_socket(self._directory))

    def hang_up(self) -> None:
        """Every connection is cut, and no new one is taken until `take_calls`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for line in tuple(self._lines):
            line.hang_up()

    async def take_calls(self) -> None:
        if self._listener is None:
            await self._listen()

    async def restart(self) -> None:
        """Killed, and back with what it had: another run of the server, in which no script is known."""
        self.hang_up()
        self._kill()
        self._start()
        await self.take_calls()

    def close(self) -> None:
        self.hang_up()
        self._kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._news.close()

    # -- what a line asks --------------------------------------------------------------------------

    def joined(self, line: "_Line") -> None:
        self._lines.add(line)

    def left(self, line: "_Line") -> None:
        self._lines.discard(line)

    def ask(self, server: "_Server", commands: Sequence[Words]) -> list[bytes]:
        """Answers, in order. The keys are as old as they are in the loop."""
        aging = self._aging()
        answers = server.ask([*aging, *map(self._as_virtual, commands)])[len(aging) :]
        told = [self._told(words, answer) for words, answer in zip(commands, answers, strict=True)]
        if any(words[0].upper() in {b"EVALSHA", b"PUBLISH"} for words in commands):
            self._hand_on()
        return told

    def _aging(self) -> list[Words]:
        passed_ns = self._time.passed_ns - self._aged_ns
        if passed_ns < _AGED_EVERY_NS:
            return []
        now_ns = machines_monotonic_ns()
        older_ms = (passed_ns * _STRETCH - (now_ns - self._aged_machine_ns)) // 1_000_000
        self._aged_ns, self._aged_machine_ns = self._time.passed_ns, now_ns
        return [[b"EVAL", _AGE, b"0", str(older_ms).encode()]]

    def _as_virtual(self, words: Words) -> Words:
        match [words[0].upper(), *words[1:]]:
            case [b"SET", _, _, *options] if b"PX" in options:
                at = words.index(b"PX", 3) + 1
                return [*words[:at], str(int(words[at]) * _STRETCH).encode(), *words[at + 1 :]]
            case [b"PEXPIRE", key, milliseconds]:
                return [b"PEXPIRE", key, str(int(milliseconds) * _STRETCH).encode()]
            case [b"SCRIPT", b"LOAD", source]:
                return [b"SCRIPT", b"LOAD", _VIRTUAL.encode() + source]
            case [b"EVALSHA", digest, *rest]:
                seconds, rest_ns = divmod(self._time.wall_ns(), NS)
                now = (str(seconds).encode(), str(rest_ns // 1000).encode())
                return [b"EVALSHA", self._digests.get(digest, digest), *rest, *now]
            case [b"EVAL" | b"EXPIRE" | b"PSETEX" | b"SETEX" | b"MULTI", *_]:
                raise NotImplementedError(f"{words[0]!r} in virtual time")
            case _:
                return words

    def _told(self, words: Words, answer: bytes) -> bytes:
        match [words[0].upper(), *words[1:]]:
            case [b"PTTL", *_]:
                left = int(answer[1:])
                return b":%d\r\n" % (left if left < 0 else -(-left // _STRETCH))
            case [b"TIME"]:
                seconds, rest_ns = divmod(self._time.wall_ns(), NS)
                return _array(str(seconds).encode(), str(rest_ns // 1000).encode())
            case [b"SCRIPT", b"LOAD", source]:
                known = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
                self._digests[known] = _bulk_of(answer)
                return b"$%d\r\n%b\r\n" % (len(known), known)
            case _:
                return answer

    def _hand_on(self) -> None:
        """What was said on channels so far: the answer of the question here comes behind it."""
        self._news.send([[b"PING"]])
        while (told := self._news.message())[0] != b"pong":
            _, _, channel, payload = told
            for line in self._lines:
                line.hear(channel, payload)


class _Line(asyncio.Protocol):
    """A program's connection."""

    def __init__(self, redis: VirtualRedis) -> None:
        self._redis = redis
        self._buffer = bytearray()
        self._channels: set[bytes] = set()
        self._transport: asyncio.Transport
        self._server: _Server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server = self._redis.connection()
        self._redis.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._redis.left(self)
        self._server.close()

    def hang_up(self) -> None:
        self._redis.left(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._buffer += data
        asked: list[Words] = []
        while (words := _take_command(self._buffer)) is not None:
            if words[0].upper() in {b"SUBSCRIBE", b"UNSUBSCRIBE"} or (self._channels and words[0].upper() == b"PING"):
                self._answer(asked)
                asked = []
                self._listen(words)
            else:
                asked.append(words)
        self._answer(asked)

    def _answer(self, asked: Sequence[Words]) -> None:
        if asked:
            self._transport.write(b"".join(self._redis.ask(self._server, asked)))

    def _listen(self, words: Words) -> None:
        match [words[0].upper(), *words[1:]]:
            case [b"SUBSCRIBE", *channels]:
                for channel in channels:
                    self._channels.add(channel)
                    self._transport.write(_array(b"subscribe", channel, len(self._channels)))
            case [b"UNSUBSCRIBE", *channels]:
                for channel in channels or sorted(self._channels):
                    self._channels.discard(channel)
                    self._transport.write(_array(b"unsubscribe", channel, len(self._channels)))
            case [b"PING", *_]:
                self._transport.write(_array(b"pong", b""))

    def hear(self, channel: bytes, payload: bytes) -> None:
        if channel in self._channels:
            self._transport.write(_array(b"message", channel, payload))


class _Server:
    """A connection to the server, which is waited for."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")

    def send(self, commands: Sequence[Words]) -> None:
        self._socket.sendall(b"".join(_array(*words) for words in commands))

    def ask(self, commands: Sequence[Words]) -> list[bytes]:
        """Each answer as its bytes."""
        self.send(commands)
        return [_read_answer(self._answers) for _ in commands]

    def message(self) -> list[bytes]:
        """An array of texts."""
        count = int(self._answers.readline()[1:])
        return [_bulk_of(_read_answer(self._answers)) for _ in range(count)]

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


# -- the protocol (RESP2) ------------------------------------------------------------------------------


def _array(*items: bytes | int) -> bytes:
    parts = [b"*%d\r\n" % len(items)]
    parts += [b":%d\r\n" % item if isinstance(item, int) else b"$%d\r\n%b\r\n" % (len(item), item) for item in items]
    return b"".join(parts)


def _bulk_of(answer: bytes) -> bytes:
    return answer[answer.index(b"\r\n") + 2 : -2]


def _read_answer(answers: io.BufferedIOBase) -> bytes:
    head = answers.readline()
    if not head.endswith(b"\r\n"):
        raise ConnectionResetError("redis-server is gone")
    kind, size = head[:1], head[1:-2]
    if kind == b"$" and size != b"-1":
        return head + answers.read(int(size) + 2)
    if kind == b"*" and size != b"-1":
        return head + b"".join(_read_answer(answers) for _ in range(int(size)))
    return head


def _take_command(buffer: bytearray) -> list[bytes] | None:
    """The first whole command, taken out of the buffer."""
    end = buffer.find(b"\r\n")
    if end < 0:
        return None
    at = end + 2
    words: list[bytes] = []
    for _ in range(int(buffer[1:end])):
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        begin = end + 2
        at = begin + int(buffer[at + 1 : end]) + 2
        if len(buffer) < at:
            return None
        words.append(bytes(buffer[begin : at - 2]))
    del buffer[:at]
    return words

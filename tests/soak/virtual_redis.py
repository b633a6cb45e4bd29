"""A real redis-server that lives in virtual time.

Programs of the loop connect to it in memory; each command is put to the server while the loop stands still, so an
answer takes no time and is there before anything else happens. What depends on time is led here, and the server, which
lives in the machine's, hears nothing of it:

* `TIME`, asked directly or by a script, is the loop's wall clock;
* how long a key lives is noted; whoever asks next after its end finds it deleted.

What is said on channels is handed on here, too: scripts tell of it beside their answer. So one question and one answer
on one connection are all that a command costs.
"""

import asyncio
import hashlib
import heapq
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from phoenix_coordination.redis.server import MISSING, find_server, server_arguments, server_socket
from redis_protocol import Words, array, array_of, end_of_answer, take_command, text_of
from virtual_time import NS, VirtualTime, machines_sleep

_NS_PER_MS = 1_000_000
_LOOK_S = 0.005
_LOOKS = 12_000
"""For a server that has just been started: a minute of them. Counted, not timed: this process may be stopped for a
while, and continued.
"""
_READ_BYTES = 256 * 1024

_BEFORE = b"""
local micros, seconds = table.remove(ARGV), table.remove(ARGV)
local server, done = redis, {}
local function note(what, key, value)
  table.insert(done, what)
  table.insert(done, key)
  table.insert(done, value)
  return 1
end
local redis = setmetatable({call = function(command, ...)
  local key, value, option = ...
  if command == 'TIME' then
    return {seconds, micros}
  elseif command == 'PEXPIRE' then
    return server.call('EXISTS', key) == 1 and note(command, key, string.format('%.0f', tonumber(value))) or 0
  elseif command == 'PUBLISH' then
    return note(command, key, tostring(value))
  elseif command == 'DEL' or command == 'SET' then
    if option or (command == 'DEL' and value) then
      error('not in virtual time: ' .. command .. ' with more')
    end
    note('DEL', key, '')
  end
  return server.call(command, ...)
end}, {__index = server})
local function body()
"""
_BEHIND = b"""
end
local held, answer = pcall(body)
return {done, held and answer or (not held and server.error_reply(tostring(answer)) or nil)}
"""
"""What every script is put into here. It answers with what it did to keys' lives and said on channels, and with its own
answer.
"""

_UNKNOWN = frozenset(
    b"EVAL MULTI EXPIRE EXPIREAT PEXPIREAT PERSIST SETEX PSETEX GETEX GETSET RENAME FLUSHALL FLUSHDB PUBLISH".split()
)
"""Nobody of ours uses them, and they would bypass what is led here."""


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
        self._server: _Server
        self._lines: dict[_Line, None] = {}
        self._digests: dict[bytes, bytes] = {}
        """Of a script as its program knows it, to the one that the server has."""
        self._dies_ns: dict[bytes, int] = {}
        self._deaths: list[tuple[int, bytes]] = []
        """A heap; who was given another life, or none, stands there in vain."""
        self._listener: asyncio.AbstractServer | None = None
        self.url = "unix:///redis-of-the-run"

    async def open(self) -> None:
        self._start()
        await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(lambda: _Line(self), self.url.removeprefix("unix://"))

    def _start(self) -> None:
        # What was written is there after a kill: only a machine that fails would need it on the disk.
        arguments = [*server_arguments(self._program, self._directory), "--appendfsync", "no"]
        # A session of its own: Ctrl-C is for the run, whose makers still need it to end in order.
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, start_new_session=True)
        for _ in range(_LOOKS):
            try:
                server = _Server(server_socket(self._directory))
            except OSError:
                machines_sleep(_LOOK_S)
                continue
            if server.ask([[b"PING"]]) == [b"+PONG\r\n"]:
                self._server = server
                return
            server.close()  # it loads what it had
            machines_sleep(_LOOK_S)
        raise TimeoutError("redis-server does not answer")

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
            self._server.close()

    # -- what a line asks --------------------------------------------------------------------------

    def joined(self, line: "_Line") -> None:
        self._lines[line] = None

    def left(self, line: "_Line") -> None:
        self._lines.pop(line, None)

    def ask(self, commands: Sequence[Words]) -> bytes:
        """Their answers, in order, as those of a server whose keys are as old as they are in the loop."""
        dead = self._dead()
        asked = [self._as_virtual(words) for words in commands]
        first = [[b"DEL", *dead]] if dead else []
        answers = self._server.ask([*first, *asked])[len(first) :]
        return b"".join([self._told(words, answer) for words, answer in zip(commands, answers, strict=True)])

    def _as_virtual(self, words: Words) -> Words:
        match words[0].upper():
            case b"EVALSHA":
                return [words[0], self._digests.get(words[1], words[1]), *words[2:], *self._now()]
            case b"SET" if b"PX" in words[3:]:
                at = words.index(b"PX", 3)
                return [*words[:at], *words[at + 2 :]]
            case b"PEXPIRE":
                return [b"EXISTS", words[1]]
            case b"SCRIPT" if words[1].upper() == b"LOAD":
                return [*words[:2], _BEFORE + words[2] + _BEHIND]
            case command if command in _UNKNOWN:
                raise NotImplementedError(f"{words[0]!r} in virtual time")
            case _:
                return words

    def _told(self, words: Words, answer: bytes) -> bytes:
        """What becomes of it here, and what the line hears."""
        match words[0].upper():
            case b"EVALSHA" if answer[:1] == b"*":
                done, told = array_of(answer, 2)
                self._do(done)
                return told
            case b"SET" if answer == b"+OK\r\n":
                self._lives(words[1], int(words[words.index(b"PX", 3) + 1]) if b"PX" in words[3:] else None)
            case b"PEXPIRE" if answer == b":1\r\n":
                self._lives(words[1], int(words[2]))
            case b"DEL":
                for key in words[1:]:
                    self._lives(key, None)
            case b"PTTL" if answer == b":-1\r\n" and words[1] in self._dies_ns:
                return b":%d\r\n" % -(-(self._dies_ns[words[1]] - self._time.passed_ns) // _NS_PER_MS)
            case b"TIME":
                return array(*self._now())
            case b"SCRIPT" if words[1].upper() == b"LOAD":
                return self._known(words[2], text_of(answer))
        return answer

    def _do(self, done: bytes) -> None:
        """What a script says that it did."""
        texts = [text_of(member) for member in array_of(done)]
        for what, key, value in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
            if what == b"PUBLISH":
                for line in tuple(self._lines):
                    line.hear(key, value)
            else:
                self._lives(key, int(value) if value else None)

    def _known(self, source: bytes, digest: bytes) -> bytes:
        """A script, by the digest that its program asks for."""
        known = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
        self._digests[known] = digest
        return array(known).partition(b"\r\n")[2]

    def _now(self) -> tuple[bytes, bytes]:
        seconds, rest_ns = divmod(self._time.wall_ns(), NS)
        return b"%d" % seconds, b"%d" % (rest_ns // 1000)

    def _lives(self, key: bytes, milliseconds: int | None) -> None:
        """From now on; None: until it is deleted."""
        if milliseconds is None:
            self._dies_ns.pop(key, None)
        else:
            dies_ns = self._dies_ns[key] = self._time.passed_ns + milliseconds * _NS_PER_MS
            heapq.heappush(self._deaths, (dies_ns, key))

    def _dead(self) -> list[bytes]:
        """Keys whose life has ended since the last question."""
        dead = []
        while self._deaths and self._deaths[0][0] <= self._time.passed_ns:
            dies_ns, key = heapq.heappop(self._deaths)
            if self._dies_ns.get(key) == dies_ns:
                del self._dies_ns[key]
                dead.append(key)
        return dead


class _Line(asyncio.Protocol):
    """A program's connection."""

    def __init__(self, redis: VirtualRedis) -> None:
        self._redis = redis
        self._buffer = bytearray()
        self._channels: set[bytes] = set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._redis.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._redis.left(self)

    def hang_up(self) -> None:
        self._redis.left(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._buffer += data
        asked: list[Words] = []
        while (words := take_command(self._buffer)) is not None:
            if words[0].upper() in {b"SUBSCRIBE", b"UNSUBSCRIBE"} or (self._channels and words[0].upper() == b"PING"):
                self._answer(asked)
                asked = []
                self._listen(words)
            else:
                asked.append(words)
        self._answer(asked)

    def _answer(self, asked: Sequence[Words]) -> None:
        if asked:
            self._transport.write(self._redis.ask(asked))

    def _listen(self, words: Words) -> None:
        match [words[0].upper(), *words[1:]]:
            case [b"SUBSCRIBE", *channels]:
                for channel in channels:
                    self._channels.add(channel)
                    self._transport.write(array(b"subscribe", channel, len(self._channels)))
            case [b"UNSUBSCRIBE", *channels]:
                for channel in channels or sorted(self._channels):
                    self._channels.discard(channel)
                    self._transport.write(array(b"unsubscribe", channel, len(self._channels)))
            case [b"PING", *_]:
                self._transport.write(array(b"pong", b""))

    def hear(self, channel: bytes, payload: bytes) -> None:
        if channel in self._channels:
            self._transport.write(array(b"message", channel, payload))


class _Server:
    """The connection to the server, which is waited for."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def ask(self, commands: Sequence[Words]) -> list[bytes]:
        """Each answer as its bytes."""
        self._socket.sendall(b"".join([array(*words) for words in commands]))
        data, answers, at = b"", [], 0
        while len(answers) < len(commands):
            end = end_of_answer(data, at)
            if end < 0:
                more = self._socket.recv(_READ_BYTES)
                if not more:
                    raise ConnectionResetError("redis-server is gone")
                data = data[at:] + more
                at = 0
            else:
                answers.append(data[at:end])
                at = end
        return answers

    def close(self) -> None:
        self._socket.close()

"""Redis as its own witness: `MONITOR` names every write of every script with the server's time, in the server's order.

Nothing of it is asked of the packages: what a script promises is compared with what it wrote.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from history import (
    AnyFact,
    Booked,
    KeysLost,
    LeaseReleased,
    LeaseRenewed,
    LeaseTaken,
    LedgerLost,
    LedgerRebuilt,
    SwitchWritten,
    Unbooked,
)

_LINE = re.compile(rb"^\+?(\d+)\.(\d{6}) \[0 [^\]]*\] (.*)$", re.DOTALL)
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_OF_INTEREST = re.compile(rb' "(?:HSET|HDEL|DEL|EVALSHA|EVAL|FLUSHALL)" ?', re.IGNORECASE)
_LONGEST_KEY = 2_000
"""Bytes of a line that are looked at for a word of interest; records and snapshots are longer than that."""


class Reader:
    """Turns lines of `MONITOR` into facts of one account. `offset_ns`: wall minus monotonic clock of this machine."""

    def __init__(self, offset_ns: int, account: str) -> None:
        self._offset_ns = offset_ns
        self._prefix = f"mm:{{{account}}}:"
        self._asked: list[str] = []
        """Keys and arguments of the script that runs."""
        self._seeded = False

    def read(self, line: bytes) -> Iterator[AnyFact]:
        if not _OF_INTEREST.search(line, 0, _LONGEST_KEY):
            return
        found = _LINE.match(line)
        if found is None:
            return
        at_ns = (int(found[1]) * 1_000_000 + int(found[2])) * 1_000 - self._offset_ns
        words = [_plain(word) for word in _WORD.findall(found[3])]
        match words:
            case ["EVALSHA" | "EVAL", _, keys, *rest] if keys.isdigit():
                self._asked = rest if rest and rest[0] == f"{self._prefix}ledger" else []
            case ["FLUSHALL", *_]:
                self._seeded = False
                yield KeysLost(at_ns=at_ns)
            case ["HSET", key, *fields] if key.startswith(self._prefix):
                name = key.removeprefix(self._prefix)
                values = dict(zip(fields[::2], fields[1::2], strict=False))
                yield from self._written(at_ns, name, values)
            case ["DEL", key] if key == f"{self._prefix}ledger":
                yield LedgerLost(at_ns=at_ns)
            case ["HDEL", key, *fields] if key == f"{self._prefix}ledger":
                for field in fields:
                    if field.startswith("e:"):
                        yield Unbooked(at_ns=at_ns, symbol=field.removeprefix("e:"))

    def restarted(self) -> None:
        self._seeded = False  # a seed counts for one run of the server

    def _written(self, at_ns: int, name: str, values: dict[str, str]) -> Iterator[AnyFact]:
        if name.startswith("lease:"):
            symbol = name.removeprefix("lease:")
            if "holder" in values:
                yield LeaseTaken(at_ns=at_ns, symbol=symbol, holder=values["holder"], token=int(values["token"]))
            elif "beat" in values:
                yield LeaseRenewed(at_ns=at_ns, symbol=symbol)
            elif "released" in values:
                yield LeaseReleased(at_ns=at_ns, symbol=symbol)
        elif name == "emergency":
            level, epoch = int(values["level"]), int(values["epoch"])
            # A resume is the one write of level 0 that leaves the seed alone.
            resumed = level == 0 and "seeded" not in values
            self._seeded = values["seeded"] != "" if "seeded" in values else self._seeded
            yield SwitchWritten(at_ns=at_ns, level=level, epoch=epoch, seeded=self._seeded, resumed=resumed)
        elif name == "ledger":
            if "rebuilt" in values:
                yield LedgerRebuilt(at_ns=at_ns)
            for field, entry in values.items():
                if field.startswith("e:"):
                    yield self._booked(at_ns, field.removeprefix("e:"), entry.split())

    def _booked(self, at_ns: int, symbol: str, entry: list[str]) -> Booked:
        """An entry: run, token, sequence, long, short, gross, buys, sells; see `reserve.lua` for its arguments."""
        _, token, sequence, long, short, gross, buys, sells = entry
        size = buy_floor = sell_floor = 0
        match self._asked:
            case [_, _, asked_symbol, _, asked_token, _, _, _, _, _, size_, _, _, buys_may, sells_may, known] if (
                asked_symbol == symbol and asked_token == token
            ):
                size = int(size_)
                # Where the asker does not know all that may rest, the script leaves what was booked.
                buy_floor, sell_floor = (int(buys_may), int(sells_may)) if known == "1" else (int(buys), int(sells))
        return Booked(
            at_ns=at_ns,
            symbol=symbol,
            token=int(token),
            sequence=int(sequence),
            long=int(long),
            short=int(short),
            gross=int(gross),
            buys=int(buys),
            sells=int(sells),
            size=size,
            buy_floor=buy_floor,
            sell_floor=sell_floor,
        )


def _plain(word: bytes) -> str:
    if b"\\" not in word:
        return word.decode("latin-1")
    return word.decode("latin-1").encode("latin-1", "replace").decode("unicode_escape")


class Monitor(asyncio.Protocol):
    """One connection that hears every line. `ended` is set when the server hangs up."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._rest = bytearray()
        self.attached = asyncio.Event()
        self.ended = asyncio.Event()
        self.transport: asyncio.BaseTransport | None = None

    @classmethod
    async def attach(cls, socket: Path, hear: Callable[[bytes], None]) -> "Monitor":
        """Returns once the server has said that it will tell; raises `OSError` where none listens."""
        monitor = cls(hear)
        await asyncio.get_running_loop().create_unix_connection(lambda: monitor, str(socket))
        await monitor.attached.wait()
        return monitor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"MONITOR\r\n")  # type: ignore[attr-defined] # a stream's transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        *lines, self._rest = self._rest.split(b"\r\n")
        for line in lines:
            if line == b"+OK":
                self.attached.set()
                continue
            self._hear(bytes(line))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.attached.set()
        self.ended.set()


def wall_minus_monotonic_ns() -> int:
    """The narrowest of a few readings: how far the machine's two clocks are apart now."""
    best: tuple[int, int] = (1 << 62, 0)
    for _ in range(20):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        best = min(best, (after - before, wall - (before + after) // 2))
    return best[1]

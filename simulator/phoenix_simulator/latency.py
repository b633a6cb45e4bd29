"""How long the way to the venue and back takes, as distributions, and the line on which it passes.

A message waits in its line for a time that is drawn for it, but never leaves before what entered earlier: a connection
is TCP, which does not reorder. The draws depend on the seed, on the part and on the number of the connection alone.

Delays are of the run's clock. The event loop's timers have a millisecond of real time, and so have these; a part
without a distribution costs nothing and changes nothing.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from phoenix_simulator.clock import Clock

T = TypeVar("T")

_LONGEST_MS: Final = 600_000
_TIMER_S: Final = 0.0005
"""A timer that rings this much early has rung: both event loops round."""

Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_MS)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


# ---- distributions ----------------------------------------------------------------------------------------------


class _Distribution(msgspec.Struct, frozen=True, tag_field="kind", rename="camel", forbid_unknown_fields=True):
    pass


class Fixed(_Distribution, frozen=True, tag="fixed"):
    """Always the same."""

    ms: Milliseconds

    def draw(self, _: Random) -> float:
        return self.ms


class Uniform(_Distribution, frozen=True, tag="uniform"):
    """Anything between two bounds."""

    low_ms: Milliseconds
    high_ms: Milliseconds

    def __post_init__(self) -> None:
        if self.high_ms < self.low_ms:
            raise ValueError(f"highMs {self.high_ms:g} is below lowMs {self.low_ms:g}")

    def draw(self, random: Random) -> float:
        return self.low_ms + (self.high_ms - self.low_ms) * random.random()


class LogNormal(_Distribution, frozen=True, tag="lognormal"):
    """What networks look like: half of all messages take `medianMs`, few take many times that. `sigma` is of the
    logarithm: 0.5 puts the 99th percentile at 3.2 medians, 1 at 10. Nothing takes longer than ten minutes.
    """

    median_ms: Milliseconds
    sigma: Annotated[float, msgspec.Meta(ge=0, le=4)]

    def draw(self, random: Random) -> float:
        return min(self.median_ms * math.exp(random.gauss(0.0, self.sigma)), _LONGEST_MS)


class Quantiles(_Distribution, frozen=True, tag="quantiles"):
    """As measured: `points` are (probability, ms), both ascending; linear between them, and the outermost bound it."""

    points: tuple[tuple[Probability, Milliseconds], ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("points are missing; give pairs of probability and milliseconds")
        if any(p >= q or a > b for (p, a), (q, b) in pairwise(self.points)):
            raise ValueError("points do not ascend; give pairs of probability and milliseconds, smallest first")

    def draw(self, random: Random) -> float:
        wanted = random.random()
        before = self.points[0]
        for point in self.points:
            if wanted < point[0]:
                if point is before:
                    break
                return before[1] + (point[1] - before[1]) * (wanted - before[0]) / (point[0] - before[0])
            before = point
        return before[1]


Distribution = Fixed | Uniform | LogNormal | Quantiles


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The four ways, each on its own. An absent one takes no time."""

    order_entry: Distribution | None = None
    """From the client to the venue, of every request by REST or the WebSocket API."""
    acknowledgement: Distribution | None = None
    """Back, of every answer."""
    market_data: Distribution | None = None
    """Of frames of the public and market streams."""
    user_data: Distribution | None = None
    """Of frames of user data streams."""


class Part(StrEnum):
    """The ways as a command line names them."""

    ORDER_ENTRY = "order-entry"
    ACKNOWLEDGEMENT = "acknowledgement"
    MARKET_DATA = "market-data"
    USER_DATA = "user-data"

    @property
    def field(self) -> str:
        return self.value.replace("-", "_")


_EVERY_PART: Final = "all"
_FORMS: Final = "5 (ms), 3..8, lognormal:MEDIAN:SIGMA or quantiles:0.5=4,0.99=30"


def parse_latencies(texts: Sequence[str], base: LatencySettings) -> LatencySettings:
    """`PART=DISTRIBUTION` each, over `base`. ValueError says which text is wrong, and how."""
    chosen: dict[str, Distribution] = {}
    for text in texts:
        name, _, form = text.partition("=")
        known = [part.value for part in Part]
        if name not in {*known, _EVERY_PART}:
            raise ValueError(f"{text!r}: no part {name!r}; choose from {', '.join(known)}, {_EVERY_PART}")
        try:
            distribution = parse_distribution(form)
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None
        chosen |= {part.field: distribution for part in Part if name in {part.value, _EVERY_PART}}
    return msgspec.structs.replace(base, **chosen)


def parse_distribution(text: str) -> Distribution:
    """A distribution in the short form of the command line; ValueError where it is none."""
    kind, _, rest = text.partition(":")
    fields: Mapping[str, object]
    try:
        if kind == "lognormal":
            median, sigma = rest.split(":")
            fields = {"kind": kind, "medianMs": float(median), "sigma": float(sigma)}
        elif kind == "quantiles":
            points = [tuple(map(float, point.split("="))) for point in rest.split(",")]
            fields = {"kind": kind, "points": points}
        elif ".." in text:
            low, _, high = text.partition("..")
            fields = {"kind": "uniform", "lowMs": float(low), "highMs": float(high)}
        else:
            fields = {"kind": "fixed", "ms": float(text)}
    except ValueError:
        raise ValueError(f"{text!r} is no distribution; write {_FORMS}") from None
    try:
        distribution: Distribution = msgspec.convert(fields, Distribution)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}; write {_FORMS}") from None
    return distribution


# ---- the way ----------------------------------------------------------------------------------------------------


class DelayLine(Generic[T]):
    """One direction of one connection. `deliver` gets each item in the order in which they entered."""

    __slots__ = ("_clock", "_deliver", "_distribution", "_drained", "_last_s", "_random", "_waiting")

    def __init__(self, distribution: Distribution, random: Random, clock: Clock, deliver: Callable[[T], None]) -> None:
        self._distribution = distribution
        self._random = random
        self._clock = clock
        self._deliver = deliver
        self._waiting: deque[tuple[float, T]] = deque()
        self._last_s = 0.0
        self._drained: asyncio.Future[None] | None = None

    def push(self, item: T) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._distribution.draw(self._random) / 1e3 / self._clock.rate
        self._last_s = max(self._last_s, loop.time() + delay_s)
        self._waiting.append((self._last_s, item))
        if len(self._waiting) == 1:
            loop.call_at(self._last_s, self._release)

    def clear(self) -> None:
        """The line is cut: what is on it never arrives."""
        self._waiting.clear()
        self._tell_drained()

    async def drained(self) -> None:
        """Until what entered so far has left."""
        if self._waiting:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def _release(self) -> None:
        loop, waiting = asyncio.get_running_loop(), self._waiting
        now_s = loop.time() + _TIMER_S
        while waiting and waiting[0][0] <= now_s:
            self._deliver(waiting.popleft()[1])
        if waiting:
            loop.call_at(waiting[0][0], self._release)
        else:
            self._tell_drained()

    def _tell_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


class Latency:
    """Makes the lines of one exchange."""

    def __init__(self, settings: LatencySettings, seed: int, clock: Clock) -> None:
        self._settings = settings
        self._seed = seed
        self._clock = clock
        self._lines = dict.fromkeys(Part, 0)
        self._entering: set[asyncio.Task[Any]] = set()
        self._entry = self._random(Part.ORDER_ENTRY)
        self._exit = self._random(Part.ACKNOWLEDGEMENT)

    def line(self, part: Part, deliver: Callable[[T], None]) -> DelayLine[T] | None:
        """Of one connection; None where the way takes no time."""
        distribution: Distribution | None = getattr(self._settings, part.field)
        return None if distribution is None else DelayLine(distribution, self._random(part), self._clock, deliver)

    async def enter(self, request: Callable[[], Awaitable[T]]) -> T:
        """Performs a REST request when it has arrived. On its way it cannot be called back: it is performed even if
        the client hangs up meanwhile. (A connection has one request at a time, so their order is kept.)
        """
        if self._settings.order_entry is None:
            return await request()
        task = asyncio.create_task(self._arrive(self._settings.order_entry.draw(self._entry), request))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)
        return await asyncio.shield(task)

    async def leave(self) -> None:
        """An answer by REST is under way to its client."""
        if self._settings.acknowledgement is not None:
            await self._clock.sleep(self._settings.acknowledgement.draw(self._exit) / 1e3)

    async def _arrive(self, after_ms: float, request: Callable[[], Awaitable[T]]) -> T:
        await self._clock.sleep(after_ms / 1e3)
        return await request()

    def _random(self, part: Part) -> Random:
        self._lines[part] += 1
        # A text seeds Random by its digest: the same on every machine.
        return Random(f"phoenix latency {self._seed} {part} {self._lines[part]}")  # noqa: S311 - a network, not a secret

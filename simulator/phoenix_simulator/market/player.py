"""Plays market sources into the exchange as the run's clock passes, and keeps the exchange's own timers going.

One task for all symbols: it sleeps until the next update is due (at least some milliseconds of real time, at most
`TIMER_RESOLUTION_S` of the run's), then applies everything that is. An accelerated clock makes the batches larger, not
the task busier. Updates of one batch carry the clock's time at which they are applied, so that engine time never runs
backwards against the requests of clients in between.
"""

import asyncio
import heapq
from collections.abc import Coroutine, Iterator, Mapping
from time import monotonic_ns

import msgspec

from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.source import LiveReport, MarketSource, MarketUpdate
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.market.upstream.source import UpstreamSource

TIMER_RESOLUTION_S = 0.01
"""Countdowns, GTD expiries and funding happen at most this late (of the run's time)."""
_MIN_SLEEP_S = 0.005
"""Real time. Market events come in clusters of a few milliseconds; waking for each costs more than what is due, and
what one turn brings leaves in one write to each client.
"""
_MAX_BATCH_NS = 20_000_000
"""Real time after which a batch lets connections have their turn, however much more is due."""


class PlayerReport(msgspec.Struct, frozen=True):
    """How the player keeps up."""

    updates: int
    lag_ms: float
    """Run time by which the last update came late."""
    max_lag_ms: float
    ended: tuple[str, ...]
    """Symbols whose source is exhausted: their market holds still."""
    live: tuple[LiveReport, ...] = ()


class _Reel:
    """One source, as it plays."""

    __slots__ = ("source", "symbol", "updates")

    def __init__(self, source: MarketSource, updates: Iterator[MarketUpdate]) -> None:
        self.source = source
        self.symbol = source.symbol
        self.updates = updates


class _Live:
    """`market.source.LiveMarket` of one symbol."""

    def __init__(self, exchange: Exchange, clock: Clock, symbol: str) -> None:
        self._exchange = exchange
        self._clock = clock
        self._symbol = symbol

    def apply(self, update: MarketUpdate) -> None:
        self._exchange.apply(self._symbol, update, self._clock.now_ms())

    def blind(self, is_blind: bool) -> None:
        self._exchange.set_blind(self._symbol, is_blind)


class MarketPlayer:
    """`open` every market, then `run` as a task until it is cancelled. A source that ends leaves its market still.

    A live market plays itself: `open_live` it, and run `live` beside.
    """

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._origin_ns = clock.now_ns()
        self._reels: dict[str, _Reel] = {}
        self._due: list[tuple[int, int, _Reel, MarketUpdate]] = []
        """Heap of each source's next update: (time_ns, order of opening, reel, update)."""
        self._live: dict[str, UpstreamSource] = {}
        self._updates = 0
        self._lag_ns = 0
        self._max_lag_ns = 0
        self._ended: list[str] = []
        self._all_ended = asyncio.Event()

    def open(self, spec: SymbolSpec, source: MarketSource) -> None:
        """List the symbol with the source's opening book. Its time starts with `run`."""
        if source.symbol != spec.symbol:
            raise ValueError(f"a source of {source.symbol} cannot play {spec.symbol}")
        self._exchange.list_symbol(spec, source.start(), self._clock.now_ms())
        reel = _Reel(source, source.updates(self._exchange.background(spec.symbol)))
        self._reels[spec.symbol] = reel
        self._load(reel, len(self._reels))

    def open_live(self, source: UpstreamSource) -> None:
        """List the symbol as the upstream had it when the source was made; blind until `live` has joined it."""
        self._exchange.list_symbol(source.spec, source.start, self._clock.now_ms())
        self._exchange.set_blind(source.symbol, True)
        self._live[source.symbol] = source

    def live(self) -> list[Coroutine[None, None, None]]:
        """What keeps the live markets in step; each runs until cancelled."""
        return [source.run(_Live(self._exchange, self._clock, symbol)) for symbol, source in self._live.items()]

    def set_regime(self, symbol: str, regime: RegimeName) -> None:
        """Change how a synthetic market behaves, from its next event on. KeyError: no such market; ValueError: a
        recording plays what it recorded, and a live market what happens.
        """
        if symbol in self._live:
            raise ValueError(f"{symbol} is live; a regime needs a synthetic market")
        match self._reels[symbol].source:
            case SyntheticSource() as source:
                source.set_regime(regime)
            case _:
                raise ValueError(f"{symbol} plays a recording; a regime needs a synthetic market")

    def jump(self, symbol: str, bps: float) -> bool:
        """Move the price of a synthetic market at once; False where there is none."""
        reel = self._reels.get(symbol)
        if reel is None or not isinstance(reel.source, SyntheticSource):
            return False
        reel.source.jump(bps)
        return True

    @property
    def sources(self) -> Mapping[str, MarketSource]:
        return {symbol: reel.source for symbol, reel in self._reels.items()}

    def report(self) -> PlayerReport:
        return PlayerReport(
            self._updates,
            self._lag_ns / 1e6,
            self._max_lag_ns / 1e6,
            tuple(self._ended),
            tuple(source.report() for source in self._live.values()),
        )

    async def wait_ended(self) -> None:
        """Until every source is exhausted; for ever where one has no end."""
        await self._all_ended.wait()

    async def run(self) -> None:
        """Until cancelled. What a source or the exchange raises ends it: a market half alive is worse than none."""
        self._origin_ns = self._clock.now_ns()
        while True:
            now_ns = self._clock.now_ns()
            self._exchange.advance(now_ns // 1_000_000)
            if self._apply_due(now_ns):
                await asyncio.sleep(0)
                continue
            wait_s = TIMER_RESOLUTION_S
            if self._due:
                wait_s = min(wait_s, (self._due[0][0] + self._origin_ns - self._clock.now_ns()) / 1e9)
            await asyncio.sleep(max(wait_s / self._clock.rate, _MIN_SLEEP_S))

    def _apply_due(self, now_ns: int) -> bool:
        """Apply what is due by `now_ns`; True where the batch was cut short."""
        due, exchange = self._due, self._exchange
        elapsed_ns, now_ms = now_ns - self._origin_ns, now_ns // 1_000_000
        if not due or due[0][0] > elapsed_ns:
            return False
        # What comes latest of a batch is its first update.
        self._max_lag_ns = max(self._max_lag_ns, elapsed_ns - due[0][0])
        deadline_ns = monotonic_ns() + _MAX_BATCH_NS
        while due and due[0][0] <= elapsed_ns:
            time_ns, order, reel, update = due[0]
            exchange.apply(reel.symbol, update, now_ms)
            self._updates += 1
            self._lag_ns = elapsed_ns - time_ns
            following = next(reel.updates, None)
            if following is not None:
                heapq.heapreplace(due, (following.time_ns, order, reel, following))
            else:
                heapq.heappop(due)
                self._end(reel)
            if monotonic_ns() > deadline_ns:
                return True
        return False

    def _load(self, reel: _Reel, order: int) -> None:
        """The first update."""
        update = next(reel.updates, None)
        if update is not None:
            heapq.heappush(self._due, (update.time_ns, order, reel, update))
        else:
            self._end(reel)

    def _end(self, reel: _Reel) -> None:
        self._ended.append(reel.symbol)
        if len(self._ended) == len(self._reels):
            self._all_ended.set()

"""A small, steady market: few frames, a price that wanders and comes back, takers that sometimes reach our quotes."""

from collections.abc import Iterator
from random import Random

from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.regimes import scale_of
from phoenix_simulator.market.source import (
    BackgroundView,
    DepthUpdate,
    Level,
    MarketKind,
    MarketStart,
    MarketUpdate,
    MarkUpdate,
    TakerUpdate,
)

_FRAME_NS = 250_000_000
_FRAMES_PER_MARK = 4
_STEP_BPS = 0.7
_PULL = 0.05
"""Of the way back to where it began, each frame: it wanders by some ten bps."""
_LEVELS = 12
_LEVEL_BPS = 0.8
_LEVEL_QUOTE = 300.0
_JUMP_CHANCE = 0.002
_JUMP_BPS = 60.0
"""More than half of the ledger's price buffer, and never more than the whole: it comes back before the next one."""
_TAKER_CHANCE = 0.3
_TAKER_REACH_BPS = 6.0


class SteadySource:
    """A `MarketSource` without end."""

    def __init__(self, spec: SymbolSpec, seed: int) -> None:
        self._spec = spec
        self._random = Random(f"steady market {spec.symbol} {seed}")  # noqa: S311 - a market, not a secret
        self._price = scale_of(spec).price
        self._tick, self._step = spec.tick_e8 / 1e8, spec.step_e8 / 1e8
        self._drift_bps = 0.0

    @property
    def symbol(self) -> str:
        return self._spec.symbol

    def start(self) -> MarketStart:
        bids, asks = self._ladders()
        mark_e8 = round(self._price * 1e8)
        return MarketStart(MarketKind.SYNTHETIC, bids, asks, mark_e8, mark_e8, 0)

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:  # noqa: ARG002 - it restates its own book
        before = self._ladders()
        time_ns = frame = 0
        while True:
            time_ns += _FRAME_NS
            frame += 1
            self._drift_bps += self._random.gauss(0, _STEP_BPS) - _PULL * self._drift_bps
            if self._random.random() < _JUMP_CHANCE and abs(self._drift_bps) < _JUMP_BPS / 4:
                self._drift_bps += self._random.choice((-_JUMP_BPS, _JUMP_BPS))
            now = self._ladders()
            yield DepthUpdate(time_ns, *(_change(old, new) for old, new in zip(before, now, strict=True)))
            before = now
            if self._random.random() < _TAKER_CHANCE:
                yield self._taker(time_ns)
            if frame % _FRAMES_PER_MARK == 0:
                mark_e8 = round(self._mid * 1e8)
                yield MarkUpdate(time_ns, mark_e8, mark_e8, 0)

    @property
    def _mid(self) -> float:
        return self._price * (1 + self._drift_bps * 1e-4)

    def _ladders(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        mid = self._mid
        steps = max(1, round(_LEVEL_QUOTE / mid / self._step))
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        for number in range(_LEVELS):
            away = mid * (number + 0.5) * _LEVEL_BPS * 1e-4
            bids[int((mid - away) / self._tick)] = steps
            asks[int((mid + away) / self._tick) + 1] = steps
        return tuple(bids.items()), tuple(asks.items())

    def _taker(self, time_ns: int) -> TakerUpdate:
        is_buy = self._random.random() < 0.5
        reach = self._mid * self._random.uniform(1, _TAKER_REACH_BPS) * 1e-4
        limit = self._mid + reach if is_buy else self._mid - reach
        steps = max(1, round(self._random.uniform(1, 12) * _LEVEL_QUOTE / self._mid / self._step))
        return TakerUpdate(time_ns, is_buy, steps, int(limit / self._tick))


def _change(before: tuple[Level, ...], now: tuple[Level, ...]) -> tuple[Level, ...]:
    """What leads from the one ladder to the other, what takers took included."""
    kept = dict(now)
    return (*((ticks, 0) for ticks, _ in before if ticks not in kept), *now)

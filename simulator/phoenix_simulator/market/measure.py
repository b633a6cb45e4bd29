"""What a market looks like from outside, in figures: the same for a recording and for a generated market.

`MarketMeter` hears public events (time in ms, ticks, steps) and `figures()` sums them up. Calibration and tests compare
these; nothing at run time needs them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Final

from phoenix_simulator.market.source import Level

_BURST_MS: Final = 50
"""Touch moves closer than this belong to one move of the price."""
_MARKOUTS_MS: Final = (10, 100, 1_000, 5_000)
_BANDS: Final = ((1, 10), (10, 100), (100, 1_000))
_SAMPLE_FRAMES: Final = 20

Touch = tuple[int, int, int, int, int]
"""(time_ms, bid_ticks, bid_steps, ask_ticks, ask_steps)"""


def quantile(values: Sequence[float], probability: float) -> float:
    """Of unsorted values; 0 where there are none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(probability * len(values)))]


class MarketMeter:
    def __init__(self, bids: Sequence[Level], asks: Sequence[Level], frame_ms: int = 0) -> None:
        """`frame_ms`: events of a book that is told change by change are gathered for so long, as the venue's fastest
        depth stream does (about 52 ms); 0 where each event is a frame already.
        """
        self._frame_ms = frame_ms
        self._frame: set[tuple[bool, int]] = set()
        self._frame_from_ms: int | None = None
        self._bids, self._asks = dict(bids), dict(asks)
        self._frames = self._levels = 0
        self._touches: list[Touch] = []
        self._trades: list[tuple[int, int, int, int]] = []
        """(time_ms, sign of the taker, price_ticks, qty_steps)"""
        self._occupancy: dict[tuple[int, int], list[float]] = {band: [] for band in _BANDS}
        self._quantity: dict[tuple[int, int], list[float]] = {band: [] for band in _BANDS}

    # ---- events -------------------------------------------------------------------------------------------------

    def depth(self, time_ms: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        if self._frame_from_ms is not None and time_ms - self._frame_from_ms >= self._frame_ms:
            self._close_frame()
        if self._frame_from_ms is None:
            self._frame_from_ms = time_ms
        for is_bid, book, levels in ((True, self._bids, bids), (False, self._asks, asks)):
            for price, steps in levels:
                self._frame.add((is_bid, price))
                if steps:
                    book[price] = steps
                else:
                    book.pop(price, None)

    def touch(self, time_ms: int, bid: Level, ask: Level) -> None:
        self._touches.append((time_ms, *bid, *ask))

    def trade(self, time_ms: int, price_ticks: int, qty_steps: int, *, buyer_is_maker: bool) -> None:
        self._trades.append((time_ms, -1 if buyer_is_maker else 1, price_ticks, qty_steps))

    def _close_frame(self) -> None:
        self._frames += 1
        self._levels += len(self._frame)
        self._frame.clear()
        self._frame_from_ms = None
        if self._frames % _SAMPLE_FRAMES == 0 and self._touches:
            _, bid, _, ask, _ = self._touches[-1]
            for band in _BANDS:
                quantities = [self._bids.get(bid - distance, 0) for distance in range(*band)]
                quantities += [self._asks.get(ask + distance, 0) for distance in range(*band)]
                self._occupancy[band].append(sum(1 for steps in quantities if steps) / len(quantities))
                self._quantity[band].append(sum(quantities) / len(quantities))

    @property
    def has_moved(self) -> bool:
        """Whether there is enough for figures."""
        return len(self._touches) > 1 and self._touches[-1][0] > self._touches[0][0]

    # ---- figures ------------------------------------------------------------------------------------------------

    def figures(self) -> Mapping[str, float]:
        """Name with unit → value. Distances in ticks, quantities in steps, times as named."""
        if self._frame_from_ms is not None:
            self._close_frame()
        touches = self._touches
        seconds = (touches[-1][0] - touches[0][0]) / 1e3
        return {
            "depth frames /s": self._frames / seconds,
            "levels per depth frame": self._levels / max(1, self._frames),
            "touch updates /s": len(touches) / seconds,
            "prints /s": len(self._trades) / seconds,
            **self._spread_and_size(),
            **self._moves(seconds),
            **self._volatility(),
            **self._flow(seconds),
            **self._ladder(),
        }

    def _spread_and_size(self) -> dict[str, float]:
        at_one = total = 0
        for now, then in pairwise(self._touches):
            total += then[0] - now[0]
            if now[3] - now[1] == 1:
                at_one += then[0] - now[0]
        wide = sum(touch[3] - touch[1] > 1 for touch in self._touches) / len(self._touches)
        sizes = [touch[2] for touch in self._touches] + [touch[4] for touch in self._touches]
        return {
            "spread of 1 tick, % of time": 100 * at_one / max(1, total),
            "spread over 1 tick, % of touch updates": 100 * wide,
            **{f"touch size p{p}, steps": quantile(sizes, p / 100) for p in (25, 50, 75, 95)},
        }

    def _bursts(self) -> list[tuple[int, int, float]]:
        """(first ms, last ms, ticks the mid moved) of each burst of touch moves."""
        bursts: list[tuple[int, int, float]] = []
        for before, after in pairwise(self._touches):
            if (before[1], before[3]) == (after[1], after[3]):
                continue
            ticks = (after[1] + after[3] - before[1] - before[3]) / 2
            if bursts and after[0] - bursts[-1][1] <= _BURST_MS:
                first, _, moved = bursts[-1]
                bursts[-1] = (first, after[0], moved + ticks)
            else:
                bursts.append((after[0], after[0], ticks))
        return bursts

    def _wide_ms(self) -> list[int]:
        """How long each spread of more than a tick stayed open."""
        lasts: list[int] = []
        since_ms: int | None = None
        for touch in self._touches:
            if touch[3] - touch[1] > 1:
                since_ms = touch[0] if since_ms is None else since_ms
            elif since_ms is not None:
                lasts.append(touch[0] - since_ms)
                since_ms = None
        return lasts

    def _moves(self, seconds: float) -> dict[str, float]:
        moves = sum((a[1], a[3]) != (b[1], b[3]) for a, b in pairwise(self._touches))
        bursts = self._bursts()
        sizes = [abs(ticks) for _, _, ticks in bursts]
        rests = [after[0] - before[1] for before, after in pairwise(bursts)]
        lasts = [last - first for first, last, _ in bursts]
        wide = self._wide_ms()
        return {
            "touch price changes /s": moves / seconds,
            "moves (bursts of them) /s": len(bursts) / seconds,
            **{f"move size p{p}, ticks": quantile(sizes, p / 100) for p in (25, 50, 75, 95)},
            **{f"move lasts p{p}, ms": quantile(lasts, p / 100) for p in (50, 75, 95)},
            **{f"spread over 1 tick lasts p{p}, ms": quantile(wide, p / 100) for p in (50, 75, 95)},
            "touch price rests p50, ms": quantile(rests, 0.5),
            "touch price rests p95, ms": quantile(rests, 0.95),
            "touch price rests max, ms": max(rests, default=0),
        }

    def _volatility(self) -> dict[str, float]:
        figures: dict[str, float] = {}
        first, last = self._touches[0][0], self._touches[-1][0]
        for horizon_ms in (100, 1_000, 10_000):
            mids = [self._mid(time_ms) for time_ms in range(first, last, horizon_ms)]
            returns = [1e4 * (then / now - 1) for now, then in pairwise(mids)]
            figures[f"mid over {horizon_ms / 1000:g} s, σ bps"] = pstdev(returns) if len(returns) > 1 else 0.0
        minutes = max(last - first, 1) / 60_000
        figures["mid drifts, bps /min"] = 1e4 * (self._mid(last) / self._mid(first) - 1) / minutes
        return figures

    def _mid(self, time_ms: int) -> float:
        index = max(0, bisect_right(self._touches, time_ms, key=lambda touch: touch[0]) - 1)
        return (self._touches[index][1] + self._touches[index][3]) / 2

    def _orders(self) -> list[tuple[int, int, int, int]]:
        """Prints of one millisecond and side are one order: (time_ms, sign, first price, steps)."""
        orders: list[tuple[int, int, int, int]] = []
        for time_ms, sign, price, steps in self._trades:
            if orders and orders[-1][:2] == (time_ms, sign):
                orders[-1] = (*orders[-1][:3], orders[-1][3] + steps)
            else:
                orders.append((time_ms, sign, price, steps))
        return orders

    def _flow(self, seconds: float) -> dict[str, float]:
        orders = self._orders()
        prints = [trade[3] for trade in self._trades]
        signs = [order[1] for order in orders]
        figures: dict[str, float] = {
            "market orders /s": len(orders) / seconds,
            "market orders that buy, %": 100 * (1 + fmean(signs)) / 2 if signs else 50.0,
            "print size p50, steps": quantile(prints, 0.5),
            "print size p95, steps": quantile(prints, 0.95),
            "order size p50, steps": quantile([order[3] for order in orders], 0.5),
            "order size p95, steps": quantile([order[3] for order in orders], 0.95),
            "volume, steps /s": sum(prints) / seconds,
            "order signs, correlation at lag 1": _correlation(signs, 1),
            "order signs, correlation at lag 10": _correlation(signs, 10),
        }
        for horizon_ms in _MARKOUTS_MS:
            last = self._touches[-1][0] - horizon_ms
            marks = [
                1e4 * sign * (price - self._mid(time_ms + horizon_ms)) / price
                for time_ms, sign, price, _ in orders
                if time_ms <= last
            ]
            figures[f"maker's markout after {horizon_ms} ms, bps"] = fmean(marks) if marks else 0.0
        return figures

    def _ladder(self) -> dict[str, float]:
        figures: dict[str, float] = {}
        for band in _BANDS:
            name = f"{band[0]}…{band[1] - 1} ticks behind the touch"
            if self._occupancy[band]:
                figures[f"prices with liquidity {name}, %"] = 100 * fmean(self._occupancy[band])
                figures[f"quantity per tick {name}, steps"] = fmean(self._quantity[band])
        return figures


def _correlation(signs: Sequence[int], lag: int) -> float:
    """Of a ±1 series with itself, `lag` places on, about its mean."""
    if len(signs) <= lag:
        return 0.0
    mean = fmean(signs)
    return fmean([a * b for a, b in zip(signs, signs[lag:], strict=False)]) - mean * mean

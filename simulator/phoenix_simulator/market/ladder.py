"""The book behind the touch: which ticks hold liquidity, how much, and how it changes from depth frame to depth frame.

Each side is cut into bands by distance from the best price. A change picks a tick of a band: an empty one may gain a
level, a full one loses or resizes it, with probabilities for which the band's measured occupancy is the equilibrium
(at rate p·occupied = a·empty nothing drifts). The ladder keeps no book of its own; it reads the exchange's.
"""

from functools import lru_cache
from itertools import repeat
from random import Random

import msgspec

from phoenix_simulator.market.regimes import Scale
from phoenix_simulator.market.shapes import LADDER, LADDER_END, RESOLUTION, Shape
from phoenix_simulator.market.source import BackgroundView, Level

_MIN_DEPTH_TICKS = 300
"""A symbol with a large tick still has this many prices a side."""
_PICKS = 1024
"""Resolution at which bands are picked: a table costs one lookup where cumulative weights cost a search."""
_TRIMMED_PER_FRAME = 40
"""Ticks beyond the last band that are swept per frame and side once the price has left them behind."""


class _Band(msgspec.Struct, frozen=True):
    start: int
    width: int
    occupancy: float
    add: float
    """Probability that an empty tick, once picked, gains a level."""
    drop: float
    """Probability that a full one, once picked, loses it (otherwise it is resized)."""
    picks: float
    """Ticks picked per depth frame, both sides together."""
    sizes: Shape
    size_scale: float


def _bands(scale: Scale) -> tuple[_Band, ...]:
    """The measured bands in ticks of the symbol. One of its ticks may hold many of the recording's."""
    bands: list[_Band] = []
    carried = 0.0
    ends = [*[row[0] for row in LADDER[1:]], LADDER_END]
    per_tick = max(1.0, 1 / scale.ticks)
    for (start, occupancy, changes, add_share, sizes), end in zip(LADDER, ends, strict=True):
        is_last = end == LADDER_END
        first = bands[-1].start + bands[-1].width if bands else 1
        last = max(round(end * scale.ticks), _MIN_DEPTH_TICKS if is_last else 0)
        carried += changes
        if last <= first or end <= start:
            continue
        occupied = 1 - (1 - occupancy) ** per_tick
        share = min(add_share, 0.5)
        add = min(1.0, share * occupied / ((1 - share) * max(1 - occupied, 1e-9)))
        size_scale = scale.steps * occupancy * per_tick / occupied
        picks = carried / (occupied + (1 - occupied) * add)
        drop = add * (1 - occupied) / occupied
        bands.append(_Band(first, last - first, occupied, add, drop, picks, sizes, size_scale))
        carried = 0.0
    return tuple(bands)


@lru_cache(maxsize=256)
def _steps(sizes: Shape, size_scale: float, liquidity: float) -> tuple[int, ...]:
    """The sizes of a shape in steps of a symbol, equally likely ones. Symbols that are alike share them."""
    return tuple(max(1, round(size * size_scale * liquidity)) for size in sizes.values)


class Ladder:
    def __init__(self, scale: Scale, random: Random) -> None:
        self._random = random
        self._bands = _bands(scale)
        self._picks_per_frame = sum(band.picks for band in self._bands)
        self._depth = self._bands[-1].start + self._bands[-1].width
        self._lowest_bid = self._highest_ask = 0
        self.liquidity = 1.0

    @property
    def liquidity(self) -> float:
        """Multiplies the quantity of what comes from now on."""
        return self._liquidity

    @liquidity.setter
    def liquidity(self, liquidity: float) -> None:
        self._liquidity = liquidity
        self._picked = tuple(
            row
            for band in self._bands
            for row in repeat(
                (band.start, band.width, band.add, band.drop, _steps(band.sizes, band.size_scale, liquidity)),
                max(1, round(_PICKS * band.picks / self._picks_per_frame)),
            )
        )

    def opening(self, bid_ticks: int, ask_ticks: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks behind these best prices (which are not part of it), best first."""
        sides: tuple[list[Level], list[Level]] = ([], [])
        for levels, best, step in ((sides[0], bid_ticks, -1), (sides[1], ask_ticks, 1)):
            for band in self._bands:
                for distance in range(band.start, band.start + band.width):
                    price = best + step * distance
                    if price > 0 and self._random.random() < band.occupancy:
                        levels.append((price, self._size(band)))
        self._lowest_bid = bid_ticks - self._depth
        self._highest_ask = ask_ticks + self._depth
        return sides

    def next_size(self) -> int:
        """What a price keeps right behind a new best one, once the rest of its queue has followed or left."""
        return self._size(self._bands[0])

    def churn(
        self, view: BackgroundView, bid_ticks: int, ask_ticks: int, scale: float
    ) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """One frame's changes behind the touch: (bids, asks), each price at most once. `scale` multiplies how many.

        Some hundred picks a frame are most of what a market costs: `_size` and `Shape.draw` are written out, and one
        draw serves for a whole pick. What is left of it once the band is chosen is as even a draw for the side, what is
        left of that for the tick, for whether it changes, and for the size (of 53 bits some 40 are used).
        """
        random, picked = self._random.random, self._picked
        bid_at, ask_at = view.lookup(is_bid=True), view.lookup(is_bid=False)
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        choices, resolution = len(picked), RESOLUTION
        mean = self._picks_per_frame * scale
        for _ in range(int(mean * (0.6 + 0.8 * random()) + random())):
            draw = random() * choices
            start, width, add, drop, sizes = picked[choice := int(draw)]
            draw = (draw - choice) * 2
            if draw < 1:
                draw *= width
                price, changed = bid_ticks - start - (distance := int(draw)), bids
                if price <= 0 or price in bids:
                    continue
                is_full = bid_at(price)
            else:
                draw = (draw - 1) * width
                price, changed = ask_ticks + start + (distance := int(draw)), asks
                if price in asks:
                    continue
                is_full = ask_at(-price)
            draw -= distance
            if is_full:
                if draw < drop:
                    changed[price] = 0
                    continue
                draw = (draw - drop) / (1 - drop)
            elif draw < add:
                draw /= add
            else:
                continue
            changed[price] = sizes[int(draw * resolution)]
        if self._lowest_bid != bid_ticks - self._depth or self._highest_ask != ask_ticks + self._depth:
            self._trim(view, bid_ticks, ask_ticks, bids, asks)
        return tuple(bids.items()), tuple(asks.items())

    def _size(self, band: _Band) -> int:
        return max(1, round(band.sizes.draw(self._random) * band.size_scale * self._liquidity))

    def _trim(
        self, view: BackgroundView, bid_ticks: int, ask_ticks: int, bids: dict[int, int], asks: dict[int, int]
    ) -> None:
        """What lies beyond the last band was placed when the price was elsewhere: without this the book would grow
        with every price ever visited.
        """
        limit = bid_ticks - self._depth
        for price in range(self._lowest_bid, min(limit, self._lowest_bid + _TRIMMED_PER_FRAME)):
            if price > 0 and view.quantity(is_bid=True, price_ticks=price):
                bids[price] = 0
        self._lowest_bid = min(limit, self._lowest_bid + _TRIMMED_PER_FRAME)
        limit = ask_ticks + self._depth
        for price in range(self._highest_ask, max(limit, self._highest_ask - _TRIMMED_PER_FRAME), -1):
            if view.quantity(is_bid=False, price_ticks=price):
                asks[price] = 0
        self._highest_ask = max(limit, self._highest_ask - _TRIMMED_PER_FRAME)

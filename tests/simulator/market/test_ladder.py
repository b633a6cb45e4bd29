from copy import deepcopy

import pytest
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.ladder import Ladder
from phoenix_simulator.market.regimes import scale_of
from phoenix_simulator.market.shapes import RESOLUTION

BID, ASK = 618_000, 618_001


class Levels:
    """The background of a book as far as the ladder asks."""

    def __init__(self, bids, asks):
        self.bids, self.asks = dict(bids), dict(asks)

    def quantity(self, *, is_bid, price_ticks):
        return (self.bids if is_bid else self.asks).get(price_ticks, 0)

    def lookup(self, *, is_bid):
        return self.bids.get if is_bid else lambda negated: self.asks.get(-negated)

    def apply(self, bids, asks):
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, steps in levels:
                if steps:
                    side[price] = steps
                else:
                    del side[price]

    def occupied(self, first, last):
        """Share of the ticks of a band, both sides."""
        full = sum((BID - d in self.bids) + (ASK + d in self.asks) for d in range(first, last))
        return full / (2 * (last - first))


@pytest.fixture(params=["BTCUSDT", "ETHUSDT", "SOLUSDC"])
def ladder(request, random):
    return Ladder(scale_of(BUILT_IN[request.param]), random)


def test_changes_stay_behind_the_touch_and_name_each_price_once(ladder):
    levels = Levels(*ladder.opening(BID, ASK))
    for _ in range(200):
        bids, asks = ladder.churn(levels, BID, ASK, 1.0)
        assert all(0 < price < BID and steps >= 0 for price, steps in bids)
        assert all(price > ASK and steps >= 0 for price, steps in asks)
        assert len(dict(bids)) == len(bids)
        assert len(dict(asks)) == len(asks)
        levels.apply(bids, asks)


def test_a_resting_price_keeps_the_measured_occupancy(ladder):
    levels = Levels(*ladder.opening(BID, ASK))
    at_first = [levels.occupied(*band) for band in ((1, 50), (50, 200), (200, 300))]
    for _ in range(1500):
        levels.apply(*ladder.churn(levels, BID, ASK, 1.0))
    assert [levels.occupied(*band) for band in ((1, 50), (50, 200), (200, 300))] == pytest.approx(at_first, abs=0.15)


def test_what_the_price_left_behind_is_cleared(ladder):
    levels = Levels(*ladder.opening(BID, ASK))
    lowest = min(levels.bids)
    # A shift by far more than the ladder is deep: nothing that was placed at first may remain below its end.
    shift = 30_000
    for _ in range(1500):
        levels.apply(*ladder.churn(levels, BID + shift, ASK + shift, 1.0))
    assert min(levels.bids) > lowest + shift // 2


def test_more_changes_are_made_where_more_are_asked_for(ladder):
    levels = Levels(*ladder.opening(BID, ASK))
    few = sum(len(side) for _ in range(100) for side in ladder.churn(levels, BID, ASK, 0.2))
    many = sum(len(side) for _ in range(100) for side in ladder.churn(levels, BID, ASK, 1.0))
    assert 2 * few < many


def test_prices_below_zero_are_never_quoted(random):
    ladder = Ladder(scale_of(BUILT_IN["BTCUSDT"]), random)
    bids, _ = ladder.opening(50, 51)
    assert bids
    assert all(price > 0 for price, _ in bids)


class Draw:
    """One draw that decides several things in turn: what is left of it after each is as even as it was."""

    def __init__(self, random):
        self.rest = random.random()

    def choose(self, count):
        self.rest *= count
        chosen = int(self.rest)
        self.rest -= chosen
        return chosen

    def says(self, share):
        yes = self.rest < share
        self.rest = self.rest / share if yes else (self.rest - share) / (1 - share)
        return yes


def test_what_is_written_out_for_speed_draws_as_the_plain_rule(random):
    """The same seed keeps giving the same market: a choice of band, of side, of price, then what becomes of it."""
    scale = scale_of(BUILT_IN["ETHUSDT"])
    same = deepcopy(random)
    ladder, twin = Ladder(scale, random), Ladder(scale, same)
    ladder.liquidity = twin.liquidity = 0.1
    levels = Levels(*ladder.opening(BID, ASK))
    twin.opening(BID, ASK)
    bands = {(band.start, band.width): band for band in twin._bands}
    for _ in range(100):
        sides = {}, {}
        for _ in range(int(twin._picks_per_frame * (0.6 + 0.8 * same.random()) + same.random())):
            draw = Draw(same)
            band = bands[twin._picked[draw.choose(len(twin._picked))][:2]]
            is_bid = draw.choose(2) == 0
            distance = band.start + draw.choose(band.width)
            price, side = (BID - distance, sides[0]) if is_bid else (ASK + distance, sides[1])
            if price in side:
                continue
            if levels.quantity(is_bid=is_bid, price_ticks=price):
                is_there, changes = not draw.says(band.drop), True
            else:
                is_there = changes = draw.says(band.add)
            if is_there:
                size = band.sizes.values[draw.choose(RESOLUTION)]
                side[price] = max(1, round(size * band.size_scale * 0.1))
            elif changes:
                side[price] = 0
        changed = ladder.churn(levels, BID, ASK, 1.0)
        assert changed == tuple(tuple(side.items()) for side in sides)
        levels.apply(*changed)

import pytest
from phoenix_simulator.exchange import adl
from phoenix_simulator.exchange.orders import PositionSide, Side

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def crowd(open_venue):
    """Five accounts with the same long position, each at a higher leverage than the one before."""
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    for leverage, name in enumerate(NAMES, start=1):
        venue.account(name)
        venue.exchange.set_leverage(name, "BTCUSDT", leverage * 10, venue.now)
        venue.market(Side.BUY, "0.010", name)
    return venue


def quantiles(venue):
    accounts = venue.exchange.accounts
    return [
        adl.quantile(accounts.values(), venue.holding(name), PositionSide.BOTH, venue.listing.mark_e8)
        for name in accounts
    ]


def test_among_winners_the_highest_leverage_is_next(crowd):
    crowd.mark("61000")
    assert quantiles(crowd) == [0, 1, 2, 3, 4]


def test_among_losers_leverage_does_not_count(crowd):
    crowd.mark("59000")
    assert quantiles(crowd) == [0] * 5


def test_the_other_direction_is_a_queue_of_its_own(crowd):
    crowd.account("short")
    crowd.market(Side.SELL, "0.010", "short")
    crowd.mark("61000")
    assert quantiles(crowd) == [0, 1, 2, 3, 4, 0]


def test_without_a_position_nobody_stands_in_the_queue(crowd):
    crowd.mark("61000")
    crowd.market(Side.SELL, "0.010", "e")
    assert quantiles(crowd) == [0, 1, 2, 3, 0]

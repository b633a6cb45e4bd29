"""Money as the exchange books it, in exact integers."""

import pytest
from phoenix_worker.core.events import Fill, Side
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.pnl import Pnl, unrealised
from samples import BTCUSDT


def fill(side=Side.BUY, qty=5, commission=100, asset="USDT", realised=0):
    return Fill(1, 1, side, 600_000, qty, commission, asset, realised, True, 0)


def test_fills_add_up():
    pnl = Pnl()
    pnl.on_fill(fill(), BTCUSDT)
    pnl.on_fill(fill(Side.SELL, 3, 50, realised=700), BTCUSDT)
    assert (pnl.fills, pnl.bought_steps, pnl.sold_steps) == (2, 5, 3)
    assert (pnl.realised, pnl.fees) == (700, 150)
    assert pnl.volume == 8 * 60 * MONEY


def test_fees_in_another_asset_are_kept_apart():
    pnl = Pnl()
    for commission in (7, 0, 5):
        pnl.on_fill(fill(commission=commission, asset="BNB"), BTCUSDT)
    assert (pnl.fees, pnl.other_fees) == (0, {"BNB": 12})


@pytest.mark.parametrize(
    ("steps", "entry", "mark", "money"),
    [
        (10, 60_000.0, 60_100.0, MONEY),
        (-10, 60_000.0, 60_100.0, -MONEY),
        (0, 60_000.0, 60_100.0, 0),
        (10, 60_000.0, 0.0, 0),
        (10, 0.0, 60_000.0, 0),
    ],
    ids=["long gains", "short loses", "flat", "mark unknown", "entry unknown"],
)
def test_unrealised_is_the_position_times_how_far_the_mark_has_moved(steps, entry, mark, money):
    assert unrealised(steps, entry, mark, BTCUSDT) == money

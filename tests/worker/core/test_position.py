"""The position, told by fills and by the account, and up to which trade everything is accounted for."""

from phoenix_worker.core import events as ev
from phoenix_worker.core.orders import OrderBook
from phoenix_worker.core.position import Position
from phoenix_worker.core.reconcile import agrees


def _fill(trade_id: int, side: ev.Side, steps: int = 5) -> ev.Fill:
    return ev.Fill(trade_id, 1, side, 600_000, steps, 0, "USDT", 0, True, 1)


def test_two_missed_fills_that_cancel_out_are_a_difference() -> None:
    """The position agrees, but not the money."""
    truth = ev.Truth(1, 1, fills=[_fill(8, ev.Side.BUY), _fill(9, ev.Side.SELL)], last_trade_id=9)
    assert "trades [8, 9]" in agrees(truth, Position(), OrderBook())


def test_a_comparison_that_agrees_moves_the_mark_from_which_trades_are_read() -> None:
    """Otherwise each comparison would read all trades since the last reconnect."""
    position = Position()
    position.on_fill(_fill(8, ev.Side.BUY), 60_000.0, 1)
    position.on_fill(_fill(11, ev.Side.BUY), 60_000.0, 1)
    position.account_for(9)
    assert position.last_trade_id == 9
    assert not position.is_new(8)
    assert not position.is_new(11)
    assert position.is_new(10)


def test_an_older_comparison_moves_nothing_back() -> None:
    position = Position(last_trade_id=9)
    position.account_for(3)
    assert position.last_trade_id == 9

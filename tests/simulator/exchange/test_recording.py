"""The fill model on a minute of a real market: what every queue model must agree on."""

import os
from itertools import takewhile
from pathlib import Path

import pytest
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.events import DepthChanged, MarkChanged, OrderUpdated, TouchChanged, TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import ExecutionType, NewOrder, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.replay import ReplaySource

SPEC = BUILT_IN["BTCUSDT"]
START_MS = 1_760_000_000_000
MINUTE_NS = 60_000_000_000
RECORDING = Path(
    os.environ.get("PHOENIX_CAPTURE")
    or Path(__file__).resolve().parents[4] / "shared/data/binance-usdm/btcusdt_20240808.gz"
)


@pytest.fixture(scope="module")
def minute():
    """(MarketStart, the updates of the recording's first minute)."""
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not here (PHOENIX_CAPTURE names another place)")
    source = ReplaySource([RECORDING])
    exchange = Exchange()
    exchange.list_symbol(SPEC, source.start(), START_MS)
    updates = source.updates(exchange.background(SPEC.symbol))
    return source.start(), list(takewhile(lambda update: update.time_ns < MINUTE_NS, updates))


def play(minute, *, model=QueueModel.PESSIMISTIC, quote_at_s=()):
    """Replays the minute; at each of these seconds another account joins the touch on both sides with one step."""
    start, updates = minute
    exchange = Exchange(ExchangeSettings(queue_model=model))
    events = []
    exchange.listeners.append(events.append)
    exchange.list_symbol(SPEC, start, START_MS)
    pending = list(quote_at_s)
    for update in updates:
        now_ms = START_MS + update.time_ns // 1_000_000
        while pending and update.time_ns >= pending[0] * 1_000_000_000:
            account_id = f"at {pending.pop(0)} s"
            exchange.open_account(account_id, {"USDT": 1_000 * E8}, now_ms)
            touch = exchange.listing(SPEC.symbol).touch
            for side, ticks in ((Side.BUY, touch.bid_ticks), (Side.SELL, touch.ask_ticks)):
                request = NewOrder(
                    symbol=SPEC.symbol,
                    side=side,
                    type=OrderType.LIMIT,
                    quantity=SPEC.step_size,
                    price=SPEC.price_to_decimal(ticks),
                    time_in_force=TimeInForce.GTX,
                )
                exchange.place(account_id, request, now_ms)
        exchange.apply(SPEC.symbol, update, now_ms)
    return exchange, events


def fill_times(minute, model, at_s):
    _, events = play(minute, model=model, quote_at_s=[at_s])
    return {
        event.order.side: event.time_ms
        for event in events
        if isinstance(event, OrderUpdated) and event.execution is ExecutionType.TRADE
    }


@pytest.mark.parametrize("at_s", [1, 15, 30])
def test_a_worse_queue_model_never_fills_earlier(minute, at_s):
    best, middle, worst = (
        fill_times(minute, model, at_s)
        for model in (QueueModel.OPTIMISTIC, QueueModel.PROPORTIONAL, QueueModel.PESSIMISTIC)
    )
    assert best, "a minute of this market reaches its touch"
    assert worst.keys() <= middle.keys() <= best.keys()
    assert all(best[side] <= middle[side] for side in middle)
    assert all(middle[side] <= worst[side] for side in worst)


def test_accounts_change_nothing_that_the_public_hears(minute):
    public = (DepthChanged, TouchChanged, TradePrinted, MarkChanged)
    _, quiet = play(minute)
    _, busy = play(minute, quote_at_s=range(1, 50, 7))
    assert [event for event in busy if isinstance(event, public)] == quiet


def test_every_fill_is_at_the_quoted_price_as_maker(minute):
    exchange, _ = play(minute, quote_at_s=range(1, 50, 7))
    fills = [fill for account_id in exchange.accounts for fill in exchange.fills(account_id, SPEC.symbol)]
    assert len(fills) > 5
    for account_id, account in exchange.accounts.items():
        for fill in exchange.fills(account_id, SPEC.symbol):
            assert fill.is_maker
            order = account.holdings[SPEC.symbol].closed[fill.order_id]
            assert fill.price_ticks == order.price_ticks
    assert len({fill.trade_id for fill in fills}) == len(fills)

"""Getting out: slices, the limit that follows a refused market order, and the cool-down."""

import msgspec
import pytest
from phoenix_worker.core.actions import Purpose, TimeInForce
from phoenix_worker.core.events import Side
from phoenix_worker.core.liquidation import RETRY_NS, Liquidation
from samples import BTCUSDT, GUARDS, SECOND


def slice_of(task, position=100, ratio=1.0, instrument=BTCUSDT, touch=(600_000, 600_001), mark=600_000.0):
    return task.next_slice("id", position, ratio, instrument, touch, mark)


@pytest.mark.parametrize(
    ("position", "ratio", "side", "qty"),
    [
        (100, 1.0, Side.SELL, 100),
        (-100, 1.0, Side.BUY, 100),
        (100, 0.5, Side.SELL, 50),
        (101, 0.5, Side.SELL, 51),
        (1, 0.5, Side.SELL, 1),
    ],
    ids=["long", "short", "half", "rounded up", "the last step"],
)
def test_a_slice_is_a_reduce_only_market_order(position, ratio, side, qty):
    order = slice_of(Liquidation(), position, ratio)
    assert (order.side, order.qty_steps, order.price_ticks, order.reduce_only) == (side, qty, 0, True)
    assert (order.purpose, order.time_in_force, order.layer) == (Purpose.LIQUIDATE, TimeInForce.IMMEDIATE, -1)


def test_a_slice_fits_the_market_lot_size():
    instrument = msgspec.structs.replace(BTCUSDT, market_min_steps=10, market_max_steps=40)
    assert slice_of(Liquidation(), 100, 1.0, instrument).qty_steps == 40
    assert slice_of(Liquidation(), 100, 0.01, instrument).qty_steps == 10
    assert slice_of(Liquidation(), 5, 1.0, instrument).qty_steps == 5, "never more than is held"


def test_nothing_is_left_to_close_or_one_is_alive():
    task = Liquidation()
    assert slice_of(task, 0) is None
    task.sent("first", 5, 30)
    assert slice_of(task) is None
    assert task.orders == 1
    task.ended("another")
    assert slice_of(task) is None
    task.ended("first")
    assert slice_of(task) is not None


def test_after_a_refusal_a_limit_goes_out_after_a_breath():
    task = Liquidation()
    task.sent("first", 5, 30)
    task.refused("another", 5, judged=True)
    assert task.order_id == "first"
    task.refused("first", 5, judged=True)
    assert (task.order_id, task.market_refused, task.not_before_ns) == ("", True, 5 + RETRY_NS)
    assert slice_of(task).price_ticks > 0


@pytest.mark.parametrize(
    ("position", "touch", "mark", "price"),
    [
        (100, (600_000, 600_001), 600_000.0, 597_001),
        (-100, (600_000, 600_001), 600_000.0, 603_001),
        (100, (600_000, 600_001), 630_000.0, 598_501),
        (-100, (600_000, 600_001), 573_000.0, 601_650),
        (100, (600_000, 600_001), 0.0, 597_001),
        (-100, (600_000, 600_001), 0.0, 603_001),
    ],
    ids=["sell", "buy", "sell above the band", "buy below the band", "sell, mark unknown", "buy, mark unknown"],
)
def test_the_limit_reaches_through_the_touch_but_not_beyond_the_band(position, touch, mark, price):
    order = slice_of(Liquidation(market_refused=True), position, touch=touch, mark=mark)
    assert order.price_ticks == price


def test_a_limit_fits_the_lot_size_of_limits():
    instrument = msgspec.structs.replace(BTCUSDT, market_max_steps=40, min_qty_steps=10, max_qty_steps=90)
    assert slice_of(Liquidation(market_refused=True), 100, 1.0, instrument).qty_steps == 90
    assert slice_of(Liquidation(market_refused=True), 100, 0.01, instrument).qty_steps == 10
    assert slice_of(Liquidation(market_refused=True), 5, 1.0, instrument).qty_steps == 5, "never more than is held"


@pytest.mark.parametrize(
    "touch",
    [(0, 0), (0, 600_001), (600_000, 0), (600_001, 600_000), (600_000, 600_000)],
    ids=["no touch", "no bid", "no ask", "crossed", "locked"],
)
@pytest.mark.parametrize(
    ("position", "mark", "price"),
    [(100, 600_500.5, 597_498), (-100, 600_500.5, 603_502), (100, 0.0, 0), (-100, 0.0, 0)],
    ids=["sell", "buy", "sell, mark unknown", "buy, mark unknown"],
)
def test_without_a_book_the_limit_reaches_through_the_mark_and_without_that_a_market_order_is_tried_again(
    touch, position, mark, price
):
    order = slice_of(Liquidation(market_refused=True), position, touch=touch, mark=mark)
    assert (order.price_ticks, order.reduce_only, order.qty_steps) == (price, True, 100)


def test_the_limit_stays_inside_the_price_filter():
    narrow = msgspec.structs.replace(BTCUSDT, min_price_ticks=599_000, max_price_ticks=601_000)
    assert slice_of(Liquidation(market_refused=True), 100, instrument=narrow).price_ticks == 599_000
    assert slice_of(Liquidation(market_refused=True), -100, instrument=narrow).price_ticks == 601_000


def test_leaving_waits_for_the_emergency_orders_end_and_starts_the_cooldown():
    task = Liquidation()
    task.judge(True, 10, GUARDS)
    assert (task.active, task.since_ns) == (True, 10)
    task.judge(True, 20, GUARDS)
    assert task.since_ns == 10
    task.sent("first", 5, 30)
    task.judge(False, 30, GUARDS)
    assert task.active
    task.ended("first")
    task.judge(False, 40, GUARDS)
    assert not task.active
    assert task.cooling(40 + 60 * SECOND - 1)
    assert not task.cooling(40 + 60 * SECOND)


def test_the_next_liquidation_begins_with_a_market_order_again():
    task = Liquidation(active=True, market_refused=True)
    task.judge(False, 0, GUARDS)
    task.judge(True, 1, GUARDS)
    assert slice_of(task).price_ticks == 0


def test_an_emergency_order_that_nobody_judged_is_tried_again_as_it_was():
    task = Liquidation(active=True)
    task.sent("first", 5, 30)
    task.refused("first", 5, judged=False)
    assert (task.order_id, task.market_refused, task.not_before_ns) == ("", False, 5 + RETRY_NS)


@pytest.mark.parametrize(
    ("position", "after_ns", "waits"),
    [(30, 1, True), (30, RETRY_NS - 1, True), (30, RETRY_NS, False), (20, 1, False)],
    ids=["it got nothing", "not yet", "after a breath", "it got something"],
)
def test_an_order_that_moved_nothing_is_followed_after_a_breath(position, after_ns, waits):
    """In a market without anybody a storm of orders finds no more than one."""
    task = Liquidation()
    task.sent("first", 5, 30)
    assert task.waits(6, position), "while it is alive"
    task.ended("first")
    assert task.waits(5 + after_ns, position) is waits


def test_after_a_refusal_the_next_order_waits_for_the_breath_whatever_the_position_is():
    task = Liquidation()
    task.sent("first", 5, 30)
    task.refused("first", 10, judged=True)
    assert task.waits(10 + RETRY_NS - 1, 20)
    assert not task.waits(10 + RETRY_NS, 20)


def test_what_the_exchange_has_judged_stays_so_when_a_later_order_reaches_nobody():
    task = Liquidation(active=True)
    task.sent("first", 5, 30)
    task.refused("first", 5, judged=True)
    task.sent("second", 6, 30)
    task.refused("second", 6, judged=False)
    assert slice_of(task).price_ticks > 0, "as a limit still"


@pytest.mark.parametrize(("own", "told"), [(30, 20), (20, 30)], ids=["shorter than our own", "longer"])
def test_a_cool_down_that_somebody_else_began_never_shortens_our_own(own, told):
    task = Liquidation(cooldown_until_ns=own)
    task.cool_until(told)
    assert task.cooling(29)
    assert not task.cooling(30)

"""What stands: the one picture of our orders that a decision is made from."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from phoenix_worker.core.orders import Life, OrderBook, OwnOrder
from phoenix_worker.core.standing import standing

L = Life


def own(client_id="a", side=Side.BUY, layer=0, **fields):
    order = OwnOrder(client_id, side, layer, Purpose.QUOTE, False, 100, 10, 0)
    return msgspec.structs.replace(order, **{"life": L.OPEN, **fields})


def of(*orders):
    book = OrderBook()
    for order in orders:
        book.add(order)
    return standing(book)


@pytest.mark.parametrize(
    ("life", "layer", "stuck", "busy"),
    [
        (L.OPEN, 0, 0, 0),
        (L.SENT, 0, 0, 10),
        (L.AMENDING, 0, 0, 10),
        (L.UNKNOWN, 0, 0, 10),
        (L.CANCELLING, 0, 10, 0),
        (L.OPEN, -1, 10, 0),
        (L.UNKNOWN, -1, 10, 0),
    ],
)
def test_an_order_is_planned_anew_or_planned_around_or_stuck(life, layer, stuck, busy):
    stands = of(own(life=life, layer=layer))
    assert stands.stuck == {Side.BUY: stuck, Side.SELL: 0}
    assert sum(stands.busy.values()) == busy


def test_what_was_executed_unseen_is_stuck_and_no_longer_live():
    stands = of(own(life=L.CLOSED, executed_steps=7, filled_steps=4))
    assert (stands.buy_exposure, stands.stuck[Side.BUY], stands.live) == (3, 3, 0)


def test_the_older_of_two_orders_keeps_the_slot():
    stands = of(own("old"), own("new"))
    assert stands.slots[Side.BUY, 0].client_id == "old"
    assert [order.client_id for order in stands.surplus] == ["new"]


def test_two_orders_in_flight_in_one_slot_count_both():
    assert of(own("a", life=L.AMENDING), own("b", life=L.UNKNOWN)).busy == {(Side.BUY, 0): 20}


def test_orders_of_an_older_token_stand_in_no_slot():
    book = OrderBook()
    book.add(own())
    book.disown()
    stands = standing(book)
    assert stands.slots == {}
    assert len(stands.surplus) == 1


def test_an_emergency_order_is_neither_a_quote_nor_surplus():
    stands = of(own(purpose=Purpose.LIQUIDATE, layer=-1))
    assert (stands.slots, stands.surplus, stands.live) == ({}, [], 1)


@pytest.mark.parametrize(
    ("orders", "highest_buy", "lowest_sell"),
    [
        ([], 0, 0),
        ([own("a", price_ticks=90), own("b", price_ticks=95)], 95, 0),
        ([own("a", Side.SELL, price_ticks=105), own("b", Side.SELL, price_ticks=103)], 0, 103),
        ([own("a", Side.SELL, price_ticks=103), own("b", Side.SELL, price_ticks=105)], 0, 103),
        ([own("a", Side.SELL, price_ticks=103), own("b", Side.SELL, price_ticks=0)], 0, 103),
        ([own("a", price_ticks=90, pending_price=97, life=L.AMENDING)], 97, 0),
        ([own("a", Side.SELL, price_ticks=105, pending_price=103, life=L.AMENDING)], 0, 103),
        ([own("a", Side.SELL, price_ticks=103, pending_price=105, life=L.AMENDING)], 0, 103),
        ([own("a", Side.SELL, price_ticks=0)], 0, 0),
        ([own("a", price_ticks=99, life=L.CLOSED)], 0, 0),
        ([own("a", price_ticks=99, life=L.CANCELLING)], 99, 0),
    ],
    ids=[
        "nothing",
        "highest of the buys",
        "lowest of the sells",
        "which came first",
        "a market order beside it has none",
        "a buy that moves up",
        "a sell that moves down",
        "a sell that moves up still stands where it was",
        "a market order has no price",
        "closed",
        "until the cancel is confirmed it rests",
    ],
)
def test_own_prices_are_the_worst_that_may_rest(orders, highest_buy, lowest_sell):
    stands = of(*orders)
    assert (stands.highest_buy, stands.lowest_sell) == (highest_buy, lowest_sell)


ORDERS = st.lists(
    st.builds(
        own,
        st.uuids().map(str),
        st.sampled_from(Side),
        st.integers(-1, 3),
        life=st.sampled_from(Life),
        qty_steps=st.integers(1, 50),
        pending_qty=st.integers(0, 50),
    ),
    max_size=12,
)


@given(ORDERS)
def test_every_order_is_told_once_and_no_exposure_is_lost(orders):
    stands = of(*orders)
    book = OrderBook({order.client_id: order for order in orders})
    assert (stands.buy_exposure, stands.sell_exposure) == (book.exposure(Side.BUY), book.exposure(Side.SELL))
    assert stands.live == len(book.live())
    resting = [order for order in orders if order.life is L.OPEN]
    assert sorted(o.client_id for o in [*stands.slots.values(), *stands.surplus]) == sorted(
        o.client_id for o in resting
    )
    planned_anew = sum(order.exposure_steps for order in resting if order.layer >= 0)
    everything = sum(stands.stuck.values()) + sum(stands.busy.values()) + planned_anew
    assert everything == stands.buy_exposure + stands.sell_exposure

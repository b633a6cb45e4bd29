"""The whole engine at its limits: pin, block, flatten, liquidate, the emergency's flatten, and the cool-down."""

import pytest
from core_world import World, of_kind, sent
from model_exchange import refused
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose, TimeInForce
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side, Stream
from phoenix_worker.core.inventory import Mode
from samples import MAKER, changed


def holding(steps, parameters=MAKER, **world):
    world = World(parameters, **world)
    world.hold(steps)
    world.start()
    world.wait(1.0)
    return world


def emergency_orders(actions):
    return [
        place.approved.order
        for place in of_kind(actions, ac.Place)
        if place.approved.order.purpose is Purpose.LIQUIDATE
    ]


@pytest.mark.parametrize(("steps", "side"), [(75, Side.SELL), (-75, Side.BUY)], ids=["long", "short"])
def test_pinning_quotes_the_reducing_side_alone_at_the_touch(steps, side):
    world = holding(steps)
    assert world.engine.view().mode is Mode.PIN
    assert world.purposes() == {"PIN"}
    assert {order.side for order in world.ours()} == {side}
    assert all(order.reduce_only for order in world.ours())
    assert world.ours()[0].price == (world.exchange.ask if side is Side.SELL else world.exchange.bid)


def test_pinned_quotes_follow_the_touch():
    world = holding(75)
    world.market(600_030)
    world.wait(0.5)
    assert world.ours()[0].price == 600_031


def test_a_guard_lets_go_only_its_hysteresis_below_where_it_engaged():
    world = holding(70)
    assert world.engine.view().mode is Mode.PIN
    world.fill(world.ours(Side.SELL)[0], 2)
    world.wait(0.5)
    assert world.engine.view().mode is Mode.PIN, "0.68"
    world.fill(world.ours(Side.SELL)[0], 2)
    world.wait(0.5)
    assert world.engine.view().mode is Mode.NORMAL, "0.66"
    world.wait(1.0)
    assert world.ours(Side.BUY)


def test_block_quotes_nothing_that_increases():
    world = holding(96)
    assert world.engine.view().mode is Mode.BLOCK
    assert {order.side for order in world.ours()} == {Side.SELL}


def test_flatten_quotes_two_reducing_layers_with_widened_profit():
    world = holding(-103, changed(MAKER, inventory_skew_bps=1.0))
    assert world.engine.view().mode is Mode.FLATTEN
    assert world.purposes() == {"FLATTEN"}
    assert len(world.ours()) == 2
    # short by 103 of 100: the reservation price leans up by 1.03 bps; h is 2.5 bps, 2 bps wider
    assert world.ours()[0].price == pytest.approx(600_000.5 * (1 + 1.03e-4) * (1 - 4.5e-4), abs=2)


def test_liquidate_withdraws_the_quotes_and_closes_the_position_with_one_market_order():
    world = holding(112)
    orders = emergency_orders(world.done)
    assert [(order.side, order.qty_steps, order.price_ticks) for order in orders] == [(Side.SELL, 112, 0)]
    assert orders[0].reduce_only
    assert world.exchange.position == 0
    assert world.engine.view().liquidations == 1


def test_after_an_emergency_order_nothing_increases_until_the_cooldown_is_over():
    world = holding(112)
    assert world.engine.view().reasons == [Reason.COOLDOWN]
    assert world.ours() == []
    world.wait(58.0)
    assert world.ours() == []
    world.wait(3.0)
    assert len(world.ours()) == 10


def test_the_quotes_are_gone_before_the_emergency_order_goes_out():
    world = holding(100, changed(MAKER, flatten_ratio=1.05, liquidate_ratio=1.08, block_ratio=1.01))
    world.automatic = False
    world.exchange.position = 112
    world.tell(ev.PositionReport(0, world.exchange_ms, world.exchange_ms, 112, 60_000.0, "ORDER"))
    fill = ev.Fill(900, 1, Side.BUY, 600_000, 12, 0, "USDT", 0, True, world.exchange_ms)
    order = ev.OpenOrder("web", 1, Side.BUY, 600_000, 12, 12, False, ev.OrderState.FILLED, world.exchange_ms)
    actions = world.tell(ev.OrderReport(0, world.exchange_ms, world.exchange_ms, ev.Execution.TRADE, order, fill))
    actions += world.tick(6)
    assert of_kind(actions, ac.Cancel)
    assert emergency_orders(actions) == []
    actions = world.tick(10)
    assert len(emergency_orders(actions)) == 1, "after half a second it goes out in any case"


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, [112]), (0.5, [56])], ids=["all at once", "half"])
def test_a_slice_is_its_share_of_the_position(ratio, expected):
    world = holding(112, changed(MAKER, emergency_slice=ratio))
    assert [order.qty_steps for order in emergency_orders(world.done)] == expected


def test_what_expires_unfilled_is_the_next_slice():
    world = World()
    world.hold(160)
    world.exchange.taker_share = 0.2
    world.start()
    world.wait(2.0)
    sizes = [order.qty_steps for order in emergency_orders(world.done)]
    assert sizes == [160, 128], "103 are left, below the guard"


def test_a_refused_market_order_is_followed_by_a_limit_inside_the_band():
    world = World()
    world.hold(112)
    world.exchange.refuse = {Request.PLACE: [(Refusal.OTHER, -4131)]}
    world.start()
    world.wait(0.5)
    assert len(emergency_orders(world.done)) == 1, "a breath first"
    world.wait(2.0)
    market, limit = emergency_orders(world.done)
    assert market.price_ticks == 0
    assert limit.time_in_force is TimeInForce.IMMEDIATE
    assert 0.95 * 600_000 < limit.price_ticks < 600_000
    assert world.exchange.position == 0


def test_one_emergency_order_at_a_time_also_while_its_end_is_unknown():
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    world.lose_answer(0, executed=False)
    mark = len(world.done)
    world.wait(2.0)
    assert emergency_orders(world.since(mark)) == []
    world.hold_requests = False
    world.wait(4.0)
    assert world.exchange.position == 0
    assert len(emergency_orders(world.done)) == 2


def test_a_fill_that_is_acknowledged_but_not_yet_told_is_not_closed_twice():
    world = World(changed(MAKER, emergency_slice=0.5))
    world.hold(-160)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    world.automatic = False
    answer = world.exchange.execute(world.exchange.requests[0])
    world.tell(answer)  # the stream has not told the fill
    actions = world.tick(8)
    sizes = [order.qty_steps for order in emergency_orders(actions)]
    assert all(size <= 40 for size in sizes), f"80 of 160 are closed; half of what is left is 40, not {sizes}"


def test_a_duplicate_emergency_order_counts_as_alive():
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    order = emergency_orders(world.done)[0]
    world.exchange.taker_share = 0.0
    world.exchange.execute(world.exchange.requests[0])
    world.exchange.stream.clear()
    world.automatic = False
    world.tell(refused(Request.PLACE, order.client_id, Refusal.DUPLICATE, -4116))
    world.wait(0.5)
    assert len(emergency_orders(world.done)) == 1


def test_a_loss_beyond_its_share_of_the_notional_liquidates():
    world = holding(20)
    world.tell(ev.Mark(0, world.exchange_ms, 57_500.0, 0.0, 0.0, 0))
    world.wait(0.5)
    assert emergency_orders(world.done) == []
    world.tell(ev.Mark(0, world.exchange_ms, 57_000.0, 0.0, 0.0, 0))
    world.wait(1.0)
    assert [order.qty_steps for order in emergency_orders(world.done)] == [20]


def test_liquidate_needs_neither_a_fresh_book_nor_the_user_stream():
    world = holding(50)
    world.close(Stream.USER)
    world.close(Stream.BOOK)
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(1.0, canary=False, frames=False)
    assert [order.qty_steps for order in emergency_orders(world.since(mark))] == [50]


def test_liquidate_needs_the_lease():
    world = holding(50)
    world.lease(0)
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(2.0)
    assert emergency_orders(world.since(mark)) == []


def test_the_emergency_halts_without_touching_the_position():
    world = holding(50)
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 2, "a person"))
    world.wait(2.0)
    assert world.ours() == []
    assert of_kind(world.since(mark), ac.Place) == []
    assert world.exchange.position == 50


@pytest.mark.parametrize("steps", [50, -3], ids=["long", "short"])
def test_the_emergency_flattens_the_whole_position_whatever_the_slice(steps):
    world = holding(steps, changed(MAKER, emergency_slice=0.25))
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(2.0)
    assert world.exchange.position == 0
    assert len(emergency_orders(world.done)) == 1
    assert world.ours() == []


def test_a_flat_symbol_has_nothing_to_flatten():
    world = holding(0)
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(2.0)
    assert of_kind(world.since(mark), ac.Place) == []
    assert not world.engine.liquidation.active


def test_an_unanswered_emergency_order_is_resolved_by_the_truth():
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    world.lose_answer(0, executed=True)
    world.wait(0.2)
    assert world.engine.liquidation.order_id == "" or world.exchange.position == 0
    world.hold_requests = False
    world.wait(4.0)
    assert world.engine.view().position_steps == 0
    assert len(emergency_orders(world.done)) == 1


def test_a_run_through_all_guards_is_replayed_exactly():
    world = holding(60)
    for _ in range(6):
        if buys := world.ours(Side.BUY):
            world.fill(buys[0])
        world.wait(0.5)
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(2.0)
    world.replay()
    assert sent(world.done)


@pytest.mark.parametrize(
    ("refusal", "code", "reason", "left"),
    [
        (Refusal.SYMBOL_REDUCES, -4105, Reason.REDUCE_ONLY, {Side.SELL}),
        (Refusal.SYMBOL_CLOSED, -4140, Reason.SYMBOL_NOT_TRADING, set()),
    ],
    ids=["only reduces", "closed"],
)
def test_a_code_that_restricts_the_symbol_counts_until_it_has_had_time_to_be_back(refusal, code, reason, left):
    world = holding(10)
    world.tell(refused(Request.PLACE, "x", refusal, code))
    world.wait(1.0)
    assert reason in world.engine.view().reasons
    assert {order.side for order in world.ours()} == left
    assert all(order.reduce_only for order in world.ours())
    world.wait(60.0)
    assert {order.side for order in world.ours()} == {Side.BUY, Side.SELL}
    assert not world.engine.session.halt.on, "a restriction is no failure"


def test_a_user_stream_that_never_opens_is_given_up_like_one_that_was_lost():
    world = World()
    world.open(Stream.BOOK)
    ended = []
    for _ in range(4):
        ended += of_kind(world.wait(MAKER.give_up_after_ns / 3e9), ac.Exit)
    assert [exit_.code for exit_ in ended] == [1]


def test_a_mark_of_the_past_liquidates_nothing():
    """The market stream has fallen silent after a spike: the loss is judged by mid."""
    world = holding(20)
    world.exchange.entry_price = world.price(world.exchange.bid)
    world.tell(ev.Mark(0, world.exchange_ms, 57_500.0, 0.0, 0.0, 0))
    world.close(Stream.MARKET)
    world.wait(11.0)
    before = world.engine.view().unrealised
    world.tell(ev.ParametersSet(0, changed(MAKER, pnl_stop_ratio=0.01), "tight"))
    world.wait(1.0)
    assert emergency_orders(world.done) == []
    assert abs(before) < 0.01 * 57_500 * 0.02 * 1e8


def test_an_emergency_that_finds_nobody_makes_no_storm():
    world = World()
    world.hold(112)
    world.exchange.taker_share = 0.0
    world.start()
    orders = of_kind(world.wait(5.0), ac.Place)
    assert 4 <= len(orders) <= 6
    world.exchange.taker_share = 1.0
    world.wait(1.5)
    assert world.exchange.position == 0

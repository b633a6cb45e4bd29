"""Section 3, Grinding, by the whole engine: beside pinned quotes, whatever the exchange does to it, over leaders."""

import msgspec
import pytest
from core_world import World, of_kind
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side
from phoenix_worker.core.inventory import Mode
from samples import GRINDING, MAKER, SECOND, changed

GRINDS = msgspec.structs.replace(MAKER, grinding=GRINDING)
INTERVAL_S = 42.0
MAKER_BPS, TAKER_BPS = 2.0, 5.0


def grinder(**fields):
    return msgspec.structs.replace(MAKER, grinding=msgspec.structs.replace(GRINDING, **fields))


def stuck(steps=90, parameters=GRINDS):
    """The position has been found; a takeover counts as a grind, so the first one comes after an interval."""
    world = World(parameters)
    world.exchange.maker_bps, world.exchange.taker_bps = MAKER_BPS, TAKER_BPS
    world.hold(steps)
    world.start()
    world.pass_time(INTERVAL_S - 1.0)
    assert takers(world.done) == []
    return world


def of(purpose, actions):
    return [place.approved.order for place in of_kind(actions, ac.Place) if place.approved.order.purpose is purpose]


def takers(actions):
    return of(Purpose.GRIND, actions)


def reentries(actions):
    return of(Purpose.REENTRY, actions)


def resting(world, purpose):
    return [order for order in world.ours() if order_id.parse(order.client_id).purpose == purpose.value]


def ground(world):
    """The first taker has got its fill and the re-entry rests."""
    world.wait(1.5)
    (order,) = resting(world, Purpose.REENTRY)
    return order


@pytest.mark.parametrize(
    ("steps", "side", "price"), [(90, Side.SELL, 599_568), (-90, Side.BUY, 600_434)], ids=["long", "short"]
)
def test_a_stuck_position_in_a_flat_market_is_ground_beside_its_quotes(steps, side, price):
    world = stuck(steps)
    quotes = world.ours()
    reentry = ground(world)
    (taker,) = takers(world.done)
    assert (taker.side, taker.qty_steps, taker.reduce_only) == (side, 6, True)
    assert (reentry.side, reentry.price, reentry.qty, reentry.reduce_only) == (Side(-side), price, 11, False)
    assert [order for order in world.ours() if order is not reentry] == quotes, "they have kept their places"
    view = world.engine.view()
    assert (view.mode, view.grinds, view.grinding) == (Mode.PIN, 1, True)
    world.fill(reentry)
    world.wait(0.5)
    view = world.engine.view()
    assert abs(view.position_steps) == 95, "up to Block and no further"
    assert view.grinding is False
    world.replay()


def test_what_it_saves_is_what_the_fills_and_their_fees_say():
    world = stuck()
    reentry = ground(world)
    assert world.engine.view().grind_saved == -world.exchange.fills[0].commission
    world.fill(reentry, 5)
    world.fill(reentry, 6)
    notional = world.exchange.instrument.notional
    fees = sum(fill.commission for fill in world.exchange.fills)
    assert world.engine.view().grind_saved == notional(600_000, 11) - notional(599_568, 11) - fees > 0


def test_a_fee_in_an_asset_without_a_price_makes_the_savings_unknown():
    world = stuck()
    world.exchange.commission = (5_000, "BNB")
    ground(world)
    assert world.engine.view().grind_saved is None


def test_the_taker_is_larger_while_the_position_pays_funding():
    world = stuck()
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, 0.0001, 0))
    world.wait(1.5)
    assert [order.qty_steps for order in takers(world.done)] == [9]


def test_a_rate_of_the_past_boosts_nothing():
    world = stuck()
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, 0.0001, 0))
    world.engine.parameters = grinder(interval_ns=60 * SECOND)
    world.pass_time(25.0)
    assert [order.qty_steps for order in takers(world.done)] == [6]


# -- what the exchange does to the taker -----------------------------------------------------------------------


@pytest.mark.parametrize(("share", "took", "returns"), [(0.5, 3, 6), (0.17, 1, 2)], ids=["half", "one step"])
def test_a_taker_that_fills_in_part_is_regained_by_what_it_got(share, took, returns):
    world = stuck()
    world.exchange.taker_share = share
    reentry = ground(world)
    assert (world.exchange.position, reentry.qty) == (90 - took, returns)


def test_a_taker_that_finds_nobody_is_tried_again_after_the_interval():
    world = stuck()
    world.exchange.taker_share = 0.0
    world.pass_time(INTERVAL_S)
    assert len(takers(world.done)) == 1
    assert reentries(world.done) == []
    assert world.engine.view().grinds == 0
    world.wait(2.0)
    assert len(takers(world.done)) == 2


@pytest.mark.parametrize("refusal", [Refusal.OTHER, Refusal.RATE_LIMIT, Refusal.NOT_SENT, Refusal.REDUCE_ONLY])
def test_a_taker_that_is_refused_waits_as_long(refusal):
    world = stuck()
    world.exchange.refuse = {Request.PLACE: [(refusal, -1)]}
    world.pass_time(INTERVAL_S)
    assert len(takers(world.done)) == 1
    assert reentries(world.done) == []
    world.wait(2.0)
    assert len(takers(world.done)) == 2


def test_only_a_fill_that_is_told_is_regained():
    """The answer says that it is filled; at what price only the fill tells."""
    world = stuck()
    world.hold_requests = True
    world.wait(1.5)
    world.automatic = False
    taker = next(r for r in world.exchange.requests if r.approved.order.purpose is Purpose.GRIND)
    world.tell(world.exchange.execute(taker))
    world.tick(10)
    assert reentries(world.done) == []
    world.automatic, world.hold_requests = True, False
    world.settle()
    world.wait(0.5)
    assert len(reentries(world.done)) == 1


def test_nothing_is_taken_while_fills_and_account_tell_different_positions():
    world = stuck()
    world.wait(0.6)
    world.tell(ev.PositionReport(0, world.exchange_ms, world.exchange_ms, 92, 60_000.0, "ORDER"))
    world.wait(0.9)
    assert takers(world.done) == []
    world.wait(3.0)
    assert len(takers(world.done)) == 1, "the truth has been read"


@pytest.mark.parametrize("executed", [True, False], ids=["it had arrived", "it never arrived"])
def test_a_taker_whose_end_nobody_knows_counts_as_alive_until_it_is_known(executed):
    world = stuck()
    world.hold_requests = True
    world.wait(1.5)
    (taker,) = takers(world.done)
    number = next(n for n, r in enumerate(world.exchange.requests) if r.approved.order is taker)
    world.exchange.stream_up = False  # nor does the stream tell
    world.lose_answer(number, executed=executed)
    world.exchange.stream_up = True
    world.wait(2.0)
    assert (len(takers(world.done)), reentries(world.done)) == (1, [])
    world.hold_requests = False
    world.wait(5.0)
    assert len(takers(world.done)) == 1
    assert len(reentries(world.done)) == executed
    assert world.engine.view().grinds == executed
    assert world.engine.view().position_steps == world.exchange.position


# -- the re-entry ----------------------------------------------------------------------------------------------


def test_the_re_entry_before_is_confirmed_as_gone_before_the_next_taker():
    world = stuck()
    reentry = ground(world)
    world.engine.parameters = grinder(ratio=0.8)
    world.hold_requests = True
    mark = len(world.done)
    world.pass_time(INTERVAL_S + 1.0)
    cancels = [action.client_id for action in of_kind(world.since(mark), ac.Cancel)]
    assert cancels == [reentry.client_id]
    assert takers(world.since(mark)) == []
    world.hold_requests = False
    world.wait(1.0)
    assert len(takers(world.since(mark))) == 1


def test_under_block_it_takes_and_re_enters_only_below():
    world = stuck(99)
    assert world.engine.view().mode is Mode.BLOCK
    world.wait(2.0)
    assert world.exchange.position == 92
    assert world.engine.view().mode is Mode.BLOCK, "its hysteresis"
    assert reentries(world.done) == []
    world.fill(world.ours(Side.SELL)[0], 1)
    world.wait(1.0)
    assert [order.qty_steps for order in reentries(world.done)] == [4]


def test_a_re_entry_that_would_take_waits_for_a_newer_book():
    world = stuck()
    world.grant = lambda asked: (0, asked.sell_steps)
    world.wait(2.0)
    world.move_unseen(599_000)
    world.grant = lambda asked: (asked.buy_steps, asked.sell_steps)
    world.wait(1.5, frames=False)
    assert world.engine.account.counters.refusals.get("would-take") == 1
    assert resting(world, Purpose.REENTRY) == []
    world.frame()
    world.wait(1.0)
    (reentry,) = resting(world, Purpose.REENTRY)
    assert reentry.price == 599_000, "never taking"


def test_a_re_entry_is_reserved_before_it_is_sent():
    world = stuck()
    world.grant = lambda asked: (0, asked.sell_steps)
    world.wait(3.0)
    assert len(takers(world.done)) == 1
    assert reentries(world.done) == []
    world.grant = lambda asked: (min(4, asked.buy_steps), asked.sell_steps)
    world.wait(3.0)
    assert [order.qty_steps for order in reentries(world.done)] == [4], "what the account's ledger admits"


def change(world, parameters):
    world.tell(ev.ParametersSet(0, parameters, "changed"))


FORBIDS = {
    "a person's halt": lambda world: world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, "a person")),
    "the emergency": lambda world: world.tell(ev.Emergency(0, EmergencyLevel.HALT, world.switch_epoch + 1, "x")),
    "paused": lambda world: change(world, msgspec.structs.replace(GRINDS, paused=True)),
    "disabled": lambda world: change(world, MAKER),
    "no flat market any more": lambda world: change(world, grinder(deviation=1e-6)),
    "a symbol that only reduces": lambda world: world.tell(ev.StatusSet(0, ev.SymbolStatus.REDUCE_ONLY)),
    "a foreign order": lambda world: world.exchange.add("web", Side.SELL, 700_000, 5, reduce_only=True),
    "a cool-down": lambda world: world.engine.liquidation.cool_until(world.now + 600 * SECOND),
    "a lower limit": lambda world: change(world, msgspec.structs.replace(GRINDS, net_max_steps=80)),
}


@pytest.mark.parametrize("forbid", FORBIDS.values(), ids=FORBIDS)
def test_whatever_stands_against_it_takes_the_re_entry_out_and_sends_no_taker(forbid):
    world = stuck()
    ground(world)
    mark = len(world.done)
    forbid(world)
    world.limit = max(world.limit, 115)
    world.wait(3.0)
    assert resting(world, Purpose.REENTRY) == []
    assert reentries(world.since(mark)) == []
    world.pass_time(INTERVAL_S)
    assert takers(world.since(mark)) == []


def test_when_it_is_over_the_re_entry_comes_back_for_the_same_fill():
    world = stuck()
    first = ground(world)
    world.fill(first, 4)
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, "a person"))
    world.wait(2.0)
    assert resting(world, Purpose.REENTRY) == []
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
    world.wait(2.0)
    (again,) = resting(world, Purpose.REENTRY)
    assert (again.price, again.qty) == (first.price, 7)
    assert len(takers(world.done)) == 1


def test_an_emergency_overtakes_a_taker_that_is_on_its_way():
    world = stuck()
    world.hold_requests = True
    world.wait(1.5)
    assert len(takers(world.done)) == 1
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, world.switch_epoch + 1, "a person"))
    world.hold_requests = False
    world.wait(3.0)
    assert world.exchange.position == 0
    assert reentries(world.done) == []


def test_quotes_that_cover_the_whole_position_leave_room_for_the_taker():
    world = stuck(parameters=msgspec.structs.replace(GRINDS, base_size_steps=60))
    assert sum(order.leaves for order in world.ours(Side.SELL)) == 90
    world.exchange.refuse = {Request.CANCEL: [(Refusal.RATE_LIMIT, -1)]}
    world.wait(1.5)
    assert takers(world.done) == [], "the venue would refuse it: together they are more than the position"
    world.wait(2.0)
    assert world.exchange.position == 84
    assert sum(order.leaves for order in world.ours(Side.SELL)) == 84, "and are whole again afterwards"


def test_between_pinning_and_block_a_quote_keeps_its_place():
    world = stuck()
    quotes = {order.client_id for order in world.ours()}
    world.fill(ground(world))
    world.wait(1.0)
    assert world.engine.view().mode is Mode.BLOCK
    assert {order.client_id for order in world.ours()} == quotes


def test_it_grinds_no_more_often_than_the_hour_admits():
    world = stuck(parameters=grinder(per_hour=4, ratio=0.71))
    world.pass_time(300.0)
    assert len(takers(world.done)) == 3, "and the one that the leader before may have begun"
    assert world.engine.view().grinds == 3


# -- the next leader -------------------------------------------------------------------------------------------


def test_the_next_leader_takes_the_re_entry_out_enters_again_and_counts_on():
    world = stuck()
    first = ground(world)
    saved = world.engine.remember()
    world.fill(first, 3)
    world.lease(0)
    world.take_over(None, world.newest_token + 1, saved, 2 * SECOND)
    mark = len(world.done)
    world.wait(2.0)
    assert not first.state.is_open
    (again,) = resting(world, Purpose.REENTRY)
    assert (again.price, again.qty) == (first.price, 8), "3 of 11 had come back when nobody led"
    world.fill(again)
    view = world.engine.view()
    notional = world.exchange.instrument.notional
    fees = sum(fill.commission for fill in world.exchange.fills)
    assert (view.grinds, view.grind_saved) == (1, notional(600_000 - 599_568, 11) - fees)
    world.pass_time(INTERVAL_S - 4.0)
    assert takers(world.since(mark)) == []
    world.wait(4.0)
    assert len(takers(world.since(mark))) == 1


def test_a_taker_on_its_way_when_its_leader_died_is_found_by_the_next():
    world = stuck()
    world.hold_requests = True
    world.wait(1.5)
    saved = world.engine.remember()
    world.exchange.execute(next(r for r in world.exchange.requests if r.approved.order.purpose is Purpose.GRIND))
    world.exchange.requests.clear()
    world.hold_requests = False
    world.lease(0)
    world.take_over(None, world.newest_token + 1, saved, SECOND)
    world.wait(2.0)
    assert world.engine.view().grinds == 1
    (reentry,) = resting(world, Purpose.REENTRY)
    assert reentry.qty == 11
    assert world.engine.account.grinder.unresolved() == []


def test_who_leads_without_a_memory_takes_the_hour_for_used_up():
    world = World(GRINDS)
    world.hold(90)
    world.start(memory=b"")
    world.pass_time(120.0)
    assert world.engine.view().reasons == []
    assert takers(world.done) == []


# -- guards ----------------------------------------------------------------------------------------------------


def test_each_change_of_the_guard_is_told_with_its_reason():
    world = World(MAKER)
    world.hold(75)
    world.start()
    world.tell(ev.Mark(0, world.exchange_ms, 57_000.0, 0.0, 0.0, 0))
    world.wait(2.0)
    told = [note.text for note in of_kind(world.done, ac.Note) if note.kind is ac.NoteKind.GUARD]
    assert told == [
        "normal to pin: |q| is 0.750 of netMax",
        "pin to liquidate: the loss is beyond its stop",
        "liquidate to normal: |q| is 0.000 of netMax",
    ]


def test_a_loss_lets_go_below_where_it_has_engaged():
    """Section 3: each guard has hysteresis, the stop of a loss, too."""
    world = World(changed(MAKER, emergency_slice=0.1))
    world.hold(20)
    world.exchange.taker_share = 0.0
    world.start()
    world.wait(1.0)
    for mark, mode in [
        (57_150.0, Mode.NORMAL),  # 4.99 % of the notional
        (57_140.0, Mode.LIQUIDATE),  # 5.005 %
        (57_200.0, Mode.LIQUIDATE),  # 4.895 %
        (57_240.0, Mode.NORMAL),  # 4.82 %, less than 0.05 * 0.97
    ]:
        world.tell(ev.Mark(0, world.exchange_ms, mark, 0.0, 0.0, 0))
        world.wait(0.5)
        assert world.engine.view().mode is mode, mark


def test_without_a_book_an_emergency_that_the_exchange_refuses_goes_by_the_mark():
    world = World()
    world.hold(50)
    world.start()
    world.wait(1.0)
    world.reconnects = False
    world.close(ev.Stream.BOOK)
    world.exchange.refuse = {Request.PLACE: [(Refusal.OTHER, -4131)]}
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, world.switch_epoch + 1, "a person"))
    world.wait(3.0, canary=False, frames=False)
    market, limit = of(Purpose.LIQUIDATE, world.since(mark))
    assert (market.price_ticks, limit.reduce_only) == (0, True)
    assert 0.99 * 600_000 < limit.price_ticks < 600_000
    assert world.exchange.position == 0
    assert Reason.EMERGENCY in world.engine.view().reasons

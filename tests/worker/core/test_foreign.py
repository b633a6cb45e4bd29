"""Foreign activity (trading 5): how far what others do with our symbol stops us."""

import msgspec
import pytest
from core_world import TOKEN, World, of_kind
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Execution, OrderState, Side, Stream
from phoenix_worker.core.foreign import Foreign, kind_of
from samples import SECOND

SUSPENDS, SYMBOL, ACCOUNT = "suspends", "halts the symbol", "halts the account"
KINDS = [
    pytest.param("web_reduce", True, Foreign.REDUCES, SUSPENDS, id="5 a foreign reduce-only order"),
    pytest.param("web_open", False, Foreign.OPENS, SYMBOL, id="5 a foreign opening order"),
    pytest.param("adl_autoclose", False, Foreign.DELEVERAGED, SYMBOL, id="5 ADL"),
    pytest.param("settlement_autoclose-17", False, Foreign.SETTLED, SYMBOL, id="5 settlement"),
    pytest.param("autoclose-17", False, Foreign.LIQUIDATED, ACCOUNT, id="5 liquidation"),
    pytest.param("autoclose-18", True, Foreign.LIQUIDATED, ACCOUNT, id="5 liquidation, marked reduce-only"),
]


def order(client_id, *, reduce_only, state=OrderState.NEW, filled=0):
    return ev.OpenOrder(client_id, 99, Side.SELL, 600_500, 5, filled, reduce_only, state, 1)


def stopped(world):
    """How far."""
    if world.emergency is EmergencyLevel.HALT:
        return ACCOUNT
    if world.halt:
        return SYMBOL
    return SUSPENDS if Reason.FOREIGN_ACTIVITY in world.engine.view().reasons else ""


@pytest.mark.parametrize(("client_id", "reduce_only", "kind", "_"), KINDS)
def test_the_kind_of_an_order_that_is_not_ours(client_id, reduce_only, kind, _):
    assert kind_of(order(client_id, reduce_only=reduce_only)) is kind


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_is_told_by_the_user_stream(world, client_id, reduce_only, _, stops):
    world.exchange.add(client_id, Side.SELL, 600_500, 5, reduce_only=reduce_only)
    world.settle()
    assert stopped(world) == stops
    assert not world.ours(), "nothing of ours rests while it lives"


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_is_found_when_the_truth_is_read(client_id, reduce_only, _, stops):
    world = World()
    world.exchange.add(client_id, Side.SELL, 600_500, 5, reduce_only=reduce_only)
    world.start()
    world.wait(1.0)
    assert stopped(world) == stops


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_filled_before_it_was_ever_seen_to_rest(world, client_id, reduce_only, _, stops):
    taker = world.exchange.add(client_id, Side.SELL, 600_000, 5, reduce_only=False)
    world.exchange.stream.clear()  # NEW was missed
    world.exchange.fill(taker, 5, maker=False)
    if reduce_only:
        told = world.exchange.stream[0]
        world.exchange.stream[0] = ev.OrderReport(
            0, told.event_ms, told.transaction_ms, told.execution, order(client_id, reduce_only=True, filled=5,
            state=OrderState.FILLED), told.fill,
        )  # fmt: skip
    world.settle()
    assert stopped(world) == ("" if stops is SUSPENDS else stops)
    assert world.engine.view().position_steps == -5, "fills count whoever made them"


def filled_in_a_gap(world, client_id, reduce_only):
    """Nothing of it is ever told by the user stream."""
    world.close(Stream.USER)
    theirs = world.exchange.add(client_id, Side.SELL, 600_000, 5, reduce_only=reduce_only)
    world.exchange.fill(theirs, 5, maker=False)
    world.open(Stream.USER)
    world.wait(1.0)


def holding():
    world = World()
    world.hold(20)
    return world


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_filled_while_nobody_listened(client_id, reduce_only, _, stops):
    world = holding().start()
    filled_in_a_gap(world, client_id, reduce_only)
    assert stopped(world) == ("" if stops is SUSPENDS else stops)
    assert world.engine.view().position_steps == 15
    assert all(stops is SUSPENDS or order.side is Side.SELL for order in world.ours()), "only what reduces"
    world.replay()


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_filled_before_the_lease(client_id, reduce_only, _, stops):
    world = holding().start(token=0)
    theirs = world.exchange.add(client_id, Side.SELL, 600_000, 5, reduce_only=reduce_only)
    world.exchange.fill(theirs, 5, maker=False)
    world.settle()
    world.wait(1.0)
    assert stopped(world) == "", "a standby stops nobody"
    world.tell(ev.Restored(0, world.engine.remember(), 0))
    world.lease(TOKEN)
    world.wait(1.0)
    assert stopped(world) == ("" if stops is SUSPENDS else stops)


@pytest.mark.parametrize(("client_id", "reduce_only", "_", "stops"), KINDS)
def test_one_that_filled_between_two_leaders(client_id, reduce_only, _, stops):
    world = holding().start()
    world.wait(1.0)
    memory = world.engine.remember()
    world.exchange.stream_up = False
    theirs = world.exchange.add(client_id, Side.SELL, 600_000, 5, reduce_only=reduce_only)
    world.exchange.fill(theirs, 5, maker=False)
    world.take_over(None, TOKEN + 1, memory, 2 * SECOND)
    world.wait(1.0)
    assert stopped(world) == ("" if stops is SUSPENDS else stops)


@pytest.mark.parametrize("led_by", ["the same token", "the next token"])
def test_our_own_that_filled_while_nobody_listened_stop_nothing(world, led_by):
    bid, ask = world.ours(Side.BUY)[0], world.ours(Side.SELL)[0]
    memory = world.engine.remember()
    world.exchange.stream_up = False
    world.exchange.fill(bid, 5)
    world.exchange.fill(ask, ask.leaves)
    world.close(Stream.USER)
    if led_by == "the same token":
        world.open(Stream.USER)
    else:
        world.take_over(None, TOKEN + 1, memory, 2 * SECOND)
    world.wait(2.0)
    assert stopped(world) == ""
    assert {o.side for o in world.ours()} == set(Side)


def test_a_fill_of_an_order_that_the_exchange_does_not_name_halts_the_symbol(world):
    world.close(Stream.USER)
    theirs = world.exchange.add("web_x", Side.SELL, 600_000, 5)
    world.exchange.fill(theirs, 5, maker=False)
    world.truths_answered = False
    world.open(Stream.USER)
    asked = of_kind(world.done, ac.FetchTruth)[-1]
    truth = world.exchange.truth(asked)
    nameless = msgspec.structs.replace(truth.owners[0], client_id="")
    world.tell(msgspec.structs.replace(truth, owners=[nameless]))
    assert stopped(world) == SYMBOL
    assert str(theirs.venue_id) in world.halt


def test_a_fill_is_judged_once_and_not_again_after_a_person_has_resumed(world):
    filled_in_a_gap(world, "web_open", reduce_only=False)
    assert stopped(world) == SYMBOL
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
    world.close(Stream.USER)
    world.open(Stream.USER)
    world.wait(1.0)
    assert stopped(world) == ""
    filled_in_a_gap(world, "web_again", reduce_only=False)
    assert stopped(world) == SYMBOL


def test_of_fills_that_were_told_nobody_is_asked_whose_they_are(world):
    world.exchange.fill(world.ours(Side.BUY)[0], 5)
    world.settle()
    told = world.exchange.next_trade_id
    world.close(Stream.USER)
    world.open(Stream.USER)
    asked = of_kind(world.done, ac.FetchTruth)[-1]
    assert told in asked.known_trades
    assert asked.from_trade_id <= told


def test_a_foreign_order_that_ends_without_a_fill_has_done_nothing(world):
    ended = order("web_open", reduce_only=False, state=OrderState.CANCELED)
    world.tell(ev.OrderReport(0, world.exchange_ms, world.exchange_ms, Execution.CANCELED, ended, None))
    assert stopped(world) == ""


def test_a_halt_for_an_opening_order_outlives_it_until_a_person_resumes(world):
    theirs = world.exchange.add("web_open", Side.SELL, 600_500, 5)
    world.settle()
    world.exchange.end(theirs)
    world.settle()
    world.wait(1.0)
    assert stopped(world) == SYMBOL
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
    world.wait(1.0)
    assert stopped(world) == ""
    assert {o.side for o in world.ours()} == set(Side)


def test_under_the_halt_what_reduces_goes_on_while_the_order_lives_and_afterwards():
    world = holding().start()
    theirs = world.exchange.add("web_open", Side.SELL, 600_900, 5)
    for _ in range(2):
        world.settle()
        world.wait(1.0)
        assert stopped(world) == SYMBOL
        assert {o.side for o in world.ours()} == {Side.SELL}
        if theirs.state.is_open:
            world.exchange.end(theirs)


def test_beside_one_that_only_reduces_nothing_of_ours_does(world):
    """Halted or not: the exchange refuses reduce-only orders that are together more than the position."""
    filled_in_a_gap(world, "web_open", reduce_only=False)
    assert {o.side for o in world.ours()} == {Side.BUY}
    world.exchange.add("web_reduce", Side.BUY, 599_000, 5, reduce_only=True)
    world.settle()
    world.wait(0.5)
    assert world.ours() == []


def test_beside_one_that_opens_nothing_is_quoted_when_a_person_has_resumed(world):
    theirs = world.exchange.add("web_open", Side.SELL, 600_500, 5)
    world.settle()
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
    world.wait(1.0)
    assert stopped(world) == SUSPENDS
    assert world.ours() == []
    world.exchange.end(theirs)
    world.settle()
    world.wait(1.0)
    assert {o.side for o in world.ours()} == set(Side)


def test_a_standby_stops_nobody():
    world = World().start(token=0)
    world.tell(ev.OrderReport(0, 1, 1, Execution.NEW, order("autoclose-1", reduce_only=False), None))
    assert not of_kind(world.done, ac.HaltSymbol, ac.RaiseEmergency)
    world.lease(TOKEN)
    world.wait(1.0)
    assert world.now >= SECOND

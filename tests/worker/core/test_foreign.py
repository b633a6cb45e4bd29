"""Foreign activity (trading 5): how far what others do with our symbol stops us."""

import pytest
from core_world import TOKEN, World, of_kind
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Execution, OrderState, Side
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


def test_under_the_halt_what_reduces_goes_on():
    world = World()
    world.hold(20)
    world.start()
    theirs = world.exchange.add("web_open", Side.SELL, 600_900, 5)
    world.settle()
    world.exchange.end(theirs)
    world.settle()
    world.wait(1.0)
    assert {o.side for o in world.ours()} == {Side.SELL}


def test_a_standby_stops_nobody():
    world = World().start(token=0)
    world.tell(ev.OrderReport(0, 1, 1, Execution.NEW, order("autoclose-1", reduce_only=False), None))
    assert not of_kind(world.done, ac.HaltSymbol, ac.RaiseEmergency)
    world.lease(TOKEN)
    world.wait(1.0)
    assert world.now >= SECOND

"""The exchange admits only so large a position at the account's leverage (-2027): what goes beyond it is never sent."""

import msgspec
import pytest
from core_world import World, of_kind
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import Side
from phoenix_worker.core.instrument import MONEY, UNBOUNDED
from samples import BTCUSDT, MAKER, changed


def bracketed(notional):
    """The leverage bracket, in quote."""
    return msgspec.structs.replace(BTCUSDT, max_notional=int(notional * MONEY))


def worst(world):
    view = world.engine.view()
    return max(view.worst_long_steps, -view.worst_short_steps)


def notes(world):
    return [note.text for note in of_kind(world.done, ac.Note) if "the exchange admits a position" in note.text]


@pytest.mark.parametrize(
    ("notional", "price", "steps"),
    [
        pytest.param(60 * 30, 60_000.0, 30, id="30 steps of 60 each"),
        pytest.param(60 * 30 - 1, 60_000.0, 29, id="rounded down"),
        pytest.param(60 * 900, 60_000.0, 100, id="no more than wanted"),
        pytest.param(0, 60_000.0, 0, id="nothing at this leverage"),
        pytest.param(60 * 30, 0.0, 100, id="a price that is not known"),
        pytest.param(UNBOUNDED / MONEY, 60_000.0, 100, id="a bracket that is not told"),
    ],
)
def test_steps_that_a_bracket_admits(notional, price, steps):
    assert bracketed(notional).admitted_steps(100, price) == steps


def quoting_within(notional):
    world = World(MAKER, bracketed(notional))
    world.start()
    world.wait(1.0)
    return world


def test_a_bracket_that_holds_the_worst_case_changes_nothing():
    plain = World(MAKER)
    plain.start()
    plain.wait(1.0)
    world = quoting_within(MAKER.worst_case_steps * 60 + 60)
    shapes = [sorted((order.side, order.price, order.qty) for order in each.ours()) for each in (plain, world)]
    assert shapes[0] == shapes[1]
    assert notes(world) == []


def test_where_the_bracket_shrinks_quotes_stay_within_it_and_somebody_is_told():
    world = World(MAKER)
    world.start()
    world.wait(1.0)
    least = world.ours(Side.BUY)[0].qty
    assert worst(world) > least + 1, "more rests than will be admitted"
    world.tell(ev.InstrumentSet(0, bracketed((least + 1) * 60.1)))
    world.wait(3.0)
    assert 0 < worst(world) <= least + 1
    assert world.engine.view().worst_case_limit_steps == least + 1
    assert len(notes(world)) == 1
    assert {order.side for order in world.ours()} == set(Side)


def test_a_raise_beyond_the_bracket_is_kept_within_it_and_told():
    limit = MAKER.worst_case_steps
    world = quoting_within((limit + 1) * 60)
    raised = changed(MAKER, net_max_steps=MAKER.net_max_steps * 3, base_size_steps=MAKER.base_size_steps * 10)
    world.limit = raised.worst_case_steps
    world.tell(ev.ParametersSet(0, raised, "raised"))
    world.market(600_500)
    world.wait(3.0)
    assert limit * 0.9 < worst(world) <= limit + 1
    assert len(notes(world)) == 1
    world.replay()


def test_a_position_beyond_a_bracket_that_shrank_is_only_reduced():
    world = World(MAKER)
    world.hold(20)
    world.start()
    world.tell(ev.InstrumentSet(0, bracketed(10 * 60)))
    world.wait(3.0)
    assert {order.side for order in world.ours()} == {Side.SELL}

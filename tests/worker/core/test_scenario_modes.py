"""Stories over every mode: how it is entered, that nothing increases in it, and that a restart finds it again."""

import msgspec
import pytest
from core_world import TOKEN, World, of_kind
from model_exchange import refused
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose, TimeInForce
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.tally import Stance
from samples import GRINDING, MAKER, SECOND, changed

GRINDS = msgspec.structs.replace(MAKER, grinding=GRINDING)
LIMITED = changed(MAKER, daily_loss_max=50 * MONEY, stop_loss=100 * MONEY, pnl_stop_ratio=1.0)


def holding(steps, parameters=MAKER):
    world = World(parameters)
    world.hold(steps)
    world.start()
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 0.0, 0.0001, 0))
    world.wait(1.0)
    return world


def ground():
    """Stuck in a flat market: a taker has taken its part, and the re-entry rests."""
    world = holding(90, GRINDS)
    world.pass_time(42.0)
    return world


def closing():
    """Beyond liquidate, and the exchange has not answered the emergency order."""
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(0.5)
    return world


def emergency(level):
    world = holding(50)
    world.hold_requests = level is EmergencyLevel.FLATTEN
    world.tell(ev.Emergency(0, level, 5, "by hand"))
    world.tick()
    return world


def toxic():
    world = holding(0)
    for _ in range(50):
        world.tell(ev.Trade(0, world.exchange_ms, world.engine.vpin.last_trade_id + 1, 60_000.0, 10.0, True))
    world.wait(0.5)
    return world


def losing(mark):
    world = holding(50, LIMITED)
    world.tell(ev.Mark(0, world.exchange_ms, mark, 0.0, 0.0001, 0))
    world.wait(0.5)
    return world


def foreign():
    """A person has an order by hand, and takes it out again."""
    world = holding(20)
    by_hand = world.exchange.add("web_x", Side.BUY, 599_000, 1)
    world.settle()
    world.exchange.end(by_hand)
    world.settle()
    world.wait(0.5)
    return world


def refusing():
    """More than a twentieth of its requests came to nothing."""
    world = holding(20)
    for number in range(60):
        world.tell(refused(Request.PLACE, f"x{number}", Refusal.OTHER, -4131))
    world.wait(0.5)
    return world


def cooling():
    world = holding(112)
    world.wait(1.0)
    assert world.exchange.position == 0
    return world


def halted(world):
    return world.engine.view().halted


STORIES = {
    "normal": (lambda: holding(0), Stance.NORMAL, Reason.QUOTING),
    "pin": (lambda: holding(-75), Stance.PIN, Reason.QUOTING),
    "grind": (ground, Stance.GRIND, Reason.QUOTING),
    "block": (lambda: holding(96), Stance.BLOCK, Reason.QUOTING),
    "flatten": (lambda: holding(-103), Stance.FLATTEN, Reason.QUOTING),
    "liquidate": (closing, Stance.LIQUIDATE, Reason.GUARD),
    "cool-down": (cooling, Stance.NORMAL, Reason.COOLDOWN),
    "emergency halt": (lambda: emergency(EmergencyLevel.HALT), Stance.EMERGENCY, Reason.EMERGENCY),
    "emergency flatten": (lambda: emergency(EmergencyLevel.FLATTEN), Stance.EMERGENCY, Reason.EMERGENCY),
    "toxic flow": (toxic, Stance.NORMAL, Reason.TOXIC_FLOW),
    "daily loss": (lambda: losing(58_900.0), Stance.NORMAL, Reason.RISK_HALTED),
    "stop loss": (lambda: losing(57_900.0), Stance.NORMAL, Reason.RISK_HALTED),
    "foreign": (foreign, Stance.NORMAL, Reason.RISK_HALTED),
    "failures": (refusing, Stance.NORMAL, Reason.RISK_HALTED),
}
every_story = pytest.mark.parametrize(("tell", "stance", "reason"), list(STORIES.values()), ids=list(STORIES))


@every_story
def test_every_mode_and_halt_is_reached_and_told(tell, stance, reason):
    view = tell().engine.view()
    assert view.stance is stance
    assert (view.reasons or [Reason.QUOTING])[0] is reason


@every_story
def test_a_restart_in_every_mode_finds_it_again_and_increases_nothing_before(tell, stance, reason):
    """A new process with the memory of a second ago: what was forbidden stays forbidden from its first order on."""
    world = tell()
    why, position, memory = halted(world), world.exchange.position, world.engine.remember()
    mark, world.hold_requests = len(world.done), False
    world.take_over(None, TOKEN + 1, memory, SECOND)
    world.wait(1.0)
    assert halted(world) == why
    placed = [each.approved.order for each in of_kind(world.since(mark), ac.Place)]
    if reason is not Reason.QUOTING or stance not in {Stance.NORMAL, Stance.GRIND}:
        assert all(order.reduce_only for order in placed), "nothing that opens"
        assert not any(order.side * position > 0 for order in placed)
    if stance in {Stance.LIQUIDATE, Stance.EMERGENCY} and position != world.exchange.position:
        assert world.exchange.position == 0, "closed once, not twice"
        return
    view = world.engine.view()
    assert view.stance is stance
    assert (view.reasons or [Reason.QUOTING])[0] is reason


def test_a_trend_fills_one_side_until_it_is_pinned_and_never_beyond_the_limit():
    world = World().start()
    world.wait(1.0)
    bid = 600_000
    for _ in range(120):
        if not (bids := world.ours(Side.BUY)):
            break
        bid = min(bid, bids[0].price - 1)
        world.fill(bids[0])
        world.market(bid)
        world.wait(0.5)
    position = world.exchange.position
    assert world.engine.view().mode is Mode.PIN
    assert 70 <= position < 95, "it stops at the guard, and the last fill is a small one"
    assert {order.side for order in world.ours()} == {Side.SELL}
    assert world.engine.view().counters.max_worst_case_ratio <= 1.15


@pytest.mark.parametrize("side", list(Side), ids=["buys", "sells"])
@pytest.mark.parametrize("held", [0, 40, 60, 69], ids=["flat", "40 %", "60 %", "just below pinning"])
def test_a_sweep_of_all_layers_at_once_ends_within_the_worst_case(side, held):
    world = holding(side * held)
    world.hold_requests = True
    for order in world.ours(side):
        world.fill(order)
    assert abs(world.exchange.position) <= world.engine.parameters.worst_case_steps
    assert side * world.exchange.position > held
    world.market(600_000 - side * 100)
    world.hold_requests = False
    world.wait(2.0)
    assert all(order.side is not side for order in world.ours()) or world.engine.view().mode is Mode.NORMAL
    world.replay()


def test_a_jump_through_liquidate_with_refusals_closes_the_position_all_the_same():
    """The price leaps by 8 %: the loss is beyond its stop, the market order is refused, and the first limit expires."""
    world = holding(60)
    world.hold_requests = True
    mark = len(world.done)
    world.exchange.entry_price = 60_000.0
    world.market(552_000)
    world.tell(ev.Mark(0, world.exchange_ms, 55_200.0, 0.0, 0.0001, 0))
    world.wait(1.0)
    tries = 0
    while world.exchange.position and tries < 40:
        tries += 1
        for request in list(world.exchange.requests):
            if isinstance(request, ac.Place) and request.approved.order.price_ticks == 0:
                world.exchange.requests.remove(request)
                world.tell(refused(Request.PLACE, request.approved.order.client_id, Refusal.OTHER, -4131))
            elif request in world.exchange.requests:
                world.exchange.execute(request)
        world.settle()
        world.tell(ev.Mark(0, world.exchange_ms, 55_200.0, 0.0, 0.0001, 0))
        world.wait(0.5)
    orders = [each.approved.order for each in of_kind(world.since(mark), ac.Place)]
    assert world.exchange.position == 0
    assert {order.purpose for order in orders} == {Purpose.LIQUIDATE}
    assert all(order.reduce_only and order.time_in_force is TimeInForce.IMMEDIATE for order in orders)
    assert orders[0].price_ticks == 0
    assert orders[-1].price_ticks >= 0.95 * 552_000, "inside the exchange's band"
    world.hold_requests = False
    world.wait(1.0)
    assert world.engine.view().reasons == [Reason.COOLDOWN]

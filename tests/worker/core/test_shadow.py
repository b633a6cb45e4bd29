"""The shadow (trading, 5: `spec.shadow`): a second engine that hears what the live one hears, and sends nothing."""

from random import Random

import msgspec
import pytest
from core_world import INSTALLATION, TOKEN, Run, World, of_kind
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import encode_actions
from phoenix_worker.core.day import DAY_MS, start_of_day
from phoenix_worker.core.events import EmergencyLevel, Side, Stream
from phoenix_worker.core.freshness import Staleness
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.shadow import MOST_TURNS, EndlessError, Shadow
from samples import BTCUSDT, MAKER, MS, SECOND

LIVE = msgspec.structs.replace(
    MAKER, risk=msgspec.structs.replace(MAKER.risk, daily_loss_max=500 * MONEY, stop_loss=1_000 * MONEY)
)
WIDER = msgspec.structs.replace(LIVE, min_spread_bps=40.0)


class Watched:
    """The live engine of a world, with a shadow that hears each event right after it."""

    def __init__(self, world: World, parameters=LIVE) -> None:
        self._engine = world.engine
        self.asked: list[ac.AnyAction] = []
        self.transcript: list[tuple[ev.AnyEvent, bytes]] = []
        self.shadow = Shadow.beside(self._engine, parameters, "second")
        self.asked += self.shadow.begin(self._engine)
        world.run.engine = self

    def on(self, event):
        actions = self._engine.on(event)
        asked = self.shadow.on(event, self._engine)
        self.transcript.append((event, encode_actions(asked)))
        self.asked += asked
        return actions

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def ladder(self):
        """What would rest: (side, price, steps), as `resting` of the world."""
        return sorted((o.side, o.price_ticks, o.qty_steps) for o in self.shadow.paper.orders.values())


def resting(world):
    return sorted((order.side, order.price, order.qty) for order in world.ours())


def beside(world, parameters=LIVE):
    return Watched(world, parameters)


def settled(world, seconds=1.5):
    world.wait(seconds)


@pytest.fixture
def world():
    """A live engine whose losses are limited, as every maker with a capital: it quotes once it knows the day."""
    world = World(LIVE).start()
    world.wait(1.0)
    return world


@pytest.fixture
def twin(world):
    """Begun beside an engine that quotes already."""
    return beside(world)


# -- it decides as the live engine would --------------------------------------------------------------


def test_under_the_same_parameters_it_quotes_what_the_live_engine_quotes(world, twin):
    settled(world)
    assert twin.ladder() == resting(world) != []
    for bid in (600_040, 599_900, 600_300):
        world.market(bid)
        settled(world)
        assert twin.ladder() == resting(world), f"at {bid}"


def test_one_that_stands_there_from_the_first_event_on_does_too():
    world = World(LIVE)
    twin = beside(world)
    world.start()
    settled(world, 2.0)
    assert twin.ladder() == resting(world) != []


def test_under_other_parameters_it_quotes_otherwise_from_the_same_position(world):
    wider = beside(world, WIDER)
    settled(world)
    nearest = max(price for side, price, _ in wider.ladder() if side is Side.BUY)
    assert nearest < max(price for side, price, _ in resting(world) if side is Side.BUY)
    world.fill(world.ours(Side.BUY)[0])
    settled(world)
    assert wider.shadow.engine.account.position.steps == world.engine.account.position.steps > 0


def test_a_second_set_that_changes_is_in_force_at_once(world, twin):
    settled(world)
    world.tell(ev.ParametersSet(0, LIVE, "third", WIDER))
    settled(world)
    assert twin.shadow.engine.parameters == WIDER
    assert twin.shadow.engine.revision == "third"
    assert twin.ladder() != resting(world) != []


# -- and nothing of it leaves ---------------------------------------------------------------------------


def test_its_orders_carry_a_mark_of_their_own_and_reach_nobody(world, twin):
    settled(world)
    idents = [order_id.parse(client_id) for client_id in twin.shadow.paper.orders]
    assert {ident.installation for ident in idents if ident} == {"shadow"} != {INSTALLATION}
    assert not [order for order in world.exchange.open_orders if "shadow" in order.client_id]
    assert of_kind(twin.asked, ac.Place), "it asked, and nobody heard it"


def test_it_is_never_filled_and_a_fill_of_the_live_engine_is_counted_once(world, twin):
    settled(world)
    fill = world.fill(world.ours(Side.BUY)[0])
    settled(world)
    position = twin.shadow.engine.account.position
    assert position.steps == fill.qty_steps
    assert twin.shadow.engine.account.pnl.fills == 1
    assert twin.shadow.engine.account.counters.foreign_fills == 1, "of an order that is not its own"
    assert not twin.shadow.engine.session.halt.on
    assert not twin.shadow.engine.session.second_writer


@pytest.mark.parametrize(("limit", "shared"), [("stop_loss", True), ("daily_loss_max", False)])
def test_a_loss_limit_that_only_the_second_set_has_halts_the_shadow_alone(world, twin, limit, shared):
    """The account's results are the same for both; what it would share of it (trading, 5) stays with it."""
    risk = msgspec.structs.replace(LIVE.risk, **{limit: 1})
    world.tell(ev.ParametersSet(0, LIVE, "third", msgspec.structs.replace(LIVE, risk=risk)))
    world.fill(world.ours(Side.BUY)[0])
    world.tell(ev.Mark(0, world.exchange_ms, 59_900.0, 0.0, 0.0001, 0))
    settled(world, 1.0)
    assert bool(of_kind(twin.asked, ac.HaltSymbol)) is shared
    assert Reason.RISK_HALTED in twin.shadow.engine.view().reasons
    assert Reason.RISK_HALTED not in world.engine.view().reasons


def test_what_is_answered_to_the_live_engine_is_not_the_shadows(world, twin):
    """Neither its refusals, nor what the account's ledger grants it: the shadow is granted whatever it asks for."""
    settled(world)
    refused = ev.Answer(0, ev.Request.PLACE, "live", ev.Outcome.REFUSED, 1, ev.Refusal.MARGIN, -2019)
    world.tell(refused)
    world.grant = lambda _: (0, 0)
    world.market(600_500)
    settled(world, 12.0)
    assert world.engine.account.counters.refusals == {"margin": 1}
    assert twin.shadow.engine.account.counters.refusals == {}
    assert Reason.NOT_RESERVED in world.engine.view().reasons
    assert twin.shadow.engine.view().reasons == []
    assert resting(world) == [] != twin.ladder()


# -- through everything that happens to the live engine ------------------------------------------------


def gap(world):
    world.gap()


def user_stream_lost(world):
    world.close(Stream.USER)
    settled(world)
    world.open(Stream.USER)


def book_stream_lost(world):
    world.close(Stream.BOOK)
    settled(world)
    world.open(Stream.BOOK)


def lease_lost(world):
    world.lease(0)
    settled(world)
    world.lease(TOKEN + 1)


def stale(world):
    world.wait(3.0, canary=False, frames=False)


def a_settlement_of_funding(world):
    world.tell(ev.FundingPaid(0, world.exchange_ms, -3 * MONEY))
    world.income.append(ev.FundingRow(ev.FundingKind.REGULAR, 1, world.exchange_ms, -3 * MONEY))
    world.pass_time(120)


def a_fill_that_was_never_told(world):
    world.exchange.stream_up = False
    world.fill(world.ours(Side.SELL)[0])
    world.exchange.stream_up = True
    world.close(Stream.USER)
    world.open(Stream.USER)


@pytest.mark.parametrize(
    "happens",
    [
        *(gap, user_stream_lost, book_stream_lost, lease_lost, stale),
        *(a_settlement_of_funding, a_fill_that_was_never_told),
    ],
    ids=lambda happens: happens.__name__,
)
def test_it_comes_back_with_the_live_engine(world, twin, happens):
    """At the same prices; sizes may differ, as paper is cancelled at once and the live orders after their way."""
    settled(world)
    happens(world)
    settled(world, 5.0)
    assert resting(world), "the live engine quotes again"
    assert [(side, price) for side, price, _ in twin.ladder()] == [(side, price) for side, price, _ in resting(world)]
    shadow, live = twin.shadow.engine.account, world.engine.account
    assert (shadow.position.steps, shadow.pnl.fills) == (live.position.steps, live.pnl.fills)
    view = twin.shadow.engine.view()
    assert view.reasons == world.engine.view().reasons == []
    assert (view.day_result, view.funding) == (world.engine.view().day_result, world.engine.view().funding)


def test_one_that_has_lost_faith_alone_is_given_the_live_engines_book_again(world, twin):
    settled(world)
    twin.shadow.engine.freshness.declare(Staleness.LATE, world.now)
    world.tick()
    assert twin.ladder() == []
    settled(world)
    assert twin.ladder() == resting(world) != []
    assert not of_kind(world.done, ac.Reconnect), "the live engine's connection is not touched"


def test_beside_a_quiet_symbol_the_live_engines_touch_is_its_evidence(world):
    """No frame comes that could show that its book stands: the live engine's is fresh, and the same."""
    world.wait(3.0, frames=False)
    twin = beside(world)
    world.wait(1.5, frames=False)
    assert twin.shadow.engine.freshness.episodes == 0
    assert twin.ladder() == resting(world) != []


def test_a_day_that_ends_while_both_look_on_ends_for_both():
    world = World(LIVE)
    midnight_ms = start_of_day(world.exchange_ms) + DAY_MS
    world.now += (midnight_ms - world.exchange_ms) * MS - 3 * SECOND
    world.run = Run(LIVE, BTCUSDT, world.now)
    world.exchange.now_ms = world.exchange_ms
    world.start()
    settled(world, 1.0)
    twin = beside(world)
    world.fill(world.ours(Side.BUY)[0])
    for _ in range(13):
        settled(world, 10.0)
        world.tell(ev.Mark(0, world.exchange_ms, 60_010.0, 0.0, 0.0001, 0))
    live, shadow = world.engine.view(), twin.shadow.engine.view()
    assert twin.shadow.engine.losses.day.start_ms == world.engine.losses.day.start_ms == midnight_ms
    assert shadow.day_result == live.day_result not in (None, 0)
    assert shadow.reasons == live.reasons == []


def test_an_emergency_withdraws_both(world, twin):
    settled(world)
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 7, "by hand"))
    settled(world)
    assert twin.ladder() == resting(world) == []


def test_a_guard_of_its_own_limit_acts_in_it_alone(world):
    settled(world)
    world.fill(world.ours(Side.BUY)[0])
    small = msgspec.structs.replace(LIVE, net_max_steps=world.engine.account.position.steps)
    narrow = beside(world, small)
    settled(world)
    assert narrow.shadow.engine.mode is Mode.FLATTEN
    assert world.engine.mode is Mode.NORMAL
    assert not [side for side, _, _ in narrow.ladder() if side is Side.BUY]


def test_a_stop_withdraws_it_too(world, twin):
    settled(world)
    world.tell(ev.Stop(0, "done"))
    world.tick(20)
    assert twin.ladder() == []


# -- recorded, replayed, and bounded ----------------------------------------------------------------------


def test_from_a_keyframe_in_the_middle_it_goes_on_byte_for_byte(world, twin):
    """Of both engines, at the same moment."""
    live, again = type(twin._engine).from_keyframe(twin.keyframe()), Shadow.from_keyframe(twin.shadow.keyframe())
    first = len(twin.transcript)
    dice = Random(7)  # noqa: S311 - a market, not a secret
    for _ in range(20):
        world.market(600_000 + dice.randrange(-200, 200))
        if dice.random() < 0.3 and (orders := world.ours()):
            world.fill(dice.choice(orders))
        settled(world, 0.5)
    for event, asked in twin.transcript[first:]:
        live.on(event)
        assert encode_actions(again.on(event, live)) == asked, event
    assert again.keyframe() == twin.shadow.keyframe()


def test_answers_without_end_are_a_defect_and_not_a_hang(twin, monkeypatch):
    monkeypatch.setattr(type(twin._engine), "on", lambda *_: [ac.Reserve(1, 0, 0, 0, 0.0, 0, 0)])
    with pytest.raises(EndlessError, match=str(MOST_TURNS)):
        twin.shadow.on(ev.Tick(0), twin._engine)

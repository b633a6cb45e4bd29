"""What is told of the shadow: its own figures, under names that nobody takes for the live engine's."""

import math

import msgspec
import pytest
from core_world import World
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import Side
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.shadow_metrics import shadow_families
from samples import BTCUSDT, MAKER

WIDER = msgspec.structs.replace(MAKER, min_spread_bps=40.0, near_layers=1, far_layers=0)


@pytest.fixture
def world():
    world = World().start()
    world.wait(1.0)
    return world


def told(beside, world):
    families = shadow_families(beside, world.engine.view(), BTCUSDT, "BTCUSDT")
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.name.startswith("mm_shadow_") for sample in samples)
    assert {sample.labels["symbol"] for sample in samples} == {"BTCUSDT"}
    return {(s.name, *(v for k, v in sorted(s.labels.items()) if k != "symbol")): s.value for s in samples}


def test_without_one_only_that_there_is_none(world):
    assert told(Beside(), world) == {("mm_shadow_active",): 0.0, ("mm_shadow_failures_total",): 0.0}


def test_its_quotes_stand_beside_the_live_ones(world):
    beside = Beside()
    beside.step(ev.ParametersSet(world.now, MAKER, "second", WIDER), world.engine)
    for event in (world.next_diff(), *(ev.Tick(0) for _ in range(4))):
        world.now += 100_000_000
        world.tell(event)
        beside.step(msgspec.structs.replace(event, at=world.now), world.engine)
    value = told(beside, world)
    assert value["mm_shadow_active",] == 1
    assert value["mm_shadow_quote_suppressed",] == 0
    assert (value["mm_shadow_grid_layers", "buy"], value["mm_shadow_grid_layers", "sell"]) == (1, 1)
    assert value["mm_shadow_orders_total", "place"] == 2
    assert value["mm_shadow_decisions_total",] >= 1
    assert value["mm_shadow_guard_active", "normal"] == 1
    assert value["mm_shadow_half_spread_bps",] == pytest.approx(20.0)
    assert value["mm_shadow_net_max",] == MAKER.net_max_steps * BTCUSDT.step
    assert value["mm_shadow_event_seconds_count",] == beside.cost.count > 0
    live = world.engine.view()
    for side in Side:
        ours = max((o.price_ticks for o in live.orders if o.side is side), key=lambda ticks: side * ticks)
        bps = side * ((live.bid_ticks + live.ask_ticks) / 2 - ours) / 600_000 * 1e4
        assert value["mm_shadow_wider_bps", side.name.lower()] == pytest.approx(20.0 - bps, abs=0.02)


def test_where_one_of_both_has_no_quote_there_is_no_distance(world):
    beside = Beside()
    paused = msgspec.structs.replace(MAKER, paused=True)
    beside.step(ev.ParametersSet(world.now, MAKER, "second", paused), world.engine)
    value = told(beside, world)
    assert math.isnan(value["mm_shadow_wider_bps", "buy"])
    assert value["mm_shadow_quote_suppressed",] == 1

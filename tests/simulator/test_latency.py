"""Latencies: what is drawn, and the order that a line keeps."""

import asyncio
from random import Random
from statistics import quantiles

import pytest
from phoenix_simulator.clock import Clock
from phoenix_simulator.latency import (
    Fixed,
    Latency,
    LatencySettings,
    LogNormal,
    Part,
    Quantiles,
    Uniform,
    parse_distribution,
    parse_latencies,
)
from phoenix_simulator.scenario import ScenarioError, parse_scenario

WILD = Uniform(low_ms=0, high_ms=40)
"""Neighbours would overtake each other, were there no line."""


def draws(distribution, count=4_000):
    random = Random(7)  # noqa: S311 - a network, not a secret
    return [distribution.draw(random) for _ in range(count)]


# ---- distributions ----------------------------------------------------------------------------------------------


def test_fixed_is_always_the_same():
    assert set(draws(Fixed(ms=3), 10)) == {3}


def test_uniform_stays_between_its_bounds_and_fills_them():
    drawn = draws(Uniform(low_ms=2, high_ms=6))
    assert min(drawn) >= 2
    assert max(drawn) <= 6
    assert quantiles(drawn, n=4) == pytest.approx([3, 4, 5], abs=0.1)


def test_lognormal_has_its_median_and_a_long_tail():
    drawn = draws(LogNormal(median_ms=8, sigma=0.5))
    assert quantiles(drawn, n=2) == pytest.approx([8], rel=0.05)
    assert sorted(drawn)[int(0.99 * len(drawn))] == pytest.approx(8 * 3.2, rel=0.1)


def test_quantiles_are_met_where_they_were_measured_and_bound_the_rest():
    drawn = sorted(draws(Quantiles(points=((0.1, 4), (0.5, 5), (0.9, 20)))))
    assert (drawn[0], drawn[-1]) == (4, 20)
    assert drawn[len(drawn) // 2] == pytest.approx(5, rel=0.05)
    assert drawn[int(0.7 * len(drawn))] == pytest.approx(12.5, rel=0.1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("5", Fixed(ms=5), id="fixed"),
        pytest.param("3..8.5", Uniform(low_ms=3, high_ms=8.5), id="uniform"),
        pytest.param("lognormal:8:0.5", LogNormal(median_ms=8, sigma=0.5), id="lognormal"),
        pytest.param("quantiles:0.5=4,0.99=30", Quantiles(points=((0.5, 4), (0.99, 30))), id="quantiles"),
    ],
)
def test_the_command_line_names_distributions_in_short(text, wanted):
    assert parse_distribution(text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("latency=5", "choose from order-entry", id="no part"),
        pytest.param("all", "no distribution", id="no distribution"),
        pytest.param("all=soon", "no distribution", id="no number"),
        pytest.param("all=-1", ">= 0", id="negative"),
        pytest.param("all=8..3", "below", id="bounds the wrong way round"),
        pytest.param("all=lognormal:8", "no distribution", id="lognormal without sigma"),
        pytest.param("all=quantiles:0.9=4,0.5=9", "ascend", id="quantiles that fall"),
        pytest.param("all=nan", ">= 0", id="not a number"),
    ],
)
def test_a_latency_that_makes_no_sense_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_latencies([text], LatencySettings())


def test_parts_are_set_one_by_one_over_those_of_the_scenario():
    base = LatencySettings(order_entry=Fixed(ms=1), user_data=Fixed(ms=2))
    found = parse_latencies(["all=4", "user-data=9"], base)
    assert found == LatencySettings(
        order_entry=Fixed(ms=4), acknowledgement=Fixed(ms=4), market_data=Fixed(ms=4), user_data=Fixed(ms=9)
    )
    assert parse_latencies([], base) == base


def test_a_scenario_carries_latencies_and_is_refused_with_the_field_where_they_are_wrong():
    head = {"apiVersion": "phoenix.trading/v1alpha1", "kind": "Scenario"}
    latency = {"marketData": {"kind": "uniform", "lowMs": 1, "highMs": 3}}
    assert parse_scenario({**head, "spec": {"latency": latency}}, "x").latency.market_data == Uniform(1, 3)
    with pytest.raises(ScenarioError) as caught:
        parse_scenario({**head, "spec": {"latency": {"marketData": {"kind": "uniform", "lowMs": 4, "highMs": 3}}}}, "x")
    assert caught.value.field == "spec.latency.marketData"
    assert "below" in caught.value.reason


# ---- the line ---------------------------------------------------------------------------------------------------


async def test_a_line_keeps_the_order_whatever_is_drawn():
    arrived = []
    line = Latency(LatencySettings(market_data=WILD), 1, Clock()).line(Part.MARKET_DATA, arrived.append)
    for number in range(200):
        line.push(number)
        await asyncio.sleep(0)
    assert arrived != list(range(200))
    await line.drained()
    assert arrived == list(range(200))


async def test_a_line_that_is_cut_delivers_nothing_more():
    arrived = []
    line = Latency(LatencySettings(market_data=Fixed(ms=5)), 1, Clock()).line(Part.MARKET_DATA, arrived.append)
    line.push(1)
    line.clear()
    await line.drained()
    await asyncio.sleep(0.02)
    assert arrived == []


async def test_a_part_without_a_distribution_has_no_line():
    latency = Latency(LatencySettings(order_entry=WILD), 1, Clock())
    assert latency.line(Part.MARKET_DATA, print) is None


class ManualLoop:
    """Time that stands still; notes when timers would ring."""

    def __init__(self, monkeypatch):
        self.rings = []
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def time(self):
        return 100.0

    def call_at(self, when, _callback):
        self.rings.append(when)


@pytest.mark.parametrize(("seeds", "same"), [((3, 3), True), ((3, 4), False)], ids=["one seed", "another seed"])
def test_the_seed_decides_the_delays(monkeypatch, seeds, same):
    found = []
    for seed in seeds:
        loop = ManualLoop(monkeypatch)
        latency = Latency(LatencySettings(market_data=WILD), seed, Clock(rate=2.0))
        for _ in range(5):
            latency.line(Part.MARKET_DATA, print).push(b"x")
        found.append(loop.rings)
    assert (found[0] == found[1]) is same
    assert len(set(found[0])) == 5, "each connection has delays of its own"
    assert all(100.0 <= ring <= 100.0 + 0.040 / 2 for ring in found[0]), "simulated milliseconds"

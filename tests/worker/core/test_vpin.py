"""Section 1 and 2: toxicity of the flow, from the paper's own definition, with hysteresis and decay."""

import gzip
import math
import os
from pathlib import Path

import msgspec
import pytest
from core_world import World, of_kind
from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.vpin import WARM_BUCKETS, Vpin
from samples import MAKER, SECOND, VPIN, changed

RECORDING = Path(
    os.environ.get("PHOENIX_CAPTURE")
    or Path(__file__).resolve().parents[4] / "shared/data/binance-usdm/btcusdt_20240808.gz"
)
NOW = 1_000 * SECOND
SIZE = 10.0
"""Base units a bucket."""


def flow(**fields):
    return Vpin(day_volume=SIZE * VPIN.buckets_per_day, **fields)


def with_value(value, buckets=WARM_BUCKETS, **fields):
    """As of `NOW`, with a trade just now."""
    return flow(ring=[value] * buckets, average=value, last_trade_ns=NOW, **fields)


@pytest.mark.parametrize(
    ("trades", "value"),
    [
        ([(10.0, 1)] * 10, 1.0),
        ([(5.0, 1), (5.0, -1)] * 10, 0.0),
        ([(7.5, -1), (2.5, 1)] * 10, 0.5),
        ([(100.0, 1)], 1.0),
        ([(4.0, 1), (12.0, -1), (4.0, 1)] * 5, 0.2),
        ([(10.0, 1)] * 9, None),
        ([(10.0, 1)] * 9 + [(9.9, 1)], None),
        ([(10.0, 1)] * 100 + [(5.0, 1), (5.0, -1)] * 50, 0.0),
    ],
    ids=[
        "one side takes everything",
        "both take as much",
        "three quarters have one direction",
        "one trade fills many buckets",
        "a trade that ends one bucket begins the next",
        "too few buckets say nothing",
        "a bucket counts when it is full",
        "what left the window counts no more",
    ],
)
def test_it_is_the_mean_imbalance_of_the_last_buckets(trades, value):
    vpin = flow()
    for number, (qty, sign) in enumerate(trades):
        vpin.on_trade(NOW, number + 1, qty, sign, VPIN)
    told = vpin.value(NOW, VPIN)
    assert (told is None) == (value is None)
    assert value is None or math.isclose(told, value, abs_tol=1e-9)


def test_without_the_day_s_volume_nothing_is_counted():
    vpin = Vpin()
    assert not vpin.on_trade(NOW, 1, 1e9, 1, VPIN)
    assert vpin.value(NOW, VPIN) is None


def test_a_trade_that_is_told_again_counts_once():
    vpin = flow()
    for trade_id in (5, 5, 4):
        vpin.on_trade(NOW, trade_id, 3.0, 1, VPIN)
    assert vpin.filled == 3.0


@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.sampled_from([1, -1])), min_size=1, max_size=60))
def test_buckets_hold_all_volume_and_the_window_no_more_than_its_length(trades):
    vpin, poured = flow(), 0.0
    for number, (qty, sign) in enumerate(trades):
        vpin.on_trade(NOW, number + 1, qty, sign, VPIN)
        poured += qty
        assert 0.0 <= vpin.filled < SIZE * (1 + 1e-9)
        assert abs(vpin.imbalance) <= vpin.filled + 1e-6
        assert all(0.0 <= imbalance <= 1.0 for imbalance in vpin.ring)
        assert math.isclose(vpin.average * len(vpin.ring), math.fsum(vpin.ring), abs_tol=1e-9)
    assert len(vpin.ring) == min(VPIN.buckets, len(vpin.ring))
    if poured < VPIN.buckets * SIZE:
        assert math.isclose(len(vpin.ring) * SIZE + vpin.filled, poured, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("silent_s", "left"),
    [(0, 1.0), (60, 1.0), (120, 0.5), (180, 0.25), (60 + 600, 2.0**-10)],
    ids=["a trade just now", "a bucket's usual time", "a half life", "two", "ten minutes of silence"],
)
def test_it_halves_in_each_half_life_of_a_silence(silent_s, left):
    vpin = with_value(0.8)
    assert vpin.value(NOW + silent_s * SECOND, VPIN) == pytest.approx(0.8 * left)


def test_what_has_faded_stays_so_when_trades_come_again():
    vpin = with_value(0.8)
    vpin.on_trade(NOW + 120 * SECOND, 1, 0.001, 1, VPIN)
    assert vpin.value(NOW + 120 * SECOND, VPIN) == pytest.approx(0.4)
    for trade_id in range(2, 100):
        vpin.on_trade(NOW + (120 + trade_id) * SECOND, trade_id, 0.001, 1, VPIN)
    assert vpin.value(NOW + 220 * SECOND, VPIN) == pytest.approx(0.4), "a living market does not fade"


@pytest.mark.parametrize(
    ("value", "factor"),
    [(0.0, 1.0), (0.55, 1.0), (0.70, 1.75), (0.85, 2.5), (1.0, 2.5)],
    ids=["calm", "at threshold", "half way", "at halt", "beyond"],
)
def test_spreads_widen_linearly_from_threshold_to_halt(value, factor):
    assert with_value(value).widening(NOW, VPIN) == pytest.approx(factor)


def test_what_is_not_known_widens_nothing():
    assert flow().widening(NOW, VPIN) == 1.0


@pytest.mark.parametrize(
    ("halted", "value", "judged"),
    [
        (False, 0.85, False),
        (False, 0.86, True),
        (True, 0.86, True),
        (True, 0.71, True),
        (True, 0.70, True),
        (True, 0.69, False),
        (False, 0.75, False),
    ],
    ids=[
        "at halt it is still quoted",
        "above halt",
        "still above",
        "above resume",
        "at resume",
        "below resume",
        "what was not halted may be between the two",
    ],
)
def test_the_halt_has_hysteresis(halted, value, judged):
    vpin = with_value(value, halted=halted)
    vpin.judge(NOW, VPIN)
    assert vpin.halted is judged


def test_minutes_tell_the_day_s_volume_and_fill_the_first_buckets():
    vpin = Vpin()
    vpin.preload(NOW, [(0.0, 0.0)] * 100 + [(10.0, 10.0)] * 60, VPIN)
    assert vpin.day_volume == 10.0 * 1440, "of the minutes since it has traded"
    assert vpin.value(NOW, VPIN) == 1.0
    buckets = len(vpin.ring)
    vpin.preload(NOW, [(20.0, 10.0)] * 60, VPIN)
    assert vpin.day_volume == 20.0 * 1440
    assert len(vpin.ring) == buckets, "buckets of real trades are better"


def test_an_exchange_that_has_just_opened_is_not_toxic():
    """Of a market's first minutes nobody draws a day: its buckets would be an order or two."""
    vpin = Vpin()
    vpin.preload(NOW, [(0.0, 0.0)] * 100 + [(0.1, 0.1)] * 59, VPIN)
    for trade_id in range(1, 100):
        vpin.on_trade(NOW, trade_id, 1.0, 1, VPIN)
    assert (vpin.day_volume, vpin.value(NOW, VPIN)) == (0.0, None)


def test_minutes_without_trades_tell_nothing():
    vpin = Vpin()
    vpin.preload(NOW, [(0.0, 0.0)] * 30, VPIN)
    assert (vpin.day_volume, vpin.ring) == (0.0, [])


def test_smaller_buckets_end_what_is_fuller_than_they():
    vpin = flow()
    vpin.on_trade(NOW, 1, 9.0, 1, VPIN)
    finer = msgspec.structs.replace(VPIN, buckets_per_day=VPIN.buckets_per_day * 2)
    assert vpin.on_trade(NOW, 2, 1.0, -1, finer)
    assert vpin.ring == [1.0]
    assert (vpin.filled, vpin.imbalance) == (1.0, -1.0)


@pytest.fixture(scope="module")
def recorded():
    """(received ns, quantity, sign of the taker) of a BTCUSDT rally of nearly six minutes, and how long it lasts."""
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not here (PHOENIX_CAPTURE names another place)")
    trades = []
    with gzip.open(RECORDING, "rt") as lines:
        for line in lines:
            at, _, frame = line.partition(" ")
            if "@trade" in frame[:40] and (trade := msgspec.json.decode(frame)["data"])["X"] == "MARKET":
                trades.append((int(at), float(trade["q"]), -1 if trade["m"] else 1))
    return trades, (trades[-1][0] - trades[0][0]) / SECOND


@pytest.mark.parametrize(("bucket_s", "ends_at"), [(7, 0.57), (30, 0.33)])
def test_8_a_recorded_rally_is_below_the_default_threshold_where_buckets_are_not_noise(recorded, bucket_s, ends_at):
    trades, seconds = recorded
    parameters = msgspec.structs.replace(VPIN, buckets_per_day=86_400 // bucket_s)
    vpin = Vpin(day_volume=sum(qty for _, qty, _ in trades) / seconds * 86_400)
    for number, (at, qty, sign) in enumerate(trades):
        vpin.on_trade(at, number + 1, qty, sign, parameters)
    assert vpin.value(trades[-1][0], parameters) == pytest.approx(ends_at, abs=0.01)


# -- in the engine -----------------------------------------------------------------------------------


def one_sided(world, buckets, *, buyer_is_maker=True):
    """So many buckets of takers of one side, in the model's market of 10 a minute."""
    for _ in range(buckets):
        trade_id = world.engine.vpin.last_trade_id + 1
        world.tell(ev.Trade(0, world.exchange_ms, trade_id, 60_000.0, 10.0, buyer_is_maker))


def half_spread(world):
    return world.engine.view().half_spread_bps


def test_toxic_flow_widens_the_quotes_within_a_tick(world):
    usual = half_spread(world)
    one_sided(world, 33)
    world.wait(0.3)
    value = world.engine.view().vpin
    assert 0.55 < value < 0.85
    assert half_spread(world) == pytest.approx(usual * (1 + 1.5 * (value - 0.55) / 0.30))
    assert world.ours(), "it is still quoted"


def test_above_halt_nothing_is_quoted_until_it_falls_below_resume(world):
    one_sided(world, 50)
    world.wait(0.5)
    view = world.engine.view()
    assert (view.vpin, view.reasons, view.not_ready) == (1.0, [Reason.TOXIC_FLOW], [])
    assert not world.ours()
    while world.engine.vpin.value(world.now, VPIN) >= 0.70:
        assert not world.ours()
        for buyer_is_maker in (True, False):
            trade_id = world.engine.vpin.last_trade_id + 1
            world.tell(ev.Trade(0, world.exchange_ms, trade_id, 60_000.0, 5.0, buyer_is_maker))
        world.wait(0.1)
    world.wait(1.0)
    assert world.ours()
    notes = [note.text for note in of_kind(world.done, ac.Note) if note.text.startswith("VPIN")]
    assert [note.split(": ")[1] for note in notes] == ["nothing is quoted", "resumed"]
    world.replay()


def test_a_silence_ends_the_halt(world):
    one_sided(world, 50)
    world.wait(0.5)
    assert not world.ours()
    world.wait(95.0)
    assert world.ours(), "0.5 ** (35 / 60) of 1 is below 0.70"


def test_guards_live_on_while_the_flow_is_toxic():
    world = World()
    world.hold(112)
    world.start()
    one_sided(world, 50)
    world.wait(3.0)
    assert world.engine.liquidation.orders >= 1
    assert world.exchange.position == 0


@pytest.mark.parametrize(
    ("age_s", "taken_over"), [(0, True), (30, True), (61, False)], ids=["at once", "young enough", "of another market"]
)
def test_the_next_leader_goes_on_with_the_halt_where_it_is_young_enough(world, age_s, taken_over):
    one_sided(world, 50)
    world.wait(0.5)
    memory = world.engine.remember()
    fresh = World().start(memory=memory, age_ns=age_s * SECOND)
    assert fresh.engine.vpin.halted is taken_over
    if taken_over:
        assert fresh.engine.vpin.value(fresh.now, VPIN) == 1.0
        assert fresh.now - fresh.engine.vpin.last_trade_ns == pytest.approx((age_s + 0.5) * SECOND, abs=SECOND / 10)


def test_what_is_set_counts_at_once(world):
    one_sided(world, 33)
    world.wait(0.3)
    world.tell(ev.ParametersSet(0, changed(MAKER, vpin=msgspec.structs.replace(VPIN, halt=0.6, resume=0.58)), "b"))
    world.wait(0.3)
    assert world.engine.view().reasons == [Reason.TOXIC_FLOW]

"""A recording as a market: the same updates that its engine saw, from its first book on, and what is missing said."""

import zlib
from itertools import pairwise

import msgspec
import pytest
from phoenix_cli.refusal import Refused
from phoenix_cli.rehearsal import command
from phoenix_cli.rehearsal.compare import compare
from phoenix_cli.rehearsal.maker import EngineMaker
from phoenix_cli.rehearsal.recorded import RecordedMarket
from phoenix_cli.rehearsal.run import Conditions, Rehearsal
from phoenix_cli.rehearsal.survey import survey
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.source import (
    DepthUpdate,
    MarketKind,
    MarketStart,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.recording import BadRecordingError, SegmentReader, segments_of
from recordings import drained
from samples import BTCUSDT, MAKER

SPEC = BUILT_IN["BTCUSDT"]
MS, SECOND = 1_000_000, 1_000_000_000
EACH_WAY_NS = 4 * MS
OPENS_MS = 1_767_252_600_000
MID = 600_000
E8 = 100_000_000


class Walk:
    """A recorded market: the touch goes up and down in small steps and now and then a jump, each printed first."""

    symbol = "BTCUSDT"

    def __init__(self, steps=120):
        self.steps = steps

    def start(self):
        book = tuple((MID - 1 - i, 400) for i in range(60)), tuple((MID + i, 400) for i in range(60))
        return MarketStart(MarketKind.REPLAY, *book, MID * E8 // 10, MID * E8 // 10, 10_000, 1_000, 500)

    def updates(self, background):  # noqa: ARG002 - a recording does not look
        bid, update_id, trade_id = MID - 1, 1_000, 500
        for step in range(self.steps):
            now_ns = step * SECOND // 4 + 50 * MS
            up = (step // 30) % 2 == 0
            move = 240 if step % 10 == 9 else 5
            trade_id += 1
            price = bid + move if up else bid + 1 - move
            yield PrintUpdate(now_ns, trade_id, price, 500, not up)
            old, bid = bid, bid + move if up else bid - move
            levels = {tick: (400 if tick <= bid else 0) for tick in range(min(old, bid) - 1, max(old, bid) + 2)}
            asks = {tick: (400 if tick > bid else 0) for tick in range(min(old, bid) - 1, max(old, bid) + 3)}
            first, update_id = update_id + 1, update_id + 5
            yield DepthUpdate(now_ns + MS, tuple(levels.items()), tuple(asks.items()), first, update_id)
            yield TouchUpdate(now_ns + 2 * MS, update_id, bid, 400, bid + 1, 400)
            if step % 8 == 0:
                mark = (bid * 2 + 1) * E8 // 20
                yield MarkUpdate(now_ns + 3 * MS, mark, mark, 10_000)


class RecordingMaker(EngineMaker):
    """The engine of a worker, and its flight recorder."""

    def __init__(self, parameters, directory, *, memory=b"", **limits):
        super().__init__(parameters, BTCUSDT, memory)
        self.recorder = Recorder(directory, "BTCUSDT", build(), self.keyframe, lambda: 7, **limits)

    def keyframe(self):
        return self.engine.keyframe()

    def on(self, event):
        told = [ev.Canary(event.at), event] if isinstance(event, ev.Tick) else [event]
        actions = []
        for each in told:
            self.recorder.before()
            actions = self.engine.on(each)
            self.recorder.record(each, actions)
        self._ticked_ns = event.at if isinstance(event, ev.Tick) else self._ticked_ns
        drained(self.recorder)
        return actions


def memory():
    """Of an engine that has seen half an hour."""
    engine = Engine.new(MAKER, BTCUSDT, SECOND, dry_run=True)
    engine.on(ev.Minutes(SECOND, 0, [60_000.0 + 3.0 * (i % 2) for i in range(31)], [10.0] * 60, [5.0] * 60))
    return engine.remember()


def record(directory, source=None, **limits):
    maker = RecordingMaker(MAKER, directory, memory=memory(), **limits)
    conditions = Conditions(EACH_WAY_NS, opens_ms=OPENS_MS)
    figures = Rehearsal(SPEC, source or Walk(), maker, MAKER.net_max_steps, conditions).run(None)
    maker.recorder.close()
    return figures


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    directory = tmp_path_factory.mktemp("recordings") / "run"
    figures = record(directory)
    assert figures.fills > 5, "a run without fills shows nothing"
    return directory


@pytest.fixture(scope="module")
def surveyed(recording):
    return survey(recording)


def played(recording, surveyed):
    return list(RecordedMarket(recording, surveyed.spec.symbol, surveyed.start).updates(None))


# -- the market -----------------------------------------------------------------------------------------


def test_it_is_the_market_that_the_engine_saw_a_way_later(recording, surveyed):
    """Every update after the first book, the same ticks and steps and ids, its time shifted by one constant."""
    again = played(recording, surveyed)
    original = list(Walk().updates(None))[: len(again)]
    shift = {now.time_ns - then.time_ns for now, then in zip(again, original, strict=True)}
    assert len(shift) == 1
    plain = [msgspec.structs.replace(update, time_ns=0) for update in again]
    assert plain == [msgspec.structs.replace(update, time_ns=0) for update in original]
    assert len(again) > 365, "but for what was still on its way when the run ended"


def test_contract_clock_latency_and_fees_are_the_recorded_engines(surveyed):
    assert surveyed.parameters == MAKER
    assert surveyed.each_way_ns == EACH_WAY_NS
    assert 0 <= surveyed.opens_ms - OPENS_MS < 100
    spec = surveyed.spec
    same = ("tick_e8", "step_e8", "maker_rate_e8", "taker_rate_e8", "funding_interval_ms", "min_steps", "brackets")
    assert {name: getattr(spec, name) for name in same} == {name: getattr(SPEC, name) for name in same}
    assert surveyed.recorded.fills > 5
    assert surveyed.recorded.orders.places > 5
    assert surveyed.notes == []


def test_what_the_engine_knew_of_the_market_is_taken_along_and_the_account_is_not(tmp_path):
    """From a keyframe in the middle: statistics are those of its moment, position and results are nobody's."""
    record(tmp_path / "run", segment_bytes=46_000)
    *_, later, _ends_anywhere = segments_of(tmp_path / "run")  # the last may hold too little
    recorded = Engine.from_keyframe(SegmentReader(later).head.keyframe)
    assert recorded.account.pnl.fills
    fresh = Engine.new(MAKER, BTCUSDT, SECOND, dry_run=True)
    fresh.on(ev.Restored(SECOND, survey(later).memory, 0))
    assert fresh.statistics.ring == recorded.statistics.ring != []
    assert (fresh.account.pnl.fills, fresh.account.position.steps) == (0, 0)


# -- what is missing --------------------------------------------------------------------------------------


def test_a_recording_cut_in_half_is_played_to_the_cut_and_said(recording, tmp_path):
    data = segments_of(recording)[0].read_bytes()
    cut = tmp_path / "00000001.phx"
    cut.write_bytes(data[: len(data) // 2])
    half = survey(cut)
    assert any("has no end" in note or "cut inside" in note for note in half.notes)
    assert 0 < half.updates < survey(recording).updates


def test_after_a_hole_the_book_is_the_next_segments_own(tmp_path):
    whole = tmp_path / "run"
    record(whole, segment_bytes=46_000)
    paths = segments_of(whole)
    assert len(paths) > 3
    before = survey(whole)
    assert before.notes == []
    paths[1].unlink()
    holed = survey(whole)
    assert any("are missing" in note for note in holed.notes)
    updates = played(whole, holed)
    assert [a.time_ns <= b.time_ns for a, b in pairwise(updates)] == [True] * (len(updates) - 1)
    ids = [update.last_id for update in updates if isinstance(update, DepthUpdate)]
    assert ids == sorted(set(ids))
    market = RecordedMarket(whole, "BTCUSDT", holed.start)
    figures = Rehearsal(holed.spec, market, EngineMaker(MAKER, BTCUSDT, memory()), 100, Conditions()).run(None)
    assert figures.placed, "the market is whole enough to be quoted"


def test_a_recording_without_a_book_is_refused(tmp_path):
    engine = Engine.new(MAKER, BTCUSDT, SECOND, dry_run=True)
    recorder = Recorder(tmp_path / "run", "BTCUSDT", build(), engine.keyframe, lambda: 7)
    recorder.before()
    recorder.record(ev.Tick(SECOND), engine.on(ev.Tick(SECOND)))
    recorder.close()
    with pytest.raises(BadRecordingError, match="holds no market"):
        survey(tmp_path / "run")


def test_a_keyframe_of_another_build_is_refused_with_the_build_to_use(recording, tmp_path):
    head = SegmentReader(segments_of(recording)[0]).head
    head = msgspec.msgpack.encode(msgspec.structs.replace(head, build="0.0.1+old", keyframe=b"\x93\x01\x02\x03"))
    other = tmp_path / "00000001.phx"
    other.write_bytes(b"phoenix recording\n" + len(head).to_bytes(4, "big") + head + zlib.compress(b""))
    with pytest.raises(BadRecordingError, match=r"another build.*replay it with 0\.0\.1\+old"):
        survey(other)


# -- two sets on one recording ------------------------------------------------------------------------------


def silent(number, count):
    assert 1 <= number <= count == 4


@pytest.fixture(scope="module")
def compared(recording, surveyed):
    wider = msgspec.structs.replace(MAKER, min_spread_bps=MAKER.min_spread_bps + 6.0)
    return compare(recording, surveyed, wider, silent)


def test_the_recorded_parameters_against_themselves_differ_in_nothing(recording, surveyed):
    """Nothing but the parameters differs between the two runs, nor between two runs of the same."""
    for pair in compare(recording, surveyed, MAKER, silent).pairs:
        assert pair.recorded == pair.other


def test_every_sum_adds_up(compared):
    for pair in compared.pairs:
        for each in (pair.recorded, pair.other):
            assert each.result == pytest.approx(each.realised + each.unrealised - each.fees + each.funding)
            assert each.fills >= each.maker_fills


def test_wider_quotes_are_filled_less_and_an_optimistic_queue_never_fills_less(compared):
    pessimistic, optimistic = compared.pairs
    assert (pessimistic.queue, optimistic.queue) == ("pessimistic", "optimistic")
    assert pessimistic.other.volume < pessimistic.recorded.volume
    assert optimistic.recorded.volume >= pessimistic.recorded.volume > 0


# -- as a command -------------------------------------------------------------------------------------------

MANIFEST = """\
apiVersion: phoenix.trading/v1alpha1
kind: MarketMaker
metadata: {name: btcusdt}
spec:
  symbol: BTCUSDT
  netMax: "0.10"
  baseSize: "0.004"
"""


def maker_file(tmp_path, text=MANIFEST):
    file = tmp_path / "maker.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_both_are_printed_side_by_side_with_what_nobody_can_know(compared):
    said = command.text(compared, "maker.yaml")
    lines = said.splitlines()
    assert lines[0].startswith(f"BTCUSDT, recorded by {build()}: 30 s of market, ")
    assert lines[4].split() == ["RECORDED", "FILE", "CHANGE", "RECORDED", "FILE", "CHANGE"]
    assert [line for line in lines if line.startswith("result, quote ")]
    assert "note: a recording does not tell places in queues" in said


def test_a_file_is_rehearsed_beside_the_recorded_parameters(recording, tmp_path):
    read = msgspec.json.decode(command.rehearse(recording, maker_file(tmp_path), json=True))
    assert [pair["queue"] for pair in read["pairs"]] == ["pessimistic", "optimistic"]
    assert read["pairs"][0]["other"]["places"] > 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(MANIFEST.replace("BTCUSDT", "ETHUSDT"), "its makers trade ETHUSDT", id="another symbol"),
        pytest.param(MANIFEST.replace('"0.10"', '"-1"'), "spec.netMax", id="out of range"),
        pytest.param(MANIFEST.replace('"0.004"', '"0.0001"'), "less than one step", id="less than a step"),
        pytest.param(MANIFEST + "---\n" + MANIFEST, "holds 2 makers of BTCUSDT", id="two makers"),
        pytest.param("", "no document", id="empty"),
        pytest.param("spec: [", "maker.yaml:1", id="broken YAML"),
        pytest.param("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "holds no MarketMaker", id="another kind"),
    ],
)
def test_a_bad_file_is_one_clear_error(recording, tmp_path, text, says):
    with pytest.raises(Refused, match=says) as refused:
        command.rehearse(recording, maker_file(tmp_path, text), json=False)
    assert "maker.yaml" in str(refused.value)


def test_a_file_that_is_not_there_is_named(recording, tmp_path):
    with pytest.raises(Refused, match=r"absent\.yaml: error: cannot be read"):
        command.rehearse(recording, str(tmp_path / "absent.yaml"), json=False)

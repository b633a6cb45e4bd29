import gzip
import json
from decimal import Decimal

import pytest
from phoenix_simulator.exchange.events import DepthChanged, TouchChanged, TradePrinted
from phoenix_simulator.market.capture import CaptureError
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.replay import ReplaySource, validate
from phoenix_simulator.market.source import DepthUpdate, MarketKind, MarkUpdate, PrintUpdate, TouchUpdate
from phoenix_simulator.scenario import MarketPlan, Scenario, ScenarioError
from phoenix_simulator.server import ServerConfig, build_sources


def updates(*paths):
    return list(ReplaySource(paths).updates(None))


def frames(*paths):
    """The update ids of the depth frames."""
    return [(u.first_id, u.last_id) for u in updates(*paths) if isinstance(u, DepthUpdate)]


# ---- the opening ------------------------------------------------------------------------------------------------


def test_the_market_opens_with_the_snapshot_and_the_frames_received_before_it(capture):
    start = ReplaySource([capture().opening().write()]).start()
    assert start.kind is MarketKind.REPLAY
    assert start.bids == ((1000, 1000), (999, 500), (998, 3000))
    assert start.asks == ((1001, 2000),)
    assert start.last_update_id == 110


def test_frames_older_than_the_snapshot_are_not_applied(capture):
    start = ReplaySource([capture().opening().write()]).start()
    assert 990 not in dict(start.bids)


def test_the_replay_goes_on_with_the_lines_after_the_snapshot(capture):
    path = capture().opening().trade(7).touch(118).write()
    played = updates(path)
    assert [type(update) for update in played] == [DepthUpdate, PrintUpdate, TouchUpdate]
    assert [update.time_ns for update in played] == [1_000_000, 2_000_000, 3_000_000]


@pytest.mark.parametrize(("touch_id", "first"), [(109, None), (110, None), (111, TouchUpdate)])
def test_a_touch_newer_than_the_opening_book_is_told_first(capture, touch_id, first):
    path = capture().depth(106, 110, 105).touch(touch_id).snapshot(108).depth(112, 115, 110).write()
    opening = updates(path)[0]
    assert isinstance(opening, first or DepthUpdate)


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        pytest.param((105, 109, 104), True, id="spans_the_snapshot"),
        pytest.param((108, 108, 104), True, id="touches_it"),
        pytest.param((109, 112, 108), True, id="follows_it_exactly"),
        pytest.param((110, 112, 109), False, id="leaves_a_gap"),
    ],
)
@pytest.mark.parametrize("arrives", ["before", "after"])
def test_the_first_frame_must_reach_the_snapshot(capture, frame, fits, arrives):
    writer = capture().touch(90)
    if arrives == "before":
        writer.depth(*frame).snapshot(108)
    else:
        writer.snapshot(108).depth(*frame)
    path = writer.depth(frame[1] + 1, frame[1] + 5, frame[1]).write()
    if fits:
        assert validate([path]).depth_frames == (1 if arrives == "before" else 2)
    else:
        with pytest.raises(CaptureError, match="frames are missing between the snapshot"):
            validate([path])


def test_old_frames_that_arrive_after_the_snapshot_are_passed_over(capture):
    path = capture().touch(90).snapshot(108).depth(101, 104, 100).depth(105, 109, 104).write()
    assert frames(path) == [(105, 109)]


def test_mark_and_index_of_the_capture_are_repeated(capture):
    path = capture().mark("100.06000000").opening().mark("100.07000000").write()
    source = ReplaySource([path])
    assert source.start().mark_e8 == 10_006_000_000
    assert [u.mark_e8 for u in source.updates(None) if isinstance(u, MarkUpdate)] == [10_007_000_000]


def test_a_capture_without_marks_gets_them_from_the_mid_every_second(capture):
    writer = capture().opening()
    for second in range(1, 4):
        writer.time_ns += 999_000_000
        writer.depth(115 + second, 115 + second, 114 + second)
    source = ReplaySource([writer.write()])
    assert source.start().mark_e8 == 10_005_000_000
    assert len([u for u in source.updates(None) if isinstance(u, MarkUpdate)]) == 3


def test_every_pass_over_the_source_gives_the_same(capture):
    source = ReplaySource([capture().opening().touch(118).trade(7).write()])
    assert list(source.updates(None)) == list(source.updates(None))
    assert source.start() == source.start()


# ---- several files ----------------------------------------------------------------------------------------------


def test_a_capture_cut_in_two_plays_as_one(capture):
    whole = capture().opening().touch(118).depth(116, 120, 115).trade(7)
    lines = whole.lines
    parts = [capture().raw("\n".join(part)).write(name) for name, part in (("a", lines[:6]), ("b", lines[6:]))]
    assert updates(*parts) == updates(whole.write("whole"))


def test_a_later_capture_is_joined_by_one_frame_with_the_difference_and_a_short_pause(capture):
    first = capture().opening().write("first")
    later = capture(time_ns=1_700_009_000_000_000_000).depth(900, 910, 890)
    later.snapshot(905, bids=[("99.80", "3.000"), ("99.70", "1.000")], asks=[("100.10", "5.000")]).depth(911, 920, 910)
    joined = [u for u in updates(first, later.write("later")) if isinstance(u, DepthUpdate)]
    assert joined[1:] == [
        DepthUpdate(
            1_001_000_000,
            ((1000, 0), (999, 0), (997, 1000)),
            ((1001, 5000), (1002, 0)),
            116,
            910,
        ),
        DepthUpdate(1_002_000_000, (), (), 911, 920),
    ]


def test_files_out_of_order_are_refused(capture):
    first = capture().opening().write("first")
    second = capture().touch(1).depth(51, 60, 50).snapshot(55).depth(61, 70, 60).write("second")
    with pytest.raises(CaptureError, match="give files in order"):
        validate([first, second])


def test_files_of_two_symbols_are_refused(capture):
    other = capture(symbol="ETHUSDT").opening().write("other")
    with pytest.raises(CaptureError, match="one market is one symbol"):
        validate([capture().opening().write("first"), other])


# ---- refusals ---------------------------------------------------------------------------------------------------

BROKEN = {
    "frame_missing": (lambda c: c.depth(120, 125, 119), 6, "pu is 119 after u 115"),
    "frame_twice": (lambda c: c.depth(112, 115, 110), 6, "pu is 110 after u 115"),
    "book_crossed": (lambda c: c.depth(116, 117, 115, bids=[("100.10", "1.000")]), 6, "crossed or one-sided"),
    "side_emptied": (
        lambda c: c.depth(116, 117, 115, asks=[("100.10", "0.000"), ("100.20", "0.000")]),
        6,
        "crossed or one-sided",
    ),
    "touch_back_in_time": (lambda c: c.touch(118).touch(117), 7, "bookTicker u 117 after 118"),
    "trade_twice": (lambda c: c.trade(7).trade(7), 7, "trade id 7 after 7"),
    "trade_back_in_time": (lambda c: c.trade(7).trade(6), 7, "trade id 6 after 7"),
}


@pytest.mark.parametrize(("build", "line", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_lines_that_contradict_each_other_are_refused_before_anything_starts(capture, build, line, reason):
    path = build(capture().opening()).write()
    with pytest.raises(CaptureError) as refusal:
        ReplaySource([path])
    assert (refusal.value.path, refusal.value.line) == (path, line)
    assert reason in refusal.value.reason


def test_a_capture_without_snapshot_is_refused(capture):
    with pytest.raises(CaptureError, match="holds no depth snapshot"):
        validate([capture().depth(101, 105, 100).touch(106).write()])


def test_a_capture_that_ends_with_its_snapshot_is_refused(capture):
    with pytest.raises(CaptureError, match="no depth frame follows"):
        validate([capture().touch(106).snapshot(108).write()])


def test_no_file_at_all_is_refused():
    with pytest.raises(ValueError, match="no capture given"):
        validate([])


# ---- the summary ------------------------------------------------------------------------------------------------


def test_the_summary_counts_and_compares_the_book_with_the_touch(capture):
    path = (
        capture()
        .opening()
        .touch(116, ask=("100.10", "2.500"))
        .depth(116, 117, 115, asks=[("100.10", "2.500")])
        .touch(118, ask=("100.10", "7.000"))
        .depth(118, 119, 117, asks=[("100.10", "2.600")])
        .trade(7)
        .write()
    )
    summary = validate([path])
    assert (summary.symbol, summary.depth_frames, summary.touches, summary.trades) == ("BTCUSDT", 3, 2, 1)
    assert summary.duration_s == pytest.approx(0.006)
    assert (summary.compared_touches, summary.equal_touches) == (2, 1)


# ---- the recording ----------------------------------------------------------------------------------------------


def ticks(text):
    return int(Decimal(text) * 10)


def steps(text):
    return int(Decimal(text) * 1000)


def levels(rows):
    return tuple((ticks(price), steps(quantity)) for price, quantity in rows)


def recorded_frames(path):
    """What the file says after its snapshot, read without the code under test."""
    live = False
    with gzip.open(path) as file:
        for line in file:
            message = json.loads(line.partition(b" ")[2])
            if "lastUpdateId" in message:
                live = True
            elif live:
                data = message["data"]
                match data["e"]:
                    case "depthUpdate":
                        yield ("depth", data["U"], data["u"], levels(data["b"]), levels(data["a"]))
                    case "bookTicker":
                        bid, ask = (ticks(data["b"]), steps(data["B"])), (ticks(data["a"]), steps(data["A"]))
                        yield ("touch", data["u"], *bid, *ask)
                    case "trade":
                        yield ("trade", data["t"], ticks(data["p"]), steps(data["q"]), data["m"])


def public_frame(event):
    match event:
        case DepthChanged():
            return ("depth", event.first_id, event.last_id, event.bids, event.asks)
        case TouchChanged():
            touch = (event.bid_ticks, event.bid_steps, event.ask_ticks, event.ask_steps)
            return ("touch", event.update_id, *touch)
        case TradePrinted():
            return ("trade", event.trade_id, event.price_ticks, event.qty_steps, event.buyer_is_maker)
    return None


def test_the_recording_replayed_through_the_exchange_tells_the_public_exactly_its_own_frames(recording, stage):
    market = stage(ReplaySource([recording]))
    newest = 0
    for update in market.play():
        if isinstance(update, TouchUpdate) and update.update_id > newest:
            newest = update.update_id
            best = market.background.best_bid(), market.background.best_ask()
            depth_is_newer = market.exchange.listing("BTCUSDT").last_update_id >= update.update_id
            assert depth_is_newer or best == (
                (update.bid_ticks, update.bid_steps),
                (update.ask_ticks, update.ask_steps),
            )
    told = [frame for event in market.events if (frame := public_frame(event)) is not None]
    # The touch that was newest when the snapshot came is told first: clients need one to begin with.
    assert told[0][0] == "touch"
    assert told[1:] == list(recorded_frames(recording))


def test_the_recordings_book_shows_each_touch_once_it_has_caught_up(recording):
    summary = validate([recording])
    assert summary.equal_touches == summary.compared_touches == summary.depth_frames == 6545


def test_a_scenario_that_plans_a_market_for_the_recorded_symbol_is_refused(capture):
    """It would be ignored, and whoever wrote it would take the recording for the regime."""
    scenario = Scenario(markets={"BTCUSDT": MarketPlan(regime=RegimeName.JUMP)})
    config = ServerConfig(symbols=(), captures=(capture().opening().write(),), scenario=scenario)
    with pytest.raises(ScenarioError, match=r"spec\.markets\.BTCUSDT: this market is a recording"):
        build_sources(config)

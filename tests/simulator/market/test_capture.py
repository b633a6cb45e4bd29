import gzip

import pytest
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.capture import CaptureError, DepthRecord, SnapshotRecord, read
from phoenix_simulator.market.source import DepthUpdate, MarkUpdate, PrintUpdate, TouchUpdate


def records(path):
    return [line.record for line in read(path, BUILT_IN)]


def test_each_message_becomes_its_record_in_ticks_and_steps(capture):
    path = (
        capture()
        .depth(101, 105, 100, bids=[("99.90", "0.500")], asks=[("100.20", "0.000")])
        .touch(106)
        .trade(7, "100.10", "0.012", sell=True)
        .mark("100.05000000", "100.01000000", "-0.00010000")
        .snapshot(108)
        .write()
    )
    times = [1_700_000_000_001_000_000 + i * 1_000_000 for i in range(5)]
    assert records(path) == [
        DepthRecord(100, DepthUpdate(times[0], ((999, 500),), ((1002, 0),), 101, 105)),
        TouchUpdate(times[1], 106, 1000, 1000, 1001, 2000),
        PrintUpdate(times[2], 7, 1001, 12, True),
        MarkUpdate(times[3], 10_005_000_000, 10_001_000_000, -10_000),
        SnapshotRecord(108, ((1000, 1000),), ((1001, 2000),)),
    ]


def test_gzip_and_plain_files_read_the_same(capture):
    writer = capture().opening()
    assert records(writer.write("plain")) == records(writer.write("packed", compress=True))


def test_streams_that_are_not_replayed_are_passed_over(capture):
    path = (
        capture()
        .stream("depth5@500ms", e="depthUpdate", U=1, u=2, pu=0, b=[], a=[])
        .stream("aggTrade", e="aggTrade")
        .touch(5)
        .write()
    )
    assert [type(record) for record in records(path)] == [TouchUpdate]


def test_a_snapshot_ahead_of_all_streams_waits_until_the_symbol_is_known(capture):
    path = capture().snapshot(108).touch(109).write()
    assert [type(record) for record in records(path)] == [SnapshotRecord, TouchUpdate]


def test_fields_the_venue_adds_later_are_ignored(capture):
    path = (
        capture().stream("trade", e="trade", t=7, p="100.10", q="0.010", m=False, st=1, ps="BTCUSDT", new=[1]).write()
    )
    assert len(records(path)) == 1


BROKEN = {
    "no_time": (lambda c: c.raw('{"stream": "x"}'), 1, "local receive time"),
    "time_not_a_number": (lambda c: c.raw("12a {}"), 1, "local receive time"),
    "no_message": (lambda c: c.raw("1700000000000000000"), 1, "local receive time"),
    "time_runs_backwards": (lambda c: c.touch(1).raw("5 {}"), 2, "runs backwards"),
    "not_json": (lambda c: c.touch(1).raw("1800000000000000000 {oops"), 2, "not a message of the venue"),
    "json_but_no_object": (lambda c: c.raw("1 [1]"), 1, "not a message of the venue"),
    "object_without_stream": (lambda c: c.raw('1 {"e": "trade"}'), 1, "neither a stream message"),
    "missing_field": (lambda c: c.stream("trade", e="trade", t=1, p="1.0"), 1, "missing required field `q`"),
    "wrong_type": (lambda c: c.stream("bookTicker", u="5", b="1", B="1", a="2", A="1"), 1, "Expected `int`"),
    "price_a_number": (lambda c: c.stream("trade", t=1, p=1.5, q="1", m=False), 1, "Expected `str`"),
    "unknown_symbol": (lambda c: c.stream("trade", t=1, p="1", q="1", m=False), 1, "known are BTCUSDC"),
    "second_symbol": (
        lambda c: c.touch(1).raw(
            f'{c.time_ns} {{"stream":"e@trade","data":{{"s":"ETHUSDT","t":1,"p":"1","q":"1","m":true}}}}'
        ),
        2,
        "a capture holds one symbol",
    ),
    "two_diff_depth_streams": (
        lambda c: c.depth(2, 3, 1).depth(5, 6, 3, kind="depth@100ms"),
        2,
        "one diff depth stream",
    ),
    "off_the_price_grid": (lambda c: c.trade(1, "100.15"), 1, "multiple of the tick size 0.1"),
    "off_the_quantity_grid": (lambda c: c.trade(1, "100.10", "0.0105"), 1, "multiple of the step size 0.001"),
    "negative_price": (lambda c: c.trade(1, "-100.10"), 1, "not a plain decimal"),
    "exponent": (lambda c: c.trade(1, "1e3"), 1, "not a plain decimal"),
    "empty_price": (lambda c: c.trade(1, ""), 1, "not a plain decimal"),
    "dot_without_digits": (lambda c: c.trade(1, "5."), 1, "not a plain decimal"),
    "other_digits": (lambda c: c.trade(1, "٣.٠"), 1, "not a plain decimal"),
    "finer_than_anything": (lambda c: c.mark("1.123456789"), 1, "finer than 1e-8"),
    "price_zero": (lambda c: c.trade(1, "0.00"), 1, "price or quantity 0"),
    "mark_zero": (lambda c: c.mark("0.0"), 1, "mark or index price of 0"),
    "ids_descend": (lambda c: c.depth(10, 9, 5), 1, "do not ascend"),
    "previous_id_not_before": (lambda c: c.depth(10, 11, 10), 1, "do not ascend"),
    "crossed_touch": (lambda c: c.touch(1, ("100.10", "1.0"), ("100.10", "1.0")), 1, "not below best ask"),
    "touch_without_quantity": (lambda c: c.touch(1, ("100.00", "0.000")), 1, "quantity 0"),
    "snapshot_one_sided": (lambda c: c.touch(1).snapshot(5, asks=[]), 2, "empty side"),
    "snapshot_crossed": (lambda c: c.touch(1).snapshot(5, bids=[("100.20", "1")]), 2, "crossed"),
    "snapshot_with_zero": (lambda c: c.touch(1).snapshot(5, bids=[("100.00", "0.000")]), 2, "quantity 0"),
    "snapshot_level_cut": (lambda c: c.touch(1).snapshot(5, bids=[("100.00",)]), 2, "not a message of the venue"),
}


@pytest.mark.parametrize(("build", "line", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_line_is_refused_with_file_line_and_reason(capture, build, line, reason):
    symbol = "XRPUSDT" if reason.startswith("known are") else "BTCUSDT"
    path = build(capture(symbol=symbol)).write()
    with pytest.raises(CaptureError) as refusal:
        records(path)
    assert (refusal.value.path, refusal.value.line) == (path, line)
    assert reason in refusal.value.reason
    assert str(refusal.value).startswith(f"{path}, line {line}: ")


def test_an_empty_file_is_refused(capture):
    with pytest.raises(CaptureError, match="the file is empty"):
        records(capture().write())


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        records(tmp_path / "nowhere")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(CaptureError, match="cannot be read"):
        records(tmp_path)


@pytest.mark.parametrize("damage", ["cut_short", "flipped"])
def test_damaged_compression_is_refused(tmp_path, capture, damage):
    whole = gzip.compress(capture().opening().write().read_bytes() * 50)
    broken = whole[:-20] if damage == "cut_short" else whole[:60] + bytes([whole[60] ^ 0xFF]) + whole[61:]
    path = tmp_path / "damaged.gz"
    path.write_bytes(broken)
    with pytest.raises(CaptureError) as refusal:
        records(path)
    assert refusal.value.path == path

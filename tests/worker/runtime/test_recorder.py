import threading

import pytest
from phoenix_worker.core.actions import encode_actions
from phoenix_worker.runtime import recorder as recorder_module
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.recording import BadRecordingError, SegmentReader, failure_of, segment_name, segments_of
from recordings import drained


@pytest.fixture
def record(tmp_path, engine):
    """Runs events through an engine into a recorder, as the shell does; the directory of the recording."""

    def run(events, *, directory=tmp_path / "runs" / "one", close=True, **limits):
        recorder = Recorder(directory, "BTCUSDT", "build-1", engine.keyframe, lambda: 7, **limits)
        for number, event in enumerate(events):
            recorder.before()
            recorder.record(event, engine.on(event))
            if number % 200 == 199:
                drained(recorder)
        recorder.flush()
        if close:
            recorder.close()
        return recorder, directory

    return run


def frames_of(directory):
    return [frame for path in segments_of(directory) for frame in SegmentReader(path).frames()]


def test_every_event_comes_back_with_the_bytes_of_its_actions(record, engine, market):
    twin = type(engine).from_keyframe(engine.keyframe())
    events = list(market(500))
    recorder, directory = record(events)
    frames = frames_of(directory)
    assert [frame.event for frame in frames] == events
    for frame in frames:
        actions = twin.on(frame.event)
        assert frame.actions == (encode_actions(actions) if actions else b"")
    assert recorder.statistics().recorded == len(events)
    assert recorder.statistics().dropped == 0


def test_an_orderly_end_is_told_from_a_cut_one(record, market):
    _, directory = record(market(100))
    (path,) = segments_of(directory)
    reader = SegmentReader(path)
    assert len(list(reader.frames())) == 120
    assert reader.cut == ""


def test_segments_are_capped_and_each_starts_with_a_keyframe(record, engine, market):
    _, directory = record(market(20_000), segment_bytes=20_000)
    segments = segments_of(directory)
    assert len(segments) > 2
    first_events = []
    for path in segments:
        reader = SegmentReader(path)
        type(engine).from_keyframe(reader.head.keyframe)
        first_events.append((reader.head.first_event, sum(1 for _ in reader.frames())))
    at = 0
    for first, count in first_events:
        assert first == at, "nothing is missing between two segments"
        at += count
    assert at == 24_000


def test_all_runs_of_a_worker_together_stay_below_the_cap(record, market, tmp_path):
    for run in ("20260101", "20260102", "20260103"):
        record(market(4000), directory=tmp_path / "runs" / run, segment_bytes=10_000, total_bytes=60_000)
    left = sorted((tmp_path / "runs").rglob("*.phx"))
    assert sum(path.stat().st_size for path in left) <= 60_000 + 25_000, "the open segment may pass its cap by a chunk"
    assert left[-1].parent.name == "20260103", "the newest stay"
    assert not (tmp_path / "runs" / "20260101").exists(), "a run without segments leaves no directory"


@pytest.mark.parametrize("lost", [1, 3, 40, 400])
def test_of_a_crash_only_the_tail_is_lost(record, market, lost):
    _, directory = record(market(2000))
    (path,) = segments_of(directory)
    whole = frames_of(directory)
    path.write_bytes(path.read_bytes()[:-lost])
    reader = SegmentReader(path)
    left = list(reader.frames())
    assert left == whole[: len(left)]
    assert reader.cut


def test_a_process_that_was_killed_leaves_a_recording_without_its_end(record, market):
    recorder, directory = record(market(100), close=False)
    recorder._writer.stop(5)  # the thread has written what it got; nobody ended the segment
    (path,) = segments_of(directory)
    reader = SegmentReader(path)
    assert len(list(reader.frames())) == 120
    assert "did not stop in order" in reader.cut


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(lambda _: b"", "is no recording", id="an empty file"),
        pytest.param(lambda data: b"phoenix recordinG\n" + data[18:], "is no recording", id="another file"),
        pytest.param(lambda data: data[:30], "head is cut", id="half a head"),
        pytest.param(lambda data: data[:22] + b"\xc1" * 40 + data[62:], "head is cut or damaged", id="a broken head"),
        pytest.param(lambda data: data[:-600] + b"\xff" * 600, "damaged|cannot read", id="a broken body"),
    ],
)
def test_damage_is_one_clear_error(record, market, damage, says):
    _, directory = record(market(2000))
    (path,) = segments_of(directory)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadRecordingError, match=says):
        list(SegmentReader(path).frames())


def test_a_directory_of_runs_names_them(record, market, tmp_path):
    record(market(10))
    with pytest.raises(BadRecordingError, match="runs/one"):
        segments_of(tmp_path)
    with pytest.raises(BadRecordingError, match="holds no recording"):
        segments_of(tmp_path / "nothing")


@pytest.mark.parametrize(
    "place",
    ["one", "maker/one", "recordings/maker/one", "state/recordings/maker/one"],
    ids=["a maker's", "all makers'", "a state directory", "the demo's"],
)
def test_runs_are_found_where_workers_put_them(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / segment_name(1)).touch()
    with pytest.raises(BadRecordingError, match=f"name one of these runs: {tmp_path / place}$"):
        segments_of(tmp_path)


def test_a_tree_of_something_else_is_not_searched(tmp_path):
    elsewhere = tmp_path / "a" / "b" / "c"
    elsewhere.mkdir(parents=True)
    (elsewhere / segment_name(1)).touch()
    with pytest.raises(BadRecordingError, match="name a segment"):
        segments_of(tmp_path)


def test_a_disk_that_refuses_costs_the_recording_and_nothing_else(tmp_path, record, market, monkeypatch):
    monkeypatch.setattr(recorder_module, "RETRY_EVENTS", 100)
    (tmp_path / "runs").write_text("a file where a directory should be")
    recorder, _ = record(market(1000))
    told = recorder.statistics()
    assert told.failure
    assert told.dropped > 0
    assert told.written_bytes == 0


def test_when_the_disk_cannot_keep_up_events_are_dropped_counted_and_recording_goes_on(
    tmp_path, engine, market, monkeypatch
):
    monkeypatch.setattr(recorder_module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(recorder_module, "RETRY_EVENTS", 50)
    go_on = threading.Event()
    write = recorder_module._Segment.write

    def slow(segment, frames):
        go_on.wait(20)
        return write(segment, frames)

    monkeypatch.setattr(recorder_module._Segment, "write", slow)
    directory = tmp_path / "runs" / "slow"
    recorder = Recorder(directory, "BTCUSDT", "b", engine.keyframe, lambda: 7, pending_bytes=20_000)
    events = list(market(3000))
    for number, event in enumerate(events):
        recorder.before()
        recorder.record(event, engine.on(event))
        if number == 2000:
            assert recorder.statistics().dropped > 0
            go_on.set()
        if number >= 2000 and number % 100 == 0:  # from here on the disk keeps up
            drained(recorder)
    recorder.close()
    told = recorder.statistics()
    assert told.recorded + told.dropped == len(events)
    assert told.dropped < 2100
    segments = segments_of(directory)
    assert len(segments) == 2, "a gap cannot be replayed: a new segment"
    frames = frames_of(directory)
    assert len(frames) == told.recorded
    second = SegmentReader(segments[1])
    assert [frame.event for frame in second.frames()] == events[second.head.first_event :]


def test_an_event_that_the_engine_could_not_take_is_kept(tmp_path, engine, market):
    recorder = Recorder(tmp_path / "run", "BTCUSDT", "b", engine.keyframe, lambda: 7)
    (event, *_) = market(1)
    recorder.before()
    recorder.record_failure(event, KeyError("x"))
    recorder.close()
    (frame,) = frames_of(tmp_path / "run")
    assert frame.event == event
    assert frame.actions == failure_of(KeyError("x"))

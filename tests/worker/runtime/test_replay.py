import msgspec
import pytest
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.recording import BadRecordingError, SegmentReader, segments_of
from phoenix_worker.runtime.replay import replay
from recordings import drained

SECOND = 1_000_000_000


@pytest.fixture
def story(market):
    """A worker that comes up, sees a market, loses its lease and is told to stop: events with and without actions."""
    at = SECOND
    return [
        ev.Coordination(at, reachable=True),
        ev.Emergency(at, ev.EmergencyLevel.NONE, 0, ""),
        ev.ClockSynced(at, 1_700_000_000 * SECOND, 1000),
        ev.Lease(at, 77, at + 4 * SECOND, "k3f9a0"),
        ev.StreamOpened(at, ev.Stream.BOOK),
        ev.StreamOpened(at, ev.Stream.USER),
        *market(300, at),
        ev.Lease(at + 4 * SECOND, 0, 0, "k3f9a0"),
        ev.Stop(at + 5 * SECOND, "test"),
        *(ev.Tick(at + 5 * SECOND + n * SECOND // 20) for n in range(400)),
    ]


@pytest.fixture
def recorded(tmp_path, engine, story):
    def record(events=story, name="run", build_name=None, **limits):
        directory = tmp_path / name
        recorder = Recorder(directory, "BTCUSDT", build_name or build(), engine.keyframe, lambda: 7, **limits)
        for number, event in enumerate(events):
            recorder.before()
            recorder.record(event, engine.on(event))
            if number % 200 == 199:
                drained(recorder)
        recorder.close()
        return directory

    return record


def test_a_recording_replayed_decides_the_same_byte_for_byte(recorded, story):
    report = replay(recorded())
    assert report.same
    assert report.complete
    assert report.events == len(story)
    assert report.decisions > 5, "a story in which nothing is asked for proves nothing"
    assert report.notes == []


def test_segments_follow_on_and_each_keyframe_is_compared_with_the_replayed_state(recorded, market):
    directory = recorded(list(market(20_000)), segment_bytes=20_000)
    assert len(segments_of(directory)) > 2
    report = replay(directory)
    assert report.same
    assert report.complete
    assert report.events == 24_000


def test_an_engine_that_decides_otherwise_is_found_at_the_event(recorded, monkeypatch):
    directory = recorded()
    on = Engine.on

    def otherwise(self, event):
        actions = on(self, event)
        return actions[:-1] if type(event) is ev.Stop else actions

    monkeypatch.setattr(Engine, "on", otherwise)
    report = replay(directory)
    assert not report.same
    assert report.differences[0].event[0] == "Stop"
    assert len(report.differences[0].recorded) == len(report.differences[0].replayed) + 1


def test_an_engine_that_raises_now_differs_and_one_that_raised_then_does_not(tmp_path, engine, story, monkeypatch):
    def broken(_self, event):
        raise KeyError(type(event).__name__)

    recorder = Recorder(tmp_path / "run", "BTCUSDT", build(), engine.keyframe, lambda: 7)
    recorder.before()
    recorder.record_failure(story[0], KeyError("Coordination"))
    recorder.close()
    assert not replay(tmp_path / "run").same, "this engine takes the event that the recorded one could not"
    monkeypatch.setattr(Engine, "on", broken)
    assert replay(tmp_path / "run").same


def test_a_cut_tail_is_said_and_what_is_left_is_replayed(recorded):
    directory = recorded()
    (path,) = segments_of(directory)
    path.write_bytes(path.read_bytes()[:-100])
    report = replay(directory)
    assert report.same
    assert not report.complete
    assert "00000001.phx" in report.notes[0]


def test_after_a_gap_the_engine_starts_anew_and_it_is_said(recorded, market):
    directory = recorded(list(market(20_000)), segment_bytes=20_000)
    segments_of(directory)[1].unlink()
    report = replay(directory)
    assert report.same
    assert not report.complete
    assert any("were dropped" in note for note in report.notes)


def test_a_damaged_segment_is_said_and_the_others_are_replayed(recorded, market):
    directory = recorded(list(market(20_000)), segment_bytes=20_000)
    whole = replay(directory).events
    path = segments_of(directory)[1]
    path.write_bytes(path.read_bytes()[:-3000] + b"\xff" * 3000)
    report = replay(directory)
    assert report.same
    assert not report.complete
    assert 0 < report.events < whole
    assert any("damaged" in note for note in report.notes)


def test_actions_that_cannot_be_read_are_a_difference_and_are_said(recorded, monkeypatch):
    directory, frames = recorded(), SegmentReader.frames

    def damaged(self):
        for frame in frames(self):
            yield msgspec.structs.replace(frame, actions=bytes(9)) if frame.actions else frame

    monkeypatch.setattr(SegmentReader, "frames", damaged)
    report = replay(directory)
    assert not report.same
    assert "9 bytes that cannot be read" in report.differences[0].recorded[0]


def test_a_recording_of_another_build_is_said(recorded):
    report = replay(recorded(build_name="0.0.1+old"))
    assert report.same
    assert "recorded by 0.0.1+old" in report.notes[0]


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(BadRecordingError, match="holds no recording"):
        replay(tmp_path)
    (tmp_path / "x.phx").write_text("no")
    with pytest.raises(BadRecordingError, match="is no recording"):
        replay(tmp_path)

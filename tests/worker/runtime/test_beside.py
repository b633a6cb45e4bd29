"""The place beside the live engine: a shadow begins, ends and fails there alone, and is recorded apart."""

import pytest
from core_world import World
from phoenix_worker.core import actions as act
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.shadow import Shadow
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.recording import SegmentReader, segments_of
from phoenix_worker.runtime.replay import replay
from recordings import drained
from samples import MAKER


@pytest.fixture
def live():
    """An engine that quotes, in a world of its own; its later events come from there."""
    return World().start()


def defective(*_):
    raise ZeroDivisionError("a defect")


def begin(beside, world):
    return beside.step(ev.ParametersSet(world.now, MAKER, "second", MAKER), world.engine)


def test_without_a_second_set_there_is_none(live, logged):
    beside = Beside(logged.log)
    assert beside.step(ev.Tick(live.now), live.engine) == b""
    assert (beside.shadow, beside.view(), beside.keyframe()) == (None, None, b"")
    assert logged.read() == []


def test_it_begins_and_ends_with_the_parameters_and_says_so(live, logged):
    beside = Beside(logged.log)
    assert begin(beside, live)
    assert beside.view() is not None
    assert beside.step(ev.ParametersSet(live.now, MAKER, "third"), live.engine) == b""
    assert beside.shadow is None
    assert [(line["event"], line["hash"]) for line in logged.read()] == [
        ("shadow begins", "second"),
        ("shadow ended", "third"),
    ]


def test_a_defect_ends_it_alone_until_parameters_change(live, logged, monkeypatch):
    beside = Beside(logged.log)
    begin(beside, live)
    before = live.engine.keyframe()
    with monkeypatch.context() as patched:
        patched.setattr(Shadow, "on", defective)
        assert b"ZeroDivisionError" in beside.step(ev.Tick(live.now), live.engine)
    assert (beside.shadow, beside.failures) == (None, 1)
    assert live.engine.keyframe() == before
    assert beside.step(ev.Tick(live.now), live.engine) == b"", "it stays away"
    assert begin(beside, live)
    assert beside.shadow is not None
    said = logged.read()
    assert [line["event"] for line in said] == ["shadow begins", "shadow failed", "shadow begins"]
    assert "ZeroDivisionError" in said[1]["stack"]


class Recorded:
    """A world whose engine is recorded with what stands beside it."""

    def __init__(self, directory, **limits):
        self.world = World()
        self.engine = self.world.engine
        self.beside = Beside()
        keyframes = {"shadow_keyframe": self.beside.keyframe}
        self.recorder = Recorder(directory, "BTCUSDT", build(), self.engine.keyframe, lambda: 7, **keyframes, **limits)
        self.world.run.engine = self

    def on(self, event):
        self.recorder.before()
        actions = self.engine.on(event)
        self.recorder.record(event, actions, self.beside.step(event, self.engine))
        return actions

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def play(self):
        """It comes up, is given a shadow, trades, and loses the shadow again."""
        world = self.world.start()
        world.wait(1.0)
        world.tell(ev.ParametersSet(0, MAKER, "second", MAKER))
        for bid in range(600_000, 600_200, 10):
            world.market(bid)
            world.wait(0.5)
            drained(self.recorder)
        world.fill(world.ours()[0])
        world.wait(1.0)
        world.tell(ev.ParametersSet(0, MAKER, "third"))
        world.wait(1.0)
        self.recorder.close()
        return world


def test_what_it_asks_for_is_recorded_apart_and_replays_byte_for_byte(tmp_path):
    directory = tmp_path / "run"
    Recorded(directory).play()
    report = replay(directory)
    assert report.same
    assert report.complete
    assert report.shadow is not None
    assert 0 < report.shadow.events < report.events
    assert report.shadow.orders.places > 5
    assert report.orders.places > 5
    frames = [frame for path in segments_of(directory) for frame in SegmentReader(path).frames()]
    assert b"shadow" in b"".join(frame.shadow for frame in frames)
    assert b"pxshadow" not in b"".join(frame.actions for frame in frames), "no live order carries its mark"


def test_each_segment_can_be_replayed_alone_with_its_keyframe_of_the_shadow(tmp_path):
    directory = tmp_path / "run"
    recorded = Recorded(directory, segment_bytes=8_000)
    recorded.play()
    segments = segments_of(directory)
    assert len(segments) > 2
    assert [bool(SegmentReader(path).head.shadow) for path in segments][1]
    assert all(replay(path).same for path in segments)
    assert replay(directory).same


def test_a_shadow_that_decides_otherwise_is_found_and_said_to_be_the_shadows(tmp_path, monkeypatch):
    directory = tmp_path / "run"
    Recorded(directory).play()
    on = Shadow.on
    monkeypatch.setattr(Shadow, "on", lambda self, event, live: [*on(self, event, live), act.FetchTouch()])
    report = replay(directory)
    assert not report.same
    assert report.differences[0].shadow
    assert report.shadow is not None
    assert report.shadow.differing == report.differing


def test_a_defect_of_the_shadow_replays_as_the_same_defect(tmp_path, monkeypatch):
    monkeypatch.setattr(Shadow, "_do", defective)
    directory = tmp_path / "run"
    Recorded(directory).play()
    report = replay(directory)
    assert report.same
    assert report.shadow is not None
    assert report.shadow.events == 1


def test_an_engine_that_raises_has_no_shadow_to_ask(tmp_path, monkeypatch, live):
    recorder = Recorder(tmp_path / "run", "BTCUSDT", build(), live.engine.keyframe, lambda: 7)
    recorder.before()
    recorder.record_failure(ev.Tick(live.now), ZeroDivisionError("a defect"))
    recorder.close()
    monkeypatch.setattr(Engine, "on", defective)
    report = replay(tmp_path / "run")
    assert report.same
    assert report.shadow is None

"""Runs a flight recording through the engine again: the same events must give the same actions, byte for byte. So must
the shadow beside it, where there was one.

What is missing from a recording is said, never guessed: an event cut in half at the end is left out, after a gap the
engine starts anew from the next segment's keyframe, and damage ends the replay with what has been compared so far.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from phoenix_worker.core.actions import encode_actions
from phoenix_worker.core.engine import Engine
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.recording import BadRecordingError, Frame, Head, SegmentReader, failure_of, segments_of

MOST_DIFFERENCES = 20
"""Once decisions differ the rest follows from it: a few are enough to see where it began."""


class Difference(msgspec.Struct, frozen=True):
    """One event to which this engine (the shadow, where it says so) answers otherwise. Actions as plain data, oldest
    first.
    """

    event_number: int
    segment: str
    event: object
    recorded: list[object]
    replayed: list[object]
    shadow: bool = False


class Orders(msgspec.Struct):
    """Commands about orders that were asked for."""

    places: int = 0
    amends: int = 0
    cancels: int = 0

    def count(self, actions: bytes) -> None:
        for action in _plain(actions):
            match action:
                case ["Place", *_]:
                    self.places += 1
                case ["Amend", *_]:
                    self.amends += 1
                case ["Cancel", *_]:
                    self.cancels += 1
                case _:
                    pass


class ShadowReport(msgspec.Struct):
    """What the shadow was recorded to ask for, over the `events` beside which it stood."""

    events: int = 0
    decisions: int = 0
    differing: int = 0
    orders: Orders = msgspec.field(default_factory=Orders)


class Report(msgspec.Struct, frozen=True):
    """`events` replayed, `decisions` of them with actions, `differences` (at most 20 are kept, `differing` counts all,
    the shadow's included). `orders` are the recorded commands; `shadow` is None where there was none.

    `notes` say what is missing or foreign: gaps, cut ends, another build. `complete`: nothing was missing.
    """

    events: int
    decisions: int
    differing: int
    differences: list[Difference]
    notes: list[str]
    complete: bool
    build: str
    symbol: str
    orders: Orders = msgspec.field(default_factory=Orders)
    shadow: ShadowReport | None = None

    @property
    def same(self) -> bool:
        return self.differing == 0


class _Run:
    """The engine between two segments, and what has been found so far."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.beside = Beside()
        self.orders = Orders()
        self.shadow: ShadowReport | None = None
        self.events = self.decisions = self.differing = 0
        self.expected = 0
        self.differences: list[Difference] = []
        self.notes: list[str] = []
        self.missing = False

    def begin(self, reader: SegmentReader, name: str) -> None:
        """Goes on with the engine where the segment follows on, else starts from its keyframe."""
        head = reader.head
        if self.engine is not None and head.first_event == self.expected:
            self._compare_keyframes(self.engine, head, name)
            return
        if self.engine is not None:
            self.missing = True
            self.notes.append(f"{name}: {head.first_event - self.expected} events before it were dropped: starts anew")
        self.engine, self.beside = _engines_of(head, name)
        self.expected = head.first_event

    def _compare_keyframes(self, engine: Engine, head: Head, name: str) -> None:
        what = "state at the start of the segment"
        if engine.keyframe() != head.keyframe:
            self._differs(Difference(head.first_event, name, f"the engine's {what}", [], []))
        if self.beside.keyframe() != head.shadow:
            self._differs(Difference(head.first_event, name, f"the shadow's {what}", [], [], shadow=True))
        if self.differing:
            self.engine, self.beside = _engines_of(head, name)

    def step(self, frame: Frame, name: str) -> None:
        if self.engine is None:
            raise BadRecordingError(f"{name}: an event before any keyframe")
        shadow = b""
        try:
            actions = self.engine.on(frame.event)
            replayed = encode_actions(actions) if actions else b""
        except Exception as error:  # noqa: BLE001 - a replay exists to find these; it is compared with what was recorded
            replayed = failure_of(error)
        else:
            shadow = self.beside.step(frame.event, self.engine)
        self.orders.count(frame.actions)
        if shadow or frame.shadow or self.beside.shadow is not None:
            self._step_beside(frame, shadow, name)
        if replayed != frame.actions:
            event = msgspec.to_builtins(frame.event)
            self._differs(Difference(self.expected, name, event, _plain(frame.actions), _plain(replayed)))
        self.events += 1
        self.expected += 1
        self.decisions += bool(replayed)

    def _step_beside(self, frame: Frame, replayed: bytes, name: str) -> None:
        report = self.shadow = self.shadow or ShadowReport()
        report.events += 1
        report.decisions += bool(replayed)
        report.orders.count(frame.shadow)
        if replayed != frame.shadow:
            report.differing += 1
            event = msgspec.to_builtins(frame.event)
            plain = _plain(frame.shadow), _plain(replayed)
            self._differs(Difference(self.expected, name, event, *plain, shadow=True))

    def _differs(self, difference: Difference) -> None:
        self.differing += 1
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(difference)


def replay(recording: Path) -> Report:
    """Replays a segment or a directory of them; raises `BadRecordingError` where nothing can be replayed."""
    run = _Run()
    segments = segments_of(recording)
    first = SegmentReader(segments[0]).head
    if first.build != build():
        run.notes.append(
            f"recorded by {first.build}, replayed by {build()}: differences may be the changes between them"
        )
    for position, path in enumerate(segments):
        try:
            _replay_segment(run, path, is_last=position == len(segments) - 1)
        except BadRecordingError as error:
            if run.events == 0:
                raise
            run.missing = True
            run.engine = None
            run.notes.append(str(error))
    return Report(
        events=run.events,
        decisions=run.decisions,
        differing=run.differing,
        differences=run.differences,
        notes=run.notes,
        complete=not run.missing,
        build=first.build,
        symbol=first.symbol,
        orders=run.orders,
        shadow=run.shadow,
    )


def _replay_segment(run: _Run, path: Path, *, is_last: bool) -> None:
    reader = SegmentReader(path)
    run.begin(reader, path.name)
    for frame in reader.frames():
        run.step(frame, path.name)
    if reader.cut:
        run.missing = True
        run.notes.append(reader.cut if is_last else f"{reader.cut}; another segment follows")


def engine_of(head: Head, name: str) -> Engine:
    """The engine as it was before the segment's first event; raises `BadRecordingError` for one of another build."""
    return _engines_of(head, name)[0]


def _engines_of(head: Head, name: str) -> tuple[Engine, Beside]:
    try:
        return Engine.from_keyframe(head.keyframe), Beside(keyframe=head.shadow)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise BadRecordingError(
            f"{name}: its keyframe is of another build ({error}): replay it with {head.build}"
        ) from None


def _plain(actions: bytes) -> list[object]:
    return list(_decoded(actions)) if actions else []


def _decoded(actions: bytes) -> Iterator[object]:
    """As plain values; what a damaged recording holds in their place, as a sentence."""
    try:
        decoded = msgspec.msgpack.decode(actions)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        decoded = f"{len(actions)} bytes that cannot be read: {error}"
    yield from decoded if isinstance(decoded, list) else [decoded]

"""What a flight recording looks like on disk: written by `recorder`, read by `replay`.

A recording is a directory of segments `<number>.phx`. A segment is

    magic · length (4 bytes, big endian) · head (msgpack) · zlib stream of frames · nothing
    frame = length (4 bytes, big endian) · msgpack [event, actions, shadow's actions]

`actions` are the bytes of `encode_actions`, empty without any; the shadow's stand apart, and only where there are any.
The head has a keyframe of the engine, and of the shadow beside it where there is one, as they were before the segment's
first event, so that every segment can be replayed alone. The stream is flushed to a
byte boundary with each write: of a crash only the last write is lost. A stream without its end says that it was cut.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from phoenix_worker.core.events import AnyEvent

SUFFIX = ".phx"
MAGIC = b"phoenix recording\n"
SCHEMA = 1
LENGTH_BYTES = 4
MOST_HEAD_BYTES = 64 * 1024 * 1024
MOST_FRAME_BYTES = 16 * 1024 * 1024
_PLACES = ("*", "recordings/*", "*/*", "recordings/*/*", "state/recordings/*/*")
"""Where runs lie below a maker's directory of recordings, below that of all makers, a state directory, and the demo's:
named to who names one of these. Whole trees are not searched, whoever names `/` shall have his answer.
"""
_READ_BYTES = 4 * 1024
"""Of damage, what stands before it is still read: all but the last piece of so many compressed bytes."""


class BadRecordingError(Exception):
    """What lies there is no recording that this build can read; the text says what and what to do."""


class Head(msgspec.Struct, frozen=True):
    """`first_event` counts the events that the process saw; a gap to the segment before was dropped. `shadow` is the
    keyframe of the engine beside, empty where there is none.
    """

    schema: int
    build: str
    symbol: str
    first_event: int
    wall_ns: int
    keyframe: bytes
    shadow: bytes = b""


class Frame(msgspec.Struct, frozen=True, array_like=True):
    event: AnyEvent
    actions: bytes
    shadow: bytes = b""


def failure_of(error: Exception) -> bytes:
    """What stands in place of the actions where the engine raised: a replay that raises the same is the same."""
    return msgspec.msgpack.encode(["the engine raised", type(error).__name__, str(error)])


head_encoder = msgspec.msgpack.Encoder()
_head_decoder = msgspec.msgpack.Decoder(Head)
_frame_decoder = msgspec.msgpack.Decoder(Frame)


def segment_name(number: int) -> str:
    return f"{number:08d}{SUFFIX}"


def segments_of(recording: Path) -> list[Path]:
    """The segments of a directory, oldest first, or the one file; raises `BadRecordingError` where there are none."""
    if recording.is_file():
        return [recording]
    segments = sorted(recording.glob(f"*{SUFFIX}")) if recording.is_dir() else []
    if not segments:
        runs = sorted({str(path.parent) for place in _PLACES for path in recording.glob(f"{place}/*{SUFFIX}")})
        advice = (
            f"name one of these runs: {', '.join(runs)}" if runs else f"name a segment (*{SUFFIX}) or its directory"
        )
        raise BadRecordingError(f"{recording}: holds no recording: {advice}")
    return segments


class SegmentReader:
    """One segment. Once all frames are read, `cut` says what is missing at the end: empty after an orderly one."""

    def __init__(self, path: Path) -> None:
        """Reads the head; raises `BadRecordingError`."""
        self._path = path
        self.cut = ""
        self.head = self._read_head()

    def _read_head(self) -> Head:
        try:
            with self._path.open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise BadRecordingError(f"{self._path}: is no recording of an engine")
                length = int.from_bytes(file.read(LENGTH_BYTES), "big")
                data = file.read(min(length, MOST_HEAD_BYTES))
            head = _head_decoder.decode(data)
        except OSError as error:
            raise BadRecordingError(f"{self._path}: cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRecordingError(
                f"{self._path}: its head is cut or damaged: nothing of it can be replayed"
            ) from None
        if head.schema != SCHEMA:
            raise BadRecordingError(
                f"{self._path}: has schema {head.schema}, this build reads {SCHEMA}: replay it with {head.build}"
            )
        self._body_at = len(MAGIC) + LENGTH_BYTES + length
        return head

    def frames(self) -> Iterator[Frame]:
        """Every whole frame, oldest first, to the end or the cut; raises `BadRecordingError` for damage."""
        stream = zlib.decompressobj()
        rest = b""
        with self._path.open("rb") as file:
            file.seek(self._body_at)
            while data := file.read(_READ_BYTES):
                try:
                    rest += stream.decompress(data)
                except zlib.error as error:
                    raise BadRecordingError(f"{self._path}: damaged after what has been replayed: {error}") from None
                at = 0
                while len(rest) - at >= LENGTH_BYTES:
                    length = int.from_bytes(rest[at : at + LENGTH_BYTES], "big")
                    end = at + LENGTH_BYTES + length
                    if length > MOST_FRAME_BYTES:
                        raise BadRecordingError(f"{self._path}: a frame of {length} bytes: the segment is damaged")
                    if len(rest) < end:
                        break
                    yield self._frame(rest[at + LENGTH_BYTES : end])
                    at = end
                rest = rest[at:]
        if rest:
            self.cut = f"{self._path.name}: cut inside an event: {len(rest)} bytes at its end are left out"
        elif not stream.eof:
            self.cut = f"{self._path.name}: has no end: the process that wrote it did not stop in order"

    def _frame(self, data: bytes) -> Frame:
        try:
            return _frame_decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRecordingError(
                f"{self._path}: an event that this build cannot read ({error}): replay it with {self.head.build}"
            ) from None

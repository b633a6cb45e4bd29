"""The flight recorder: every event that the engine sees and what it answered, for `replay`.

Encoding happens in the loop right after the actions were performed (a few µs an event); compressing and writing in a
thread, where zlib and the disk leave the loop alone. What the thread has not taken is bounded: beyond it events are
dropped, counted, and recording goes on with a new segment, because a gap cannot be replayed.
"""

import contextlib
import queue
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from phoenix_worker.core.actions import AnyAction, encode_actions
from phoenix_worker.core.events import AnyEvent
from phoenix_worker.runtime.recording import (
    LENGTH_BYTES,
    MAGIC,
    SCHEMA,
    SUFFIX,
    Head,
    failure_of,
    head_encoder,
    segment_name,
)

TOTAL_BYTES = 512 * 1024 * 1024
SEGMENT_BYTES = 16 * 1024 * 1024
"""Compressed. Small enough that dropping the oldest keeps most of what the cap allows."""
CHUNK_BYTES = 64 * 1024
PENDING_BYTES = 8 * 1024 * 1024
"""What may wait for the disk: tens of seconds of a busy market."""
RETRY_EVENTS = 1_000
_LEVEL = 1
"""zlib's fastest: a fifth of the size for a fiftieth of a core at a busy market's rate."""


class Statistics(msgspec.Struct, frozen=True):
    recorded: int
    dropped: int
    written_bytes: int
    failure: str
    """Why the disk does not take it, empty while it does."""


class _Open(msgspec.Struct, frozen=True):
    head: bytes


class _Data(msgspec.Struct, frozen=True):
    frames: bytes


class _Close(msgspec.Struct, frozen=True):
    pass


class Recorder:
    """Records one engine into a directory of its own, beside those of the worker's earlier runs.

    `keyframe` is asked for at the start of each segment, between two events, and `shadow_keyframe` with it, which is
    empty while there is no engine beside. `total_bytes` bounds all runs together.
    """

    def __init__(
        self,
        directory: Path,
        symbol: str,
        build: str,
        keyframe: Callable[[], bytes],
        wall_ns: Callable[[], int],
        *,
        shadow_keyframe: Callable[[], bytes] = bytes,
        total_bytes: int = TOTAL_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        self._symbol = symbol
        self._build = build
        self._keyframe = keyframe
        self._shadow_keyframe = shadow_keyframe
        self._wall_ns = wall_ns
        self._pending_limit = pending_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()
        self._seen = 0
        self._dropped = 0
        self._skip_until = 0
        self._open = False
        self._writer = _Writer(directory, total_bytes, segment_bytes)

    def record(self, event: AnyEvent, actions: list[AnyAction], shadow: bytes = b"") -> None:
        """Keeps one event and the bytes of what it led to, in the engine beside, too (`shadow`). Never raises for the
        disk's faults, never waits.
        """
        self._keep(event, encode_actions(actions) if actions else b"", shadow)

    def record_failure(self, event: AnyEvent, error: Exception) -> None:
        """Keeps the event that the engine could not take."""
        self._keep(event, failure_of(error))

    def _keep(self, event: AnyEvent, actions: bytes, shadow: bytes = b"") -> None:
        self._seen += 1
        if not self._open:
            self._dropped += 1
            return
        buffer = self._buffer
        at = len(buffer)
        buffer += b"\0\0\0\0"
        frame = (event, actions, shadow) if shadow else (event, actions)
        self._encoder.encode_into(frame, buffer, at + LENGTH_BYTES)
        buffer[at : at + LENGTH_BYTES] = (len(buffer) - at - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")
        if len(buffer) >= CHUNK_BYTES:
            self.flush()

    def before(self) -> None:
        """Called before the engine sees the next event: opens a segment where one is due, with its keyframe."""
        writer = self._writer
        if self._open:
            if not (writer.segment_full or writer.failed):
                return
            self._end_segment()
            if writer.failed:
                self._skip_until = self._seen + RETRY_EVENTS
        if self._seen < self._skip_until:
            return
        if writer.pending_bytes > self._pending_limit // 2:
            self._skip_until = self._seen + RETRY_EVENTS
            return
        keyframes = self._keyframe(), self._shadow_keyframe()
        head = Head(SCHEMA, self._build, self._symbol, self._seen, self._wall_ns(), *keyframes)
        writer.put(_Open(head_encoder.encode(head)))
        self._open = True

    def flush(self) -> None:
        """Hands what was encoded to the thread; called at latest every second, so that a crash loses little."""
        if not self._buffer:
            return
        frames = bytes(self._buffer)
        self._buffer.clear()
        if self._writer.pending_bytes + len(frames) > self._pending_limit:
            self._dropped += _count(frames)
            self._end_segment()
            return
        self._writer.put(_Data(frames))

    def close(self, seconds: float = 2.0) -> None:
        """Writes what is left and ends the segment in order, unless the disk takes longer than this."""
        if self._open:
            self._end_segment()
        self._writer.stop(seconds)

    def _end_segment(self) -> None:
        self._open = False
        self.flush()
        self._writer.put(_Close())

    def statistics(self) -> Statistics:
        writer = self._writer
        dropped = self._dropped + writer.lost
        return Statistics(self._seen - dropped, dropped, writer.written_bytes, writer.trouble)


def _count(frames: bytes) -> int:
    count = at = 0
    while at < len(frames):
        at += LENGTH_BYTES + int.from_bytes(frames[at : at + LENGTH_BYTES], "big")
        count += 1
    return count


class _Writer:
    """The thread. Its attributes are read by the loop: each is one number or text, written by one side."""

    def __init__(self, directory: Path, total_bytes: int, segment_bytes: int) -> None:
        self._directory = directory
        self._total_bytes = total_bytes
        self._segment_bytes = segment_bytes
        self._jobs: queue.SimpleQueue[_Open | _Data | _Close | None] = queue.SimpleQueue()
        self._put_bytes = 0
        self._taken_bytes = 0
        self._file: _Segment | None = None
        self._number = 0
        self.written_bytes = 0
        self.lost = 0
        """Events that were taken and could not be written."""
        self.segment_full = False
        self.failed = False
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def pending_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def put(self, job: _Open | _Data | _Close) -> None:
        match job:
            case _Data(frames=frames):
                self._put_bytes += len(frames)
            case _Open():
                self.segment_full = self.failed = False
            case _Close():
                pass
        self._jobs.put(job)

    def stop(self, seconds: float) -> None:
        self._jobs.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                written = self._do(job)
            except OSError as error:
                self.failed = True
                self.trouble = f"{self._directory}: {error.strerror or error}"
                self._abandon()
                written = False
            if isinstance(job, _Data):
                self._taken_bytes += len(job.frames)
                if not written:
                    self.lost += _count(job.frames)
        self._abandon()

    def _do(self, job: _Open | _Data | _Close) -> bool:
        """Whether it could be done; raises `OSError`."""
        match job:
            case _Open(head=head):
                self._directory.mkdir(parents=True, exist_ok=True)
                self._file = _Segment(self._next_path(), head)
            case _Data(frames=frames) if self._file is not None:
                self.written_bytes += self._file.write(frames)
                self.trouble = ""
                self.segment_full = self.segment_full or self._file.size >= self._segment_bytes
            case _Close() if self._file is not None:
                self.written_bytes += self._file.end()
                self._file = None
            case _:
                return False  # the segment could not be opened, or broke: `trouble` says why
        return True

    def _abandon(self) -> None:
        """Leaves a segment without its end, as a crash does."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_path(self) -> Path:
        """The next number; the oldest segments of all runs of this worker make room first."""
        segments = sorted(self._directory.parent.glob(f"*/*{SUFFIX}"))
        sizes = [segment.stat().st_size for segment in segments]
        total = sum(sizes) + self._segment_bytes
        for segment, size in zip(segments, sizes, strict=True):
            if total <= self._total_bytes:
                break
            segment.unlink()
            total -= size
            if segment.parent != self._directory:
                with contextlib.suppress(OSError):  # other segments are left in it
                    segment.parent.rmdir()
        self._number += 1
        return self._directory / segment_name(self._number)


class _Segment:
    """One open segment file."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._file = path.open("xb", buffering=0)
        self._compressor = zlib.compressobj(_LEVEL)
        self.size = self._file.write(MAGIC + len(head).to_bytes(LENGTH_BYTES, "big") + head) or 0

    def write(self, frames: bytes) -> int:
        return self._write(self._compressor.compress(frames) + self._compressor.flush(zlib.Z_SYNC_FLUSH))

    def end(self) -> int:
        written = self._write(self._compressor.flush())
        self.close()
        return written

    def close(self) -> None:
        self._file.close()

    def _write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self.size += len(data)
        return len(data)

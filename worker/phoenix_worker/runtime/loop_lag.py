"""Who holds up the event loop: a thread watches the heart that the loop beats, and looks where it stopped."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

import msgspec

BEAT_SECONDS = 0.1
"""Life's seconds. The heart costs ten wake-ups a second of loop and thread each: nearly nothing."""
STALL_SECONDS = 0.2
_STACK_DEPTH = 12


class Stall(msgspec.Struct, frozen=True):
    """One time that something held the loop. `where`: its frames, innermost first; empty if not caught."""

    seconds: float
    where: str


class LoopWatch:
    """`lag_seconds`: lateness of the latest beat; `max_lag_seconds`: the worst so far; `stalls`: how many were long."""

    def __init__(self, stalled: Callable[[Stall], None]) -> None:
        self._stalled = stalled
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat_at = time.monotonic()
        self._caught: tuple[float, str] = (0.0, "")
        self._stopping = threading.Event()
        self._handle: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self.lag_seconds = 0.0
        self.max_lag_seconds = 0.0
        self.stalls = 0

    def start(self) -> None:
        self._beat_at = time.monotonic()
        self._handle = self._loop.call_later(BEAT_SECONDS, self._beat)
        self._thread.start()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._stopping.set()

    @property
    def is_watching(self) -> bool:
        """Whether the watching thread lives: a process whose threads die cannot make progress."""
        return self._thread.is_alive()

    def _beat(self) -> None:
        now = time.monotonic()
        before, self._beat_at = self._beat_at, now
        self.lag_seconds = max(0.0, now - before - BEAT_SECONDS)
        self.max_lag_seconds = max(self.max_lag_seconds, self.lag_seconds)
        self._handle = self._loop.call_later(BEAT_SECONDS, self._beat)
        if self.lag_seconds > STALL_SECONDS:
            self.stalls += 1
            caught_beat, where = self._caught
            self._stalled(Stall(self.lag_seconds, where if caught_beat == before else ""))

    def _watch(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            beat_at = self._beat_at
            if time.monotonic() - beat_at > BEAT_SECONDS + STALL_SECONDS and self._caught[0] != beat_at:
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to another thread's stack
                if frame is not None:
                    self._caught = (beat_at, _where(frame))


def _where(frame: FrameType) -> str:
    """Function and line of the innermost frames; no locals, they hold keys."""
    stack = traceback.extract_stack(frame, limit=None)[-_STACK_DEPTH:]
    return " < ".join(f"{entry.name} ({entry.filename.rsplit('/', 1)[-1]}:{entry.lineno})" for entry in reversed(stack))

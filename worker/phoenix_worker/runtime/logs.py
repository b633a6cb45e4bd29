"""Structured logs: one JSON object a line on stdout, repeats sampled, secrets hidden, the loop never blocked.

Lines are written by a thread from a bounded queue: who does not read our stdout loses lines, counted, not ticks.
"""

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import orjson
import structlog

from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.redaction import Redactor, stack_of

EventDict = MutableMapping[str, Any]
Log = structlog.typing.FilteringBoundLogger

QUEUED_LINES = 10_000
WINDOW_NS = 10_000_000_000
BURST = 5
"""Of one kind of repeating line, so many pass in each window; the next one that passes says how many did not."""

SAMPLED = "_sampled"
"""Key of an event's dict: the kind by which it is sampled. Lines without it always pass."""


class LineWriter:
    """Writes lines to a stream from a thread of its own. `dropped` counts what found the queue full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUED_LINES)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self.dropped = 0
        self._thread.start()

    def msg(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    log = debug = info = warning = error = critical = fatal = exception = msg

    def close(self, seconds: float = 0.5) -> None:
        """Waits until what was said has been written, but not longer than this."""
        with contextlib.suppress(queue.Full):  # nobody reads us: what is queued is lost with the process
            self._lines.put(None, timeout=seconds)
        self._thread.join(seconds)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # nobody reads us any more: there is nowhere to say so
                self.dropped += 1
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += 1


class Sampler:
    """A structlog processor: of each kind of repeating line a few pass in each window of the run's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, list[int]] = {}

    def __call__(self, _: object, __: str, event: EventDict) -> EventDict:
        kind = event.pop(SAMPLED, None)
        if kind is None:
            return event
        now = self._clock.monotonic_ns()
        window = self._windows.setdefault(kind, [now, 0, 0])  # begin, passed, suppressed
        if now - window[0] >= WINDOW_NS:
            if window[2]:
                event["suppressed"] = window[2]
            window[:] = [now, 0, 0]
        if window[1] >= BURST:
            window[2] += 1
            raise structlog.DropEvent
        window[1] += 1
        return event


class _Stamp:
    """A structlog processor: the run's wall time, UTC, and the level."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _: object, method: str, event: EventDict) -> EventDict:
        seconds, ns = divmod(self._clock.wall_ns(), 1_000_000_000)
        stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return {"time": f"{stamp}.{ns // 1_000_000:03d}Z", "level": method, **event}


def open_log(clock: Clock, redact: Redactor, stream: TextIO | None = None, **context: str) -> tuple[Log, LineWriter]:
    """The process's log and its writer (to be closed last). `context` is part of every line."""
    writer = LineWriter(stream or sys.stdout)

    def render(_: object, __: str, event: EventDict) -> str:
        return redact(orjson.dumps(event, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode())

    log: Log = structlog.wrap_logger(
        writer,
        processors=[Sampler(clock), _Stamp(clock), render],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        context_class=dict,
    )
    return log.bind(**context), writer


def _plain(value: object) -> object:
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else str(value)


class FromStandardLogging(logging.Handler):
    """What libraries tell by the standard library's logging, from warnings on, becomes lines of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"source": record.name, "text": record.getMessage(), SAMPLED: record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["stack"] = stack_of(record.exc_info[1])
        if record.levelno >= logging.ERROR:
            self._log.error("library", **fields)
        else:
            self._log.warning("library", **fields)

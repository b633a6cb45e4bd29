"""Time that passes only when nothing is left to do: what `time` tells in this process, from `install` on.

It replaces the module's readers, so that every clock of the process (the event loop's, the workers', the exchange's,
what reads `time` by itself) is the same one. Import this before anything that binds a reader by name. `perf_counter`
and `sleep` stay the machine's: they measure and wait for what is real.
"""

import concurrent.futures
import queue
import subprocess
import threading
import time
from math import ceil

MACHINES_OWN = (concurrent.futures, queue, subprocess, threading)
"""Imported here, before the readers are replaced: threads wait in the machine's time."""

NS = 1_000_000_000
_MONOTONIC_NS = 1_000_000 * NS
"""What the monotonic clock begins with; any number would do."""
_MONOTONIC = frozenset({time.CLOCK_MONOTONIC, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)})

_machines_clock_ns = time.clock_gettime_ns
machines_monotonic_ns = time.monotonic_ns
machines_sleep = time.sleep


class VirtualTime:
    """`wall_ns`: what the wall clock begins with."""

    def __init__(self, wall_ns: int) -> None:
        self.passed_ns = 0
        self._wall_ns = wall_ns

    def advance(self, seconds: float) -> None:
        """By at least a nanosecond: a timer that is due soon must become due."""
        self.passed_ns += max(1, ceil(seconds * NS))

    def monotonic_ns(self) -> int:
        return _MONOTONIC_NS + self.passed_ns

    def wall_ns(self) -> int:
        return self._wall_ns + self.passed_ns

    def install(self) -> None:
        """For the life of the process."""
        time.monotonic_ns = self.monotonic_ns
        time.monotonic = lambda: self.monotonic_ns() / NS
        time.time_ns = self.wall_ns
        time.time = lambda: self.wall_ns() / NS
        time.clock_gettime_ns = self._of_clock
        time.clock_gettime = lambda clock: self._of_clock(clock) / NS

    def _of_clock(self, clock: int) -> int:
        if clock in _MONOTONIC:
            return self.monotonic_ns()
        return self.wall_ns() if clock == time.CLOCK_REALTIME else _machines_clock_ns(clock)

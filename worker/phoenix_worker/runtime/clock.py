"""The one clock of a run: wall time, monotonic time and sleeps of every process scale together.

`PHOENIX_CLOCK="<origin_wall_ns>:<origin_monotonic_ns>:<rate>"` is given to all processes of a simulated run. Without it
the clock is the machine's own.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping

VARIABLE = "PHOENIX_CLOCK"


class ClockError(ValueError):
    """`PHOENIX_CLOCK` says nothing that a clock could be made of."""


class Clock:
    """`monotonic_ns()` never goes back; `wall_ns()` is UTC; both advance `rate` times as fast as the machine's.

    The two readers are attributes, so that a clock at life's rate costs what `time` costs: every event is stamped.
    """

    __slots__ = ("_origin_monotonic_ns", "_origin_wall_ns", "monotonic_ns", "rate", "wall_ns")

    monotonic_ns: Callable[[], int]
    wall_ns: Callable[[], int]

    def __init__(self) -> None:
        self.rate = 1.0
        self._origin_wall_ns = 0
        self._origin_monotonic_ns = 0
        self.monotonic_ns = time.monotonic_ns
        self.wall_ns = time.time_ns

    @classmethod
    def scaled(cls, origin_wall_ns: int, origin_monotonic_ns: int, rate: float) -> "Clock":
        """A clock that showed `origin_wall_ns` when the machine's monotonic clock showed `origin_monotonic_ns`."""
        if not (math.isfinite(rate) and rate > 0):
            raise ClockError(f"the rate {rate} of a clock must be positive and finite")
        clock = cls()
        clock.rate = rate
        clock._origin_wall_ns = origin_wall_ns
        clock._origin_monotonic_ns = origin_monotonic_ns
        clock.monotonic_ns = clock._scaled_monotonic_ns
        clock.wall_ns = clock._scaled_wall_ns
        return clock

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Clock":
        """The clock of this process; raises `ClockError` for a variable that is set and does not parse."""
        text = environ.get(VARIABLE, "")
        if not text:
            return cls()
        try:
            wall, monotonic, rate = text.split(":")
            return cls.scaled(int(wall), int(monotonic), float(rate))
        except ValueError as error:
            raise ClockError(
                f"{VARIABLE}={text!r} is not <origin_wall_ns>:<origin_monotonic_ns>:<rate>: {error}; "
                "leave it unset to use the machine's clock"
            ) from None

    @property
    def is_scaled(self) -> bool:
        """Whether this clock is not the machine's: allowed only against a simulator."""
        return self._origin_wall_ns != 0 or self.rate != 1.0

    async def sleep(self, seconds: float) -> None:
        """Sleeps until this clock has advanced by `seconds`."""
        await asyncio.sleep(seconds / self.rate)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Calls back on the running loop when this clock has advanced by `seconds`; cancel the handle to forget it."""
        return asyncio.get_running_loop().call_later(seconds / self.rate, callback)

    def _scaled_monotonic_ns(self) -> int:
        return self._origin_monotonic_ns + int((time.monotonic_ns() - self._origin_monotonic_ns) * self.rate)

    def _scaled_wall_ns(self) -> int:
        return self._origin_wall_ns + int((time.monotonic_ns() - self._origin_monotonic_ns) * self.rate)

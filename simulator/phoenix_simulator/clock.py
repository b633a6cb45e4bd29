"""One clock for all processes of a run: wall, monotonic and sleeping scale together.

wall = origin_wall + (CLOCK_MONOTONIC − origin_monotonic) · rate. CLOCK_MONOTONIC is one for the machine, so processes
that share origin and rate (environment variable PHOENIX_CLOCK) agree to the nanosecond.
"""

import asyncio
import time
from typing import Self

ENVIRONMENT_VARIABLE = "PHOENIX_CLOCK"
"""`<origin_wall_ns>:<origin_monotonic_ns>:<rate>`."""


class Clock:
    """`rate` 20 lets twenty simulated seconds pass in one; 1 is life."""

    def __init__(
        self, rate: float = 1.0, origin_wall_ns: int | None = None, origin_monotonic_ns: int | None = None
    ) -> None:
        if not 0 < rate < float("inf"):
            msg = f"clock rate is {rate}; give a positive number, 1 for life's rate"
            raise ValueError(msg)
        self.rate = rate
        self.origin_monotonic_ns = time.monotonic_ns() if origin_monotonic_ns is None else origin_monotonic_ns
        self.origin_wall_ns = time.time_ns() if origin_wall_ns is None else origin_wall_ns
        self.skew_ms = 0
        """What the venue *says* the time is differs by this (a fault); timers are not affected."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the value of PHOENIX_CLOCK; ValueError says what is wrong with it."""
        try:
            wall, monotonic, rate = text.split(":")
            return cls(float(rate), int(wall), int(monotonic))
        except ValueError:
            msg = f"{ENVIRONMENT_VARIABLE} is {text!r}; expected <origin_wall_ns>:<origin_monotonic_ns>:<rate>"
            raise ValueError(msg) from None

    def to_text(self) -> str:
        """The value of PHOENIX_CLOCK that makes another process share this clock."""
        return f"{self.origin_wall_ns}:{self.origin_monotonic_ns}:{self.rate!r}"

    def elapsed_ns(self) -> int:
        """Scaled time since the origin."""
        real_ns = time.monotonic_ns() - self.origin_monotonic_ns
        # Integer where nothing scales: a float of 2**53 ns would lose nanoseconds after 104 days.
        return real_ns if self.rate == 1.0 else int(real_ns * self.rate)

    def now_ns(self) -> int:
        """Wall clock of the run, Unix ns, without skew."""
        return self.origin_wall_ns + self.elapsed_ns()

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def reported_ms(self) -> int:
        """What the venue says the time is: `now_ms` plus the skew fault."""
        return self.now_ms() + self.skew_ms

    def monotonic_ns(self) -> int:
        """Scaled monotonic time; differences are in simulated ns."""
        return self.origin_monotonic_ns + self.elapsed_ns()

    async def sleep(self, seconds: float) -> None:
        """Sleep `seconds` of the run's time."""
        await asyncio.sleep(seconds / self.rate)

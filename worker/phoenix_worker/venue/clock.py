"""The clock of the run, as far as a venue needs it (the runtime's clock fits; so does a test's)."""

from collections.abc import Callable
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Timer(Protocol):
    """A call that is due; cancelling one that has run does nothing."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic ns and waiting, both at the run's rate."""

    @property
    def rate(self) -> float:
        """How many seconds of this clock pass in one of life: time-outs of libraries are divided by it."""
        ...

    @property
    def monotonic_ns(self) -> Callable[[], int]:
        """Reads the clock; a property so that a plain attribute holding `time.monotonic_ns` fits."""
        ...

    async def sleep(self, seconds: float, /) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[], object], /) -> Timer: ...

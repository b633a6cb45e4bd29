"""What a soak has seen: hour by hour, and in the end."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

_MOST_HOURS = 1000
_FAILURES = ("crash", "engine failed", "task failed")
"""Events of a worker's log that are defects of the program, whatever the world did to it."""


class Hour(msgspec.Struct, frozen=True):
    """As of the end of a simulated hour (or part of one). `cpu_s`: of this process, since the start."""

    hours: float
    rss_mib: float
    fills: int
    faults: int
    cpu_s: float
    real_s: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    hours: float
    seed: int
    symbols: tuple[str, ...]
    faults: dict[str, int]
    violations: dict[str, int]
    examples: list[object]
    agreement: bool
    disagreements: list[str]
    defects: list[str]
    """Programs that failed, and what failed where no program is."""
    events: dict[str, int]
    fills: dict[str, int]
    rss_mib_per_hour: float | None
    """None where too few hours have passed."""
    course: list[Hour]
    figures: list[str] = []
    """What a scenario has measured beside, a sentence each."""

    @property
    def held(self) -> bool:
        return not (self.violations or self.disagreements or self.defects)

    def __str__(self) -> str:
        growth = "unmeasured" if self.rss_mib_per_hour is None else f"{self.rss_mib_per_hour:+.2f}MiB/h"
        return (
            f"hours={self.hours:g} faults={sum(self.faults.values())} violations={sum(self.violations.values())}"
            f" agreement={str(self.agreement).lower()} rss={growth} seed={self.seed}"
        )


def slope(course: Sequence[Hour]) -> float | None:
    """MiB an hour, by least squares over the second half: what a start allocates is not what leaks."""
    late = course[len(course) // 2 :]
    if len(late) < 2:
        return None
    mean_h = sum(hour.hours for hour in late) / len(late)
    mean_mib = sum(hour.rss_mib for hour in late) / len(late)
    spread = sum((hour.hours - mean_h) ** 2 for hour in late)
    return sum((hour.hours - mean_h) * (hour.rss_mib - mean_mib) for hour in late) / spread


def hours_of(text: str) -> float:
    """What `--hours` is given."""
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= _MOST_HOURS:
        raise argparse.ArgumentTypeError(f'"{text}": write a number above 0, and at most {_MOST_HOURS}')
    return hours


def failures_in(log: Path) -> Iterator[str]:
    """Lines of the workers' log that tell of a defect."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if line.rstrip().endswith(tuple(f'"event":"{event}"}}' for event in _FAILURES)):
                yield line.rstrip()

"""How long each mode was in force and each reason was told: for the report and metrics. Counting decides nothing."""

from enum import StrEnum
from typing import TypeVar

import msgspec
from phoenix_coordination.state import Reason

from phoenix_worker.core.inventory import Mode

_Key = TypeVar("_Key")


class Stance(StrEnum):
    """The mode in force as people see it: the strictest of guard, overlay and emergency."""

    NORMAL = "normal"
    PIN = "pin"
    GRIND = "grind"  # beside pinned quotes
    BLOCK = "block"
    FLATTEN = "flatten"
    LIQUIDATE = "liquidate"
    EMERGENCY = "emergency"


_OF_MODE = {
    Mode.NORMAL: Stance.NORMAL,
    Mode.PIN: Stance.PIN,
    Mode.BLOCK: Stance.BLOCK,
    Mode.FLATTEN: Stance.FLATTEN,
    Mode.LIQUIDATE: Stance.LIQUIDATE,
}


def stance_of(mode: Mode, *, grinding: bool, emergency: bool) -> Stance:
    if emergency:
        return Stance.EMERGENCY
    return Stance.GRIND if grinding and mode is Mode.PIN else _OF_MODE[mode]


class Tally(msgspec.Struct):
    """Durations in ns since the worker started; what holds now counts from `since_ns` on."""

    since_ns: int = 0
    stance: Stance = Stance.NORMAL
    reason: Reason = Reason.STARTING
    stances: dict[Stance, int] = {}
    reasons: dict[Reason, int] = {}

    def note(self, at: int, stance: Stance, reason: Reason) -> None:
        """From now on: `reason` is the first against quoting, or `QUOTING`."""
        if self.since_ns:
            _add(self.stances, self.stance, at - self.since_ns)
            _add(self.reasons, self.reason, at - self.since_ns)
        self.since_ns, self.stance, self.reason = at, stance, reason


def _add(durations: dict[_Key, int], key: _Key, ns: int) -> None:
    durations[key] = durations.get(key, 0) + ns

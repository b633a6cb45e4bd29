"""The account's sticky switch as one worker knows it: what Redis holds, what it could not raise there yet, and what the
account resource declares. The highest counts, and what cannot be read counts as halt.
"""

import msgspec

from phoenix_coordination.port import AccountTerms, EmergencyChanged, EmergencyLevel

UNSEEDED = "the account's emergency switch has not been seeded: start the operator (locally the runner), which does"


class Switch(msgspec.Struct, frozen=True):
    """What Redis holds. `seeded`: the account's status, or the local runner, has had its say."""

    level: EmergencyLevel
    epoch: int
    reason: str
    seeded: bool

    @classmethod
    def read(cls, level: bytes, epoch: bytes, reason: bytes, seeded: bytes) -> "Switch":
        """From a script's answer; raises `ValueError` for what no worker wrote."""
        if not level:
            return cls(EmergencyLevel.NONE, -1, "", seeded=False)
        return cls(EmergencyLevel(int(level)), int(epoch), reason.decode(errors="replace"), seeded=seeded == b"1")


class EmergencyMemory(msgspec.Struct):
    """`seen`: the latest that was read; `raising`: what this worker has raised and Redis has not confirmed."""

    seen: Switch | None = None
    raising: Switch | None = None

    def knows_better(self, stored: Switch) -> Switch | None:
        """What Redis must be told because it has forgotten it; `None` where it knows all that we know."""
        seen = self.seen
        if seen is None or seen.epoch < 0 or (seen.epoch, seen.level) <= (stored.epoch, stored.level):
            return None
        return seen

    def wish(self, level: EmergencyLevel, reason: str) -> bool:
        """Raised here at once; false where it is no higher than what is known already."""
        known = [switch for switch in (self.seen, self.raising) if switch is not None]
        if level <= max((switch.level for switch in known), default=EmergencyLevel.NONE):
            return False
        epoch = max((switch.epoch for switch in known), default=0)
        self.raising = Switch(level, max(0, epoch) + 1, reason, seeded=True)
        return True

    def in_force(self, terms: AccountTerms) -> EmergencyChanged | None:
        """What counts now; `None` while nothing is known, which reads as halt at the worker's own side."""
        if self.seen is None:
            if self.raising is None:
                return None
            return EmergencyChanged(max(self.raising.level, terms.emergency), self.raising.epoch, self.raising.reason)
        told = self.seen
        level, epoch, reason = told.level, max(0, told.epoch), told.reason
        if not told.seeded and level < EmergencyLevel.HALT:
            level, reason = EmergencyLevel.HALT, UNSEEDED
        if self.raising is not None and self.raising.level > level:
            level, epoch, reason = self.raising.level, self.raising.epoch, self.raising.reason
        if terms.emergency > level:
            level, reason = terms.emergency, "the account resource says so (spec.emergency)"
        return EmergencyChanged(level, epoch, reason)

"""Sticky switches as one worker knows them: the account's emergency, and a symbol's risk halt.

A switch is raised by anyone and lowered only by a person who names its epoch. What a worker has seen it remembers, so
that a Redis that comes back empty is told again; what it raises is in force here before Redis has heard of it.
"""

import msgspec

from phoenix_coordination.port import EmergencyChanged, EmergencyLevel, HaltChanged
from phoenix_coordination.redis.client import Redis, RedisFaultError
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.state import SWITCH_NOT_SEEDED

UNNAMED = "no reason was given"


class Switch(msgspec.Struct, frozen=True):
    """What Redis holds. `seeded`: the account's status, or the local runner, has had its say under the server's present
    run: one that came back may have forgotten its last second, and with it a stop. Halts need no seed.
    """

    level: EmergencyLevel
    epoch: int
    reason: str
    seeded: bool

    @classmethod
    def read(cls, key: str, level: bytes, epoch: bytes, reason: bytes, seeded: bytes) -> "Switch":
        """From a script's answer; raises `RedisFaultError` for what no worker wrote under the key."""
        if not level and not epoch:
            return cls(EmergencyLevel.NONE, -1, "", seeded=False)
        try:
            return cls(EmergencyLevel(int(level)), int(epoch), reason.decode(errors="replace"), seeded=seeded == b"1")
        except ValueError:
            raise RedisFaultError(f"{key} in Redis holds no switch: move it away, it is not ours") from None


class SwitchMemory(msgspec.Struct):
    """`seen`: the latest that was read; `raising`: what this worker has raised and Redis has not confirmed."""

    seen: Switch | None = None
    raising: Switch | None = None

    def knows_better(self, stored: Switch) -> Switch | None:
        """What Redis must be told because it has forgotten it; `None` where it knows all that we know."""
        seen = self.seen
        if seen is None or seen.epoch < max(0, stored.epoch):
            return None
        if seen.epoch > stored.epoch:
            return seen
        # Epochs are counted anew after a loss: the same one may name another stop.
        is_another = seen.level > EmergencyLevel.NONE and (seen.level, seen.reason) != (stored.level, stored.reason)
        return seen if is_another else None

    def wish(self, level: EmergencyLevel, reason: str) -> bool:
        """Raised here at once; false where it is no higher than what is known already."""
        known = [switch for switch in (self.seen, self.raising) if switch is not None]
        if level <= max((switch.level for switch in known), default=EmergencyLevel.NONE):
            return False
        epoch = max((switch.epoch for switch in known), default=0)
        self.raising = Switch(level, max(0, epoch) + 1, reason or UNNAMED, seeded=True)
        return True

    @property
    def highest(self) -> Switch | None:
        """Of what is stored and what is being raised; `None` while nothing is known."""
        if self.seen is None or (self.raising is not None and self.raising.level > self.seen.level):
            return self.raising
        return self.seen


async def settle(
    client: Redis, key: str, channel: str, memory: SwitchMemory, stored: Switch, source: str, now_ms: int
) -> None:
    """Tells Redis what it has forgotten, and what this worker has raised; then the memory has seen what Redis holds."""
    better = memory.knows_better(stored)
    if better is not None:
        told = [better.level.value, better.epoch, better.reason, source, now_ms, 0, channel]
        stored = Switch.read(key, *await call(client, Script.MERGE, [key], told))
    raising = memory.raising
    if raising is not None:
        told = [raising.level.value, max(0, stored.epoch), raising.reason, source, now_ms, channel]
        stored = Switch.read(key, *await call(client, Script.RAISE, [key], told))
        if memory.raising is raising:
            memory.raising = None
    memory.seen = stored


def emergency_of(memory: SwitchMemory, declared: EmergencyLevel) -> EmergencyChanged | None:
    """What counts for the account now: the highest source, and what is not seeded is a halt. `declared`: by its
    resource, which is no part of the sticky switch.

    `None` while nothing is known, which reads as halt at the worker's own side.
    """
    told = memory.highest
    if told is None:
        return None
    level, reason = told.level, told.reason
    if not told.seeded and level < EmergencyLevel.HALT:
        level, reason = EmergencyLevel.HALT, SWITCH_NOT_SEEDED
    if declared > level:
        level, reason = declared, "the account resource says so (spec.emergency)"
    return EmergencyChanged(level, max(0, told.epoch), reason)


def halt_of(memory: SwitchMemory) -> HaltChanged | None:
    """The symbol's halt now; `None` while nothing is known."""
    told = memory.highest
    if told is None:
        return None
    halted = told.level > EmergencyLevel.NONE
    return HaltChanged(max(0, told.epoch), (told.reason or UNNAMED) if halted else "")

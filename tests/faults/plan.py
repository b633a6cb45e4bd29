"""The faults of one cell, drawn from a seed: what, to whom, for how long, and whether the cell recovers first."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random

import msgspec
from controls import Deed, Failpoint
from proxy import Weather


class Kind(StrEnum):
    FREEZE = "frozen"
    FREEZE_AT = "frozen at a failpoint"
    KILL = "killed"
    KILL_AT = "killed at a failpoint"
    ROLL = "rolled over"
    OFF_REDIS = "cut off from Redis"
    OFF_EXCHANGE = "cut off from the exchange"
    REDIS_PAUSE = "Redis hangs"
    REDIS_RESTART = "Redis restarts"
    REDIS_EMPTY = "Redis restarts empty"
    REDIS_OLD = "Redis restarts with older data"
    FLUSH = "Redis is flushed"
    STOP = "emergency"
    BAN = "banned (418)"
    SECOND_INSTALLATION = "second installation"
    CLOCK = "wall clock jumps"
    CROWD = "twenty reserve at once"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`slot`: which worker of the cell; `seconds`: how long it lasts; `pause_s`: until the next one is begun, negative
    where the cell recovers first.
    """

    number: int
    kind: Kind
    slot: int
    leader: bool
    """Whoever leads that worker's symbol is meant."""
    seconds: float
    pause_s: float
    weather: Weather = Weather.FAIR
    failpoint: Failpoint = Failpoint.NOWHERE
    level: int = 1
    jump_s: float = 0.0

    def __str__(self) -> str:
        extra = {
            Kind.FREEZE_AT: f" {self.failpoint.name.lower()}",
            Kind.KILL_AT: f" {self.failpoint.name.lower()}",
            Kind.OFF_REDIS: f" {self.weather.value}",
            Kind.OFF_EXCHANGE: f" {self.weather.value}",
            Kind.CLOCK: f" by {self.jump_s:+.0f} s",
            Kind.STOP: f" {self.level}",
        }.get(self.kind, "")
        whom = f"leader beside {self.slot}" if self.leader else f"worker {self.slot}"
        return f"{self.kind}{extra}, {whom}, {self.seconds:.2f} s"


OFTEN: Mapping[Kind, float] = {
    Kind.FREEZE: 10,
    Kind.FREEZE_AT: 16,
    Kind.KILL: 8,
    Kind.KILL_AT: 8,
    Kind.ROLL: 8,
    Kind.OFF_REDIS: 12,
    Kind.OFF_EXCHANGE: 12,
    Kind.REDIS_PAUSE: 4,
    Kind.REDIS_RESTART: 3,
    Kind.REDIS_EMPTY: 2,
    Kind.REDIS_OLD: 2,
    Kind.FLUSH: 3,
    Kind.STOP: 6,
    Kind.BAN: 1,
    Kind.SECOND_INSTALLATION: 0.8,
    Kind.CLOCK: 3,
    Kind.CROWD: 1,
}
"""Relative weights: what must be survived at every instruction is tried most."""

_BAD = (Weather.HELD, Weather.DEAF, Weather.MUTE, Weather.CUT)
_OF_LEADERS = 0.75
_MET: Mapping[Failpoint, float] = dict.fromkeys(list(Failpoint)[1:], 1.0) | {
    Failpoint.APPROVED: 3.0,
    Failpoint.CHECKED: 4.0,
    Failpoint.RESERVING: 3.0,
    Failpoint.BEATEN: 2.0,
}
_RECOVERS = 0.5
"""Share of the faults after which the account quotes again before the next; the others overlap."""


def draw(seed: str, count: int, slots: int, kinds: Sequence[Kind] = ()) -> list[Fault]:
    random = Random(seed)  # noqa: S311 - a storm, not a secret
    chosen = kinds or tuple(OFTEN)
    weights = [OFTEN[kind] for kind in chosen]
    return [_fault(random, number, random.choices(chosen, weights)[0], slots) for number in range(count)]


def _fault(random: Random, number: int, kind: Kind, slots: int) -> Fault:
    """Most last longer than a lease: a second of ttl."""
    long = random.random() < 0.7
    seconds = random.uniform(1.05, 2.2) if long else random.uniform(0.1, 1.0)
    if kind is Kind.SECOND_INSTALLATION:
        seconds = random.uniform(2.5, 4.0)
    return Fault(
        number=number,
        kind=kind,
        slot=random.randrange(slots),
        leader=random.random() < _OF_LEADERS,
        seconds=seconds,
        pause_s=-1.0 if random.random() < _RECOVERS else random.uniform(0.0, 0.6),
        weather=random.choice(_BAD),
        failpoint=random.choices(list(_MET), list(_MET.values()))[0],
        level=2 if random.random() < 0.1 else 1,
        jump_s=random.choice((-3600.0, -5.0, -1.0, 1.0, 5.0, 3600.0)),
    )


DEEDS = {Kind.FREEZE_AT: Deed.FREEZE, Kind.KILL_AT: Deed.DIE}

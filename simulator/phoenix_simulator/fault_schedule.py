"""The schedule of faults: when each begins and ends, whom it strikes, and what is in force now (see `faults`)."""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from random import Random
from typing import Final, Protocol

import msgspec

from phoenix_simulator.conditions import Condition, Mark
from phoenix_simulator.faults import Fault, FrameFault, Gap, Outage, Refuse, Reject, Reorder, RequestFault, Route

_NS: Final = 1_000_000_000


class Watch(Protocol):
    """What the schedule asks of whoever sees the exchange (`conditions.ConditionWatch`)."""

    def mark(self, condition: Condition) -> Mark: ...

    def holds(self, condition: Condition, since: Mark) -> bool: ...


class Scheduled:
    """A fault of the schedule: waiting, or in force, with what is left of it."""

    __slots__ = ("_due_ns", "_left", "_mark", "_random", "acted", "begun", "end_ns", "fault", "fault_id", "in_force")

    def __init__(self, fault_id: int, fault: Fault, random: Random) -> None:
        self.fault_id = fault_id
        self.fault = fault
        self.in_force = False
        self.begun = 0
        self.acted = 0
        """What it struck, over all its times."""
        self.end_ns: int | None = None
        self._random = random
        self._due_ns = 0
        self._left = fault.count
        self._mark: Mark | None = None

    def wait(self, from_ns: int, now_ns: int, watch: Watch) -> None:
        """For the next beginning: a random while after `from_ns` if it recurs, and for its condition in any case."""
        fault = self.fault
        pause_s = 0.0 if fault.every_seconds is None else self._random.expovariate(1 / fault.every_seconds)
        self._due_ns = max(now_ns, from_ns + int(pause_s * _NS))
        self._mark = None if fault.when is None else watch.mark(fault.when)

    def is_due(self, now_ns: int, watch: Watch) -> bool:
        if self.in_force or now_ns < self._due_ns:
            return False
        return self.fault.when is None or self._mark is None or watch.holds(self.fault.when, self._mark)

    def begin(self, now_ns: int) -> None:
        self.in_force = True
        self.begun += 1
        self._left = self.fault.count
        # A fault of the clock begins when it was due, however late somebody looked.
        begun_ns = self._due_ns if self.fault.when is None else now_ns
        duration_s = self.fault.duration_seconds
        self.end_ns = None if duration_s is None else begun_ns + int(duration_s * _NS)

    def is_over(self, now_ns: int) -> bool:
        timed_out = self.end_ns is not None and now_ns >= self.end_ns
        return self.in_force and (timed_out or self.exhausted or self.fault.IS_MOMENT)

    def end(self, now_ns: int, watch: Watch) -> bool:
        """False where it was the last time."""
        self.in_force = False
        fault = self.fault
        if fault.every_seconds is None or (fault.times is not None and self.begun >= fault.times):
            return False
        self.wait(self._due_ns, now_ns, watch)
        return True

    def strikes(self, probability: float) -> bool:
        """Whether one that it matches is struck."""
        return not self.exhausted and (probability >= 1 or self._random.random() < probability)

    def use(self) -> None:
        self.acted += 1
        if self._left is not None:
            self._left -= 1

    @property
    def exhausted(self) -> bool:
        return self._left is not None and self._left <= 0


class FaultStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One line of `GET /sim/fault`. `begun`: how often it began; `acted`: what it struck."""

    id: int
    active: bool
    begun: int
    acted: int
    fault: Fault


class Faults:
    """The schedule. `begin` and `end` are told of each fault as it starts and stops; moments act there, and `begin`
    returns how much they struck.
    """

    def __init__(self, watch: Watch, seed: int = 1) -> None:
        self._watch = watch
        self._seed = seed
        self._scheduled: dict[int, Scheduled] = {}
        self.active: list[Scheduled] = []
        """Those in force; to be read only."""
        self._next_id = 1
        self.begin: Callable[[Fault], int] = _nothing_begins
        self.end: Callable[[Fault], None] = _nothing_ends

    def __bool__(self) -> bool:
        """Whether any fault is in force: the one test that a seam pays in quiet times."""
        return bool(self.active)

    @property
    def are_over(self) -> bool:
        """Whether none is in force and none will come."""
        return not self._scheduled

    def schedule(self, fault: Fault, now_ns: int) -> int:
        return self.add(fault, now_ns).fault_id

    def add(self, fault: Fault, now_ns: int) -> Scheduled:
        fault_id = self._next_id
        self._next_id += 1
        # A text seeds Random by its digest: the same on every machine, and other for every fault of a run.
        random = Random(f"phoenix fault {fault_id} {self._seed}")  # noqa: S311 - a market's accident, not a secret
        scheduled = self._scheduled[fault_id] = Scheduled(fault_id, with_defaults(fault), random)
        scheduled.wait(now_ns + int(fault.start_seconds * _NS), now_ns, self._watch)
        self.advance(now_ns)
        return scheduled

    def cancel(self, fault_id: int) -> bool:
        scheduled = self._scheduled.pop(fault_id, None)
        if scheduled is None:
            return False
        self._stop(scheduled)
        return True

    def clear(self) -> None:
        for fault_id in list(self._scheduled):
            self.cancel(fault_id)

    def advance(self, now_ns: int) -> None:
        """Starts what is due and ends what is over."""
        for scheduled in list(self._scheduled.values()):
            if scheduled.is_due(now_ns, self._watch):
                scheduled.begin(now_ns)
                self.active.append(scheduled)
                scheduled.acted += self.begin(scheduled.fault)
            if scheduled.is_over(now_ns):
                self._stop(scheduled)
                if not scheduled.end(now_ns, self._watch):
                    self._scheduled.pop(scheduled.fault_id, None)

    def list(self) -> list[FaultStatus]:
        return [
            FaultStatus(item.fault_id, item.in_force, item.begun, item.acted, item.fault)
            for item in self._scheduled.values()
        ]

    def for_frame(self, symbol: str, stream: str, route: Route, holder: str) -> Iterator[Scheduled]:
        """Faults of one frame on its way to one connection. `stream` as in `FrameFault`."""
        for scheduled in list(self.active):
            fault = scheduled.fault
            if isinstance(fault, Outage):
                if not scheduled.exhausted and _matches(fault.holder, holder):
                    yield scheduled
            elif (
                isinstance(fault, FrameFault)
                and _matches(fault.holder, holder)
                and (fault.route is None or fault.route is route)
                and _matches(fault.stream, stream)
                and _matches(fault.symbol, symbol)
                and scheduled.strikes(fault.probability)
            ):
                yield scheduled

    def for_request(self, operation: str, rest_name: str, symbol: str, holder: str) -> Iterator[Scheduled]:
        for scheduled in list(self.active):
            fault = scheduled.fault
            if (
                isinstance(fault, RequestFault)
                and _matches(fault.holder, holder)
                and _matches(fault.symbol, symbol)
                and (_matches(fault.endpoint, operation) or _matches(fault.endpoint, rest_name))
                and scheduled.strikes(fault.probability)
            ):
                yield scheduled

    def refuses(self, route: Route, holder: str) -> bool:
        """Whether this handshake is refused."""
        for scheduled in self.active:
            fault = scheduled.fault
            if (
                isinstance(fault, Refuse)
                and not scheduled.exhausted
                and fault.route in {None, route}
                and _matches(fault.holder, holder)
            ):
                scheduled.use()
                return True
        return False

    def in_outage(self, holder: str) -> bool:
        return any(isinstance(item.fault, Outage) and _matches(item.fault.holder, holder) for item in self.active)

    def _stop(self, scheduled: Scheduled) -> None:
        if scheduled in self.active:
            self.active.remove(scheduled)
            self.end(scheduled.fault)


def _nothing_begins(_: Fault) -> int:
    """Nobody listens yet."""
    return 0


def _nothing_ends(_: Fault) -> None:
    """Nobody listens yet."""


def _matches(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text.lower(), pattern.lower())


def with_defaults(fault: Fault) -> Fault:
    """What a bare fault of a kind means, where "everything" would be senseless."""
    match fault:
        case Gap():
            stream = fault.stream if fault.stream is not None else "depth@*"
            count = fault.count if fault.count is not None or fault.duration_seconds is not None else 1
            return msgspec.structs.replace(fault, stream=stream, count=count)
        case Reorder(stream=None):
            return msgspec.structs.replace(fault, stream="user", count=fault.count or 1)
        case Reject(endpoint=None):
            return msgspec.structs.replace(fault, endpoint="order.place")
        case _:
            return fault

"""Faults as data: what can go wrong at a venue, when, for whom, and for how long.

A fault is scheduled once (`POST /sim/fault`, or a scenario file) and then asked for at four seams:

=============  ==========================================  =====================================================
seam           asked by                                    kinds
=============  ==========================================  =====================================================
frames         the stream hub, per frame and connection    silence, gap, duplicate, late, reorder, outage
requests       the gateway, per REST or WebSocket request  rate-limit, unavailable, answer-lost, reject, delay, outage
connections    the handshake of a WebSocket                refuse, outage
moments        the run loop, when the fault begins         disconnect, clock-skew, partial-fill, listen-key-expiry,
                                                           server-shutdown, deleverage
=============  ==========================================  =====================================================

Every match field is a glob (``*``, ``?``) without regard to case; an absent one matches all. Times are seconds of the
simulated clock. With no fault scheduled a seam costs one truth test.

A fault begins at a time (`startSeconds`), on a condition (`when`), or again and again at random (`everySeconds`); while
it lasts it strikes everything that it matches, or with a `probability`. What is random is drawn from the run's seed.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, ClassVar, Final, Protocol

import msgspec

from phoenix_simulator.conditions import Condition, Count, Mark

_NS: Final = 1_000_000_000

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Probability = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Route(Enum):
    """Which of the venue's doors a WebSocket came through."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"
    UNROUTED = "unrouted"
    WS_API = "ws-api"


class FaultKind(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", forbid_unknown_fields=True
):
    """What every fault has: when it starts (from now), how long it lasts (absent: until removed), how often it acts."""

    ENDS_ITSELF: ClassVar[bool] = False
    """Over without a duration or a count: a moment, or one frame."""

    start_seconds: Seconds = 0.0
    duration_seconds: Seconds | None = None
    count: Count | None = None
    holder: str | None = None
    """Whose connections or requests: a glob over their User-Agent."""
    when: Condition | None = None
    """It begins as soon as this holds, not before `startSeconds`."""
    every_seconds: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    """It comes again and again: the mean of the random (exponential) time from one beginning to the next."""
    times: Count | None = None
    """How often it comes, with `everySeconds`; absent: for ever."""

    def __post_init__(self) -> None:
        if self.every_seconds is None:
            if self.times is not None:
                raise ValueError("times needs everySeconds")
        elif not self._is_bounded:
            raise ValueError("what comes again has to end first: everySeconds needs durationSeconds or count")

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)

    @property
    def is_endless(self) -> bool:
        """Whether it is in force, or can come back, until somebody removes it."""
        return not self._is_bounded or (self.every_seconds is not None and self.times is None)

    @property
    def _is_bounded(self) -> bool:
        return self.ENDS_ITSELF or self.duration_seconds is not None or self.count is not None


class FrameFault(FaultKind, frozen=True, kw_only=True):
    """A fault of stream frames. `stream` is a glob over what follows the ``@``: ``bookTicker``, ``depth@100ms``,
    ``depth@*`` (diffs), ``depth*`` (partial books too); user data is ``user``, of no symbol. Counts count frames on
    their way to one connection.
    """

    symbol: str | None = None
    stream: str | None = None
    route: Route | None = None
    probability: Probability = 1.0
    """Of each matching frame to be struck."""


class Silence(FrameFault, frozen=True, tag="silence"):
    """Matching streams deliver nothing; sockets stay up and control messages are answered."""


class Gap(FrameFault, frozen=True, tag="gap"):
    """Matching frames are lost (one, unless a count or a duration is given). Without `stream`: diff depth."""

    ENDS_ITSELF: ClassVar[bool] = True


class Duplicate(FrameFault, frozen=True, tag="duplicate"):
    """Matching frames arrive twice."""


class Late(FrameFault, frozen=True, tag="late"):
    """Matching frames arrive in order, but `delaySeconds` after their time."""

    delay_seconds: Seconds


class Reorder(FrameFault, frozen=True, tag="reorder"):
    """Of two matching frames in a row the second is delivered first. Without `stream`: user data."""

    ENDS_ITSELF: ClassVar[bool] = True


class Disconnect(FaultKind, frozen=True, tag="disconnect"):
    """Matching WebSockets are cut without a closing handshake when the fault begins."""

    ENDS_ITSELF: ClassVar[bool] = True

    route: Route | None = None
    symbol: str | None = None
    """Only connections that have a stream of this symbol."""


class Refuse(FaultKind, frozen=True, tag="refuse"):
    """New WebSockets on the route get 503 instead of a handshake."""

    route: Route | None = None


class Outage(FaultKind, frozen=True, tag="outage"):
    """The venue is gone without saying so: sockets stay up and nothing is answered, pings included. Requests that were
    made meanwhile were not executed, and end without an answer.
    """


class RequestFault(FaultKind, frozen=True, kw_only=True):
    """A fault of requests. `endpoint` is a glob over the operation, the same for both transports (``order.place``,
    ``order.cancel``, ``depth`` …), and over ``METHOD /path`` of REST.
    """

    endpoint: str | None = None
    symbol: str | None = None
    probability: Probability = 1.0
    """Of each matching request to be struck."""


class RateLimit(RequestFault, frozen=True, tag="rate-limit"):
    """429, or 418 (the IP is then banned for `retryAfterSeconds`)."""

    status: int = 429
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=1, le=259_200)] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in {429, 418}:
            raise ValueError("status is 429 (too many requests) or 418 (banned)")


class Outcome(Enum):
    """The venue's 503 answers, which mean different things."""

    UNKNOWN_EXECUTED = "unknown-executed"
    UNKNOWN_NOT_EXECUTED = "unknown-not-executed"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    THROTTLED = "throttled"


class Unavailable(RequestFault, frozen=True, kw_only=True, tag="unavailable"):
    """503. `outcome`: whether it was executed, and whether the text tells. `throttled` (-1008) spares cancels and
    reduce-only orders, as the venue does.
    """

    outcome: Outcome


class AnswerLost(RequestFault, frozen=True, tag="answer-lost"):
    """The answer never comes: REST connections are cut, the WebSocket API stays silent. Executed unless said
    otherwise: the order's status is unknown to the client.
    """

    executed: bool = True


class Reject(RequestFault, frozen=True, tag="reject"):
    """The venue refuses with a code of its own. Without `endpoint`: new orders."""

    code: int
    message: str = "Rejected by the venue."
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 400


class Delay(RequestFault, frozen=True, tag="delay"):
    """The way in and the way out take longer. A request that waits longer than its recvWindow is refused by the engine
    (-5028); a delayed acknowledgement comes after the events that it announces.
    """

    before_seconds: Seconds = 0.0
    after_seconds: Seconds = 0.0


class ClockSkew(FaultKind, frozen=True, tag="clock-skew"):
    """The venue's clock is off by `skewMs` while the fault lasts."""

    skew_ms: Annotated[int, msgspec.Meta(ge=-3_600_000, le=3_600_000)]


class PartialFill(FaultKind, frozen=True, tag="partial-fill"):
    """When the fault begins, a taker takes what is ahead of the resting order nearest to the touch, and `fraction` of
    that order (at least a step, never all of it).
    """

    ENDS_ITSELF: ClassVar[bool] = True

    symbol: str
    fraction: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5


class ListenKeyExpiry(FaultKind, frozen=True, tag="listen-key-expiry"):
    """Listen keys end at once, announced by `listenKeyExpired`. Without `apiKey`: everybody's."""

    ENDS_ITSELF: ClassVar[bool] = True

    api_key: str | None = None


class ServerShutdown(FaultKind, frozen=True, tag="server-shutdown"):
    """Maintenance: matching stream connections hear `serverShutdown` when the fault begins, and are closed
    `graceSeconds` later. Connections made meanwhile are on another server and live on.
    """

    ENDS_ITSELF: ClassVar[bool] = True

    route: Route | None = None
    grace_seconds: Seconds = 600.0


class Deleverage(FaultKind, frozen=True, tag="deleverage"):
    """When the fault begins, `fraction` of a position is closed at mark (ADL): of the one that stands first in the
    deleveraging queue, or of the account that has `apiKey`.
    """

    ENDS_ITSELF: ClassVar[bool] = True

    symbol: str
    fraction: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    api_key: str | None = None


Fault = (
    Silence
    | Gap
    | Duplicate
    | Late
    | Reorder
    | Disconnect
    | Refuse
    | Outage
    | RateLimit
    | Unavailable
    | AnswerLost
    | Reject
    | Delay
    | ClockSkew
    | PartialFill
    | ListenKeyExpiry
    | ServerShutdown
    | Deleverage
)
_Instant = Disconnect | PartialFill | ListenKeyExpiry | ServerShutdown | Deleverage
"""Moments that are over as soon as they began."""
MomentFault = _Instant | ClockSkew


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
        return self.in_force and (timed_out or self.exhausted or isinstance(self.fault, _Instant))

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
        self._active: list[Scheduled] = []
        self._next_id = 1
        self.begin: Callable[[Fault], int] = _nothing_begins
        self.end: Callable[[Fault], None] = _nothing_ends

    def __bool__(self) -> bool:
        """Whether any fault is in force: the one test that a seam pays in quiet times."""
        return bool(self._active)

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
        scheduled = self._scheduled[fault_id] = Scheduled(fault_id, _with_defaults(fault), random)
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
                self._active.append(scheduled)
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
        for scheduled in list(self._active):
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
        for scheduled in list(self._active):
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
        for scheduled in self._active:
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
        return any(isinstance(item.fault, Outage) and _matches(item.fault.holder, holder) for item in self._active)

    def _stop(self, scheduled: Scheduled) -> None:
        if scheduled in self._active:
            self._active.remove(scheduled)
            self.end(scheduled.fault)


def _nothing_begins(_: Fault) -> int:
    """Nobody listens yet."""
    return 0


def _nothing_ends(_: Fault) -> None:
    """Nobody listens yet."""


def _matches(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text.lower(), pattern.lower())


def _with_defaults(fault: Fault) -> Fault:
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

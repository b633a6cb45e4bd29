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
"""

from collections.abc import Callable, Iterator
from enum import Enum
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

_NS: Final = 1_000_000_000

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


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

    start_seconds: Seconds = 0.0
    duration_seconds: Seconds | None = None
    count: Count | None = None
    holder: str | None = None
    """Whose connections or requests: a glob over their User-Agent."""

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)


class FrameFault(FaultKind, frozen=True, kw_only=True):
    """A fault of stream frames. `stream` is a glob over what follows the ``@``: ``bookTicker``, ``depth@100ms``,
    ``depth@*`` (diffs), ``depth*`` (partial books too); user data is ``user``, of no symbol. Counts count frames on
    their way to one connection.
    """

    symbol: str | None = None
    stream: str | None = None
    route: Route | None = None


class Silence(FrameFault, frozen=True, tag="silence"):
    """Matching streams deliver nothing; sockets stay up and control messages are answered."""


class Gap(FrameFault, frozen=True, tag="gap"):
    """Matching frames are lost (one, unless a count or a duration is given). Without `stream`: diff depth."""


class Duplicate(FrameFault, frozen=True, tag="duplicate"):
    """Matching frames arrive twice."""


class Late(FrameFault, frozen=True, tag="late"):
    """Matching frames arrive in order, but `delaySeconds` after their time."""

    delay_seconds: Seconds


class Reorder(FrameFault, frozen=True, tag="reorder"):
    """Of two matching frames in a row the second is delivered first. Without `stream`: user data."""


class Disconnect(FaultKind, frozen=True, tag="disconnect"):
    """Matching WebSockets are cut without a closing handshake when the fault begins."""

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


class RateLimit(RequestFault, frozen=True, tag="rate-limit"):
    """429, or 418 (the IP is then banned for `retryAfterSeconds`)."""

    status: int = 429
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=1, le=259_200)] = 5

    def __post_init__(self) -> None:
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

    symbol: str
    fraction: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5


class ListenKeyExpiry(FaultKind, frozen=True, tag="listen-key-expiry"):
    """Listen keys end at once, announced by `listenKeyExpired`. Without `apiKey`: everybody's."""

    api_key: str | None = None


class ServerShutdown(FaultKind, frozen=True, tag="server-shutdown"):
    """Maintenance: matching stream connections hear `serverShutdown` when the fault begins, and are closed
    `graceSeconds` later. Connections made meanwhile are on another server and live on.
    """

    route: Route | None = None
    grace_seconds: Seconds = 600.0


class Deleverage(FaultKind, frozen=True, tag="deleverage"):
    """When the fault begins, `fraction` of a position is closed at mark (ADL): of the one that stands first in the
    deleveraging queue, or of the account that has `apiKey`.
    """

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


class Scheduled:
    """A fault of the schedule, with what is left of it."""

    __slots__ = ("acted", "end_ns", "fault", "fault_id", "start_ns", "started")

    def __init__(self, fault_id: int, fault: Fault, now_ns: int) -> None:
        self.fault_id = fault_id
        self.fault = fault
        self.start_ns = now_ns + int(fault.start_seconds * _NS)
        self.end_ns = None if fault.duration_seconds is None else self.start_ns + int(fault.duration_seconds * _NS)
        self.started = False
        self.acted = 0

    def use(self) -> None:
        self.acted += 1

    @property
    def exhausted(self) -> bool:
        return self.fault.count is not None and self.acted >= self.fault.count


class FaultStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One line of `GET /sim/fault`."""

    id: int
    active: bool
    acted: int
    fault: Fault


class Faults:
    """The schedule. `begin` and `end` are told of each fault as it starts and stops (moments act there)."""

    def __init__(self) -> None:
        self._scheduled: dict[int, Scheduled] = {}
        self._active: list[Scheduled] = []
        self._next_id = 1
        self.begin: Callable[[Fault], None] = _nothing
        self.end: Callable[[Fault], None] = _nothing

    def __bool__(self) -> bool:
        """Whether any fault is in force: the one test that a seam pays in quiet times."""
        return bool(self._active)

    def schedule(self, fault: Fault, now_ns: int) -> int:
        scheduled = Scheduled(self._next_id, _with_defaults(fault), now_ns)
        self._scheduled[scheduled.fault_id] = scheduled
        self._next_id += 1
        self.advance(now_ns)
        return scheduled.fault_id

    def cancel(self, fault_id: int) -> bool:
        scheduled = self._scheduled.get(fault_id)
        if scheduled is None:
            return False
        self._remove(scheduled)
        return True

    def clear(self) -> None:
        for scheduled in list(self._scheduled.values()):
            self._remove(scheduled)

    def advance(self, now_ns: int) -> None:
        """Starts what is due and ends what is over."""
        for scheduled in list(self._scheduled.values()):
            if not scheduled.started and now_ns >= scheduled.start_ns:
                scheduled.started = True
                self._active.append(scheduled)
                self.begin(scheduled.fault)
            over = scheduled.end_ns is not None and now_ns >= scheduled.end_ns
            instant = isinstance(scheduled.fault, _Instant)
            if scheduled.started and (over or scheduled.exhausted or instant):
                self._remove(scheduled)

    def list(self) -> list[FaultStatus]:
        return [FaultStatus(item.fault_id, item.started, item.acted, item.fault) for item in self._scheduled.values()]

    def for_frame(self, symbol: str, stream: str, route: Route, holder: str) -> Iterator[Scheduled]:
        """Faults of one frame on its way to one connection. `stream` as in `FrameFault`."""
        for scheduled in list(self._active):
            fault = scheduled.fault
            if isinstance(fault, Outage):
                if not scheduled.exhausted and _matches(fault.holder, holder):
                    yield scheduled
            elif (
                isinstance(fault, FrameFault)
                and not scheduled.exhausted
                and _matches(fault.holder, holder)
                and (fault.route is None or fault.route is route)
                and _matches(fault.stream, stream)
                and _matches(fault.symbol, symbol)
            ):
                yield scheduled

    def for_request(self, operation: str, rest_name: str, symbol: str, holder: str) -> Iterator[Scheduled]:
        for scheduled in list(self._active):
            fault = scheduled.fault
            if (
                isinstance(fault, RequestFault)
                and not scheduled.exhausted
                and _matches(fault.holder, holder)
                and _matches(fault.symbol, symbol)
                and (_matches(fault.endpoint, operation) or _matches(fault.endpoint, rest_name))
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

    def _remove(self, scheduled: Scheduled) -> None:
        self._scheduled.pop(scheduled.fault_id, None)
        if scheduled in self._active:
            self._active.remove(scheduled)
            self.end(scheduled.fault)


def _nothing(_: Fault) -> None:
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

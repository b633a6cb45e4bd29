"""Faults as data: what can go wrong at a venue, when, for whom, and for how long.

A fault is scheduled once (`POST /sim/fault`, or a scenario file; `fault_schedule`) and then asked for at four seams:

=============  ==========================================  =====================================================
seam           asked by                                    kinds
=============  ==========================================  =====================================================
frames         the stream hub, per frame and connection    silence, gap, duplicate, late, reorder, outage
requests       the gateway, per REST or WebSocket request  rate-limit, unavailable, answer-lost, reject, delay, page,
                                                           outage
connections    the handshake of a WebSocket                refuse, outage
moments        the run loop, when the fault begins         disconnect, clock-skew, partial-fill, listen-key-expiry,
                                                           server-shutdown, deleverage, price-jump, symbol-status,
                                                           foreign-order, foreign-cancel, transfer
=============  ==========================================  =====================================================

Every match field is a glob (``*``, ``?``) without regard to case; an absent one matches all. Times are seconds of the
simulated clock. With no fault scheduled a seam costs one truth test.

A fault begins at a time (`startSeconds`), on a condition (`when`), or again and again at random (`everySeconds`); while
it lasts it strikes everything that it matches, or with a `probability`. What is random is drawn from the run's seed.
"""

from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar

import msgspec

from phoenix_simulator.conditions import Condition, Count
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.exchange.symbols import SymbolStatus

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

    IS_MOMENT: ClassVar[bool] = False
    """Over as soon as it began."""
    ENDS_ITSELF: ClassVar[bool] = False
    """Over without a duration or a count: one frame."""

    start_seconds: Seconds = 0.0
    duration_seconds: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
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
        return self.IS_MOMENT or self.ENDS_ITSELF or self.duration_seconds is not None or self.count is not None


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

    IS_MOMENT: ClassVar[bool] = True

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

    code: Annotated[int, msgspec.Meta(lt=0, ge=-9999)]
    message: str = "Rejected by the venue."
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 400


class Delay(RequestFault, frozen=True, tag="delay"):
    """The way in and the way out take longer. A request that waits longer than its recvWindow is refused by the engine
    (-5028); a delayed acknowledgement comes after the events that it announces.
    """

    before_seconds: Seconds = 0.0
    after_seconds: Seconds = 0.0


class Page(RequestFault, frozen=True, tag="page"):
    """REST is answered by what stands in front of the venue: a page of HTML with this status. A firewall's 403 executes
    nothing; behind a gateway's 502 or 504 the request may have been `executed`.
    """

    status: int = 403
    executed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in {403, 502, 504}:
            raise ValueError("status is 403 (firewall), 502 or 504 (gateway)")
        if self.status == 403 and self.executed:
            raise ValueError("what a firewall refuses (403) is not executed")


class ClockSkew(FaultKind, frozen=True, tag="clock-skew"):
    """The venue's clock is off by `skewMs` while the fault lasts."""

    skew_ms: Annotated[int, msgspec.Meta(ge=-3_600_000, le=3_600_000)]


class PartialFill(FaultKind, frozen=True, tag="partial-fill"):
    """When the fault begins, a taker takes what is ahead of the resting order nearest to the touch, and `fraction` of
    that order (at least a step, never all of it). `side`: of the orders that it may be; absent: either.
    """

    IS_MOMENT: ClassVar[bool] = True

    symbol: str
    side: Side | None = None
    fraction: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5


class ListenKeyExpiry(FaultKind, frozen=True, tag="listen-key-expiry"):
    """Listen keys end at once, announced by `listenKeyExpired`. Without `apiKey`: everybody's."""

    IS_MOMENT: ClassVar[bool] = True

    api_key: str | None = None


class ServerShutdown(FaultKind, frozen=True, tag="server-shutdown"):
    """Maintenance: matching stream connections hear `serverShutdown` when the fault begins, and are closed
    `graceSeconds` later. Connections made meanwhile are on another server and live on.
    """

    IS_MOMENT: ClassVar[bool] = True

    route: Route | None = None
    grace_seconds: Seconds = 600.0


class Deleverage(FaultKind, frozen=True, tag="deleverage"):
    """When the fault begins, `fraction` of a position is closed at mark (ADL): of the one that stands first in the
    deleveraging queue, or of the account that has `apiKey`.
    """

    IS_MOMENT: ClassVar[bool] = True

    symbol: str
    fraction: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    api_key: str | None = None


class PriceJump(FaultKind, frozen=True, tag="price-jump"):
    """The price of a synthetic market leaps by so much (negative: falls) within a fraction of a second."""

    IS_MOMENT: ClassVar[bool] = True

    symbol: str
    bps: Annotated[float, msgspec.Meta(ge=-5_000, le=5_000)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bps:
            raise ValueError("bps is 0: no jump")


class SymbolStatusChange(FaultKind, frozen=True, kw_only=True, tag="symbol-status"):
    """The symbol does not trade while the fault lasts; then it does again. A final status ends orders and positions."""

    symbol: str
    status: SymbolStatus

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status is SymbolStatus.TRADING:
            raise ValueError("status TRADING is no fault")


class ForeignOrder(FaultKind, frozen=True, kw_only=True, tag="foreign-order"):
    """Somebody trades by hand on the accounts: a market order that changes their position behind their clients' backs.
    With `awayBps`: an order that rests, so far from the best price of its side, until somebody cancels it. Without
    `apiKey`: on every account that has been in the symbol.
    """

    IS_MOMENT: ClassVar[bool] = True

    symbol: str
    side: Side
    quantity: Decimal
    away_bps: Annotated[float, msgspec.Meta(ge=0, le=1_000)] | None = None
    reduce_only: bool = False
    api_key: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity is {self.quantity}: write one above 0")


class ForeignCancel(FaultKind, frozen=True, kw_only=True, tag="foreign-cancel"):
    """Somebody cancels by hand all orders of the symbol. Without `apiKey`: of every account."""

    IS_MOMENT: ClassVar[bool] = True

    symbol: str
    api_key: str | None = None


class Transfer(FaultKind, frozen=True, kw_only=True, tag="transfer"):
    """Money comes or (negative) goes. Without `apiKey`: of every account; what margin holds back stays."""

    IS_MOMENT: ClassVar[bool] = True

    asset: str
    amount: Decimal
    api_key: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.amount.is_finite() or not self.amount:
            raise ValueError(f"amount is {self.amount}: write one that is not 0")


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
    | Page
    | ClockSkew
    | PartialFill
    | ListenKeyExpiry
    | ServerShutdown
    | Deleverage
    | PriceJump
    | SymbolStatusChange
    | ForeignOrder
    | ForeignCancel
    | Transfer
)

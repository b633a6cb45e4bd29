"""Everything that may be asked for: a closed set of small frozen structs. Whatever waits is an action whose answer
is an event.

Orders leave only as `ApprovedOrder` (see `risk`): `Place` and `Amend` cannot be built without one.
"""

from enum import StrEnum

import msgspec

from phoenix_worker.core.events import EmergencyLevel, Request, Side, Stream


class Purpose(StrEnum):
    """Why an order exists: one letter of its client order id, so that every order names the rule that sent it."""

    QUOTE = "q"
    PIN = "p"
    BLOCK = "b"
    FLATTEN = "f"
    LIQUIDATE = "l"
    GRIND = "g"
    REENTRY = "r"


class TimeInForce(StrEnum):
    POST_ONLY = "GTX"
    GOOD_TILL_CANCEL = "GTC"
    IMMEDIATE = "IOC"


class WantedOrder(msgspec.Struct, frozen=True, array_like=True):
    """An order that the strategy would like. `price_ticks = 0` is a market order. `venue_id` only for an amend.

    `qty_steps` is the total quantity of the order (of an amend too: the venue's PUT takes the new total).
    """

    request: Request
    client_id: str
    side: Side
    price_ticks: int
    qty_steps: int
    reduce_only: bool
    purpose: Purpose
    layer: int
    time_in_force: TimeInForce = TimeInForce.POST_ONLY
    venue_id: int = 0


class ApprovedOrder:
    """A wanted order that the gate approved. Only `risk.Gate` makes one: there is no public constructor.

    `deadline_ns`: the venue must check, as the last act before the bytes leave, that this has not passed, and let the
    order's receive window end there. `trigger_ns`: receipt of the event that led to it (for tick-to-order latency).
    """

    __slots__ = ("deadline_ns", "order", "trigger_ns")
    order: WantedOrder
    deadline_ns: int
    trigger_ns: int

    def __init__(self, *_: object, **__: object) -> None:
        raise TypeError("only the risk gate approves orders")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an approved order cannot be changed")

    def __repr__(self) -> str:
        return f"ApprovedOrder({self.order!r}, deadline_ns={self.deadline_ns}, trigger_ns={self.trigger_ns})"


class Action(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """One thing to do. Actions are done in the order given, and none of them may block."""


class Place(Action, frozen=True):
    approved: ApprovedOrder


class Amend(Action, frozen=True):
    approved: ApprovedOrder


class Cancel(Action, frozen=True):
    """Cancels need no approval: they never open risk, and are sent even without the lease's deadline."""

    client_id: str
    venue_id: int


class CancelAll(Action, frozen=True):
    """Everything of this symbol, whoever placed it. Answered by the reports of the orders and a `FetchTruth` that
    follows.

    What is not ours to cancel any more must not be hit: it leaves, and counts at the exchange, only until
    `deadline_ns`. Past it a leader's own orders are cancelled one by one.
    """

    reason: str
    deadline_ns: int


class QueryOrder(Action, frozen=True):
    client_id: str


class FetchTruth(Action, frozen=True):
    """Read position, open orders, fills since `from_trade_id` (0: since `since_ms`) and the orders in flight, until
    they agree.

    Where what is held is only compared: `held_steps` is the position and `held_trade_id` the newest trade in it. An
    exchange that tells both is not asked any further. Otherwise it is also asked whose orders made the fills that are
    not among `known_trades`, the trades from `from_trade_id` on of which the user stream has told.
    """

    request_id: int
    from_trade_id: int
    since_ms: int
    in_flight: list[str]
    held_steps: int | None = None
    held_trade_id: int = 0
    known_trades: list[int] = []


class FetchSnapshot(Action, frozen=True):
    """The REST depth, limit 1000."""


class FetchTouch(Action, frozen=True):
    """Best bid and ask over REST, retried, then from the other endpoint; one `TouchAnswer` in any case."""


class FetchMinutes(Action, frozen=True):
    """The last day's one-minute klines."""


class FetchFunding(Action, frozen=True):
    """The symbol's income records about funding from `since_ms` on; one `FundingRead` in any case."""

    since_ms: int


class FetchDay(Action, frozen=True):
    """The symbol's trades since 00:00 UTC (`start_ms`) up to `until_trade_id`, the mark price of that moment, and what
    the other assets are worth in which fees were paid (`fee_assets`, and what is found); answered by `DayRead`.
    """

    request_id: int
    start_ms: int
    until_trade_id: int
    fee_assets: list[str]


class Reconnect(Action, frozen=True):
    stream: Stream
    delay_ns: int
    reason: str


class ArmDeadMan(Action, frozen=True):
    """`countdownCancelAll` of the symbol; never 0: nobody disarms it. A leader refreshes it, until `deadline_ns`."""

    countdown_ms: int
    deadline_ns: int


class Reserve(Action, frozen=True):
    """Replace this symbol's entry of the account's exposure ledger; answered by `Reserved` with the same sequence.

    `*_live_steps`: what of it is live, in flight or unknown already: it stays counted whatever is granted.
    """

    sequence: int
    position_steps: int
    buy_steps: int
    sell_steps: int
    mark: float
    buy_live_steps: int
    sell_live_steps: int


class ReleaseLease(Action, frozen=True):
    """Only when every request has its answer."""


class HandOver(Action, frozen=True):
    """A leader that cannot quote, and has nothing resting, makes room for a warm standby, if there is one."""

    reason: str


class HaltSymbol(Action, frozen=True):
    """A risk halt of the symbol, for whoever leads it, until a person resumes it; answered by `SymbolHalt`."""

    reason: str


class RaiseEmergency(Action, frozen=True):
    level: EmergencyLevel
    reason: str


class NoteKind(StrEnum):
    """What the log tells about the engine; one line each, sampled by the shell where they repeat."""

    BOOK = "book"
    QUOTING = "quoting"
    GUARD = "guard"
    REFUSED = "refused"
    ORDER = "order"
    FILL = "fill"
    FUNDING = "funding"
    TRUTH = "truth"
    PARAMETERS = "parameters"
    HALT = "halt"
    MEMORY = "memory"
    SHUTDOWN = "shutdown"


class Note(Action, frozen=True):
    """Something that a person would want to read afterwards."""

    kind: NoteKind
    text: str


class Exit(Action, frozen=True):
    """The worker is done: 0 after an orderly stop, 1 where it must not run on."""

    code: int
    reason: str


AnyAction = (
    Place
    | Amend
    | Cancel
    | CancelAll
    | QueryOrder
    | FetchTruth
    | FetchSnapshot
    | FetchTouch
    | FetchMinutes
    | FetchFunding
    | FetchDay
    | Reconnect
    | ArmDeadMan
    | Reserve
    | ReleaseLease
    | HandOver
    | HaltSymbol
    | RaiseEmergency
    | Note
    | Exit
)


def _plain(value: object) -> list[object]:
    if isinstance(value, ApprovedOrder):
        return [value.order, value.deadline_ns, value.trigger_ns]
    raise NotImplementedError(f"{type(value)} is not part of an action")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)


def encode_actions(actions: list[AnyAction]) -> bytes:
    """The bytes by which a replay is compared with what was recorded (msgpack; one way)."""
    return _encoder.encode(actions)

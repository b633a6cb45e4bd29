"""Everything that can happen to a worker: a closed set of small frozen structs.

`at` is when it was received (monotonic ns of the run's clock). Levels of depth are `(price, quantity)` floats: the
exact images of the venue's decimal strings (at most 15 significant digits), which the book turns into integer ticks in
the same loop that applies them. They are the only wire numbers that enter the core; other people's quantities are
statistics and never become an order.
"""

from enum import IntEnum, StrEnum

import msgspec

from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.core.parameters import Parameters

Level = tuple[float, float]


class Side(IntEnum):
    """The sign of what a fill does to the position."""

    BUY = 1
    SELL = -1


class Stream(StrEnum):
    """The connections of a worker. BOOK carries depth, bookTicker, trade and the canary; MARKET the mark price;
    USER our own events.
    """

    BOOK = "book"
    MARKET = "market"
    USER = "user"


class Event(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    at: int


# -- market data -----------------------------------------------------------------------------------


class Depth(Event, frozen=True):
    """One diff of the book: update ids `first_id`..`last_id`; `prev_id` is the `last_id` of the diff before it."""

    event_ms: int
    first_id: int
    last_id: int
    prev_id: int
    bids: list[Level]
    asks: list[Level]


class Snapshot(Event, frozen=True):
    """The REST book: best first, complete up to its depth, as of update `last_id`."""

    last_id: int
    bids: list[Level]
    asks: list[Level]


class Touch(Event, frozen=True):
    """Best bid and ask as of `update_id` (bookTicker); `event_ms` is the exchange's time of the event."""

    event_ms: int
    update_id: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class Trade(Event, frozen=True):
    """A public trade; `buyer_is_maker` means that a seller took."""

    event_ms: int
    trade_id: int
    price: float
    qty: float
    buyer_is_maker: bool


class Mark(Event, frozen=True):
    """Mark and index price, the funding rate that is running, and when it settles."""

    event_ms: int
    mark: float
    index: float
    funding_rate: float
    next_funding_ms: int


class Canary(Event, frozen=True):
    """A frame of a stream that never rests came over the BOOK connection: the connection lives."""


class TouchAnswer(Event, frozen=True):
    """The touch asked over REST, or `bid = None` where nobody answered."""

    sent_ns: int
    bid: float | None
    ask: float | None


class Minutes(Event, frozen=True):
    """The last day's 1-minute klines that are over, oldest first: closes, base units traded, and of these what takers
    bought. What the 30-minute deviation and VPIN start from.
    """

    last_close_ms: int
    closes: list[float]
    volumes: list[float] = []
    taker_buys: list[float] = []


# -- connections -----------------------------------------------------------------------------------


class StreamOpened(Event, frozen=True):
    """The connection is up and subscribed. For USER: events from now on will be seen."""

    stream: Stream


class StreamClosed(Event, frozen=True):
    stream: Stream
    reason: str


class SocketSilent(Event, frozen=True):
    """A fresh connection of the BOOK stream brought nothing either: the cause is upstream (`freshConnectionSilent`).
    `refused`: none can be opened, which may be the venue's doing or our node's.
    """

    silent: bool
    refused: bool = False


# -- our orders ------------------------------------------------------------------------------------


class Request(StrEnum):
    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """How a command ended. UNKNOWN (time-out, lost connection, most 5xx) counts as live until proved otherwise."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Refusal(StrEnum):
    """Why the venue refused, as far as the core acts on it. The venue maps every code in one table."""

    WOULD_TAKE = "would-take"  # -5022: post-only would have crossed; routine
    GONE = "gone"  # -2011, -2013: no such open order any more; routine
    UNCHANGED = "unchanged"  # -5027: an amend that changes nothing; routine
    REDUCE_ONLY = "reduce-only"  # -2022, -4118: the position is not what we think; look again
    DUPLICATE = "duplicate"  # -4116: this client id is already open: the first attempt succeeded
    RATE_LIMIT = "rate-limit"  # -1003, -1015, -1008, 429: wait
    BANNED = "banned"  # 418, -1003 with a ban
    CLOCK = "clock"  # -1021, -5028: outside the receive window
    MARGIN = "margin"  # -2019, -2027: no room
    SYMBOL_REDUCES = "symbol-reduces"  # -4105..: the symbol only takes reduce-only orders
    SYMBOL_CLOSED = "symbol-closed"  # -1122, -4140, -4141
    FILTER = "filter"  # precision, tick, step, notional, price band: our own mistake or stale filters
    DENIED = "denied"  # key, permission, account restricted: the account is in trouble
    EXPIRED_DEADLINE = "deadline"  # never sent: the lease's deadline had passed
    NOT_SENT = "not-sent"  # never left this process: no connection
    OTHER = "other"


class Answer(Event, frozen=True):
    """The end of one command of ours. `sent_ns` is when its bytes left (0: they never did)."""

    request: Request
    client_id: str
    outcome: Outcome
    sent_ns: int
    refusal: Refusal | None = None
    code: int = 0
    message: str = ""
    venue_id: int = 0
    price_ticks: int = 0
    qty_steps: int = 0
    filled_steps: int = 0
    closed: bool = False
    """The answer says that the order rests no more (a cancel that worked, an amend that cancelled, an order that
    filled).
    """
    update_ms: int = 0


class OrderState(StrEnum):
    """The venue's own status of an order."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    REJECTED = "REJECTED"

    @property
    def is_open(self) -> bool:
        return self in (OrderState.NEW, OrderState.PARTIALLY_FILLED)


class Execution(StrEnum):
    """What this report of an order is about (`x` of ORDER_TRADE_UPDATE)."""

    NEW = "NEW"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    CALCULATED = "CALCULATED"  # liquidation


class Fill(msgspec.Struct, frozen=True, array_like=True):
    """One execution of one of the account's orders of this symbol, ours or not.

    `commission` and `realised` are money (1e-8); commission positive = paid, in `commission_asset`.
    """

    trade_id: int
    venue_id: int
    side: Side
    price_ticks: int
    qty_steps: int
    commission: int
    commission_asset: str
    realised: int
    maker: bool
    time_ms: int


class OpenOrder(msgspec.Struct, frozen=True, array_like=True):
    """An order as the exchange tells it (query, open orders)."""

    client_id: str
    venue_id: int
    side: Side
    price_ticks: int
    qty_steps: int
    filled_steps: int
    reduce_only: bool
    state: OrderState
    update_ms: int


class OrderReport(Event, frozen=True):
    """The user stream about an order: the order as it is now, what happened, and the fill if there was one."""

    event_ms: int
    transaction_ms: int
    execution: Execution
    order: OpenOrder
    fill: Fill | None
    expiry_reason: int = 0


class PositionReport(Event, frozen=True):
    """The user stream about the position (ACCOUNT_UPDATE): signed steps, entry price, and why."""

    event_ms: int
    transaction_ms: int
    position_steps: int
    entry_price: float
    cause: str


class FundingPaid(Event, frozen=True):
    """The user stream about funding: money, negative = paid. It has no id of the settlement, only its own time."""

    transaction_ms: int
    amount: int


class FundingKind(StrEnum):
    """The venue's types of income records about funding."""

    REGULAR = "FUNDING_FEE"
    SPECIAL = "SPECIAL_FUNDING_FEE"


class FundingRow(msgspec.Struct, frozen=True, array_like=True):
    """An income record of the symbol: money, negative = paid. `record_id` is unique within the kind."""

    kind: FundingKind
    record_id: int
    time_ms: int
    amount: int


class FundingRead(Event, frozen=True):
    """The answer to `FetchFunding`: all records from `since_ms` to `asked_ms`, the exchange's time of asking.
    `problem` is set, and the rest empty, where they could not be read.
    """

    since_ms: int
    asked_ms: int = 0
    rows: list[FundingRow] = []
    problem: str = ""


class OrderAnswer(Event, frozen=True):
    """A queried order: `order = None` where the exchange says that it does not exist; `answered` false where nobody
    said.
    """

    client_id: str
    answered: bool
    order: OpenOrder | None


class Truth(Event, frozen=True):
    """What the exchange says after a (re)connect or takeover, read until it agreed with itself.

    `request_id` names the `FetchTruth` that it answers; events of the user stream with `transaction_ms` and trade ids
    beyond it are newer. `problem` is set, and the rest empty, where it could not be read.
    """

    request_id: int
    read_ms: int = 0
    position_steps: int = 0
    entry_price: float = 0.0
    open_orders: list[OpenOrder] = []
    fills: list[Fill] = []
    last_trade_id: int = 0
    resolved: list[OpenOrder] = []
    """The final state of the orders in flight that `FetchTruth` named, where they are not open any more."""
    problem: str = ""
    owners: list[OpenOrder] = []
    """The orders, as they are now, that made those of `fills` of which nobody had heard. One that the exchange does not
    name has an empty client id.
    """


class DayRead(Event, frozen=True):
    """What the exchange lists of the UTC day so far (see `FetchDay`): `steps` and `notional` (money) are bought less
    sold, `fees` by asset in 1e-8 of its units, positive = paid; `rates` are quote per unit of the other assets, as far
    as they have a price. `open_mark` is 0 where there is none (the symbol was not listed yet).
    """

    request_id: int
    open_mark: float = 0.0
    steps: int = 0
    notional: int = 0
    fees: dict[str, int] = {}
    rates: dict[str, float] = {}
    problem: str = ""


# -- shared with other workers ---------------------------------------------------------------------


class Lease(Event, frozen=True):
    """The leader lease. `token = 0`: not held (any more). `deadline_ns`: no order may leave after it."""

    token: int
    deadline_ns: int
    installation: str = ""


class Restored(Event, frozen=True):
    """What the symbol's last leader remembered; told before the `Lease` that makes a leader of us.

    `memory` is empty where nothing could be read: what it would have said fails closed. `age_ns`: how old it is by the
    wall clocks of two machines, of which nobody knows whether they agree. `observed_ns`: how old it is at least, as
    this process has seen itself.
    """

    memory: bytes
    age_ns: int
    observed_ns: int = 0


class SymbolHalt(Event, frozen=True):
    """The symbol's risk halt as its workers share it; `reason` is empty where there is none (any more)."""

    epoch: int
    reason: str


class Reserved(Event, frozen=True):
    """The account's ledger grants pending buys and sells up to these, for reservation `sequence`."""

    sequence: int
    buy_steps: int
    sell_steps: int


class EmergencyLevel(IntEnum):
    NONE = 0
    HALT = 1
    FLATTEN = 2


class Emergency(Event, frozen=True):
    level: EmergencyLevel
    epoch: int
    reason: str


class Coordination(Event, frozen=True):
    """Whether what workers share can be read and written."""

    reachable: bool
    reason: str = ""


# -- control ---------------------------------------------------------------------------------------


class Tick(Event, frozen=True):
    """Time passes. The shell sends one at least every 50 ms."""


class ParametersSet(Event, frozen=True):
    """`shadow`: the second set, of the engine beside this one (see `shadow`); None where there is none."""

    parameters: Parameters
    revision: str
    shadow: Parameters | None = None


class InstrumentSet(Event, frozen=True):
    instrument: Instrument


class StatusSet(Event, frozen=True):
    status: SymbolStatus


class FeesSet(Event, frozen=True):
    maker_bps: float
    taker_bps: float


class ClockSynced(Event, frozen=True):
    """Exchange time in ns ≈ monotonic ns + `offset_ns`, give or take `error_ns`."""

    offset_ns: int
    error_ns: int


class DeadManArmed(Event, frozen=True):
    """The exchange will cancel everything at `until_ns` unless it hears again; 0: arming failed."""

    until_ns: int


class Budget(Event, frozen=True):
    """What the venue still admits: orders in the 10 s and 1 min windows (account), weight in the minute (egress)."""

    orders_10s: int
    orders_1m: int
    weight_1m: int
    blocked_until_ns: int = 0
    """Nothing may be sent before (429, 418)."""


class VenueMaintenance(Event, frozen=True):
    """The venue says that it goes down (`serverShutdown`) or is back."""

    down: bool


class Stop(Event, frozen=True):
    """Withdraw in order: stop quoting, cancel all and confirm, release, exit."""

    reason: str


AnyEvent = (
    Depth
    | Snapshot
    | Touch
    | Trade
    | Mark
    | Canary
    | TouchAnswer
    | Minutes
    | StreamOpened
    | StreamClosed
    | SocketSilent
    | Answer
    | OrderReport
    | PositionReport
    | FundingPaid
    | FundingRead
    | OrderAnswer
    | Truth
    | DayRead
    | Lease
    | Restored
    | SymbolHalt
    | Reserved
    | Emergency
    | Coordination
    | Tick
    | ParametersSet
    | InstrumentSet
    | StatusSet
    | FeesSet
    | ClockSynced
    | DeadManArmed
    | Budget
    | VenueMaintenance
    | Stop
)

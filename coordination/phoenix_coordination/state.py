"""What a worker tells the rest of the world about itself: the state record, published and served at `/state`.

One record per (symbol, holder), JSON in camelCase. It lives `TTL_MS`: whoever reads an older one reads nothing.
Operator, runner, `phoenix top` and dashboard read it; nobody needs to reach into a worker.

Prices, quantities and money are exact decimal strings (base units, quote units); statistics are floats; durations are
ages in ms as of publishing, so that no reader depends on the writer's clock.
"""

import re
from decimal import Decimal
from enum import StrEnum

import msgspec

SCHEMA = 1
"""Grows when a field changes its meaning or goes away; a reader refuses a record of another schema."""
TTL_MS = 15_000
FILLS_TOLD = 8
"""How many of the last fills a record tells."""


class ForeignSchemaError(ValueError):
    """A record that this build cannot read."""


class Role(StrEnum):
    STARTING = "starting"
    STANDBY = "standby"
    LEADING = "leading"
    DRAINING = "draining"


class Mode(StrEnum):
    DRY_RUN = "DryRun"
    LIVE = "Live"


class Reason(StrEnum):
    """Why a worker is not ready, or ready but not quoting: one vocabulary for `/readyz`, `Quoting` and the columns.

    Declared from what must heal first: where several hold, the first is told (`first_of`).
    """

    CONFIGURATION_INVALID = "ConfigurationInvalid"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    PREFLIGHT_REFUSED = "PreflightRefused"
    VENUE_UNREACHABLE = "VenueUnreachable"
    VENUE_MAINTENANCE = "VenueMaintenance"
    DRAINING = "Draining"
    STARTING = "Starting"
    COORDINATION_UNREACHABLE = "CoordinationUnreachable"
    LEASE_NOT_HELD = "LeaseNotHeld"
    BOOK_NOT_SYNCED = "BookNotSynced"
    PRICE_STALE = "PriceStale"
    USER_STREAM_OUT_OF_SYNC = "UserStreamOutOfSync"
    NOT_RECONCILED = "NotReconciled"
    CLOCK_UNKNOWN = "ClockUnknown"
    DEAD_MAN_NOT_ARMED = "DeadManNotArmed"
    EMERGENCY = "Emergency"
    SECOND_WRITER = "SecondWriter"
    RISK_HALTED = "RiskHalted"
    LOSS_UNKNOWN = "LossUnknown"
    FOREIGN_ACTIVITY = "ForeignActivity"
    SYMBOL_NOT_TRADING = "SymbolNotTrading"
    REDUCE_ONLY = "ReduceOnly"
    RATE_LIMITED = "RateLimited"
    COOLDOWN = "Cooldown"
    TOXIC_FLOW = "ToxicFlow"
    GUARD = "Guard"
    PAUSED = "Paused"
    NOT_RESERVED = "NotReserved"
    STATISTICS_WARMING = "StatisticsWarming"
    STANDBY = "Standby"
    QUOTING = "Quoting"

    @property
    def severity(self) -> int:
        """Position in the order of telling: 0 first."""
        return _SEVERITY[self]


_SEVERITY = {reason: position for position, reason in enumerate(Reason)}


def first_of(reasons: list[Reason]) -> Reason:
    """The reason that is told; `QUOTING` where there is none against it."""
    return min(reasons, key=_SEVERITY.__getitem__, default=Reason.QUOTING)


class Quote(msgspec.Struct, frozen=True, rename="camel"):
    """One live order of ours."""

    price: str
    qty: str
    purpose: str


class Quotes(msgspec.Struct, frozen=True, rename="camel"):
    """Live orders of ours, nearest first."""

    bids: list[Quote] = []
    asks: list[Quote] = []


class Prices(msgspec.Struct, frozen=True, rename="camel"):
    """The touch of the local book and what is derived from it; `None` while unknown. `sigma` is of 1 s returns,
    `vpin` 0 to 1, `predicted_funding` the rate expected at the next settlement.
    """

    bid: str | None = None
    ask: str | None = None
    mid: float | None = None
    mark: float | None = None
    sigma: float | None = None
    stddev_30m: float | None = None
    vpin: float | None = None
    predicted_funding: float | None = None


class Position(msgspec.Struct, frozen=True, rename="camel"):
    """Base units. `worst_case_*`: position if every live, in-flight and unknown order of that side filled.

    `max_worst_case_ratio` is the largest |worst case| / netMax since the worker started.
    """

    qty: str = "0"
    entry_price: float | None = None
    net_max: str = "0"
    worst_case_long: str = "0"
    worst_case_short: str = "0"
    worst_case_limit: str = "0"
    max_worst_case_ratio: float = 0.0
    pending_buy: str = "0"
    pending_sell: str = "0"


class Pnl(msgspec.Struct, frozen=True, rename="camel"):
    """Quote units since the symbol's accounts began (`began_ms`, the exchange's time; `None` while that is not known).

    `fees` positive = paid, in whichever asset; `None` while one of these has no price. `fees_by_asset`: the same,
    exact, in each asset's own units. `funding` negative = paid. `day`: the result since 00:00 UTC, all of it; `None`
    while it is not known. `day_start_ms`: which day's.
    """

    realised: str = "0"
    unrealised: str = "0"
    fees: str | None = "0"
    fees_by_asset: dict[str, str] = {}
    funding: str = "0"
    day: str | None = None
    day_start_ms: int = 0
    began_ms: int | None = None

    @property
    def total(self) -> Decimal | None:
        """Realised and unrealised, after fees and funding; `None` while not all that was paid is known in quote."""
        if self.fees is None:
            return None
        return Decimal(self.realised) + Decimal(self.unrealised) - Decimal(self.fees) + Decimal(self.funding)


class SymbolDay(msgspec.Struct, frozen=True):
    """One symbol's part of the account's UTC day that began at `start_ms`: its result in 1e-8 quote, and the position
    (signed, base units) and mark price with which it was made.
    """

    symbol: str
    start_ms: int
    result: int
    qty: float
    mark: float


class Ages(msgspec.Struct, frozen=True, rename="camel"):
    """Milliseconds since …; `None` where it never happened. `reason`: for how long the present reason has held.

    `steward`: since this worker has last seen that the account's steward, whoever it is, has looked at margin and
    symbols without a leader; since it could see it at all where nobody has.
    """

    book: int | None = None
    user: int | None = None
    reason: int = 0
    running: int = 0
    steward: int | None = None


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """Microseconds, from the worker's own histograms (upper bound of the bucket); `None` without a sample."""

    p50: float | None = None
    p99: float | None = None


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    """Counts since the worker started. `volume` is the quote notional of all fills, either side; `stances_ms` and
    `reasons_ms` how long each mode was in force (see `StateRecord.guard`) and each reason was the first.
    """

    market_events: int = 0
    decisions: int = 0
    orders_sent: int = 0
    orders_rejected: dict[str, int] = {}
    fills: int = 0
    bought: str = "0"
    sold: str = "0"
    volume: str = "0"
    stale_episodes: int = 0
    resyncs: int = 0
    stances_ms: dict[str, int] = {}
    reasons_ms: dict[str, int] = {}
    tick_to_order_us: Latency = Latency()
    decision_us: Latency = Latency()
    rss_mib: float = 0.0


class RecentFill(msgspec.Struct, frozen=True, rename="camel"):
    """One fill of ours; `side` is `buy` or `sell`, `maker` whether our order rested, `at_ms` the exchange's time."""

    side: str
    price: str
    qty: str
    maker: bool
    at_ms: int


class Configuration(msgspec.Struct, frozen=True, rename="camel"):
    """What is in force. `refused`: why the file that lies there is not; `needs_restart`: cold fields that changed."""

    hash: str = ""
    generation: int = 0
    refused: str = ""
    needs_restart: list[str] = []


SWITCH_NOT_READ = "the emergency switch has not been read yet"
"""The reason of the halt that every worker starts in: nobody has raised it, and the first look at Redis replaces it."""

SWITCH_NOT_SEEDED = (
    "the account's emergency switch has not been seeded: start the operator (locally the runner), which does"
)
"""The reason of the halt in which every worker is until the account has had its say."""

NOBODY_RAISED_IT = frozenset({SWITCH_NOT_READ, SWITCH_NOT_SEEDED})
"""Reasons of a halt that nobody asked for: what is not known is one, too."""


class EmergencyState(msgspec.Struct, frozen=True, rename="camel"):
    """The account's switch as this worker knows it; level `None`, `Halt` or `Flatten`."""

    level: str = "None"
    epoch: int = 0
    reason: str = ""


class Halt(msgspec.Struct, frozen=True, rename="camel"):
    """The symbol's own risk halt; `reason` is empty where there is none (any more)."""

    epoch: int = 0
    reason: str = ""


_POD_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def pod_uid_of(holder: str) -> str:
    """The pod that a holder runs in: what comes before the first slash, where that is a UID. Empty where it is none.

    In a pod a worker calls itself `<uid>/<boot nonce>`; what it does under a borrowed lease, with one part more.
    Elsewhere machine and process stand there, which name no pod.
    """
    uid = holder.partition("/")[0]
    return uid if _POD_UID.fullmatch(uid) else ""


class StateRecord(msgspec.Struct, frozen=True, rename="camel"):
    """One worker at one moment. `holder` names pod or process and boot (`pod_uid_of`); `account` is `namespace/name`.

    `ready` is what `/readyz` answers: able to quote or a warm standby. `reason` is the first, or `Quoting`;
    `reasons_not_ready` are those of them that make it unready. `detail` is a sentence for people. `guard` is the mode
    in force: `normal`, `pin`, `grind`, `block`, `flatten`, `liquidate` or `emergency`. `recent_fills`: the last
    `FILLS_TOLD` that this worker has heard of, newest first.
    """

    schema: int
    symbol: str
    holder: str
    namespace: str
    maker: str
    account: str
    installation: str
    role: Role
    mode: Mode
    ready: bool
    reason: Reason
    reasons_not_ready: list[Reason]
    detail: str
    guard: str
    token: int
    build: str
    fresh_connection_silent: bool
    published_ms: int
    fresh_connection_refused: bool = False
    configuration: Configuration = Configuration()
    emergency: EmergencyState = EmergencyState()
    halt: Halt = Halt()
    prices: Prices = Prices()
    quotes: Quotes = Quotes()
    position: Position = Position()
    pnl: Pnl = Pnl()
    ages: Ages = Ages()
    activity: Activity = Activity()
    recent_fills: list[RecentFill] = []


class _Versioned(msgspec.Struct):
    schema: int


_decoder = msgspec.json.Decoder(StateRecord)
_version_decoder = msgspec.json.Decoder(_Versioned)


def encode(record: StateRecord) -> bytes:
    """The JSON that is published and served."""
    return msgspec.json.encode(record)


def decode(data: bytes) -> StateRecord:
    """The record; raises `ForeignSchemaError` where another build wrote it or it is no record at all."""
    try:
        schema = _version_decoder.decode(data).schema
        if schema != SCHEMA:
            raise ForeignSchemaError(
                f"state record of schema {schema}, this build reads {SCHEMA}: upgrade the older of the two"
            )
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignSchemaError(f"this is no state record: {error}") from None

"""What the page shows, as the browser gets it (JSON, camelCase).

Prices, quantities and money are exact decimal strings; ratios, bps and rates are floats; ages are ms as of sending.
None is "not known", which the page never shows as if all were well.
"""

from enum import StrEnum

import msgspec
from phoenix_coordination.state import Ages, Configuration, Latency, Pnl, Position, Prices, Quotes, RecentFill

SCHEMA = 1
"""Grows when a field changes its meaning or goes away: a page that was loaded before then loads itself again."""


class Mood(StrEnum):
    """How something is to be taken: `unknown` is not fine either."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    UNKNOWN = "unknown"


class EmergencyView(msgspec.Struct, frozen=True, rename="camel"):
    """The account's switch as it is in force; `level` is `None`, `Halt`, `Flatten` or `Unknown`.

    `epoch` is what `phoenix resume --epoch` wants, `reason` a sentence for people, `source` who changed it last.
    """

    level: str
    mood: Mood
    epoch: int = 0
    reason: str = ""
    source: str = ""


class HaltView(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol's own risk halt; `dry_run`: of its rehearsal."""

    symbol: str
    epoch: int
    reason: str
    dry_run: bool


class ExposureView(msgspec.Struct, frozen=True, rename="camel"):
    """What could be held if every live order of one side filled, in quote at mark; limits None where there is none."""

    long: str
    short: str
    gross: str
    net_limit: str | None
    gross_limit: str | None


class AccountView(msgspec.Struct, frozen=True, rename="camel"):
    """`notes`: what a person should know of it: it cannot be read, its venue serves nobody, …"""

    name: str
    environment: str
    emergency: EmergencyView
    halts: list[HaltView]
    exposure: ExposureView | None
    notes: list[str]


class MakerView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One maker. `word` and `text` say what it does, or why it does not quote; `quoting` only where it is known to.

    `heard_ms`: since when its worker has told nothing new, as seen from here; None until it is known that it still
    tells something. `stale`: for too long. Whatever stands in a stale row is how it was. `bid`, `ask`: the touch;
    `bids`, `asks`: ours, (price, quantity), nearest first. `share` is position / netMax (signed), `worst` the largest
    |worst case| / netMax. `pnl`: since the accounts began, `day`: since 00:00 UTC, both all in and
    None while that is not known.
    """

    namespace: str
    name: str
    account: str
    symbol: str
    mode: str
    mood: Mood
    word: str
    text: str = ""
    quoting: bool = False
    stale: bool = False
    heard_ms: int | None = None
    standbys: int = 0
    bid: str | None = None
    ask: str | None = None
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    position: str | None = None
    net_max: str
    share: float | None = None
    worst: float | None = None
    pnl: str | None = None
    day: str | None = None
    fills: int | None = None
    fills_per_minute: float | None = None
    restarts: int | None = None

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


class Money(msgspec.Struct, frozen=True, rename="camel"):
    """A sum over makers, in one quote asset. `known` of `of` makers have told theirs: else it is not the whole sum."""

    asset: str
    value: str
    known: int
    of: int


class Totals(msgspec.Struct, frozen=True, rename="camel"):
    """`emergency`: the worst level of any account, `Unknown` where one cannot be read and none is known to be raised.

    `silent`: makers whose worker tells nothing, or nothing new. `gross`: Σ of the accounts' gross exposure, None where
    one is not known.
    """

    emergency: str
    mood: Mood
    makers: int
    quoting: int
    silent: int
    day: list[Money]
    gross: str | None
    fills_per_minute: float | None
    restarts: int | None


class FleetView(msgspec.Struct, frozen=True, rename="camel"):
    """Everything, at one moment. `problem`: why nothing is known; then there are no figures. `taken_ms`: wall time."""

    schema: int
    place: str
    taken_ms: int
    problem: str
    totals: Totals
    accounts: list[AccountView]
    makers: list[MakerView]


class WorkerView(msgspec.Struct, frozen=True, rename="camel"):
    """One worker process of a maker, as it tells."""

    holder: str
    role: str
    ready: bool
    word: str
    text: str
    heard_ms: int | None
    build: str


class DetailView(msgspec.Struct, frozen=True, rename="camel"):
    """What the drawer shows of one maker beside its row: its leader's record, and every worker of it."""

    namespace: str
    name: str
    message: str
    guard: str
    workers: list[WorkerView]
    prices: Prices | None = None
    quotes: Quotes | None = None
    position: Position | None = None
    pnl: Pnl | None = None
    ages: Ages | None = None
    configuration: Configuration | None = None
    tick_to_order_us: Latency | None = None
    rss_mib: float | None = None
    orders_sent: int | None = None
    orders_rejected: int | None = None
    volume: str | None = None
    recent_fills: list[RecentFill] = []

"""What a screen shows of a run, whoever draws it: its runner, or somebody who has attached to it."""

from decimal import Decimal
from enum import StrEnum

import msgspec
from phoenix_coordination.port import EmergencyLevel

LEVELS = {EmergencyLevel.NONE: "None", EmergencyLevel.HALT: "Halt", EmergencyLevel.FLATTEN: "Flatten"}
"""The levels of the emergency switch as resources spell them."""


class Mood(StrEnum):
    """How an event is shown."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class RunEvent(msgspec.Struct, frozen=True):
    """Something that happened `at_s` seconds (of the run's own time) into the run, to a symbol or to the run itself."""

    at_s: float
    subject: str
    text: str
    mood: Mood = Mood.PLAIN


class QuoteView(msgspec.Struct, frozen=True):
    """One of our resting orders."""

    price: Decimal
    quantity: Decimal


class MakerView(msgspec.Struct, frozen=True, kw_only=True):
    """One maker as last heard. Prices and quantities in the venue's own decimals; None: not known."""

    name: str
    symbol: str
    health: str
    mood: Mood
    bid: Decimal | None = None
    ask: Decimal | None = None
    bids: tuple[QuoteView, ...] = ()
    asks: tuple[QuoteView, ...] = ()
    position: Decimal | None = None
    net_max: Decimal
    worst_case_ratio: float | None = None
    pnl: Decimal | None = None
    day: Decimal | None = None
    """The result since 00:00 UTC."""
    fees: Decimal | None = None
    fills: int = 0
    restarts: int = 0
    pid: int | None = None


class Exposure(msgspec.Struct, frozen=True):
    """What could be held if every live order of one side filled: quote units at mark, price buffer included.

    `net_long` is Σ(q+pb)·mark, `net_short` −Σ(q−ps)·mark, `gross` the larger of the two of each symbol, summed.
    """

    net_long: Decimal
    net_short: Decimal
    gross: Decimal


class HaltView(msgspec.Struct, frozen=True):
    """A symbol's own risk halt, which a person resumes by its epoch."""

    symbol: str
    epoch: int
    reason: str


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """What the makers of one account share, as last read. None: not known.

    `level` is what is in force, `None`, `Halt` or `Flatten`, and empty while it cannot be read; `trouble` says why.
    `steward` is the maker whose worker looks after what belongs to no symbol.
    """

    name: str
    trouble: str = ""
    level: str = ""
    epoch: int = 0
    reason: str = ""
    halts: tuple[HaltView, ...] = ()
    steward: str = ""
    exposure: Exposure | None = None
    net_limit: Decimal | None = None
    gross_limit: Decimal | None = None
    symbols: dict[str, Exposure] = {}


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run at one moment."""

    title: str
    elapsed_s: float
    stale: str = ""
    """Who attaches to a run says here why this is not how things are now; empty where it is."""
    length_s: float | None = None
    speed: float = 1.0
    market: str = ""
    exchange: str = ""
    page: str = ""
    """Where a browser sees the same, more of it; empty where nothing serves it."""
    violations: int | None = None
    """What the exchange's audit has found; None where no audit can be asked (a real venue)."""
    accounts: tuple[AccountView, ...] = ()
    makers: tuple[MakerView, ...] = ()
    events: tuple[RunEvent, ...] = ()


def clock_text(seconds: float) -> str:
    """`01:05`, `1:00:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"

"""The report of a run: what the workers say, what the exchange's own books say, and whether they tell the same.

One JSON object; numbers are exact decimals. Counts are summed over the workers that a maker had one after the other;
latencies are the worst of them, because percentiles cannot be added.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec
from phoenix_coordination.state import Latency, Pnl, StateRecord

from phoenix_cli.local.exchange import FEE_ASSET, Audit, Books, Verdict
from phoenix_cli.local.view import AccountView, Exposure


class Percentiles(msgspec.Struct, frozen=True):
    """Microseconds; None where nothing was measured."""

    p50: float | None
    p99: float | None


class PnlReport(msgspec.Struct, frozen=True):
    """Quote units. `fees` positive = paid, in whichever asset; None while one of these has no price. `funding` negative
    = paid.
    """

    realised: Decimal
    unrealised: Decimal
    fees: Decimal | None
    funding: Decimal


class SymbolReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers of one maker say."""

    market_events: int
    decisions: int
    orders_sent: int
    orders_rejected: dict[str, int]
    fills: int
    volume: Decimal
    position: Decimal
    pnl: PnlReport
    max_worst_case_ratio: float
    stale_episodes: int
    resyncs: int
    restarts: int
    modes_s: dict[str, float]
    """Seconds in each mode: `normal`, `pin`, `grind`, `block`, `flatten`, `liquidate`, `emergency`."""
    reasons_s: dict[str, float]
    """Seconds by the first reason that stood against quoting; `Quoting` where none did."""
    halts: list[str]
    """What has halted the symbol."""
    tick_to_order_us: Percentiles
    decision_us: Percentiles
    rss_mib: float


class LimitsReport(msgspec.Struct, frozen=True):
    """The account's limits, quote units."""

    net: Decimal | None
    gross: Decimal | None


class EmergencyReport(msgspec.Struct, frozen=True):
    """The account's switch at the end."""

    level: str
    epoch: int
    reason: str


class AccountReport(msgspec.Struct, frozen=True):
    """What all makers together could have come to hold: the largest of each sum that was seen, quote units at mark."""

    net_long: Decimal
    net_short: Decimal
    gross: Decimal
    limits: LimitsReport
    emergency: EmergencyReport


class ExchangeReport(msgspec.Struct, frozen=True):
    """What the exchange's own books say at the end. `positions` by symbol, `audit` by kind of violation,
    `expectations` of the scenario.
    """

    fills: int
    open_orders: int
    positions: dict[str, Decimal]
    audit: dict[str, int]
    expectations: list[Verdict]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`duration_s` is of the run's own time: at speed 5 a minute of it takes 12 s."""

    duration_s: float
    speed: float
    seed: int
    symbols: dict[str, SymbolReport]
    account: AccountReport
    exchange: ExchangeReport
    agreement: bool
    disagreements: list[str]
    """One sentence for each figure that worker and exchange tell differently; empty where they agree."""

    @property
    def faults(self) -> list[str]:
        """Why this run is not a good one; empty for one that is."""
        violations = {kind: count for kind, count in self.exchange.audit.items() if count}
        left = self.exchange.open_orders
        return [
            *self.disagreements,
            *(f"audit: {count} × {kind}" for kind, count in violations.items()),
            *(f"expected: {each.text}: {each.reason}" for each in self.exchange.expectations if not each.held),
            *([f"orders that rest on the exchange after the stop: {left}"] if left else []),
        ]


class Told(msgspec.Struct, frozen=True):
    """What the workers of one maker tell of the figures that the exchange tells as well."""

    position: Decimal
    fills: int
    filled: Decimal
    fees: Decimal
    """In the quote asset."""
    fees_in_bnb: Decimal
    funding: Decimal


def told(records: Sequence[StateRecord]) -> Told:
    """The comparable figures of a maker's workers, oldest first."""
    if not records:
        return Told(Decimal(0), 0, Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    last = records[-1]
    paid = {asset: Decimal(amount) for asset, amount in last.pnl.fees_by_asset.items()}
    return Told(
        position=Decimal(last.position.qty),
        fills=last.activity.fills,
        filled=Decimal(last.activity.bought) + Decimal(last.activity.sold),
        fees=sum((amount for asset, amount in paid.items() if asset != FEE_ASSET), Decimal(0)),
        fees_in_bnb=paid.get(FEE_ASSET, Decimal(0)),
        funding=Decimal(last.pnl.funding),
    )


def disagreements(symbol: str, worker: Told, exchange: Books) -> Iterable[str]:
    """A sentence for each figure that the two tell differently. Exact: both count in the venue's decimals."""
    for name, ours, theirs in (
        ("position", worker.position, exchange.position),
        ("fills", worker.fills, exchange.fills),
        ("filled quantity", worker.filled, exchange.filled),
        ("fees", worker.fees, exchange.fees),
        ("fees in BNB", worker.fees_in_bnb, exchange.fees_in_bnb),
        ("funding", worker.funding, exchange.funding),
    ):
        if ours != theirs:
            yield f"{symbol} {name}: the worker says {ours}, the exchange {theirs}"


class MakerStory(msgspec.Struct, frozen=True):
    """What a run has seen of one maker: the last record of each of its workers, oldest first; how often one was
    started again; what has halted the symbol.
    """

    records: Sequence[StateRecord]
    restarts: int = 0
    halts: Sequence[str] = ()


def symbol_report(story: MakerStory) -> SymbolReport:
    """The figures of one maker."""
    records = story.records
    last = records[-1] if records else None
    rejected: Counter[str] = Counter()
    for record in records:
        rejected.update(record.activity.orders_rejected)
    pnl = last.pnl if last is not None else Pnl()

    def total(of: Callable[[StateRecord], int]) -> int:
        return sum(map(of, records))

    return SymbolReport(
        market_events=total(lambda record: record.activity.market_events),
        decisions=total(lambda record: record.activity.decisions),
        orders_sent=total(lambda record: record.activity.orders_sent),
        orders_rejected=dict(rejected),
        fills=told(records).fills,
        volume=_number(last.activity.volume if last is not None else "0"),
        position=_number(last.position.qty if last is not None else "0"),
        pnl=PnlReport(
            realised=_number(pnl.realised),
            unrealised=_number(pnl.unrealised),
            fees=None if pnl.fees is None else _number(pnl.fees),
            funding=_number(pnl.funding),
        ),
        max_worst_case_ratio=max((record.position.max_worst_case_ratio for record in records), default=0.0),
        stale_episodes=total(lambda record: record.activity.stale_episodes),
        resyncs=total(lambda record: record.activity.resyncs),
        restarts=story.restarts,
        modes_s=_seconds(record.activity.stances_ms for record in records),
        reasons_s=_seconds(record.activity.reasons_ms for record in records),
        halts=list(story.halts),
        tick_to_order_us=_worst(record.activity.tick_to_order_us for record in records),
        decision_us=_worst(record.activity.decision_us for record in records),
        rss_mib=max((record.activity.rss_mib for record in records), default=0.0),
    )


def _seconds(spent_ms: Iterable[Mapping[str, int]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for each in spent_ms:
        total.update(each)
    return {word: ms / 1000 for word, ms in total.most_common()}


def _number(text: str) -> Decimal:
    """The same value without trailing zeros or an exponent: `0E-8` is a number of JSON that nobody wants to read."""
    return Decimal(f"{Decimal(text).normalize():f}")


def _worst(latencies: Iterable[Latency]) -> Percentiles:
    measured = list(latencies)
    return Percentiles(
        p50=max((latency.p50 for latency in measured if latency.p50 is not None), default=None),
        p99=max((latency.p99 for latency in measured if latency.p99 is not None), default=None),
    )


def account_report(peak: Exposure, last: AccountView) -> AccountReport:
    """`last`: the account as the run saw it at its end."""
    return AccountReport(
        _cents(peak.net_long),
        _cents(peak.net_short),
        _cents(peak.gross),
        LimitsReport(last.net_limit, last.gross_limit),
        EmergencyReport(last.level, last.epoch, last.reason),
    )


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def build_report(
    *,
    duration_s: float,
    speed: float,
    seed: int,
    makers: Mapping[str, MakerStory],
    account: AccountReport,
    books: Mapping[str, Books],
    audit: Audit,
    verdicts: Sequence[Verdict] = (),
) -> Report:
    """`makers`: by symbol."""
    found = [
        sentence
        for symbol, story in makers.items()
        for sentence in disagreements(symbol, told(story.records), books.get(symbol, Books()))
    ]
    return Report(
        duration_s=round(duration_s, 3),
        speed=speed,
        seed=seed,
        symbols={symbol: symbol_report(story) for symbol, story in makers.items()},
        account=account,
        exchange=ExchangeReport(
            fills=sum(book.fills for book in books.values()),
            open_orders=sum(book.open_orders for book in books.values()),
            positions={symbol: book.position for symbol, book in books.items()},
            audit=audit.violations,
            expectations=list(verdicts),
        ),
        agreement=not found,
        disagreements=found,
    )

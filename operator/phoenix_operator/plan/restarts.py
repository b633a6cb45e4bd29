"""Which workers are replaced because their price stays stale, and why not. Pure: records and history in, a plan out.

    stale      unready because the price is stale or the book broken (one causes the other while a worker heals itself)
    due        stale for `restart_after`, and the maker's back-off has passed: 1, 2, 4 … times that, at most an hour
    outage     more than `outage_threshold` of the venue's symbols are stale, at least two of them; or a worker says
               that a fresh connection is silent too, or that none can be opened while nobody else is served (beside
               workers that are, that is its node's trouble). Then the cause is upstream and nobody is restarted; after
               it symbols come back one by one, so who is still stale has all of `restart_after` again. Workers that
               give up meanwhile, or begin anew, tell no price: it lasts until somebody is served, or until for
               `OUTAGE_OUTLIVES_MS` nobody has said anything of the kind

Of one account one worker is replaced at a time, the longest stale first, and the next only when that maker is ready
again or has had `restart_after` to become so. A symbol that another worker of its maker serves is not stale.

The caller gives the records of one venue and environment, each no older than its lifetime, keeps the history (in a
status, in memory) and acts on the plan. Times are ms of one clock of the caller's; workers' are not compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
from phoenix_coordination.state import Reason, Role, StateRecord

LONGEST_BACK_OFF_MS = 3_600_000
FORGIVEN_AFTER_MS = 600_000
"""A maker that has been ready for ten minutes starts again with the shortest back-off."""
LEAST_STALE_FOR_OUTAGE = 2
OUTAGE_OUTLIVES_MS = 300_000
"""As long as a container that ends again and again waits at most before its next start."""
_STALE_REASONS = frozenset({Reason.PRICE_STALE, Reason.BOOK_NOT_SYNCED})
_OF_THE_VENUE = frozenset({Reason.VENUE_MAINTENANCE, Reason.VENUE_UNREACHABLE})
"""Why a price is stale though another process would have none either."""


class Settings(msgspec.Struct, frozen=True):
    """`restart_after_ms` is by maker (`namespace/name`); makers that are not listed have the default of 60 s."""

    restart_after_ms: Mapping[str, int] = {}
    outage_threshold: float = 0.5

    def restart_after(self, maker: str) -> int:
        return self.restart_after_ms.get(maker, 60_000)


class MakerHistory(msgspec.Struct, frozen=True):
    """What is remembered of one maker. 0: never, or not now. `restarts` count since it was last forgiven."""

    account: str = ""
    restarts: int = 0
    restarted_at_ms: int = 0
    awaiting_ready: bool = False
    ready_since_ms: int = 0
    total: int = 0


class Verdict(StrEnum):
    """What the plan says about one stale worker: the reason of an Event, and a label."""

    RESTART = "StalePrice"
    WAITING = "HealingItself"
    BACKING_OFF = "BackingOff"
    ACCOUNT_BUSY = "AccountBusy"
    VENUE_OUTAGE = "VenueOutage"
    VENUE_MAINTENANCE = "VenueMaintenance"


class Judged(msgspec.Struct, frozen=True):
    """One stale worker, what happens to it, and a sentence for people."""

    maker: str
    account: str
    symbol: str
    holder: str
    verdict: Verdict
    stale_ms: int
    text: str


class Outage(msgspec.Struct, frozen=True):
    """The venue does not serve us: one condition, one alert, no restarts."""

    stale_symbols: Sequence[str]
    symbols: int
    fresh_connection_silent: bool
    fresh_connection_refused: bool = False

    @property
    def text(self) -> str:
        if self.fresh_connection_silent:
            return "a fresh connection to the venue is silent too"
        if self.fresh_connection_refused:
            return "no connection to the venue can be opened, and nobody is served"
        return f"{len(self.stale_symbols)} of {self.symbols} symbols are stale: {', '.join(self.stale_symbols)}"


class History(msgspec.Struct, frozen=True):
    """By maker, and since when each holder has been stale without a break (or without an outage or maintenance, if
    that is later). `outage`: of which there was evidence last at `outage_ms`.
    """

    makers: Mapping[str, MakerHistory] = {}
    stale_since_ms: Mapping[str, int] = {}
    outage: Outage | None = None
    outage_ms: int = 0


class Plan(msgspec.Struct, frozen=True):
    """`restarts` are the holders to be replaced now; `judged` tells every stale worker; `history` is to be kept."""

    restarts: Sequence[Judged]
    judged: Sequence[Judged]
    outage: Outage | None
    history: History


def plan_restarts(records: Sequence[StateRecord], history: History, now_ms: int, settings: Settings) -> Plan:
    """The verdict on every stale worker, at most one restart an account."""
    serving = {maker_of(record) for record in records if record.ready}
    stale = [record for record in records if is_stale(record)]
    since = {record.holder: history.stale_since_ms.get(record.holder, now_ms) for record in stale}
    makers = _remembered(records, history, now_ms, settings, serving)
    outage, evident_ms = _outage(records, stale, serving, settings.outage_threshold), now_ms
    if outage is None and history.outage is not None and not serving:
        evident_ms = now_ms if any(_is_of_the_venue(record) for record in records) else history.outage_ms
        outage = history.outage if now_ms - evident_ms <= OUTAGE_OUTLIVES_MS else None
    busy = {maker.account for maker in makers.values() if maker.awaiting_ready}
    judged: list[Judged] = []
    for record in sorted(stale, key=lambda one: (since[one.holder], one.holder)):
        maker = maker_of(record)
        verdict, text = _judge(
            makers[maker],
            stale_ms=now_ms - since[record.holder],
            now_ms=now_ms,
            restart_after_ms=settings.restart_after(maker),
            outage=outage,
            account_busy=record.account in busy,
            of_the_venue=_is_of_the_venue(record),
        )
        judged.append(
            Judged(maker, record.account, record.symbol, record.holder, verdict, now_ms - since[record.holder], text)
        )
        if verdict is Verdict.RESTART:
            busy.add(record.account)
            before = makers[maker]
            makers[maker] = MakerHistory(
                record.account, before.restarts + 1, now_ms, awaiting_ready=True, total=before.total + 1
            )
    restarts = [one for one in judged if one.verdict is Verdict.RESTART]
    counted_from = {
        record.holder: now_ms if outage is not None or _is_of_the_venue(record) else since[record.holder]
        for record in stale
    }
    return Plan(restarts, judged, outage, History(makers, counted_from, outage, evident_ms))


def maker_of(record: StateRecord) -> str:
    """`namespace/name` of the maker that a worker serves."""
    return f"{record.namespace}/{record.maker}"


def is_stale(record: StateRecord) -> bool:
    """Whether a worker is unready because of its price. One that drains is on its way out and never is, nor is one that
    has not reached the others: it begins, or has withdrawn for want of them.
    """
    return (
        not record.ready
        and record.role is not Role.DRAINING
        and Reason.COORDINATION_UNREACHABLE not in record.reasons_not_ready
        and any(reason in _STALE_REASONS for reason in record.reasons_not_ready)
    )


def _is_of_the_venue(record: StateRecord) -> bool:
    return any(reason in _OF_THE_VENUE for reason in record.reasons_not_ready)


def back_off_ms(restarts: int, restart_after_ms: int) -> int:
    """How long after the last of `restarts` restarts the next one may come."""
    if restarts == 0:
        return 0
    return min(LONGEST_BACK_OFF_MS, restart_after_ms << min(restarts - 1, 32))


def _judge(
    maker: MakerHistory,
    *,
    stale_ms: int,
    now_ms: int,
    restart_after_ms: int,
    outage: Outage | None,
    account_busy: bool,
    of_the_venue: bool,
) -> tuple[Verdict, str]:
    if outage is not None:
        return Verdict.VENUE_OUTAGE, f"not restarted: {outage.text}"
    if of_the_venue:
        return Verdict.VENUE_MAINTENANCE, "not restarted: the exchange is in maintenance, or cannot be reached"
    if stale_ms < restart_after_ms:
        return Verdict.WAITING, f"stale for {_seconds(stale_ms)}, restarted after {_seconds(restart_after_ms)}"
    wait_ms = back_off_ms(maker.restarts, restart_after_ms) - (now_ms - maker.restarted_at_ms)
    if maker.restarts and wait_ms > 0:
        return Verdict.BACKING_OFF, f"restarted {maker.restarts} times already: the next in {_seconds(wait_ms)}"
    if account_busy:
        return Verdict.ACCOUNT_BUSY, "another worker of the account is being replaced"
    return Verdict.RESTART, f"price stale for {_seconds(stale_ms)}"


def _remembered(
    records: Iterable[StateRecord], history: History, now_ms: int, settings: Settings, serving: set[str]
) -> dict[str, MakerHistory]:
    """The makers' histories with what the records add: who is ready (again), who is forgiven.

    Makers without a record are kept: their worker is just being replaced, or the reader was restarted.
    """
    makers = dict(history.makers)
    for maker in {maker_of(record) for record in records} | set(makers):
        known = makers.get(maker, MakerHistory())
        if maker in serving:
            ready_since_ms = known.ready_since_ms or now_ms
            forgiven = now_ms - ready_since_ms >= FORGIVEN_AFTER_MS
            makers[maker] = MakerHistory(
                account=known.account,
                restarts=0 if forgiven else known.restarts,
                restarted_at_ms=known.restarted_at_ms,
                ready_since_ms=ready_since_ms,
                total=known.total,
            )
        else:
            waited_ms = now_ms - known.restarted_at_ms
            still_waited_for = known.awaiting_ready and waited_ms < settings.restart_after(maker)
            makers[maker] = msgspec.structs.replace(known, awaiting_ready=still_waited_for, ready_since_ms=0)
    return makers


def _outage(
    records: Sequence[StateRecord], stale: Sequence[StateRecord], serving: set[str], threshold: float
) -> Outage | None:
    """By symbol, not by worker: a symbol that one worker serves is served."""
    symbols = {record.symbol for record in records if record.role is not Role.DRAINING}
    served = {record.symbol for record in records if maker_of(record) in serving}
    stale_symbols = sorted({record.symbol for record in stale} - served)
    silent = any(record.fresh_connection_silent and not record.ready for record in records)
    refused = not serving and any(record.fresh_connection_refused for record in stale)
    many = len(stale_symbols) >= LEAST_STALE_FOR_OUTAGE and len(stale_symbols) > threshold * len(symbols)
    return Outage(stale_symbols, len(symbols), silent, refused) if silent or refused or many else None


def _seconds(ms: int) -> str:
    return f"{max(0, ms) / 1000:.0f} s"

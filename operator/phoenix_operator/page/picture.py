"""Pure: what the place knows, what Redis knows and what was heard, as the page shows it. Where one of them is not
known, neither is what follows from it.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.ledger import LedgerView
from phoenix_coordination.state import Reason, Role, StateRecord

from phoenix_operator.page.heard import STALE_MS, Heard
from phoenix_operator.page.reader import Told
from phoenix_operator.page.roster import KnownAccount, KnownMaker, Roster
from phoenix_operator.page.view import (
    SCHEMA,
    AccountView,
    DetailView,
    EmergencyView,
    ExposureView,
    FleetView,
    HaltView,
    MakerView,
    Money,
    Mood,
    Totals,
    WorkerView,
)

_MICRO = Decimal("0.000001")
_LEVELS = {EmergencyLevel.NONE: "None", EmergencyLevel.HALT: "Halt", EmergencyLevel.FLATTEN: "Flatten"}
_UNKNOWN = "Unknown"
_WORST_FIRST = ("Flatten", "Halt", _UNKNOWN, "None")
_PRECEDENCE = (Role.LEADING, Role.DRAINING, Role.STARTING, Role.STANDBY)
_NORMAL = frozenset({"", "normal", "emergency"})
"""Modes that say nothing beside the reason."""
_UNTIL_A_PERSON_ACTS = frozenset({Reason.EMERGENCY, Reason.RISK_HALTED})


class Picture:
    """One look, put together. `problem`: why Redis as a whole could not be asked; then `told` is empty."""

    def __init__(self, roster: Roster, told: Mapping[str, Told], heard: Heard, problem: str, now_ms: int) -> None:
        self._told = told
        self._heard = heard
        self._by_maker: dict[str, list[StateRecord]] = {}
        for each in told.values():
            for record in each.records:
                self._by_maker.setdefault(f"{record.namespace}/{record.maker}", []).append(record)
        self._known = {maker.full_name: maker for maker in roster.makers}
        accounts = [self._account(known, problem) for known in roster.accounts]
        makers = [self._maker(known, problem) for known in roster.makers]
        self.fleet = FleetView(
            schema=SCHEMA,
            place=roster.place,
            taken_ms=now_ms,
            problem="; ".join(filter(None, (roster.problem, problem))),
            totals=totals_of([each for each in accounts if roster.makers_of(each.name)], makers),
            accounts=accounts,
            makers=makers,
        )

    def detail(self, full_name: str) -> DetailView | None:
        """Of one maker; None where there is no such maker."""
        known = self._known.get(full_name)
        if known is None:
            return None
        records = sorted(self._by_maker.get(full_name, ()), key=lambda one: (_PRECEDENCE.index(one.role), -one.token))
        workers = [
            WorkerView(
                each.holder,
                each.role.value,
                each.ready,
                each.reason.value,
                each.detail,
                self._heard.age_ms(each),
                each.build,
            )
            for each in records
        ]
        leader = leader_of(records)
        if leader is None:
            return DetailView(known.namespace, known.name, known.message, "", workers)
        return DetailView(
            namespace=known.namespace,
            name=known.name,
            message=known.message,
            guard=leader.guard,
            workers=workers,
            prices=leader.prices,
            quotes=leader.quotes,
            position=leader.position,
            pnl=leader.pnl,
            ages=leader.ages,
            configuration=leader.configuration,
            tick_to_order_us=leader.activity.tick_to_order_us,
            rss_mib=leader.activity.rss_mib,
            orders_sent=leader.activity.orders_sent,
            orders_rejected=sum(leader.activity.orders_rejected.values()),
            volume=leader.activity.volume,
            recent_fills=leader.recent_fills,
        )

    def _maker(self, known: KnownMaker, problem: str) -> MakerView:
        records = self._by_maker.get(known.full_name, [])
        leader = leader_of(records)
        if leader is None:
            told = self._told.get(f"{known.namespace}/{known.account}")
            return _without_worker(known, problem or (told.problem if told is not None else ""))
        age_ms = self._heard.age_ms(leader)
        stale = age_ms is not None and age_ms > STALE_MS
        mood, word, text = _health(leader, age_ms, stale=stale)
        net_max = Decimal(leader.position.net_max) or Decimal(known.net_max)
        worst = max(abs(Decimal(leader.position.worst_case_long)), abs(Decimal(leader.position.worst_case_short)))
        return MakerView(
            namespace=known.namespace,
            name=known.name,
            account=known.account,
            symbol=known.symbol,
            mode=leader.mode.value,
            mood=mood,
            word=word,
            text=text,
            quoting=mood is not Mood.UNKNOWN and not stale and leader.reason is Reason.QUOTING and _leads(leader),
            stale=stale,
            heard_ms=age_ms,
            standbys=sum(record.role is Role.STANDBY and record is not leader for record in records),
            bid=leader.prices.bid,
            ask=leader.prices.ask,
            bids=[(quote.price, quote.qty) for quote in leader.quotes.bids],
            asks=[(quote.price, quote.qty) for quote in leader.quotes.asks],
            position=leader.position.qty,
            net_max=f"{net_max:f}",
            share=float(Decimal(leader.position.qty) / net_max) if net_max else None,
            worst=float(worst / net_max) if net_max else None,
            pnl=None if leader.pnl.total is None else f"{leader.pnl.total:f}",
            day=leader.pnl.day,
            fills=leader.activity.fills,
            fills_per_minute=self._heard.fills_per_minute(leader),
            restarts=known.restarts,
        )

    def _account(self, known: KnownAccount, problem: str) -> AccountView:
        told = self._told.get(known.name, Told(problem=problem))
        ledger = told.ledger
        notes = [known.problem, known.outage, told.problem, *told.unreadable]
        if ledger is not None and not ledger.rebuilt:
            notes.append("its ledger is not rebuilt yet: nothing that opens risk is granted")
        return AccountView(
            name=known.name,
            environment=known.environment,
            emergency=_emergency(known, told),
            halts=[HaltView(each.symbol, each.switch.epoch, each.switch.reason, each.dry_run) for each in told.halts],
            exposure=None if ledger is None else _exposure(known, ledger),
            notes=[note for note in notes if note],
        )


def leader_of(records: Sequence[StateRecord]) -> StateRecord | None:
    """Whose word counts: who leads under the highest token, else who comes nearest to it. None where nobody tells."""
    return min(records, key=lambda record: (_PRECEDENCE.index(record.role), -record.token), default=None)


def _leads(record: StateRecord) -> bool:
    return record.role is Role.LEADING and record.ready


def _without_worker(known: KnownMaker, problem: str) -> MakerView:
    """Nobody tells of it: what its resource says is all there is, and no figure is of now."""
    if problem:
        mood, word, text = Mood.UNKNOWN, "NotKnown", problem
    elif known.deleting:
        mood, word, text = Mood.WARNING, "Deleting", known.message
    elif known.paused:
        mood, word, text = Mood.WARNING, Reason.PAUSED.value, known.message
    else:
        reason = "" if known.reason == Reason.QUOTING else known.reason
        mood = Mood.WARNING if reason == Reason.STARTING else Mood.BAD
        word, text = reason or "NoWorker", known.message or "no worker tells of itself"
    return MakerView(
        namespace=known.namespace,
        name=known.name,
        account=known.account,
        symbol=known.symbol,
        mode=known.mode,
        mood=mood,
        word=word,
        text=text,
        stale=True,
        position=known.position,
        net_max=known.net_max,
        restarts=known.restarts,
    )


def _health(record: StateRecord, age_ms: int | None, *, stale: bool) -> tuple[Mood, str, str]:
    """(mood, word, sentence) of the worker whose word counts."""
    word = record.reason.value
    mode = f"mode {record.guard}" if record.guard not in _NORMAL else ""
    if stale and age_ms is not None:
        return Mood.BAD, "Silent", f"its worker has told nothing for {age_ms // 1000} s; the last was {word}"
    text = ": ".join(filter(None, (mode, record.detail)))
    if age_ms is None:
        return Mood.UNKNOWN, word, text or "not known yet whether it still tells something"
    if record.reason is Reason.QUOTING and _leads(record):
        return (Mood.WARNING if mode else Mood.GOOD), word, text
    if record.reason in _UNTIL_A_PERSON_ACTS:
        return Mood.BAD, word, text
    if record.ready or record.role in {Role.STARTING, Role.DRAINING}:
        return Mood.WARNING, word, text
    return Mood.BAD, word, text


def _emergency(known: KnownAccount, told: Told) -> EmergencyView:
    """What is in force. A switch that nobody has seeded stops every worker, whatever stands in it."""
    switch = told.switch
    if switch is None:
        if known.declared != "None":
            return EmergencyView(known.declared, Mood.BAD, reason="its resource says so (spec.emergency)")
        why = told.problem or "no worker has named the account yet"
        return EmergencyView(_UNKNOWN, Mood.UNKNOWN, reason=why)
    if not switch.seeded:
        why = "the switch has not been seeded since Redis began: every worker reads it as a halt"
        return EmergencyView("Halt", Mood.BAD, switch.epoch, why, switch.source)
    level = _LEVELS[switch.level]
    declared = min(known.declared, _LEVELS[switch.declared], key=_WORST_FIRST.index)
    if _WORST_FIRST.index(declared) < _WORST_FIRST.index(level):
        return EmergencyView(declared, Mood.BAD, switch.epoch, "its resource says so (spec.emergency)", "")
    if level == "None":
        return EmergencyView(level, Mood.GOOD, switch.epoch)
    return EmergencyView(level, Mood.BAD, switch.epoch, switch.reason, switch.source)


def _exposure(known: KnownAccount, ledger: LedgerView) -> ExposureView:
    return ExposureView(
        long=_quote(ledger.long_micro),
        short=_quote(ledger.short_micro),
        gross=_quote(ledger.gross_micro),
        net_limit=known.net_limit if ledger.net_limit_micro is None else _quote(ledger.net_limit_micro),
        gross_limit=known.gross_limit if ledger.gross_limit_micro is None else _quote(ledger.gross_limit_micro),
    )


def _quote(micro: int) -> str:
    return f"{micro * _MICRO:.2f}"


def totals_of(accounts: Sequence[AccountView], makers: Sequence[MakerView]) -> Totals:
    """The sums, each of which says what it is not the whole of. `accounts`: those that have makers."""
    emergency = min((each.emergency.level for each in accounts), key=_WORST_FIRST.index, default=_UNKNOWN)
    gross = [each.exposure.gross for each in accounts if each.exposure is not None]
    rates = [each.fills_per_minute for each in makers if each.fills_per_minute is not None]
    restarts = [each.restarts for each in makers if each.restarts is not None]
    moods = {"None": Mood.GOOD, _UNKNOWN: Mood.UNKNOWN}
    return Totals(
        emergency=emergency,
        mood=moods.get(emergency, Mood.BAD),
        makers=len(makers),
        quoting=sum(maker.quoting for maker in makers),
        silent=sum(maker.stale for maker in makers),
        day=_days(makers),
        gross=f"{sum(map(Decimal, gross)):.2f}" if accounts and len(gross) == len(accounts) else None,
        fills_per_minute=sum(rates) if makers and len(rates) == len(makers) else None,
        restarts=sum(restarts) if makers and len(restarts) == len(makers) else None,
    )


def _days(makers: Sequence[MakerView]) -> list[Money]:
    """By quote asset: what cannot be added is not added. A stale figure is none of today's."""
    by_asset: dict[str, list[MakerView]] = {}
    for maker in makers:
        by_asset.setdefault(quote_asset(maker.symbol), []).append(maker)
    found = []
    for asset, its in sorted(by_asset.items()):
        told = [Decimal(maker.day) for maker in its if maker.day is not None and not maker.stale]
        found.append(Money(asset, f"{sum(told, Decimal(0)):f}", len(told), len(its)))
    return found


def quote_asset(symbol: str) -> str:
    """`USDC` of `ETHUSDC`; empty of what is quoted in something else, or not known."""
    found = re.fullmatch(r".+?(USDT|USDC|FDUSD|BUSD|USD|BTC)", symbol)
    return found[1] if found is not None else ""

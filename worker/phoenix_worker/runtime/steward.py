"""The steward: the one worker of an account that looks after what belongs to no symbol, or to one without a leader.

Every few seconds it reads the account: margin that runs short, or a day on which the makers together lose too much,
raises the emergency, which a person ends. Symbols whose lease nobody has kept for a while, though something of theirs
is left at the exchange or counts in the account's ledger, are put in order. A steward that cannot read the account
leaves the office to another worker, who perhaps can.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from msgspec import structs
from phoenix_coordination.redis.client import FAULTS, fault_of
from phoenix_coordination.redis.ledger import MICRO
from phoenix_coordination.redis.steward import Sight, StewardOffice, StewardReport, SymbolReport
from phoenix_coordination.redis.tasks import begin, end
from phoenix_coordination.state import StateRecord, SymbolDay

from phoenix_worker.core import account_day
from phoenix_worker.core.account_day import Held
from phoenix_worker.core.day import start_of_day
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.reconcile import is_of
from phoenix_worker.core.stewardship import (
    Duty,
    Leaderless,
    Margin,
    called_for,
    counts_wrongly,
    duty_of,
)
from phoenix_worker.runtime.attendance import Attendance, conditional
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.logs import SAMPLED, Log
from phoenix_worker.venue.binance.account import (
    AccountPosition,
    AccountReader,
    AccountState,
    AccountUnreadableError,
    BusySymbol,
    is_dollar,
)
from phoenix_worker.venue.binance.caretaker import Caretaker

POLL_S = 5.0
POLLS_PER_POSITIONS = 3
"""Liquidation distances are for people and alarms: the ratio that acts is read each time."""
WEIGHT_1M = 12 * 5 + 4 * 5
"""What the office costs of the request weight, a minute."""
MODE_S = 3600.0
UNREADABLE_S = 30.0
SETTLE_AFTER_S = 30.0
"""What only counts too much in the ledger harms nobody while a successor may be on its way."""
UNSEEN_S = 60.0
"""After this long without that anybody has looked it is an alarm: more than a succession, or a change of hands between
two workers of which one cannot read the account, takes.
"""
RETRY_S = 10.0
LEAVE_S = 1.0
"""Life's seconds that giving a symbol back may take when the worker ends."""
NS = 1_000_000_000
MONEY_DECIMALS = 8


class Steward:
    """`daily_loss`: the account's limit as it is now, in money. `acts` false (rehearsal): it looks and reports, raises
    nothing and touches nothing.
    """

    def __init__(
        self,
        office: StewardOffice,
        account: AccountReader,
        caretaker: Callable[[str], Caretaker],
        installation: str,
        level: Callable[[], EmergencyLevel],
        raise_emergency: Callable[[EmergencyLevel, str], None],
        clock: Clock,
        log: Log,
        *,
        daily_loss: Callable[[], int],
        acts: bool,
        poll_s: float = POLL_S,
    ) -> None:
        self._office = office
        self._account = account
        self._caretaker = caretaker
        self._installation = installation
        self._level = level
        self._raise_emergency = raise_emergency
        self._daily_loss = daily_loss
        self._clock = clock
        self._log = log
        self._acts = acts
        self._poll_s = poll_s
        self._polls = 0
        self._multi_assets: bool | None = None
        self._mode_read_ns = 0
        self._read_ns = 0
        self._positions: dict[str, AccountPosition] = {}
        self._attending: dict[str, asyncio.Task[None]] = {}
        self._not_before_ns: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None
        self.report: StewardReport | None = None
        """What was seen last; `None` while another worker holds the office."""

    @property
    def unseen_ns(self) -> int:
        """Since this worker has last seen that a steward, itself or another, has looked at the account."""
        return self._office.unseen_ns

    def start(self) -> None:
        self._office.start()
        self._running = begin(self._run(), "steward")

    async def stop(self) -> None:
        """Leaves the office; a symbol that is being attended is given back, or its lease runs out."""
        if self._running is not None:
            await end([self._running])
        visits = list(self._attending.values())
        for visit in visits:
            visit.cancel()
        if visits:
            await asyncio.wait(visits, timeout=LEAVE_S)
        await end(visits)
        await self._office.stop()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._poll_s)
            self._tell_if_nobody_looks()
            if not self._office.held:
                self.report, self._read_ns = None, 0
                if self._office.refused:
                    self._log.error("steward: nobody can be", text=self._office.refused, **{SAMPLED: "steward"})
                continue
            try:
                await self._look()
            except AccountUnreadableError as error:
                await self._could_not_read(str(error))
            except FAULTS as error:
                self._log.warning("steward: Redis does not answer", text=fault_of(error), **{SAMPLED: "steward"})

    def _tell_if_nobody_looks(self) -> None:
        """Makers quote on: each guards its own symbol. What the account as a whole comes to is watched by nobody."""
        unseen_s = self.unseen_ns / NS
        if unseen_s >= UNSEEN_S:
            text = "nobody watches the account's margin, or withdraws what a dead maker leaves"
            self._log.error("steward: nobody has looked", text=text, seconds=round(unseen_s), **{SAMPLED: "unseen"})

    # -- the account -------------------------------------------------------------------------------

    async def _look(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._read_ns = self._read_ns or now_ns
        state = await self._account.state()
        if self._multi_assets is None or now_ns - self._mode_read_ns >= MODE_S * NS:
            self._multi_assets, self._mode_read_ns = await self._account.is_multi_assets(), now_ns
        self._read_ns = self._clock.monotonic_ns()
        margins = state.margins(multi_assets=self._multi_assets)
        self._raise(*called_for(margins))  # before all else: what follows may not be to be had
        if self._polls % POLLS_PER_POSITIONS == 0:
            self._positions = {row.symbol: row for row in await self._account.positions()}
        self._polls += 1
        days = await self._days(state)
        self._raise(*account_day.called_for(days, self._daily_loss()))
        sights = await self._office.look([row.symbol for row in state.busy])
        await self._tell(self._reported(state, margins, sights, days))
        if self._acts:
            for symbol, sight in sights.items():
                try:
                    await self._consider(symbol, sight, state)
                except AccountUnreadableError as error:  # of this symbol: the others have nothing to do with it
                    told = {SAMPLED: f"unreadable {symbol}"}
                    self._log.warning("steward: symbol unreadable", symbol=symbol, text=str(error), **told)

    def _raise(self, level: EmergencyLevel, reason: str) -> None:
        if self._acts and level > self._level():
            self._log.error("steward: emergency", level=level.name, reason=reason)
            self._raise_emergency(level, reason)

    async def _days(self, state: AccountState) -> list[SymbolDay]:
        """What the makers' days have come to, by what their leaders tell now, and of the others by what is known."""
        known = await self._known_days()
        told = [day for record in await self._office.leaders() if (day := _day_of(record)) is not None]
        held = {row.symbol: Held(float(row.qty), float(row.notional / row.qty)) for row in state.busy if row.qty}
        return account_day.followed(known, told, held, start_of_day(self._account.now_ms()))

    async def _known_days(self) -> list[SymbolDay]:
        """As they were told last, to this steward or to the one before."""
        last = self.report or await self._office.last_report()
        return last.days if last is not None else []

    async def _could_not_read(self, problem: str) -> None:
        """What nobody reads nobody judges: after a while another worker shall try, from another place."""
        self._log.warning("steward: account unreadable", text=problem, **{SAMPLED: "steward"})
        if self._clock.monotonic_ns() - self._read_ns < UNREADABLE_S * NS:
            return
        self._log.error("steward: leaves the office", text=problem)
        try:
            await self._tell(StewardReport("", 0, 0, problem=problem, days=await self._known_days()))
        except FAULTS as error:
            self._log.warning("steward: Redis does not answer", text=fault_of(error))
        await self._office.resign()
        self.report, self._read_ns = None, 0
        await self._clock.sleep(UNREADABLE_S)
        self._office.start()

    def _reported(
        self, state: AccountState, margins: list[Margin], sights: dict[str, Sight], days: list[SymbolDay]
    ) -> StewardReport:
        fullest = max(margins, key=lambda margin: margin.ratio, default=Margin("", 0.0, 0.0))
        rows = [
            SymbolReport(
                row.symbol,
                float(row.qty),
                float(row.notional),
                _distance_bps(self._positions.get(row.symbol)),
                led=not sights[row.symbol].leaderless,
                ours=bool(sights[row.symbol].holder),
            )
            for row in state.busy
        ]
        ratio = min(fullest.ratio, 1e9)  # JSON has no infinity
        return StewardReport("", 0, 0, fullest.asset, ratio, fullest.balance, fullest.maintenance, rows, days=days)

    async def _tell(self, report: StewardReport) -> None:
        self.report = await self._office.publish(report)

    # -- symbols without a leader ------------------------------------------------------------------

    async def _consider(self, symbol: str, sight: Sight, state: AccountState) -> None:
        """Begins a visit where one is due. The orders of a symbol are only asked for while nobody leads it."""
        now_ns = self._clock.monotonic_ns()
        if not sight.leaderless or symbol in self._attending or now_ns < self._not_before_ns.get(symbol, 0):
            return
        busy = next((row for row in state.busy if row.symbol == symbol), None)
        orders = await self._account.open_orders(symbol) if busy is not None else []
        marked = sum(is_of(order.client_id, self._installation) for order in orders)
        held = busy is not None and bool(busy.qty)
        seen = Leaderless(
            led=bool(sight.holder) or (held and await self._was_ours(symbol)),
            marked=marked,
            others=len(orders) - marked,
            held=held,
            unsettled=sight.for_s >= SETTLE_AFTER_S
            and counts_wrongly(
                sight.entry.gross_micro / MICRO if sight.entry is not None else 0.0,
                self._value_of(busy),
                settled=sight.settled,
                resting=bool(orders),
            ),
        )
        if seen.led and duty_of(seen, self._level()) is Duty.NONE:
            seen = structs.replace(seen, others=seen.others + await self._waiting(symbol))
        if duty_of(seen, self._level()) is Duty.NONE:
            return
        self._attending[symbol] = begin(self._attend(symbol), f"attending {symbol}")

    async def _waiting(self, symbol: str) -> int:
        """Conditional orders that must not stay; asked for where nothing else calls for a visit, as they may not be to
        be read.
        """
        waiting = await conditional(self._account, symbol, self._level())
        if waiting.problem:
            told = {SAMPLED: f"conditional {symbol}"}
            self._log.warning("steward: conditional orders may wait", symbol=symbol, text=waiting.problem, **told)
        return len(waiting.orders)

    async def _was_ours(self, symbol: str) -> bool:
        """Where Redis has forgotten who led it, and everything shall be closed: the exchange still knows whose orders
        made the position.
        """
        if self._level() is not EmergencyLevel.FLATTEN:
            return False
        recent = await self._account.recent_orders(symbol)
        return any(is_of(order.client_id, self._installation) for order in recent)

    def _value_of(self, busy: BusySymbol | None) -> float | None:
        """Of the position at mark, unsigned; `None` where it is not in dollars, or not known to be."""
        if busy is None or not busy.qty:
            return 0.0
        known = self._positions.get(busy.symbol)
        return abs(float(busy.notional)) if known is not None and is_dollar(known.margin_asset) else None

    async def _attend(self, symbol: str) -> None:
        try:
            visit = Attendance(
                self._office.borrow(symbol),
                self._caretaker(symbol),
                self._account,
                self._installation,
                self._level,
                self._clock,
                self._log,
            )
            if await visit.run():
                self._log.info("steward: symbol in order", symbol=symbol)
        finally:
            self._not_before_ns[symbol] = self._clock.monotonic_ns() + int(RETRY_S * NS)
            del self._attending[symbol]


def _day_of(record: StateRecord) -> SymbolDay | None:
    """`None` while its leader does not know it: then it opens nothing."""
    if record.pnl.day is None:
        return None
    result = int(Decimal(record.pnl.day).scaleb(MONEY_DECIMALS))
    mark = record.prices.mark or record.prices.mid or 0.0
    return SymbolDay(record.symbol, record.pnl.day_start_ms, result, float(record.position.qty), mark)


def _distance_bps(position: AccountPosition | None) -> float:
    """From the mark to the liquidation price; -1 where there is none."""
    if position is None or not position.liquidation_price or not position.mark_price:
        return -1.0
    return float(abs(position.liquidation_price / position.mark_price - 1) * 10_000)

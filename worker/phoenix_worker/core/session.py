"""What must hold before and while a worker quotes, beside the market itself; and the first reason that it does not."""

import msgspec
from phoenix_coordination.state import SWITCH_NOT_READ, Reason

from phoenix_worker.core.events import Budget, EmergencyLevel, Refusal, Stream
from phoenix_worker.core.instrument import SymbolStatus
from phoenix_worker.core.risk import ORDERS_KEPT_FOR_REDUCING
from phoenix_worker.core.switch import Switch

WINDOW_10S_NS = 10_000_000_000
WINDOW_1M_NS = 60_000_000_000
DEAD_MAN_MS = 60_000
DEAD_MAN_REFRESH_NS = 20_000_000_000
DEAD_MAN_RETRY_NS = 2_000_000_000
UNLIMITED = 1 << 30
USED_UP_TOLD_NS = 1_500_000_000
"""A grant comes with each renewal, every second: that one is used up before the next is no news."""
RESTRICTED_NS = 60_000_000_000
"""How long a refusal that names the symbol's state is believed; then it is tried again."""

_STRICTNESS = (SymbolStatus.TRADING, SymbolStatus.REDUCE_ONLY, SymbolStatus.NOT_TRADING)
_RESTRICTIONS = {
    Refusal.SYMBOL_REDUCES: SymbolStatus.REDUCE_ONLY,
    Refusal.SYMBOL_CLOSED: SymbolStatus.NOT_TRADING,
}


class Session(msgspec.Struct):
    """Facts, each set by one event. Times are monotonic ns; 0 means never."""

    streams: dict[Stream, bool] = {}
    user_lost_since_ns: int = 0
    token: int = 0
    deadline_ns: int = 0
    gained_ns: int = 0
    """When the present token was told."""
    installation: str = ""
    sequence: int = 0
    """Of client order ids: counts up within a token."""
    emergency: Switch = msgspec.field(default_factory=lambda: Switch(EmergencyLevel.HALT, 0, SWITCH_NOT_READ))
    """Halt until somebody has said otherwise: a missing switch is not an open one."""
    reachable: bool = False
    unreachable_reason: str = "what the account's workers share has not been reached yet"
    clock_offset_ns: int = 0
    clock_error_ns: int = 0
    clock_known: bool = False
    dead_man_until_ns: int = 0
    dead_man_asked_ns: int = 0
    budget: Budget | None = None
    orders_since_budget: int = 0
    used_up_since_ns: int = 0
    """Since when each budget that was told left nothing for quoting."""
    maintenance: bool = False
    restriction: SymbolStatus = SymbolStatus.TRADING
    """What the venue's refusals say of the symbol, until `restricted_until_ns`: its own status may tell it later."""
    restricted_until_ns: int = 0
    halt: Switch = msgspec.field(default_factory=Switch)
    """A risk halt of the symbol: reducing quotes and guards stay alive."""
    unremembered: bool = True
    """What an earlier leader knew has not been told (yet)."""
    second_writer: bool = False
    foreign: dict[str, bool] = {}
    """Open orders of the symbol that are not of this system, by client id: whether they only reduce."""
    stopping: str = ""
    exited: bool = False

    def exchange_ms(self, at_ns: int) -> int:
        return (at_ns + self.clock_offset_ns) // 1_000_000

    @property
    def blocked_until_ns(self) -> int:
        return self.budget.blocked_until_ns if self.budget else 0

    def restrict(self, refusal: Refusal | None, now_ns: int) -> None:
        """A code that says that the symbol only reduces, or is closed, counts until it has had time to be back."""
        status = _RESTRICTIONS.get(refusal) if refusal is not None else None
        if status is not None:
            self.restriction, self.restricted_until_ns = status, now_ns + RESTRICTED_NS

    def status_of(self, told: SymbolStatus, now_ns: int) -> SymbolStatus:
        """The stricter of what the venue tells and what its refusals have said."""
        refused = self.restriction if now_ns < self.restricted_until_ns else SymbolStatus.TRADING
        return max(told, refused, key=_STRICTNESS.index)

    def orders_left(self, now_ns: int) -> int:
        """Orders that the account's windows still admit; a window that has passed since it was told limits nothing."""
        budget = self.budget
        if budget is None:
            return UNLIMITED
        left = UNLIMITED
        if now_ns - budget.at < WINDOW_10S_NS:
            left = min(left, budget.orders_10s - self.orders_since_budget)
        if now_ns - budget.at < WINDOW_1M_NS:
            left = min(left, budget.orders_1m - self.orders_since_budget)
        return left

    def heed(self, budget: Budget) -> None:
        self.budget, self.orders_since_budget = budget, 0
        used_up = min(budget.orders_10s, budget.orders_1m) <= ORDERS_KEPT_FOR_REDUCING
        self.used_up_since_ns = (self.used_up_since_ns or budget.at) if used_up else 0

    def used_up_for_long(self, now_ns: int) -> bool:
        """Whether an order that is denied for want of budget is more than the ebb between two grants."""
        return self.used_up_since_ns > 0 and now_ns - self.used_up_since_ns >= USED_UP_TOLD_NS

    def dead_man_armed(self, now_ns: int) -> bool:
        return now_ns < self.dead_man_until_ns

    def dead_man_due(self, now_ns: int) -> bool:
        """Refreshed every 20 s of its 60; sooner where arming failed."""
        if now_ns - self.dead_man_asked_ns < DEAD_MAN_RETRY_NS:
            return False
        return self.dead_man_until_ns - now_ns < DEAD_MAN_MS * 1_000_000 - DEAD_MAN_REFRESH_NS

    def not_ready(
        self, now_ns: int, *, book_synced: bool, stale: bool, reconciled: bool, user_ok: bool
    ) -> list[Reason]:
        """What keeps the worker from being able to quote, in the order of telling. Readiness is about these alone."""
        facts = (
            (self.maintenance, Reason.VENUE_MAINTENANCE),
            (bool(self.stopping) or self.exited, Reason.DRAINING),
            (not self.reachable, Reason.COORDINATION_UNREACHABLE),
            (not self.token or now_ns >= self.deadline_ns, Reason.LEASE_NOT_HELD),
            (not book_synced, Reason.BOOK_NOT_SYNCED),
            (stale, Reason.PRICE_STALE),
            (not user_ok, Reason.USER_STREAM_OUT_OF_SYNC),
            (not reconciled, Reason.NOT_RECONCILED),
            (not self.clock_known, Reason.CLOCK_UNKNOWN),
            (not self.dead_man_armed(now_ns), Reason.DEAD_MAN_NOT_ARMED),
        )
        return [reason for holds, reason in facts if holds]

    @property
    def _foreign_suspends(self) -> bool:
        """Whoever reduces gets out of our way: the exchange would refuse our own reducing orders beside theirs. Who
        opens has halted the symbol, and under a halt what reduces stays alive; once a person has resumed it nothing is
        quoted beside such an order either.
        """
        return any(self.foreign.values()) or (bool(self.foreign) and not self.halt.on)

    def not_quoting(
        self,
        now_ns: int,
        *,
        paused: bool,
        status: SymbolStatus,
        warm: bool,
        liquidating: bool,
        cooling: bool,
        toxic: bool,
        lost: bool,
        loss_unknown: bool,
    ) -> list[Reason]:
        """What forbids some or all quotes of a worker that is ready: states of market, risk and people's will."""
        facts = (
            (self.emergency.on, Reason.EMERGENCY),
            (self.second_writer, Reason.SECOND_WRITER),
            (self.halt.on or lost, Reason.RISK_HALTED),
            (loss_unknown, Reason.LOSS_UNKNOWN),
            (self._foreign_suspends, Reason.FOREIGN_ACTIVITY),
            (status is SymbolStatus.NOT_TRADING, Reason.SYMBOL_NOT_TRADING),
            (status is SymbolStatus.REDUCE_ONLY, Reason.REDUCE_ONLY),
            (now_ns < self.blocked_until_ns, Reason.RATE_LIMITED),
            (cooling, Reason.COOLDOWN),
            (toxic, Reason.TOXIC_FLOW),
            (liquidating, Reason.GUARD),
            (paused, Reason.PAUSED),
            (not warm, Reason.STATISTICS_WARMING),
        )
        return [reason for holds, reason in facts if holds]


CURABLE = frozenset(
    {
        Reason.BOOK_NOT_SYNCED,
        Reason.PRICE_STALE,
        Reason.USER_STREAM_OUT_OF_SYNC,
        Reason.NOT_RECONCILED,
        Reason.CLOCK_UNKNOWN,
        Reason.DEAD_MAN_NOT_ARMED,
    }
)
"""What makes one worker unready and another one, elsewhere and with connections of its own, perhaps not."""

OF_THE_LEASE = frozenset({Reason.LEASE_NOT_HELD, Reason.NOT_RECONCILED, Reason.DEAD_MAN_NOT_ARMED})
"""What a standby cannot have: who is unready for nothing else could quote at once."""

WITHDRAW_FOR = frozenset(
    {
        Reason.EMERGENCY,
        Reason.SECOND_WRITER,
        Reason.FOREIGN_ACTIVITY,
        Reason.SYMBOL_NOT_TRADING,
        Reason.TOXIC_FLOW,
        Reason.GUARD,
        Reason.PAUSED,
        Reason.STATISTICS_WARMING,
    }
)
"""Reasons under which nothing of ours rests; under the others reducing quotes stay alive, or nothing can be sent
anyway.
"""

"""What the account's steward decides: when the margin calls for an emergency, and what a symbol without a leader needs.

One worker of the account is its steward at a time. It never touches a symbol whose leader lives. Of those that have
none it withdraws what they left, and under a `flatten` closes them, each order through the same gate as everybody's.
"""

from collections.abc import Sequence
from enum import IntEnum

import msgspec
from phoenix_coordination import order_id

from phoenix_worker.core.account import NEVER_JUDGED
from phoenix_worker.core.actions import ApprovedOrder, Purpose
from phoenix_worker.core.events import Answer, EmergencyLevel, Outcome
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.inventory import NOTHING
from phoenix_worker.core.liquidation import Liquidation
from phoenix_worker.core.risk import Denial, Pass, approve

HALT_RATIO = 0.5
FLATTEN_RATIO = 0.7
"""Maintenance margin of the margin balance: at 1 the exchange liquidates."""
REVALUED_BEYOND = 0.03
"""A makerless position is valued anew when it has moved by this much: beyond the ledger's own price buffer, so that it
comes to rest.
"""
WHOLE = 1.0
"""Who closes for somebody else does not come back every minute: all of it at once, within the exchange's largest
market order.
"""


class Margin(msgspec.Struct, frozen=True):
    """Of one margin asset (multi-assets mode: of all, in USD): what there is, and what the exchange wants to see."""

    asset: str
    balance: float
    maintenance: float

    @property
    def ratio(self) -> float:
        """Without a position 0; where the balance is gone, without bound."""
        if self.maintenance <= 0:
            return 0.0
        return self.maintenance / self.balance if self.balance > 0 else float("inf")


def called_for(margins: Sequence[Margin]) -> tuple[EmergencyLevel, str]:
    """The emergency that the fullest of the margins calls for, and why. It ends only by a person: the switch sticks."""
    worst = max(margins, key=lambda margin: margin.ratio, default=None)
    if worst is None or worst.ratio < HALT_RATIO:
        return EmergencyLevel.NONE, ""
    level, border = EmergencyLevel.HALT, HALT_RATIO
    if worst.ratio >= FLATTEN_RATIO:
        level, border = EmergencyLevel.FLATTEN, FLATTEN_RATIO
    return level, f"margin of {worst.asset}: maintenance is {worst.ratio:.1%} of the balance, beyond {border:.0%}"


class Duty(IntEnum):
    """What a symbol without a leader needs, under its own lease; each includes those before it."""

    NONE = 0
    SETTLE = 1
    """Its entry of the account's ledger counts more than there is."""
    WITHDRAW = 2
    """Our marked orders go; a foreign order stays."""
    CLEAR = 3
    """Every order goes, whoever placed it: nothing rests in an emergency. Of conditional ones, which rest in no book,
    those that could open something: a person's stop that only gets out stays, until everything shall be closed.
    """
    CLOSE = 4
    """And the position is closed."""


class Leaderless(msgspec.Struct, frozen=True):
    """What is known of a symbol whose lease nobody keeps.

    `led`: somebody of ours has held its lease. `marked`, `others`: open orders with our installation's mark, and all
    others, in an emergency with the conditional ones that must not stay. `held`: it has a position. `unsettled`: its
    ledger entry is not what the exchange holds.
    """

    led: bool
    marked: int
    others: int
    held: bool
    unsettled: bool


def duty_of(symbol: Leaderless, level: EmergencyLevel) -> Duty:
    """A symbol that none of ours ever led, and without a mark of ours, is a person's: it is told of, never touched."""
    if not symbol.led and not symbol.marked:
        return Duty.NONE
    if level is EmergencyLevel.FLATTEN and symbol.held:
        return Duty.CLOSE
    if level is not EmergencyLevel.NONE and (symbol.marked or symbol.others):
        return Duty.CLEAR
    if symbol.marked:
        return Duty.WITHDRAW
    return Duty.SETTLE if symbol.unsettled else Duty.NONE


def counts_wrongly(counted: float, held: float | None, *, settled: bool, resting: bool) -> bool:
    """Whether the ledger's entry of a symbol without a leader is not what the exchange holds.

    `counted`: its gross value in quote units, 0 without an entry; `held`: the position's value at mark, unsigned,
    `None` where it is not known in the limits' units. `settled`: the entry was read from the exchange, and nobody has
    led since. While anybody's orders rest their values are not known: what was settled stands.
    """
    if not settled:
        return True
    if resting:
        return False
    if held is None:
        return not counted
    return abs(counted - held) > REVALUED_BEYOND * max(counted, held)


class Closing(msgspec.Struct):
    """Gets out of one symbol's position, an order at a time, under the symbol's own lease."""

    installation: str
    token: int
    sequence: int = 0
    liquidation: Liquidation = msgspec.field(default_factory=Liquidation)

    def next_order(
        self,
        position_steps: int,
        instrument: Instrument,
        touch: tuple[int, int],
        mark_ticks: float,
        now_ns: int,
        deadline_ns: int,
    ) -> ApprovedOrder | Denial | None:
        """`None` while an order is alive, and where nothing can be wanted (flat, or no touch for a limit order)."""
        self.sequence += 1
        client_id = order_id.format(self.installation, self.token, Purpose.LIQUIDATE.value, self.sequence)
        wanted = self.liquidation.next_slice(client_id, position_steps, WHOLE, instrument, touch, mark_ticks)
        if wanted is None:
            return None
        facts = Pass(
            now_ns=now_ns,
            trigger_ns=now_ns,
            token=self.token,
            deadline_ns=deadline_ns,
            blocked_until_ns=0,
            emergency=EmergencyLevel.FLATTEN,
            book_ok=False,
            user_ok=False,
            mask=NOTHING,
            longest=position_steps,
            shortest=position_steps,
            buy_exposure=0,
            sell_exposure=0,
            worst_case_limit=0,
            buy_granted=0,
            sell_granted=0,
            bid_ticks=touch[0],
            ask_ticks=touch[1],
            mark_ticks=mark_ticks,
            sane_band=0.0,
            highest_own_buy=0,
            lowest_own_sell=0,
            open_orders=0,
            orders_left=1,
        )
        approved = approve(wanted, wanted.qty_steps, instrument, facts)
        if isinstance(approved, ApprovedOrder):
            self.liquidation.sent(client_id, now_ns, position_steps)
        return approved

    def heard(self, answer: Answer) -> None:
        """The end of the order's command. An unknown one stays alive until it has been looked up: see `resolved`."""
        if answer.outcome is Outcome.REFUSED:
            self.liquidation.refused(answer.client_id, answer.at, judged=answer.refusal not in NEVER_JUDGED)
        elif answer.outcome is Outcome.CONFIRMED and answer.closed:
            self.liquidation.ended(answer.client_id)

    @property
    def alive(self) -> str:
        """The order that may still fill; empty where there is none."""
        return self.liquidation.order_id

    def resolved(self) -> None:
        """The exchange has been asked, twice where it did not know the order: it rests no more."""
        self.liquidation.ended(self.liquidation.order_id)

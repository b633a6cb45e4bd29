"""One visit to a symbol that has lost its leader: under the symbol's own lease, until nothing is left to do or a while
has passed.

Whatever was decided before the lease was there is decided again under it: a leader may have come and gone meanwhile.
What rests in the book is withdrawn, and the position closed, whether the conditional orders can be read or not.
"""

from collections.abc import Callable

from phoenix_coordination.redis.client import FAULTS, fault_of
from phoenix_coordination.redis.steward import Tenure

from phoenix_worker.core.actions import ApprovedOrder
from phoenix_worker.core.events import EmergencyLevel, Outcome
from phoenix_worker.core.reconcile import is_of
from phoenix_worker.core.stewardship import Closing, Duty, Leaderless, duty_of
from phoenix_worker.runtime.logs import Log
from phoenix_worker.venue.binance.account import (
    AccountOrder,
    AccountReader,
    AccountUnreadableError,
    ConditionalOrders,
)
from phoenix_worker.venue.binance.caretaker import Caretaker
from phoenix_worker.venue.clock import Clock

WITHDRAWALS = 3
WITHDRAWAL_PAUSE_S = 0.3
MOST_ORDERS = 50
"""Of one visit: a position of so many of the exchange's largest market orders; the next visit goes on."""
REFUSED_PAUSE_S = 1.0


async def conditional(account: AccountReader, symbol: str, level: EmergencyLevel) -> ConditionalOrders:
    """Conditional orders that must not stay under `level`: in an emergency those that could open something; where
    everything is closed, all. Never raises: what could not be read is in `problem`.
    """
    if level is EmergencyLevel.NONE:
        return ConditionalOrders([])
    found = await account.conditional_orders(symbol)
    wrong = [order for order in found.orders if level is EmergencyLevel.FLATTEN or not order.reduce_only]
    return ConditionalOrders(wrong, found.problem)


class _LeaseLostError(Exception):
    """Somebody else may hold the symbol: nothing more is done to it."""


class Attendance:
    """`level` is the account's emergency as it is now; `installation` marks our orders."""

    def __init__(
        self,
        tenure: Tenure,
        care: Caretaker,
        account: AccountReader,
        installation: str,
        level: Callable[[], EmergencyLevel],
        clock: Clock,
        log: Log,
    ) -> None:
        self._tenure = tenure
        self._care = care
        self._account = account
        self._installation = installation
        self._level = level
        self._clock = clock
        self._log = log
        self._symbol = tenure.symbol
        self._token = 0

    async def run(self) -> bool:
        """Whether the symbol was put in order; false where its lease was not to be had, or something failed."""
        try:
            if not await self._tenure.take():
                return False
            self._token = self._tenure.token
            return await self._put_in_order()
        except (AccountUnreadableError, ValueError) as error:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text=str(error))
        except FAULTS as error:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text=fault_of(error))
        except _LeaseLostError:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text="its lease was lost")
        finally:
            await self._tenure.end(quiescent=self._care.quiescent)
        return False

    async def _put_in_order(self) -> bool:
        orders = await self._account.open_orders(self._symbol)
        holdings = await self._account.holdings(self._symbol)
        held = any(holding.position_value for holding in holdings)
        marked = self._marked(orders)
        others = len(orders) - len(marked)
        duty = duty_of(Leaderless(True, len(marked), others, held, unsettled=True), self._level())
        self._log.warning(
            "steward: symbol has no leader",
            symbol=self._symbol,
            token=self._token,
            duty=duty.name,
            marked=len(marked),
            others=others,
            held=held,
        )
        if duty >= Duty.WITHDRAW and not await self._withdraw(duty):
            self._log.warning("steward: orders still rest", symbol=self._symbol)
            return False
        none_waits = await self._withdraw_conditional()
        closed = duty is not Duty.CLOSE or await self._close()
        settled = await self._tenure.settle(await self._account.holdings(self._symbol))
        return none_waits and closed and settled

    def _marked(self, orders: list[AccountOrder]) -> list[AccountOrder]:
        return [order for order in orders if is_of(order.client_id, self._installation)]

    def _deadline_ns(self) -> int:
        """Of the lease under which this visit began; raises where that is over."""
        if self._tenure.token != self._token:
            raise _LeaseLostError
        return self._tenure.deadline_ns

    async def _withdraw(self, duty: Duty) -> bool:
        """Until nothing rests in the book that must not; false where something still does."""
        for attempt in range(WITHDRAWALS):
            if attempt:
                await self._clock.sleep(WITHDRAWAL_PAUSE_S * attempt)
            resting = await self._wrong(duty)
            if not resting:
                return True
            if duty >= Duty.CLEAR:
                await self._care.clear(self._deadline_ns())
            else:
                await self._care.withdraw(resting, self._deadline_ns())
        return not await self._wrong(duty)

    async def _wrong(self, duty: Duty) -> list[AccountOrder]:
        orders = await self._account.open_orders(self._symbol)
        return orders if duty >= Duty.CLEAR else self._marked(orders)

    async def _withdraw_conditional(self) -> bool:
        """In an emergency, once the book is clear; false where one still waits that must not, or nobody can say.

        The book is looked at once more after it: one that became an order meanwhile rests there.
        """
        waiting = await conditional(self._account, self._symbol, self._level())
        for attempt in range(WITHDRAWALS):
            if not waiting.orders:
                break
            await self._clock.sleep(WITHDRAWAL_PAUSE_S * attempt)
            await self._care.withdraw(waiting.orders, self._deadline_ns())
            waiting = await conditional(self._account, self._symbol, self._level())
        if waiting.problem or waiting.orders:
            self._log.warning(
                "steward: conditional orders may wait",
                symbol=self._symbol,
                text=waiting.problem or "they were cancelled, and stay",
                orders=len(waiting.orders),
            )
        if self._level() is not EmergencyLevel.NONE and not await self._withdraw(Duty.CLEAR):
            self._log.warning("steward: orders still rest", symbol=self._symbol)
            return False
        return not waiting.problem and not waiting.orders

    async def _close(self) -> bool:
        """One order at a time, each from a position that the exchange has just told; false where some is left."""
        instrument = await self._care.prepare()
        closing = Closing(self._installation, self._token)
        for _ in range(MOST_ORDERS):
            truth = await self._care.truth([closing.alive] if closing.alive else [])
            if truth.problem:
                raise AccountUnreadableError(f"{self._symbol}: {truth.problem}")
            if any(order.client_id == closing.alive for order in truth.open_orders):
                await self._care.clear(self._deadline_ns())
                continue
            closing.resolved()
            if not truth.position_steps:
                self._log.warning("steward: symbol closed", symbol=self._symbol, orders=closing.sequence)
                return True
            touch, mark_ticks = await self._care.prices()
            if self._level() is not EmergencyLevel.FLATTEN:
                return False  # a person has resumed meanwhile: what is open is the next leader's
            deadline_ns, now_ns = self._deadline_ns(), self._clock.monotonic_ns()
            approved = closing.next_order(truth.position_steps, instrument, touch, mark_ticks, now_ns, deadline_ns)
            if not isinstance(approved, ApprovedOrder):
                self._log.error("steward: the gate refused", symbol=self._symbol, text=str(approved))
                return False
            answer = await self._care.place(approved)
            closing.heard(answer)
            if answer.outcome is Outcome.REFUSED:
                self._log.warning("steward: order refused", symbol=self._symbol, code=answer.code, text=answer.message)
                await self._clock.sleep(REFUSED_PAUSE_S)
        return False

"""One visit to a symbol that has lost its leader: under the symbol's own lease, until nothing is left to do or a while
has passed.

Whatever was decided before the lease was there is decided again under it: a leader may have come and gone meanwhile.
What rests in the book is withdrawn, and the position closed, whether the conditional orders can be read or not.
"""

from collections.abc import Callable

from phoenix_coordination.redis.client import FAULTS, fault_of
from phoenix_coordination.redis.steward import Tenure

from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.stewardship import Duty, Leaderless, duty_of
from phoenix_worker.runtime.clearance import WITHDRAWAL_PAUSE_S, WITHDRAWALS, Clearance, LeaseLostError
from phoenix_worker.runtime.logs import Log
from phoenix_worker.venue.binance.account import AccountReader, AccountUnreadableError, ConditionalOrders
from phoenix_worker.venue.binance.caretaker import Caretaker
from phoenix_worker.venue.clock import Clock


async def conditional(account: AccountReader, symbol: str, level: EmergencyLevel) -> ConditionalOrders:
    """Conditional orders that must not stay under `level`: in an emergency those that could open something; where
    everything is closed, all. Never raises: what could not be read is in `problem`.
    """
    if level is EmergencyLevel.NONE:
        return ConditionalOrders([])
    found = await account.conditional_orders(symbol)
    wrong = [order for order in found.orders if level is EmergencyLevel.FLATTEN or not order.reduce_only]
    return ConditionalOrders(wrong, found.problem)


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

    async def run(self) -> bool:
        """Whether the symbol was put in order; false where its lease was not to be had, or something failed."""
        try:
            if not await self._tenure.take():
                return False
            place = (self._tenure, self._care, self._account, self._installation, self._clock, self._log)
            return await self._put_in_order(Clearance(*place, "steward"))
        except (AccountUnreadableError, ValueError) as error:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text=str(error))
        except FAULTS as error:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text=fault_of(error))
        except LeaseLostError:
            self._log.warning("steward: symbol not in order", symbol=self._symbol, text="its lease was lost")
        finally:
            await self._tenure.end(quiescent=self._care.quiescent)
        return False

    async def _put_in_order(self, clearance: Clearance) -> bool:
        orders = await self._account.open_orders(self._symbol)
        holdings = await self._account.holdings(self._symbol)
        held = any(holding.position_value for holding in holdings)
        marked = clearance.marked(orders)
        others = len(orders) - len(marked)
        duty = duty_of(Leaderless(True, len(marked), others, held, unsettled=True), self._level())
        self._log.warning(
            "steward: symbol has no leader",
            symbol=self._symbol,
            token=self._tenure.token,
            duty=duty.name,
            marked=len(marked),
            others=others,
            held=held,
        )
        everybody = duty >= Duty.CLEAR
        if duty >= Duty.WITHDRAW and not await clearance.withdraw(everybody=everybody):
            self._log.warning("steward: orders still rest", symbol=self._symbol)
            return False
        none_waits = await self._withdraw_conditional(clearance)
        # Where a person has resumed meanwhile what is open is the next leader's.
        closed = duty is not Duty.CLOSE or await clearance.close(
            lambda: self._level() is EmergencyLevel.FLATTEN, everybody=everybody
        )
        settled = await self._tenure.settle(await self._account.holdings(self._symbol))
        return none_waits and closed and settled

    async def _withdraw_conditional(self, clearance: Clearance) -> bool:
        """In an emergency, once the book is clear; false where one still waits that must not, or nobody can say.

        The book is looked at once more after it: one that became an order meanwhile rests there.
        """
        waiting = await conditional(self._account, self._symbol, self._level())
        for attempt in range(WITHDRAWALS):
            if not waiting.orders:
                break
            await self._clock.sleep(WITHDRAWAL_PAUSE_S * attempt)
            await self._care.withdraw(waiting.orders, clearance.deadline_ns())
            waiting = await conditional(self._account, self._symbol, self._level())
        if waiting.problem or waiting.orders:
            self._log.warning(
                "steward: conditional orders may wait",
                symbol=self._symbol,
                text=waiting.problem or "they were cancelled, and stay",
                orders=len(waiting.orders),
            )
        if self._level() is not EmergencyLevel.NONE and not await clearance.withdraw(everybody=True):
            self._log.warning("steward: orders still rest", symbol=self._symbol)
            return False
        return not waiting.problem and not waiting.orders

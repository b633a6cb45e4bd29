"""What is done to a symbol at the exchange under a borrowed lease: orders taken out of the book, the position closed.

Each step looks at the exchange first, and carries the lease's deadline: whoever leads next meets nothing of it.
"""

from collections.abc import Callable

from phoenix_coordination.redis.steward import Tenure

from phoenix_worker.core.actions import ApprovedOrder
from phoenix_worker.core.events import Outcome
from phoenix_worker.core.reconcile import is_of
from phoenix_worker.core.stewardship import Closing
from phoenix_worker.runtime.logs import Log
from phoenix_worker.venue.binance.account import AccountOrder, AccountReader, AccountUnreadableError
from phoenix_worker.venue.binance.caretaker import Caretaker
from phoenix_worker.venue.clock import Clock

WITHDRAWALS = 3
WITHDRAWAL_PAUSE_S = 0.3
MOST_ORDERS = 50
"""Of one visit: a position of so many of the exchange's largest market orders; the next visit goes on."""
REFUSED_PAUSE_S = 1.0


class LeaseLostError(Exception):
    """Somebody else may hold the symbol: nothing more is done to it."""


class Clearance:
    """Under the lease that `tenure` holds when this is made. `installation` marks our orders; `who` does it, for the
    log.

    With `everybody` a step is about every order of the symbol, else about ours alone.
    """

    def __init__(
        self,
        tenure: Tenure,
        care: Caretaker,
        account: AccountReader,
        installation: str,
        clock: Clock,
        log: Log,
        who: str,
    ) -> None:
        self._tenure = tenure
        self._care = care
        self._account = account
        self._installation = installation
        self._clock = clock
        self._log = log
        self._who = who
        self._symbol = tenure.symbol
        self._token = tenure.token
        self.hindered = ""
        """Why the last order that was to close something was not taken; empty where none was refused."""

    def marked(self, orders: list[AccountOrder]) -> list[AccountOrder]:
        """Ours."""
        return [order for order in orders if is_of(order.client_id, self._installation)]

    def deadline_ns(self) -> int:
        """Of the lease under which this began; raises `LeaseLostError` where that is over."""
        if not self._token or self._tenure.token != self._token:
            raise LeaseLostError
        return self._tenure.deadline_ns

    async def withdraw(self, *, everybody: bool) -> bool:
        """Until nothing rests in the book that must not; false where something still does."""
        for attempt in range(WITHDRAWALS):
            if attempt:
                await self._clock.sleep(WITHDRAWAL_PAUSE_S * attempt)
            resting = await self._wrong(everybody=everybody)
            if not resting:
                return True
            await self._remove(resting, everybody=everybody)
        return not await self._wrong(everybody=everybody)

    async def close(self, goes_on: Callable[[], bool], *, everybody: bool) -> bool:
        """One order at a time, each from a position that the exchange has just told; false where some is left.

        `goes_on` is asked before each order.
        """
        instrument = await self._care.prepare()
        closing = Closing(self._installation, self._token)
        for _ in range(MOST_ORDERS):
            truth = await self._care.truth([closing.alive] if closing.alive else [])
            if truth.problem:
                raise AccountUnreadableError(f"{self._symbol}: {truth.problem}")
            if any(order.client_id == closing.alive for order in truth.open_orders):
                await self._remove(await self._wrong(everybody=everybody), everybody=everybody)
                continue
            closing.resolved()
            if not truth.position_steps:
                self._log.warning(f"{self._who}: symbol closed", symbol=self._symbol, orders=closing.sequence)
                return True
            touch, mark_ticks = await self._care.prices()
            if not goes_on():
                return False
            deadline_ns, now_ns = self.deadline_ns(), self._clock.monotonic_ns()
            approved = closing.next_order(truth.position_steps, instrument, touch, mark_ticks, now_ns, deadline_ns)
            if not isinstance(approved, ApprovedOrder):
                self._log.error(f"{self._who}: the gate refused", symbol=self._symbol, text=str(approved))
                self.hindered = f"the risk gate refused its closing order: {approved}"
                return False
            answer = await self._care.place(approved)
            closing.heard(answer)
            if answer.outcome is Outcome.REFUSED:
                said = {"symbol": self._symbol, "code": answer.code, "text": answer.message}
                self._log.warning(f"{self._who}: order refused", **said)
                self.hindered = f"the exchange refused its closing order: {answer.message} ({answer.code})"
                await self._clock.sleep(REFUSED_PAUSE_S)
        return False

    async def _wrong(self, *, everybody: bool) -> list[AccountOrder]:
        orders = await self._account.open_orders(self._symbol)
        return orders if everybody else self.marked(orders)

    async def _remove(self, orders: list[AccountOrder], *, everybody: bool) -> None:
        if everybody:
            await self._care.clear(self.deadline_ns())
        else:
            await self._care.withdraw(orders, self.deadline_ns())

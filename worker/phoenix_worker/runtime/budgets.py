"""Between the venue, which sends, and the workers who share its limits: what was sent is told, what is granted is used.

Asked with each renewal, and sooner where little is left; at once where the exchange wants to hear nothing for a while,
and where the lease comes or goes. Nothing waits for an answer: without one the last grant lapses, and with it quoting.
"""

import asyncio
from collections.abc import Callable
from random import Random

from phoenix_coordination.port import (
    BudgetGranted,
    BudgetNeed,
    BudgetTerms,
    Coordinator,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    Message,
    Sink,
)
from phoenix_coordination.redis.starts import Spent, Start
from phoenix_coordination.state import Reason

from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.steward import WEIGHT_1M
from phoenix_worker.venue.binance.costs import START, fixed_weight_1m
from phoenix_worker.venue.binance.limits import Limits, RequestBudget, Usage

ORDERS_WANTED = 200
"""What a leader could use at most until it asks again. What it holds depends on what it has used: see the script."""
WEIGHT_WANTED = 20
SOONEST_SECONDS = 0.1
"""Between two needs: who sends as fast as it can asks ten times a second."""
ADMISSION_RETRY_SECONDS = 2.0
START_RETRY_SECONDS = (0.5, 1.5)
"""Drawn anew each time: those that wait together do not ask together."""
BANNED = "banned by the exchange (418): it wanted to hear nothing and was not heeded; find out why, then resume"


class Budgets:
    """`told` is called after each grant: the engine should see it. `renew_s`: how often a need is told, at least.

    A rehearsal (`orders` false) reads, and sends no orders.
    """

    def __init__(
        self,
        budget: RequestBudget,
        coordinator: Coordinator,
        told: Callable[[], None],
        clock: Clock,
        renew_s: float,
        *,
        orders: bool,
    ) -> None:
        self._budget = budget
        self._coordinator = coordinator
        self._told = told
        self._clock = clock
        self._renew_s = renew_s
        self._orders = orders
        self._leads = False
        self._banned = False
        self._sequence = 0
        self._answered = 0
        self._asked: dict[int, Usage] = {}
        self._orders_told = 0
        self._weight_told = 0
        self._asked_ns = 0
        self._due: asyncio.TimerHandle | None = None

    def start(self, weight_told: int = 0) -> None:
        """From now on quoting needs a grant. `weight_told`: of all that was ever sent, what the others know already.

        A ban that was met on the way here is no less one, though it may be over: until now nobody knew whose it was.
        """
        self._budget.share(orders=self._orders)
        self._budget.on_low = self._running_low
        self._budget.on_blocked = self._blocked
        self._weight_told = weight_told
        if self._budget.banned_until_ns:
            self._coordinator.raise_emergency(EmergencyLevel.HALT, BANNED)
            self._banned = self._is_banned()
        self._ask()

    def stop(self) -> None:
        """Asks no more; what the venue sends from now on is told to nobody."""
        if self._due is not None:
            self._due.cancel()
        self._budget.on_low = self._budget.on_blocked = lambda: None

    def heard_by(self, sink: Sink) -> Sink:
        """A sink that hears the lease come and go on its way to the worker."""

        def hear(message: Message) -> None:
            sink(message)
            if isinstance(message, LeaseGranted | LeaseLost):
                self._leads = isinstance(message, LeaseGranted)
                self._ask()

        return hear

    def granted(self, grant: BudgetGranted) -> None:
        """What has been sent since the need was told is of this grant already."""
        asked = self._asked.get(grant.sequence)
        if asked is None or grant.sequence < self._answered:
            return
        self._answered = grant.sequence
        for sequence in [sequence for sequence in self._asked if sequence < grant.sequence]:
            del self._asked[sequence]
        now = self._budget.to_tell(self._clock.monotonic_ns())
        self._budget.granted(
            max(0, grant.orders - (now.orders_sent - asked.orders_sent)),
            max(0, grant.weight - (now.weight_quoted - asked.weight_quoted)),
            grant.until_ns,
        )
        self._budget.others_blocked(grant.account_blocked_until_ns, grant.egress_blocked_until_ns)
        self._told()

    # -- asking ------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._asked_ns = self._clock.monotonic_ns()
        usage = self._budget.to_tell(self._asked_ns)
        orders_sent = min(usage.orders_sent - self._orders_told, usage.orders_sent_1m)
        weight_sent = min(usage.weight_sent - self._weight_told, usage.weight_sent_1m)
        self._orders_told, self._weight_told = usage.orders_sent, usage.weight_sent
        self._sequence += 1
        self._asked[self._sequence] = usage
        if len(self._asked) > 100:  # nobody has answered for long
            del self._asked[next(iter(self._asked))]
        self._coordinator.spend(
            BudgetNeed(
                sequence=self._sequence,
                orders_sent=orders_sent,
                orders_wanted=ORDERS_WANTED if self._leads and self._orders else 0,
                orders_unused=usage.orders_left,
                weight_sent=weight_sent,
                weight_wanted=WEIGHT_WANTED,
                weight_unused=usage.weight_left,
                exchange_ms=usage.exchange_ms,
                orders_10s_reported=usage.orders_10s_reported,
                orders_1m_reported=usage.orders_1m_reported,
                weight_1m_reported=usage.weight_1m_reported,
                account_blocked_ns=usage.account_blocked_ns,
                egress_blocked_ns=usage.egress_blocked_ns,
            )
        )
        self._ask_in(self._renew_s)

    def _ask_in(self, seconds: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self._clock.call_later(seconds, self._ask)

    def _running_low(self) -> None:
        """In the middle of the engine's turn: asked in a later one, and not too often."""
        passed_s = (self._clock.monotonic_ns() - self._asked_ns) / 1e9
        self._ask_in(max(0.0, SOONEST_SECONDS - passed_s))

    def _blocked(self) -> None:
        self._ask_in(0.0)
        banned = self._is_banned()
        if banned and not self._banned:
            self._coordinator.raise_emergency(EmergencyLevel.HALT, BANNED)
        self._banned = banned

    def _is_banned(self) -> bool:
        return self._clock.monotonic_ns() < self._budget.banned_until_ns


def spent(budget: RequestBudget, clock: Clock) -> Spent:
    """What a start tells those who share its public IP."""
    usage = budget.to_tell(clock.monotonic_ns())
    return Spent(
        usage.weight_sent, usage.weight_sent_1m, usage.exchange_ms, usage.weight_1m_reported, usage.egress_blocked_ns
    )


async def wait_to_start(
    start: Start, egress: str, limits: Limits, clock: Clock, random: Random, wait_for: Callable[[Reason, str], None]
) -> None:
    """Returns once what a start reads of the exchange fits beside what the others send; until then `wait_for` hears why
    it does not. Where Redis cannot say, nobody waits: what reads stops before the limit that the exchange tells.
    """
    while (admission := await start.ask(terms_of(egress, limits), START)).problem and admission.reachable:
        wait_for(Reason.RATE_LIMITED, admission.problem)
        await clock.sleep(random.uniform(*START_RETRY_SECONDS))


async def be_admitted(
    coordinator: Coordinator, egress: str, limits: Limits, clock: Clock, wait_for: Callable[[Reason, str], None]
) -> bool:
    """Returns once what this worker costs fits beside the others; until then `wait_for` hears why it does not. Whether
    that took a wait.

    A maker that does not fit waits for room instead of ending: it would only be started again.
    """
    waited = False
    while (admission := await coordinator.admit(terms_of(egress, limits), fixed_weight_1m(), WEIGHT_1M)).problem:
        reason = Reason.PREFLIGHT_REFUSED if admission.reachable else Reason.COORDINATION_UNREACHABLE
        wait_for(reason, admission.problem)
        waited = True
        await clock.sleep(ADMISSION_RETRY_SECONDS)
    return waited


def terms_of(egress: str, limits: Limits) -> BudgetTerms:
    """What the workers of an egress share, by the exchange's limits and the account's shares of them."""
    return BudgetTerms(
        egress=egress,
        orders_10s=limits.orders_10s,
        orders_1m=limits.orders_1m,
        weight_1m=limits.weight_1m,
        order_share=limits.order_share,
        weight_share=limits.weight_share,
        reserve_share=limits.reserve_share,
    )

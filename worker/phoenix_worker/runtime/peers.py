"""The account's other workers, as this one deals with them: lease and ledger, budgets, the steward's office."""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

from phoenix_coordination.port import EmergencyLevel, LeaseTimes
from phoenix_coordination.redis.client import Credentials
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.starts import Seat, Start
from phoenix_coordination.redis.steward import StewardOffice, StewardReport
from phoenix_coordination.state import Mode, Reason

from phoenix_worker.runtime.budgets import Budgets, be_admitted, spent, wait_to_start
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.logs import Log
from phoenix_worker.runtime.resolved import Resolved
from phoenix_worker.runtime.shell import Shell
from phoenix_worker.runtime.steward import Steward
from phoenix_worker.venue.binance.gateway import BinanceVenue


class Peers:
    """`redis_url` names the server; who connects is what `credentials` say, asked for each connection."""

    def __init__(
        self,
        redis_url: str,
        credentials: Credentials,
        resolved: Resolved,
        installation: str,
        holder: str,
        exchange: BinanceVenue,
        clock: Clock,
        times: LeaseTimes,
        log: Log,
    ) -> None:
        self._redis_url = redis_url
        self._credentials = credentials
        self._resolved = resolved
        self._installation = installation
        self._holder = holder
        self._exchange = exchange
        self._clock = clock
        self._times = times
        self._log = log
        self._live = resolved.mode is not Mode.DRY_RUN
        self._identity = ""
        self._daily_loss = resolved.daily_loss
        self._steward: Steward | None = None
        seat = Seat(resolved.account_name, resolved.symbol, not self._live, times.ttl_s)
        self._start = Start(redis_url, seat, holder, clock, partial(spent, exchange.budget, clock), credentials)
        exchange.budget.on_blocked = self._start.tell
        self.coordinator = RedisCoordinator(
            redis_url,
            resolved.symbol,
            holder,
            resolved.account_name,
            installation,
            resolved.terms,
            clock,
            dry_run=not self._live,
            read_holdings=exchange.holdings,
            times=times,
            credentials=credentials,
        )
        self.budgets = Budgets(
            exchange.budget, self.coordinator, exchange.tell_budget, clock, times.renew_s, orders=self._live
        )

    @property
    def beat_s(self) -> float:
        """Life's seconds that the last heartbeat took; NaN where none was answered."""
        return self.coordinator.beat_s

    @property
    def steward_report(self) -> StewardReport | None:
        """What this worker saw last as the account's steward; `None` while another one is."""
        return self._steward.report if self._steward is not None else None

    @property
    def steward_unseen_ns(self) -> int | None:
        """Since this worker has last seen that a steward, itself or another, has looked at the account."""
        return self._steward.unseen_ns if self._steward is not None else None

    def configure(self, resolved: Resolved) -> None:
        """The files have changed: what all makers of the account heed is in force at once."""
        self._daily_loss = resolved.daily_loss
        self.coordinator.configure(resolved.terms)

    async def wait_to_start(self, wait_for: Callable[[Reason, str], None]) -> None:
        """Before each preflight, which reads much at once: until there is room for it `wait_for` hears why not."""
        limits = self._exchange.budget.limits
        await wait_to_start(self._start, self._resolved.egress, limits, self._clock, Random(), wait_for)  # noqa: S311 - jitter

    async def join(self, identity: str, wait_for: Callable[[Reason, str], None]) -> bool:
        """Meets the others under the exchange's own name of the account, once there is room beside them: until then
        `wait_for` hears why not. Whether that took a wait.
        """
        self._identity = identity
        await self.coordinator.join(identity)
        limits = self._exchange.budget.limits
        return await be_admitted(self.coordinator, self._resolved.egress, limits, self._clock, wait_for)

    async def start(self, shell: Shell) -> None:
        """Campaigns for the lease, asks for a share of the budgets, and stands ready to be the account's steward."""
        await self.coordinator.start(self.budgets.heard_by(shell.hear))
        self._start.is_over_soon()
        self.budgets.start(self._start.told)
        self._steward = self._new_steward(shell)
        self._steward.start()

    async def stop(self) -> None:
        self.budgets.stop()
        ending = [self.coordinator.stop(), self._start.stop()]
        if self._steward is not None:
            ending.append(self._steward.stop())
        await asyncio.gather(*ending)

    def _new_steward(self, shell: Shell) -> Steward:
        office = StewardOffice(
            self._redis_url,
            self._identity,
            self._holder,
            self._clock,
            self._times,
            dry_run=not self._live,
            credentials=self._credentials,
            doubt=self.coordinator.doubt,
        )
        return Steward(
            office,
            self._exchange.account,
            self._exchange.caretaker,
            self._installation,
            lambda: shell.engine.session.emergency.level,
            lambda level, reason: self.coordinator.raise_emergency(EmergencyLevel(level), reason),
            self._clock,
            self._log,
            daily_loss=lambda: self._daily_loss,
            acts=self._live,
        )

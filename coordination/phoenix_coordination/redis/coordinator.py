"""A `Coordinator` over Redis: one heartbeat that renews and reads everything, and requests that never hold it up."""

import asyncio
import contextlib
import logging
import math

from redis.exceptions import ResponseError

from phoenix_coordination.port import (
    AccountTerms,
    Admission,
    BudgetNeed,
    BudgetTerms,
    Clock,
    EmergencyChanged,
    EmergencyLevel,
    HaltChanged,
    LeaseGranted,
    LeaseLost,
    LeaseTimes,
    Message,
    Reservation,
    Sink,
    Snapshot,
)
from phoenix_coordination.redis import records
from phoenix_coordination.redis.beat import Beat
from phoenix_coordination.redis.budgets import Budgets
from phoenix_coordination.redis.campaign import Campaign, LeaseMessage
from phoenix_coordination.redis.client import FAULTS, Credentials, check_server, connect, fault_of
from phoenix_coordination.redis.foreign import check_keys
from phoenix_coordination.redis.inspection import Inspection
from phoenix_coordination.redis.keys import AccountKeys, EgressKeys
from phoenix_coordination.redis.ledger import ReadHoldings
from phoenix_coordination.redis.news import News
from phoenix_coordination.redis.reachability import BEAT, Reachability
from phoenix_coordination.redis.reservations import Reservations
from phoenix_coordination.redis.switches import SwitchMemory, emergency_of, halt_of, settle
from phoenix_coordination.redis.writes import Writes
from phoenix_coordination.state import StateRecord

_STOP_SECONDS = 2.0
"""Life's seconds that a stop waits for what is being written."""
_SHORTEST_ANSWER_S = 0.05
_FREED_WAIT_S = 0.02
"""Standbys do not crowd a lease that was freed."""

_log = logging.getLogger(__name__)


class RedisCoordinator:
    """One worker's side. `holder` names this process among all that ever ran; `account` is `namespace/name`."""

    def __init__(
        self,
        url: str,
        symbol: str,
        holder: str,
        account: str,
        installation: str,
        terms: AccountTerms,
        clock: Clock,
        *,
        dry_run: bool,
        read_holdings: ReadHoldings,
        times: LeaseTimes | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._symbol = symbol
        self._holder = holder
        self._account = account
        self._installation = installation
        self._terms = terms
        self._clock = clock
        self._dry_run = dry_run
        self._read_holdings = read_holdings
        self._times = times or LeaseTimes()
        usable_s = (self._times.ttl_s - self._times.margin_s) / clock.rate
        self._answer_s = max(_SHORTEST_ANSWER_S, usable_s / 2)
        self._client = connect(url, self._answer_s, credentials)
        self._warning = ""
        self._sink: Sink | None = None
        self._emergency = SwitchMemory()
        self._halt = SwitchMemory()
        self._declared = EmergencyLevel.NONE
        """What Redis says that the account's resource declares; the last word counts while Redis is away."""
        self._emergency_told: EmergencyChanged | None = None
        self._halt_told: HaltChanged | None = None
        self._reachability = Reachability(self._tell)
        self._writes = Writes(self._request_ended)
        self._keys: AccountKeys | None = None
        self._egress: EgressKeys | None = None
        self._reservations: Reservations | None = None
        self._budgets: Budgets | None = None
        self._campaign: Campaign | None = None
        self._news: News | None = None
        self._inspection = Inspection(self._client, clock, self._unfit)

    @property
    def installation(self) -> str:
        return self._installation

    @property
    def beat_s(self) -> float:
        """Life's seconds that the last answered heartbeat took; NaN before the first."""
        return self._campaign.beat_s if self._campaign is not None else math.nan

    async def join(self, identity: str) -> None:
        keys = self._keys = AccountKeys(identity, self._dry_run)
        place = (self._client, keys, self._symbol, self._holder, self._clock, self._times)
        self._reservations = Reservations(
            *place,
            self._read_holdings,
            self._tell,
            lambda: self._terms,
            lambda error: self._request_ended("reservations", error),
            self._outranked,
            self.doubt,
        )
        self._budgets = Budgets(*place, self._tell, lambda error: self._request_ended("budgets", error))
        self._campaign = Campaign(
            *place,
            answer_s=self._answer_s,
            prepare=self._check,
            heard=self._hear,
            tell=self._tell_lease,
            failed=self._beat_failed,
            settle=lambda: self._writes.settled("memory"),
        )

    async def admit(self, terms: BudgetTerms, fixed_weight_1m: int, account_weight_1m: int) -> Admission:
        if self._budgets is None:
            raise RuntimeError("join() comes first")
        self._egress = EgressKeys(terms.egress)
        try:
            await self._check()
        except FAULTS as error:
            return Admission(fault_of(error), reachable=False)
        return await self._budgets.admit(terms, fixed_weight_1m, account_weight_1m)

    async def start(self, sink: Sink) -> None:
        keys, reservations, budgets, campaign = self._keys, self._reservations, self._budgets, self._campaign
        if keys is None or reservations is None or budgets is None or campaign is None:
            raise RuntimeError("join() comes first")
        self._sink = sink
        reservations.start()
        budgets.start()
        campaign.start()
        channels = {
            keys.emergency_changed: 0.0,
            keys.halt_changed(self._symbol): 0.0,
            keys.freed(self._symbol): _FREED_WAIT_S,
            **dict.fromkeys(budgets.channels, 0.0),
        }
        self._news = News(self._client, channels, self._answer_s, self._look_anew)
        self._news.start()
        self._inspection.start()

    async def stop(self) -> None:
        if self._campaign is not None:
            await self._campaign.stop()
        await self._writes.stop(_STOP_SECONDS)
        await self._inspection.stop()
        self._sink = None
        if self._reservations is not None:
            await self._reservations.stop()
        if self._budgets is not None:
            await self._budgets.stop()
        if self._news is not None:
            await self._news.stop()
        with contextlib.suppress(*FAULTS):
            await self._client.aclose()

    # -- requests ----------------------------------------------------------------------------------

    def configure(self, terms: AccountTerms) -> None:
        self._terms = terms
        asyncio.get_running_loop().call_soon(self._tell_switches)

    def reserve(self, reservation: Reservation) -> None:
        if self._reservations is not None:
            self._reservations.ask(reservation)

    def spend(self, need: BudgetNeed) -> None:
        if self._budgets is not None:
            self._budgets.spend(need)

    def release(self) -> None:
        if self._campaign is not None:
            self._campaign.release()

    def warm(self, *, warm: bool) -> None:
        if self._campaign is not None:
            self._campaign.warm(warm=warm)

    def hand_over(self) -> None:
        if self._campaign is not None:
            self._campaign.hand_over()

    def raise_emergency(self, level: EmergencyLevel, reason: str) -> None:
        self._raise(self._emergency, level, reason)

    def halt_symbol(self, reason: str) -> None:
        self._raise(self._halt, EmergencyLevel.HALT, reason)

    def publish(self, record: StateRecord) -> None:
        if self._keys is not None:
            keys = self._keys
            self._writes.write("record", lambda: records.publish(self._client, keys, record, self._clock.rate))

    def save_snapshot(self, token: int, memory: bytes) -> None:
        if token and self._campaign is not None and token == self._campaign.token and self._keys is not None:
            keys, snapshot = self._keys, Snapshot(token, self._clock.wall_ns(), memory)
            self._writes.write(
                "memory", lambda: records.save_snapshot(self._client, keys, self._symbol, self._holder, snapshot)
            )

    def _raise(self, switch: SwitchMemory, level: EmergencyLevel, reason: str) -> None:
        # In force here at once, and for everybody with the next beat, which begins now: a stop waits for nobody.
        if switch.wish(level, reason):
            asyncio.get_running_loop().call_soon(self._tell_switches)
            if self._campaign is not None:
                self._campaign.beat_now()

    def doubt(self) -> None:
        """Redis has refused something: before the next heartbeat it is checked again, which can say what is wrong."""
        if self._campaign is not None:
            self._campaign.doubt()

    def _unfit(self) -> None:
        """The heartbeat's own check says why, refuses to renew, and finds out when that is over."""
        self.doubt()
        if self._campaign is not None:
            self._campaign.beat_now()

    def _outranked(self, token: int) -> None:
        if self._campaign is not None:
            self._campaign.outranked(token)

    def _look_anew(self) -> None:
        """Somebody has said something of the switches, the lease or a back-off: what it is stands there."""
        if self._campaign is not None:
            self._campaign.beat_now()
        if self._budgets is not None:
            self._budgets.again()

    # -- the heartbeat -----------------------------------------------------------------------------

    async def _check(self) -> str:
        """The run of a server that may be used, and holds nothing foreign under our keys.

        It hears whose account this is: nothing is led under a name that means another. Each record says it again,
        because Redis may forget it.
        """
        fit = await check_server(self._client)
        if fit.warning and fit.warning != self._warning:
            _log.warning("%s", fit.warning)
        self._warning = fit.warning
        if self._keys is not None:
            await check_keys(self._client, self._keys, self._symbol, self._holder, self._account, self._egress)
            if self._account:
                await records.name_account(self._client, self._account, self._keys.account, self._clock.rate)
        return fit.run

    async def _hear(self, beat: Beat) -> None:
        """Switches and ledger come before the lease that was renewed in the same instant."""
        keys, reservations = self._keys, self._reservations
        if keys is None or reservations is None:
            return
        now_ms = self._clock.wall_ns() // 1_000_000
        for key, channel, memory, stored in (
            (keys.emergency, keys.emergency_changed, self._emergency, beat.emergency),
            (keys.halt(self._symbol), keys.halt_changed(self._symbol), self._halt, beat.halt),
        ):
            await settle(self._client, key, channel, memory, stored, self._holder, now_ms)
        self._declared = beat.declared
        self._request_ended(BEAT, None)
        self._tell_switches()
        reservations.saw(beat.generation, rebuilt=beat.rebuilt, epoch=beat.ledger_epoch)

    def _beat_failed(self, error: Exception) -> None:
        if self._news is not None:
            self._news.listen_anew()
        if self._reservations is not None:
            self._reservations.unseen()
        self._request_ended(BEAT, error)

    def _request_ended(self, kind: str, error: Exception | None) -> None:
        """What Redis refuses makes it unreachable until it is done; a lost connection is the beat's to tell."""
        if error is None or kind == BEAT or isinstance(error, ResponseError):
            self._reachability.ended(kind, error)
        if kind != BEAT and isinstance(error, ResponseError):
            self.doubt()

    # -- what is told ------------------------------------------------------------------------------

    def _tell_lease(self, message: LeaseMessage) -> None:
        if self._reservations is not None:
            self._reservations.leads(0 if isinstance(message, LeaseLost) else message.token)
        if isinstance(message, LeaseGranted) and message.memory is None:
            _log.info("no memory of %s that can be read: this leader begins without", self._symbol)
        self._tell(message)

    def _tell_switches(self) -> None:
        # By the worker's own files or through Redis, whichever has not heard yet that it is over.
        declared = max(self._terms.emergency, self._declared)
        emergency, halt = emergency_of(self._emergency, declared), halt_of(self._halt)
        if emergency is not None and emergency != self._emergency_told:
            self._emergency_told = emergency
            self._tell(emergency)
        if halt is not None and halt != self._halt_told:
            self._halt_told = halt
            self._tell(halt)

    def _tell(self, message: Message) -> None:
        if self._sink is not None:
            self._sink(message)

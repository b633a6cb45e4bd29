"""A `Coordinator` over Redis: one heartbeat that renews and reads everything, and requests that never hold it up.

One answer of the heartbeat is one instant at the server, so a renewed deadline always comes with the switch and the
ledger's generation as they were then. What comes late is worth nothing: an answer counts from the moment at which its
request was sent.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.port import (
    AccountTerms,
    Clock,
    EmergencyChanged,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    LeaseTimes,
    Message,
    Reachable,
    Reservation,
    Sink,
    Snapshot,
    Unreachable,
)
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import FAULTS, check_server, connect, fault_of
from phoenix_coordination.redis.emergency import EmergencyMemory, Switch
from phoenix_coordination.redis.keys import AccountKeys, identity_of
from phoenix_coordination.redis.lease import Change, Lease
from phoenix_coordination.redis.ledger import ReadHoldings
from phoenix_coordination.redis.reservations import Reservations
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end
from phoenix_coordination.state import StateRecord

_STOP_SECONDS = 2.0
"""Life's seconds that a stop waits for what is being written."""
_SHORTEST_ANSWER_S = 0.05
_LISTEN_SECONDS = 1.0


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
        self._client = connect(url, self._answer_s)
        self._checked = False
        self._keys: AccountKeys | None = None
        self._sink: Sink | None = None
        self._lease = Lease(self._times)
        self._switch = EmergencyMemory()
        self._told: EmergencyChanged | None = None
        self._reservations: Reservations | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._reachable = False
        self._trouble = ""
        self._troubles: dict[str, str] = {}
        self._relisten = False
        self._failures = 0
        self._wake = asyncio.Event()
        self._releasing = False
        self._campaign: asyncio.Task[None] | None = None
        self._news: asyncio.Task[None] | None = None
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._next_write: dict[str, Callable[[], Awaitable[Any]]] = {}

    @property
    def installation(self) -> str:
        return self._installation

    async def join(self, identity: str) -> None:
        self._keys = AccountKeys(identity, self._dry_run)

    async def start(self, sink: Sink) -> None:
        if self._keys is None:
            raise RuntimeError("join() comes first")
        self._sink, keys = sink, self._keys
        self._reservations = reservations = Reservations(
            self._client,
            keys,
            self._symbol,
            self._holder,
            self._clock,
            self._times,
            self._read_holdings,
            self._tell,
            lambda: self._terms,
            lambda error: self._request_ended("reservations", error),
        )
        reservations.start()
        self._campaign = begin(self._run(keys, reservations), "lease")
        self._news = begin(self._listen(keys), "news of the account")

    def configure(self, terms: AccountTerms) -> None:
        self._terms = terms
        asyncio.get_running_loop().call_soon(self._tell_switch)

    def reserve(self, reservation: Reservation) -> None:
        if self._reservations is not None:
            self._reservations.ask(reservation)

    def release(self) -> None:
        self._releasing = True
        self._wake.set()

    def raise_emergency(self, level: EmergencyLevel, reason: str) -> None:
        # In force here at once, and everywhere with the next beat, which begins now: a stop waits for nobody.
        if self._switch.wish(level, reason):
            asyncio.get_running_loop().call_soon(self._tell_switch)
            self._wake.set()

    def publish(self, record: StateRecord) -> None:
        if self._keys is not None:
            keys = self._keys
            self._write("record", lambda: records.publish(self._client, keys, record, self._clock.rate))

    def save_snapshot(self, token: int, memory: bytes) -> None:
        if token and token == self._lease.token and self._keys is not None:
            keys, snapshot = self._keys, Snapshot(token, self._clock.wall_ns(), memory)
            self._write(
                "snapshot", lambda: records.save_snapshot(self._client, keys, self._symbol, self._holder, snapshot)
            )

    async def load_snapshot(self) -> Snapshot | None:
        if self._keys is None:
            return None
        try:
            return await records.load_snapshot(self._client, self._keys, self._symbol)
        except FAULTS:
            return None

    async def stop(self) -> None:
        if self._campaign is not None and self._releasing:
            await asyncio.wait({self._campaign}, timeout=_STOP_SECONDS)
        if self._writing:
            await asyncio.wait(set(self._writing.values()), timeout=_STOP_SECONDS)
        self._sink = None
        if self._expiry is not None:
            self._expiry.cancel()
        if self._reservations is not None:
            await self._reservations.stop()
        await end([task for task in (self._campaign, self._news, *self._writing.values()) if task is not None])
        with contextlib.suppress(*FAULTS):
            await self._client.aclose()

    # -- the campaign ------------------------------------------------------------------------------

    async def _run(self, keys: AccountKeys, reservations: Reservations) -> None:
        while not self._releasing:
            self._wake.clear()
            pause_s = await self._beat(keys, reservations)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
        await self._give_up(keys)

    async def _beat(self, keys: AccountKeys, reservations: Reservations) -> float:
        """One heartbeat; life's seconds until the next. What fails is unreachable, never fine."""
        lease = self._lease
        sent_ns = self._clock.monotonic_ns()
        if lease.expired(sent_ns):  # this process slept, and its timers with it
            self._lose("not renewed before its deadline")
        try:
            if not self._checked:
                await self._check(keys)
                sent_ns = self._clock.monotonic_ns()
                if lease.expired(sent_ns):
                    return 0.0
            asked = lease.ask(sent_ns)
            answer = await call(
                self._client,
                Script.BEAT,
                [keys.lease(self._symbol), keys.emergency, keys.ledger],
                [
                    self._holder,
                    asked.token,
                    asked.watched,
                    lease.highest,
                    secrets.token_hex(8),
                    MAX_TOKEN,
                ],
            )
            switch = await self._settle_switch(keys, Switch.read(*answer[3:7]))
        except FAULTS as error:
            return self._say_unreachable(error)
        except ValueError:
            return self._say_unreachable(RuntimeError(f"{keys.emergency} holds no emergency switch: it is not ours"))
        self._failures = 0
        self._request_ended("beat", None)
        self._switch.seen = switch
        self._tell_switch()
        reservations.saw(answer[7].decode(), rebuilt=bool(answer[8]), epoch=int(answer[9]))
        change = lease.heed(asked, answer[0].decode(), int(answer[1]), answer[2].decode(), self._clock.monotonic_ns())
        self._tell_lease(change, reservations)
        now_ns = self._clock.monotonic_ns()
        return lease.next_beat_ns(now_ns) / 1e9 / self._clock.rate

    async def _check(self, keys: AccountKeys) -> None:
        """After each loss of the connection: it may be another server, or another configuration."""
        await check_server(self._client)
        if self._account:
            await self._client.execute_command("SET", identity_of(self._account), keys.account)
        self._checked = True

    async def _settle_switch(self, keys: AccountKeys, stored: Switch) -> Switch:
        """What Redis holds after it was told what it has forgotten, and what this worker has raised."""
        memory, now_ms = self._switch, self._clock.wall_ns() // 1_000_000
        arguments: list[str | int | bytes]
        better = memory.knows_better(stored)
        if better is not None:
            arguments = [
                better.level.value,
                better.epoch,
                better.reason,
                self._holder,
                now_ms,
                0,
                keys.emergency_changed,
            ]
            stored = Switch.read(*await call(self._client, Script.MERGE, [keys.emergency], arguments))
        raising = memory.raising
        if raising is not None:
            known = max(0, stored.epoch)
            arguments = [raising.level.value, known, raising.reason, self._holder, now_ms, keys.emergency_changed]
            stored = Switch.read(*await call(self._client, Script.RAISE, [keys.emergency], arguments))
            if memory.raising is raising:
                memory.raising = None
        return stored

    def _tell_lease(self, change: Change, reservations: Reservations) -> None:
        lease = self._lease
        match change:
            case Change.NONE:
                return
            case Change.LOST:
                self._lose("another process took it, or its record is gone")
                self._wake.set()
            case Change.TOO_LATE:
                self._lose("its renewal was answered too late")
            case Change.GRANTED | Change.RENEWED:
                if self._expiry is not None:
                    self._expiry.cancel()
                left_s = (lease.deadline_ns - self._clock.monotonic_ns()) / 1e9 / self._clock.rate
                self._expiry = asyncio.get_running_loop().call_later(left_s, self._expire)
                reservations.leads(lease.token)
                told = LeaseRenewed if change is Change.RENEWED else LeaseGranted
                self._tell(told(lease.token, lease.deadline_ns))

    def _expire(self) -> None:
        self._lose("not renewed before its deadline")

    def _lose(self, reason: str) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        token = self._lease.lose()
        if token:
            if self._reservations is not None:
                self._reservations.leads(0)
            self._tell(LeaseLost(token, reason))

    async def _give_up(self, keys: AccountKeys) -> None:
        """Until it is told or has run out: whoever comes next waits for the one or the other."""
        lease = self._lease
        while lease.token and self._clock.monotonic_ns() < lease.deadline_ns:
            told: list[str | int | bytes] = [self._holder, lease.token, keys.freed(self._symbol)]
            try:
                await call(self._client, Script.RELEASE, [keys.lease(self._symbol)], told)
                break
            except FAULTS:
                await asyncio.sleep(self._answer_s)
        self._lose("released")

    # -- what the others say -----------------------------------------------------------------------

    async def _listen(self, keys: AccountKeys) -> None:
        """Makes the next beat begin at once where the switch has changed or the lease was freed.

        A message that is lost costs one renewal. Listening again begins with a beat: something may have been said.
        """
        channels = (keys.emergency_changed, keys.freed(self._symbol))
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*channels)
                    self._relisten = False
                    while not self._relisten:
                        message = await pubsub.get_message(timeout=_LISTEN_SECONDS)
                        if message is not None:
                            if message["channel"] == keys.freed(self._symbol).encode() and message["type"] == "message":
                                await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - standbys do not crowd
                            self._wake.set()
            except FAULTS:
                await asyncio.sleep(self._answer_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def _tell_switch(self) -> None:
        told = self._switch.in_force(self._terms)
        if told is not None and told != self._told:
            self._told = told
            self._tell(told)

    def _tell(self, message: Message) -> None:
        if self._sink is not None:
            self._sink(message)

    def _request_ended(self, kind: str, error: Exception | None) -> None:
        """What Redis refuses makes it unreachable until it is done; a lost connection is the beat's to tell."""
        if error is None:
            self._troubles.pop(kind, None)
        elif kind == "beat" or isinstance(error, ResponseError):
            self._troubles[kind] = fault_of(error)
        else:
            self._checked = False
        trouble = next(iter(self._troubles.values()), "")
        if trouble and trouble != self._trouble:
            self._tell(Unreachable(trouble))
            self._reachable = False
        elif not trouble and not self._reachable and (kind == "beat" or self._trouble):
            self._tell(Reachable())
            self._reachable = True
        self._trouble = trouble

    def _say_unreachable(self, error: Exception) -> float:
        """Life's seconds until the next attempt: jittered, longer each time, but early while a lease can be saved."""
        self._checked = False
        self._relisten = True
        # Who has not looked without a gap has not watched.
        self._lease.watch.restart()
        if self._reservations is not None:
            self._reservations.unseen()
        self._request_ended("beat", error)
        self._failures += 1
        renew_s = self._times.renew_s / self._clock.rate
        most_s = renew_s / 2 if self._lease.token else renew_s * min(5.0, 0.25 * 2 ** min(self._failures, 10))
        return most_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    # -- what is written beside the beat -----------------------------------------------------------

    def _write(self, what: str, work: Callable[[], Awaitable[Any]]) -> None:
        """One write of each kind at a time, and of those that wait the newest alone."""
        self._next_write[what] = work
        if what not in self._writing:
            self._writing[what] = begin(self._write_all(what), what)

    async def _write_all(self, what: str) -> None:
        try:
            while (work := self._next_write.pop(what, None)) is not None:
                await work()
                self._request_ended(what, None)
        except FAULTS as error:
            self._request_ended(what, error)
        finally:
            del self._writing[what]

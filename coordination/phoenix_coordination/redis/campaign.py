"""One lease, from the first heartbeat to its release: beats for as long as it runs, and says what came of it.

One answer of the heartbeat is one instant at the server, so a renewed deadline always comes with the switches and the
ledger's generation as they were then. What comes late is worth nothing: an answer counts from the moment at which its
request was sent.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from phoenix_coordination.port import Clock, LeaseGranted, LeaseLost, LeaseRenewed, LeaseTimes, Snapshot
from phoenix_coordination.redis.beat import Beat, beat
from phoenix_coordination.redis.client import FAULTS, Redis, RedisFaultError
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.lease import Asked, Change, Lease, Watch
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end

_COURTESY_RENEWALS = 2.0
"""How long a warm candidate is believed to be there after its last beat. Never a matter of safety."""
_STOP_SECONDS = 2.0
"""Life's seconds that a stop waits for the release."""

LeaseMessage = LeaseGranted | LeaseRenewed | LeaseLost


class Campaign:
    """Takes the lease of `symbol` when it is free, and keeps it.

    `prepare` finds the server fit and gives its run: before the first beat, after one that failed, and when another run
    answers. `heard` is awaited after a beat, before its lease counts. Both may raise what the world does to a
    connection, and then nothing was heard. `tell` hears of the lease, `failed` of each beat that failed; `settle` is
    awaited before a lease is given away.
    """

    def __init__(
        self,
        client: Redis,
        keys: AccountKeys,
        symbol: str,
        holder: str,
        clock: Clock,
        times: LeaseTimes,
        *,
        answer_s: float,
        prepare: Callable[[], Awaitable[str]],
        heard: Callable[[Beat], Awaitable[None]],
        tell: Callable[[LeaseMessage], None],
        failed: Callable[[Exception], None],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._keys = keys
        self._symbol = symbol
        self._holder = holder
        self._clock = clock
        self._times = times
        self._answer_s = answer_s
        self._prepare = prepare
        self._heard = heard
        self._tell = tell
        self._failed = failed
        self._settle = settle
        self._lease = Lease(times)
        self._memory = Watch()
        self._fit_run = ""
        self._warm = False
        self._standby = False
        self._beat_s = math.nan
        self._given = 0
        self._failures = 0
        self._expiry: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._releasing = False
        self._running: asyncio.Task[None] | None = None

    @property
    def token(self) -> int:
        """0 while the lease is not held; also where it has ended and nobody has been told yet."""
        return 0 if self._lease.expired(self._clock.monotonic_ns()) else self._lease.token

    @property
    def deadline_ns(self) -> int:
        """Of the lease that `token` says is held."""
        return self._lease.deadline_ns

    @property
    def beat_s(self) -> float:
        """Life's seconds that the last answered heartbeat took; NaN before the first."""
        return self._beat_s

    @property
    def standby(self) -> bool:
        """Whether another candidate could quote at once, as of the last beat."""
        return self._standby

    def start(self) -> None:
        self._running = begin(self._run(), f"lease of {self._symbol}")

    def beat_now(self) -> None:
        """Something has changed that the next heartbeat reads or writes."""
        self._wake.set()

    def doubt(self) -> None:
        """Something was found that `prepare` should see: it has its say before the next heartbeat."""
        self._fit_run = ""

    def outranked(self, token: int) -> None:
        """Somebody has led under this token, not below ours: ours is worth nothing, and the next will be above it."""
        self._lease.exceed(token)
        self._lose(f"another led under token {token}, which is not below its own")
        self._wake.set()

    def warm(self, *, warm: bool) -> None:
        if warm != self._warm:
            self._warm = warm
            if not self._lease.token:
                self._wake.set()

    def release(self) -> None:
        """Gives the lease up and ends. It ends here first, as in `hand_over`."""
        self._releasing = True
        self._give("released")

    def hand_over(self) -> None:
        """Gives the lease to a warm candidate where there was one at the last beat, and goes on.

        It ends here first: once the server has heard of it another may hold it, long before we hear that.
        """
        if self._lease.token and self._standby:
            self._give("handed over to a warm standby")

    async def stop(self) -> None:
        """Waits for the release, where it was asked for, bounded in time; else the lease runs out."""
        if self._running is None:
            return
        if self._releasing:
            await asyncio.wait({self._running}, timeout=_STOP_SECONDS)
        if self._expiry is not None:
            self._expiry.cancel()
        await end([self._running])

    # -- the heartbeat -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._releasing:
            self._wake.clear()
            if self._given:
                await self._hand_over()
            pause_s = await self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
        if self._given:
            await self._release()

    async def _beat(self) -> float:
        """One heartbeat; life's seconds until the next. What fails is unreachable, never fine."""
        lease = self._lease
        self._expire_if_due()  # this process may have slept, and its timers with it
        try:
            if not self._fit_run:
                self._fit_run = await self._prepare()
                self._expire_if_due()
            asked = lease.ask(self._clock.monotonic_ns())
            answer = await beat(
                self._client,
                self._keys,
                self._symbol,
                self._holder,
                asked,
                highest=lease.highest,
                warm=self._warm,
                courtesy_ms=self._courtesy_ms,
            )
            if answer.run != self._fit_run:  # it was restarted, or replaced, without that a connection told us
                self._fit_run = await self._prepare()
                if answer.run != self._fit_run:
                    raise RedisFaultError("Redis was restarted between two questions")
            self._beat_s = (self._clock.monotonic_ns() - asked.sent_ns) / 1e9 / self._clock.rate
            await self._heard(answer)
        except FAULTS as error:
            return self._fail(error)
        self._failures = 0
        self._heed(asked, answer)
        return lease.next_beat_ns(self._clock.monotonic_ns()) / 1e9 / self._clock.rate

    def _heed(self, asked: Asked, answer: Beat) -> None:
        lease, now_ns = self._lease, self._clock.monotonic_ns()
        self._standby = answer.standby
        if answer.saved is not None:
            self._memory.saw("/".join(answer.saved), now_ns)
        change = lease.heed(asked, answer.status, answer.token, answer.fingerprint, now_ns)
        match change:
            case Change.NONE:
                pass
            case Change.LOST:
                self._lose("another process took it, or its record is gone")
                self._wake.set()
            case Change.TOO_LATE:
                self._lose("its renewal was answered too late")
            case Change.GRANTED if self._releasing:
                self._given = lease.lose()
            case Change.GRANTED | Change.RENEWED:
                self._hold(change, answer)

    def _hold(self, change: Change, answer: Beat) -> None:
        lease = self._lease
        if self._expiry is not None:
            self._expiry.cancel()
        left_s = (lease.deadline_ns - self._clock.monotonic_ns()) / 1e9 / self._clock.rate
        self._expiry = asyncio.get_running_loop().call_later(left_s, self._lose, "not renewed before its deadline")
        if change is Change.GRANTED:
            self._tell(LeaseGranted(lease.token, lease.deadline_ns, self._observed(answer.memory)))
        else:
            self._tell(LeaseRenewed(lease.token, lease.deadline_ns))

    def _observed(self, memory: Snapshot | None) -> Snapshot | None:
        if memory is None:
            return None
        return replace(memory, observed_ns=self._clock.monotonic_ns() - self._memory.since_ns)

    def _expire_if_due(self) -> None:
        if self._lease.expired(self._clock.monotonic_ns()):
            self._lose("not renewed before its deadline")

    def _lose(self, reason: str) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        token = self._lease.lose()
        if token:
            self._tell(LeaseLost(token, reason))

    def _fail(self, error: Exception) -> float:
        """Life's seconds until the next attempt: jittered, longer each time, but early while a lease can be saved."""
        # Who has not looked without a gap has not watched.
        self._lease.watch.restart()
        self._fit_run = ""
        self._standby = False
        self._failed(error)
        self._failures += 1
        renew_s = self._times.renew_s / self._clock.rate
        most_s = renew_s / 2 if self._lease.token else renew_s * min(5.0, 0.25 * 2 ** min(self._failures, 10))
        return most_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    # -- giving it away ----------------------------------------------------------------------------

    def _give(self, reason: str) -> None:
        if self._lease.token:
            self._given = self._lease.token
            self._lose(reason)
        self._wake.set()

    async def _hand_over(self) -> None:
        """To a warm candidate alone: where none is left the next beat finds the record ours, and takes it again."""
        token, self._given = self._given, 0
        await self._settle()
        with contextlib.suppress(*FAULTS):
            await self._tell_server(token, self._courtesy_ms)

    async def _release(self) -> None:
        """Until it is told or has run out: whoever comes next waits for the one or the other."""
        await self._settle()
        while self._clock.monotonic_ns() < self._lease.deadline_ns:
            try:
                await self._tell_server(self._given, 0)
            except FAULTS:
                await asyncio.sleep(self._answer_s)
            else:
                return

    async def _tell_server(self, token: int, courtesy_ms: int) -> None:
        keys = [self._keys.lease(self._symbol), self._keys.warm(self._symbol)]
        await call(
            self._client, Script.RELEASE, keys, [self._holder, token, self._keys.freed(self._symbol), courtesy_ms]
        )

    @property
    def _courtesy_ms(self) -> int:
        """The server's milliseconds are life's."""
        return max(1, int(_COURTESY_RENEWALS * self._times.renew_s / self._clock.rate * 1000))

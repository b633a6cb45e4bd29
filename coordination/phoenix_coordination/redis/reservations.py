"""One symbol's dealings with the account's ledger: asks, asks again when trust in it was lost, and rebuilds it.

Trust is a generation: the mark that the ledger was rebuilt under the present run of the server. With another generation
every grant is void at once, before anything else of that heartbeat counts; so when somebody rebuilds it after a whole
ttl, nobody is left who trades on a grant that the ledger has forgotten.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

from phoenix_coordination.port import AccountTerms, Clock, LeaseTimes, Message, Reservation, Reserved
from phoenix_coordination.redis.client import FAULTS, Redis, fault_of
from phoenix_coordination.redis.foreign import NO_EXPIRY
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.lease import NS, Watch
from phoenix_coordination.redis.ledger import Grant, Grants, ReadHoldings, amounts_of, limits_of, rebuilt_entry
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end

_LOCK_MS = 30_000
"""The lock only keeps two leaders from reading the account at once: what is written is fenced by the vacancy."""
REBUILD_PAUSE_TTLS = 2.0
"""How long nobody reads the account again that could not be read: each time costs weight that the cancels need, too."""

_log = logging.getLogger(__name__)


class Reservations:
    """The ledger's client of one worker. Nothing is asked without the lease.

    `tell` hears the answers, `terms` gives the account's as they are now; `failed` hears of each attempt what
    went wrong, or `None`; `outranked` of a token, not below ours, under which another has asked; `doubt` is called
    where the ledger could not be rebuilt.
    """

    def __init__(
        self,
        client: Redis,
        keys: AccountKeys,
        symbol: str,
        holder: str,
        clock: Clock,
        times: LeaseTimes,
        read_holdings: ReadHoldings,
        tell: Callable[[Message], None],
        terms: Callable[[], AccountTerms],
        failed: Callable[[Exception | None], None],
        outranked: Callable[[int], None],
        doubt: Callable[[], None],
    ) -> None:
        self._client = client
        self._keys = keys
        self._symbol = symbol
        self._holder = holder
        self._clock = clock
        self._times = times
        self._read_holdings = read_holdings
        self._tell = tell
        self._terms = terms
        self._failed = failed
        self._outranked = outranked
        self._doubt = doubt
        self._token = 0
        self._sequence = 0
        self._newest = -1
        self._asked: Reservation | None = None
        self._answered: Reserved | None = None
        self._grants = Grants()
        self._generation = ""
        self._rebuilt = False
        self._epoch = 0
        self._vacancy = Watch()
        self._need = asyncio.Event()
        self._answering: asyncio.Task[None] | None = None
        self._rebuilding: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._answering = begin(self._answer(), "reservations")

    async def stop(self) -> None:
        await end([task for task in (self._answering, self._rebuilding) if task is not None])

    def ask(self, reservation: Reservation) -> None:
        if reservation.sequence <= self._newest:
            return
        self._newest = reservation.sequence
        self._asked = reservation
        self._answered = None
        self._grants.asked()
        self._need.set()

    # -- what the heartbeat sees -------------------------------------------------------------------

    def leads(self, token: int) -> None:
        """The lease: what was granted under another token is the next leader's to ask for."""
        if token != self._token:
            self._token = token
            self._asked = self._answered = None
            self._grants = Grants()
        if token and not self._rebuilt and (self._rebuilding is None or self._rebuilding.done()):
            left_ns = self._vacancy.left_ns(self._clock.monotonic_ns(), int(self._times.ttl_s * NS))
            if left_ns == 0:
                self._rebuilding = begin(self._rebuild(token, self._generation), "rebuilding the ledger")

    def saw(self, generation: str, *, rebuilt: bool, epoch: int) -> None:
        if rebuilt:
            self._vacancy.restart()
        else:
            self._vacancy.saw(generation, self._clock.monotonic_ns())
        if generation != self._generation:
            if self._rebuilt or not rebuilt:
                self._void()
            self._generation, self._rebuilt = generation, rebuilt
            self._need.set()
        if epoch != self._epoch:
            self._epoch = epoch
            self._need.set()
        if self._asked is not None and self._answered is None:
            self._need.set()  # it failed, or its answer was lost

    def unseen(self) -> None:
        """Who has not looked without a gap has not watched."""
        self._vacancy.restart()

    def _void(self) -> None:
        if self._asked is not None and (self._grants.told.buys or self._grants.told.sells):
            self._give(self._asked, 0, 0)
            self._answered = None

    # -- asking ------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        while True:
            await self._need.wait()
            self._need.clear()
            asked, token = self._asked, self._token
            if asked is None or not token:
                self._failed(None)
                continue
            if self._rebuilding is not None:  # until then there is little to be had
                await asyncio.wait({self._rebuilding}, timeout=self._times.renew_s / self._clock.rate)
            try:
                await self._reserve(asked, token)
            except FAULTS as error:
                self._failed(error)
            else:
                self._failed(None)

    async def _reserve(self, asked: Reservation, token: int) -> None:
        amounts = amounts_of(asked)
        if amounts is None:
            self._give(asked, 0, 0)
            return
        self._sequence += 1
        generation = self._generation
        floors = self._grants.floors(asked)
        known = asked.buy_live_steps is not None and asked.sell_live_steps is not None
        answer = await call(
            self._client,
            Script.RESERVE,
            [self._keys.ledger, self._keys.lease(self._symbol)],
            [
                *(self._symbol, self._holder, token, self._sequence, *limits_of(self._terms())),
                *(amounts.long, amounts.short, amounts.size, amounts.buys, amounts.sells),
                *(floors[0] * amounts.step, floors[1] * amounts.step, int(known)),
            ],
        )
        if token != self._token or asked is not self._asked or generation != self._generation:
            self._need.set()  # something else is asked, or trust was lost meanwhile: this is no answer to it
            return
        match answer[0]:
            case b"granted":
                self._give(asked, int(answer[1]) // amounts.step, int(answer[2]) // amounts.step)
                self._epoch = int(answer[3])
            case b"overflow":
                self._give(asked, 0, 0)
            case b"stale":
                self._give(asked, 0, 0)
                self._stale(token, int(answer[1]))
            case _:  # fenced: the next heartbeat tells who leads
                return

    def _stale(self, token: int, entry_token: int) -> None:
        """Nobody but this process should have asked under its token, and nobody at all under a newer one."""
        _log.error(
            "the ledger's entry of %s was written under token %d, this lease has %d: its record in Redis was lost, or "
            "somebody else wrote the entry; the lease is given up and taken anew above it",
            self._symbol,
            entry_token,
            token,
        )
        self._outranked(entry_token)

    def _give(self, asked: Reservation, buys: int, sells: int) -> None:
        told = Reserved(asked.sequence, buys, sells)
        self._grants.granted(Grant(asked.position_steps, buys, sells))
        if told != self._answered:
            self._answered = told
            self._tell(told)

    # -- rebuilding --------------------------------------------------------------------------------

    async def _rebuild(self, token: int, generation: str) -> None:
        """One leader of the account reads everything from the exchange, under a lock; the others find it done."""
        try:
            locked = await self._client.execute_command(
                "SET", self._keys.rebuilding, self._holder, "NX", "PX", int(_LOCK_MS / self._clock.rate)
            )
            if not locked:
                # Another's, which ends; one that never does is nobody's of us.
                if int(await self._client.execute_command("PTTL", self._keys.rebuilding)) == NO_EXPIRY:
                    self._doubt()
                return
            try:
                holdings = await self._read_holdings()
                entries = [word for holding in holdings for word in rebuilt_entry(holding)]
            except (OSError, ValueError) as error:
                _log.warning("the shared ledger cannot be rebuilt from the exchange, is tried again: %s", error)
                await self._client.execute_command("PEXPIRE", self._keys.rebuilding, self._pause_ms)
                return
            mark = await call(
                self._client,
                Script.REBUILD,
                [self._keys.ledger, self._keys.rebuilding, self._keys.lease(self._symbol)],
                [self._holder, token, generation, secrets.token_hex(8), *entries],
            )
            if mark and self._generation == generation:
                self._generation, self._rebuilt = mark.decode(), True
                self._need.set()
        except FAULTS as error:
            _log.warning("the shared ledger was not rebuilt, is tried again: %s", fault_of(error))
            self._doubt()

    @property
    def _pause_ms(self) -> int:
        """The server's milliseconds are life's."""
        return int(REBUILD_PAUSE_TTLS * self._times.ttl_s / self._clock.rate * 1000)

"""`phoenix worker --withdraw`: a maker leaves the exchange for good, without a worker of its own that could do it.

It borrows the symbol's lease as the steward does, so it waits for a leader that still lives, and never takes a symbol
from one. Under the lease our orders go, the position where that was asked for, and the ledger counts what is left.
Orders of others stay, and are named. It has succeeded when the exchange itself has said so, under the lease; whatever
is not known by the deadline is a failure that says what may be left. The emergency switch has no say: less risk is
always allowed.
"""

import asyncio
import signal
from decimal import Decimal

import msgspec
from phoenix_coordination.port import LeaseTimes
from phoenix_coordination.redis.client import FAULTS, fault_of
from phoenix_coordination.redis.steward import Sight, StewardOffice
from phoenix_coordination.state import Mode
from phoenix_coordination.state_directory import installation_in, knows_installation

from phoenix_worker.core.events import Refusal
from phoenix_worker.core.reconcile import is_of
from phoenix_worker.runtime.clearance import Clearance, LeaseLostError
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.credentials import CredentialsError, MountedKey
from phoenix_worker.runtime.entrance import RefusedError
from phoenix_worker.runtime.exchange import client, endpoints_of
from phoenix_worker.runtime.logs import SAMPLED, Log
from phoenix_worker.runtime.redaction import Redactor
from phoenix_worker.runtime.redis_url import redis_credentials
from phoenix_worker.runtime.resolved import Resolved
from phoenix_worker.runtime.worker import Options, holder_name
from phoenix_worker.venue.binance.account import AccountUnreadableError
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.preflight import Whereabouts
from phoenix_worker.venue.binance.rest import RestError

DEADLINE_S = 100.0
"""Within the two minutes for which a cluster's job may run."""
RETRY_S = 1.0
KEY_S = 10.0
"""A mounted Secret may come a moment after the pod; after this it is missing."""
LAST_ORDER_S = 5.0
"""No closing order begins so shortly before the deadline: its end would not be known."""
GIVE_BACK_S = 4.0
LAST_LOOK_S = 8.0
"""Beyond the deadline: what is left is read once more, so that the last words can say it."""
MOST_NAMES = 5
UNKNOWN = (
    "nobody could ask the exchange what is left: orders of ours may rest until its countdown has cancelled them (a "
    "minute after their worker's end), and a position may be open"
)


class Terms(msgspec.Struct, frozen=True):
    """What shall be done, within so many of life's seconds."""

    flatten: bool = False
    deadline_s: float = DEADLINE_S


class Left(msgspec.Struct, frozen=True):
    """What the exchange holds of the symbol: our orders, others' by client id, and the position in base units."""

    ours: int
    others: list[str]
    position: str

    @property
    def flat(self) -> bool:
        return self.position == "0"

    def __str__(self) -> str:
        """For a person: it names what somebody may have to look after."""
        named = ", ".join(self.others[:MOST_NAMES]) + (", …" if len(self.others) > MOST_NAMES else "")
        told = [f"{self.ours} order{'s' * (self.ours != 1)} of ours"] if self.ours else ["no order of ours"]
        if self.others:
            told.append(f"{len(self.others)} of others ({named})")
        return f"{' and '.join(told)}, {'no position' if self.flat else f'a position of {self.position}'}"


class _NotYetError(Exception):
    """Why it is not done; another try may do it."""


class _HopelessError(Exception):
    """Why no other try will."""


class Withdrawal:
    """Of one maker; `run` once. `ending` is its last words, whichever way it went."""

    def __init__(
        self,
        options: Options,
        terms: Terms,
        resolved: Resolved,
        redis_url: str,
        clock: Clock,
        log: Log,
        redact: Redactor,
        *,
        times: LeaseTimes | None = None,
    ) -> None:
        self._options = options
        self._terms = terms
        self._resolved = resolved
        self._redis_url = redis_url
        self._clock = clock
        self._log = log
        self._redact = redact
        self._times = times or LeaseTimes()
        self._symbol = resolved.symbol
        self._rehearsal = resolved.mode is Mode.DRY_RUN
        self._holder = holder_name()
        self._installation = ""
        self._exchange: BinanceVenue | None = None
        self._until_s = 0.0
        self._problem = "the exchange has not answered"
        self._hindered = ""
        self._given_up = ""
        self._stopped = asyncio.Event()
        self._signal = ""
        self.ending = ""

    async def run(self) -> int:
        """The exit status: 0 only where all is as it was asked for. Raises `RefusedError` and `ForbiddenError` for what
        contradicts itself.
        """
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + self._terms.deadline_s
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        work = asyncio.create_task(self._withdraw(), name="withdrawal")
        stop = asyncio.create_task(self._stopped.wait(), name="stop")
        try:
            await asyncio.wait({work, stop}, timeout=self._terms.deadline_s, return_when=asyncio.FIRST_COMPLETED)
            await self._give_up(work)
            return await self._told(work)
        finally:
            stop.cancel()
            if self._exchange is not None:
                await self._exchange.close()

    def _stop(self, name: str) -> None:
        self._signal = name
        self._stopped.set()

    async def _give_up(self, work: asyncio.Task[Left]) -> None:
        """Where it is not done. A cancellation that meets a time-out inside a client can be lost: it is repeated, with
        time in between to give the lease back.
        """
        if not work.done():
            self._given_up = self._signal or f"not done within {self._terms.deadline_s:.0f} s"
        while not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=GIVE_BACK_S)

    async def _told(self, work: asyncio.Task[Left]) -> int:
        try:
            left = work.result()
        except _HopelessError as error:
            self._problem = str(error)
        except asyncio.CancelledError:
            pass
        else:
            rest = "it was a rehearsal, of which nothing rests" if self._rehearsal else str(left)
            self.ending = f"{self._symbol} is withdrawn: {rest}"
            self._log.info("withdrawn", text=self.ending)
            return 0
        why = ": ".join(filter(None, (self._given_up, self._problem, self._hindered)))
        self.ending = f"{self._symbol} is not withdrawn: {why}; {await self._last_look()}"
        self._log.error("not withdrawn", text=self.ending)
        return 1

    # -- before the lease --------------------------------------------------------------------------

    async def _withdraw(self) -> Left:
        """Until it is done. What may heal is tried again."""
        self._installation = await asyncio.to_thread(self._known_installation)
        self._exchange = exchange = await self._client()
        where: Whereabouts | None = None
        office: StewardOffice | None = None
        try:
            while True:
                try:
                    where = where or await exchange.look_up()
                    if not where.identity:
                        raise _HopelessError("the account has no balance at all, and so no name that others know it by")
                    office = office or self._new_office(where.identity)
                    return await self._attempt(office, exchange, where)
                except AccountUnreadableError as error:
                    if _is_denied(error):
                        raise _HopelessError(str(error)) from None
                    self._problem = str(error)
                except (_NotYetError, ValueError) as error:
                    self._problem = str(error)
                except LeaseLostError:
                    self._problem = "its lease was lost meanwhile"
                except FAULTS as error:
                    self._problem = fault_of(error)
                self._log.warning("not withdrawn yet", text=self._problem, **{SAMPLED: "withdrawal"})
                await asyncio.sleep(RETRY_S)
        finally:
            if office is not None:
                await office.stop()

    def _known_installation(self) -> str:
        """By which our orders are told from others'; one that is made now would find none."""
        directory, uid = self._options.state_dir, self._resolved.account_uid
        if not knows_installation(directory, uid):
            raise RefusedError(
                f"--state-dir {directory}: holds no installation, and the account has no metadata.uid: nobody could "
                "tell our orders from others'; name the directory that the worker used"
            )
        try:
            return installation_in(directory, uid)
        except OSError as error:
            raise RefusedError(f"--state-dir {directory}: cannot be used: {error.strerror}") from None

    async def _client(self) -> BinanceVenue:
        endpoints = endpoints_of(self._resolved, self._clock)
        key = MountedKey(self._options.credentials, self._redact)
        until_s = asyncio.get_running_loop().time() + KEY_S
        while True:
            try:
                return client(endpoints, self._resolved, key.read(), self._clock, self._holder)
            except CredentialsError as error:
                self._problem = str(error)
                if asyncio.get_running_loop().time() >= until_s:
                    raise _HopelessError(str(error)) from None
            await asyncio.sleep(RETRY_S)

    def _new_office(self, identity: str) -> StewardOffice:
        """Not to hold it: it lends a symbol's lease."""
        return StewardOffice(
            self._redis_url,
            identity,
            self._holder,
            self._clock,
            self._times,
            dry_run=self._rehearsal,
            credentials=redis_credentials(self._options.redis, self._redact),
        )

    # -- under the lease ---------------------------------------------------------------------------

    async def _attempt(self, office: StewardOffice, exchange: BinanceVenue, where: Whereabouts) -> Left:
        """What is left, once that is as it shall be and counts so in the ledger; raises where it is not."""
        sight = (await office.look([self._symbol]))[self._symbol]
        tenure, care = office.borrow(self._symbol), exchange.caretaker(self._symbol)
        try:
            if not await tenure.take():
                raise _NotYetError(_kept(sight))
            account = exchange.account
            place = (tenure, care, account, self._installation, self._clock, self._log)
            clearance = Clearance(*place, "withdrawal")
            if not self._rehearsal and where.listed:
                await self._clear(clearance)
            left = await self._left(exchange, where)
            if not self._rehearsal:
                self._judge(left)
            if not await tenure.settle(await account.holdings(self._symbol if where.listed else "")):
                raise LeaseLostError
            clearance.deadline_ns()  # to the end nobody else could begin here
            return left
        finally:
            await tenure.end(quiescent=care.quiescent)

    async def _clear(self, clearance: Clearance) -> None:
        if not await clearance.withdraw(everybody=False):
            raise _NotYetError("orders of ours were cancelled, and stay")
        if self._terms.flatten:
            try:
                await clearance.close(self._has_time, everybody=False)
            finally:
                self._hindered = clearance.hindered or self._hindered

    def _judge(self, left: Left) -> None:
        """By what the exchange says last, not by what was done."""
        if left.ours:
            raise _NotYetError("orders of ours still rest")
        if self._terms.flatten and not left.flat:
            raise _NotYetError("the position is not closed yet")

    def _has_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._until_s - LAST_ORDER_S

    async def _left(self, exchange: BinanceVenue, where: Whereabouts) -> Left:
        """Orders before the position: with none of ours left it changes no more by us.

        A symbol that the exchange does not list (any more) is looked for among all: nothing of it can be asked alone.
        """
        account, scope = exchange.account, self._symbol if where.listed else ""
        orders = [order for order in await account.open_orders(scope) if order.symbol == self._symbol]
        waiting = await account.conditional_orders(scope)  # never ours; what cannot be read of them stays unnamed
        held = sum((row.qty for row in await account.positions(scope) if row.symbol == self._symbol), Decimal(0))
        ours = [order for order in orders if is_of(order.client_id, self._installation)]
        others = [order for order in orders if order not in ours]
        others += [order for order in waiting.orders if order.symbol == self._symbol]
        return Left(len(ours), [order.client_id for order in others], f"{held.normalize():f}" if held else "0")

    # -- the end -----------------------------------------------------------------------------------

    async def _last_look(self) -> str:
        """What may be left, for the last words."""
        if self._rehearsal:
            return "it was a rehearsal, of which nothing rests at the exchange"
        if self._exchange is None:
            return UNKNOWN
        try:
            async with asyncio.timeout(LAST_LOOK_S):
                return f"left: {await self._left(self._exchange, await self._exchange.look_up())}"
        except (AccountUnreadableError, TimeoutError):
            return UNKNOWN


def _kept(sight: Sight) -> str:
    """Why the lease was not to be had."""
    if not sight.holder:
        return "its lease was not to be had"
    return f"{sight.holder} holds its lease, and lives: stop that worker first"


def _is_denied(error: AccountUnreadableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, RestError) and cause.verdict.refusal is Refusal.DENIED

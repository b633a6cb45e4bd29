"""The exchange as the worker sees it: one symbol of one account, made of this package's parts.

Commands arrive in the middle of the engine's turn. What they cause is told to the sink in a later turn of the loop,
never from within `perform`: the engine is not asked to decide while its last decision is still being carried out.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random

from msgspec.structs import replace
from phoenix_coordination.redis.ledger import Holding

from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchDay,
    FetchFunding,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    Place,
    QueryOrder,
    Reconnect,
)
from phoenix_worker.core.events import AnyEvent, Budget, DeadManArmed, Refusal, Stream
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance.account import AccountReader, AccountUnreadableError
from phoenix_worker.venue.binance.caretaker import Caretaker
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.day import DayReader
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.income import IncomeReader
from phoenix_worker.venue.binance.kept import KeptConnection
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.orders import Orders
from phoenix_worker.venue.binance.outcomes import Verdict
from phoenix_worker.venue.binance.preflight import Checks, Whereabouts, look_up
from phoenix_worker.venue.binance.reads import Reads
from phoenix_worker.venue.binance.reference import Reference
from phoenix_worker.venue.binance.rest import Parameters, Rest, RestError
from phoenix_worker.venue.binance.settings import Settings
from phoenix_worker.venue.binance.signing import Credentials
from phoenix_worker.venue.binance.statistics import Counts, Statistics
from phoenix_worker.venue.binance.streams import BookStream, MarketStream
from phoenix_worker.venue.binance.truth import TruthReader
from phoenix_worker.venue.binance.user_stream import UserStream
from phoenix_worker.venue.binance.wsapi import WsApi
from phoenix_worker.venue.clock import NS_PER_MS, NS_PER_S, Clock
from phoenix_worker.venue.port import Preflight, Question, Sink, VenueAction

BUDGET_EVERY_S = 1.0
BUDGET_TOLD_AGAIN_NS = 5 * NS_PER_S
"""Though nothing has changed: what was told long ago limits nothing in the core."""
CANCEL_ALL_ATTEMPTS = 3
CANCEL_ALL_PAUSE_S = 0.3
CANCEL_ALL_LAST_S = 1.5
"""Life's seconds that a closing waits for it."""
RECONNECT_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class _Parts:
    """What exists from `start` on."""

    sink: Sink
    reference: Reference
    wsapi: WsApi | None
    orders: Orders
    truth: TruthReader
    day: DayReader
    reads: Reads
    income: IncomeReader
    book: BookStream
    market: MarketStream
    user: UserStream

    def kept(self) -> dict[str, KeptConnection]:
        """The connections by the names under which they are counted."""
        connections = {
            Stream.BOOK.value: self.book.kept,
            Stream.MARKET.value: self.market.kept,
            Stream.USER.value: self.user.kept,
        }
        return connections if self.wsapi is None else {**connections, "orders": self.wsapi.kept}

    async def close(self) -> None:
        closing = [self.book.close(), self.market.close(), self.user.close()]
        if self.wsapi is not None:
            closing.append(self.wsapi.close())
        await asyncio.gather(*closing)


class BinanceVenue:
    """`user_agent` names the holder: every connection and request carries it.

    `dry_run`: nothing is changed at the exchange but the listen key's life; `venue.dry_run` stands before it then.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        symbol: str,
        settings: Settings,
        *,
        clock: Clock,
        random: Random,
        user_agent: str,
        dry_run: bool = False,
    ) -> None:
        self._endpoints = endpoints
        self._credentials = credentials
        self._symbol = symbol
        self._settings = settings
        self._clock = clock
        self._random = random
        self._user_agent = user_agent
        self._dry_run = dry_run
        self._time = ExchangeTime(clock)
        self.budget = RequestBudget(settings.limits)
        self._counts = Counts()
        self._rest = self._new_rest(credentials, read_only=dry_run)
        self.account = AccountReader(self._rest, self._time)
        self._preflight: Preflight | None = None
        self._parts: _Parts | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelling: set[asyncio.Task[None]] = set()
        self._changing: set[asyncio.Task[None]] = set()
        self._told_budget: Budget | None = None

    # -- the port ----------------------------------------------------------------------------------

    async def prepare(self) -> Preflight:
        """May be asked again while it refuses."""
        checks = Checks(
            self._symbol, self._settings, self._endpoints, rest=self._rest, time=self._time, budget=self.budget
        )
        self._preflight = await checks.run()
        return self._preflight

    async def look_up(self) -> Whereabouts:
        """In place of `prepare`, for who only withdraws; raises `AccountUnreadableError`."""
        try:
            return await look_up(self._symbol, self._endpoints, rest=self._rest, time=self._time, budget=self.budget)
        except (RestError, DecodeError) as error:
            raise AccountUnreadableError(f"the account: {error}") from error

    async def start(self, sink: Sink) -> None:
        """Raises `RuntimeError` before a preflight that found the instrument."""
        preflight = self._preflight
        if preflight is None or preflight.instrument is None:
            raise RuntimeError("prepare() comes first, and must find the instrument")
        parts = self._parts = self._build(preflight, preflight.instrument, sink)
        if parts.wsapi is not None:
            parts.wsapi.start()
        parts.user.start()
        parts.book.start()
        parts.market.start()
        self._spawn(parts.reference.keep_clock(), "clock")
        self._spawn(parts.reference.keep_reference(), "reference")
        self._spawn(self._keep_budget(), "budget")

    def perform(self, action: VenueAction) -> None:
        parts = self._parts
        if parts is None:
            raise RuntimeError("start() comes first")
        match action:
            case Place():
                parts.orders.place(action)
            case Cancel():
                parts.orders.cancel(action)
            case Amend():
                parts.orders.amend(action)
            case CancelAll():
                task = self._change(self._cancel_all(action.deadline_ns), "cancel all")
                self._cancelling.add(task)
                task.add_done_callback(self._cancelling.discard)
            case ArmDeadMan():
                self._change(self._arm_dead_man(action), "dead-man")
            case Reconnect():
                # In a later turn: it closes the stream, which is an event.
                asyncio.get_running_loop().call_soon(self._reconnect, parts, action)
            case _:
                self._read(parts, action)

    def _read(self, parts: _Parts, action: Question) -> None:
        match action:
            case QueryOrder():
                self._spawn(self._query(parts, action.client_id), "query")
            case FetchTruth():
                self._spawn(self._truth(parts, action), "truth")
            case FetchDay():
                self._spawn(self._day(parts, action), "day")
            case FetchSnapshot():
                parts.reads.snapshot()
            case FetchTouch():
                parts.reads.touch()
            case FetchMinutes():
                parts.reads.minutes()
            case FetchFunding():
                self._spawn(self._funding(parts, action), "funding")

    @property
    def quiescent(self) -> bool:
        return not self._changing and (self._parts is None or not self._parts.orders.in_flight)

    async def close(self) -> None:
        """A worker that gives up ends right after it has asked for its orders to be cancelled: that comes first."""
        if self._cancelling:
            await asyncio.wait(self._cancelling, timeout=CANCEL_ALL_LAST_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._parts is not None:
            await self._parts.close()
        await self._rest.close()

    async def holdings(self) -> list[Holding]:
        """What the whole account holds, all symbols: see `AccountReader.holdings`. Raises `OSError`."""
        return await self.account.holdings()

    def caretaker(self, symbol: str) -> Caretaker:
        """Hands for a symbol that has lost its leader: for the account's steward, under that symbol's lease."""
        return Caretaker(symbol, self._rest, self._time, self.budget, self._settings.recv_window_ms, self._on_error)

    # -- another key -------------------------------------------------------------------------------

    async def try_key(self, credentials: Credentials) -> Preflight:
        """What the exchange says of another key: whose it is, and why it must not be used."""
        rest = self._new_rest(credentials, read_only=True)
        try:
            checks = Checks(
                self._symbol, self._settings, self._endpoints, rest=rest, time=self._time, budget=self.budget
            )
            return await checks.of_key()
        finally:
            await rest.close()

    def use(self, credentials: Credentials) -> None:
        """Everything that is sent from now on carries this key, which is of the same account."""
        self._credentials = credentials
        self._rest.use(credentials)
        if self._parts is not None and self._parts.wsapi is not None:
            self._parts.wsapi.use(credentials)

    def statistics(self) -> Statistics:
        """A snapshot; order latencies are handed out once."""
        counts, parts = self._counts, self._parts
        now_ns = self._clock.monotonic_ns()
        used_10s, used_1m, weight = self.budget.usage(now_ns)
        usage = self.budget.to_tell(now_ns)
        streams = {} if parts is None else {Stream.BOOK: parts.book, Stream.MARKET: parts.market}
        kept = {} if parts is None else parts.kept()
        return Statistics(
            connected={stream: bool(kept) and kept[stream.value].is_open for stream in Stream},
            orders_connected=parts is not None and parts.wsapi is not None and parts.wsapi.ready,
            reconnects={name: connection.reconnects for name, connection in kept.items()},
            connects_failed={name: connection.attempts_failed for name, connection in kept.items()},
            successions=sum(connection.successions for connection in kept.values()),
            rest_fallbacks=0 if parts is None else parts.orders.rest_fallbacks,
            frames={stream: connection.frames for stream, connection in streams.items()},
            conflated=0 if parts is None else parts.book.conflated,
            batch_last=0 if parts is None else parts.book.batch_last,
            batch_max=0 if parts is None else parts.book.batch_max,
            decode_errors=counts.decode_errors,
            api_errors=dict(counts.api_errors),
            ignored_events=dict(counts.ignored_events),
            late_replies=0 if parts is None or parts.wsapi is None else parts.wsapi.late_replies,
            order_latency_ns=counts.drain_latencies(),
            orders_10s_used=used_10s,
            orders_1m_used=used_1m,
            weight_1m_used=weight,
            orders_granted=usage.orders_left,
            weight_granted=usage.weight_left,
        )

    # -- making the parts --------------------------------------------------------------------------

    def _new_rest(self, credentials: Credentials, *, read_only: bool) -> Rest:
        return Rest(
            self._endpoints.rest,
            credentials,
            self._time,
            self.budget,
            self._user_agent,
            self._on_error,
            self._settings.recv_window_ms,
            read_only=read_only,
        )

    def _build(self, preflight: Preflight, instrument: Instrument, sink: Sink) -> _Parts:
        rest, time, clock, random, user_agent = self._rest, self._time, self._clock, self._random, self._user_agent
        endpoints, symbol, settings = self._endpoints, self._symbol, self._settings
        reference = Reference(
            instrument,
            (preflight.maker_bps, preflight.taker_bps),
            sink,
            leverage=settings.leverage,
            rest=rest,
            time=time,
            budget=self.budget,
            random=random,
        )
        wsapi = None
        if not self._dry_run:
            wsapi = WsApi(endpoints.ws_api, self._credentials, user_agent, clock, random, self._on_bad_frame)
        orders = Orders(
            wsapi,
            rest,
            time,
            self.budget,
            lambda: reference.instrument,
            settings.recv_window_ms,
            sink,
            self._on_error,
            self._counts.order_latency_ns.append,
        )
        book = BookStream(
            endpoints.streams,
            symbol,
            settings.depth_speed,
            sink,
            self._on_bad_frame,
            user_agent=user_agent,
            clock=clock,
            random=random,
        )
        market = MarketStream(
            endpoints.streams,
            symbol,
            sink,
            self._on_bad_frame,
            reference.contract_changed,
            user_agent=user_agent,
            clock=clock,
            random=random,
        )
        user = UserStream(
            endpoints.streams,
            rest,
            lambda: reference.instrument,
            sink,
            self._on_unreadable_own_event,
            self._on_ignored,
            user_agent=user_agent,
            clock=clock,
            random=random,
        )
        truth = TruthReader(rest, time, settings.recv_window_ms)
        return _Parts(
            sink=sink,
            reference=reference,
            wsapi=wsapi,
            orders=orders,
            truth=truth,
            day=DayReader(rest, time, truth),
            income=IncomeReader(rest, time),
            reads=Reads(symbol, rest, time, sink, self._on_bad_frame, self._spawn),
            book=book,
            market=market,
            user=user,
        )

    # -- actions that wait -------------------------------------------------------------------------

    async def _cancel_all(self, deadline_ns: int) -> None:
        """Idempotent, so it is repeated until the exchange has said that it is done, or another may lead the symbol.
        What is left open shows in the truth that is read after it.
        """
        for attempt in range(CANCEL_ALL_ATTEMPTS):
            if attempt:
                await self._clock.sleep(CANCEL_ALL_PAUSE_S * attempt)
            try:
                await self._rest.change(
                    "DELETE",
                    "/fapi/v1/allOpenOrders",
                    self._of_symbol(),
                    weight=1,
                    urgency=Urgency.CANCEL,
                    deadline_ns=deadline_ns,
                )
            except RestError as error:
                if not error.retryable:
                    return
            else:
                return

    async def _arm_dead_man(self, action: ArmDeadMan) -> None:
        parameters = [*self._of_symbol(), ("countdownTime", action.countdown_ms)]
        try:
            reply = await self._rest.change(
                "POST",
                "/fapi/v1/countdownCancelAll",
                parameters,
                weight=10,
                urgency=Urgency.REDUCE,
                deadline_ns=action.deadline_ns,
            )
            # Counted from the sending: the exchange starts later, never sooner.
            until_ns = reply.sent_ns + action.countdown_ms * NS_PER_MS
        except RestError:
            until_ns = 0
        self._emit(DeadManArmed(self._clock.monotonic_ns(), until_ns))

    async def _query(self, parts: _Parts, client_id: str) -> None:
        self._emit(await parts.truth.query(client_id, parts.reference.instrument))

    async def _truth(self, parts: _Parts, action: FetchTruth) -> None:
        truth = await parts.truth.read(action, parts.reference.instrument)
        if truth.problem:
            # One way to be unreadable is that the filters have changed under us.
            parts.reference.reload_soon()
        self._emit(truth)

    async def _day(self, parts: _Parts, action: FetchDay) -> None:
        self._emit(await parts.day.read(action, parts.reference.instrument))

    async def _funding(self, parts: _Parts, action: FetchFunding) -> None:
        self._emit(await parts.income.read(action, parts.reference.instrument))

    def _reconnect(self, parts: _Parts, action: Reconnect) -> None:
        delay_s = action.delay_ns / NS_PER_S * (1 + self._random.uniform(-RECONNECT_JITTER, RECONNECT_JITTER))
        parts.kept()[action.stream.value].reopen(action.reason, delay_s)

    def _of_symbol(self) -> Parameters:
        return [("symbol", self._symbol)]

    # -- what the parts tell -----------------------------------------------------------------------

    def _emit(self, event: AnyEvent) -> None:
        if self._parts is not None:
            self._parts.sink(event)

    def _on_bad_frame(self, _: DecodeError) -> None:
        self._counts.decode_errors += 1

    def _on_unreadable_own_event(self, error: DecodeError) -> None:
        """Our own orders off the grid that we know: perhaps it has changed."""
        self._on_bad_frame(error)
        if self._parts is not None:
            self._parts.reference.reload_soon()

    def _on_ignored(self, name: str) -> None:
        self._counts.ignored_events[name[:40]] += 1

    def _on_error(self, code: int, verdict: Verdict) -> None:
        self._counts.api_errors[code] += 1
        if self._parts is None:
            return
        if verdict.refusal is Refusal.CLOCK:
            self._parts.reference.clock_is_off()
        elif verdict.refusal in (Refusal.RATE_LIMIT, Refusal.BANNED):
            asyncio.get_running_loop().call_soon(self.tell_budget)

    # -- budget ------------------------------------------------------------------------------------

    async def _keep_budget(self) -> None:
        while True:
            self.tell_budget()
            await self._clock.sleep(BUDGET_EVERY_S)

    def tell_budget(self) -> None:
        """What is left now, where that is news."""
        now_ns = self._clock.monotonic_ns()
        budget = self.budget.view(now_ns)
        told = self._told_budget
        if told is None or now_ns - told.at > BUDGET_TOLD_AGAIN_NS or replace(budget, at=told.at) != told:
            self._told_budget = budget
            self._emit(budget)

    # -- tasks -------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _change(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """It is under way from this moment, before its first step: nobody may take us for quiescent meanwhile."""
        task = self._spawn(work, name)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """The exchange's faults never end a task; what does is a mistake of ours, and is told as one."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": f"task {task.get_name()}", "exception": error})

"""A whole run for the scenarios: the simulated exchange in this process, a real Redis, real workers as processes.

What a scenario asserts is what the *exchange* saw: which orders it accepted and when, what rests, what its own books
and its audit say. What the worker says of itself (`/state`, `/readyz`, `/metrics`) is compared with that.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import aiohttp
from arena_exchange import Accepted, PausableMarket, Venue
from arena_redis import RedisServer
from arena_worker import (
    LOOK_S,
    RECOVERS_WITHIN_S,
    TOLD_WITHIN_S,
    WITHDRAWN_WITHIN_S,
    WorkerProcess,
)
from phoenix_cli.local.exchange import Books, graces
from phoenix_cli.local.fleet import Assignment, at_endpoint, load_fleet, of_symbols, quote_asset
from phoenix_cli.local.layout import StateDirectory, write_key
from phoenix_cli.local.parameters import NAMESPACE, Parameters
from phoenix_cli.local.report import disagreements, told
from phoenix_coordination import order_id
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, account_tools
from phoenix_coordination.state import Reason, Role, StateRecord, decode
from phoenix_coordination.state_directory import final_record_path
from phoenix_crds import TradingAccount
from phoenix_simulator.api.account_data import alias_of
from phoenix_simulator.clock import ENVIRONMENT_VARIABLE, Clock
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.server import Server
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import Snapshot
from phoenix_worker.runtime.recording import SegmentReader, segments_of
from phoenix_worker.runtime.replay import replay
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity

CONFIGS = Path(__file__).parents[2] / "configs"
_BALANCE = "100000"
_STIR_S = 0.25
_DAY_NS = 86_400 * 10**9


@dataclass(slots=True)
class Arena:
    """One account on one exchange, its makers, and their workers. `symbol` is the first maker's."""

    venue: Venue
    redis: RedisServer
    identity: str
    """The exchange's own name of the account."""
    clock: Clock
    directory: StateDirectory
    parameters: Parameters
    http: aiohttp.ClientSession
    fleet: list[Assignment]
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    _started: list[WorkerProcess] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    async def open(
        cls,
        server: Server,
        url: str,
        redis: RedisServer,
        http: aiohttp.ClientSession,
        root: Path,
        symbols: tuple[str, ...],
        *,
        net_and_gross: tuple[int, int] | None = None,
        **spec: object,
    ) -> "Arena":
        """An account with play money whose switch is open, the makers of `configs/` for the symbols, and what the audit
        holds them to.

        `net_and_gross`: the account's limits, where they are not those of `configs/`; `spec`: fields of the makers that
        differ from there, by their Python names.
        """
        fleet = [
            Assignment(
                item.maker.model_copy(update={"spec": item.maker.spec.model_copy(update=spec)}),
                _limited(at_endpoint(item.account, url), net_and_gross),
            )
            for item in of_symbols(load_fleet([CONFIGS / "accounts", CONFIGS / "makers"]), symbols)
        ]
        shared = fleet[0].account.spec.limits
        venue = Venue(server, url, http)
        balances = {quote_asset(symbol): _BALANCE for symbol in symbols}
        made = json.loads(await venue.control("POST", "/sim/account", {"label": "arena", "balances": balances}))
        venue.account, venue.api_key, venue.api_secret = made["account"], made["apiKey"], made["apiSecret"]
        limits = [
            {
                "symbol": item.symbol,
                "maxPosition": str(item.maker.spec.net_max * item.maker.spec.worst_case_multiplier),
            }
            for item in fleet
        ]
        await venue.declare(
            apiKey=venue.api_key,
            pattern={"regex": order_id.PATTERN, "tokenBase": 36},
            symbolLimits=limits,
            accountLimit={
                "maxNetNotional": str(shared.net_notional),
                "maxGrossNotional": str(shared.gross_notional),
            },
            graces=graces(server.clock.rate),
        )
        directory = StateDirectory(root)
        write_key(directory.credentials("arena"), venue.api_key, venue.api_secret)
        identity = account_identity(Endpoints.at(url), alias_of(venue.account))
        arena = cls(venue, redis, identity, server.clock, directory, Parameters(directory), http, fleet)
        for item in fleet:
            arena.parameters.put(item.maker, item.account)
        await arena.seed()
        return arena

    async def seed(self) -> None:
        """What the local runner does: opens an account's switch that nobody has turned yet."""
        async with self.shared() as account:
            await account.seed(EmergencyLevel.NONE, 0, "", "the test")

    @property
    def symbol(self) -> str:
        return self.fleet[0].symbol

    @property
    def worker(self) -> WorkerProcess:
        return self.workers[self.symbol]

    @property
    def mark(self) -> int:
        """How many orders the exchange has accepted up to now."""
        return len(self.venue.accepted)

    def name_of(self, symbol: str) -> str:
        return next(item.maker.metadata.name for item in self.fleet if item.symbol == symbol)

    def files(self, symbol: str | None = None) -> Path:
        """Where the maker's `maker.yaml` and `account.yaml` lie."""
        return self.directory.parameters(self.name_of(symbol or self.symbol))

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[Account]:
        """What the account's workers share, as the commands for people reach it."""
        async with account_tools(self.redis.url) as tools:
            yield tools.account(self.identity)

    # -- workers -----------------------------------------------------------------------------------

    async def start(self, symbol: str | None = None) -> WorkerProcess:
        """Another worker of the maker; it becomes the maker's."""
        symbol = symbol or self.symbol
        worker = self.workers[symbol] = await self._spawn(symbol, self.redis.url, self.directory.state)
        await worker.listening()
        return worker

    async def standby(self) -> WorkerProcess:
        """A second worker of the first maker, once it is warm. The one before stays the maker's."""
        worker = await self.launch(self.symbol)
        await worker.until(lambda record: record.role is Role.STANDBY and record.ready, "it stands by, warm")
        return worker

    async def launch(
        self, symbol: str, *, redis: str = "", state: Path | None = None, files: Path | None = None
    ) -> WorkerProcess:
        """A worker beside the maker's, with the run's own Redis, state directory and files where none are named."""
        worker = await self._spawn(symbol, redis or self.redis.url, state or self.directory.state, files=files)
        await worker.listening()
        return worker

    async def withdrawing(self, symbol: str, *options: str) -> WorkerProcess:
        """What takes the maker from the exchange for good; it ends by itself."""
        return await self._spawn(symbol, self.redis.url, self.directory.state, "--withdraw", *options)

    async def _spawn(
        self, symbol: str, redis: str, state: Path, *options: str, files: Path | None = None
    ) -> WorkerProcess:
        files = files or self.files(symbol)
        log = self.directory.root / f"worker-{next(self._numbers)}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "phoenix_worker"),
                *("--maker", str(files / "maker.yaml"), "--account", str(files / "account.yaml")),
                *("--credentials", str(self.directory.credentials("arena"))),
                *("--redis", redis, "--state-dir", str(state)),
                *("--http", "127.0.0.1:0"),
                *options,
                stdout=out,
                stderr=out,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._clock_env(),
            )
        worker = WorkerProcess(process, log, self.http)
        self._started.append(worker)
        return worker

    def _clock_env(self) -> dict[str, str]:
        return {} if self.clock.rate == 1 else {ENVIRONMENT_VARIABLE: self.clock.to_text()}

    async def kill_all(self) -> None:
        """Whatever still runs, however the scenario ended."""
        for worker in self._started:
            if worker.process.returncode is None:
                with suppress(ProcessLookupError):
                    worker.process.kill()
                await worker.process.wait()

    # -- conditions --------------------------------------------------------------------------------

    async def wait(self, condition: Callable[[], object], what: str, within_s: float) -> None:
        """Until something holds at the exchange."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(worker.tail() for worker in self.workers.values())
                raise AssertionError(f"not within {within_s} s: {what}\nresting: {self.venue.resting()}\n{logs}")
            await asyncio.sleep(LOOK_S)

    async def quoting(self, since: int = 0, symbol: str | None = None) -> StateRecord:
        """Until the worker quotes: it says so, it is ready, both sides rest at the exchange, and of what rests there
        something was accepted after the mark `since`.
        """
        symbol = symbol or self.symbol
        worker = self.workers[symbol]

        def rests() -> bool:
            fresh = any(item.order.symbol == symbol for item in self.venue.accepted[since:])
            return fresh and {order.side for order in self.venue.resting(symbol)} == {Side.BUY, Side.SELL}

        deadline = time.monotonic() + RECOVERS_WITHIN_S
        while True:
            await self.wait(rests, f"{symbol} rests on both sides", max(0.0, deadline - time.monotonic()))
            record = await worker.state()
            if rests() and record.ready and record.reason is Reason.QUOTING:
                status, text = await worker.get("/readyz")
                if status == 200:
                    return record
                assert time.monotonic() < deadline, f"not ready: {text}"
            assert time.monotonic() < deadline, f"{symbol} does not quote: {record}\n{worker.tail()}"
            await asyncio.sleep(LOOK_S)

    async def quotes_out(self, symbol: str | None = None) -> int:
        """Until nothing of ours rests at the exchange; returns the mark from which nothing may be accepted."""
        symbol = symbol or self.symbol
        await self.wait(lambda: not self.venue.resting(symbol), f"quotes of {symbol} are out", WITHDRAWN_WITHIN_S)
        return self.mark

    async def unready(self, *reasons: Reason) -> StateRecord:
        """Until `/readyz` says no, for one of the reasons."""
        record = await self.worker.until(
            lambda record: not record.ready and set(reasons) & set(record.reasons_not_ready),
            f"unready for {[str(reason) for reason in reasons]}",
        )
        status, text = await self.worker.get("/readyz?verbose")
        if status != 503:  # healed between the two questions: then it must be whole again
            assert (await self.worker.state()).ready, text
        return record

    def opened_since(self, mark: int, symbol: str | None = None) -> list[Accepted]:
        """Orders and amends that the exchange accepted since the mark and that may add to the position."""
        symbol = symbol or self.symbol
        return [
            item for item in self.venue.accepted[mark:] if item.order.symbol == symbol and not item.order.reduce_only
        ]

    async def fill(self, symbol: str | None = None, count: int = 1) -> None:
        """Takers come for our nearest orders, `count` times, and the worker has heard of all of it."""
        symbol = symbol or self.symbol
        for _ in range(count):
            before = self.venue.fills(symbol)
            deadline = time.monotonic() + TOLD_WITHIN_S
            while self.venue.fills(symbol) == before:
                assert time.monotonic() < deadline, f"nothing of {symbol} could be filled: {self.venue.resting(symbol)}"
                await self.venue.fault("partial-fill", symbol=symbol, fraction=0.5)
                await asyncio.sleep(LOOK_S)
        await self.agreed(symbol)

    async def agreed(self, symbol: str | None = None) -> None:
        """Until worker and exchange tell the same position, fills, quantities and fees, the same orders and touch."""
        symbol = symbol or self.symbol
        # What was told to nobody is found by the comparison, every 30 s.
        worker, deadline = self.workers[symbol], time.monotonic() + RECOVERS_WITHIN_S
        while True:
            before, record, after = self.venue.touch(symbol), await worker.state(), self.venue.touch(symbol)
            books = (await self.venue.books()).get(symbol, Books())
            found = list(disagreements(symbol, told([record]), books))
            seen = (record.prices.bid, record.prices.ask)
            quotes = sorted(
                (Decimal(quote.price), Decimal(quote.qty)) for quote in (*record.quotes.bids, *record.quotes.asks)
            )
            spec = self.venue.server.exchange.listing(symbol).spec
            resting = sorted(
                (Decimal(spec.format_price(order.price_ticks)), Decimal(spec.format_quantity(order.leaves_steps)))
                for order in self.venue.resting(symbol)
            )
            if not found and quotes == resting and any(_same_prices(seen, touch) for touch in (before, after)):
                return
            assert time.monotonic() < deadline, (
                f"{found}; touch {seen}, exchange {after}; quotes {quotes}, resting {resting}\n{worker.tail()}"
            )
            await asyncio.sleep(LOOK_S)

    async def resumed(self) -> None:
        """A hand that opens halts the symbol; a person lifts that, so that what follows is the guards' doing."""
        await self.worker.until(lambda record: record.halt.reason, "a hand that opens halts")
        async with self.shared() as account:
            (halt,) = await account.halts()
            await account.resume_symbol(self.symbol, halt.switch.epoch, "anna")
        await self.worker.until(lambda record: not record.halt.reason, "it goes on")

    def rest(self, *, resting: bool) -> None:
        """The market of the symbol rests, or goes on."""
        self._market.resting = resting

    def forward_to_midnight(self, within_s: float) -> None:
        """The exchange's clock jumps, and that of all who start from now on; nobody else may run. The market goes on
        where it was, as if nothing had been traded meanwhile.
        """
        jump_ns = max(0, _DAY_NS - self.clock.now_ns() % _DAY_NS - int(within_s * 1e9))
        self.clock.origin_wall_ns += jump_ns
        self.venue.server.player._origin_ns += jump_ns

    def move_mark(self, factor: float) -> None:
        """From now on the symbol's mark price is this much of what it would be; the book stays where it is."""
        self._market.mark_factor = factor

    @property
    def _market(self) -> PausableMarket:
        source = self.venue.server.player.sources[self.symbol]
        assert isinstance(source, PausableMarket)
        return source

    async def spend(self, fault: int, *, gaps: bool = True) -> None:
        """Until a fault has acted as often as it was to: fills and lost diffs make the worker place, amend, cancel."""
        deadline = time.monotonic() + RECOVERS_WITHIN_S
        while fault in await self.venue.faults():
            assert time.monotonic() < deadline, (
                f"the fault was not met: {await self.venue.faults()}\n{self.worker.tail()}"
            )
            await self.venue.fault("partial-fill", symbol=self.symbol)
            await asyncio.sleep(_STIR_S)
            if gaps:
                await self.venue.fault("gap", symbol=self.symbol)
                await asyncio.sleep(_STIR_S)

    async def acted(self, fault: int, times: int) -> None:
        """Until a fault has acted so often."""
        deadline = time.monotonic() + RECOVERS_WITHIN_S
        while (await self.venue.faults())[fault].acted < times:
            assert time.monotonic() < deadline, f"the fault has not acted {times} times\n{self.worker.tail()}"
            await asyncio.sleep(LOOK_S)

    # -- the end -----------------------------------------------------------------------------------

    async def ends_in_order(self, *, fills: bool = True) -> None:
        """What every scenario ends with: SIGTERM, nothing left at the exchange, books that agree to the last digit, an
        audit of zeros, a recording that replays byte for byte, and a local book that is the exchange's, level by level.
        """
        for worker in self.workers.values():
            worker.signal(signal.SIGTERM)
        for symbol, worker in self.workers.items():
            assert await worker.ended() == 0, f"{symbol}: {worker.tail()}"
        assert self.venue.resting() == []
        await self.venue.declare(end={})
        books = await self.venue.books()
        for symbol in self.workers:
            if fills:
                assert books[symbol].fills > 0, "books of no trade prove nothing"
            path = final_record_path(self.directory.state, NAMESPACE, self.name_of(symbol))
            last = decode(path.read_bytes())
            found = disagreements(symbol, told([last]), books.get(symbol, Books()))
            assert list(found) == []
            self._check_recording(symbol)
        audit = await self.venue.audit()
        assert audit.total == 0, audit.examples
        for worker in self._started:
            assert worker.said("engine failed") == []
            assert worker.said("task failed") == []

    def recordings(self, symbol: str | None = None) -> list[Path]:
        """The flight recordings of the maker, one directory a process, oldest first."""
        name = self.name_of(symbol or self.symbol)
        return sorted((self.directory.state / "recordings" / f"{NAMESPACE}.{name}").iterdir())

    def _check_recording(self, symbol: str) -> None:
        latest = self.recordings(symbol)[-1]
        report = replay(latest)
        assert report.same, report.differences
        assert report.complete, report.notes
        assert report.decisions > 0
        engine = final_engine(latest)
        if engine.book.synced:
            self._check_book(symbol, engine, last_snapshot(latest))

    def _check_book(self, symbol: str, engine: Engine, snapshot: Snapshot) -> None:
        """As far as the last snapshot reached, ours is the exchange's level by level; beyond, ours has no level that
        the exchange has not. It may lack some there: what lay deeper than the snapshot and has not changed since is
        never told, by the venue's own rule, and a market that leaps walks into it.
        """
        book, step = engine.book, engine.instrument.step
        sides = zip((book.bids, book.asks), (snapshot.bids, snapshot.asks), strict=True)
        for (side, first), theirs in zip(sides, self.venue.book_at(symbol, book.last_id), strict=True):
            mine = {ticks: round(quantity / step) for ticks, quantity in side.items()}
            reached = [round(price * book.inverse_tick) for price, _ in first]
            known = mine.keys() | {ticks for ticks in theirs if min(reached) <= ticks <= max(reached)}
            differ = {
                ticks: (mine.get(ticks), theirs.get(ticks)) for ticks in known if mine.get(ticks) != theirs.get(ticks)
            }
            assert not differ, f"{symbol} at {book.last_id}: ticks: (ours, the exchange's): {differ}"


def final_engine(recording: Path) -> Engine:
    """The engine as it was when its recording ended."""
    reader = SegmentReader(segments_of(recording)[-1])
    engine = Engine.from_keyframe(reader.head.keyframe)
    for frame in reader.frames():
        engine.on(frame.event)
    return engine


def last_snapshot(recording: Path) -> Snapshot:
    """The REST book that the recording's last book began with."""
    readers = (SegmentReader(segment) for segment in reversed(segments_of(recording)))
    return next(
        frame.event
        for reader in readers
        for frame in reversed(list(reader.frames()))
        if isinstance(frame.event, Snapshot)
    )


def _limited(account: TradingAccount, net_and_gross: tuple[int, int] | None) -> TradingAccount:
    if net_and_gross is None:
        return account
    net, gross = net_and_gross
    limits = account.spec.limits.model_copy(update={"net_notional": Decimal(net), "gross_notional": Decimal(gross)})
    return account.model_copy(update={"spec": account.spec.model_copy(update={"limits": limits})})


def _same_prices(seen: tuple[str | None, str | None], touch: tuple[str, str]) -> bool:
    return None not in seen and all(
        Decimal(ours or 0) == Decimal(theirs) for ours, theirs in zip(seen, touch, strict=True)
    )

"""The run of a soak: exchange, Redis, four workers of one account, a person who looks after them; all in one loop.

Exchange and workers are assembled as their programs do it: `run_server`, and what `phoenix worker` runs after it has
read its command line. Each worker has a context of its own (`virtual_loop.PROGRAM`) in place of a process.
"""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextvars import copy_context
from decimal import Decimal
from functools import partial
from pathlib import Path

import aiohttp
from bad_luck import Misfortune, of_exchange, of_ours
from msgspec.structs import replace
from phoenix_cli.local.exchange import Books, Control, Key, graces
from phoenix_cli.local.fleet import Assignment, at_endpoint, load_fleet, of_symbols, quote_asset
from phoenix_cli.local.layout import NAMESPACE, StateDirectory, write_key
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.report import disagreements, told
from phoenix_coordination import order_id
from phoenix_coordination.port import EmergencyLevel, LeaseTimes
from phoenix_coordination.redis.account import Account, AccountError, account_tools
from phoenix_coordination.state import decode
from phoenix_coordination.state_directory import final_record_path
from phoenix_simulator.api import tape
from phoenix_simulator.api.render import numbers
from phoenix_simulator.clock import Clock as ExchangeClock
from phoenix_simulator.exchange import accounts
from phoenix_simulator.faults import Fault
from phoenix_simulator.market.regimes import REGIMES, RegimeName
from phoenix_simulator.scenario import MarketPlan, Scenario
from phoenix_simulator.server import CANARY_SYMBOL, Server, ServerConfig, run_server
from phoenix_worker.__main__ import _run as run_worker
from phoenix_worker.runtime import worker
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.redaction import Redactor
from phoenix_worker.runtime.worker import Options
from virtual_loop import PROGRAM, VirtualLoop
from virtual_redis import VirtualRedis
from virtual_time import NS, VirtualTime

CONFIGS = Path(__file__).parents[2] / "configs"
RATE = 100.0
"""What `--speed` is elsewhere: exchange and workers look at their rhythms as seldom as they do at that speed, every
half second of the run. The loop never lags behind it, however busy the machine is.
"""
_JUDGED_AT_SPEED = 2.0
"""The audit grants a maker's quotes a second of the run after a break, twice as long as it may take to look."""
_RECORDS_S = 5.0
"""Between two state records, each with the memory that the next leader takes over. In life a second, and five."""
_LEISURELY = partial(LeaseTimes, ttl_s=10.0, renew_s=2.0, margin_s=2.0)
"""Twice life's times."""
_BALANCE = "100000"
_RESTARTS_AFTER_S = 3.0
_LOOKS_S = 60.0
"""How often the person looks; who has seen a stop waits as long before it is lifted."""
SLOW = replace(
    REGIMES[RegimeName.CALM],
    touch_changes_per_s=1.0,
    orders_per_s=0.25,
    moves_per_s=0.05,
    frame_s=0.95,
    changes_scale=0.1,
)
"""A calm market with a hundredth of its messages: as few as let the busiest symbol show that a connection lives."""
_ORDERS_KEPT, _ROWS_KEPT, _MINUTES_KEPT, _TEXTS_KEPT = 200, 500, 120, 10_000
"""Of a maker's past, filled and unfilled apart; of fills, income and prints; of candles; of numbers as text."""
_STARTS_S = 1.0
"""After each other: the first of them read what lies ready in processes of their own, whose order is nobody's to tell.
"""


class World:
    """`server`: the exchange, to look at; `done`: what happened on our side, by kind; `defects`: what must not be."""

    symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT")
    market = SLOW
    """What is played most of the time."""
    traded_before = Decimal(0)
    """In each minute of the day before, base units."""
    forgets = True
    """The exchange keeps little of the past."""
    probes = ("127.0.0.1", 0)
    rate = RATE

    def __init__(
        self, loop: VirtualLoop, time: VirtualTime, server: Server, control: Control, redis: VirtualRedis, root: Path
    ) -> None:
        self._loop = loop
        self.server = server
        self._control = control
        self.redis = redis
        self._directory = StateDirectory(root)
        self._fleet: list[Assignment] = []
        self._key = Key("", "")
        self._origin_ns = (time.wall_ns(), time.monotonic_ns())
        self.clock = Clock.scaled(*self._origin_ns, self.rate)
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._ending = False
        self._programs = 0
        self._running: dict[str, str] = {}
        self.done: Counter[str] = Counter()
        self._defects: list[str] = []

    @property
    def defects(self) -> list[str]:
        done = (chore for chore in self._chores if chore.done() and not chore.cancelled())
        ended = [f"{chore.get_name()} ended by {chore.exception()!r}" for chore in done]
        return [*self._defects, *self._loop.defects, *ended]

    # -- the way up --------------------------------------------------------------------------------

    @classmethod
    def faults_of_exchange(cls) -> tuple[Fault, ...]:
        return of_exchange(cls.symbols)

    async def begin(self, seed: int) -> None:
        fleet = of_symbols(load_fleet([CONFIGS / "accounts", CONFIGS / "makers"]), self.symbols)
        self._fleet = [Assignment(item.maker, at_endpoint(item.account, self._control.url)) for item in fleet]
        balances = {quote_asset(symbol): _BALANCE for symbol in self.symbols}
        self._key = await self._control.make_account("soak", balances)
        await self._declare()
        write_key(self._directory.credentials("soak"), self._key.api_key, self._key.api_secret)
        parameters = Parameters(self._directory)
        for item in self._fleet:
            parameters.put(item.maker, item.account)
            self._workers[item.symbol] = self._loop.create_task(self._keep(item), name=f"keeper of {item.symbol}")
        self._chores = [
            self._loop.create_task(self._look_after(), name="the person"),
            self._loop.create_task(self._happen(seed), name="what happens"),
        ]

    async def _declare(self) -> None:
        limits = self._fleet[0].account.spec.limits
        await self._control.declare(
            {
                "apiKey": self._key.api_key,
                "pattern": {"regex": order_id.PATTERN, "tokenBase": 36},
                "symbolLimits": [
                    {
                        "symbol": item.symbol,
                        "maxPosition": str(item.maker.spec.net_max * item.maker.spec.worst_case_multiplier),
                    }
                    for item in self._fleet
                ],
                "accountLimit": {
                    "maxNetNotional": str(limits.net_notional),
                    "maxGrossNotional": str(limits.gross_notional),
                },
                "graces": graces(_JUDGED_AT_SPEED),
            }
        )

    async def _keep(self, item: Assignment) -> None:
        """Starts the maker's worker, and another one whenever it has ended, as a kubelet does."""
        await self.clock.sleep(_STARTS_S * self.symbols.index(item.symbol))
        while not self._ending:
            self._programs += 1
            program = f"{item.symbol} {self._programs}"
            context = copy_context()
            context.run(PROGRAM.set, program)
            self._running[item.symbol] = program
            try:
                code = await self._loop.create_task(self._run_worker(item), name=program, context=context)
                if code:  # it has said why, and who looks after it starts another one: that is its contract
                    self.done["workers gave up"] += 1
            except Exception as error:  # noqa: BLE001 - whatever ends a program is told, and another one starts
                self._defects.append(f"{program} ended by {error!r}")
            del self._running[item.symbol]
            self._loop.forget(program)
            self.done["workers ended"] += 1
            if not self._ending:
                await self.clock.sleep(_RESTARTS_AFTER_S)

    def _tell_to_end(self, symbol: str) -> bool:
        """Whether there is one that hears it."""
        return symbol in self._running and self._loop.send_signal(self._running[symbol], signal.SIGTERM)

    async def _run_worker(self, item: Assignment) -> int:
        files = self._directory.parameters(item.maker.metadata.name)
        options = Options(
            files / "maker.yaml",
            files / "account.yaml",
            self._directory.credentials("soak"),
            self.redis.url,
            self._directory.state,
            self.probes,
        )
        return await run_worker(options, None, Clock.scaled(*self._origin_ns, self.rate), Redactor())

    # -- while it runs -----------------------------------------------------------------------------

    async def _happen(self, seed: int) -> None:
        """Bad luck."""
        for event in of_ours(self.symbols, seed):
            await self.clock.sleep(event.after_s)
            if event.regime is not None:
                self.server.player.set_regime(event.symbol, event.regime)
                await self.clock.sleep(event.lasts_s)
                self.server.player.set_regime(event.symbol, RegimeName.QUIET)
                continue
            match event.misfortune:
                case Misfortune.WORKER_RESTARTS:
                    self._tell_to_end(event.symbol)
                case Misfortune.REDIS_RESTARTS:
                    await self.redis.restart()
                    await self._seed()
                case Misfortune.REDIS_AWAY:
                    self.redis.hang_up()
                    await self.clock.sleep(event.lasts_s)
                    await self.redis.take_calls()
            self.done[str(event.misfortune)] += 1

    async def _look_after(self) -> None:
        """What the runner and a person do: a switch that nobody has turned is seeded, and what was stopped is resumed
        once it has been seen twice.
        """
        while not await self._seed():
            await self.clock.sleep(_STARTS_S)
        seen: set[tuple[str, int]] = set()
        while True:
            await self.clock.sleep(_LOOKS_S)
            with contextlib.suppress(AccountError):
                async with self._account() as account:
                    seen = await self._resume(account, seen)

    async def _resume(self, account: Account, seen: set[tuple[str, int]]) -> set[tuple[str, int]]:
        now = set()
        switch = await account.switch()
        if not switch.seeded:
            await account.seed(EmergencyLevel.NONE, 0, "", "the soak")
        elif switch.level is not EmergencyLevel.NONE:
            now.add(("", switch.epoch))
            if ("", switch.epoch) in seen:
                await account.resume(switch.epoch, "the soak")
                self.done["account resumed"] += 1
        for halt in await account.halts():
            if halt.switch.level is not EmergencyLevel.NONE:
                now.add((halt.symbol, halt.switch.epoch))
                if (halt.symbol, halt.switch.epoch) in seen:
                    await account.resume_symbol(halt.symbol, halt.switch.epoch, "the soak")
                    self.done["symbol resumed"] += 1
        return now

    async def _seed(self) -> bool:
        """Whether the account was known, and Redis there."""
        with contextlib.suppress(AccountError):
            async with self._account() as account:
                await account.seed(EmergencyLevel.NONE, 0, "", "the soak")
                return True
        return False

    @contextlib.asynccontextmanager
    async def _account(self) -> AsyncIterator[Account]:
        async with account_tools(self.redis.url) as tools:
            yield await tools.open(f"{NAMESPACE}/{self._fleet[0].account.metadata.name}")

    async def books(self) -> dict[str, Books]:
        return await self._control.books(self._key.api_key)

    async def violations(self) -> tuple[dict[str, int], Sequence[object]]:
        """By kind, and examples."""
        audit = await self._control.audit()
        return {kind: count for kind, count in audit.violations.items() if count}, audit.examples

    def faults(self) -> dict[str, int]:
        """How often each kind has begun, ours included."""
        counted: Counter[str] = Counter()
        for status in self.server.faults.list():
            counted[status.fault.kind] += status.begun
        return dict(counted) | {str(kind): self.done[str(kind)] for kind in Misfortune}

    def figures(self) -> list[str]:
        """What this kind of run measures, a sentence each."""
        return []

    # -- the way down ------------------------------------------------------------------------------

    async def recover(self, seconds: float) -> None:
        """Nothing goes wrong any more."""
        for chore in self._chores[1:]:
            chore.cancel()
        self.server.faults.clear()
        for symbol in self.symbols:
            self.server.player.set_regime(symbol, RegimeName.QUIET)
        await self.redis.take_calls()
        await self.clock.sleep(seconds)

    async def end(self) -> list[str]:
        """Every worker ends in order; what then is not as it should be, a sentence each."""
        self._ending = True
        for chore in self._chores:
            chore.cancel()
        for symbol in tuple(self._running):
            if not self._tell_to_end(symbol):
                self._defects.append(f"{self._running[symbol]} has still not begun")
                self._workers[symbol].cancel()
        await asyncio.wait(self._workers.values())
        await self._control.declare({"end": {}})
        books = await self.books()
        found = []
        for item in self._fleet:
            path = final_record_path(self._directory.state, NAMESPACE, item.maker.metadata.name)
            theirs = books.get(item.symbol, Books())
            found += disagreements(item.symbol, told([decode(path.read_bytes())]), theirs)
            if theirs.open_orders:
                found.append(f"{item.symbol}: {theirs.open_orders} orders are left")
        if not any(book.fills for book in books.values()):
            found.append("nobody has traded: nothing is shown")
        return found


def remember_little() -> None:
    """Of the past the exchange keeps less than the venue, so that it soon keeps no more than before: what then grows is
    a leak.
    """
    accounts._UNFILLED_KEPT = accounts._FILLED_KEPT = _ORDERS_KEPT
    accounts._FILLS_KEPT = accounts._ROWS_KEPT = tape._KEPT_TRADES = _ROWS_KEPT
    tape._KEPT_MINUTES = _MINUTES_KEPT
    numbers._CACHED = _TEXTS_KEPT


def beat_at_leisure() -> None:
    """Half of what a maker costs here is what it tells Redis: beats and records come as seldom as they may."""
    worker.PUBLISH_SECONDS, worker.PUBLISHINGS_PER_SNAPSHOT = _RECORDS_S, 1
    worker.LeaseTimes = _LEISURELY


@contextlib.asynccontextmanager
async def opened(
    kind: type[World], loop: VirtualLoop, time: VirtualTime, root: Path, seed: int
) -> AsyncIterator[World]:
    """Exchange and Redis, and a world of that kind, whose workers have not begun yet."""
    REGIMES[RegimeName.QUIET] = kind.market
    if kind.forgets:
        remember_little()
    beat_at_leisure()
    plan = MarketPlan(regime=RegimeName.QUIET, traded_before=kind.traded_before)
    scenario = Scenario(markets=dict.fromkeys((*kind.symbols, CANARY_SYMBOL), plan), faults=kind.faults_of_exchange())
    async with listening(kind, loop, time, root, seed, scenario) as world:
        yield world


@contextlib.asynccontextmanager
async def listening(
    kind: type[World], loop: VirtualLoop, time: VirtualTime, root: Path, seed: int, scenario: Scenario
) -> AsyncIterator[World]:
    """The same, of that scenario, in life's rhythms."""
    config = ServerConfig(symbols=tuple(kind.symbols), seed=seed, scenario=scenario)
    clock = ExchangeClock(kind.rate, time.wall_ns(), time.monotonic_ns())
    redis = VirtualRedis(time)
    await redis.open()
    try:
        async with run_server(config, clock) as (url, server), aiohttp.ClientSession() as http:
            world = kind(loop, time, server, Control(url, http), redis, root)
            await world.begin(seed)
            yield world
    finally:
        redis.close()


def seconds_of(time: VirtualTime) -> float:
    """Of the run, that have passed."""
    return time.passed_ns * RATE / NS

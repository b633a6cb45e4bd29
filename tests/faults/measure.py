"""The figures that need an undisturbed account: takeovers, a stop over twenty workers, and what it all costs Redis.

Measured and printed, never asserted: a machine that is busy with something else is slower.
"""

import asyncio
import os
import resource
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
from cell import Cell, open_cell
from history import Accepted, Gone, LeaseReleased, SwitchWritten
from monitor import wall_minus_monotonic_ns
from phoenix_coordination.port import (
    AccountTerms,
    BudgetGranted,
    BudgetNeed,
    BudgetTerms,
    EmergencyLevel,
    LeaseGranted,
    LeaseTimes,
    Message,
    Reservation,
)
from phoenix_coordination.redis.client import FAULTS, Redis, connect
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.ledger import Holding
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.steward import StewardOffice, StewardReport, SymbolReport
from phoenix_coordination.state import Quote, Quotes, StateRecord
from phoenix_worker.core.reservation import RENEW_NS
from phoenix_worker.core.statistics import WINDOW_SECONDS
from phoenix_worker.runtime.budgets import ORDERS_WANTED, WEIGHT_WANTED
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.steward import POLL_S, WEIGHT_1M
from phoenix_worker.runtime.worker import PUBLISH_SECONDS, PUBLISHINGS_PER_SNAPSHOT
from phoenix_worker.venue.binance.costs import fixed_weight_1m
from plots import many_makers, two_makers
from redis_of_cell import RedisOfCell
from state_records import leading_record

TAKEOVERS = 12
WORKERS = 20
STOPS = 5
_STOP_AIM = "aim < 100 ms"
CLIENTS = 500
_CLIENTS_ACCOUNT = "local/clients"
_CLIENTS_AN_EGRESS = 8
"""Fewer than fit: each is admitted at once."""
_MEMORY = bytes(9 * WINDOW_SECONDS + 500)
"""As large as a worker's: of its memory nearly all is the window of its statistics."""
_ROUNDS_PER_RESERVATION = round(RENEW_NS / (PUBLISH_SECONDS * 1e9))
_PRODUCTION = LeaseTimes()
_SETTLED_S = 2.0
_WINDOWS_FILL_S = 75.0
"""What is counted over a minute has then been counted over one."""
_OBSERVED_S = 20.0
_WITHIN_S = 30.0
_LOOK_S = 0.01
_APART_S = _PRODUCTION.renew_s / CLIENTS
"""Clients beat side by side, not all at one moment."""
_TICKS = os.sysconf("SC_CLK_TCK")


async def measurements() -> list[str]:
    directory = Path(tempfile.mkdtemp(prefix="pxf-"))
    try:
        return [
            line
            for what, stage in (("t", _takeovers), ("w", _twenty), ("k", _five_hundred))
            for line in await _measured(stage, directory / what)
        ]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _measured(stage: Callable[[Path], Awaitable[list[str]]], directory: Path) -> list[str]:
    """Its lines; a machine too busy to be measured on is said to be one."""
    try:
        return await stage(directory)
    except (TimeoutError, RuntimeError, *FAULTS) as error:
        return [f"{stage.__name__.strip('_')}: could not be measured: {type(error).__name__}: {error}"]


# -- takeovers -------------------------------------------------------------------------------------


async def _takeovers(directory: Path) -> list[str]:
    killed: list[float] = []
    released: list[float] = []
    async with open_cell("t", directory / "c", two_makers(directory / "makers"), seed=1) as cell:
        for number in range(TAKEOVERS):
            for kill in (True, False):
                symbol = cell.plot.symbols[number % 2]
                await _settled(cell)
                leader = cell.leader(symbol)
                if leader is None:
                    continue
                mark, began_ns = len(cell.facts), time.monotonic_ns()
                leader.signal(signal.SIGKILL if kill else signal.SIGTERM)
                first = await _first_order(cell, mark, symbol, leader.process)
                if kill:
                    killed.append((first.at_ns - began_ns) / 1e6)
                else:
                    at_ns = next(
                        fact.at_ns
                        for fact in cell.facts[mark:]
                        if isinstance(fact, LeaseReleased) and fact.symbol == symbol
                    )
                    released.append((first.at_ns - at_ns) / 1e6)
    return [
        _line("kill of a leader → its successor's first order, ttl 1 s", killed, "aim < 2000 ms"),
        _line("clean release → the successor's first order", released, "aim < 300 ms"),
    ]


async def _settled(cell: Cell) -> None:
    await cell.quoting(_WITHIN_S)
    await asyncio.sleep(_SETTLED_S)  # the other worker is a standby, and warm
    await cell.quoting(_WITHIN_S)


async def _first_order(cell: Cell, mark: int, symbol: str, not_by: str) -> Accepted:
    deadline = time.monotonic() + _WITHIN_S
    seen = mark
    while time.monotonic() < deadline:
        for fact in cell.facts[seen:]:
            if isinstance(fact, Accepted) and fact.symbol == symbol and not fact.holder.startswith(f"{not_by}/"):
                return fact
        seen = len(cell.facts)
        await asyncio.sleep(_LOOK_S)
    raise RuntimeError(f"nobody took {symbol} over from {not_by}")


# -- twenty workers --------------------------------------------------------------------------------


async def _twenty(directory: Path) -> list[str]:
    plot = many_makers(directory / "makers", WORKERS, _PRODUCTION)
    async with open_cell("w", directory / "c", plot, seed=1) as cell:
        await cell.quoting(_WITHIN_S * 2)
        quoting = sum(cell.quotes(symbol) for symbol in plot.symbols)
        stops = [await _stop(cell) for _ in range(STOPS)]
        await asyncio.sleep(_WINDOWS_FILL_S)
        cell.redis.stop_watching()  # what MONITOR costs is not the workers'
        client = connect(cell.redis.url, 5.0)
        cost = await _cost(client, cell.redis.pid, _OBSERVED_S)
        await client.aclose()
    return [
        _line(f"stop written → last cancel sent by {quoting} quoting workers", [sent for sent, _ in stops], _STOP_AIM),
        _line(f"stop written → no order of {quoting} quoting workers rests", [out for _, out in stops], _STOP_AIM),
        f"Redis with {WORKERS} workers: {cost.told(WORKERS)}",
    ]


async def _stop(cell: Cell) -> tuple[float, float]:
    """Milliseconds from the write of a stop to the last cancel that was sent, and to the last order that left."""
    await cell.quoting(_WITHIN_S)
    await asyncio.sleep(0.5)
    mark = len(cell.facts)
    cell.exchange.cancels_ms.clear()
    await cell.account.stop(1)
    async with asyncio.timeout(_WITHIN_S):
        for symbol in cell.plot.symbols:
            while cell.exchange.resting(symbol):  # noqa: ASYNC110 - the exchange rings no bell
                await asyncio.sleep(_LOOK_S)
    since = cell.facts[mark:]
    written_ns = next(fact.at_ns for fact in since if isinstance(fact, SwitchWritten) and fact.level)
    last_ns = max(fact.at_ns for fact in since if isinstance(fact, Gone))
    sent_ns = max(cell.exchange.cancels_ms) * 1_000_000 - wall_minus_monotonic_ns()
    await cell.account.resume()
    return (sent_ns - written_ns) / 1e6, (last_ns - written_ns) / 1e6


class _Cost(msgspec.Struct, frozen=True):
    """A second's worth, but `memory`, and `growth`: bytes an hour."""

    commands: float
    scripts: float
    cpu: float
    memory: int
    growth: float

    def told(self, clients: int) -> str:
        rate, scripts = self.commands / clients, self.scripts / clients
        size, growth = self.memory / 1e6, self.growth / 1e6
        return (
            f"{rate:.1f} commands/s each, {scripts:.1f} of them scripts; CPU {self.cpu:.1%} of a core; data"
            f" {size:.2f} MB, {growth:+.2f} MB/h"
        )


async def _cost(client: Redis, pid: int, seconds: float) -> _Cost:
    held_before = await _held(client)
    before, cpu, began = await _stats(client), _cpu_s(pid), time.monotonic()
    await asyncio.sleep(seconds)
    after, spent, took = await _stats(client), _cpu_s(pid) - cpu, time.monotonic() - began
    held = await _held(client)
    return _Cost(
        commands=(after[0] - before[0]) / took,
        scripts=(after[1] - before[1]) / took,
        cpu=spent / took,
        memory=held,
        growth=(held - held_before) / took * 3600,
    )


async def _held(client: Redis) -> int:
    """Bytes of all that is kept, key by key: the server's own figure moves with its buffers."""
    names = await client.execute_command("KEYS", "*")
    sizes = [await client.execute_command("MEMORY USAGE", name, "SAMPLES", 0) for name in names]
    return sum(size or 0 for size in sizes)


async def _stats(client: Redis) -> tuple[int, int]:
    """(commands, scripts) so far. What a script calls is part of the script."""
    told = await client.execute_command("INFO", "all")
    calls = {name: value["calls"] for name, value in told.items() if name.startswith("cmdstat_")}
    scripts = int(calls.get("cmdstat_evalsha", 0))
    inside = {"hset", "hget", "hmget", "hgetall", "hdel", "del", "zadd", "zrem", "zrangebyscore", "zremrangebyscore"}
    inside |= {"info", "time", "exists", "pexpire", "publish", "hincrby", "hkeys", "hlen", "hexists"}
    inside |= {"zcard", "zcount", "zscore"}
    outside = sum(int(count) for name, count in calls.items() if name.removeprefix("cmdstat_") not in inside)
    return outside, scripts


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


# -- five hundred clients --------------------------------------------------------------------------


async def _five_hundred(directory: Path) -> list[str]:
    """Each leads a symbol; one of them is the account's steward."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    redis = RedisOfCell(directory / "redis", lambda _: None)
    await redis.start()
    redis.stop_watching()
    client = connect(redis.url, 5.0)
    keys = AccountKeys("binance-usdm:simulator:clients")
    await call(client, Script.MERGE, [keys.emergency], [0, 0, "", "operator", 0, 1, keys.emergency_changed])
    clients = [_Client(redis.url, keys.account, number) for number in range(CLIENTS)]
    try:
        for each in clients:
            await each.start()
            await asyncio.sleep(_APART_S)
        await asyncio.wait([asyncio.create_task(each.leads.wait()) for each in clients], timeout=_WITHIN_S)
        await asyncio.sleep(_WINDOWS_FILL_S)
        done, began = sum(each.done for each in clients), time.monotonic()
        cost = await _cost(client, redis.pid, _OBSERVED_S)
        rate = (sum(each.done for each in clients) - done) / CLIENTS / (time.monotonic() - began)
        leading = sum(each.leads.is_set() for each in clients)
        granted = sum(each.grants > 0 for each in clients)
        stewards = sum(each.office.held for each in clients)
        told = f"{granted} were granted budget, {stewards} steward, {rate:.2f} rounds/s each"
        return [f"Redis with {leading} simulated clients ({told}): {cost.told(CLIENTS)}"]
    finally:
        await asyncio.gather(*(each.stop() for each in clients))
        await client.aclose()
        await redis.kill()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Client:
    """What a worker asks of Redis that leads and quotes in a market at rest, without the worker: lease, record, budgets
    and the steward's office, its memory every few seconds, and its reservation anew as often as it lasts. What fills
    and moves of the market ask beyond that depends on the market.
    """

    def __init__(self, url: str, identity: str, number: int) -> None:
        self._number = number
        self._holder = f"client-{number}/0"
        self._symbol = f"C{number:03d}USDT"
        self._coordinator = RedisCoordinator(
            url,
            self._symbol,
            self._holder,
            _CLIENTS_ACCOUNT,
            "000000",
            AccountTerms(10**12, 10**12, EmergencyLevel.NONE),
            Clock(),
            dry_run=False,
            read_holdings=_nothing,
            times=_PRODUCTION,
        )
        self._record = _record(self._symbol, self._holder)
        self._identity = identity
        self._terms = BudgetTerms(f"egress-{number // _CLIENTS_AN_EGRESS}", 300, 1_200, 2_400, 0.8, 0.8, 0.2)
        self._grant = BudgetGranted(0, 0, 0, 0)
        self._token = 0
        self.office = StewardOffice(url, identity, self._holder, Clock(), _PRODUCTION, dry_run=False)
        self.grants = 0
        """Those that granted anything."""
        self.done = 0
        self.leads = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._coordinator.join(self._identity)
        admission = await self._coordinator.admit(self._terms, fixed_weight_1m(), WEIGHT_1M)
        if admission.problem:
            raise RuntimeError(admission.problem)
        await self._coordinator.start(self._hear)
        self.office.start()
        self._work = asyncio.create_task(self._live())

    async def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self._coordinator.release()
        await self.office.stop()
        await self._coordinator.stop()

    def _hear(self, message: Message) -> None:
        match message:
            case LeaseGranted(token=token):
                self._token = token
                self.leads.set()
            case BudgetGranted(orders=orders, weight=weight):
                self._grant = message
                self.grants += orders > 0 or weight > 0
            case _:
                pass

    async def _live(self) -> None:
        await self.leads.wait()
        while True:
            self.done += 1
            if self.done % _ROUNDS_PER_RESERVATION == self._number % _ROUNDS_PER_RESERVATION:
                self._coordinator.reserve(Reservation(self.done, 0, 10, 10, 1.0, 10, 10))
            self._coordinator.spend(self._need())
            self._coordinator.publish(self._record)
            if self.done % PUBLISHINGS_PER_SNAPSHOT == 0:
                self._coordinator.save_snapshot(self._token, _MEMORY)
            if self.office.held and self.done % int(POLL_S / PUBLISH_SECONDS) == 0:
                await self._look()
            await asyncio.sleep(PUBLISH_SECONDS)

    def _need(self) -> BudgetNeed:
        """One order is sent a second where it is granted, and what is read without quoting."""
        sent = min(1, self._grant.orders)
        return BudgetNeed(
            sequence=self.done,
            orders_sent=sent,
            orders_wanted=ORDERS_WANTED,
            orders_unused=self._grant.orders - sent,
            weight_sent=fixed_weight_1m() // 60,
            weight_wanted=WEIGHT_WANTED,
            weight_unused=self._grant.weight,
            exchange_ms=time.time_ns() // 1_000_000,
        )

    async def _look(self) -> None:
        """As the steward of an account in which every symbol is busy."""
        symbols = [f"C{number:03d}USDT" for number in range(CLIENTS)]
        sights = await self.office.look(symbols)
        rows = [SymbolReport(name, 1.0, 4_200.0, 900.0, not sights[name].leaderless, ours=True) for name in symbols]
        await self.office.publish(StewardReport("", 0, 0, "USDT", 0.1, 1e6, 1e5, rows))


async def _nothing() -> list[Holding]:
    return []


def _record(symbol: str, holder: str) -> StateRecord:
    """As large as a worker's that quotes five layers a side."""
    layers = [Quote("4200.12", "0.040", "quote")] * 5
    named = {"symbol": symbol, "holder": holder, "maker": symbol.lower(), "account": _CLIENTS_ACCOUNT}
    return leading_record(**named, quotes=Quotes(bids=layers, asks=layers))


def _line(what: str, values: Sequence[float], aim: str) -> str:
    if not values:
        return f"{what}: not measured"
    ordered = sorted(values)
    return f"{what}: p50 {statistics.median(ordered):.0f} ms, max {ordered[-1]:.0f} ms, of {len(ordered)} ({aim})"

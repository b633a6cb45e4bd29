"""One cell of the storm: an account of two symbols with two workers each, their exchange, their Redis, and the network
in between. Everything is real but the exchange, which is the simulator, in this process.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec
from checker import Rule, Terms, Violation, check
from controls import Controls
from exchange import ExchangeOfCell
from history import (
    AnyFact,
    KeysLost,
    KeysOld,
    LeaseReleased,
    LeaseTaken,
    Observed,
    RedisDied,
    RedisStarted,
    SwitchWritten,
)
from launcher import Began, Ended, Launch
from monitor import Monitor, Reader, wall_minus_monotonic_ns
from mutations import Mutation
from phoenix_coordination import order_id
from phoenix_coordination.port import LeaseTimes
from phoenix_coordination.redis.client import FAULTS, Redis, connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.ledger import Holding
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.server import find_server, server_arguments, server_socket, server_url
from phoenix_coordination.state import decode
from phoenix_coordination.state_directory import final_record_path
from phoenix_simulator.api.account_data import alias_of
from phoenix_simulator.audit.declared import AccountLimit
from phoenix_simulator.exchange.orders import NewOrder, OrderRef, OrderType, Side, TimeInForce
from phoenix_simulator.server import serve
from phoenix_worker.runtime.resolved import Resolved, encode
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity
from proxy import Link, Weather

TIMES = LeaseTimes(ttl_s=1.0, renew_s=0.2, margin_s=0.2)
OUR_UID, THEIR_UID = "the account of the storm", "the account of somebody else"
CROWDED = "binance-usdm:simulator:crowd"
HERE = Path(__file__).parent
_LOOK_S = 0.02
_RESTART_S = 0.2
_RECOVERS_WITHIN_S = 150
"""Longer than the 60 s for which a dead process counts, at the exchange and among the makers of an address."""
_SWITCHED_OFF_S = 20.0
_BALANCE_E8 = 10_000_000 * 10**8
_AOF_LOOK_S = 0.1
_HEARS_OUT_S = 2.0


class RedisOfCell:
    """The server's process, and its witness."""

    def __init__(self, directory: Path, hear: Callable[[AnyFact], None]) -> None:
        program = find_server()
        if program is None:
            raise RuntimeError("no redis-server here: install Redis 6.2 or newer")
        self._program = program
        self.directory = directory
        directory.mkdir(parents=True)
        self.socket = server_socket(directory)
        self.url = server_url(directory)
        self._hear = hear
        self._readers: list[tuple[Reader, Callable[[AnyFact], None]]] = []
        self.watched = asyncio.Event()
        """Its witness listens: nobody of this process talks to it before."""
        self.process: asyncio.subprocess.Process | None = None
        self.monitor: Monitor | None = None
        self._mark = b"nothing yet"
        self._marked = asyncio.Event()
        self._sizes: list[tuple[int, int]] = []
        """(moment, length of the append-only file): what a loss of power could lead back to."""

    def watch(self, account: str, hear: Callable[[AnyFact], None]) -> None:
        """What is written of the account is told from the next start on."""
        self._readers.append((Reader(wall_minus_monotonic_ns(), account), hear))

    def _heard(self, line: bytes) -> None:
        if self._mark in line:
            self._marked.set()
        for reader, hear in self._readers:
            for fact in reader.read(line):
                hear(fact)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *server_arguments(self._program, self.directory), stdout=asyncio.subprocess.DEVNULL
        )
        client = connect(self.url, 5.0)
        try:
            async with asyncio.timeout(_SWITCHED_OFF_S):
                while True:
                    try:
                        await client.execute_command("PING")
                        break
                    except FAULTS:
                        await asyncio.sleep(0.005)
        finally:
            await client.aclose()
        self.monitor = await Monitor.attach(self.socket, self._heard)
        self.watched.set()
        for reader, _ in self._readers:
            reader.restarted()
        self._hear(RedisStarted(at_ns=time.monotonic_ns()))
        self._sizes.clear()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def kill(self) -> None:
        """Nobody talks to it any more; what it has done is heard out first: an answer leaves it before its witness."""
        assert self.process is not None
        self.watched.clear()
        await self._hear_out()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.monitor is not None:
            await self.monitor.ended.wait()
        self._hear(RedisDied(at_ns=time.monotonic_ns()))

    def stop_watching(self) -> None:
        if self.monitor is not None and self.monitor.transport is not None:
            self.monitor.transport.close()

    async def _hear_out(self) -> None:
        self._mark = f"heard out {time.monotonic_ns()}".encode()
        self._marked.clear()
        client = connect(self.url, 1.0)
        with contextlib.suppress(TimeoutError, *FAULTS):
            async with asyncio.timeout(_HEARS_OUT_S):
                await client.execute_command("ECHO", self._mark)
                await self._marked.wait()
        await client.aclose()

    def forget(self) -> None:
        """Its data are gone, as with a node's disk."""
        for path in self.directory.iterdir():
            if path.is_file():
                path.unlink()
        self._hear(KeysLost(at_ns=time.monotonic_ns()))

    def go_back(self, seconds: float) -> bool:
        """What it had written so long before it died, as after a loss of power; whether that was less."""
        horizon_ns = time.monotonic_ns() - int(seconds * 1e9)
        path = self.directory / "appendonly.aof"
        lengths = [length for at_ns, length in self._sizes if at_ns <= horizon_ns]
        if not lengths or not path.exists() or path.stat().st_size <= lengths[-1]:
            return False
        os.truncate(path, lengths[-1])
        self._hear(KeysOld(at_ns=time.monotonic_ns()))
        return True

    async def watch_file(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                length = (self.directory / "appendonly.aof").stat().st_size
                self._sizes.append((time.monotonic_ns(), length))
                del self._sizes[:-100]
            await asyncio.sleep(_AOF_LOOK_S)


@dataclass(slots=True)
class Slot:
    """A place for a worker: whenever its process ends, another one is started in it."""

    name: str
    symbol: str
    redis: Link
    exchange: Link
    redis_path: Path
    exchange_port: int
    uid: str = OUR_UID
    database: int = 0
    starts: int = 0
    process: str = ""
    """The name of the present process; its holder begins with it."""
    pid: int = 0
    controls: Controls | None = None
    wanted: bool = True
    directory: Path = field(default_factory=Path)

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Plot:
    """What a cell is made of: parameters by symbol as the worker's resolver made them, and the account's limits."""

    resolved: dict[str, Resolved]
    files: dict[str, tuple[Path, Path]]
    net: Decimal
    gross: Decimal
    slots: int = 2
    times: LeaseTimes = TIMES
    mutation: Mutation = Mutation.NONE

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.resolved)


class Cell:
    """Opened by `open_cell`. `facts` is the history so far."""

    def __init__(self, name: str, directory: Path, plot: Plot, seed: int) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.name = name
        self.directory = directory
        self.plot = plot
        self.facts: list[AnyFact] = []
        self.crowd: list[AnyFact] = []
        """The history of another account at the same server, on which no worker trades."""
        self.exchange = ExchangeOfCell(plot.symbols, seed, self.hear)
        self.redis = RedisOfCell(directory / "redis", self.hear)
        self.slots: dict[str, Slot] = {}
        self.leases: dict[str, LeaseTaken] = {}
        """By symbol: how it was taken last."""
        self.switch = SwitchWritten(at_ns=0, level=0, epoch=0, seeded=False)
        self.status = (0, 0)
        """What the account's resource would hold: the highest level and epoch, until somebody resumes."""
        self.was_foreign = False
        self._url = ""
        self._zygote: asyncio.subprocess.Process | None = None
        self._ended: dict[int, asyncio.Event] = {}
        self._began: dict[str, asyncio.Future[int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.client: Redis = connect(self.redis.url, 1.0)
        self.statuses: list[Ended] = []
        self.key = ("", "")

    # -- the account -------------------------------------------------------------------------------

    @property
    def keys(self) -> AccountKeys:
        return AccountKeys(account_identity(Endpoints.at("http://simulator"), alias_of(self.exchange.account)))

    @property
    def installation(self) -> str:
        return order_id.installation_of(OUR_UID)

    @property
    def terms(self) -> Terms:
        return Terms(
            self.installation,
            net_micro=int(self.plot.net * 1_000_000),
            gross_micro=int(self.plot.gross * 1_000_000),
            usable_ns=int((self.plot.times.ttl_s - self.plot.times.margin_s) * 1e9),
            ttl_ns=int(self.plot.times.ttl_s * 1e9),
        )

    def hear(self, fact: AnyFact) -> None:
        self.facts.append(fact)
        if isinstance(fact, KeysOld | RedisDied | RedisStarted | KeysLost):
            self.crowd.append(fact)
        match fact:
            case LeaseTaken():
                self.leases[fact.symbol] = fact
            case SwitchWritten():
                self.switch = fact
                level, epoch = self.status
                self.status = (0 if fact.resumed else max(level, fact.level), max(epoch, fact.epoch))
            case KeysLost() | RedisStarted():
                self.switch = msgspec.structs.replace(self.switch, seeded=False)
            case _:
                pass

    def note(self, text: str) -> None:
        self.hear(Observed(at_ns=time.monotonic_ns(), text=text))

    async def seed(self) -> None:
        """What the operator does: the switch as the account's status has it."""
        await self.redis.watched.wait()
        level, epoch = self.status
        arguments = [level, epoch, "as the account's status has it", "operator", 0, 1, self.keys.emergency_changed]
        await call(self.client, Script.MERGE, [self.keys.emergency], arguments)

    async def seed_other(self) -> None:
        """The switch of another installation's own Redis: another database of the same server."""
        other = connect(f"{self.redis.url}?db=1", 1.0)
        try:
            await other.execute_command("FLUSHDB")
            told = [0, 0, "", "operator", 0, 1, self.keys.emergency_changed]
            await call(other, Script.MERGE, [self.keys.emergency], told)
        finally:
            await other.aclose()

    async def stop_account(self, level: int) -> None:
        """What `phoenix stop` does. Raises what the world does to a connection."""
        await self.redis.watched.wait()
        arguments = [level, self.status[1], "the storm", "a person", 0, self.keys.emergency_changed]
        await call(self.client, Script.RAISE, [self.keys.emergency], arguments)

    async def resume(self) -> None:
        """What `phoenix resume` does, with the epoch that a person reads."""
        await self.redis.watched.wait()
        level, epoch = await self.client.execute_command("HMGET", self.keys.emergency, "level", "epoch")
        if level not in (None, b"0"):
            told = [epoch, "", "a person", 0, self.keys.emergency_changed, 1]
            await call(self.client, Script.RESUME, [self.keys.emergency], told)

    async def resume_symbols(self) -> None:
        for symbol in self.plot.symbols:
            await self.redis.watched.wait()
            level, epoch = await self.client.execute_command("HMGET", self.keys.halt(symbol), "level", "epoch")
            if level not in (None, b"0"):
                told = [epoch, "", "a person", 0, self.keys.halt_changed(symbol), 0]
                await call(self.client, Script.RESUME, [self.keys.halt(symbol)], told)
                self.note(f"{symbol} was halted, and resumed")

    async def read_holdings(self) -> list[Holding]:
        """What the exchange says of the whole account, for clients that are no workers."""
        found = []
        account = self.exchange.server.exchange.account(self.exchange.account)
        for symbol, holding in account.holdings.items():
            value = self.exchange.server.exchange.listing(symbol).mark_e8 / 1e8 * (holding.spec.step_e8 / 1e8)
            rests = {side: sum(o.leaves_steps for o in holding.open.values() if o.side is side) for side in Side}
            found.append(
                Holding(symbol, holding.position.steps * value, rests[Side.BUY] * value, rests[Side.SELL] * value)
            )
        return found

    # -- workers -----------------------------------------------------------------------------------

    def leader(self, symbol: str) -> Slot | None:
        """Who took its lease last, where that process still runs."""
        lease = self.leases.get(symbol)
        if lease is None:
            return None
        holder = lease.holder.partition("/")[0]
        return next((slot for slot in self.slots.values() if slot.pid and slot.process == holder), None)

    def standby(self, symbol: str) -> Slot | None:
        leader = self.leader(symbol)
        return next((slot for slot in self.slots.values() if slot.symbol == symbol and slot is not leader), None)

    async def add_slot(self, name: str, symbol: str, *, uid: str = OUR_UID, database: int = 0) -> Slot:
        loop = asyncio.get_running_loop()
        port = int(self._url.rpartition(":")[2])
        to_redis = Link(lambda make: loop.create_unix_connection(make, str(self.redis.socket)))
        to_exchange = Link(lambda make: loop.create_connection(make, "127.0.0.1", port))
        path = self.directory / f"{name}.sock"
        await to_redis.listen_unix(str(path))
        slot = Slot(name, symbol, to_redis, to_exchange, path, await to_exchange.listen_tcp(), uid, database)
        slot.directory = self.directory / name
        slot.directory.mkdir()
        self.slots[name] = slot
        return slot

    def remove_slot(self, slot: Slot) -> None:
        slot.wanted = False
        slot.redis.close()
        slot.exchange.close()
        del self.slots[slot.name]

    def place_foreign(self, symbol: str) -> None:
        """An order of another installation, as one of its workers sends it whose reading of the account is older."""
        exchange = self.exchange.server.exchange
        listing = exchange.listing(symbol)
        spec = listing.spec
        price = listing.touch.bid_ticks * 99 // 100
        steps = max(spec.min_steps, -(-spec.min_notional_e8 // spec.notional_e8(price, 1)))
        order = NewOrder(
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=spec.quantity_to_decimal(steps),
            price=Decimal(spec.format_price(price)),
            time_in_force=TimeInForce.GTX,
            client_order_id=order_id.format(order_id.installation_of(THEIR_UID), time.time_ns() // 1_000_000, "q", 1),
        )
        exchange.place(self.exchange.account, order, self.exchange.clock.now_ms())
        self.was_foreign = True

    async def cancel_foreign(self, symbol: str) -> None:
        """What a person does at the exchange with orders that nobody of ours knows."""
        exchange = self.exchange.server.exchange
        for order in exchange.open_orders(self.exchange.account, symbol):
            parsed = order_id.parse(order.client_order_id)
            if parsed is None or parsed.installation != self.installation:
                exchange.cancel(
                    self.exchange.account, symbol, OrderRef(order_id=order.order_id), self.exchange.clock.now_ms()
                )

    async def start(self, slot: Slot) -> None:
        """A new process in the slot; returns when it runs."""
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        slot.starts += 1
        slot.process = f"{self.name}-{slot.name}-{slot.starts}"
        controls = slot.directory / f"controls-{slot.starts}"
        slot.controls = Controls.create(controls)
        maker_file, account_file = self.plot.files[slot.symbol]
        launch = Launch(
            name=slot.process,
            resolved=str(self.directory / f"{slot.symbol}.resolved"),
            maker_file=str(maker_file),
            account_file=str(account_file),
            credentials=str(self.directory / "credentials"),
            redis_url=f"unix://{slot.redis_path}?db={slot.database}",
            base_url=f"http://127.0.0.1:{slot.exchange_port}",
            account_uid=slot.uid,
            state_dir=str(slot.directory / "state"),
            controls=str(controls),
            log=str(slot.directory / "log"),
            times=self.plot.times,
            mutation=self.plot.mutation if slot.uid == OUR_UID else Mutation.NONE,
        )
        began = self._began[slot.process] = asyncio.get_running_loop().create_future()
        self._zygote.stdin.write(msgspec.json.encode(launch) + b"\n")
        slot.pid = await began
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._keep(slot, slot.pid), name=slot.process))

    async def ended(self, pid: int) -> None:
        await self._ended[pid].wait()

    async def _keep(self, slot: Slot, pid: int) -> None:
        await self.ended(pid)
        slot.pid = 0
        if slot.wanted:
            await asyncio.sleep(_RESTART_S)
            if slot.wanted:
                await self.start(slot)

    async def _hear_zygote(self) -> None:
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        decoder = msgspec.json.Decoder(Began | Ended)
        while line := await self._zygote.stdout.readline():
            match decoder.decode(line):
                case Began(name=name, pid=pid):
                    self._ended[pid] = asyncio.Event()
                    self._began.pop(name).set_result(pid)
                case Ended(pid=pid) as message:
                    self.statuses.append(message)
                    self._ended[pid].set()

    # -- conditions --------------------------------------------------------------------------------

    def quotes(self, symbol: str) -> bool:
        """Orders of the present leader rest on both sides, and nobody else's."""
        if self.leader(symbol) is None:
            return False
        orders = self.exchange.server.exchange.open_orders(self.exchange.account, symbol)
        ids = [order_id.parse(order.client_order_id) for order in orders]
        token = self.leases[symbol].token
        ours = all(each is not None and each.token == token for each in ids)
        return ours and {order.side for order in orders} == {Side.BUY, Side.SELL}

    async def quoting(self, within_s: float, symbols: Sequence[str] = ()) -> bool:
        """Whether all of them quote within the time."""
        deadline = time.monotonic() + within_s
        while not all(self.quotes(symbol) for symbol in symbols or self.plot.symbols):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    # -- Redis, with the network's part ------------------------------------------------------------

    @asynccontextmanager
    async def redis_gone(self) -> AsyncIterator[None]:
        """It dies, and comes back at the end; no worker reaches it before its witness does."""
        weathers = {slot.name: slot.redis.weather for slot in self.slots.values()}
        for slot in self.slots.values():
            slot.redis.change(Weather.CUT)
        await self.redis.kill()
        try:
            yield
        finally:
            await self.redis.start()
            for slot in self.slots.values():
                slot.redis.change(weathers.get(slot.name, Weather.FAIR))

    # -- the end -----------------------------------------------------------------------------------

    async def finish(self) -> list[Violation]:
        """Heals everything, waits until the account quotes again, stops it in order, and judges the history."""
        found: list[Violation] = []
        self.exchange.server.faults.clear()
        for slot in self.slots.values():
            slot.redis.change(Weather.FAIR)
            slot.exchange.change(Weather.FAIR)
            slot.signal(signal.SIGCONT)
        recovered = await self._recovered()
        if not recovered:
            silent = [symbol for symbol in self.plot.symbols if not self.quotes(symbol)]
            text = "does not quote again after everything has healed"
            found += [Violation(Rule.RECOVERY, time.monotonic_ns(), symbol, text) for symbol in silent]
        leaders = {symbol: self.leader(symbol) for symbol in self.plot.symbols}
        mark = len(self.facts)
        for slot in self.slots.values():
            slot.wanted = False
        pids = [slot.pid for slot in self.slots.values() if slot.pid]
        for slot in self.slots.values():
            slot.signal(signal.SIGTERM)
        for pid in pids:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(25):
                    await self.ended(pid)
        if recovered:
            # Who lost its lease on the way out, on a busy machine, has no say on the position: the next leader would.
            handed_in = {fact.symbol for fact in self.facts[mark:] if isinstance(fact, LeaseReleased)}
            found += self._disagreements(leaders, handed_in)
        last = {message.pid: message for message in self.statuses}
        for message in (last[pid] for pid in pids if pid in last):
            if message.status:
                text = f"{message.name} ended with status {message.status} when it was told to stop"
                found.append(Violation(Rule.RECOVERY, time.monotonic_ns(), "", text))
        found += self._audited()
        return [*check(self.facts, self.terms), *check(self.crowd, self.terms), *found]

    async def _recovered(self) -> bool:
        for _ in range(_RECOVERS_WITHIN_S):
            if await self.quoting(1.0):
                return True
            with contextlib.suppress(*FAULTS):
                await self.seed()
                await self.resume()
                await self.resume_symbols()
        return False

    def _disagreements(self, leaders: dict[str, Slot | None], handed_in: set[str]) -> list[Violation]:
        """What the last leaders told as their last word, against the exchange's books."""
        found = []
        at_ns = time.monotonic_ns()

        def say(symbol: str, text: str) -> None:
            found.append(Violation(Rule.NOTHING_FORGOTTEN, at_ns, symbol, text))

        for symbol, slot in leaders.items():
            if self.exchange.resting(symbol):
                say(symbol, f"{self.exchange.resting(symbol)} orders rest after everybody has stopped")
            if slot is None:
                say(symbol, "nobody led it at the end")
                continue
            resolved = self.plot.resolved[symbol]
            path = final_record_path(slot.directory / "state", resolved.namespace, resolved.maker)
            if not path.exists():
                say(symbol, f"{slot.process} left no last record")
                continue
            record = decode(path.read_bytes())
            spec = self.exchange.server.exchange.listing(symbol).spec
            theirs = spec.quantity_to_decimal(self.exchange.position(symbol))
            if symbol in handed_in and Decimal(record.position.qty) != theirs:
                say(symbol, f"{slot.process} says position {record.position.qty}, the exchange {theirs}")
        return found

    def _audited(self) -> list[Violation]:
        """What the exchange's own audit found; another installation's orders are what they are."""
        found = []
        at_ns = time.monotonic_ns()
        for violation in self.exchange.server.audit.report().examples:
            rule = _AUDITED.get(violation.kind.value)
            if rule is None or (self.was_foreign and rule is not Rule.STOP):
                continue
            found.append(Violation(rule, at_ns, violation.symbol, f"{violation.kind}: {violation.detail}"))
        return found

    # -- opening and closing -----------------------------------------------------------------------

    async def open(self, url: str) -> None:
        self._url = url
        for symbol, resolved in self.plot.resolved.items():
            (self.directory / f"{symbol}.resolved").write_bytes(encode(resolved))
        credentials = self.directory / "credentials"
        credentials.mkdir(mode=0o700)
        for name, text in zip(("apiKey", "apiSecret"), self.key, strict=True):
            (credentials / name).write_text(text)
        self.redis.watch(self.keys.account, self.hear)
        self.redis.watch(CROWDED, self.crowd.append)
        await self.redis.start()
        await self.seed()
        self._tasks.append(asyncio.create_task(self.redis.watch_file(), name="append-only file"))
        self._zygote = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "launcher.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            limit=1 << 20,
        )
        self._tasks.append(asyncio.create_task(self._hear_zygote(), name="zygote"))
        for symbol in self.plot.symbols:
            for number in range(self.plot.slots):
                await self.start(await self.add_slot(f"{symbol.lower()}-{number}", symbol))

    async def close(self) -> None:
        for slot in self.slots.values():
            slot.wanted = False
            slot.redis.close()
            slot.exchange.close()
        if self._zygote is not None and self._zygote.stdin is not None:
            self._zygote.stdin.close()
            await self._zygote.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.aclose()
        if self.redis.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.redis.process.kill()
            await self.redis.process.wait()


_AUDITED = {
    "twoWriters": Rule.ONE_TRADER,
    "exposure": Rule.LIMITS,
    "selfCrossing": Rule.ONE_TRADER,
    "rateLimitAbuse": Rule.STOP,
}


@asynccontextmanager
async def open_cell(name: str, directory: Path, plot: Plot, seed: int) -> AsyncIterator[Cell]:
    """A cell whose workers are on their way up; its directory stays."""
    cell = Cell(name, directory, plot, seed)
    assets = sorted({spec.spec.quote_asset for spec in cell.exchange.server.exchange.listings.values()})
    cell.key = cell.exchange.open_account(name, assets, _BALANCE_E8)
    cell.exchange.declare_limits(AccountLimit(max_gross_notional=plot.gross, max_net_notional=plot.net))
    async with serve(cell.exchange.server) as url:
        try:
            await cell.open(url)
            yield cell
        finally:
            await cell.close()

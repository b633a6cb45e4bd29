"""One cell of the storm: an account of two symbols with two workers each, their exchange, their Redis, and the network
in between. Everything is real but the exchange, which is the simulator, in this process.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from account import AccountOfCell
from checker import Terms
from exchange import ExchangeOfCell
from history import AnyFact, KeysLost, KeysOld, LeaseTaken, Observed, RedisDied, RedisStarted
from phoenix_coordination import order_id
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_simulator.api.account_data import alias_of
from phoenix_simulator.audit.declared import AccountLimit
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.server import serve
from phoenix_worker.runtime.resolved import encode
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity
from plots import Plot
from proxy import Weather
from redis_of_cell import RedisOfCell
from workers import OUR_UID, Slot, Workers

CROWDED = "binance-usdm:simulator:crowd"
INSTALLATION = order_id.installation_of(OUR_UID)
_LOOK_S = 0.02
_BALANCE_E8 = 10_000_000 * 10**8


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
        self.leases: dict[str, LeaseTaken] = {}
        """By symbol: how it was taken last."""
        self.redis = RedisOfCell(directory / "redis", self.hear)
        keys = AccountKeys(account_identity(Endpoints.at("http://simulator"), alias_of(name)))
        self.account = AccountOfCell(keys, self.redis)
        self.workers = Workers(name, directory, plot, self.redis.socket)
        self.exchange = ExchangeOfCell(plot.symbols, seed, self.hear)
        assets = sorted({listing.spec.quote_asset for listing in self.exchange.server.exchange.listings.values()})
        self._key = self.exchange.open_account(name, assets, _BALANCE_E8)
        self.exchange.declare_limits(AccountLimit(max_gross_notional=plot.gross, max_net_notional=plot.net))
        self._aof: asyncio.Task[None] | None = None

    @property
    def terms(self) -> Terms:
        return Terms(
            INSTALLATION,
            net_micro=int(self.plot.net * 1_000_000),
            gross_micro=int(self.plot.gross * 1_000_000),
            usable_ns=int((self.plot.times.ttl_s - self.plot.times.margin_s) * 1e9),
            ttl_ns=int(self.plot.times.ttl_s * 1e9),
        )

    def hear(self, fact: AnyFact) -> None:
        self.facts.append(fact)
        if isinstance(fact, KeysOld | RedisDied | RedisStarted | KeysLost):
            self.crowd.append(fact)
        if isinstance(fact, LeaseTaken):
            self.leases[fact.symbol] = fact
        self.account.hear(fact)

    def note(self, text: str) -> None:
        self.hear(Observed(at_ns=time.monotonic_ns(), text=text))

    async def resume_symbols(self) -> None:
        """What was halted for itself, by a person who has looked."""
        for symbol in await self.account.resume_symbols(self.plot.symbols):
            self.note(f"{symbol} was halted, and resumed")

    # -- who leads, what rests ---------------------------------------------------------------------

    def leader(self, symbol: str) -> Slot | None:
        """Who took its lease last, where that process still runs."""
        lease = self.leases.get(symbol)
        if lease is None:
            return None
        holder = lease.holder.partition("/")[0]
        return next((slot for slot in self.workers.slots.values() if slot.pid and slot.process == holder), None)

    def standby(self, symbol: str) -> Slot | None:
        leader = self.leader(symbol)
        slots = self.workers.slots.values()
        return next((slot for slot in slots if slot.symbol == symbol and slot is not leader), None)

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
        weathers = {slot.name: slot.redis.weather for slot in self.workers.slots.values()}
        for slot in self.workers.slots.values():
            slot.redis.change(Weather.CUT)
        await self.redis.kill()
        try:
            yield
        finally:
            await self.redis.start()
            for slot in self.workers.slots.values():
                slot.redis.change(weathers.get(slot.name, Weather.FAIR))

    # -- opening and closing -----------------------------------------------------------------------

    async def open(self, exchange_port: int) -> None:
        for symbol, resolved in self.plot.resolved.items():
            (self.directory / f"{symbol}.resolved").write_bytes(encode(resolved))
        credentials = self.directory / "credentials"
        credentials.mkdir(mode=0o700)
        for name, text in zip(("apiKey", "apiSecret"), self._key, strict=True):
            (credentials / name).write_text(text)
        self.redis.watch(self.account.keys.account, self.hear)
        self.redis.watch(CROWDED, self.crowd.append)
        await self.redis.start()
        await self.account.seed()
        self._aof = asyncio.create_task(self.redis.watch_file(), name="append-only file")
        await self.workers.open(exchange_port)

    async def close(self) -> None:
        await self.workers.close()
        if self._aof is not None:
            self._aof.cancel()
            await asyncio.gather(self._aof, return_exceptions=True)
        await self.account.client.aclose()
        if self.redis.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.redis.process.kill()
            await self.redis.process.wait()


@asynccontextmanager
async def open_cell(name: str, directory: Path, plot: Plot, seed: int) -> AsyncIterator[Cell]:
    """A cell whose workers are on their way up; its directory stays."""
    cell = Cell(name, directory, plot, seed)
    async with serve(cell.exchange.server) as url:
        try:
            await cell.open(int(url.rpartition(":")[2]))
            yield cell
        finally:
            await cell.close()

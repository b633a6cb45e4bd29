"""Puts the exchange together and runs it: one process, one port, one event loop.

player ─ MarketUpdate → Exchange ─ events → tape, streams, user data, audit
REST, WebSocket API ─ gateway → Exchange
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import ClientSession, WSCloseCode, web

from phoenix_simulator.api.account_data import AccountData
from phoenix_simulator.api.algo_orders import AlgoOrders
from phoenix_simulator.api.auth import KeyRing
from phoenix_simulator.api.control import Control
from phoenix_simulator.api.gateway import Gateway
from phoenix_simulator.api.hub import Hub
from phoenix_simulator.api.limits import RateLimits
from phoenix_simulator.api.market_data import MarketData
from phoenix_simulator.api.market_streams import MarketStreams
from phoenix_simulator.api.operations import Operations
from phoenix_simulator.api.render.numbers import SymbolText
from phoenix_simulator.api.rest import RestServer
from phoenix_simulator.api.streams import StreamServer
from phoenix_simulator.api.tape import Tape
from phoenix_simulator.api.trading import Trading
from phoenix_simulator.api.user_stream import UserStreams
from phoenix_simulator.api.ws_api import WsApiServer
from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.clock import Clock
from phoenix_simulator.conditions import ConditionWatch
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.expectations import Judge
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.given_accounts import GivenAccount
from phoenix_simulator.latency import Latency
from phoenix_simulator.market.player import MarketPlayer
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.replay import ReplaySource
from phoenix_simulator.market.source import MarketSource
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.market.upstream.source import UpstreamSource, connect
from phoenix_simulator.moments import Moments
from phoenix_simulator.scenario import MarketPlan, Scenario, ScenarioError

CANARY_SYMBOL: Final = "BTCUSDT"
"""Always listed, as on the venue: clients listen to it to tell a quiet symbol from a dead connection."""
DEFAULT_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "ETHUSDC", "SOLUSDC")
_TICK_S: Final = 0.005
"""How often rhythms are looked at, at most (real time); accelerated clocks make each look do more."""
_LONGEST_TICK_S: Final = 0.01
"""And at least, whenever the next frame is due: faults begin and aggregate trades end at most this late."""
_LONGEST_URL: Final = 65_536
"""A connection may name 1024 streams in its URL."""
_HOUSEKEEPING_S: Final = 0.25
_GOODBYE_S: Final = 1.0
_ALLOCATIONS_PER_LOOK: Final = 100_000
"""How long (real time) clients have to answer the closing handshake when the exchange ends."""


AnySource = MarketSource | UpstreamSource


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`port` 0 takes a free one. `captures` are replayed, files of one symbol in the order given. With `upstream`, the
    base URL of another venue, all `symbols` are live markets of it. `accounts` are open from the start, each with
    `balances_e8`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS
    captures: tuple[Path, ...] = ()
    upstream: str | None = None
    accounts: tuple[GivenAccount, ...] = ()
    balances_e8: Mapping[str, int] = {}
    seed: int = 1
    scenario: Scenario = Scenario()

    @property
    def drawn_from(self) -> int:
        """The seed of all that is drawn: the scenario's, where it has one."""
        return self.seed if self.scenario.seed is None else self.scenario.seed


class Server:
    """Everything of one running exchange; tests look inside. Open the markets first: the wire needs the symbols."""

    def __init__(self, config: ServerConfig, clock: Clock, sources: Mapping[str, AnySource]) -> None:
        self._config = config
        self.stop = asyncio.Event()
        """Set by whoever wants the exchange to end, and when a part of its run fails."""
        self.clock = clock
        self.exchange = Exchange(config.scenario.venue.exchange_settings())
        self.player = MarketPlayer(self.exchange, clock)
        for symbol, source in sources.items():
            if isinstance(source, UpstreamSource):
                self.player.open_live(source)
            else:
                self.player.open(BUILT_IN[symbol], source)
        self.faults = Faults(ConditionWatch(self.exchange), config.drawn_from)
        self.keys = KeyRing()
        for number, account in enumerate(config.accounts, start=1):
            self._open(account, f"{account.label}-{number}")
        self.audit = Audit(self.exchange)
        self.hub = Hub(clock, self.faults, self.audit.books)
        self.users = UserStreams(self.exchange, self.hub, clock)
        limits = RateLimits(config.scenario.venue.limits)
        texts = {symbol: SymbolText(listing.spec) for symbol, listing in self.exchange.listings.items()}
        tapes = {
            symbol: Tape(listing.spec, listing.touch.bid_ticks or listing.touch.ask_ticks, listing.mark_e8)
            for symbol, listing in self.exchange.listings.items()
        }
        for symbol, plan in config.scenario.markets.items():
            if steps := BUILT_IN[symbol].steps_of(plan.traded_before):
                tapes[symbol].recall_day(steps, clock.now_ms())
        self.streams = MarketStreams(self.exchange, self.hub, clock, tapes, texts)
        self.moments = Moments(self.exchange, clock, self.keys, self.faults, self.hub, self.users, self.player)
        gateway = self.gateway = Gateway(clock, self.keys, limits, self.faults, self.audit)
        operations = Operations(
            MarketData(self.exchange, clock, tapes, texts, self.audit.books, limits.settings),
            Trading(self.exchange, clock, self.audit),
            AlgoOrders(self.exchange, ConditionalOrders(self.exchange), clock),
            AccountData(self.exchange, clock, self.users, limits.settings),
        )
        latency = Latency(config.scenario.latency, config.drawn_from, clock)
        rest = RestServer(operations.rest(), gateway, clock, self.faults, latency)
        ws_api = WsApiServer(operations.websocket(), gateway, self.hub, clock, self.faults, latency)
        start_ns = clock.monotonic_ns()
        planned = [self.faults.add(fault, start_ns) for fault in config.scenario.faults]
        self.judge = Judge(config.scenario.expect, self.exchange, self.audit, self.faults, planned, start_ns)
        self.application = web.Application()
        Control(self.exchange, clock, self.keys, self.faults, self.audit, self.player, self.judge).add_routes(
            self.application.router
        )
        streams = StreamServer(self.hub, self.streams, self.users, clock, self.faults, latency)
        streams.add_routes(self.application.router)
        self.application.router.add_get("/ws-fapi/v1", ws_api.handle)
        self.application.router.add_route("*", "/{path:.*}", rest.handle)

    def _open(self, account: GivenAccount, account_id: str) -> None:
        now_ms = self.clock.now_ms()
        self.exchange.open_account(account_id, self._config.balances_e8, now_ms)
        given = (account.api_key, account.secret)
        self.keys.issue(account_id, account.label, now_ms, public_key=account.public_key, given=given)

    # ---- the run loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Market, rhythms, plans and housekeeping until cancelled; the first to fail ends all of them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.player.run())
            for live in self.player.live():
                group.create_task(live)
            group.create_task(self._keep_rhythm())
            group.create_task(self._keep_house())
            for symbol, plan in self._config.scenario.markets.items():
                for change in plan.changes:
                    group.create_task(self._change_regime(symbol, change.at_seconds, change.regime))

    async def _keep_rhythm(self) -> None:
        while True:
            now_ns = self.clock.monotonic_ns()
            self.faults.advance(now_ns)
            self.judge.look(now_ns)
            now_ms = self.clock.now_ms()
            self.streams.tick(now_ms)
            until_due_s = (self.streams.due_ms - now_ms) / 1e3 / self.clock.rate
            await asyncio.sleep(max(_TICK_S, min(_LONGEST_TICK_S, until_due_s)))

    async def _keep_house(self) -> None:
        while True:
            self.users.expire_due()
            for connection in tuple(self.hub.connections):
                await connection.keep_alive()
            await self.clock.sleep(_HOUSEKEEPING_S)

    async def _change_regime(self, symbol: str, at_s: float, regime: RegimeName) -> None:
        await self.clock.sleep(at_s)
        self.player.set_regime(symbol, regime)


def build_sources(config: ServerConfig) -> dict[str, MarketSource]:
    """The recording for its symbol, seeded markets for the others. CaptureError for a broken capture, ScenarioError
    where the scenario plans another market for the recorded symbol.
    """
    replay = ReplaySource(config.captures) if config.captures else None
    scenario = config.scenario
    if replay is not None and replay.symbol in scenario.markets:
        field = f"spec.markets.{replay.symbol}"
        raise ScenarioError("the scenario", field, "this market is a recording; leave it out, or replay nothing")
    wanted = dict.fromkeys((*config.symbols, *scenario.markets))
    if replay is not None:
        wanted[replay.symbol] = None
    wanted.setdefault(CANARY_SYMBOL)
    sources: dict[str, MarketSource] = {}
    for symbol in wanted:
        if replay is not None and symbol == replay.symbol:
            sources[symbol] = replay
        else:
            plan = scenario.markets.get(symbol, MarketPlan())
            sources[symbol] = SyntheticSource(BUILT_IN[symbol], config.drawn_from, plan.regime, plan.agents)
    return sources


@asynccontextmanager
async def open_sources(config: ServerConfig) -> AsyncIterator[Mapping[str, AnySource]]:
    """The sources of the configuration, as long as they are needed. UpstreamError where the upstream cannot be used."""
    if config.upstream is None:
        yield build_sources(config)
        return
    async with ClientSession(headers={"User-Agent": "phoenix-exchange"}) as http:
        yield await connect(http, config.upstream, tuple(dict.fromkeys((*config.symbols, CANARY_SYMBOL))))


@asynccontextmanager
async def serve(server: Server, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Listens and runs; yields the base URL. Leaving it says goodbye to every socket and stops the market.

    When the market or a rhythm fails, `server.stop` is set and leaving raises what it was: an exchange whose market is
    dead must not look alive.
    """
    runner = web.AppRunner(
        server.application,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
        max_line_size=_LONGEST_URL,
        # The signature covers the bytes as sent: nothing is unpacked.
        auto_decompress=False,
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    run = asyncio.create_task(server.run())
    run.add_done_callback(lambda _: server.stop.set())
    try:
        bound = runner.addresses[0]
        yield f"http://{host}:{bound[1]}"
    finally:
        run.cancel()
        await asyncio.wait({run})
        await _say_goodbye(server)
        await runner.cleanup()
        if not run.cancelled():
            run.result()


async def _say_goodbye(server: Server) -> None:
    connections = tuple(server.hub.connections)
    for connection in connections:
        connection.close(WSCloseCode.GOING_AWAY, b"shutting down")
    if connections:
        await asyncio.wait([asyncio.ensure_future(each.wait_closed()) for each in connections], timeout=_GOODBYE_S)
    for connection in connections:
        connection.cut()


def spare_the_collector() -> None:
    """For a process that is an exchange and nothing else: what its start has made (modules, opening books) lives as
    long as it does, and what passes through makes no cycles. Looking for garbage as often as Python does by itself was
    a tenth of the time of twenty markets.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_LOOK)


@asynccontextmanager
async def run_server(
    config: ServerConfig, clock: Clock | None = None, sources: Mapping[str, AnySource] | None = None
) -> AsyncIterator[tuple[str, Server]]:
    """An exchange in this process, for tests: base URL and server. Without `sources`, those of the configuration."""
    async with AsyncExitStack() as stack:
        if sources is None:
            sources = await stack.enter_async_context(open_sources(config))
        server = Server(config, clock or Clock(), sources)
        url = await stack.enter_async_context(serve(server, config.host, config.port))
        yield url, server

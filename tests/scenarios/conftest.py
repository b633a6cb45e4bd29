"""What every scenario stands on: an exchange and a Redis of its own, an account, and the way to start workers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from arena import Arena
from arena_exchange import PausableMarket
from arena_redis import redis_server
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.scenario import MarketPlan, Scenario, VenueChoices
from phoenix_simulator.server import CANARY_SYMBOL, ServerConfig, run_server

FIGURE = "figure"
OpenArena = Callable[..., Awaitable[Arena]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scenario takes seconds: its processes start, meet their fault, recover and end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.scenario)
            item.add_marker(pytest.mark.timeout(150))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured on the way: told, never asserted."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == FIGURE and report.when == "call":
                    terminalreporter.write_line(f"measured: {text}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tells a figure at the end of the run."""

    def tell(text: str) -> None:
        record_property(FIGURE, text)

    return tell


@pytest.fixture
async def open_arena(tmp_path: Path) -> AsyncIterator[OpenArena]:
    """Opens an exchange with an account; `speed` is the clock of all its processes, which may say that it is shortly
    before 00:00 UTC, and so much of each symbol was traded in every minute before. No worker runs yet.
    """
    async with AsyncExitStack() as stack:

        async def opened(
            *symbols: str,
            speed: float = 1.0,
            midnight_in_s: float | None = None,
            seed: int = 7,
            net_and_gross: tuple[int, int] | None = None,
            limits: LimitSettings | None = None,
            traded_before: str = "0",
            **spec: object,
        ) -> Arena:
            choices = VenueChoices(limits=limits or LimitSettings())
            markets = {symbol: MarketPlan(traded_before=Decimal(traded_before)) for symbol in symbols}
            config = ServerConfig(symbols=symbols, seed=seed, scenario=Scenario(venue=choices, markets=markets))
            sources = {symbol: PausableMarket(BUILT_IN[symbol], seed) for symbol in (*symbols, CANARY_SYMBOL)}
            clock = Clock(speed, None if midnight_in_s is None else _before_midnight_ns(midnight_in_s))
            url, server = await stack.enter_async_context(run_server(config, clock, sources))
            http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
            redis = await stack.enter_async_context(redis_server())
            arena = await Arena.open(
                server, url, redis, http, tmp_path / "run", symbols, net_and_gross=net_and_gross, **spec
            )
            stack.push_async_callback(arena.kill_all)
            return arena

        yield opened


def _before_midnight_ns(seconds: float) -> int:
    day_ns = 86_400 * 10**9
    return (time.time_ns() // day_ns + 1) * day_ns - int(seconds * 1e9)


@pytest.fixture
async def arena(open_arena: OpenArena) -> Arena:
    """One worker of ETHUSDT that quotes and has been filled; the canary's symbol is another one."""
    arena = await open_arena("ETHUSDT")
    await arena.start()
    await arena.quoting()
    await arena.fill()
    return arena


@pytest.fixture
async def lively(arena: Arena) -> Arena:
    """The same in a market that leaps: quotes are moved all the time."""
    await arena.venue.control("POST", "/sim/market", {"symbol": arena.symbol, "regime": "jump"})
    return arena

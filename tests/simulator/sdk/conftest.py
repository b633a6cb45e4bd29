"""The exchange in a thread of its own, and the venue's official SDK, unchanged, pointed at it: the SDK's REST client
blocks whoever calls it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.rest_api import DerivativesTradingUsdsFuturesRestAPI
from phoenix_simulator.clock import Clock
from phoenix_simulator.scenario import parse_scenario
from phoenix_simulator.server import ServerConfig, run_server
from sdk_world import PATIENCE_S, SYMBOL, Trader, Venue


@pytest.fixture(scope="session")
def venue() -> Iterator[Venue]:
    """One exchange for all: a lively market, and a weight limit that so many questions at once do not reach."""
    opened: Future[Venue] = Future()
    stop = asyncio.Event()

    async def run() -> None:
        scenario = parse_scenario(
            {
                "apiVersion": "phoenix.trading/v1alpha1",
                "kind": "Scenario",
                "spec": {"seed": 7, "venue": {"limits": {"weightPerMinute": 100_000}}},
            },
            "the SDK's tests",
        )
        config = ServerConfig(symbols=(SYMBOL, "BTCUSDT"), scenario=scenario)
        try:
            async with run_server(config, Clock()) as (url, server):
                opened.set_result(Venue(url, server, asyncio.get_running_loop()))
                await stop.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="exchange")
    thread.start()
    try:
        running = opened.result(PATIENCE_S)
        yield running
        running.loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join(PATIENCE_S)


@pytest.fixture
def no_warning(caplog: pytest.LogCaptureFixture) -> Callable[[], None]:
    """The SDK logs a warning for each answer that is not what its models say: none may have come."""
    caplog.set_level(logging.WARNING)

    def judge() -> None:
        assert [record.getMessage() for record in caplog.records] == []

    return judge


@pytest.fixture
def keys(venue: Venue) -> dict[str, str]:
    return venue.new_keys()


@pytest.fixture
def trader(venue: Venue, keys: dict[str, str]) -> Trader:
    return Trader(rest_client(venue, keys))


@pytest.fixture
def rest_of(venue: Venue) -> Callable[..., Trader]:
    """Another account, with options of its own."""
    return lambda **options: Trader(rest_client(venue, venue.new_keys(**options)))


def rest_client(venue: Venue, keys: dict[str, str]) -> DerivativesTradingUsdsFuturesRestAPI:
    """Without the SDK's own retries: what fails has to be seen."""
    configuration = ConfigurationRestAPI(
        api_key=keys["apiKey"], api_secret=keys["apiSecret"], base_path=venue.url, timeout=10_000, retries=0
    )
    return DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api

"""Every stream of the SDK: subscribed to through its own three sockets, delivered, and understood by its models."""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from binance_common.configuration import ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.websocket_streams.websocket_streams import (
    DerivativesTradingUsdsFuturesWebSocketStreams,
)
from sdk_world import PATIENCE_S, SYMBOL, Trader, Venue, absent_fields

Streams = DerivativesTradingUsdsFuturesWebSocketStreams

CLAIMED: dict[str, dict[str, Any]] = {
    # /public
    "diff_book_depth_streams": {"symbol": SYMBOL, "update_speed": "100ms"},
    "partial_book_depth_streams": {"symbol": SYMBOL, "levels": "5", "update_speed": "100ms"},
    "individual_symbol_book_ticker_streams": {"symbol": SYMBOL},
    "rpi_diff_book_depth_streams": {"symbol": SYMBOL},
    "all_book_tickers_stream": {},
    # /market
    "aggregate_trade_streams": {"symbol": SYMBOL},
    "kline_candlestick_streams": {"symbol": SYMBOL, "interval": "1m"},
    "continuous_contract_kline_candlestick_streams": {
        "pair": SYMBOL.lower(),
        "contract_type": "perpetual",
        "interval": "1m",
    },
    "mark_price_stream": {"symbol": SYMBOL, "update_speed": "1s"},
    "mark_price_stream_for_all_market": {"update_speed": "1s"},
    "individual_symbol_mini_ticker_stream": {"symbol": SYMBOL},
    "all_market_mini_tickers_stream": {},
    "individual_symbol_ticker_streams": {"symbol": SYMBOL},
    "all_market_tickers_streams": {},
    "liquidation_order_streams": {"symbol": SYMBOL},
    "all_market_liquidation_order_streams": {},
    "contract_info_stream": {},
    "asset_index": {},
}

NOT_CLAIMED: dict[str, dict[str, Any]] = {
    "composite_index_symbol_information_streams": {"symbol": SYMBOL},
    "trading_session_stream": {},
}
"""Composite indices and trading hours: acknowledged, as the venue does with any name, and silent."""

OF_THE_CONNECTION = {"ping_server", "subscribe", "unsubscribe", "on", "list_subscribe", "close_connection"}

ABSENT_FROM_EVENTS = {
    "OrderTradeUpdate": {"AP", "cr", "M"},  # of trailing orders; of amendments with an id
    "TradeLite": set(),
    "AccountUpdate": {"S"},  # of funding
    "AccountConfigUpdate": {"ai"},  # of the assets mode; this one is of the leverage
    "AlgoUpdate": {"ia", "rm"},  # of conditional orders that were refused
}

TOGETHER = 8
"""Subscriptions at once: the venue closes a connection that says more than ten things in a second."""


@pytest.fixture
async def streams(venue: Venue) -> AsyncIterator[Streams]:
    configuration = ConfigurationWebSocketStreams(stream_url=venue.url.replace("http", "ws", 1))
    client = DerivativesTradingUsdsFutures(config_ws_streams=configuration).websocket_streams
    await client.create_connection()
    try:
        yield client
    finally:
        await client.close_connection(close_session=True)


async def eventually(holds: Callable[[], bool], missing: Callable[[], object]) -> None:
    """Fails with what is missing."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - the SDK calls back, and tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"never came: {missing()}")


def liquidate(venue: Venue, trader: Trader) -> None:
    """An account with all its money in one position, and a mark price that leaps away from it."""
    trader.rest.change_initial_leverage(symbol=SYMBOL, leverage=75)
    trader.buy(1.0)
    venue.mark(SYMBOL, trader.touch()[0] * Decimal("0.98"))


def test_the_tables_hold_every_stream_that_the_sdk_has() -> None:
    functions = vars(Streams).items()
    methods = {name for name, value in functions if inspect.isfunction(value) and not name.startswith("_")}
    assert CLAIMED.keys() | NOT_CLAIMED.keys() | OF_THE_CONNECTION | {"user_data"} == methods


async def test_every_stream_is_delivered_and_understood(
    venue: Venue, streams: Streams, rest_of: Callable[..., Trader], no_warning: Callable[[], None]
) -> None:
    heard: dict[str, list[object]] = defaultdict(list)
    names = [*CLAIMED, *NOT_CLAIMED]

    async def subscribe(name: str) -> None:
        handle = await getattr(streams, name)(**CLAIMED.get(name, NOT_CLAIMED.get(name, {})))
        handle.on("message", heard[name].append)

    for first in range(0, len(names), TOGETHER):
        await asyncio.gather(*map(subscribe, names[first : first + TOGETHER]))
        await asyncio.sleep(1)
    poor = rest_of(balances={"USDC": "65"})
    await asyncio.to_thread(liquidate, venue, poor)
    for status in ("PENDING_TRADING", "TRADING"):
        await asyncio.to_thread(venue.control, "POST", "market", {"symbol": "BTCUSDT", "status": status})
    await eventually(
        lambda: all(heard[name] for name in CLAIMED), lambda: sorted(name for name in CLAIMED if not heard[name])
    )
    assert {name: absent_fields(heard[name]) for name in CLAIMED if absent_fields(heard[name])} == {}
    assert [name for name in NOT_CLAIMED if heard[name]] == []
    no_warning()


async def test_trades_place_fill_cancel_and_hears_of_it(
    streams: Streams, trader: Trader, no_warning: Callable[[], None]
) -> None:
    """What the SDK is for: an order placed, one filled, one cancelled, each told by the user data stream."""
    events: list[Any] = []
    listen_key = (await asyncio.to_thread(trader.rest.start_user_data_stream)).data().listen_key
    (await streams.user_data(listen_key)).on("message", lambda event: events.append(event.actual_instance))

    def trade() -> int:
        order_id = trader.resting()
        trader.rest.cancel_order(symbol=SYMBOL, order_id=order_id)
        trader.buy()
        trader.rest.change_initial_leverage(symbol=SYMBOL, leverage=5)
        trader.waiting()
        return order_id

    order_id = await asyncio.to_thread(trade)

    def told() -> set[tuple[str, str]]:
        return {(type(event).__name__, getattr(getattr(event, "o", None), "x", "")) for event in events}

    wanted = {
        ("OrderTradeUpdate", "NEW"),
        ("OrderTradeUpdate", "CANCELED"),
        ("OrderTradeUpdate", "TRADE"),
        ("TradeLite", ""),
        ("AccountUpdate", ""),
        ("AccountConfigUpdate", ""),
    }
    await eventually(lambda: wanted <= told(), lambda: wanted - told())
    cancelled = next(
        event.o for event in events if type(event).__name__ == "OrderTradeUpdate" and event.o.x == "CANCELED"
    )
    assert cancelled.i == order_id
    position = (await asyncio.to_thread(trader.rest.position_information_v3, symbol=SYMBOL)).data()
    assert [Decimal(row.position_amt) for row in position] == [Decimal("0.1")]
    for event in events:
        assert absent_fields(event) <= ABSENT_FROM_EVENTS[type(event).__name__], event
    no_warning()

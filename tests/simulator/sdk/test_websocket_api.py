"""Every method of the SDK's WebSocket API client: answered, with rate limits, and understood by its models."""

import inspect
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest
from binance_common.configuration import ConfigurationWebSocketAPI
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.websocket_api.websocket_api import (
    DerivativesTradingUsdsFuturesWebSocketAPI,
)
from sdk_world import SYMBOL, Parameters, Trader, Venue, absent_fields

# The SDK hands aiohttp a timeout in a form that aiohttp no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")


def nothing(_: Trader) -> Parameters:
    return {}


def symbol(_: Trader) -> Parameters:
    return {"symbol": SYMBOL}


CLAIMED: dict[str, Callable[[Trader], Parameters]] = {
    "order_book": symbol,
    "symbol_order_book_ticker": symbol,
    "symbol_price_ticker": symbol,
    "new_order": Trader.quote,
    "modify_order": Trader.amendment,
    "query_order": Trader.reference,
    "cancel_order": Trader.reference,
    "new_algo_order": Trader.stop,
    "cancel_algo_order": Trader.waiting,
    "account_information": Trader.in_position,
    "account_information_v2": Trader.in_position,
    "futures_account_balance": nothing,
    "futures_account_balance_v2": nothing,
    "position_information": Trader.filled,
    "position_information_v2": Trader.filled,
    "start_user_data_stream": nothing,
    "keepalive_user_data_stream": Trader.listening,
    "close_user_data_stream": Trader.listening,
}

OF_THE_CONNECTION = {"ping_server", "send_message", "send_signed_message", "close_connection"}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # the venue's documents and captures disagree on them
    "avgPrice",
    "cumQuote",
    "icebergQuantity",
    # of an account's assets: the SDK's model has it in both versions, the documents in the first
    "marginAvailable",
    # the SDK's model of a depth snapshot has the sides beside `result`; the venue sends them inside
    "bids",
    "asks",
}


@pytest.fixture
async def api(venue: Venue, keys: dict[str, str]) -> AsyncIterator[DerivativesTradingUsdsFuturesWebSocketAPI]:
    configuration = ConfigurationWebSocketAPI(
        api_key=keys["apiKey"],
        api_secret=keys["apiSecret"],
        stream_url=f"{venue.url.replace('http', 'ws', 1)}/ws-fapi/v1",
    )
    client = DerivativesTradingUsdsFutures(config_ws_api=configuration).websocket_api
    await client.create_connection()
    try:
        yield client
    finally:
        await client.close_connection(close_session=True)


def test_the_table_holds_every_method_that_the_sdk_has() -> None:
    functions = vars(DerivativesTradingUsdsFuturesWebSocketAPI).items()
    methods = {name for name, value in functions if inspect.isfunction(value) and not name.startswith("_")}
    assert CLAIMED.keys() | OF_THE_CONNECTION == methods


@pytest.mark.parametrize("method", CLAIMED)
async def test_is_answered_as_the_sdk_expects(
    api: DerivativesTradingUsdsFuturesWebSocketAPI, trader: Trader, method: str, no_warning: Callable[[], None]
) -> None:
    response = await getattr(api, method)(**CLAIMED[method](trader))
    answer = response.data()
    assert getattr(answer, "actual_instance", answer).status == 200
    assert absent_fields(answer) <= MAY_BE_ABSENT
    assert "REQUEST_WEIGHT" in {str(limit.rateLimitType) for limit in response.rate_limits}
    no_warning()


async def test_an_order_lives_and_dies_over_one_socket(
    api: DerivativesTradingUsdsFuturesWebSocketAPI, trader: Trader, no_warning: Callable[[], None]
) -> None:
    quote = trader.quote()
    placed = (await api.new_order(**quote)).data().result
    lower = float(Decimal(str(quote["price"])) - 1)
    modified = (
        (await api.modify_order(symbol=SYMBOL, side="BUY", quantity=0.2, price=lower, order_id=placed.order_id))
        .data()
        .result
    )
    assert (modified.order_id, Decimal(modified.orig_qty), Decimal(modified.price)) == (
        placed.order_id,
        Decimal("0.2"),
        Decimal(str(lower)),
    )
    cancelled = (await api.cancel_order(symbol=SYMBOL, order_id=placed.order_id)).data().result
    assert cancelled.status == "CANCELED"
    assert (await api.query_order(symbol=SYMBOL, order_id=placed.order_id)).data().result.status == "CANCELED"
    no_warning()

"""What this exchange claims to be: every endpoint, method and stream with its price and security, as documented.

Tables of Binance USDⓈ-M documentation, written down a second time: a route that is added, lost or priced otherwise
fails here.
"""

from unittest.mock import Mock

import pytest
from phoenix_simulator.api.auth import Security
from phoenix_simulator.api.operations import Operations
from phoenix_simulator.api.params import Params
from phoenix_simulator.api.stream_names import parse_stream_name
from phoenix_simulator.faults import Route

NONE, MARKET_DATA, STREAM = Security.NONE, Security.MARKET_DATA, Security.USER_STREAM
TRADE, READ = Security.TRADE, Security.USER_DATA
FREE = (0, 0)

REST = {
    # endpoint: security, weight (alone; with a symbol where that differs), (orders in 10 s, in a minute)
    "GET /fapi/v1/ping": (NONE, 1, 1, FREE),
    "GET /fapi/v1/time": (NONE, 1, 1, FREE),
    "GET /fapi/v1/exchangeInfo": (NONE, 1, 1, FREE),
    "GET /fapi/v1/depth": (NONE, 10, 10, FREE),
    "GET /fapi/v1/rpiDepth": (NONE, 20, 20, FREE),
    "GET /fapi/v1/trades": (NONE, 5, 5, FREE),
    "GET /fapi/v1/historicalTrades": (MARKET_DATA, 200, 200, FREE),
    "GET /fapi/v1/aggTrades": (NONE, 20, 20, FREE),
    "GET /fapi/v1/klines": (NONE, 5, 5, FREE),
    "GET /fapi/v1/markPriceKlines": (NONE, 5, 5, FREE),
    "GET /fapi/v1/premiumIndex": (NONE, 10, 1, FREE),
    "GET /fapi/v1/assetIndex": (NONE, 10, 1, FREE),
    "GET /fapi/v1/fundingRate": (NONE, 0, 0, FREE),
    "GET /fapi/v1/fundingInfo": (NONE, 0, 0, FREE),
    "GET /fapi/v1/ticker/bookTicker": (NONE, 5, 2, FREE),
    "GET /fapi/v1/ticker/price": (NONE, 2, 1, FREE),
    "GET /fapi/v2/ticker/price": (NONE, 2, 1, FREE),
    "GET /fapi/v1/ticker/24hr": (NONE, 40, 1, FREE),
    "POST /fapi/v1/order": (TRADE, 0, 0, (1, 1)),
    "PUT /fapi/v1/order": (TRADE, 0, 0, (1, 1)),
    "DELETE /fapi/v1/order": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/order": (READ, 1, 1, FREE),
    "POST /fapi/v1/order/test": (TRADE, 0, 0, (1, 1)),
    "POST /fapi/v1/batchOrders": (TRADE, 5, 5, (5, 1)),
    "PUT /fapi/v1/batchOrders": (TRADE, 5, 5, (5, 1)),
    "DELETE /fapi/v1/batchOrders": (TRADE, 1, 1, FREE),
    "DELETE /fapi/v1/allOpenOrders": (TRADE, 1, 1, FREE),
    "POST /fapi/v1/countdownCancelAll": (TRADE, 10, 10, FREE),
    "GET /fapi/v1/openOrder": (READ, 1, 1, FREE),
    "GET /fapi/v1/openOrders": (READ, 40, 1, FREE),
    "GET /fapi/v1/allOrders": (READ, 5, 5, FREE),
    "GET /fapi/v1/userTrades": (READ, 5, 5, FREE),
    "GET /fapi/v1/orderAmendment": (READ, 1, 1, FREE),
    "GET /fapi/v1/forceOrders": (READ, 50, 20, FREE),
    "POST /fapi/v1/algoOrder": (TRADE, 0, 0, (1, 1)),
    "DELETE /fapi/v1/algoOrder": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/algoOrder": (READ, 1, 1, FREE),
    "DELETE /fapi/v1/algoOpenOrders": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/openAlgoOrders": (READ, 40, 1, FREE),
    "GET /fapi/v1/allAlgoOrders": (READ, 5, 5, FREE),
    "POST /fapi/v1/leverage": (TRADE, 1, 1, FREE),
    "POST /fapi/v1/marginType": (TRADE, 1, 1, FREE),
    "POST /fapi/v1/positionMargin": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/positionSide/dual": (READ, 30, 30, FREE),
    "POST /fapi/v1/positionSide/dual": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/multiAssetsMargin": (READ, 30, 30, FREE),
    "POST /fapi/v1/multiAssetsMargin": (TRADE, 1, 1, FREE),
    "GET /fapi/v1/feeBurn": (READ, 30, 30, FREE),
    "POST /fapi/v1/feeBurn": (TRADE, 1, 1, FREE),
    "GET /fapi/v2/account": (READ, 5, 5, FREE),
    "GET /fapi/v3/account": (READ, 5, 5, FREE),
    "GET /fapi/v2/balance": (READ, 5, 5, FREE),
    "GET /fapi/v3/balance": (READ, 5, 5, FREE),
    "GET /fapi/v2/positionRisk": (READ, 5, 5, FREE),
    "GET /fapi/v3/positionRisk": (READ, 5, 5, FREE),
    "GET /fapi/v1/accountConfig": (READ, 5, 5, FREE),
    "GET /fapi/v1/symbolConfig": (READ, 5, 5, FREE),
    "GET /fapi/v1/commissionRate": (READ, 20, 20, FREE),
    "GET /fapi/v1/income": (READ, 30, 30, FREE),
    "GET /fapi/v1/rateLimit/order": (READ, 1, 1, FREE),
    "GET /fapi/v1/leverageBracket": (READ, 1, 1, FREE),
    "GET /fapi/v1/adlQuantile": (READ, 5, 5, FREE),
    "POST /fapi/v1/listenKey": (STREAM, 1, 1, FREE),
    "PUT /fapi/v1/listenKey": (STREAM, 1, 1, FREE),
    "DELETE /fapi/v1/listenKey": (STREAM, 1, 1, FREE),
    "GET /sapi/v1/account/apiRestrictions": (READ, 1, 1, FREE),
}

WEBSOCKET = {
    # method: the endpoint that it equals; session.logon, .status and .logout belong to their connection
    "order.place": "POST /fapi/v1/order",
    "order.modify": "PUT /fapi/v1/order",
    "order.cancel": "DELETE /fapi/v1/order",
    "order.status": "GET /fapi/v1/order",
    "algoOrder.place": "POST /fapi/v1/algoOrder",
    "algoOrder.cancel": "DELETE /fapi/v1/algoOrder",
    "account.status": "GET /fapi/v2/account",
    "v2/account.status": "GET /fapi/v3/account",
    "account.balance": "GET /fapi/v2/balance",
    "v2/account.balance": "GET /fapi/v3/balance",
    "account.position": "GET /fapi/v2/positionRisk",
    "v2/account.position": "GET /fapi/v3/positionRisk",
    "depth": "GET /fapi/v1/depth",
    "ticker.price": "GET /fapi/v1/ticker/price",
    "ticker.book": "GET /fapi/v1/ticker/bookTicker",
    "userDataStream.start": "POST /fapi/v1/listenKey",
    "userDataStream.ping": "PUT /fapi/v1/listenKey",
    "userDataStream.stop": "DELETE /fapi/v1/listenKey",
    # of the spot interface, and harmless: clients use them to see whether the line is alive
    "ping": "GET /fapi/v1/ping",
    "time": "GET /fapi/v1/time",
}
SESSION = ("session.logon", "session.status", "session.logout")

INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
STREAMS = {
    Route.PUBLIC: [
        "btcusdt@bookTicker",
        "!bookTicker",
        "btcusdt@trade",
        "btcusdt@rpiDepth@500ms",
        *(f"btcusdt@depth{levels}{speed}" for levels in ("", "5", "10", "20") for speed in ("", "@100ms", "@500ms")),
    ],
    Route.MARKET: [
        "btcusdt@aggTrade",
        "btcusdt@markPrice",
        "btcusdt@markPrice@1s",
        "!markPrice@arr",
        "!markPrice@arr@1s",
        *(f"btcusdt@kline_{interval}" for interval in INTERVALS),
        *(f"btcusdt_perpetual@continuousKline_{interval}" for interval in INTERVALS),
        "btcusdt@miniTicker",
        "!miniTicker@arr",
        "btcusdt@ticker",
        "!ticker@arr",
        "btcusdt@forceOrder",
        "!forceOrder@arr",
        "!contractInfo",
        "btcusd@assetIndex",
        "!assetIndex@arr",
    ],
}
SILENT = {
    "defiusdt@compositeIndex": "no composite index is listed",
    "tradingSession": "nothing here trades by the hours of an exchange of shares",
    "btcusdt_current_quarter@continuousKline_1m": "no delivery contract is listed",
}


@pytest.fixture(scope="module")
def operations():
    return Operations(Mock(), Mock(), Mock(), Mock())


def test_the_rest_endpoints_are_those_of_the_table(operations):
    served = {
        f"{method} {path}": (
            operation.security,
            operation.weight_of(Params({})),
            operation.weight_of(Params({"symbol": "BTCUSDT"})),
            (operation.orders_10s, operation.orders_1m),
        )
        for (method, path), operation in operations.rest().items()
    }
    assert served == REST


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)],
    ids=str,
)
def test_a_deeper_book_costs_more(operations, limit, weight):
    assert operations.rest()["GET", "/fapi/v1/depth"].weight_of(Params({"limit": str(limit)})) == weight


@pytest.mark.parametrize(
    ("limit", "weight"), [(100, 1), (101, 2), (500, 2), (501, 5), (1000, 5), (1001, 10), (1500, 10)]
)
def test_more_candles_cost_more(operations, limit, weight):
    assert operations.rest()["GET", "/fapi/v1/klines"].weight_of(Params({"limit": str(limit)})) == weight


def test_the_websocket_methods_do_what_their_endpoints_do(operations):
    rest, methods = operations.rest(), operations.websocket()
    assert methods.keys() == WEBSOCKET.keys()
    for method, line in WEBSOCKET.items():
        verb, path = line.split()
        served, meant = methods[method], rest[verb, path]
        assert (served.name, served.security) == (meant.name, meant.security), method
        assert served.weight_of(Params({})) == meant.weight_of(Params({})), method
        assert (served.orders_10s, served.orders_1m) == (meant.orders_10s, meant.orders_1m), method


async def test_a_session_has_its_own_methods_and_an_unknown_one_is_refused(venue):
    socket = await venue.stream("/ws-fapi/v1")
    told = {method: (await socket.ask(method, {}))["status"] for method in (*SESSION, "session.guess")}
    refused = await socket.ask("session.guess", {})
    assert told == {"session.logon": 401, "session.status": 200, "session.logout": 200, "session.guess": 400}
    assert refused["error"]["code"] == -1020


@pytest.mark.parametrize("route", STREAMS, ids=lambda route: route.value)
def test_the_streams_are_those_of_the_table_on_their_route(route):
    parsed = {name: parse_stream_name(name) for name in STREAMS[route]}
    assert {name: stream.route if stream else None for name, stream in parsed.items()} == dict.fromkeys(parsed, route)


@pytest.mark.parametrize("name", SILENT)
def test_some_streams_are_acknowledged_and_silent(name):
    assert parse_stream_name(name) is None

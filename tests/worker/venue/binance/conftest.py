"""What the exchange says about the symbol, to be changed by a test."""

import json

import pytest

INFO = "/fapi/v1/exchangeInfo"


def filters(**changes: str) -> list[dict[str, object]]:
    rows = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "8000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "700", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "20"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": 4},
    ]
    return [{**row, **{k: v for k, v in changes.items() if k in row}} for row in rows]


DEFAULT_INFO = {
    "rateLimits": [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 30}],
    "symbols": [
        {
            "symbol": "ETHUSDC",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "baseAsset": "ETH",
            "quoteAsset": "USDC",
            "filters": filters(),
        }
    ],
}


@pytest.fixture
def info(exchange):
    """Answers exchangeInfo with the symbol's row changed, and its filters."""

    def change(filter_changes: dict[str, str] | None = None, **row: object) -> None:
        body = json.loads(json.dumps(DEFAULT_INFO))
        body["symbols"][0].update({"filters": filters(**(filter_changes or {})), **row})
        exchange.answers["GET", INFO] = lambda *_: body

    return change

"""The conformance suite trades: it never goes where an order costs money."""

import pytest
from venue_client import is_production


@pytest.mark.parametrize(
    ("url", "costs_money"),
    [
        ("https://fapi.binance.com", True),
        ("https://FAPI.binance.com:443/", True),
        ("https://fapi1.binance.com", True),
        ("https://fapi.binance.com./", True),
        ("wss://ws-fapi.binance.com/ws-fapi/v1", True),
        ("wss://fstream.binance.com", True),
        ("https://demo-fapi.binance.com", False),
        ("https://testnet.binancefuture.com", False),
        ("wss://fstream.binancefuture.com", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_production_is_known_by_its_hosts(url: str, costs_money: bool) -> None:
    assert is_production(url) is costs_money

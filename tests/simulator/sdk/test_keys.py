"""The SDK signs with each kind of key that the venue takes, over REST and over the WebSocket API."""

from collections.abc import Callable

import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from Crypto.PublicKey import ECC, RSA
from sdk_world import SYMBOL, Trader, Venue


def ed25519() -> tuple[str, str]:
    key = ECC.generate(curve="Ed25519")
    return key.export_key(format="PEM"), key.public_key().export_key(format="PEM")


def rsa() -> tuple[str, str]:
    key = RSA.generate(2048)
    return key.export_key().decode(), key.public_key().export_key().decode()


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")
@pytest.mark.parametrize("new_pair", [ed25519, rsa])
async def test_orders_are_taken_that_a_private_key_signed(
    venue: Venue, new_pair: Callable[[], tuple[str, str]], no_warning: Callable[[], None]
) -> None:
    private, public = new_pair()
    api_key = venue.new_keys(publicKey=public)["apiKey"]
    client = DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(
            api_key=api_key, private_key=private, base_path=venue.url, timeout=10_000, retries=0
        ),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=api_key, private_key=private, stream_url=f"{venue.url.replace('http', 'ws', 1)}/ws-fapi/v1"
        ),
    )
    trader = Trader(client.rest_api)
    order_id = trader.resting()
    await client.websocket_api.create_connection()
    try:
        cancelled = (await client.websocket_api.cancel_order(symbol=SYMBOL, order_id=order_id)).data()
    finally:
        await client.websocket_api.close_connection(close_session=True)
    assert cancelled.result.status == "CANCELED"
    no_warning()

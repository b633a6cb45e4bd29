"""A key whose private half the client keeps: what it signs is taken over both ways, and nothing else is."""

from collections.abc import Callable

import pytest
from venue_client import Client, Keys, wire

ORDER = "/fapi/v1/order"
BALANCE = "/fapi/v3/balance"
documented = pytest.mark.documented


@pytest.fixture
def own(client: Client, ed25519_keys: Keys) -> Client:
    """A client with an Ed25519 key."""
    return client.with_keys(ed25519_keys)


@documented("General Info, SIGNED Endpoint security; API Key Types, Ed25519: signatures are case-sensitive")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda signature: signature, 0, id="as it was signed"),
        pytest.param(lambda signature: signature.swapcase(), -1022, id="in another case"),
        pytest.param(lambda signature: signature[4:], -1022, id="cut off"),
        pytest.param(lambda signature: signature[4:8] + signature[:4] + signature[8:], -1022, id="in another order"),
        pytest.param(lambda _: "0" * 64, -1022, id="as a secret would sign"),
    ],
)
async def test_a_rest_request_is_taken_under_an_ed25519_signature_alone(
    own: Client, change: Callable[[str], str], code: int
) -> None:
    sign = own.keys.sign
    changed = own.with_keys(Keys(own.keys.api_key, lambda text: change(sign(text))))
    answer = await changed.signed("GET", BALANCE)
    if code:
        assert (answer.status, answer.body["code"]) == (400, code)
    else:
        assert answer.status == 200


@documented("General Info, SIGNED Endpoint security: the signature covers what is sent")
async def test_a_request_that_was_changed_after_signing_is_refused(own: Client) -> None:
    text = own.with_signature(f"timestamp={own.now_ms()}")
    answer = await own.send("GET", BALANCE, f"recvWindow=5000&{text}", {"X-MBX-APIKEY": own.keys.api_key})
    assert (answer.status, answer.body["code"]) == (400, -1022)


@documented("Websocket API General Info, Request security: SIGNED request example (Ed25519)")
async def test_an_order_is_placed_over_rest_and_cancelled_over_the_websocket_api(own: Client) -> None:
    placed = await own.place()
    api = await own.ws_api()
    values = wire({"symbol": own.symbol, "orderId": placed["orderId"]})
    signed = own.ws_signed(values)
    refused = await api.ask(
        "order.cancel", {**signed, "signature": own.ws_signed({**values, "recvWindow": 1})["signature"]}
    )
    assert (refused["status"], refused["error"]["code"]) == (400, -1022)
    cancelled = await api.ask("order.cancel", signed)
    assert cancelled["result"]["status"] == "CANCELED"

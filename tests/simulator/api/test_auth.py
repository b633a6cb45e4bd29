"""Keys, signatures and time windows (Binance USDⓈ-M documentation, "Endpoint security type")."""

import pytest
from phoenix_simulator.api.auth import Credentials, Timing, hmac_sha256, without_signature
from phoenix_simulator.api.params import Params
from phoenix_simulator.exchange.errors import VenueError

NOON_MS = 1_760_000_000_000
ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.010&price=61000&timeInForce=GTC"


def test_signature_equals_the_documented_example():
    # Of nobody's account: the venue publishes this key with its example.
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    payload = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    assert hmac_sha256(secret, payload) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        pytest.param("a=1&b=2&signature=x", "a=1&b=2", id="last"),
        pytest.param("signature=x&a=1", "a=1", id="first"),
        pytest.param("a=1&signature=x&b=2", "a=1&b=2", id="in the middle"),
        pytest.param("a=%5B1%2C2%5D&signature=x", "a=%5B1%2C2%5D", id="escapes stay as sent"),
        pytest.param('batchOrders=[{"a":"b"}]&signature=x', 'batchOrders=[{"a":"b"}]', id="unencoded JSON stays"),
        pytest.param("a=1", "a=1", id="none"),
    ],
)
def test_the_signature_covers_every_other_byte_as_sent(raw, signed):
    assert without_signature(raw) == signed


def test_a_secret_never_shows():
    credentials = Credentials("account", "label", 0)
    assert credentials.secret not in repr(credentials)
    assert credentials.api_key not in repr(credentials)


def now(venue):
    return venue.server.clock.reported_ms()


async def send(venue, method, path, *, query="", body=None, key=None):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if key is not None:
        headers["X-MBX-APIKEY"] = key
    answer = await venue.raw(method, f"{path}?{query}" if query else path, data=body, headers=headers)
    return answer.status, answer.body


async def test_a_signature_is_good_in_query_body_or_both(venue, maker):
    stamp = f"&timestamp={now(venue)}"
    text = f"{ORDER}{stamp}"
    both = f"{ORDER}{stamp}&recvWindow=9000"
    signature = maker.sign(text)
    cases = [
        (f"{text}&signature={signature}", None),
        (f"{text}&signature={signature.upper()}", None),
        (f"signature={signature}&{text}", None),
        (None, f"{text}&signature={signature}"),
        # Query and body are joined without a separator.
        (f"{ORDER}{stamp}", f"recvWindow=9000&signature={maker.sign(both.replace('&recvWindow', 'recvWindow'))}"),
    ]
    for query, body in cases:
        status, answer = await send(venue, "POST", "/fapi/v1/order", query=query or "", body=body, key=maker.api_key)
        assert status == 200, (query, body, answer)


async def test_on_duplicates_the_query_string_wins(venue, maker):
    query = f"{ORDER}&timestamp={now(venue)}"
    body = "quantity=0.020"
    signature = maker.sign(query + body)
    status, answer = await send(
        venue, "POST", "/fapi/v1/order", query=query, body=f"{body}&signature={signature}", key=maker.api_key
    )
    assert (status, answer["origQty"]) == (200, "0.010")


async def test_unencoded_json_in_a_body_verifies_as_sent(venue, maker):
    item = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTX","quantity":0.01,"price":"61000"}]'
    body = f"timestamp={now(venue)}&batchOrders={item}&recvWindow=10000"
    body += f"&signature={maker.sign(body)}"
    status, answer = await send(venue, "POST", "/fapi/v1/batchOrders", body=body, key=maker.api_key)
    assert (status, [row.get("status") for row in answer]) == (200, ["NEW"])


@pytest.mark.parametrize(
    ("key", "query", "status", "code"),
    [
        pytest.param(None, "signed", 401, -2014, id="no key"),
        pytest.param("short", "signed", 401, -2014, id="malformed key"),
        pytest.param("0" * 64, "signed", 401, -2015, id="unknown key"),
        pytest.param("own", "unsigned", 400, -1102, id="no signature"),
        pytest.param("own", "without timestamp", 400, -1102, id="no timestamp"),
        pytest.param("own", "wrong", 400, -1022, id="wrong signature"),
        pytest.param("own", "tampered", 400, -1022, id="changed after signing"),
    ],
)
async def test_what_is_not_authorised_is_refused(venue, maker, key, query, status, code):
    text = f"{ORDER}&timestamp={now(venue)}"
    queries = {
        "signed": f"{text}&signature={maker.sign(text)}",
        "unsigned": text,
        "without timestamp": f"{ORDER}&signature={maker.sign(ORDER)}",
        "wrong": f"{text}&signature={'0' * 64}",
        "tampered": f"{text.replace('0.010', '0.011')}&signature={maker.sign(text)}",
    }
    used = maker.api_key if key == "own" else key
    got, body = await send(venue, "POST", "/fapi/v1/order", query=queries[query], key=used)
    assert (got, body["code"]) == (status, code)


@pytest.mark.parametrize(
    ("shift_ms", "window", "code"),
    [
        pytest.param(0, 5000, None, id="now"),
        pytest.param(-4000, None, None, id="4 s old, default window of 5 s"),
        pytest.param(-5200, None, -1021, id="older than the default window"),
        pytest.param(-500, 100, -1021, id="older than its own window"),
        pytest.param(800, None, None, id="0.8 s ahead"),
        pytest.param(1500, None, -1021, id="more than 1 s ahead"),
        pytest.param(0, 60_000, None, id="widest window"),
        pytest.param(0, 60_001, -1131, id="window too wide"),
    ],
)
async def test_a_request_counts_only_within_its_window(venue, maker, shift_ms, window, code):
    params = {"timestamp": now(venue) + shift_ms, "symbol": "BTCUSDT"}
    if window is not None:
        params["recvWindow"] = window
    status, body = await maker.ask("GET", "/fapi/v1/openOrders", **params)
    assert (status, body["code"] if code else None) == (400 if code else 200, code)


@pytest.mark.parametrize(
    ("age_ms", "arrival", "engine"),
    [
        pytest.param(-1000, -1021, None, id="1 s ahead is too far"),
        pytest.param(-999, None, None, id="a millisecond less is not"),
        pytest.param(5000, None, None, id="as old as the window counts"),
        pytest.param(5001, -1021, -5028, id="a millisecond more does not"),
    ],
)
def test_the_window_is_exact_to_the_millisecond(age_ms, arrival, engine):
    """timestamp < serverTime + 1000 and serverTime - timestamp <= recvWindow."""
    timing = Timing(Params({"timestamp": str(NOON_MS - age_ms), "recvWindow": "5000"}))
    for check, code in ((timing.check_arrival, arrival), (timing.check_engine, engine)):
        if code is None:
            check(NOON_MS)
        else:
            with pytest.raises(VenueError) as refused:
                check(NOON_MS)
            assert refused.value.code == code


async def test_key_is_checked_before_signature_and_signature_before_parameters(venue, maker):
    text = "side=NOWHERE&timestamp=1"
    assert (await send(venue, "POST", "/fapi/v1/order", query=text))[1]["code"] == -2014
    assert (await send(venue, "POST", "/fapi/v1/order", query=text, key=maker.api_key))[1]["code"] == -1102
    bad = f"{text}&signature=0"
    assert (await send(venue, "POST", "/fapi/v1/order", query=bad, key=maker.api_key))[1]["code"] == -1022
    signed = f"{text}&signature={maker.sign(text)}"
    assert (await send(venue, "POST", "/fapi/v1/order", query=signed, key=maker.api_key))[1]["code"] == -1021
    text = f"side=NOWHERE&timestamp={now(venue)}"
    signed = f"{text}&signature={maker.sign(text)}"
    assert (await send(venue, "POST", "/fapi/v1/order", query=signed, key=maker.api_key))[1]["code"] == -1102


async def test_a_second_key_opens_the_same_account(venue, maker):
    await maker.place()
    twin = await venue.account(sameAs=maker.api_key)
    _, orders = await twin.ask("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert len(orders) == 1
    aliases = {(await account.ask("GET", "/fapi/v3/balance"))[1][0]["accountAlias"] for account in (maker, twin)}
    assert len(aliases) == 1

"""Ed25519 and RSA keys: signatures of REST and WebSocket requests, and the session of the WebSocket API."""

import base64
import hashlib
import random

import pytest
from phoenix_simulator.api import ed25519
from phoenix_simulator.api.public_keys import read_public_key

MESSAGE = b"symbol=BTCUSDT&timestamp=1"
OPENSSL_ED25519 = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAnVt6mNsOq4N1IgHQtAGcgr7r5gdGlHco0OnRjRD8HIQ=
-----END PUBLIC KEY-----
"""
OPENSSL_RSA = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyrqD73smUHN0p6Nx0jyS
peTYfArMHC/6cyUbz6aadSYKhO2FoEQfyeNsYaUieANAlc2Shz2x6cWB8VMj5DkN
XX7D2etQ+aDtCJ+Fu7r4kYlaQKdZC4f9zSKRH+16lC+pEIJOmxIVp4BDvFmePRrX
nl5hkC53NZU0uY9fSQr3DdeoWTeUEpynZuW58fBXsIZzYY44o5ohe6uA/y+BnkLS
Kz10MJHzUOPDnCC6f9iia/+Ft4rf7dUY8pFV5x/QwfrHIphK5vhV8ocw+Wp0jlyZ
8VpSGGyOre3VXf0QsLOOWirSIQInyyNduoWQUp2Ft6+PQIggarSLEh1cUlG/v8fT
HQIDAQAB
-----END PUBLIC KEY-----
"""
OPENSSL_SIGNATURES = {
    OPENSSL_ED25519: "uT7Sfehh+Yj3dmtK2znzMwpzwqsH0u7AEKAMb9LyEPza3VQrm+5hCs1QqIInD7dpuY6nRQxoMsj2oEu6mnc8BQ==",
    OPENSSL_RSA: (
        "D2mwkuP3WC6CqjZtDt4S3ZnvQOtWlTfLxxSGNEbR++GxQqhDf5LRe7f8O/Bm3iR7RwUrr9g6cQbRoUj5SGioXLLUeGK/TrNxR8KYW2M/"
        "HZTO3LVJ9zEY9nuoy1WMEfaR1sy4iw0WjJz+7/s3ik/LWwYqohl7R3aL+o8j6IPZdOBYmZ0FYWHZrw8CfacCdpYo8DWCdj7oZxBWDgjH"
        "wiPhbdfGlcizJ4lMvOPR4oayvMwjBJHkpf+50royMy4kbbaPFsNeqKumTUb7+MPDBk+2mF0qWIn2Yc0md0Qyumk+3UXqMDikhXwuhPR/"
        "lwEXK27qSWni1WnUXBebEwZGZgFS3Q=="
    ),
}
"""Made by OpenSSL; the private keys are nowhere."""
RFC_8032 = [
    pytest.param(
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595"
        "bbe24655141438e7a100b",
        id="test 1",
    ),
    pytest.param(
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb43"
        "02aeeb00d291612bb0c00",
        id="test 2",
    ),
    pytest.param(
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716"
        "ed28dc027beceea1ec40a",
        id="test 3",
    ),
]
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "price": "61000",
    "quantity": "0.010",
}


# ---- pairs of keys to sign with ---------------------------------------------------------------------------------


def der(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    length = size.to_bytes() if size < 128 else (0x80 | (size.bit_length() + 7) // 8).to_bytes()
    return bytes([tag]) + length + (b"" if size < 128 else size.to_bytes((size.bit_length() + 7) // 8)) + content


def pem(info):
    return f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(info).decode()}-----END PUBLIC KEY-----\n"


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1))


def info(object_id, parameters, key):
    return der(0x30, der(0x30, der(6, bytes.fromhex(object_id)), parameters), der(3, b"\0" + key))


class Ed25519Pair:
    """Signs as RFC 8032, 5.1.6, says."""

    def __init__(self, seed):
        digest = hashlib.sha512(seed).digest()
        self._scalar = int.from_bytes(digest[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
        self._prefix = digest[32:]
        self.public = self._times_base(self._scalar)
        self.pem = pem(info("2b6570", b"", self.public))

    def sign(self, text):
        message = text.encode()
        nonce = int.from_bytes(hashlib.sha512(self._prefix + message).digest(), "little") % ed25519.ORDER
        commitment = self._times_base(nonce)
        challenge = int.from_bytes(hashlib.sha512(commitment + self.public + message).digest(), "little")
        scalar = (nonce + challenge * self._scalar) % ed25519.ORDER
        return base64.b64encode(commitment + scalar.to_bytes(32, "little")).decode()

    def _times_base(self, scalar):
        return ed25519.encode_point(ed25519.base().add_to(ed25519.ZERO, scalar))


class RsaPair:
    def __init__(self, bits=2048):
        rng = random.Random(8017)  # noqa: S311 - the same pair in every run; it guards nothing
        p, q = (_prime(rng, bits // 2) for _ in range(2))
        self.modulus = p * q
        self._secret = pow(65_537, -1, (p - 1) * (q - 1))
        key = der(0x30, integer(self.modulus), integer(65_537))
        self.pem = pem(info("2a864886f70d010101", b"\x05\x00", key))

    def sign(self, text):
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text.encode()).digest()
        size = (self.modulus.bit_length() + 7) // 8
        padded = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
        return base64.b64encode(pow(int.from_bytes(padded), self._secret, self.modulus).to_bytes(size)).decode()


def _prime(rng, bits):
    while True:
        number = rng.getrandbits(bits) | 3 << bits - 2 | 1
        if number % 65_537 != 1 and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5)):
            return number


@pytest.fixture(scope="module")
def ed25519_pair():
    return Ed25519Pair(b"a seed of thirty-two bytes, really")


@pytest.fixture(scope="module")
def rsa_pair():
    return RsaPair()


@pytest.fixture(params=["ed25519", "rsa"])
def pair(request, ed25519_pair, rsa_pair):
    return ed25519_pair if request.param == "ed25519" else rsa_pair


# ---- signatures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_signatures_of_the_rfc_are_good_and_every_changed_one_is_not(public, message, signature):
    verifier = ed25519.Verifier(bytes.fromhex(public))
    message, signature = bytes.fromhex(message), bytes.fromhex(signature)
    assert verifier.verify(message, signature)
    assert not verifier.verify(message + b"x", signature)
    for index in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[index] ^= 1
        assert not verifier.verify(message, bytes(changed))
    # The same scalar once more round the group: good arithmetic, but no canonical signature.
    scalar = int.from_bytes(signature[32:], "little") + ed25519.ORDER
    assert not verifier.verify(message, signature[:32] + scalar.to_bytes(32, "little"))
    for other in (b"", signature[:-1], signature + b"\0"):
        assert not verifier.verify(message, other)


@pytest.mark.parametrize("text", [OPENSSL_ED25519, OPENSSL_RSA], ids=["Ed25519", "RSA"])
def test_signatures_of_openssl_are_good_and_every_changed_one_is_not(text):
    key, signature = read_public_key(text), base64.b64decode(OPENSSL_SIGNATURES[text])
    assert key.verify(MESSAGE, signature)
    assert not key.verify(MESSAGE + b"0", signature)
    for changed in (signature[::-1], signature[:-1], signature + b"\0", b""):
        assert not key.verify(MESSAGE, changed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("ssh-ed25519 AAAA", "no PEM", id="another format"),
        pytest.param(OPENSSL_RSA.replace("PUBLIC", "PRIVATE"), "no PEM", id="a private key"),
        pytest.param(pem(b""), "without a key", id="empty"),
        pytest.param(pem(b"\x30\x05"), "without a key", id="cut off"),
        pytest.param(pem(der(0x31)), "without a key", id="another structure"),
        pytest.param("-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----", "without a key", id="bad base64"),
        pytest.param(pem(info("2b656f", b"", bytes(32))), "does not take", id="another curve"),
        pytest.param(pem(info("2b6570", b"", bytes(31))), "no point", id="a short point"),
        pytest.param(pem(info("2b6570", b"", (2).to_bytes(32, "little"))), "no point", id="beside the curve"),
        pytest.param(RsaPair(bits=1024).pem, "2048 to 4096", id="a small RSA key"),
    ],
)
async def test_what_is_no_public_key_is_refused_in_a_sentence(venue, text, says):
    status, body = await venue.control("POST", "/sim/account", {"publicKey": text})
    assert (status, says in body["error"]) == (400, True), body
    assert not venue.server.exchange.accounts


# ---- requests ---------------------------------------------------------------------------------------------------


async def test_rest_requests_are_signed_with_it(venue, pair):
    maker = await venue.account_of(pair, balances={"USDT": "100000"})
    status, placed = await maker.place()
    assert (status, placed["status"]) == (200, "NEW")
    body = f"timestamp={venue.server.clock.reported_ms()}&symbol=BTCUSDT&orderId={placed['orderId']}"
    quoted = maker.query({}).partition("&signature=")[2]
    headers = {"X-MBX-APIKEY": maker.api_key, "Content-Type": "application/x-www-form-urlencoded"}
    stale = await venue.raw("DELETE", "/fapi/v1/order", data=f"{body}&signature={quoted}", headers=headers)
    assert (stale.status, stale.body["code"]) == (400, -1022), "a signature of another request"
    for nonsense in ("", "0" * 64, "%FF", "AAAA"):
        wrong = await venue.raw("DELETE", "/fapi/v1/order", data=f"{body}&signature={nonsense}", headers=headers)
        assert (wrong.status, wrong.body["code"]) == (400, -1022 if nonsense else -1102)


async def test_a_second_key_of_an_account_may_be_of_another_kind(venue, maker, ed25519_pair):
    other = await venue.account_of(ed25519_pair, sameAs=maker.api_key)
    _, placed = await maker.place()
    _, found = await other.ask("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert [order["orderId"] for order in found] == [placed["orderId"]]


class Session:
    """A connection to the WebSocket API."""

    def __init__(self, venue, stream):
        self.venue = venue
        self.stream = stream

    async def ask(self, method, account=None, **params):
        """Signed by `account`, or with nothing but a timestamp."""
        params["timestamp"] = self.venue.server.clock.reported_ms()
        if account is not None:
            params["apiKey"] = account.api_key
            params["signature"] = account.sign("&".join(f"{name}={params[name]}" for name in sorted(params)))
        await self.stream.send({"id": "1", "method": method, "params": params})
        return await self.stream.next()


@pytest.fixture
async def session(venue):
    return Session(venue, await venue.stream("/ws-fapi/v1"))


async def test_websocket_requests_are_signed_with_it(venue, session, pair):
    maker = await venue.account_of(pair, balances={"USDT": "100000"})
    placed = await session.ask("order.place", maker, **ORDER)
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")


async def test_after_a_logon_key_and_signature_may_be_left_out(venue, session, ed25519_pair):
    maker = await venue.account_of(ed25519_pair, balances={"USDT": "100000"})
    logged_on = await session.ask("session.logon", maker)
    assert (logged_on["status"], logged_on["result"]["apiKey"]) == (200, maker.api_key)
    assert logged_on["result"].keys() == {
        "apiKey",
        "authorizedSince",
        "connectedSince",
        "returnRateLimits",
        "serverTime",
    }
    assert [row["count"] for row in logged_on["rateLimits"]] == [5 + 2 + 0]
    placed = await session.ask("order.place", **ORDER)
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert (await session.ask("userDataStream.start"))["result"].keys() == {"listenKey"}
    await session.stream.send({"id": "1", "method": "account.balance", "params": {}})
    assert (await session.stream.next())["error"]["code"] == -1102, "the timestamp is still required"
    out = await session.ask("session.logout")
    assert (out["result"]["apiKey"], out["result"]["authorizedSince"]) == (None, None)
    assert (await session.ask("order.place", **ORDER))["error"]["code"] == -2014


async def test_a_request_of_a_session_may_bring_its_own_key(venue, session, maker, ed25519_pair):
    own = await venue.account_of(ed25519_pair, balances={"USDT": "100000"})
    await session.ask("session.logon", own)
    placed = await session.ask("order.place", maker, **ORDER)
    _, found = await maker.ask("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert [order["orderId"] for order in found] == [placed["result"]["orderId"]]
    assert (await session.ask("session.status"))["result"]["apiKey"] == own.api_key
    unsigned = await session.ask("order.place", **ORDER, apiKey=maker.api_key)
    assert unsigned["error"]["code"] == -1102, "a key of its own wants its own signature"
    wrong = await session.ask("order.place", **ORDER, signature="AAAA")
    assert wrong["error"]["code"] == -1022, "a signature that is sent is judged"


async def test_a_second_logon_replaces_the_first_and_a_failed_one_does_not(venue, session, maker, ed25519_pair):
    first = await venue.account_of(ed25519_pair)
    second = await venue.account_of(ed25519_pair)
    await session.ask("session.logon", first)
    assert (await session.ask("session.logon", maker))["error"]["code"] == -4056
    assert (await session.ask("session.logon"))["error"]["code"] == -2014
    assert (await session.ask("session.status"))["result"]["apiKey"] == first.api_key
    await session.ask("session.logon", second)
    assert (await session.ask("session.status"))["result"]["apiKey"] == second.api_key


async def test_only_an_ed25519_key_may_log_on(venue, session, maker, rsa_pair):
    for account in (maker, await venue.account_of(rsa_pair)):
        refused = await session.ask("session.logon", account)
        assert (refused["status"], refused["error"]["code"]) == (400, -4056)
        assert (await session.ask("order.place", **ORDER))["error"]["code"] == -2014


async def test_a_logon_is_of_its_connection_alone(venue, session, ed25519_pair):
    await session.ask("session.logon", await venue.account_of(ed25519_pair))
    other = Session(venue, await venue.stream("/ws-fapi/v1"))
    assert (await other.ask("session.status"))["result"]["apiKey"] is None

import base64
import hashlib
import hmac
import pickle
import subprocess
import sys

import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.venue.binance.signing import Credentials, Ed25519Signer, HmacSigner

SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PAYLOAD = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
)
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def test_the_documented_vector_is_reproduced():
    assert HmacSigner(SECRET).sign(PAYLOAD) == SIGNATURE


@pytest.mark.parametrize("cut", [0, 1, 14, len(PAYLOAD)])
def test_a_bound_prefix_signs_like_the_whole_and_as_often_as_asked(cut):
    signer = HmacSigner(SECRET).bound(PAYLOAD[:cut])
    assert [signer.sign(PAYLOAD[cut:]) for _ in range(3)] == [SIGNATURE] * 3


@given(st.text(max_size=200), st.binary(max_size=300), st.binary(max_size=50))
def test_it_is_the_standard_library_s_hmac_for_keys_and_payloads_of_any_length(secret, payload, prefix):
    wanted = hmac.new(secret.encode(), prefix + payload, hashlib.sha256).hexdigest()
    assert HmacSigner(secret).bound(prefix).sign(payload) == wanted


# RFC 8032, 7.1: seed and message in hex, signature in base64, of the tests 1 to 3.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "YpHWV97sJAJIJ+acOr4BowzlSKKEdDpEXjaA19taw6wY/5tTjRbykK5n92CYTcZZSnwV6XFu0o3AJ77O6h7ECg==",
    ),
]


@pytest.mark.parametrize(("seed", "message", "signature"), RFC_8032, ids=["1", "2", "3"])
def test_an_ed25519_signature_is_the_standard_s_as_base64(seed, message, signature):
    assert Ed25519Signer(bytes.fromhex(seed)).sign(bytes.fromhex(message)) == signature


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=80))
def test_an_ed25519_signature_covers_prefix_and_payload_for_another_library(seed, payload, prefix):
    public = ECC.construct(curve="Ed25519", seed=seed).public_key()
    signed = Ed25519Signer(seed).bound(prefix).sign(payload)
    eddsa.new(public, "rfc8032").verify(prefix + payload, base64.b64decode(signed, validate=True))
    assert Ed25519Signer(seed).bound(prefix[:7]).bound(prefix[7:]).sign(payload) == signed


SEED = bytes(range(32))
SIGNERS = pytest.mark.parametrize(
    "signer",
    [HmacSigner(SECRET), HmacSigner(SECRET).bound(b"x"), Ed25519Signer(SEED), Ed25519Signer(SEED).bound(b"x")],
    ids=["HMAC", "HMAC with a prefix", "Ed25519", "Ed25519 with a prefix"],
)


@SIGNERS
def test_neither_key_nor_secret_shows_in_a_repr(signer):
    credentials = Credentials("the-key", signer)
    shown = f"{credentials!r} {credentials} {signer!r} {signer} {vars(type(signer))!r}"
    assert "the-key" not in shown
    assert SECRET not in shown
    assert repr(SEED)[2:-1] not in shown


@SIGNERS
def test_a_signer_does_not_leave_the_process(signer):
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(signer)


def test_the_library_of_one_kind_costs_nothing_where_the_other_signs():
    script = (
        "import sys\nimport phoenix_worker.runtime.credentials\n"
        "from phoenix_worker.venue.binance.signing import HmacSigner\n"
        "HmacSigner('the-secret').sign(b'')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'nacl', 'cffi', '_cffi_backend'}])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

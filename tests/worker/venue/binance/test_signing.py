import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

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


def test_neither_key_nor_secret_shows_in_a_repr():
    credentials = Credentials("the-key", HmacSigner(SECRET))
    shown = f"{credentials!r} {credentials} {credentials.signer!r} {vars(HmacSigner)!r}"
    assert "the-key" not in shown
    assert SECRET not in shown


def test_a_signer_does_not_leave_the_process():
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(HmacSigner(SECRET))

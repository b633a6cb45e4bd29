import base64
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.runtime.credentials import CredentialsError, read_key
from phoenix_worker.runtime.private_key import PrivateKey, PrivateKeyError
from phoenix_worker.runtime.redaction import Redactor
from private_keys import ed25519_pair, encrypted, of_curve

# RFC 8410, 10.3: the same key without and with its public half.
SEED = bytes.fromhex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842")
SHORT = bytes.fromhex("302e020100300506032b657004220420") + SEED
LONG = bytes.fromhex(
    f"3072020101300506032b657004220420{SEED.hex()}a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273812100"
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
)
RSA = bytes.fromhex("3017020100300d06092a864886f70d010101050004033001ff")  # by its name; the numbers are none


def pem(der: bytes | str, *, label: str = "PRIVATE KEY", width: int = 64, end: str = "\n") -> str:
    text = der if isinstance(der, str) else base64.b64encode(der).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return end.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(pem(SHORT), id="as openssl writes it"),
        pytest.param(pem(LONG), id="with its public half, as others do"),
        pytest.param(pem(SHORT, end="\r\n"), id="from Windows"),
        pytest.param(pem(SHORT, width=20), id="in short lines"),
        pytest.param(pem(SHORT, end=" "), id="lines that became blanks"),
        pytest.param(f"\n  {pem(SHORT)}\n\n", id="with space around it"),
    ],
)
def test_a_private_key_is_read(text):
    assert PrivateKey(text).seed == SEED


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("two words", "is no PEM", id="something else"),
        pytest.param(base64.b64encode(SHORT).decode(), "is no PEM", id="without its first line"),
        pytest.param(SEED.hex(), "is no PEM", id="the bare seed"),
        pytest.param(encrypted(), "is encrypted, and nobody is there to type its passphrase: .* -out", id="encrypted"),
        pytest.param(pem(RSA), "is an RSA key, and only Ed25519 signs: make a pair", id="RSA"),
        pytest.param(pem("c2VjcmV0", label="RSA PRIVATE KEY"), "is an RSA key", id="RSA in its own form"),
        pytest.param(of_curve("P-256"), "is a key of an elliptic curve that the exchange", id="another curve"),
        pytest.param(of_curve("Ed448"), "is an Ed448 key", id="Ed448"),
        pytest.param(of_curve("Curve25519"), "is an X25519 key, which cannot sign", id="X25519"),
        pytest.param(pem("c2VjcmV0", label="EC PRIVATE KEY"), "is a key of an elliptic curve", id="EC in its own form"),
        pytest.param(
            pem("c2VjcmV0", label="EC PARAMETERS") + pem("c2VjcmV0", label="EC PRIVATE KEY"),
            "is a key of an elliptic curve",
            id="EC with its curve in front, as openssl writes it",
        ),
        pytest.param(pem("c2VjcmV0", label="OPENSSH PRIVATE KEY"), "is written for OpenSSH", id="OpenSSH"),
        pytest.param(pem("c2VjcmV0", label="CERTIFICATE"), "is a PEM of something else", id="a certificate"),
        pytest.param(ed25519_pair()[1], "is the public half of a pair, which goes to the exchange", id="public half"),
        pytest.param("".join(ed25519_pair()), "holds more than one PEM", id="both halves"),
        pytest.param(pem(SHORT).replace("\n", "\\n"), "is damaged: copy the file whole", id="line ends written out"),
        pytest.param(pem(SHORT).partition("-----END")[0], "is damaged", id="without its last line"),
        pytest.param(pem(SHORT)[:60] + pem(SHORT)[64:], "is damaged", id="a piece lost"),
        pytest.param(pem(SHORT + b"\0"), "is damaged", id="something after it"),
        pytest.param(pem(SHORT.replace(b"\x04\x22\x04\x20", b"\x04\x22\x04\x1f")), "is damaged", id="a byte short"),
        pytest.param(pem(SHORT.replace(b"\x30\x2e", b"\x30\x80")), "is damaged", id="a length that is none"),
        pytest.param(pem(b"\x30\x84\xff\xff\xff\xff"), "is damaged", id="a length beyond all bytes"),
        pytest.param(pem("===="), "is damaged", id="no base64"),
        pytest.param(pem(b""), "is damaged", id="nothing in it"),
        pytest.param("a note\n" + pem(SHORT), "holds something beside its PEM", id="words before it"),
        pytest.param(pem(SHORT) + "priv:\n  d4:ee:72", "holds something beside its PEM", id="what openssl -text says"),
    ],
)
def test_what_is_none_is_refused_with_what_it_is_and_never_with_what_is_in_it(tmp_path, text, says):
    (tmp_path / "apiKey").write_text("the-key")
    (tmp_path / "privateKey").write_text(text)
    with pytest.raises(CredentialsError, match=f"{tmp_path}/privateKey: {says}") as refused:
        read_key(tmp_path)
    told = str(refused.value)
    assert told.count("\n") == 0
    assert Redactor()(told) == told, "nothing in the sentence looks like a secret"
    body = [line for line in text.splitlines() if len(line) > 8 and not line.startswith("-----")]
    assert [line for line in body if line in told or line[:12] in told] == []
    assert refused.value.__suppress_context__, "a crash report tells the sentence alone"


@given(st.one_of(st.binary(max_size=80), st.integers(0, len(LONG)).map(lambda at: LONG[:at] + LONG[at + 1 :])))
def test_bytes_of_any_kind_are_a_key_or_a_sentence(der):
    try:
        key = PrivateKey(pem(der))
    except PrivateKeyError as refused:
        assert str(refused)  # noqa: PT017 - either may come
    else:
        assert len(key.seed) == 32


def test_a_private_key_is_neither_shown_nor_copied_out():
    key = PrivateKey(pem(SHORT))
    body = base64.b64encode(SHORT).decode()
    assert body not in f"{key!r} {key} {[key]}"
    assert repr(SEED) not in repr(key)
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(key)


@pytest.mark.parametrize("width", [64, 24])
def test_its_lines_and_its_base64_are_hidden_wherever_they_stand(width):
    text = pem(SHORT, width=width)
    redact = Redactor()
    redact.hide(PrivateKey(text).secrets)
    body = base64.b64encode(SHORT).decode()
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    told = redact(f"{text} {text!r} {body} {' '.join(lines)}")
    assert [line for line in [*lines, body] if line in told] == []

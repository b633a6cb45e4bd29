"""A private key as people have it in a file: PEM of PKCS#8 (RFC 7468, RFC 5958), for Ed25519 (RFC 8410).

Read here and not by a library, because what a person gets wrong (another kind, a passphrase, the public half) needs a
sentence of its own. Signing is the library's.
"""

import base64
import re
from typing import Final

SEED_BYTES: Final = 32
NEW_PAIR: Final = "make a pair with: openssl genpkey -algorithm ed25519 -out privateKey"
_LABEL: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_PEM: Final = re.compile(r"-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----")
_DAMAGED: Final = "is damaged: copy the file whole, with its lines, as openssl wrote it"
_INTEGER, _OCTET_STRING, _OBJECT_ID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_ED25519: Final = bytes.fromhex("2b6570")
_KINDS: Final = {
    bytes.fromhex("2a864886f70d010101"): "an RSA key",
    bytes.fromhex("2a864886f70d01010a"): "an RSA key",
    bytes.fromhex("2a8648ce3d0201"): "a key of an elliptic curve that the exchange does not take",
    bytes.fromhex("2b656e"): "an X25519 key, which cannot sign",
    bytes.fromhex("2b6571"): "an Ed448 key",
}
_LABELS: Final = {
    "ENCRYPTED PRIVATE KEY": (
        "is encrypted, and nobody is there to type its passphrase: write it without one: openssl pkey -in FILE -out "
        "privateKey"
    ),
    "PUBLIC KEY": "is the public half of a pair, which goes to the exchange: put the private one there",
    "RSA PRIVATE KEY": f"is an RSA key, and only Ed25519 signs: {NEW_PAIR}",
    "EC PRIVATE KEY": f"is a key of an elliptic curve that the exchange does not take: {NEW_PAIR}",
    "OPENSSH PRIVATE KEY": f"is written for OpenSSH, which openssl and the exchange do not read: {NEW_PAIR}",
}


class PrivateKeyError(Exception):
    """What is wrong with it and what to do, without a name in front; never what is in it."""


class PrivateKey:
    """`seed` signs (32 bytes); `secrets` is the text that must never be seen."""

    __slots__ = ("secrets", "seed")

    def __init__(self, pem: str) -> None:
        """Raises `PrivateKeyError`."""
        words = _body(pem).split()
        text = "".join(words)
        self.seed = _seed(text)
        self.secrets = (*words, text)

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not copied out of the process")


def _body(pem: str) -> str:
    """What stands between the two lines of the one block that there is."""
    match [label for label in _LABEL.findall(pem) if label != "EC PARAMETERS"]:
        case []:
            raise PrivateKeyError(f"is no PEM, whose first line says BEGIN PRIVATE KEY: {NEW_PAIR}")
        case ["PRIVATE KEY"]:
            found = _PEM.search(pem)
            if found is None:
                raise PrivateKeyError(_DAMAGED)
            if found[0] != pem.strip():
                raise PrivateKeyError("holds something beside its PEM: leave what stands from BEGIN to END alone in it")
            return found[1]
        case [label]:
            raise PrivateKeyError(_LABELS.get(label, f"is a PEM of something else: {NEW_PAIR}"))
        case _:
            raise PrivateKeyError("holds more than one PEM: leave the private key alone in it")


def _seed(text: str) -> bytes:
    """Of a `OneAsymmetricKey`: version, kind, and the key as octets within octets. What may follow is not needed."""
    try:
        info, after = _element(base64.b64decode(text, validate=True), _SEQUENCE)
        _, info = _element(info, _INTEGER)
        algorithm, info = _element(info, _SEQUENCE)
        kind, _ = _element(algorithm, _OBJECT_ID)
        key, _ = _element(info, _OCTET_STRING)
        seed, beyond = _element(key, _OCTET_STRING) if kind == _ED25519 else (b"", b"")
    except ValueError:
        raise PrivateKeyError(_DAMAGED) from None
    if kind != _ED25519:
        raise PrivateKeyError(f"is {_KINDS.get(kind, 'a key of another kind')}, and only Ed25519 signs: {NEW_PAIR}")
    if len(seed) != SEED_BYTES or after or beyond:
        raise PrivateKeyError(_DAMAGED)
    return seed


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have this tag, and what follows it; `ValueError` for other bytes."""
    if len(der) < 2 or der[0] != tag:
        raise ValueError("another element")
    begin, length = 2, der[1]
    if length & 0x80:  # the long form: so many bytes of length follow
        begin += length & 0x7F
        length = int.from_bytes(der[2:begin])
    end = begin + length
    if end > len(der):
        raise ValueError("cut off")
    return der[begin:end], der[end:]

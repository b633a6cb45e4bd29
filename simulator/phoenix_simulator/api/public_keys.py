"""Public keys that a client signs against, instead of a secret that it shares: Ed25519, and RSA (PKCS#1 v1.5, SHA-256).

A key comes as PEM, the way it is pasted into the venue's website: `-----BEGIN PUBLIC KEY-----`, which is a
SubjectPublicKeyInfo (RFC 5280) in DER. Only checking happens here; nobody's private key is ever needed.
"""

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec

from phoenix_simulator.api.ed25519 import Verifier

_PEM: Final = re.compile(r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")
_SEQUENCE, _INTEGER, _BIT_STRING, _OBJECT_ID = 0x30, 0x02, 0x03, 0x06
_ED25519_ID: Final = bytes.fromhex("2b6570")
_RSA_ID: Final = bytes.fromhex("2a864886f70d010101")
_SHA256_PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 up to the digest (RFC 8017, 9.2)."""
_LEAST_RSA_BITS, _MOST_RSA_BITS = 2_048, 4_096


class Ed25519Key(msgspec.Struct, frozen=True):
    verifier: Verifier

    def verify(self, payload: bytes, signature: bytes) -> bool:
        return self.verifier.verify(payload, signature)


class RsaKey(msgspec.Struct, frozen=True):
    modulus: int
    exponent: int

    def verify(self, payload: bytes, signature: bytes) -> bool:
        size = (self.modulus.bit_length() + 7) // 8
        number = int.from_bytes(signature)
        if len(signature) != size or number >= self.modulus:
            return False
        digest = _SHA256_PREFIX + hashlib.sha256(payload).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
        return pow(number, self.exponent, self.modulus).to_bytes(size) == padded


PublicKey = Ed25519Key | RsaKey


def read_public_key(pem: str) -> PublicKey:
    """ValueError, with a sentence for a person, for what is no public key of a kind that the venue takes."""
    match = _PEM.fullmatch(pem)
    if match is None:
        raise ValueError("publicKey is no PEM; give what stands in a file that begins with -----BEGIN PUBLIC KEY-----")
    try:
        info = _Der(base64.b64decode("".join(match[1].split()), validate=True)).enter(_SEQUENCE)
        kind = info.enter(_SEQUENCE).take(_OBJECT_ID)
        # The first byte of a bit string says how many bits of the last one do not count: none.
        key = info.take(_BIT_STRING)[1:]
        if kind == _ED25519_ID:
            return _ed25519(key)
        if kind == _RSA_ID:
            return _rsa(_Der(key).enter(_SEQUENCE))
    except (IndexError, binascii.Error):
        raise ValueError("publicKey is a PEM without a key in it; write the file anew") from None
    raise ValueError("publicKey is of a kind that the venue does not take; make an Ed25519 or an RSA key")


def decode_signature(text: str) -> bytes | None:
    """The bytes of a base64 signature, or None."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _ed25519(raw: bytes) -> Ed25519Key:
    try:
        return Ed25519Key(Verifier(raw))
    except ValueError:
        raise ValueError("publicKey is no point of Ed25519; write the file anew") from None


def _rsa(numbers: "_Der") -> RsaKey:
    modulus, exponent = (int.from_bytes(numbers.take(_INTEGER)) for _ in range(2))
    if not _LEAST_RSA_BITS <= modulus.bit_length() <= _MOST_RSA_BITS or exponent < 3 or not exponent & 1:
        raise ValueError(f"publicKey is RSA of {modulus.bit_length()} bits; the venue takes 2048 to 4096")
    return RsaKey(modulus, exponent)


class _Der:
    """Reads the few forms of DER that a public key has. IndexError where the bytes are others."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def enter(self, tag: int) -> "_Der":
        return _Der(self.take(tag))

    def take(self, tag: int) -> bytes:
        """The content of the next element, which must have this tag."""
        if self._byte() != tag:
            raise IndexError(tag)
        length = self._byte()
        if length & 0x80:
            # The long form: so many bytes of length follow.
            length = int.from_bytes(self._bytes(length & 0x7F))
        return self._bytes(length)

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._content):
            raise IndexError(count)
        taken, self._at = self._content[self._at : end], end
        return taken

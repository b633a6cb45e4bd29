"""Who we are: the key, and signatures over the exact bytes that are sent, by a shared secret (HMAC) or by the private
half of a pair (Ed25519), of which the exchange has the public one.

REST signs the raw query; the WebSocket API signs its parameters sorted by name and joined like a query. Both put the
API key beside it or at the front, so a signer can be bound to a constant prefix: an HMAC hashes it once.

Each request is signed, with either kind. A logon of the connection (`session.logon`, for Ed25519 alone) would save some
30 µs an order, and make a replaced key and a connection that succeeds another matters of who is logged on where.
"""

import hashlib
from binascii import b2a_base64
from dataclasses import dataclass, field
from typing import Final, Protocol

_BLOCK_BYTES: Final = 64
_SIGNATURE_BYTES: Final = 64


class Signer(Protocol):
    """Signs what is sent with the account's secret."""

    def bound(self, prefix: bytes) -> "Signer":
        """The signer of everything that starts with `prefix`, which is not repeated to `sign`."""
        ...

    def sign(self, payload: bytes) -> str:
        """As text: a JSON string holds it as it is, a query percent-encoded (base64 has `+`, `/` and `=`)."""
        ...


class _Kept:
    """What holds a secret: neither shown nor copied out of the process."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signer holds a secret and is not copied out of the process")


class _KeyedHash(_Kept):
    """The two halves of an HMAC's key schedule (RFC 2104), computed once and copied for each signature: the standard
    library's own copying costs more than the hashing.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: "hashlib._Hash", outer: "hashlib._Hash") -> None:
        self._inner = inner
        self._outer = outer

    def bound(self, prefix: bytes) -> "_KeyedHash":
        inner = self._inner.copy()
        inner.update(prefix)
        return _KeyedHash(inner, self._outer)

    def sign(self, payload: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(payload)
        outer.update(inner.digest())
        return outer.hexdigest()


class HmacSigner(_KeyedHash):
    """hex(HMAC-SHA256(secret, payload)). The secret itself is not kept."""

    __slots__ = ()

    def __init__(self, secret: str) -> None:
        key = secret.encode()
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        key = key.ljust(_BLOCK_BYTES, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        super().__init__(inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in key)))


class Ed25519Signer(_Kept):
    """base64(Ed25519(seed, payload)), RFC 8032. The whole payload is hashed twice, so a prefix saves no work here."""

    __slots__ = ("_prefix", "_secret_key", "_sign")

    def __init__(self, seed: bytes) -> None:
        """`seed`: 32 bytes, what RFC 8032 calls the private key."""
        # 3 MiB that only who has such a key shall pay for.
        from nacl.bindings import crypto_sign, crypto_sign_seed_keypair  # noqa: PLC0415 - see above

        self._secret_key = crypto_sign_seed_keypair(seed)[1]
        self._sign = crypto_sign
        self._prefix = b""

    def bound(self, prefix: bytes) -> "Ed25519Signer":
        other = object.__new__(Ed25519Signer)
        other._secret_key, other._sign, other._prefix = self._secret_key, self._sign, self._prefix + prefix
        return other

    def sign(self, payload: bytes) -> str:
        signed = self._sign(self._prefix + payload, self._secret_key)
        return b2a_base64(signed[:_SIGNATURE_BYTES], newline=False).decode()


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and what signs for it. Neither shows in a repr."""

    api_key: str = field(repr=False)
    signer: Signer = field(repr=False)

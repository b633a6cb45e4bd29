"""Who we are: the key, and signatures over the exact bytes that are sent.

REST signs the raw query; the WebSocket API signs its parameters sorted by name and joined like a query. Both put the
API key beside it or at the front, so a signer can be bound to a constant prefix that is hashed once.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Protocol

_BLOCK_BYTES: Final = 64


class Signer(Protocol):
    """Signs what is sent with the account's secret."""

    def bound(self, prefix: bytes) -> "Signer":
        """The signer of everything that starts with `prefix`, which is not repeated to `sign`."""
        ...

    def sign(self, payload: bytes) -> str:
        """The signature, ready to stand in a query or a JSON string."""
        ...


class _KeyedHash:
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

    def __repr__(self) -> str:
        return "HmacSigner(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signer holds a secret and is not copied out of the process")


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


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and what signs for it. Neither shows in a repr."""

    api_key: str = field(repr=False)
    signer: Signer = field(repr=False)

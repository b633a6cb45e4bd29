"""Who we are: the key, and signatures over the exact bytes that are sent.

REST signs the raw query; the WebSocket API signs its parameters sorted by name and joined like a query. Both put the
API key beside it or at the front, so a signer can be bound to a constant prefix that is hashed once.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol


class Signer(Protocol):
    """Signs what is sent with the account's secret. HMAC today; Ed25519 fits the same two methods."""

    def bound(self, prefix: bytes) -> "Signer":
        """The signer of everything that starts with `prefix`, which is not repeated to `sign`."""
        ...

    def sign(self, payload: bytes) -> str:
        """The signature, ready to stand in a query or a JSON string."""
        ...


class HmacSigner:
    """hex(HMAC-SHA256(secret, payload)). The key schedule is computed once and copied."""

    __slots__ = ("_state",)

    def __init__(self, secret: str | hmac.HMAC) -> None:
        self._state = hmac.new(secret.encode(), digestmod=sha256) if isinstance(secret, str) else secret

    def bound(self, prefix: bytes) -> "HmacSigner":
        state = self._state.copy()
        state.update(prefix)
        return HmacSigner(state)

    def sign(self, payload: bytes) -> str:
        state = self._state.copy()
        state.update(payload)
        return state.hexdigest()

    def __repr__(self) -> str:
        return "HmacSigner(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signer holds a secret and is not copied out of the process")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and what signs for it. Neither shows in a repr."""

    api_key: str = field(repr=False)
    signer: Signer = field(repr=False)

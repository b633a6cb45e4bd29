"""Keys, signatures and the time window of a request.

A key is issued with a secret (HMAC), or for a public key that a client brought (Ed25519, RSA).

A REST signature covers the exact bytes sent: the raw query string and the raw body, each without its `signature`
pair, joined without a separator. A WebSocket request is signed over its parameters sorted by name.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from enum import Enum
from typing import Final
from urllib.parse import urlencode

from phoenix_simulator.api.params import Params, wire_text
from phoenix_simulator.api.public_keys import PublicKey, decode_signature
from phoenix_simulator.exchange.errors import VenueError

KEY_FORMAT: Final = re.compile(r"[A-Za-z0-9]{64}")
_DEFAULT_RECV_WINDOW_MS: Final = 5_000
_LARGEST_RECV_WINDOW_MS: Final = 60_000
_FUTURE_TOLERANCE_MS: Final = 1_000


class Security(Enum):
    """What a request must carry."""

    NONE = "NONE"
    MARKET_DATA = "MARKET_DATA"  # a key
    USER_STREAM = "USER_STREAM"  # a key
    USER_DATA = "USER_DATA"  # a key and a signature
    TRADE = "TRADE"  # a key and a signature

    @property
    def signed(self) -> bool:
        return self in {Security.USER_DATA, Security.TRADE}


class Credentials:
    """An API key, and by what its signatures are judged: a secret, unless the client brought a public key. The secret
    never shows in a representation.
    """

    __slots__ = ("account", "api_key", "created_ms", "label", "may_withdraw", "public_key", "secret")

    def __init__(
        self,
        account: str,
        label: str,
        created_ms: int,
        *,
        may_withdraw: bool = False,
        public_key: PublicKey | None = None,
        given: tuple[str, str] | None = None,
    ) -> None:
        self.account = account
        self.label = label
        self.created_ms = created_ms
        self.may_withdraw = may_withdraw
        self.public_key = public_key
        self.api_key, self.secret = given or (secrets.token_hex(32), secrets.token_hex(32))
        if public_key is not None:
            self.secret = ""

    def covers(self, signature: str, payload: str) -> bool:
        """Whether the signature is this key's under the payload."""
        if self.public_key is not None:
            decoded = decode_signature(signature)
            return decoded is not None and self.public_key.verify(payload.encode("utf-8", "surrogateescape"), decoded)
        given = signature.lower().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(hmac_sha256(self.secret, payload).encode(), given)

    def __repr__(self) -> str:
        return f"Credentials(account={self.account!r}, label={self.label!r})"


class KeyRing:
    """All API keys of the exchange."""

    def __init__(self) -> None:
        self._by_key: dict[str, Credentials] = {}

    def issue(
        self,
        account: str,
        label: str,
        now_ms: int,
        *,
        may_withdraw: bool = False,
        public_key: PublicKey | None = None,
        given: tuple[str, str] | None = None,
    ) -> Credentials:
        """`given`: a key and a secret that the client knows already, instead of new ones."""
        credentials = Credentials(account, label, now_ms, may_withdraw=may_withdraw, public_key=public_key, given=given)
        self._by_key[credentials.api_key] = credentials
        return credentials

    def find(self, api_key: str) -> Credentials | None:
        return self._by_key.get(api_key)

    def authorise(self, api_key: str | None) -> Credentials:
        """The credentials behind a key. -2014 for what cannot be a key, -2015 for one that is not known (both 401)."""
        if not api_key or not KEY_FORMAT.fullmatch(api_key):
            raise VenueError(-2014, "API-key format invalid.", http_status=401)
        credentials = self._by_key.get(api_key)
        if credentials is None:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", http_status=401)
        return credentials


def hmac_sha256(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def without_signature(raw: str) -> str:
    """The raw pairs without `signature=…`, wherever it stands; every other byte stays as it was sent."""
    if "signature=" not in raw:
        return raw
    return "&".join(pair for pair in raw.split("&") if not pair.startswith("signature="))


def verify_rest(credentials: Credentials, raw_query: str, raw_body: str, params: Params) -> None:
    """-1102 without a signature, -1022 for one that does not cover what was sent."""
    _verify(credentials, params.text("signature"), (without_signature(raw_query) + without_signature(raw_body),))


def verify_ws(credentials: Credentials, values: Mapping[str, object]) -> None:
    """Clients sign the sorted pairs as text or percent-encoded: either counts."""
    signature = values.get("signature")
    if not isinstance(signature, str) or not signature:
        raise VenueError(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    pairs = [(name, wire_text(value)) for name, value in sorted(values.items()) if name != "signature"]
    _verify(credentials, signature, ("&".join(f"{name}={value}" for name, value in pairs), urlencode(pairs)))


def _verify(credentials: Credentials, signature: str, payloads: tuple[str, ...]) -> None:
    if not any(credentials.covers(signature, payload) for payload in dict.fromkeys(payloads)):
        raise VenueError(-1022, "Signature for this request is not valid.")


class Timing:
    """`timestamp` and `recvWindow` of a signed request, in ms of the venue's time."""

    __slots__ = ("recv_window_ms", "timestamp_ms")

    def __init__(self, params: Params) -> None:
        self.timestamp_ms = params.integer("timestamp")
        self.recv_window_ms = params.integer_or("recvWindow", _DEFAULT_RECV_WINDOW_MS)
        if self.recv_window_ms > _LARGEST_RECV_WINDOW_MS:
            raise VenueError(-1131, "recvWindow must be less than 60000")

    def check_arrival(self, venue_ms: int) -> None:
        if self.timestamp_ms >= venue_ms + _FUTURE_TOLERANCE_MS:
            raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if venue_ms - self.timestamp_ms > self.recv_window_ms:
            raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")

    def check_engine(self, venue_ms: int) -> None:
        """The matching engine looks again: a request that waited on its way may be too old by now."""
        if venue_ms - self.timestamp_ms > self.recv_window_ms:
            raise VenueError(-5028, "Timestamp for this request is outside of the ME recvWindow.")

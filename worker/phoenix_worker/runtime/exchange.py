"""Which exchange a worker may talk to, and the client for it: the account's word decides, and nothing overrides it."""

import random
from urllib.parse import urlsplit

from phoenix_coordination.state import Mode

from phoenix_worker.runtime.clock import VARIABLE, Clock
from phoenix_worker.runtime.credentials import Key
from phoenix_worker.runtime.resolved import Resolved
from phoenix_worker.venue.binance.endpoints import PRODUCTION, TESTNET, Endpoints
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.limits import Limits
from phoenix_worker.venue.binance.settings import MarginType, Settings
from phoenix_worker.venue.binance.signing import Credentials, Ed25519Signer, HmacSigner

SIMULATOR = "Simulator"
PRODUCTION_ENVIRONMENT = "Production"
_FIXED = {PRODUCTION_ENVIRONMENT: PRODUCTION, "Testnet": TESTNET}
_MARGIN_TYPES = {"Cross": MarginType.CROSSED, "Isolated": MarginType.ISOLATED}
_REAL_DOMAINS = ("binance.com", "binancefuture.com", "binance.vision", "binance.us")


class ForbiddenError(Exception):
    """What was asked for must not run; the text says why and what to do."""


def endpoints_of(resolved: Resolved, clock: Clock) -> Endpoints:
    """Where the account is. Raises `ForbiddenError` where mode, environment, address and clock contradict each other.

    Real money is only reached by an account that says Production; a scaled clock and an address of one's own only by
    one that says Simulator, whose address must not be an exchange's.
    """
    if resolved.environment == SIMULATOR:
        host = (urlsplit(resolved.base_url).hostname or "").rstrip(".").lower()
        if not host:
            raise ForbiddenError("environment Simulator needs endpoints.baseUrl in the account: http://host:port")
        if any(host == domain or host.endswith(f".{domain}") for domain in _REAL_DOMAINS):
            raise ForbiddenError(
                f"the account says environment Simulator, and its endpoint {host} is the real exchange's: "
                "write environment: Testnet or Production, without endpoints"
            )
        try:
            return Endpoints.at(resolved.base_url.rstrip("/"))
        except ValueError as error:
            raise ForbiddenError(f"account.spec.endpoints.baseUrl: {error}") from None
    if clock.is_scaled:
        raise ForbiddenError(
            f"{VARIABLE} is set, but the account says environment {resolved.environment}: only a simulator shares our "
            "clock; unset it"
        )
    if resolved.base_url:
        raise ForbiddenError(f"environment {resolved.environment} has fixed addresses: remove the account's endpoints")
    endpoints = _FIXED.get(resolved.environment)
    if endpoints is None:
        raise ForbiddenError(f"environment {resolved.environment!r} is not known: Simulator, Testnet or Production")
    return endpoints


def credentials_of(key: Key) -> Credentials:
    """What signs requests."""
    if key.private_key is None:
        return Credentials(key.api_key, HmacSigner(key.api_secret))
    return Credentials(key.api_key, Ed25519Signer(key.private_key.seed))


def client(endpoints: Endpoints, resolved: Resolved, key: Key, clock: Clock, holder: str) -> BinanceVenue:
    """The client of the account."""
    settings = resolved.settings
    return BinanceVenue(
        endpoints,
        credentials_of(key),
        resolved.symbol,
        Settings(
            net_max=resolved.quoting.net_max,
            leverage=settings.leverage,
            margin_type=_MARGIN_TYPES[settings.margin_type],
            apply=settings.apply,
            limits=Limits(
                weight_share=settings.request_weight_share,
                order_share=settings.order_share,
                reserve_share=settings.reserve_share,
            ),
        ),
        clock=clock,
        random=random.Random(),  # noqa: S311 - jitter, not a secret
        user_agent=f"phoenix/{holder}",
        dry_run=resolved.mode is Mode.DRY_RUN,
    )

"""Where the exchange is. Production and testnet have fixed addresses, so that no key is ever sent elsewhere."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without a trailing slash. `spot` (key permissions) is only known in production.

    `environment` is part of the account's identity: the same alias in two worlds is two accounts.
    """

    environment: str
    rest: str
    streams: str
    ws_api: str
    spot: str | None = None

    @classmethod
    def at(cls, base_url: str) -> "Endpoints":
        """Everything at one base URL (`http://host:port`), as a simulator serves it; raises `ValueError` else."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
            raise ValueError(f"{base_url!r} is no base URL of an exchange: write http://host:port")
        sockets = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
        return cls("simulator", f"{parts.scheme}://{parts.netloc}", sockets, f"{sockets}/ws-fapi/v1")


def account_identity(endpoints: Endpoints, alias: str) -> str:
    """The exchange's own name of an account, whatever a resource calls it; `alias`: `accountAlias` of its balance."""
    return f"binance-usdm:{endpoints.environment}:{alias}"


PRODUCTION = Endpoints(
    environment="production",
    rest="https://fapi.binance.com",
    streams="wss://fstream.binance.com",
    ws_api="wss://ws-fapi.binance.com/ws-fapi/v1",
    spot="https://api.binance.com",
)
TESTNET = Endpoints(
    environment="testnet",
    rest="https://demo-fapi.binance.com",
    streams="wss://fstream.binancefuture.com",
    ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
)

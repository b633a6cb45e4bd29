"""What is asked of an upstream by REST: where it is, what it lists, how its market stands, and its book."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec, to_e8
from phoenix_simulator.market.capture import MessageError, MessageParser, SnapshotRecord

T = TypeVar("T")

BOOK_LEVELS: Final = 1_000
_PATIENCE = aiohttp.ClientTimeout(total=10.0)
_HOUR_MS: Final = 3_600_000
_FUNDING_HOURS: Final = 8
_LIKE: Final = BUILT_IN["SOLUSDT"]
"""What the public data of a venue does not say (leverage brackets, fees, funding cap) of a symbol that is not known
here is this symbol's: of the built-in ones the one with the least leverage."""
_STREAM_HOSTS: Final = {
    "fapi.binance.com": "wss://fstream.binance.com",
    "demo-fapi.binance.com": "wss://demo-fstream.binance.com",
    "testnet.binancefuture.com": "wss://fstream.binancefuture.com",
}
"""Where the venue's streams have a host of their own (Binance USDⓈ-M documentation, "General info")."""


class UpstreamError(Exception):
    """The upstream cannot be used, now or at all; the text is one sentence. `retry_after_s` is what it asked for."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class UpstreamRestartedError(UpstreamError):
    """The upstream is not the one that it was: its ids began anew."""


class Endpoints(msgspec.Struct, frozen=True):
    """`rest` and `streams` without a trailing slash."""

    rest: str
    streams: str

    @classmethod
    def of(cls, url: str) -> "Endpoints":
        """From the REST base URL; UpstreamError where it is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise UpstreamError(f"{url!r} is no base URL; write one like https://fapi.binance.com")
        base = url.rstrip("/")
        streams = _STREAM_HOSTS.get(parts.hostname) or f"ws{base.removeprefix('http')}"
        return cls(base, streams)


# ---- the venue's shapes -----------------------------------------------------------------------------------------


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    contract_type: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    price_precision: int
    quantity_precision: int
    filters: list[dict[str, str | int]]
    liquidation_fee: Decimal = _LIKE.liquidation_fee
    market_take_bound: Decimal = _LIKE.market_take_bound
    onboard_date: int = 0


class _Symbols(msgspec.Struct):
    symbols: list[_Symbol]


class _Funding(msgspec.Struct, rename="camel"):
    symbol: str
    funding_interval_hours: int = _FUNDING_HOURS
    adjusted_funding_rate_cap: Decimal | None = None


class _Premium(msgspec.Struct, rename="camel"):
    mark_price: Decimal
    index_price: Decimal
    last_funding_rate: Decimal


class Marks(msgspec.Struct, frozen=True):
    mark_e8: int
    index_e8: int
    funding_rate_e8: int


class _LastId(msgspec.Struct, rename="camel"):
    last_update_id: int


# ---- asking -----------------------------------------------------------------------------------------------------


class Questions:
    """Each raises UpstreamError where it gets no usable answer. Weights are the venue's."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self._http = http
        self._base_url = base_url

    async def specs(self, symbols: Sequence[str]) -> Mapping[str, SymbolSpec]:
        """What these symbols are at the upstream (weight 1)."""
        listed = {row.symbol: row for row in (await self._ask("/fapi/v1/exchangeInfo", _Symbols)).symbols}
        funding = {row.symbol: row for row in await self._ask("/fapi/v1/fundingInfo", list[_Funding])}
        unknown = [name for name in symbols if name not in listed or listed[name].contract_type != "PERPETUAL"]
        if unknown:
            raise UpstreamError(f"{self._base_url} lists no perpetual {', '.join(unknown)}")
        return {name: _spec(listed[name], funding.get(name)) for name in symbols}

    async def marks(self, symbol: str) -> Marks:
        """Weight 1."""
        said = await self._ask(f"/fapi/v1/premiumIndex?symbol={symbol}", _Premium)
        return Marks(_e8(said.mark_price), _e8(said.index_price), _e8(said.last_funding_rate))

    async def book(self, symbol: str, parser: MessageParser) -> SnapshotRecord:
        """The snapshot that the local book begins with (weight 20)."""
        raw = await self._get(f"/fapi/v1/depth?symbol={symbol}&limit={BOOK_LEVELS}")
        try:
            record = parser.record(raw, 0)
        except (MessageError, msgspec.DecodeError) as error:
            raise UpstreamError(f"depth snapshot of {symbol}: {error}") from None
        if not isinstance(record, SnapshotRecord):
            raise UpstreamError(f"depth snapshot of {symbol}: the answer is none")
        return record

    async def last_update_id(self, symbol: str) -> int:
        """How far the upstream's book is (weight 2)."""
        return (await self._ask(f"/fapi/v1/depth?symbol={symbol}&limit=5", _LastId)).last_update_id

    async def _ask(self, target: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(await self._get(target), type=kind)
        except msgspec.DecodeError as error:
            raise UpstreamError(f"{self._base_url}{target} does not answer like the venue: {error}") from None

    async def _get(self, target: str) -> bytes:
        try:
            async with self._http.get(self._base_url + target, timeout=_PATIENCE) as answer:
                if answer.status != HTTPStatus.OK:
                    wait = answer.headers.get("Retry-After", "")
                    reason = f"{self._base_url}{target} answers HTTP {answer.status}"
                    raise UpstreamError(reason, float(wait) if wait.isdigit() else 0.0)
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamError(f"{self._base_url} cannot be reached: {error or type(error).__name__}") from None


def _e8(value: Decimal) -> int:
    """Prices of the venue have up to eight decimals; what is finer is cut."""
    return int(value.scaleb(8))


def _spec(row: _Symbol, funding: _Funding | None) -> SymbolSpec:
    """The upstream's filters; what only an account would be told is the built-in symbol's, or `_LIKE`'s."""
    like = BUILT_IN.get(row.symbol, _LIKE)
    filters = {str(entry.get("filterType")): entry for entry in row.filters}

    def number(kind: str, field: str) -> Decimal:
        return Decimal(str(filters[kind][field]))

    try:
        tick, step = number("PRICE_FILTER", "tickSize"), number("LOT_SIZE", "stepSize")
        return msgspec.structs.replace(
            like,
            symbol=row.symbol,
            base_asset=row.base_asset,
            quote_asset=row.quote_asset,
            margin_asset=row.margin_asset,
            price_precision=row.price_precision,
            quantity_precision=row.quantity_precision,
            tick_e8=to_e8(tick),
            step_e8=to_e8(step),
            min_price_ticks=-int(-number("PRICE_FILTER", "minPrice") // tick),
            max_price_ticks=int(number("PRICE_FILTER", "maxPrice") // tick),
            min_steps=-int(-number("LOT_SIZE", "minQty") // step),
            max_steps=int(number("LOT_SIZE", "maxQty") // step),
            market_max_steps=int(number("MARKET_LOT_SIZE", "maxQty") // step),
            min_notional_e8=to_e8(number("MIN_NOTIONAL", "notional")),
            max_num_orders=int(number("MAX_NUM_ORDERS", "limit")),
            multiplier_up=number("PERCENT_PRICE", "multiplierUp"),
            multiplier_down=number("PERCENT_PRICE", "multiplierDown"),
            market_take_bound=row.market_take_bound,
            liquidation_fee=row.liquidation_fee,
            funding_interval_ms=(funding.funding_interval_hours if funding else _FUNDING_HOURS) * _HOUR_MS,
            funding_cap=(funding and funding.adjusted_funding_rate_cap) or like.funding_cap,
            onboard_ms=row.onboard_date or like.onboard_ms,
        )
    except KeyError as error:
        raise UpstreamError(f"exchangeInfo of {row.symbol} has no {error.args[0]}") from None
    except (ArithmeticError, ValueError) as error:
        raise UpstreamError(f"exchangeInfo of {row.symbol} cannot be used: {error}") from None

"""Replies about the exchange, the symbol and the account that are read before the first quote and hourly after it.

`Instrument` is made here, exactly, from `exchangeInfo`. Shapes: Binance USDⓈ-M documentation, exchange information and
account endpoints.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from phoenix_worker.core.instrument import MONEY, Grid, Instrument, OffGridError
from phoenix_worker.venue.binance.limits import Limits
from phoenix_worker.venue.binance.messages import DecodeError, Frame, Price, Quantity, Rate, symbol_status
from phoenix_worker.venue.binance.wsapi import RateLimit

T = TypeVar("T")
MONEY_DECIMALS = 8


class ServerTime(Struct, gc=False):
    server_ms: int = field(name="serverTime")


class Filter(Struct, gc=False):
    """A row of `filters`; which of the fields are there depends on the type."""

    kind: str = field(name="filterType")
    min_price: str = field(name="minPrice", default="0")
    max_price: str = field(name="maxPrice", default="0")
    tick: str = field(name="tickSize", default="0")
    min_qty: str = field(name="minQty", default="0")
    max_qty: str = field(name="maxQty", default="0")
    step: str = field(name="stepSize", default="0")
    notional: str = "0"
    limit: int = 0
    up: str = field(name="multiplierUp", default="0")
    down: str = field(name="multiplierDown", default="0")


class SymbolInfo(Struct, gc=False):
    symbol: str
    status: str
    contract_type: str = field(name="contractType")
    base_asset: str = field(name="baseAsset")
    quote_asset: str = field(name="quoteAsset")
    filters: list[Filter]

    def instrument(self) -> Instrument:
        """Exact; raises `ValueError` or decimal's errors where a filter is missing or cannot be met by whole units."""
        filters = {row.kind: row for row in self.filters}
        missing = [kind for kind in _NEEDED if kind not in filters]
        if missing:
            raise ValueError(f"filters {', '.join(missing)} are missing")
        price, lot, market = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MARKET_LOT_SIZE"]
        ticks, steps = Grid.of(Decimal(price.tick)), Grid.of(Decimal(lot.step))
        if ticks.scale + steps.scale > MONEY_DECIMALS:
            raise OffGridError(f"tick {price.tick} times step {lot.step} has more than {MONEY_DECIMALS} decimals")
        band = filters["PERCENT_PRICE"]
        return Instrument(
            symbol=self.symbol,
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            price=ticks,
            quantity=steps,
            min_price_ticks=max(ticks.count(price.min_price), 1),
            max_price_ticks=ticks.floor(Decimal(price.max_price)) or _UNBOUNDED,
            min_qty_steps=max(steps.count(lot.min_qty), 1),
            max_qty_steps=steps.floor(Decimal(lot.max_qty)) or _UNBOUNDED,
            market_min_steps=max(_ceil(steps, market.min_qty), 1),
            market_max_steps=steps.floor(Decimal(market.max_qty)) or _UNBOUNDED,
            min_notional=int(Decimal(filters["MIN_NOTIONAL"].notional) * MONEY),
            band_up=_ratio(band.up),
            band_down=_ratio(band.down),
            max_open_orders=filters["MAX_NUM_ORDERS"].limit,
            status=symbol_status(self.status),
        )


_NEEDED = ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL", "PERCENT_PRICE", "MAX_NUM_ORDERS")
_UNBOUNDED = 10**15
"""A bound of 0 disables the rule (documentation: filters)."""


def _ceil(grid: Grid, text: str) -> int:
    floor = grid.floor(Decimal(text))
    return floor if Decimal(grid.text(floor)) == Decimal(text) else floor + 1


def _ratio(text: str) -> float:
    value = float(text)
    if not 0 < value < 100:
        raise ValueError(f"price band {text} is no multiplier")
    return value


class _Named(Struct, gc=False):
    symbol: str


class ExchangeInfo(Struct, gc=False):
    limits: list[RateLimit] = field(name="rateLimits")
    symbols: list[msgspec.Raw]

    def symbol(self, name: str) -> SymbolInfo | None:
        """One of several hundred; the others are not looked at, whatever is odd about them. Raises `DecodeError`."""
        for row in self.symbols:
            if decode(_Named, row).symbol == name:
                return decode(SymbolInfo, row)
        return None

    def request_limits(self, present: Limits) -> Limits:
        """The exchange's own limits with the shares of `present`."""
        found = {(row.kind, row.seconds): row.limit for row in self.limits if row.limit > 0}
        return replace(
            present,
            weight_1m=found.get(("REQUEST_WEIGHT", 60), present.weight_1m),
            orders_10s=found.get(("ORDERS", 10), present.orders_10s),
            orders_1m=found.get(("ORDERS", 60), present.orders_1m),
        )


class CommissionRate(Struct, gc=False):
    """Fractions of the notional; negative is a rebate."""

    maker: Rate = field(name="makerCommissionRate")
    taker: Rate = field(name="takerCommissionRate")


class AccountConfig(Struct, gc=False):
    can_trade: bool = field(name="canTrade")
    hedge_mode: bool = field(name="dualSidePosition")
    multi_assets: bool = field(name="multiAssetsMargin")


class SymbolConfig(Struct, gc=False):
    symbol: str
    margin_type: str = field(name="marginType")
    leverage: int


class Bracket(Struct, gc=False):
    leverage: int = field(name="initialLeverage")
    cap: Quantity = field(name="notionalCap")


class SymbolBrackets(Struct, gc=False):
    symbol: str
    brackets: list[Bracket]

    def room(self, leverage: int) -> float:
        """Largest position notional at this leverage."""
        return max((b.cap for b in self.brackets if b.leverage >= leverage), default=0.0)


class BalanceRow(Struct, gc=False):
    alias: str = field(name="accountAlias")
    asset: str


class MarkPrice(Struct, gc=False):
    symbol: str
    mark: Price = field(name="markPrice")


class KeyRestrictions(Struct, gc=False):
    """What the key may do (spot host)."""

    withdrawals: bool = field(name="enableWithdrawals")
    futures: bool = field(name="enableFutures")


def decode(kind: type[T], body: Frame | msgspec.Raw) -> T:
    """A reply of this shape, numbers in strings admitted; raises `DecodeError`."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(getattr(kind, "__name__", str(kind)), error, bytes(body)) from error

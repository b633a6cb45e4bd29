"""What the exchange says of the whole account: every symbol's position and open orders, with a maker or without.

Quantities and prices are exact (`Decimal`, the symbol's own units), values are in the symbol's margin asset. Nothing
here needs an instrument: symbols that nobody configured are read like all others. Shapes: Binance USDⓈ-M documentation,
account and trade endpoints.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar

from msgspec import Raw, Struct, field
from phoenix_coordination.redis.ledger import Holding

from phoenix_worker.core.events import Side
from phoenix_worker.core.stewardship import Margin
from phoenix_worker.venue.binance import replies
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.outcomes import Verdict
from phoenix_worker.venue.binance.own_messages import ONE_WAY
from phoenix_worker.venue.binance.preflight import measure_clock
from phoenix_worker.venue.binance.rest import Parameters, Rest, RestError, Security
from phoenix_worker.venue.binance.signing import Credentials
from phoenix_worker.venue.clock import Clock

ROUNDS = 4
ROUND_PAUSE_S = 0.2
RECV_WINDOW_MS = 5000

RECENT_ORDERS = 100
LARGEST = 10**15
T = TypeVar("T")


class AccountUnreadableError(OSError):
    """The exchange did not answer, or its answers did not agree; the text says which."""


def _within_reason(*values: Decimal) -> None:
    """A decimal may be NaN or infinite, which every comparison would let through."""
    for value in values:
        if not value.is_finite() or abs(value) > LARGEST:
            raise ValueError(f"{value} is no amount")


def _not_negative(*values: Decimal) -> None:
    _within_reason(*values)
    if min(values) < 0:
        raise ValueError(f"{min(values)} is negative")


class AccountPosition(Struct, frozen=True):
    """One symbol's position: `qty` is signed, in base units; values are in `margin_asset`.

    The exchange has no row where nothing is held or rests, and one with `qty` 0 where only orders rest.
    `liquidation_price` is 0 where there is none.
    """

    symbol: str
    qty: Decimal = field(name="positionAmt")
    entry_price: Decimal = field(name="entryPrice")
    mark_price: Decimal = field(name="markPrice")
    unrealised: Decimal = field(name="unRealizedProfit")
    liquidation_price: Decimal = field(name="liquidationPrice")
    notional: Decimal
    margin_asset: str = field(name="marginAsset")
    initial_margin: Decimal = field(name="initialMargin", default=Decimal(0))
    maintenance_margin: Decimal = field(name="maintMargin", default=Decimal(0))
    updated_ms: int = field(name="updateTime", default=0)
    position_side: str = field(name="positionSide", default=ONE_WAY)

    def __post_init__(self) -> None:
        _within_reason(self.qty, self.unrealised, self.notional, self.initial_margin, self.maintenance_margin)
        _not_negative(self.entry_price, self.mark_price, self.liquidation_price)


class AccountOrder(Struct, frozen=True):
    """One open order of anybody: `price` is 0 for a market order; `qty` and `filled` are in base units.

    `trigger` is the price at which a conditional one becomes an order (0: a trailing one, which moves it): until then
    it rests in no book, and the exchange keeps it elsewhere, under ids of its own.
    """

    symbol: str
    client_id: str = field(name="clientOrderId")
    venue_id: int = field(name="orderId")
    side_name: str = field(name="side")
    kind: str = field(name="type")
    price: Decimal
    qty: Decimal = field(name="origQty")
    filled: Decimal = field(name="executedQty")
    state: str = field(name="status")
    reduce_only: bool = field(name="reduceOnly", default=False)
    time_in_force: str = field(name="timeInForce", default="")
    placed_ms: int = field(name="time", default=0)
    updated_ms: int = field(name="updateTime", default=0)
    trigger: Decimal | None = None

    def __post_init__(self) -> None:
        _not_negative(self.price, self.qty, self.filled, self.trigger or Decimal(0))
        if self.side_name not in Side.__members__:
            raise ValueError(f"{self.side_name!r} is no side")

    @property
    def side(self) -> Side:
        return Side[self.side_name]

    @property
    def remaining(self) -> Decimal:
        return max(self.qty - self.filled, Decimal(0))


class _Conditional(Struct, frozen=True):
    """A row of the conditional orders, which calls nearly everything by other names than an order's."""

    symbol: str
    client_id: str = field(name="clientAlgoId")
    venue_id: int = field(name="algoId")
    side: str
    kind: str = field(name="orderType")
    price: Decimal
    qty: Decimal = field(name="quantity")
    state: str = field(name="algoStatus")
    reduce_only: bool = field(name="reduceOnly")
    closes: bool = field(name="closePosition")
    placed_ms: int = field(name="createTime")
    updated_ms: int = field(name="updateTime")
    trigger: Decimal = field(name="triggerPrice", default=Decimal(0))

    def order(self) -> AccountOrder:
        return AccountOrder(
            symbol=self.symbol,
            client_id=self.client_id,
            venue_id=self.venue_id,
            side_name=self.side,
            kind=self.kind,
            price=self.price,
            qty=self.qty,
            filled=Decimal(0),
            state=self.state,
            reduce_only=self.reduce_only or self.closes,
            placed_ms=self.placed_ms,
            updated_ms=self.updated_ms,
            trigger=self.trigger,
        )


class ConditionalOrders(Struct, frozen=True):
    """What could be read of them, and in `problem` what could not and why: empty where that is all there are."""

    orders: list[AccountOrder]
    problem: str = ""


class AssetMargin(Struct, frozen=True):
    """One margin asset: wallet and unrealised profit together, and the maintenance margin of what it backs."""

    asset: str
    balance: Decimal = field(name="marginBalance")
    maintenance: Decimal = field(name="maintMargin")

    def __post_init__(self) -> None:
        _within_reason(self.balance, self.maintenance)


class BusySymbol(Struct, frozen=True):
    """A symbol with a position or open orders. Both are signed: base units, and their value at mark."""

    symbol: str
    qty: Decimal = field(name="positionAmt")
    notional: Decimal

    def __post_init__(self) -> None:
        _within_reason(self.qty, self.notional)


class AccountState(Struct, frozen=True):
    """The whole account in one reading. The totals are the sum in USD only in multi-assets mode."""

    total_balance: Decimal = field(name="totalMarginBalance")
    total_maintenance: Decimal = field(name="totalMaintMargin")
    assets: list[AssetMargin]
    busy: list[BusySymbol] = field(name="positions")

    def __post_init__(self) -> None:
        _within_reason(self.total_balance, self.total_maintenance)

    def margins(self, *, multi_assets: bool) -> list[Margin]:
        """What stands against a liquidation: each asset for itself, or in multi-assets mode all together."""
        if multi_assets:
            return [Margin("all assets", float(self.total_balance), float(self.total_maintenance))]
        return [Margin(row.asset, float(row.balance), float(row.maintenance)) for row in self.assets]


class AccountReader:
    """Reads over HTTP with the urgency of what reduces risk; raises `AccountUnreadableError` and nothing else, and for
    conditional orders not even that: whoever withdraws what rests must not depend on them.
    """

    def __init__(self, rest: Rest, time: ExchangeTime) -> None:
        self._rest = rest
        self._time = time

    def now_ms(self) -> int:
        """The exchange's time."""
        return self._time.now_ms()

    async def state(self) -> AccountState:
        """Margin, and which symbols are busy. Weight 5."""
        return await self._read(AccountState, "/fapi/v3/account", [], weight=5)

    async def is_multi_assets(self) -> bool:
        """Whether all assets stand for each other. Weight 5."""
        return (await self._read(replies.AccountConfig, "/fapi/v1/accountConfig", [], weight=5)).multi_assets

    async def positions(self, symbol: str = "") -> list[AccountPosition]:
        """Of all symbols, or one. Refuses hedge mode, whose two positions a symbol no sum here knows. Weight 5."""
        rows = await self._read(list[AccountPosition], "/fapi/v3/positionRisk", _of(symbol), weight=5)
        hedged = sorted({row.symbol for row in rows if row.position_side != ONE_WAY})
        if hedged:
            raise AccountUnreadableError(f"the account has left one-way position mode: {', '.join(hedged)}")
        return rows

    async def open_orders(self, symbol: str = "") -> list[AccountOrder]:
        """Of all symbols (weight 40), or of one (weight 1)."""
        weight = 1 if symbol else 40
        return await self._read(list[AccountOrder], "/fapi/v1/openOrders", _of(symbol), weight=weight)

    async def conditional_orders(self, symbol: str = "") -> ConditionalOrders:
        """Of all symbols (weight 40), or of one (weight 1): stops and their like, all of them people's.

        Each row is read for itself: one that cannot be understood is told, and hides none of the others.
        """
        weight, path = 1 if symbol else 40, "/fapi/v1/openAlgoOrders"
        try:
            rows = await self._read(list[Raw], path, _of(symbol), weight=weight)
        except AccountUnreadableError as error:
            return ConditionalOrders([], str(error))
        orders, problems = [], []
        for row in rows:
            try:
                orders.append(replies.decode(_Conditional, row).order())
            except ValueError as error:
                problems.append(f"{path}: {error}")
        if len(problems) > 1:
            return ConditionalOrders(orders, f"{problems[0]} (and {len(problems) - 1} more rows)")
        return ConditionalOrders(orders, "".join(problems))

    async def recent_orders(self, symbol: str) -> list[AccountOrder]:
        """The latest of the symbol, whatever became of them; kept for days to months. Weight 5."""
        parameters: Parameters = [*_of(symbol), ("limit", RECENT_ORDERS)]
        return await self._read(list[AccountOrder], "/fapi/v1/allOrders", parameters, weight=5)

    async def holdings(self, symbol: str = "") -> list[Holding]:
        """What each symbol of the account (or one) holds and could come to hold, at mark: for the shared ledger.

        Position, orders, position again: what fills between the two readings is neither missed nor counted twice, so
        a reading only counts where both positions are equal and every order's symbol is among them. Conditional orders
        hold nothing yet, at the exchange neither: they count when they have become orders.
        """
        before = await self.positions(symbol)
        for attempt in range(ROUNDS):
            if attempt:
                await self._time.clock.sleep(ROUND_PAUSE_S * attempt)
            orders = await self.open_orders(symbol)
            after = await self.positions(symbol)
            held = {row.symbol: row.qty for row in after}
            if held == {row.symbol: row.qty for row in before} and all(order.symbol in held for order in orders):
                rates = await self._rates({row.margin_asset for row in after})
                return holdings_of(after, orders, rates)
            before = after
        raise AccountUnreadableError(f"positions and open orders of the account did not agree within {ROUNDS} readings")

    async def _rates(self, assets: set[str]) -> dict[str, Decimal]:
        """What one unit of each asset is worth: dollar tokens count as equal, all others by their mark in USDT."""
        rates = {}
        for asset in assets:
            if is_dollar(asset):
                rates[asset] = Decimal(1)
            else:
                parameters: Parameters = [("symbol", f"{asset}USDT")]
                mark = await self._read(replies.MarkPrice, "/fapi/v1/premiumIndex", parameters, weight=1, signed=False)
                rates[asset] = Decimal(repr(mark.mark))
        return rates

    async def _read(self, kind: type[T], path: str, parameters: Parameters, *, weight: int, signed: bool = True) -> T:
        security = Security.SIGNED if signed else Security.NONE
        try:
            reply = await self._rest.get(path, parameters, weight=weight, security=security, urgency=Urgency.REDUCE)
            return replies.decode(kind, reply.body)
        except (RestError, DecodeError) as error:
            raise AccountUnreadableError(f"{path}: {error}") from error


def is_dollar(asset: str) -> bool:
    """Whether one unit counts as one of the account's limits' units."""
    return "USD" in asset


def _of(symbol: str) -> Parameters:
    return [("symbol", symbol)] if symbol else []


def holdings_of(
    positions: Sequence[AccountPosition], orders: Sequence[AccountOrder], rates: dict[str, Decimal]
) -> list[Holding]:
    """Everything at mark, whatever an order's own price is: as the ledger values what is pending. Reduce-only orders
    count like any other, as they do in what makers reserve. Raises `AccountUnreadableError` where a mark is missing.
    """
    pending: dict[tuple[str, Side], Decimal] = defaultdict(Decimal)
    for order in orders:
        pending[order.symbol, order.side] += order.remaining
    holdings = []
    for row in positions:
        buys, sells = pending[row.symbol, Side.BUY], pending[row.symbol, Side.SELL]
        if not row.mark_price and (row.qty or buys or sells):
            raise AccountUnreadableError(f"{row.symbol} has no mark price")
        unit = row.mark_price * rates[row.margin_asset]
        if row.qty or buys or sells:
            holdings.append(Holding(row.symbol, float(row.qty * unit), float(buys * unit), float(sells * unit)))
    return holdings


@asynccontextmanager
async def open_account(
    endpoints: Endpoints, credentials: Credentials, clock: Clock, user_agent: str
) -> AsyncIterator[AccountReader]:
    """A reader of its own, for those who are no worker (commands for people). It can change nothing.

    Raises `AccountUnreadableError` where the exchange's clock cannot be read.
    """
    time = ExchangeTime(clock)
    rest = Rest(
        endpoints.rest,
        credentials,
        time,
        RequestBudget(),
        user_agent,
        _heed_nothing,
        RECV_WINDOW_MS,
        read_only=True,
    )
    try:
        try:
            await measure_clock(rest, time)
        except (RestError, DecodeError) as error:
            raise AccountUnreadableError(f"the exchange's clock: {error}") from error
        yield AccountReader(rest, time)
    finally:
        await rest.close()


def _heed_nothing(code: int, verdict: Verdict) -> None:
    """Errors are told to who asked; nobody counts them."""

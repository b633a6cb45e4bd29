"""Our own orders, fills and position, in the user stream and in replies: exact, or a `DecodeError`.

Numbers stay strings until they are whole ticks, steps and money: what concerns our orders never passes through a float.
Shapes: Binance USDⓈ-M documentation, user data streams, trade and account endpoints.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field

from phoenix_worker.core.events import (
    Execution,
    Fill,
    FundingKind,
    FundingPaid,
    FundingRow,
    OpenOrder,
    OrderReport,
    OrderState,
    PositionReport,
    Side,
)
from phoenix_worker.core.instrument import MONEY, Instrument
from phoenix_worker.venue.binance.messages import DecodeError, Frame, Quantity

ONE_WAY: Final = "BOTH"
_LIQUIDATION_STATES: Final = {"NEW_INSURANCE": OrderState.NEW, "NEW_ADL": OrderState.NEW}
_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
T = TypeVar("T")


def money(text: str) -> int:
    """1e-8 units, exact: the exchange books eight decimals. Raises `ValueError` or decimal's errors."""
    if text == "0":
        return 0
    units = Decimal(text) * MONEY
    whole = int(units)
    if whole != units:
        raise ValueError(f"{text} has more than eight decimals")
    return whole


def profit(text: str) -> int:
    """1e-8 units of a realised profit, rounded to even: it may be written with more decimals than are booked."""
    return int((Decimal(text) * MONEY).to_integral_value())


def order_state(text: str) -> OrderState:
    return _LIQUIDATION_STATES.get(text) or OrderState(text)


# -- user data stream --------------------------------------------------------------------------------


class _Order(Struct, gc=False):
    symbol: str = field(name="s")
    client_id: str = field(name="c")
    side: str = field(name="S")
    qty: str = field(name="q")
    price: str = field(name="p")
    execution: str = field(name="x")
    state: str = field(name="X")
    venue_id: int = field(name="i")
    last_qty: str = field(name="l")
    filled: str = field(name="z")
    last_price: str = field(name="L")
    time_ms: int = field(name="T")
    trade_id: int = field(name="t")
    maker: bool = field(name="m")
    reduce_only: bool = field(name="R")
    position_side: str = field(name="ps", default=ONE_WAY)
    realised: str = field(name="rp", default="0")
    commission: str = field(name="n", default="0")
    commission_asset: str | None = field(name="N", default=None)
    expiry_reason: int = field(name="er", default=0)


class OrderTradeUpdate(Struct, gc=False, tag_field="e", tag="ORDER_TRADE_UPDATE"):
    event_ms: int = field(name="E")
    transaction_ms: int = field(name="T")
    order: _Order = field(name="o")


class _Balance(Struct, gc=False):
    asset: str = field(name="a")
    change: str = field(name="bc", default="0")


class _Position(Struct, gc=False):
    symbol: str = field(name="s")
    amount: str = field(name="pa")
    entry: Quantity = field(name="ep")
    side: str = field(name="ps", default=ONE_WAY)


class _Account(Struct, gc=False):
    cause: str = field(name="m")
    balances: list[_Balance] = field(name="B", default_factory=list)
    positions: list[_Position] = field(name="P", default_factory=list)
    symbol: str | None = field(name="S", default=None)


class AccountUpdate(Struct, gc=False, tag_field="e", tag="ACCOUNT_UPDATE"):
    event_ms: int = field(name="E")
    transaction_ms: int = field(name="T")
    account: _Account = field(name="a")


class ListenKeyExpired(Struct, gc=False, tag_field="e", tag="listenKeyExpired"):
    event_ms: int = field(name="E", default=0)


class MarginCall(Struct, gc=False, tag_field="e", tag="MARGIN_CALL"):
    event_ms: int = field(name="E", default=0)


class ServerShutdown(Struct, gc=False, tag_field="e", tag="serverShutdown"):
    event_ms: int = field(name="E", default=0)


UserMessage = OrderTradeUpdate | AccountUpdate | ListenKeyExpired | MarginCall | ServerShutdown
USER_KINDS: Final = frozenset(
    {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "listenKeyExpired", "MARGIN_CALL", "serverShutdown"}
)

# Lax for the few numbers that some captures write as strings and others as numbers (`er`, `ep`).
_user = msgspec.json.Decoder(UserMessage, strict=False).decode
_kind_only = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def user_message(frame: Frame) -> UserMessage | str:
    """A frame of the user stream, bare or enveloped; the name of the event where it is none that we act on (new kinds
    appear without notice). Raises `DecodeError` for a known event in an unknown shape, and for what is no event.
    """
    try:
        message: UserMessage = _user(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            fields = _kind_only(frame)
            if "e" not in fields and "data" in fields:
                return user_message(bytes(fields["data"]))
            kind = _text(fields["e"])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            raise DecodeError("user stream", error, frame) from error
        if kind in USER_KINDS:
            raise DecodeError("user stream", error, frame) from error
        return kind
    return message


def order_report(message: OrderTradeUpdate, at: int, instrument: Instrument) -> OrderReport:
    """Exact report of an order of this instrument; raises `DecodeError` for what does not fit its grid or our enums."""
    return _exact("order report", message.order.client_id.encode(), lambda: _order_report(message, at, instrument))


def _order_report(message: OrderTradeUpdate, at: int, instrument: Instrument) -> OrderReport:
    o = message.order
    _one_way(o.position_side)
    side = _side(o.side)
    execution = Execution(o.execution)
    fill = None
    if o.trade_id and execution in (Execution.TRADE, Execution.CALCULATED):
        fill = Fill(
            trade_id=o.trade_id,
            venue_id=o.venue_id,
            side=side,
            price_ticks=instrument.price.count(o.last_price),
            qty_steps=instrument.quantity.count(o.last_qty),
            commission=money(o.commission),
            commission_asset=o.commission_asset or instrument.quote_asset,
            realised=profit(o.realised),
            maker=o.maker,
            time_ms=o.time_ms,
        )
    order = OpenOrder(
        client_id=o.client_id,
        venue_id=o.venue_id,
        side=side,
        price_ticks=instrument.price.count(o.price),
        qty_steps=instrument.quantity.count(o.qty),
        filled_steps=instrument.quantity.count(o.filled),
        reduce_only=o.reduce_only,
        state=order_state(o.state),
        update_ms=o.time_ms,
    )
    return OrderReport(at, message.event_ms, message.transaction_ms, execution, order, fill, o.expiry_reason)


def account_events(message: AccountUpdate, at: int, instrument: Instrument) -> list[PositionReport | FundingPaid]:
    """What an account update says about this instrument. Funding without the symbol's name (`a.S`, or a position row)
    could be any symbol's and is not booked here: the income records have it. Raises `DecodeError`.
    """
    return _exact("account update", message.account.cause.encode(), lambda: _account_events(message, at, instrument))


def _account_events(message: AccountUpdate, at: int, instrument: Instrument) -> list[PositionReport | FundingPaid]:
    account = message.account
    events: list[PositionReport | FundingPaid] = []
    ours = account.symbol == instrument.symbol
    for row in account.positions:
        if row.symbol != instrument.symbol:
            continue
        _one_way(row.side)
        ours = True
        steps = instrument.quantity.count(row.amount)
        events.append(PositionReport(at, message.event_ms, message.transaction_ms, steps, row.entry, account.cause))
    if account.cause == "FUNDING_FEE" and ours:
        paid = [b.change for b in account.balances if b.asset == instrument.quote_asset]
        if paid:
            events.append(FundingPaid(at, message.transaction_ms, sum(map(money, paid))))
    return events


def _side(text: str) -> Side:
    try:
        return _SIDES[text]
    except KeyError:
        raise ValueError(f"{text!r} is no side") from None


def _one_way(side: str) -> None:
    if side != ONE_WAY:
        raise ValueError(f"position side {side}: the account has left one-way mode")


# -- replies -----------------------------------------------------------------------------------------


class OrderReply(Struct, gc=False):
    """An order in an acknowledgement or a query. What the exchange may leave out since 2026 is not read at all."""

    symbol: str
    client_id: str = field(name="clientOrderId")
    venue_id: int = field(name="orderId")
    side: str
    price: str
    qty: str = field(name="origQty")
    filled: str = field(name="executedQty")
    state: str = field(name="status")
    reduce_only: bool = field(name="reduceOnly", default=False)
    update_ms: int = field(name="updateTime", default=0)

    def order(self, instrument: Instrument) -> OpenOrder:
        """Exact; raises `ValueError` for what does not fit the instrument or our enums."""
        return OpenOrder(
            client_id=self.client_id,
            venue_id=self.venue_id,
            side=_side(self.side),
            price_ticks=instrument.price.count(self.price),
            qty_steps=instrument.quantity.count(self.qty),
            filled_steps=instrument.quantity.count(self.filled),
            reduce_only=self.reduce_only,
            state=order_state(self.state),
            update_ms=self.update_ms,
        )


class _UserTrade(Struct, gc=False):
    symbol: str
    trade_id: int = field(name="id")
    venue_id: int = field(name="orderId")
    side: str
    price: str
    qty: str
    commission: str
    commission_asset: str = field(name="commissionAsset")
    realised: str = field(name="realizedPnl")
    maker: bool
    time_ms: int = field(name="time")
    position_side: str = field(name="positionSide", default=ONE_WAY)

    def fill(self, instrument: Instrument) -> Fill:
        _one_way(self.position_side)
        return Fill(
            trade_id=self.trade_id,
            venue_id=self.venue_id,
            side=_side(self.side),
            price_ticks=instrument.price.count(self.price),
            qty_steps=instrument.quantity.count(self.qty),
            commission=money(self.commission),
            commission_asset=self.commission_asset,
            realised=profit(self.realised),
            maker=self.maker,
            time_ms=self.time_ms,
        )


class _PositionRow(Struct, gc=False):
    symbol: str
    amount: str = field(name="positionAmt")
    entry: Quantity = field(name="entryPrice")
    side: str = field(name="positionSide", default=ONE_WAY)


class _Income(Struct, gc=False):
    symbol: str
    kind: str = field(name="incomeType")
    income: str
    asset: str
    time_ms: int = field(name="time")
    record_id: int = field(name="tranId")


_order = msgspec.json.Decoder(OrderReply).decode
_orders = msgspec.json.Decoder(list[OrderReply]).decode
_trades = msgspec.json.Decoder(list[_UserTrade]).decode
_incomes = msgspec.json.Decoder(list[_Income], strict=False).decode
_positions = msgspec.json.Decoder(list[_PositionRow], strict=False).decode


def order_ack(body: Frame) -> OrderReply:
    """The acknowledgement of a place, amend or cancel, not yet exact; raises `DecodeError`."""
    return _exact("order", body, lambda: _order(body))


def order_reply(body: Frame, instrument: Instrument) -> OpenOrder:
    """One order of a reply; raises `DecodeError`."""
    return _exact("order", body, lambda: _order(body).order(instrument))


def open_orders(body: Frame, instrument: Instrument) -> list[OpenOrder]:
    """`GET /fapi/v1/openOrders`; raises `DecodeError`."""
    return _exact(
        "open orders", body, lambda: [o.order(instrument) for o in _orders(body) if o.symbol == instrument.symbol]
    )


def user_trades(body: Frame, instrument: Instrument) -> list[Fill]:
    """`GET /fapi/v1/userTrades`, by ascending id; raises `DecodeError`."""
    fills = _exact(
        "user trades", body, lambda: [t.fill(instrument) for t in _trades(body) if t.symbol == instrument.symbol]
    )
    return sorted(fills, key=lambda fill: fill.trade_id)


def funding_rows(body: Frame, kind: FundingKind, instrument: Instrument) -> tuple[list[FundingRow], int]:
    """`GET /fapi/v1/income`: the records of this kind in quote asset, and how many rows were told at all; raises
    `DecodeError`.
    """

    def read() -> tuple[list[FundingRow], int]:
        told = _incomes(body)
        return [
            FundingRow(kind, row.record_id, row.time_ms, money(row.income))
            for row in told
            if row.symbol == instrument.symbol and row.kind == kind and row.asset == instrument.quote_asset
        ], len(told)

    return _exact("income", body, read)


def position(body: Frame, instrument: Instrument) -> tuple[int, float]:
    """Signed steps and entry price of `GET /fapi/v3/positionRisk`, which has no row where nothing is held or rests;
    raises `DecodeError`.
    """

    def read() -> tuple[int, float]:
        steps, entry = 0, 0.0
        for row in _positions(body):
            if row.symbol == instrument.symbol:
                _one_way(row.side)
                steps, entry = instrument.quantity.count(row.amount), row.entry
        return steps, entry

    return _exact("position", body, read)


def _exact(what: str, body: Frame, read: Callable[[], T]) -> T:
    """`ArithmeticError` is decimal's own for text that is no number, `OffGrid` is a `ValueError`."""
    try:
        return read()
    except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
        raise DecodeError(what, error, body) from error

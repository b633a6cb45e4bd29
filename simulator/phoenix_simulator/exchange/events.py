"""What the exchange tells its listeners: a closed set of small frozen facts, in engine order.

`time_ms` is the engine's time (the venue's `T`): one value for everything that one match or one update caused.
Levels are `(price_ticks, qty_steps)` with absolute quantities, 0 deletes; bids and asks best first.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from phoenix_simulator.exchange.algo_orders import AlgoOrder
from phoenix_simulator.exchange.orders import ExecutionType, Order, PositionSide, Side
from phoenix_simulator.exchange.symbols import SymbolStatus

Level = tuple[int, int]


class _Event(msgspec.Struct, frozen=True, gc=False):
    """Common to all: events hold no cycles, so the collector need not track them."""


# ---- public -----------------------------------------------------------------------------------------------------


class DepthChanged(_Event, frozen=True, gc=False):
    """Levels of the public book changed. In a replay exactly the recorded frame, its ids included."""

    symbol: str
    time_ms: int
    first_id: int
    """`U`."""
    last_id: int
    """`u`; snapshots taken after this event carry it as lastUpdateId."""
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class RetailDepthChanged(_Event, frozen=True, gc=False):
    """A level of the book with retail orders (RPI) changed, beside the public one."""

    symbol: str
    time_ms: int
    side: Side
    price_ticks: int


class TouchChanged(_Event, frozen=True, gc=False):
    """Best bid or ask changed, in price or quantity (bookTicker). A side without orders is (0, 0)."""

    symbol: str
    time_ms: int
    update_id: int
    bid_ticks: int
    bid_steps: int
    ask_ticks: int
    ask_steps: int


class TradePrinted(_Event, frozen=True, gc=False):
    """A public trade. `buyer_is_maker`: the taker sold; `is_retail`: its maker was a retail order (RPI)."""

    symbol: str
    time_ms: int
    trade_id: int
    price_ticks: int
    qty_steps: int
    buyer_is_maker: bool
    is_retail: bool = False


class MarkChanged(_Event, frozen=True, gc=False):
    symbol: str
    time_ms: int
    mark_e8: int
    index_e8: int
    funding_rate_e8: int
    """The rate predicted for `next_funding_ms`, as a fraction × 1e8."""
    next_funding_ms: int


class FundingSettled(_Event, frozen=True, gc=False):
    """A settlement took place; `time_ms` is the settlement's stamp."""

    symbol: str
    time_ms: int
    rate_e8: int
    mark_e8: int


class OrderForced(_Event, frozen=True, gc=False):
    """A liquidation order was executed (forceOrder). `order` is its final state."""

    symbol: str
    time_ms: int
    order: Order
    last_steps: int


class StatusChanged(_Event, frozen=True, gc=False):
    """The symbol's trading status changed (contractInfo)."""

    symbol: str
    time_ms: int
    status: SymbolStatus


# ---- private ----------------------------------------------------------------------------------------------------


class UpdateReason(StrEnum):
    """`m` of ACCOUNT_UPDATE."""

    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    AUTO_EXCHANGE = "AUTO_EXCHANGE"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"


class Fill(_Event, frozen=True, gc=False):
    """One account's side of one trade; also a row of its trade history."""

    trade_id: int
    order_id: int
    symbol: str
    time_ms: int
    side: Side
    price_ticks: int
    qty_steps: int
    quote_e8: int
    commission_e8: int
    """Positive is a cost, negative a rebate."""
    commission_asset: str
    realised_e8: int
    """Before fees."""
    is_maker: bool
    position_side: PositionSide = PositionSide.BOTH


class OrderUpdated(_Event, frozen=True, gc=False):
    """ORDER_TRADE_UPDATE."""

    account_id: str
    time_ms: int
    execution: ExecutionType
    order: Order
    """As it was after this event (a snapshot)."""
    bid_notional_e8: int
    """Open buy orders of the account in this symbol after the event: Σ leaves × price."""
    ask_notional_e8: int
    fill: Fill | None = None
    modify_id: int | None = None


class Balance(_Event, frozen=True, gc=False):
    asset: str
    wallet_e8: int
    change_e8: int
    """Without profit, loss and commission: 0 on fills."""
    isolated_e8: int = 0
    """The part of the wallet that is set aside for isolated positions."""


class PositionState(_Event, frozen=True, gc=False):
    symbol: str
    margin_asset: str
    qty_steps: int
    """Signed; short is negative."""
    entry_price: Decimal
    """0 when flat."""
    break_even_price: Decimal
    realised_e8: int
    """Accumulated, before fees."""
    unrealised_e8: int
    side: PositionSide = PositionSide.BOTH
    isolated_e8: int | None = None
    """Margin that was set aside for it; None where it is cross-margined."""


class AccountUpdated(_Event, frozen=True, gc=False):
    """ACCOUNT_UPDATE: only the balances and positions that changed."""

    account_id: str
    time_ms: int
    reason: UpdateReason
    balances: tuple[Balance, ...]
    positions: tuple[PositionState, ...]
    symbol: str = ""
    """Of the settlement, for FUNDING_FEE."""


class TradeLite(_Event, frozen=True, gc=False):
    """TRADE_LITE: a fill in brief, ahead of its OrderUpdated."""

    account_id: str
    time_ms: int
    fill: Fill
    order: Order


class MarginCalled(_Event, frozen=True, gc=False):
    """MARGIN_CALL: the margin ratio of a margin asset, or of an isolated position, went beyond the warning line."""

    account_id: str
    time_ms: int
    asset: str
    cross_wallet_e8: int | None
    """None for an isolated position."""
    positions: tuple[tuple[PositionState, int, int], ...]
    """(position, mark_e8, maintenance_e8) of each position in the asset."""


class LeverageChanged(_Event, frozen=True, gc=False):
    """ACCOUNT_CONFIG_UPDATE with `ac`."""

    account_id: str
    time_ms: int
    symbol: str
    leverage: int


class AlgoUpdated(_Event, frozen=True, gc=False):
    """ALGO_UPDATE: a conditional order came, met its condition, or ended."""

    account_id: str
    time_ms: int
    algo: AlgoOrder
    """A snapshot."""
    order: Order | None
    """What it became."""


class AssetsModeChanged(_Event, frozen=True, gc=False):
    """ACCOUNT_CONFIG_UPDATE with `ai`."""

    account_id: str
    time_ms: int
    multi_assets: bool


PublicEvent = (
    DepthChanged
    | RetailDepthChanged
    | TouchChanged
    | TradePrinted
    | MarkChanged
    | FundingSettled
    | OrderForced
    | StatusChanged
)
PrivateEvent = (
    OrderUpdated | AccountUpdated | TradeLite | MarginCalled | LeverageChanged | AssetsModeChanged | AlgoUpdated
)
ExchangeEvent = PublicEvent | PrivateEvent

"""An account's books: wallets, positions, open and past orders, fills and income rows."""

from collections import OrderedDict, deque
from enum import StrEnum

import msgspec

from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.events import Balance, Fill, PositionState
from phoenix_simulator.exchange.orders import Amendment, Order, OrderRef, PositionSide, Side
from phoenix_simulator.exchange.positions import Position
from phoenix_simulator.exchange.symbols import SymbolSpec

DEFAULT_LEVERAGE = 20
_ONE_WAY = (PositionSide.BOTH,)
_HEDGED = (PositionSide.LONG, PositionSide.SHORT)

_UNFILLED_KEPT = 20_000
"""Closed orders without a fill kept per account and symbol: a maker makes millions, and nobody asks for them again."""
_FILLED_KEPT = 20_000
"""Closed orders with fills. The venue keeps ninety days of them; a run of days must fit into memory."""
_FILLS_KEPT = 50_000
"""Fills kept per account and symbol, at least; a fifth more before the oldest go together."""
_ROWS_KEPT = 100_000
"""Income rows kept per account."""


class IncomeType(StrEnum):
    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    FUNDING_FEE = "FUNDING_FEE"
    COMMISSION = "COMMISSION"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    AUTO_EXCHANGE = "AUTO_EXCHANGE"


class Income(msgspec.Struct, frozen=True, gc=False):
    """A row of the income history; `amount_e8` is signed from the account's view (what it pays is negative)."""

    kind: IncomeType
    symbol: str
    """Empty for transfers."""
    asset: str
    amount_e8: int
    time_ms: int
    transaction_id: int
    """Unique per account."""
    trade_id: int
    """0 where no trade caused it."""
    info: str


class Totals(msgspec.Struct):
    """Sums over all fills and settlements of a holding, those that are no longer kept included."""

    fills: int = 0
    maker_fills: int = 0
    steps: int = 0
    quote_e8: int = 0
    realised_e8: int = 0
    funding_e8: int = 0
    fees_e8: dict[str, int] = {}
    """By asset."""

    def count(self, fill: Fill) -> None:
        self.fills += 1
        self.maker_fills += fill.is_maker
        self.steps += fill.qty_steps
        self.quote_e8 += fill.quote_e8
        self.realised_e8 += fill.realised_e8
        self.fees_e8[fill.commission_asset] = self.fees_e8.get(fill.commission_asset, 0) + fill.commission_e8


class Holding:
    """What an account has in one symbol: its position (in hedge mode two), its orders, its trades."""

    def __init__(self, spec: SymbolSpec, *, hedged: bool = False) -> None:
        self.spec = spec
        self.hedged = hedged
        """The account's position mode; it changes only while the account has neither positions nor orders."""
        self.position = Position(spec)
        """Of one-way mode; flat in hedge mode."""
        self.long = Position(spec)
        self.short = Position(spec)
        self.leverage = min(DEFAULT_LEVERAGE, spec.max_leverage)
        self.isolated = False
        self.bid_notional_e8 = 0
        """Open buy orders: Σ leaves × price."""
        self.ask_notional_e8 = 0
        self.open: dict[int, Order] = {}
        """By order id, oldest first."""
        self.open_by_client_id: dict[str, Order] = {}
        """Client ids are unique among the open orders of one symbol; a closed order's may be used again."""
        self.reduce_only_steps = 0
        """Open reduce-only orders: Σ leaves."""
        self.closed: OrderedDict[int, Order] = OrderedDict()
        """Filled at least in part, then closed; the oldest are forgotten."""
        self.unfilled: OrderedDict[int, Order] = OrderedDict()
        """Closed without a fill; the oldest are forgotten."""
        self.latest_by_client_id: dict[str, int] = {}
        self.fills: list[Fill] = []
        """The latest ones, ascending by id."""
        self.totals = Totals()
        self.amendments: dict[int, list[Amendment]] = {}

    # ---- the index of open orders -------------------------------------------------------------------------------

    def admit(self, order: Order) -> None:
        self.open[order.order_id] = order
        self.open_by_client_id[order.client_order_id] = order
        self.latest_by_client_id[order.client_order_id] = order.order_id
        self.count_leaves(order, order.leaves_steps)

    def release(self, order: Order) -> None:
        """The order closed: its leaves no longer count, its record moves to the past."""
        self.count_leaves(order, -order.leaves_steps)
        del self.open[order.order_id]
        del self.open_by_client_id[order.client_order_id]
        past, kept = (self.closed, _FILLED_KEPT) if order.executed_steps else (self.unfilled, _UNFILLED_KEPT)
        past[order.order_id] = order
        if len(past) > kept:
            forgotten_id, forgotten = past.popitem(last=False)
            self.amendments.pop(forgotten_id, None)
            if self.latest_by_client_id.get(forgotten.client_order_id) == forgotten_id:
                del self.latest_by_client_id[forgotten.client_order_id]

    def record(self, fill: Fill) -> None:
        self.totals.count(fill)
        self.fills.append(fill)
        if len(self.fills) > _FILLS_KEPT * 6 // 5:
            del self.fills[:-_FILLS_KEPT]

    def count_leaves(self, order: Order, steps: int) -> None:
        """Open quantity of `order` grew (or fell) by `steps`."""
        notional_e8 = self.spec.notional_e8(order.price_ticks, steps)
        if order.side is Side.BUY:
            self.bid_notional_e8 += notional_e8
        else:
            self.ask_notional_e8 += notional_e8
        if order.reduce_only:
            self.reduce_only_steps += steps

    def find_open(self, ref: OrderRef) -> Order | None:
        if ref.order_id is not None:
            return self.open.get(ref.order_id)
        return self.open_by_client_id.get(ref.client_order_id) if ref.client_order_id is not None else None

    def find(self, ref: OrderRef) -> Order | None:
        """Open or past; by client id the latest that carried it."""
        order_id = ref.order_id
        if order_id is None and ref.client_order_id is not None:
            order_id = self.latest_by_client_id.get(ref.client_order_id)
        if order_id is None:
            return None
        return self.open.get(order_id) or self.closed.get(order_id) or self.unfilled.get(order_id)

    # ---- positions ----------------------------------------------------------------------------------------------

    def position_of(self, side: PositionSide) -> Position:
        match side:
            case PositionSide.BOTH:
                return self.position
            case PositionSide.LONG:
                return self.long
            case PositionSide.SHORT:
                return self.short

    @property
    def sides(self) -> tuple[PositionSide, ...]:
        """The positions that there can be in the account's mode."""
        return _HEDGED if self.hedged else _ONE_WAY

    @property
    def has_position(self) -> bool:
        return bool(self.position.steps or self.long.steps or self.short.steps)

    @property
    def net_steps(self) -> int:
        """Signed; what remains when long and short are set against each other."""
        return self.position.steps + self.long.steps + self.short.steps

    def reducible_steps(self, side: Side) -> int:
        """How much orders of this side can reduce."""
        if self.hedged:
            return self.long.steps if side is Side.SELL else -self.short.steps
        return max(0, -side.sign * self.position.steps)

    def reducing_steps(self, side: Side) -> int:
        """Open reduce-only orders of this side: Σ leaves."""
        if not self.reduce_only_steps:
            return 0
        return sum(order.leaves_steps for order in self.open.values() if order.reduce_only and order.side is side)

    @property
    def is_idle(self) -> bool:
        """Neither a position nor an open order."""
        return not self.has_position and not self.open

    def state(self, mark_e8: int, side: PositionSide = PositionSide.BOTH) -> PositionState:
        position = self.position_of(side)
        return PositionState(
            self.spec.symbol,
            self.spec.margin_asset,
            position.steps,
            position.entry_price,
            position.break_even_price,
            position.realised_e8,
            position.unrealised_e8(mark_e8),
            side,
            position.margin_e8 if self.isolated else None,
        )


class Account:
    def __init__(self, account_id: str, trade_group_id: int, opened_ms: int) -> None:
        self.account_id = account_id
        self.trade_group_id = trade_group_id
        """Accounts with equal group ids (≠ −1) are one for self-trade prevention."""
        self.opened_ms = opened_ms
        self.wallets_e8: dict[str, int] = {}
        """Balance by asset, with what is set aside for isolated positions."""
        self.updated_ms: dict[str, int] = {}
        """When each wallet last changed."""
        self.transferred_e8: dict[str, int] = {}
        """By asset: what was deposited, less what was withdrawn."""
        self.holdings: dict[str, Holding] = {}
        self.income: deque[Income] = deque(maxlen=_ROWS_KEPT)
        self.hedge_mode = False
        self.multi_assets = False
        """All wallets together stand behind all positions."""
        self.fee_burn = False
        """Fees are paid in BNB where the wallet holds enough of it."""
        self.warned: set[str] = set()
        """What a MARGIN_CALL was sent for and has not recovered since: margin assets, and isolated positions."""

    def holding(self, spec: SymbolSpec) -> Holding:
        holding = self.holdings.get(spec.symbol)
        if holding is None:
            holding = self.holdings[spec.symbol] = Holding(spec, hedged=self.hedge_mode)
        return holding

    def holdings_in(self, asset: str) -> list[Holding]:
        return [holding for holding in self.holdings.values() if holding.spec.margin_asset == asset]

    def wallet_e8(self, asset: str) -> int:
        return self.wallets_e8.get(asset, 0)

    def isolated_e8(self, asset: str) -> int:
        """The part of the wallet that is set aside for isolated positions."""
        return sum(
            holding.position_of(side).margin_e8
            for holding in self.holdings_in(asset)
            if holding.isolated
            for side in holding.sides
        )

    def balance(self, asset: str, change_e8: int = 0) -> Balance:
        return Balance(asset, self.wallet_e8(asset), change_e8, self.isolated_e8(asset))

    def credit(self, asset: str, amount_e8: int, now_ms: int) -> None:
        self.wallets_e8[asset] = self.wallets_e8.get(asset, 0) + amount_e8
        self.updated_ms[asset] = now_ms

    def same_owner(self, other: "Account") -> bool:
        """Whether self-trade prevention sees both as one."""
        return self is other or (self.trade_group_id != -1 and self.trade_group_id == other.trade_group_id)

    def require_open(self, symbol: str, ref: OrderRef) -> Order:
        """The open order, or −2013."""
        holding = self.holdings.get(symbol)
        order = holding.find_open(ref) if holding is not None else None
        if order is None:
            raise errors.no_such_order()
        return order

"""The exchange: the one door to the domain. Synchronous; the caller gives the time (engine ms) and hears events.

Every method either does what it says and tells the listeners, or raises `VenueError` and changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from phoenix_simulator.exchange.accounts import Account, Income
from phoenix_simulator.exchange.book import DepthSnapshot
from phoenix_simulator.exchange.events import ExchangeEvent, Fill
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.orders import AmendOrder, Amendment, NewOrder, Order, OrderRef
from phoenix_simulator.exchange.symbols import SymbolSpec, SymbolStatus
from phoenix_simulator.market.source import BackgroundView, MarketStart, MarketUpdate

Listener = Callable[[ExchangeEvent], None]


class Exchange:
    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        """Called with each event, in engine order, before the method that caused it returns. Must not raise."""

    # ---- setting up ---------------------------------------------------------------------------------------------

    def list_symbol(self, spec: SymbolSpec, start: MarketStart, now_ms: int) -> Listing:
        """Open a market. The next funding time is the next multiple of the interval since midnight UTC."""
        raise NotImplementedError

    def open_account(
        self, account_id: str, deposits_e8: Mapping[str, int], now_ms: int, trade_group_id: int = -1
    ) -> Account:
        """A new account with these wallet balances (asset → 1e-8)."""
        raise NotImplementedError

    def transfer(self, account_id: str, asset: str, amount_e8: int, now_ms: int) -> None:
        """Deposit (positive) or withdraw; refused (−2019) beyond the available balance."""
        raise NotImplementedError

    def set_status(self, symbol: str, status: SymbolStatus, now_ms: int) -> None:
        raise NotImplementedError

    # ---- trading ------------------------------------------------------------------------------------------------

    def place(self, account_id: str, request: NewOrder, now_ms: int) -> Order:
        """Check, match, rest. Returns the order as it is after matching."""
        raise NotImplementedError

    def test(self, account_id: str, request: NewOrder, now_ms: int) -> Order:
        """All checks of `place` up to the matching engine, without effect; an order that never was (order_id 0)."""
        raise NotImplementedError

    def modify(self, account_id: str, request: AmendOrder, now_ms: int) -> Order:
        """The amended order; status CANCELED or EXPIRED where the amendment ended it."""
        raise NotImplementedError

    def cancel(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Order:
        """−2011 unless open."""
        raise NotImplementedError

    def cancel_all(self, account_id: str, symbol: str, now_ms: int) -> int:
        """Cancels every open order of the symbol; returns how many."""
        raise NotImplementedError

    def set_countdown(self, account_id: str, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Cancel everything in `countdown_ms` unless called again; 0 disarms."""
        raise NotImplementedError

    # ---- settings -----------------------------------------------------------------------------------------------

    def set_leverage(self, account_id: str, symbol: str, leverage: int, now_ms: int) -> int:
        """Returns the largest notional (1e-8) that the new leverage admits."""
        raise NotImplementedError

    def set_margin_type(self, account_id: str, symbol: str, isolated: bool, now_ms: int) -> None:
        raise NotImplementedError

    def set_position_mode(self, account_id: str, hedge: bool) -> None:
        raise NotImplementedError

    def set_assets_mode(self, account_id: str, multi_assets: bool, now_ms: int) -> None:
        raise NotImplementedError

    # ---- questions ----------------------------------------------------------------------------------------------

    @property
    def listings(self) -> Mapping[str, Listing]:
        """symbol → Listing: `spec`, `status`, `mark_e8`, `index_e8`, `funding_rate_e8`, `next_funding_ms`,
        `funding_history`, `last_update_id`, `touch()`."""
        raise NotImplementedError

    @property
    def accounts(self) -> Mapping[str, Account]:
        raise NotImplementedError

    def listing(self, symbol: str) -> Listing:
        """−1121 where unknown."""
        raise NotImplementedError

    def account(self, account_id: str) -> Account:
        """KeyError where unknown: only the wire knows account ids."""
        raise NotImplementedError

    def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        """The public book, best first, with its lastUpdateId."""
        raise NotImplementedError

    def order(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Order:
        """Open or closed; −2013 where unknown or no longer kept."""
        raise NotImplementedError

    def open_order(self, account_id: str, symbol: str, ref: OrderRef) -> Order:
        """−2013 unless open."""
        raise NotImplementedError

    def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        raise NotImplementedError

    def all_orders(
        self,
        account_id: str,
        symbol: str | None,
        now_ms: int,
        *,
        from_order_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> Sequence[Order]:
        """Ascending by order id."""
        raise NotImplementedError

    def fills(
        self,
        account_id: str,
        symbol: str,
        *,
        order_id: int | None = None,
        from_trade_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> Sequence[Fill]:
        """userTrades: ascending by trade id; the latest ones unless `from_trade_id` or `start_ms` is given."""
        raise NotImplementedError

    def income(
        self,
        account_id: str,
        *,
        symbol: str | None = None,
        kind: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page: int = 1,
        limit: int = 100,
    ) -> Sequence[Income]:
        raise NotImplementedError

    def amendments(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Sequence[Amendment]:
        raise NotImplementedError

    # ---- the market and time ------------------------------------------------------------------------------------

    def background(self, symbol: str) -> BackgroundView:
        """What a market source may read between two updates."""
        raise NotImplementedError

    def apply(self, symbol: str, update: MarketUpdate, now_ms: int) -> None:
        """One update of the market source, with everything it causes (fills, marks, liquidations)."""
        raise NotImplementedError

    def advance(self, now_ms: int) -> None:
        """Timers due by `now_ms`: countdowns, GTD expiries, funding settlements. Cheap when nothing is due."""
        raise NotImplementedError

"""Questions about an account, its settings, and its listen key."""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from phoenix_simulator.api.gateway import Call
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.api.order_requests import optional_symbol, order_ref, position_side, required_symbol
from phoenix_simulator.api.params import Params, invalid
from phoenix_simulator.api.render import accounts, market, orders
from phoenix_simulator.api.user_stream import UserStreams
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.history import KEPT_MS
from phoenix_simulator.exchange.orders import ForcedBy
from phoenix_simulator.exchange.symbols import E8, SymbolSpec, decimals_of, to_e8

Json = dict[str, object]

_WEEK_MS: Final = 7 * 24 * 3_600_000
_MARGIN_SIGNS: Final = {1: 1, 2: -1}
"""`type` of positionMargin: add, reduce."""
_AMOUNT_DECIMALS: Final = 8
_SUCCESS: Final[Mapping[str, object]] = {"code": 200, "msg": "success"}
_AUTO_CLOSE_TYPES: Final = frozenset({ForcedBy.LIQUIDATION, ForcedBy.ADL})
_OTHER_INCOME: Final = frozenset(
    {
        "WELCOME_BONUS",
        "REFERRAL_KICKBACK",
        "COMMISSION_REBATE",
        "API_REBATE",
        "CONTEST_REWARD",
        "CROSS_COLLATERAL_TRANSFER",
        "OPTIONS_PREMIUM_FEE",
        "OPTIONS_SETTLE_PROFIT",
        "INTERNAL_TRANSFER",
        "DELIVERED_SETTELMENT",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
        "POSITION_LIMIT_INCREASE_FEE",
        "STRATEGY_UMFUTURES_TRANSFER",
        "FEE_RETURN",
        "BFUSD_REWARD",
        "SPECIAL_FUNDING_FEE",
    }
)
"""Kinds that the venue knows and that never happen here."""


def alias_of(account_id: str) -> str:
    """`accountAlias`: the venue's opaque name of an account, the same for each of its keys."""
    return hashlib.sha256(account_id.encode()).hexdigest()[:16]


class AccountData:
    def __init__(self, exchange: Exchange, clock: Clock, users: UserStreams, limits: LimitSettings) -> None:
        self._exchange = exchange
        self._clock = clock
        self._users = users
        self._limits = limits

    # ---- balances and positions ---------------------------------------------------------------------------------

    def balance(self, call: Call) -> list[Json]:
        return self._view(call).balances(alias_of(call.account_id))

    def account_v2(self, call: Call) -> Json:
        return self._view(call).account_v2()

    def account_v3(self, call: Call) -> Json:
        return self._view(call).account_v3()

    def position_risk_v2(self, call: Call) -> list[Json]:
        return self._view(call).position_risk_v2(optional_symbol(call.params, self._exchange))

    def position_risk_v3(self, call: Call) -> list[Json]:
        return self._view(call).position_risk_v3(optional_symbol(call.params, self._exchange))

    # ---- history ------------------------------------------------------------------------------------------------

    def all_orders(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(500, 1_000)
        # The documentation wants less than seven days here, and at most seven for trades.
        window = _Window.of(params, _WEEK_MS - 1)
        from_order_id = params.optional_integer("orderId")
        now_ms = self._clock.now_ms()
        rows = self._exchange.all_orders(
            call.account_id,
            optional_symbol(params, self._exchange),
            now_ms,
            from_order_id=from_order_id,
            start_ms=window.start_ms,
            end_ms=window.end_ms,
            limit=limit,
        )
        by_id = from_order_id is not None
        return [
            orders.queried(self._spec(row.symbol), row)
            for row in rows
            if window.lists(row.created_ms, now_ms, by_id=by_id)
        ]

    def user_trades(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(500, 1_000)
        window = _Window.of(params, _WEEK_MS)
        from_id, order_id = params.optional_integer("fromId"), params.optional_integer("orderId")
        if from_id is not None and ("startTime" in params or "endTime" in params):
            raise VenueError(-1128, "Combination of optional parameters invalid.")
        symbol = required_symbol(params, self._exchange)
        now_ms = self._clock.now_ms()
        rows = self._exchange.fills(
            call.account_id,
            symbol,
            kept_from_ms=now_ms - KEPT_MS,
            order_id=order_id,
            from_trade_id=from_id,
            start_ms=window.start_ms,
            end_ms=window.end_ms,
            limit=limit,
        )
        by_id = from_id is not None or order_id is not None
        return [
            orders.user_trade(self._spec(symbol), row) for row in rows if window.lists(row.time_ms, now_ms, by_id=by_id)
        ]

    def forced_orders(self, call: Call) -> list[Json]:
        """Orders by which the venue closed positions: liquidations, deleveraging, or both."""
        params = call.params
        limit = params.limit(50, 100)
        window = _Window.of(params, _WEEK_MS)
        kind = params.raw("autoCloseType")
        symbol = optional_symbol(params, self._exchange)
        if kind is not None and kind not in _AUTO_CLOSE_TYPES:
            raise invalid("autoCloseType")
        forced = _AUTO_CLOSE_TYPES if kind is None else {ForcedBy(kind)}
        now_ms = self._clock.now_ms()
        rows = self._exchange.all_orders(
            call.account_id, symbol, now_ms, start_ms=window.start_ms, end_ms=window.end_ms, forced=forced, limit=limit
        )
        return [
            orders.queried(self._spec(row.symbol), row)
            for row in rows
            if window.lists(row.created_ms, now_ms, by_id=False)
        ]

    def amendments(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(50, 100)
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        symbol = required_symbol(params, self._exchange)
        rows = self._exchange.amendments(call.account_id, symbol, order_ref(params), self._clock.now_ms())
        kept = [
            row
            for row in rows
            if (start_ms is None or row.time_ms >= start_ms) and (end_ms is None or row.time_ms <= end_ms)
        ]
        return [orders.amendment(self._spec(symbol), row) for row in kept[-limit:]]

    def income(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(100, 1_000)
        page = params.integer_or("page", 1)
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        if page < 1:
            raise invalid("page")
        symbol = optional_symbol(params, self._exchange)
        kind_text = params.raw("incomeType")
        if kind_text in _OTHER_INCOME:
            return []
        kind: IncomeType | None = None
        if kind_text is not None:
            if kind_text not in IncomeType.__members__:
                raise invalid("incomeType")
            kind = IncomeType(kind_text)
        if start_ms is None and end_ms is None:
            # Without a window the venue lists the last seven days.
            start_ms = self._clock.now_ms() - _WEEK_MS
        rows = self._exchange.income(
            call.account_id,
            kept_from_ms=self._clock.now_ms() - KEPT_MS,
            symbol=symbol,
            kind=kind,
            start_ms=start_ms,
            end_ms=end_ms,
            page=page,
            limit=limit,
        )
        return [accounts.income(row) for row in rows]

    # ---- settings -----------------------------------------------------------------------------------------------

    def account_config(self, call: Call) -> Json:
        config = self._view(call).config()
        del config["feeBurn"]
        return config

    def symbol_config(self, call: Call) -> list[Json]:
        return self._view(call).symbol_config(optional_symbol(call.params, self._exchange))

    def commission_rate(self, call: Call) -> Json:
        return accounts.commission_rate(self._spec(required_symbol(call.params, self._exchange)))

    def leverage_brackets(self, call: Call) -> list[Json]:
        symbol = optional_symbol(call.params, self._exchange)
        return [
            accounts.leverage_brackets(listing.spec)
            for listing in self._exchange.listings.values()
            if symbol is None or listing.spec.symbol == symbol
        ]

    def order_limits(self, _: Call) -> list[Json]:
        return market.rate_limits(
            [
                ("ORDERS", "SECOND", 10, self._limits.orders_per_10_seconds),
                ("ORDERS", "MINUTE", 1, self._limits.orders_per_minute),
            ]
        )

    def set_leverage(self, call: Call) -> Json:
        call.params.text("symbol")
        leverage = call.params.integer("leverage")
        symbol = required_symbol(call.params, self._exchange)
        cap_e8 = self._exchange.set_leverage(call.account_id, symbol, leverage, self._clock.now_ms())
        return {"leverage": leverage, "maxNotionalValue": str(cap_e8 // E8), "symbol": symbol}

    def set_margin_type(self, call: Call) -> Mapping[str, object]:
        call.params.text("symbol")
        kind = call.params.text("marginType")
        symbol = required_symbol(call.params, self._exchange)
        if kind not in {"ISOLATED", "CROSSED"}:
            raise invalid("marginType")
        self._exchange.set_margin_type(call.account_id, symbol, kind == "ISOLATED", self._clock.now_ms())
        return _SUCCESS

    def move_margin(self, call: Call) -> Json:
        params = call.params
        params.text("symbol")
        amount, kind = params.decimal("amount"), params.integer("type")
        symbol = required_symbol(params, self._exchange)
        side = position_side(params)
        if kind not in _MARGIN_SIGNS:
            raise invalid("type")
        if not amount:
            raise errors.amount_not_positive()
        if decimals_of(amount) > _AMOUNT_DECIMALS:
            raise errors.bad_precision()
        amount_e8 = _MARGIN_SIGNS[kind] * to_e8(amount)
        self._exchange.move_margin(call.account_id, symbol, side, amount_e8, self._clock.now_ms())
        return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": kind}

    def position_mode(self, call: Call) -> Json:
        return {"dualSidePosition": self._exchange.account(call.account_id).hedge_mode}

    def set_position_mode(self, call: Call) -> Mapping[str, object]:
        self._exchange.set_position_mode(call.account_id, call.params.boolean("dualSidePosition"))
        return _SUCCESS

    def assets_mode(self, call: Call) -> Json:
        return {"multiAssetsMargin": self._exchange.account(call.account_id).multi_assets}

    def set_assets_mode(self, call: Call) -> Mapping[str, object]:
        wanted = call.params.boolean("multiAssetsMargin")
        self._exchange.set_assets_mode(call.account_id, wanted, self._clock.now_ms())
        return _SUCCESS

    def fee_burn(self, call: Call) -> Json:
        return {"feeBurn": self._exchange.account(call.account_id).fee_burn}

    def set_fee_burn(self, call: Call) -> Mapping[str, object]:
        self._exchange.set_fee_burn(call.account_id, call.params.boolean("feeBurn"))
        return _SUCCESS

    def adl_quantile(self, call: Call) -> list[Json]:
        return self._view(call).adl_quantiles(optional_symbol(call.params, self._exchange))

    def api_restrictions(self, call: Call) -> Json:
        """What the key may do: trade futures, read, and nothing else (the preflight of a careful client)."""
        created_ms = 0 if call.credentials is None else call.credentials.created_ms
        return {
            "ipRestrict": False,
            "createTime": created_ms,
            "enableReading": True,
            "enableWithdrawals": call.credentials is not None and call.credentials.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": True,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": True,
            "enableSpotAndMarginTrading": False,
            "enablePortfolioMarginTrading": False,
        }

    # ---- listen key ---------------------------------------------------------------------------------------------

    def start_stream(self, call: Call) -> Json:
        return {"listenKey": self._users.start(call.account_id)}

    def keep_stream(self, call: Call) -> Json:
        return {"listenKey": self._users.keep(call.account_id)}

    def stop_stream(self, call: Call) -> Json:
        self._users.stop(call.account_id)
        return {}

    # ---- parts --------------------------------------------------------------------------------------------------

    def _view(self, call: Call) -> accounts.AccountView:
        account = self._exchange.account(call.account_id)
        exchange = self._exchange
        return accounts.AccountView(account, exchange.listings.values(), exchange.accounts.values(), exchange.prices)

    def _spec(self, symbol: str) -> SymbolSpec:
        return self._exchange.listing(symbol).spec


class _Window(msgspec.Struct, frozen=True):
    """`startTime` and `endTime` of a listing. One of them alone reaches a week from there; without a start, what is
    older than a week before the end is not listed unless an id says where to begin.
    """

    start_ms: int | None
    end_ms: int | None

    @classmethod
    def of(cls, params: Params, longest_ms: int) -> "_Window":
        """-4165 for a window that is longer, or that ends before it starts."""
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        if start_ms is not None and end_ms is not None and not 0 <= end_ms - start_ms <= longest_ms:
            raise VenueError(-4165, "Invalid time interval. Maximum time interval is 7 days.")
        if start_ms is not None and end_ms is None:
            end_ms = start_ms + longest_ms
        return cls(start_ms, end_ms)

    def lists(self, time_ms: int, now_ms: int, *, by_id: bool) -> bool:
        if by_id or self.start_ms is not None:
            return True
        return time_ms >= (now_ms if self.end_ms is None else self.end_ms) - _WEEK_MS

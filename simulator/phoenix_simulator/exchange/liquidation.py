"""Margin calls and liquidation of cross-margined accounts, looked at with each new mark price.

Simple but honest: when an asset's margin balance no longer exceeds its maintenance margin, open orders in that asset
expire and every position is closed by a forced order into the real book, as far as marketTakeBound allows; the
background takes the rest over at that bound. A liquidation fee is charged from what is left, and the insurance fund
covers what is missing. The venue liquidates large positions bracket by bracket and may deleverage others (ADL); this
does neither.
"""

from collections.abc import Callable, Mapping

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.events import AccountUpdated, Balance, MarginCalled, OrderForced, UpdateReason
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit
from phoenix_simulator.exchange.margin import AssetMargin, MarkOf, asset_margin, position_risk
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    Order,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    Side,
    StpMode,
    TimeInForce,
)

_WARNING_NUMERATOR, _WARNING_DENOMINATOR = 4, 5
"""MARGIN_CALL at 80 % of maintenance to margin balance."""


class Liquidator:
    def __init__(
        self,
        matchers: Mapping[str, Matcher],
        ledger: Ledger,
        next_order_id: Callable[[], int],
        mark_of: MarkOf,
        emit: Emit,
    ) -> None:
        self._matchers = matchers
        self._ledger = ledger
        self._next_order_id = next_order_id
        self._mark_of = mark_of
        self._emit = emit

    def check(self, account: Account, asset: str, now_ms: int) -> None:
        """Warn or liquidate where the margin of `asset` asks for it."""
        margin = asset_margin(account, asset, self._mark_of)
        if margin.must_liquidate:
            self._liquidate(account, asset, now_ms)
        elif margin.maintenance_e8 * _WARNING_DENOMINATOR < margin.margin_balance_e8 * _WARNING_NUMERATOR:
            account.warned_assets.discard(asset)
        elif margin.maintenance_e8 and asset not in account.warned_assets:
            account.warned_assets.add(asset)
            self._warn(account, margin, now_ms)

    def _warn(self, account: Account, margin: AssetMargin, now_ms: int) -> None:
        positions = []
        for holding in account.holdings_in(margin.asset):
            mark_e8 = self._mark_of(holding.spec.symbol)
            for side in holding.sides:
                if holding.position_of(side).steps:
                    risk = position_risk(holding, mark_e8, side)
                    positions.append((holding.state(mark_e8, side), mark_e8, risk.maintenance_e8))
        self._emit(MarginCalled(account.account_id, now_ms, margin.asset, margin.wallet_e8, tuple(positions)))

    def _liquidate(self, account: Account, asset: str, now_ms: int) -> None:
        for holding in account.holdings_in(asset):
            matcher = self._matchers[holding.spec.symbol]
            for order in list(holding.open.values()):
                reason = ExpiryReason.LIQUIDATION
                matcher.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, reason)
            for side in holding.sides:
                if holding.position_of(side).steps:
                    self._close_position(account, holding, side, matcher, now_ms)
            matcher.listing.publish(now_ms)
        if account.wallet_e8(asset) < 0:
            self._insurance(account, "", asset, -account.wallet_e8(asset), now_ms)
        account.warned_assets.discard(asset)

    def _close_position(
        self, account: Account, holding: Holding, position_side: PositionSide, matcher: Matcher, now_ms: int
    ) -> None:
        spec, position = holding.spec, holding.position_of(position_side)
        side = Side.SELL if position.steps > 0 else Side.BUY
        order_id = self._next_order_id()
        limit_ticks = matcher.market_limit_ticks(side)
        order = Order(
            order_id=order_id,
            account_id=account.account_id,
            symbol=spec.symbol,
            client_order_id=f"autoclose-{order_id}",
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price_ticks=limit_ticks,
            orig_steps=abs(position.steps),
            reduce_only=False,
            stp_mode=StpMode.NONE,
            price_match=PriceMatch.NONE,
            good_till_ms=0,
            created_ms=now_ms,
            updated_ms=now_ms,
            position_side=position_side,
            is_liquidation=True,
        )
        matcher.liquidate(order, limit_ticks, now_ms)
        self._emit(OrderForced(spec.symbol, now_ms, order.snapshot(), order.executed_steps))
        numerator, denominator = spec.liquidation_fee.as_integer_ratio()
        asset = spec.margin_asset
        fee_e8 = min(order.cum_quote_e8 * numerator // denominator, max(0, account.wallet_e8(asset)))
        if fee_e8:
            self._insurance(account, spec.symbol, asset, -fee_e8, now_ms)

    def _insurance(self, account: Account, symbol: str, asset: str, amount_e8: int, now_ms: int) -> None:
        self._ledger.insurance(account, symbol, asset, amount_e8, now_ms)
        balance = Balance(asset, account.wallet_e8(asset), amount_e8)
        self._emit(AccountUpdated(account.account_id, now_ms, UpdateReason.INSURANCE_CLEAR, (balance,), ()))

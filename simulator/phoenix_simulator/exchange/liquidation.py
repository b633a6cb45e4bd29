"""Margin calls and liquidation, looked at with each new mark price.

Simple but honest: when an asset's cross margin balance no longer exceeds its maintenance margin, open orders in that
asset expire and every cross position is closed by a forced order into the real book, as far as marketTakeBound allows;
the background takes the rest over at that bound. An isolated position is judged and closed alone. A liquidation fee is
charged from what is left, and the insurance fund covers what is missing. The venue liquidates large positions bracket
by bracket and may deleverage others (ADL) by itself; here deleveraging comes by command.
"""

from collections.abc import Callable, Mapping

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, UpdateReason
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit
from phoenix_simulator.exchange.margin import MarkOf, asset_margin, position_risk
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    ForcedBy,
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
        """Warn or liquidate where the margin of `asset`, or of an isolated position in it, asks for it."""
        for holding in account.holdings_in(asset):
            if holding.isolated and holding.has_position:
                for side in holding.sides:
                    self._check_isolated(account, holding, side, now_ms)
        margin = asset_margin(account, asset, self._mark_of)
        if margin.must_liquidate:
            self._liquidate_cross(account, asset, now_ms)
        elif self._warns(account, asset, margin.cross_maintenance_e8, margin.cross_balance_e8):
            cross = [holding for holding in account.holdings_in(asset) if not holding.isolated]
            legs = [(holding, side) for holding in cross for side in holding.sides]
            self._warn(account, asset, legs, margin.cross_wallet_e8, now_ms)

    def _check_isolated(self, account: Account, holding: Holding, side: PositionSide, now_ms: int) -> None:
        spec, position = holding.spec, holding.position_of(side)
        risk = position_risk(holding, self._mark_of(spec.symbol), side)
        balance_e8 = position.margin_e8 + risk.unrealised_e8
        if risk.maintenance_e8 and balance_e8 <= risk.maintenance_e8:
            self._liquidate_isolated(account, holding, side, now_ms)
        elif self._warns(account, f"{spec.symbol}/{side}", risk.maintenance_e8, balance_e8):
            self._warn(account, spec.margin_asset, [(holding, side)], None, now_ms)

    def _warns(self, account: Account, what: str, maintenance_e8: int, balance_e8: int) -> bool:
        """Whether the warning line is crossed for the first time since the last recovery."""
        if maintenance_e8 * _WARNING_DENOMINATOR < balance_e8 * _WARNING_NUMERATOR:
            account.warned.discard(what)
            return False
        if not maintenance_e8 or what in account.warned:
            return False
        account.warned.add(what)
        return True

    def _warn(
        self,
        account: Account,
        asset: str,
        legs: list[tuple[Holding, PositionSide]],
        cross_wallet_e8: int | None,
        now_ms: int,
    ) -> None:
        positions = []
        for holding, side in legs:
            if holding.position_of(side).steps:
                mark_e8 = self._mark_of(holding.spec.symbol)
                risk = position_risk(holding, mark_e8, side)
                positions.append((holding.state(mark_e8, side), mark_e8, risk.maintenance_e8))
        self._emit(MarginCalled(account.account_id, now_ms, asset, cross_wallet_e8, tuple(positions)))

    def _liquidate_cross(self, account: Account, asset: str, now_ms: int) -> None:
        """Every order in the asset goes, every position that is not isolated is closed."""
        floor_e8 = account.isolated_e8(asset)
        for holding in account.holdings_in(asset):
            self._expire_orders(holding, now_ms)
            if not holding.isolated:
                for side in holding.sides:
                    self._close_position(account, holding, side, floor_e8, now_ms)
            self._matchers[holding.spec.symbol].listing.publish(now_ms)
        self._cover(account, "", asset, floor_e8, now_ms)
        account.warned.discard(asset)

    def _liquidate_isolated(self, account: Account, holding: Holding, side: PositionSide, now_ms: int) -> None:
        """The position can lose the margin that was set aside for it, and not a bit of the rest of the wallet."""
        spec = holding.spec
        floor_e8 = account.wallet_e8(spec.margin_asset) - max(0, holding.position_of(side).margin_e8)
        self._expire_orders(holding, now_ms)
        self._close_position(account, holding, side, floor_e8, now_ms)
        self._matchers[spec.symbol].listing.publish(now_ms)
        self._cover(account, spec.symbol, spec.margin_asset, floor_e8, now_ms)
        account.warned.discard(f"{spec.symbol}/{side}")

    def _expire_orders(self, holding: Holding, now_ms: int) -> None:
        matcher = self._matchers[holding.spec.symbol]
        for order in list(holding.open.values()):
            matcher.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, ExpiryReason.LIQUIDATION)

    def _cover(self, account: Account, symbol: str, asset: str, floor_e8: int, now_ms: int) -> None:
        """The insurance fund pays what was lost beyond what could be lost."""
        missing_e8 = floor_e8 - account.wallet_e8(asset)
        if missing_e8 > 0:
            self._insurance(account, symbol, asset, missing_e8, now_ms)

    def _close_position(
        self, account: Account, holding: Holding, position_side: PositionSide, floor_e8: int, now_ms: int
    ) -> None:
        """A forced order into the book. The liquidation fee takes the wallet down to `floor_e8` at most."""
        spec, position = holding.spec, holding.position_of(position_side)
        if not position.steps:
            return
        matcher = self._matchers[spec.symbol]
        limit_ticks = matcher.market_limit_ticks(Side.SELL if position.steps > 0 else Side.BUY)
        order = self._forced_order(account, holding, position_side, ForcedBy.LIQUIDATION, limit_ticks, now_ms)
        matcher.liquidate(order, limit_ticks, now_ms)
        self._emit(OrderForced(spec.symbol, now_ms, order.snapshot(), order.executed_steps))
        numerator, denominator = spec.liquidation_fee.as_integer_ratio()
        asset = spec.margin_asset
        fee_e8 = min(order.cum_quote_e8 * numerator // denominator, max(0, account.wallet_e8(asset) - floor_e8))
        if fee_e8:
            self._insurance(account, spec.symbol, asset, -fee_e8, now_ms)

    def deleverage(
        self, account: Account, holding: Holding, position_side: PositionSide, steps: int, now_ms: int
    ) -> None:
        """Part of a position is closed at mark, against the background and beside the book."""
        mark_ticks = max(1, self._mark_of(holding.spec.symbol) // holding.spec.tick_e8)
        order = self._forced_order(account, holding, position_side, ForcedBy.ADL, mark_ticks, now_ms)
        order.orig_steps = steps
        self._matchers[holding.spec.symbol].take_over(order, mark_ticks, now_ms)

    def _forced_order(
        self,
        account: Account,
        holding: Holding,
        position_side: PositionSide,
        why: ForcedBy,
        price_ticks: int,
        now_ms: int,
    ) -> Order:
        """Over the whole position; its client id says why, in the venue's words."""
        steps, order_id = holding.position_of(position_side).steps, self._next_order_id()
        return Order(
            order_id=order_id,
            account_id=account.account_id,
            symbol=holding.spec.symbol,
            client_order_id="adl_autoclose" if why is ForcedBy.ADL else f"autoclose-{order_id}",
            side=Side.SELL if steps > 0 else Side.BUY,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price_ticks=price_ticks,
            orig_steps=abs(steps),
            reduce_only=False,
            stp_mode=StpMode.NONE,
            price_match=PriceMatch.NONE,
            good_till_ms=0,
            created_ms=now_ms,
            updated_ms=now_ms,
            position_side=position_side,
            forced_by=why,
        )

    def _insurance(self, account: Account, symbol: str, asset: str, amount_e8: int, now_ms: int) -> None:
        self._ledger.insurance(account, symbol, asset, amount_e8, now_ms)
        balances, reason = (account.balance(asset, amount_e8),), UpdateReason.INSURANCE_CLEAR
        self._emit(AccountUpdated(account.account_id, now_ms, reason, balances, ()))

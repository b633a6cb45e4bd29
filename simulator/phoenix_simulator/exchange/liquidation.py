"""Margin calls and liquidation, looked at with each new mark price.

When the margin balance that stands behind an account's cross positions (of one asset, or of all in multi-assets mode)
no longer exceeds their maintenance margin, the open orders expire and positions are closed by forced orders until it
does: the one that asks for most maintenance first, and each bracket by bracket, so that what is left falls under the
next lower ratio. An isolated position is judged and closed alone.

A forced order goes into the real book, as far as marketTakeBound allows, and the background takes the rest over at that
bound. A liquidation fee is charged from what is left, and the insurance fund covers what is missing. Where the fund
could not (`ExchangeSettings.insurance_fund_e8`), the order goes no further than the price at which the account is
bankrupt, and for the rest the positions on the other side are deleveraged there, in the order of their queue.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction

from phoenix_simulator.exchange import adl
from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, UpdateReason
from phoenix_simulator.exchange.forced import forced_order
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit
from phoenix_simulator.exchange.margin import in_asset_e8, position_risk, standing_margin
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    ForcedBy,
    Order,
    OrderStatus,
    PositionSide,
    Side,
)
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.symbols import E8

Leg = tuple[Holding, PositionSide]

_WARNING_NUMERATOR, _WARNING_DENOMINATOR = 4, 5
"""MARGIN_CALL at 80 % of maintenance to margin balance."""


class Liquidator:
    def __init__(
        self,
        matchers: Mapping[str, Matcher],
        accounts: Mapping[str, Account],
        ledger: Ledger,
        next_order_id: Callable[[], int],
        prices: Prices,
        emit: Emit,
        insurance_fund_e8: int | None,
    ) -> None:
        self._matchers = matchers
        self._accounts = accounts
        self._ledger = ledger
        self._next_order_id = next_order_id
        self._prices = prices
        self._emit = emit
        self._insurance_fund_e8 = insurance_fund_e8

    def check(self, account: Account, asset: str, now_ms: int) -> None:
        """Warn or liquidate where the margin behind positions in `asset`, or an isolated one in it, asks for it."""
        for holding in account.holdings_in(asset):
            if holding.isolated and holding.has_position:
                for side in holding.sides:
                    self._check_isolated(account, holding, side, now_ms)
        margin = standing_margin(account, asset, self._prices)
        if margin.must_liquidate:
            self._liquidate_cross(account, asset, now_ms)
        elif self._warns(account, margin.asset, margin.cross_maintenance_e8, margin.cross_balance_e8):
            cross = [holding for holding in _standing_on(account, asset) if not holding.isolated]
            legs = [(holding, side) for holding in cross for side in holding.sides]
            self._warn(account, margin.asset, legs, margin.cross_wallet_e8, now_ms)

    def _check_isolated(self, account: Account, holding: Holding, side: PositionSide, now_ms: int) -> None:
        spec, position = holding.spec, holding.position_of(side)
        risk = position_risk(holding, self._prices.mark_e8(spec.symbol), side)
        balance_e8 = position.margin_e8 + risk.unrealised_e8
        if self._is_short(holding, side):
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
        legs: list[Leg],
        cross_wallet_e8: int | None,
        now_ms: int,
    ) -> None:
        positions = []
        for holding, side in legs:
            if holding.position_of(side).steps:
                mark_e8 = self._prices.mark_e8(holding.spec.symbol)
                risk = position_risk(holding, mark_e8, side)
                positions.append((holding.state(mark_e8, side), mark_e8, risk.maintenance_e8))
        self._emit(MarginCalled(account.account_id, now_ms, asset, cross_wallet_e8, tuple(positions)))

    def _liquidate_cross(self, account: Account, asset: str, now_ms: int) -> None:
        """Every order that reserves this margin goes, and positions that are not isolated until it carries the rest."""
        holdings = _standing_on(account, asset)
        for holding in holdings:
            self._expire_orders(holding, now_ms)
        legs = [(holding, side) for holding in holdings if not holding.isolated for side in holding.sides]
        while (margin := standing_margin(account, asset, self._prices)).must_liquidate:
            holding, side = max(legs, key=lambda leg: self._maintenance_dollars_e8(*leg))
            spec = holding.spec
            balance_e8 = in_asset_e8(margin, spec.margin_asset, margin.cross_balance_e8, self._prices)
            order = self._close(account, holding, side, balance_e8, now_ms)
            self._charge_fee(account, holding, order, self._spendable_e8(account, spec.margin_asset), now_ms)
        for holding in holdings:
            self._matchers[holding.spec.symbol].listing.publish(now_ms)
        if not any(holding.position_of(side).steps for holding, side in legs):
            self._cover_deficit(account, asset, now_ms)
        account.warned.discard(margin.asset)

    def _maintenance_dollars_e8(self, holding: Holding, side: PositionSide) -> int:
        risk = position_risk(holding, self._prices.mark_e8(holding.spec.symbol), side)
        return self._prices.needed_dollars_e8(holding.spec.margin_asset, risk.maintenance_e8)

    def _spendable_e8(self, account: Account, asset: str) -> int:
        """What a liquidation fee may take: neither profit that is not realised nor what other positions have lost."""
        margin = standing_margin(account, asset, self._prices)
        spendable_e8 = min(margin.cross_wallet_e8, margin.cross_balance_e8)
        return max(0, in_asset_e8(margin, asset, spendable_e8, self._prices))

    def _cover_deficit(self, account: Account, asset: str, now_ms: int) -> None:
        """Nothing is left to close: the fund pays what was lost beyond what there was."""
        if not account.multi_assets:
            self._cover(account, "", asset, account.isolated_e8(asset), now_ms)
        elif standing_margin(account, asset, self._prices).cross_balance_e8 < 0:
            # The collateral is not worth the debts: the fund takes it and pays them.
            for owned in list(account.wallets_e8):
                amount_e8 = account.wallet_e8(owned)
                if amount_e8 and self._prices.index(owned) is not None:
                    self._insurance(account, "", owned, -amount_e8, now_ms)

    def _liquidate_isolated(self, account: Account, holding: Holding, side: PositionSide, now_ms: int) -> None:
        """The position can lose the margin that was set aside for it, and not a bit of the rest of the wallet."""
        spec, position = holding.spec, holding.position_of(side)
        self._expire_orders(holding, now_ms)
        while self._is_short(holding, side):
            before, margin_e8 = abs(position.steps), position.margin_e8
            wallet_e8 = account.wallet_e8(spec.margin_asset)
            balance_e8 = margin_e8 + position.unrealised_e8(self._prices.mark_e8(spec.symbol))
            order = self._close(account, holding, side, balance_e8, now_ms)
            released_e8 = margin_e8 - margin_e8 * (before - order.executed_steps) // before
            floor_e8 = wallet_e8 - max(0, released_e8)
            left_e8 = max(0, account.wallet_e8(spec.margin_asset) - floor_e8)
            self._charge_fee(account, holding, order, left_e8, now_ms)
            self._cover(account, spec.symbol, spec.margin_asset, floor_e8, now_ms)
        self._matchers[spec.symbol].listing.publish(now_ms)
        account.warned.discard(f"{spec.symbol}/{side}")

    def _is_short(self, holding: Holding, side: PositionSide) -> bool:
        risk = position_risk(holding, self._prices.mark_e8(holding.spec.symbol), side)
        balance_e8 = holding.position_of(side).margin_e8 + risk.unrealised_e8
        return bool(risk.maintenance_e8) and balance_e8 <= risk.maintenance_e8

    def _expire_orders(self, holding: Holding, now_ms: int) -> None:
        matcher = self._matchers[holding.spec.symbol]
        for order in list(holding.open.values()):
            matcher.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, ExpiryReason.LIQUIDATION)

    def _cover(self, account: Account, symbol: str, asset: str, floor_e8: int, now_ms: int) -> None:
        """The insurance fund pays what was lost beyond what could be lost."""
        missing_e8 = floor_e8 - account.wallet_e8(asset)
        if missing_e8 > 0:
            self._insurance(account, symbol, asset, missing_e8, now_ms)

    # ---- one forced order ---------------------------------------------------------------------------------------

    def _close(self, account: Account, holding: Holding, side: PositionSide, balance_e8: int, now_ms: int) -> Order:
        """One bracket of a position. `balance_e8`: what stands behind it at mark, in its margin asset."""
        spec, position = holding.spec, holding.position_of(side)
        matcher, mark_e8 = self._matchers[spec.symbol], self._prices.mark_e8(spec.symbol)
        steps = _bracket_steps(holding, side, mark_e8)
        limit_ticks = matcher.market_limit_ticks(Side.SELL if position.steps > 0 else Side.BUY)
        bankrupt_ticks = _bankruptcy_ticks(holding, side, steps, balance_e8, mark_e8)
        # Closing a long position at a limit below the price of its bankruptcy loses the difference.
        beyond_ticks = bankrupt_ticks - limit_ticks if position.steps > 0 else limit_ticks - bankrupt_ticks
        is_covered = self._fund_covers(spec.margin_asset, spec.notional_e8(beyond_ticks, steps))
        if not is_covered:
            limit_ticks = bankrupt_ticks
        order = forced_order(
            self._next_order_id(), account, holding, side, ForcedBy.LIQUIDATION, limit_ticks, steps, now_ms
        )
        matcher.begin_forced(order, now_ms)
        matcher.sweep(order, limit_ticks, now_ms)
        if not is_covered:
            self._deleverage_others(order, limit_ticks, now_ms)
        if order.leaves_steps:
            matcher.take_over(order, limit_ticks, now_ms)
        self._emit(OrderForced(spec.symbol, now_ms, order.snapshot(), order.executed_steps))
        return order

    def _fund_covers(self, asset: str, loss_e8: int) -> bool:
        """Whether the fund can pay so much; it need not where nothing is lost."""
        if self._insurance_fund_e8 is None or loss_e8 <= 0:
            return True
        return loss_e8 <= self._insurance_fund_e8 + self._ledger.treasury.insurance_e8[asset]

    def _deleverage_others(self, order: Order, price_ticks: int, now_ms: int) -> None:
        """What the book left is closed against the positions on the other side, the first in line first."""
        symbol, mark_e8 = order.symbol, self._prices.mark_e8(order.symbol)
        for account, holding, side in adl.line(self._accounts.values(), symbol, mark_e8, order.side.sign):
            if not order.leaves_steps:
                break
            if account.account_id != order.account_id:
                steps = min(order.leaves_steps, abs(holding.position_of(side).steps))
                other = forced_order(
                    self._next_order_id(), account, holding, side, ForcedBy.ADL, price_ticks, steps, now_ms
                )
                self._matchers[symbol].deleverage(order, other, price_ticks, now_ms)

    def _charge_fee(self, account: Account, holding: Holding, order: Order, most_e8: int, now_ms: int) -> None:
        """The liquidation fee, as far as there is something left of what stood behind the position."""
        spec = holding.spec
        numerator, denominator = spec.liquidation_fee.as_integer_ratio()
        fee_e8 = min(order.cum_quote_e8 * numerator // denominator, most_e8)
        if fee_e8:
            self._insurance(account, spec.symbol, spec.margin_asset, -fee_e8, now_ms)

    def deleverage(
        self, account: Account, holding: Holding, position_side: PositionSide, steps: int, now_ms: int
    ) -> None:
        """Part of a position is closed at mark, against the background and beside the book."""
        matcher = self._matchers[holding.spec.symbol]
        mark_ticks = max(1, self._prices.mark_e8(holding.spec.symbol) // holding.spec.tick_e8)
        order = forced_order(
            self._next_order_id(), account, holding, position_side, ForcedBy.ADL, mark_ticks, steps, now_ms
        )
        matcher.begin_forced(order, now_ms)
        matcher.take_over(order, mark_ticks, now_ms)

    def _insurance(self, account: Account, symbol: str, asset: str, amount_e8: int, now_ms: int) -> None:
        self._ledger.insurance(account, symbol, asset, amount_e8, now_ms)
        balances, reason = (account.balance(asset, amount_e8),), UpdateReason.INSURANCE_CLEAR
        self._emit(AccountUpdated(account.account_id, now_ms, reason, balances, ()))


def _standing_on(account: Account, asset: str) -> list[Holding]:
    """What the margin behind positions in `asset` carries: everything in it, or in multi-assets mode everything."""
    return list(account.holdings.values()) if account.multi_assets else account.holdings_in(asset)


def _bracket_steps(holding: Holding, side: PositionSide, mark_e8: int) -> int:
    """So much of a position that the rest falls into the next lower bracket; all of it in the lowest."""
    spec, steps = holding.spec, abs(holding.position_of(side).steps)
    floor_e8 = spec.bracket_of(spec.mark_notional_e8(mark_e8, steps)).notional_floor_e8
    return max(1, steps - floor_e8 * E8 // (mark_e8 * spec.step_e8))


def _bankruptcy_ticks(holding: Holding, side: PositionSide, steps: int, balance_e8: int, mark_e8: int) -> int:
    """The price that leaves nothing of the balance once so many steps are closed there and the taker's fee is paid."""
    spec = holding.spec
    sign = 1 if holding.position_of(side).steps > 0 else -1
    quantity = Fraction(steps * spec.step_e8, E8)
    # balance + sign·q·(P − mark) − rate·q·P = 0
    price = (sign * quantity * mark_e8 - balance_e8) / (quantity * (sign - Fraction(spec.taker_rate_e8, E8)))
    ticks = price / spec.tick_e8
    return max(1, -(-ticks.numerator // ticks.denominator) if sign > 0 else ticks.numerator // ticks.denominator)

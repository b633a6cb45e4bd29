"""Margin of an account, one margin asset at a time (single-asset mode).

Available balance = wallet + unrealised − initial margin of positions − initial margin of open orders. Initial margin is
notional at mark / leverage; open orders count with the worse of the two sides: max(|N + bids|, |N − asks|) − |N|, N the
signed notional. In hedge mode each of the two positions counts for itself, with the orders that would add to it; what
closes a position needs no margin. An isolated position stands on the margin that was set aside for it and on nothing
else: its profit and loss neither help nor hurt the rest; only its open orders are reserved with the others. Maintenance
margin follows the bracket table. A loss that an order would open with (a price beyond mark) is not reserved ahead of
its fill.
"""

from collections.abc import Callable
from fractions import Fraction

import msgspec

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.orders import PositionSide
from phoenix_simulator.exchange.symbols import E8, divide_up

MarkOf = Callable[[str], int]
"""symbol → mark price, 1e-8."""


class PositionRisk(msgspec.Struct, frozen=True):
    """All money in 1e-8 of the margin asset; `notional_e8` is signed."""

    notional_e8: int
    unrealised_e8: int
    position_margin_e8: int
    order_margin_e8: int
    maintenance_e8: int

    @property
    def initial_margin_e8(self) -> int:
        return self.position_margin_e8 + self.order_margin_e8


class IsolatedMargin(msgspec.Struct, frozen=True):
    """Sums over the isolated positions of an account in one asset."""

    wallet_e8: int = 0
    unrealised_e8: int = 0
    position_margin_e8: int = 0
    maintenance_e8: int = 0


class AssetMargin(msgspec.Struct, frozen=True):
    """An account's margin in one asset. Each field covers all positions, `isolated` the part of the isolated ones."""

    asset: str
    wallet_e8: int
    unrealised_e8: int
    position_margin_e8: int
    order_margin_e8: int
    maintenance_e8: int
    isolated: IsolatedMargin

    @property
    def initial_margin_e8(self) -> int:
        return self.position_margin_e8 + self.order_margin_e8

    @property
    def margin_balance_e8(self) -> int:
        return self.wallet_e8 + self.unrealised_e8

    @property
    def cross_wallet_e8(self) -> int:
        return self.wallet_e8 - self.isolated.wallet_e8

    @property
    def cross_unrealised_e8(self) -> int:
        return self.unrealised_e8 - self.isolated.unrealised_e8

    @property
    def cross_balance_e8(self) -> int:
        return self.cross_wallet_e8 + self.cross_unrealised_e8

    @property
    def cross_initial_margin_e8(self) -> int:
        return self.initial_margin_e8 - self.isolated.position_margin_e8

    @property
    def cross_maintenance_e8(self) -> int:
        return self.maintenance_e8 - self.isolated.maintenance_e8

    @property
    def free_e8(self) -> int:
        """May be negative after losses."""
        return self.cross_balance_e8 - self.cross_initial_margin_e8

    @property
    def available_e8(self) -> int:
        return max(0, self.free_e8)

    @property
    def must_liquidate(self) -> bool:
        """What is cross-margined; an isolated position is liquidated alone."""
        return self.cross_maintenance_e8 > 0 and self.cross_balance_e8 <= self.cross_maintenance_e8

    @property
    def max_withdraw_e8(self) -> int:
        """Unrealised profit cannot be withdrawn."""
        return max(0, min(self.free_e8, self.cross_wallet_e8 - self.cross_initial_margin_e8))


_NOTHING_ISOLATED = IsolatedMargin()


def position_risk(holding: Holding, mark_e8: int, side: PositionSide = PositionSide.BOTH) -> PositionRisk:
    spec, position = holding.spec, holding.position_of(side)
    notional = position.notional_e8(mark_e8)
    position_margin = divide_up(abs(notional), holding.leverage)
    if side is PositionSide.BOTH:
        worst = max(abs(notional + holding.bid_notional_e8), abs(notional - holding.ask_notional_e8))
    else:
        worst = abs(notional) + opening_notional_e8(holding, side)
    order_margin = max(0, divide_up(worst, holding.leverage) - position_margin)
    maintenance = spec.maintenance_e8(notional) if notional else 0
    return PositionRisk(notional, position.unrealised_e8(mark_e8), position_margin, order_margin, maintenance)


def opening_notional_e8(holding: Holding, side: PositionSide) -> int:
    """Open orders of hedge mode that would add to one of the positions: Σ leaves × price."""
    return sum(
        holding.spec.notional_e8(order.price_ticks, order.leaves_steps)
        for order in holding.open.values()
        if order.position_side is side and not order.reduce_only
    )


def asset_margin(account: Account, asset: str, mark_of: MarkOf) -> AssetMargin:
    unrealised = position_margin = order_margin = maintenance = 0
    isolated = _NOTHING_ISOLATED
    for holding in account.holdings_in(asset):
        for side in holding.sides:
            risk = position_risk(holding, mark_of(holding.spec.symbol), side)
            unrealised += risk.unrealised_e8
            position_margin += risk.position_margin_e8
            order_margin += risk.order_margin_e8
            maintenance += risk.maintenance_e8
            if holding.isolated:
                isolated = IsolatedMargin(
                    isolated.wallet_e8 + holding.position_of(side).margin_e8,
                    isolated.unrealised_e8 + risk.unrealised_e8,
                    isolated.position_margin_e8 + risk.position_margin_e8,
                    isolated.maintenance_e8 + risk.maintenance_e8,
                )
    wallet = account.wallet_e8(asset)
    return AssetMargin(asset, wallet, unrealised, position_margin, order_margin, maintenance, isolated)


def worst_notional_e8(holding: Holding, mark_e8: int, added_bid_e8: int = 0, added_ask_e8: int = 0) -> int:
    """The largest |notional| if one side's open orders all fill, with an order more on either side. In hedge mode both
    positions with all that would add to them.
    """
    if holding.hedged:
        held = sum(
            abs(holding.position_of(side).notional_e8(mark_e8)) + opening_notional_e8(holding, side)
            for side in holding.sides
        )
        return held + added_bid_e8 + added_ask_e8
    notional = holding.position.notional_e8(mark_e8)
    return max(
        abs(notional),
        abs(notional + holding.bid_notional_e8 + added_bid_e8),
        abs(notional - holding.ask_notional_e8 - added_ask_e8),
    )


def liquidation_price_e8(
    account: Account, holding: Holding, mark_of: MarkOf, side: PositionSide = PositionSide.BOTH
) -> int:
    """Mark at which the margin balance meets maintenance, all other marks as they are; 0 where no such price exists.

    Solves balance of the rest − its maintenance + Σ q·(P − entry) = Σ (|q|·P·ratio − cum) for P, in the brackets of the
    present notionals: for an isolated position over itself, the rest being the margin set aside for it; otherwise over
    the symbol's positions, the rest being all else that is cross-margined.
    """
    spec, mark_e8 = holding.spec, mark_of(holding.spec.symbol)
    if holding.isolated:
        sides: tuple[PositionSide, ...] = (side,)
        right = -holding.position_of(side).margin_e8
    else:
        sides = holding.sides
        total = asset_margin(account, spec.margin_asset, mark_of)
        risks = [position_risk(holding, mark_e8, each) for each in sides]
        right = total.cross_maintenance_e8 - total.cross_balance_e8
        right += sum(risk.unrealised_e8 - risk.maintenance_e8 for risk in risks)
    left = Fraction(0)
    for each in sides:
        position = holding.position_of(each)
        if not position.steps:
            continue
        bracket = spec.bracket_of(position.notional_e8(mark_e8))
        sign = 1 if position.steps > 0 else -1
        right += sign * position.cost_e8 - bracket.cumulative_e8
        # |q|·P·(sign − ratio) with |q| in steps and P in 1e-8
        left += abs(position.steps) * spec.step_e8 * (sign - Fraction(bracket.maintenance_ratio))
    return max(0, int(right * E8 / left)) if left else 0

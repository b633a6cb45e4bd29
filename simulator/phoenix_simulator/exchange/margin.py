"""Margin of an account: one margin asset at a time, or in multi-assets mode all of them together in US dollars.

Available balance = wallet + unrealised − initial margin of positions − initial margin of open orders. Initial margin is
notional at mark / leverage; open orders count with the worse of the two sides: max(|N + bids|, |N − asks|) − |N|, N the
signed notional. In hedge mode each of the two positions counts for itself, with the orders that would add to it; what
closes a position needs no margin. An isolated position stands on the margin that was set aside for it and on nothing
else: its profit and loss neither help nor hurt the rest; only its open orders are reserved with the others. Maintenance
margin follows the bracket table. A loss that an order would open with (a price beyond mark) is not reserved ahead of
its fill.

In multi-assets mode each asset's balance counts at its bid rate (a negative one at its ask rate) and each requirement
at the ask rate (see `prices`); profit in one asset carries positions in another, and a wallet may go below zero.
"""

from fractions import Fraction

import msgspec

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.orders import PositionSide
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.symbols import E8, divide_up

JOINT_ASSET = "USD"
"""What the joint margin of multi-assets mode is counted in."""


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


def asset_margin(account: Account, asset: str, prices: Prices) -> AssetMargin:
    """Of one asset by itself, in its own units, whatever the account's mode."""
    unrealised = position_margin = order_margin = maintenance = 0
    isolated = _NOTHING_ISOLATED
    for holding in account.holdings_in(asset):
        for side in holding.sides:
            risk = position_risk(holding, prices.mark_e8(holding.spec.symbol), side)
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


def joint_margin(account: Account, prices: Prices) -> AssetMargin:
    """Of all assets together, in US dollars (multi-assets mode). There are no isolated positions in it."""
    wallet = unrealised = position_margin = order_margin = maintenance = 0
    margin_assets = (holding.spec.margin_asset for holding in account.holdings.values())
    for asset in dict.fromkeys((*account.wallets_e8, *margin_assets)):
        margin = asset_margin(account, asset, prices)
        own_wallet = prices.dollars_e8(asset, margin.wallet_e8)
        wallet += own_wallet
        # Profit and loss are judged with the wallet that they end in.
        unrealised += prices.dollars_e8(asset, margin.margin_balance_e8) - own_wallet
        position_margin += prices.needed_dollars_e8(asset, margin.position_margin_e8)
        order_margin += prices.needed_dollars_e8(asset, margin.order_margin_e8)
        maintenance += prices.needed_dollars_e8(asset, margin.maintenance_e8)
    return AssetMargin(JOINT_ASSET, wallet, unrealised, position_margin, order_margin, maintenance, _NOTHING_ISOLATED)


def standing_margin(account: Account, asset: str, prices: Prices) -> AssetMargin:
    """What stands behind the account's cross positions in `asset`."""
    return joint_margin(account, prices) if account.multi_assets else asset_margin(account, asset, prices)


def in_asset_e8(margin: AssetMargin, asset: str, amount_e8: int, prices: Prices) -> int:
    """An amount of this margin in units of `asset`: dollars of the joint margin are converted."""
    return amount_e8 if margin.asset == asset else prices.units_e8(asset, amount_e8)


def max_withdraw_e8(account: Account, asset: str, prices: Prices) -> int:
    """In multi-assets mode no more than the wallet of the asset, and nothing that the others do not carry alone."""
    own = asset_margin(account, asset, prices)
    if not account.multi_assets:
        return own.max_withdraw_e8
    index = prices.index(asset)
    if index is None:
        return max(0, own.wallet_e8)
    return max(0, min(own.wallet_e8, joint_margin(account, prices).max_withdraw_e8 * E8 // index.bid_e8))


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
    account: Account, holding: Holding, prices: Prices, side: PositionSide = PositionSide.BOTH
) -> int:
    """Mark at which the margin balance meets maintenance, all other marks as they are; 0 where no such price exists.

    Solves balance of the rest − its maintenance + Σ q·(P − entry) = Σ (|q|·P·ratio − cum) for P, in the brackets of the
    present notionals: for an isolated position over itself, the rest being the margin set aside for it; otherwise over
    the symbol's positions, the rest being all else that is cross-margined (in multi-assets mode as good as that rest is
    now, in the symbol's margin asset).
    """
    spec, mark_e8 = holding.spec, prices.mark_e8(holding.spec.symbol)
    if holding.isolated:
        sides: tuple[PositionSide, ...] = (side,)
        right = -holding.position_of(side).margin_e8
    else:
        sides = holding.sides
        total = standing_margin(account, spec.margin_asset, prices)
        risks = [position_risk(holding, mark_e8, each) for each in sides]
        missing_e8 = total.cross_maintenance_e8 - total.cross_balance_e8
        right = in_asset_e8(total, spec.margin_asset, missing_e8, prices)
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

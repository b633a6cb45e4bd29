"""Margin of a cross-margined account, one margin asset at a time (single-asset mode).

Available balance = wallet + unrealised − initial margin of positions − initial margin of open orders. Initial margin is
notional at mark / leverage; open orders count with the worse of the two sides: max(|N + bids|, |N − asks|) − |N|, N the
signed notional. Maintenance margin follows the bracket table. A loss that an order would open with (a price beyond
mark) is not reserved ahead of its fill.
"""

from collections.abc import Callable

import msgspec

from phoenix_simulator.exchange.accounts import Account, Holding
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


class AssetMargin(msgspec.Struct, frozen=True):
    """An account's margin in one asset."""

    asset: str
    wallet_e8: int
    unrealised_e8: int
    position_margin_e8: int
    order_margin_e8: int
    maintenance_e8: int

    @property
    def initial_margin_e8(self) -> int:
        return self.position_margin_e8 + self.order_margin_e8

    @property
    def margin_balance_e8(self) -> int:
        return self.wallet_e8 + self.unrealised_e8

    @property
    def free_e8(self) -> int:
        """May be negative after losses."""
        return self.margin_balance_e8 - self.initial_margin_e8

    @property
    def available_e8(self) -> int:
        return max(0, self.free_e8)

    @property
    def must_liquidate(self) -> bool:
        return self.maintenance_e8 > 0 and self.margin_balance_e8 <= self.maintenance_e8

    @property
    def max_withdraw_e8(self) -> int:
        """Unrealised profit cannot be withdrawn."""
        return max(0, min(self.free_e8, self.wallet_e8 - self.initial_margin_e8))


def position_risk(holding: Holding, mark_e8: int) -> PositionRisk:
    spec, position = holding.spec, holding.position
    notional = position.notional_e8(mark_e8)
    position_margin = divide_up(abs(notional), holding.leverage)
    worst = max(abs(notional + holding.bid_notional_e8), abs(notional - holding.ask_notional_e8))
    order_margin = max(0, divide_up(worst, holding.leverage) - position_margin)
    maintenance = spec.maintenance_e8(notional) if notional else 0
    return PositionRisk(notional, position.unrealised_e8(mark_e8), position_margin, order_margin, maintenance)


def asset_margin(account: Account, asset: str, mark_of: MarkOf) -> AssetMargin:
    unrealised = position_margin = order_margin = maintenance = 0
    for holding in account.holdings_in(asset):
        risk = position_risk(holding, mark_of(holding.spec.symbol))
        unrealised += risk.unrealised_e8
        position_margin += risk.position_margin_e8
        order_margin += risk.order_margin_e8
        maintenance += risk.maintenance_e8
    return AssetMargin(asset, account.wallet_e8(asset), unrealised, position_margin, order_margin, maintenance)


def worst_notional_e8(holding: Holding, mark_e8: int, added_bid_e8: int = 0, added_ask_e8: int = 0) -> int:
    """The largest |notional| if one side's open orders all fill, with an order more on either side."""
    notional = holding.position.notional_e8(mark_e8)
    return max(
        abs(notional),
        abs(notional + holding.bid_notional_e8 + added_bid_e8),
        abs(notional - holding.ask_notional_e8 - added_ask_e8),
    )


def liquidation_price_e8(account: Account, holding: Holding, mark_of: MarkOf) -> int:
    """Mark at which the margin balance meets maintenance, all other marks as they are; 0 where no such price exists.

    Solves wallet + other unrealised − other maintenance + q·(P − entry) = |q|·P·ratio − cum for P, in the bracket
    of the present notional.
    """
    position, spec = holding.position, holding.spec
    if not position.steps:
        return 0
    own = position_risk(holding, mark_of(spec.symbol))
    total = asset_margin(account, spec.margin_asset, mark_of)
    elsewhere = total.margin_balance_e8 - own.unrealised_e8 - (total.maintenance_e8 - own.maintenance_e8)
    bracket = spec.bracket_of(own.notional_e8)
    sign = 1 if position.steps > 0 else -1
    # |q|·P·(sign − ratio) = sign·cost − elsewhere − cum, with |q| in steps and P in 1e-8
    numerator, denominator = bracket.maintenance_ratio.as_integer_ratio()
    right = sign * position.cost_e8 - elsewhere - bracket.cumulative_e8
    left = abs(position.steps) * spec.step_e8 * (sign * denominator - numerator)
    price = right * denominator * E8 // left
    return max(0, price)

"""What an account may set for itself, and when the venue refuses. The exchange tells what was changed.

Every function either makes its change or raises `VenueError` and changes nothing.
"""

from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.margin import (
    asset_margin,
    in_asset_e8,
    position_risk,
    standing_margin,
    worst_notional_e8,
)
from phoenix_simulator.exchange.orders import PositionSide
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.symbols import divide_up


def set_leverage(account: Account, listing: Listing, leverage: int, prices: Prices) -> int:
    """Returns the largest notional (1e-8) that the new leverage admits."""
    spec = listing.spec
    if not 1 <= leverage <= spec.max_leverage:
        raise errors.bad_leverage(leverage=leverage)
    holding = account.holding(spec)
    if holding.isolated and holding.has_position and leverage < holding.leverage:
        raise errors.isolated_leverage_reduction()
    worst_e8 = worst_notional_e8(holding, listing.mark_e8)
    if worst_e8 > spec.max_notional_e8(leverage):
        raise errors.max_leverage_position()
    added_e8 = divide_up(worst_e8, leverage) - divide_up(worst_e8, holding.leverage)
    margin = standing_margin(account, spec.margin_asset, prices)
    if added_e8 > 0 and added_e8 > in_asset_e8(margin, spec.margin_asset, margin.free_e8, prices):
        raise errors.leverage_too_low()
    holding.leverage = leverage
    return spec.max_notional_e8(leverage)


def set_margin_type(account: Account, listing: Listing, isolated: bool) -> None:
    """While the symbol has neither orders nor a position."""
    holding = account.holding(listing.spec)
    if holding.isolated == isolated:
        raise errors.same_margin_type()
    if isolated and account.multi_assets:
        raise errors.isolated_in_assets_mode()
    if holding.open:
        raise errors.margin_type_open_orders()
    if holding.has_position:
        raise errors.margin_type_position()
    holding.isolated = isolated


def move_margin(account: Account, listing: Listing, side: PositionSide, amount_e8: int, prices: Prices) -> None:
    """Set more of the wallet aside for an isolated position (positive), or give back what it does not need."""
    holding = account.holding(listing.spec)
    if side not in holding.sides:
        raise errors.position_side_mismatch()
    if not holding.isolated:
        raise errors.not_isolated()
    position = holding.position_of(side)
    if not position.steps:
        raise errors.no_position_for_margin()
    if amount_e8 > 0 and amount_e8 > asset_margin(account, listing.spec.margin_asset, prices).available_e8:
        raise errors.cross_balance_insufficient()
    if amount_e8 < 0:
        risk = position_risk(holding, listing.mark_e8, side)
        if -amount_e8 > position.margin_e8 + min(0, risk.unrealised_e8) - risk.position_margin_e8:
            raise errors.isolated_balance_insufficient()
    position.margin_e8 += amount_e8


def set_position_mode(account: Account, hedge: bool) -> None:
    if account.hedge_mode == hedge:
        raise errors.same_position_mode()
    if any(holding.open for holding in account.holdings.values()):
        raise errors.position_mode_open_orders()
    if not all(holding.is_idle for holding in account.holdings.values()):
        raise errors.position_mode_position()
    account.hedge_mode = hedge
    for holding in account.holdings.values():
        holding.hedged = hedge


def set_assets_mode(account: Account, multi_assets: bool) -> None:
    """While the account has neither orders nor positions, and owes nothing in any asset."""
    if account.multi_assets == multi_assets:
        raise errors.same_assets_mode()
    if multi_assets and any(holding.isolated for holding in account.holdings.values()):
        raise errors.assets_mode_isolated()
    if not all(holding.is_idle for holding in account.holdings.values()):
        raise errors.assets_mode_open_orders()
    if any(wallet_e8 < 0 for wallet_e8 in account.wallets_e8.values()):
        raise errors.assets_mode_negative_wallet()
    account.multi_assets = multi_assets

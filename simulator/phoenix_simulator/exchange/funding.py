"""Funding: at each settlement longs pay shorts `position × mark × rate` (rate > 0), nothing goes to the venue."""

from collections.abc import Iterable

from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.events import AccountUpdated, FundingSettled, PositionState, UpdateReason
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit, FundingRecord, Listing
from phoenix_simulator.exchange.symbols import E8, divide_towards_zero


def funding_e8(listing: Listing, signed_steps: int) -> int:
    """What a position receives (negative: pays) at the present mark and rate, cut to 8 decimals once."""
    numerator = listing.mark_e8 * signed_steps * listing.spec.step_e8 * listing.funding_rate_e8
    return -divide_towards_zero(numerator, E8 * E8)


def settle(listing: Listing, accounts: Iterable[Account], ledger: Ledger, emit: Emit, now_ms: int) -> None:
    """Settle the funding due at `listing.next_funding_ms` and set the next time. `now_ms` is when it is booked."""
    stamp_ms = listing.next_funding_ms
    listing.next_funding_ms += listing.funding_interval_ms
    listing.funding_history.append(FundingRecord(stamp_ms, listing.funding_rate_e8, listing.mark_e8))
    emit(FundingSettled(listing.spec.symbol, stamp_ms, listing.funding_rate_e8, listing.mark_e8))
    asset = listing.spec.margin_asset
    for account in accounts:
        holding = account.holdings.get(listing.spec.symbol)
        if holding is None:
            continue
        for side in holding.sides:
            amount_e8 = funding_e8(listing, holding.position_of(side).steps)
            if not amount_e8:
                continue
            ledger.funding(listing, account, amount_e8, stamp_ms)
            positions: tuple[PositionState, ...] = ()
            if holding.isolated:
                # An isolated position pays and receives for itself.
                holding.position_of(side).margin_e8 += amount_e8
                positions = (holding.state(listing.mark_e8, side),)
            balances, reason = (account.balance(asset, amount_e8),), UpdateReason.FUNDING_FEE
            emit(AccountUpdated(account.account_id, now_ms, reason, balances, positions, listing.spec.symbol))

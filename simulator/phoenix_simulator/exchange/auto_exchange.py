"""Auto-exchange of multi-assets mode: a wallet that is too far below zero is filled up from the others.

At the rates of the asset index for that purpose: what is sold counts its bid rate, what is bought costs its ask rate.
"""

from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.events import AccountUpdated, UpdateReason
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit
from phoenix_simulator.exchange.prices import AssetIndex, Prices
from phoenix_simulator.exchange.symbols import divide_up


def settle(account: Account, prices: Prices, ledger: Ledger, emit: Emit, now_ms: int) -> None:
    """Nothing happens to a debt within its asset's allowance."""
    for debt in prices.indices():
        if account.wallet_e8(debt.asset) >= -debt.collateral.auto_exchange_e8:
            continue
        changed: dict[str, int] = {}
        for source in prices.indices():
            missing_e8 = -account.wallet_e8(debt.asset)
            sold_e8, bought_e8 = _bargain(account, source, debt, missing_e8)
            if missing_e8 > 0 and sold_e8 > 0 and bought_e8 > 0:
                ledger.exchange(account, (source.asset, sold_e8), (debt.asset, bought_e8), now_ms)
                changed[source.asset] = -sold_e8
                changed[debt.asset] = changed.get(debt.asset, 0) + bought_e8
        if changed:
            balances = tuple(account.balance(asset, change_e8) for asset, change_e8 in changed.items())
            emit(AccountUpdated(account.account_id, now_ms, UpdateReason.AUTO_EXCHANGE, balances, ()))


def _bargain(account: Account, source: AssetIndex, debt: AssetIndex, missing_e8: int) -> tuple[int, int]:
    """How much of the source is sold (rounded up) for how much of the debt, as far as its wallet goes."""
    held_e8 = account.wallet_e8(source.asset)
    sold_e8 = divide_up(missing_e8 * debt.auto_exchange_ask_e8, source.auto_exchange_bid_e8)
    if sold_e8 <= held_e8:
        return sold_e8, missing_e8
    return held_e8, held_e8 * source.auto_exchange_bid_e8 // debt.auto_exchange_ask_e8

"""Who would be deleveraged first: the queue in which profitable, leveraged positions stand.

An account's score is profit ÷ margin where it wins and profit ÷ notional where it does not (so that higher leverage
comes first among winners), and its quantile is in which fifth of all accounts with a position in the same direction it
stands: 4 is next, 0 is last. Somebody is deleveraged when a liquidation finds neither counterparts in the book nor
money in the insurance fund (`liquidation`), or by command (`Exchange.deleverage`).
"""

from collections.abc import Iterable
from fractions import Fraction

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.orders import PositionSide

HIGHEST_QUANTILE = 4


def quantile(accounts: Iterable[Account], holding: Holding, side: PositionSide, mark_e8: int) -> int:
    """0 where there is no position."""
    steps = holding.position_of(side).steps
    if not steps:
        return 0
    own = _score(holding, side, mark_e8)
    rivals = [
        _score(other, other_side, mark_e8)
        for account in accounts
        if (other := account.holdings.get(holding.spec.symbol)) is not None
        for other_side in other.sides
        if other.position_of(other_side).steps * steps > 0
    ]
    behind = sum(score < own for score in rivals)
    return min(HIGHEST_QUANTILE, behind * (HIGHEST_QUANTILE + 1) // len(rivals))


def line(
    accounts: Iterable[Account], symbol: str, mark_e8: int, direction: int = 0
) -> list[tuple[Account, Holding, PositionSide]]:
    """Open positions, the highest score first; of equals those of the oldest account. `direction`: only long (+1) or
    only short (−1) ones.
    """
    positions = [
        (account, holding, side)
        for account in accounts
        if (holding := account.holdings.get(symbol)) is not None
        for side in holding.sides
        if (steps := holding.position_of(side).steps) and steps * direction >= 0
    ]
    return sorted(positions, key=lambda found: _score(found[1], found[2], mark_e8), reverse=True)


def _score(holding: Holding, side: PositionSide, mark_e8: int) -> Fraction:
    position = holding.position_of(side)
    profit_e8, notional_e8 = position.unrealised_e8(mark_e8), abs(position.notional_e8(mark_e8))
    if not notional_e8:
        return Fraction(0)
    leverage = holding.leverage if profit_e8 > 0 else 1
    return Fraction(profit_e8 * leverage, notional_e8)

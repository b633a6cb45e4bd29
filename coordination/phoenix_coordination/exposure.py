"""How much of what a worker asks for its account's limits admit: exact integers, rounded against us.

Amounts are micro quote (1e-6), as in the shared ledger, whose script has only integers below 2^53.
"""

import math

from phoenix_coordination.port import AccountTerms, Reservation

PRICE_BUFFER = 0.01
"""Pending quantity is valued 1 % worse than mark, and reserved again when mark has moved by half of that."""
MAX_MICRO = 2**53 - 1


def step_micro(step_value: float) -> int:
    """What one step counts for, in micro quote: with the price buffer, rounded up, never 0."""
    return max(1, math.ceil(step_value * (1 + PRICE_BUFFER) * 1_000_000))


def grant(asked: Reservation, terms: AccountTerms) -> tuple[int, int]:
    """Steps of (buys, sells) that may be pending so that no limit breaks if all of one side fills.

    A symbol that is alone in its account: Σ is its own entry. What only reduces the position, up to its whole, is
    always granted. Where the value of a step is unknown nothing else is.
    """
    long_room = short_room = 0
    if math.isfinite(asked.step_value) and 0 < asked.step_value * 1_000_000 < MAX_MICRO:
        most = min(terms.net_micro, terms.gross_micro) // step_micro(asked.step_value)
        long_room = max(0, most - asked.position_steps)
        short_room = max(0, most + asked.position_steps)
    return (
        min(asked.buy_steps, max(long_room, -asked.position_steps)),
        min(asked.sell_steps, max(short_room, asked.position_steps)),
    )

"""How the shared ledger counts a symbol's steps: exact integers, rounded against us.

Amounts are micro quote (1e-6), because the ledger's scripts have only integers below 2^53.
"""

import math

PRICE_BUFFER = 0.01
"""Pending quantity is valued 1 % worse than mark, and reserved again when mark has moved by half of that."""
MAX_MICRO = 2**53 - 1


def step_micro(step_value: float) -> int:
    """What one step counts for, in micro quote: with the price buffer, rounded up, never 0."""
    return max(1, math.ceil(step_value * (1 + PRICE_BUFFER) * 1_000_000))

"""The worst case of one symbol: the position if every open order of one side fills and none of the other."""

import msgspec

from phoenix_simulator.exchange.accounts import Holding
from phoenix_simulator.exchange.orders import Side


class WorstCase(msgspec.Struct, frozen=True):
    """Signed steps: the position now, and how far it can go either way (`short_steps` is the low end)."""

    held_steps: int
    long_steps: int
    short_steps: int

    def on_side(self, side: Side) -> int:
        """How far orders of this side can take the position in their direction (negative: not past flat)."""
        return self.long_steps if side is Side.BUY else -self.short_steps

    def held_on(self, side: Side) -> int:
        return self.held_steps * side.sign


def worst_case(holding: Holding) -> WorstCase:
    """Reduce-only orders bring a position to flat at most, but may do so before an opening order fills."""
    held = holding.net_steps
    opening = {Side.BUY: 0, Side.SELL: 0}
    reducing = {Side.BUY: 0, Side.SELL: 0}
    for order in holding.open.values():
        (reducing if order.reduce_only else opening)[order.side] += order.leaves_steps
    reduced_up = min(reducing[Side.BUY], holding.reducible_steps(Side.BUY))
    reduced_down = min(reducing[Side.SELL], holding.reducible_steps(Side.SELL))
    return WorstCase(held, held + reduced_up + opening[Side.BUY], held - reduced_down - opening[Side.SELL])

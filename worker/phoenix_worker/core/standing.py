"""What stands of ours at one moment: everything that a decision asks of the orders, told in one pass over them.

A slot has two resting orders when one could not be cancelled after it had been replaced; the older one, which stands
further ahead in the queue, keeps it.
"""

import msgspec

from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from phoenix_worker.core.orders import Life, OrderBook, OwnOrder
from phoenix_worker.core.quoting import Slot

# Looking up a member of an enum costs more than what is done with it here.
_BUY = Side.BUY
_OPEN, _CANCELLING, _CLOSED = Life.OPEN, Life.CANCELLING, Life.CLOSED


class Standing(msgspec.Struct):
    """In steps and ticks. Asking for a cancel changes none of it: an order counts until it is gone."""

    buy_exposure: int
    """Every live, in-flight or unknown order of the side, if all of it filled."""
    sell_exposure: int
    stuck: dict[Side, int]
    """Exposure that cannot be withdrawn and stands in no slot of the plan."""
    busy: dict[Slot, int]
    """Exposure of slots that the plan builds round: in flight, or unknown. To fill an unknown one's slot anew would be
    to send it again blind.
    """
    slots: dict[Slot, OwnOrder]
    """The resting order of each slot."""
    surplus: list[OwnOrder]
    """Resting orders that stand in no slot, or beside its order."""
    highest_buy: int
    """Of what may rest, amends at the worse of both prices (0: none)."""
    lowest_sell: int
    live: int


def standing(orders: OrderBook) -> Standing:
    buy_exposure = sell_exposure = buy_stuck = sell_stuck = highest_buy = lowest_sell = live = 0
    busy: dict[Slot, int] = {}
    slots: dict[Slot, OwnOrder] = {}
    surplus: list[OwnOrder] = []
    for order in orders.orders.values():
        life, side, layer, exposure = order.life, order.side, order.layer, order.exposure_steps
        stuck = exposure if layer < 0 or life is _CANCELLING or life is _CLOSED else 0
        if side is _BUY:
            buy_exposure += exposure
            buy_stuck += stuck
        else:
            sell_exposure += exposure
            sell_stuck += stuck
        if life is _CLOSED:
            continue
        live += 1
        price, pending = order.price_ticks, order.pending_price
        if side is _BUY:
            highest_buy = max(highest_buy, price, pending)
        else:
            lowest = min(price, pending) if price and pending else price or pending
            if lowest and (lowest < lowest_sell or not lowest_sell):
                lowest_sell = lowest
        if life is _OPEN:
            if layer >= 0 and order.purpose is not Purpose.LIQUIDATE and (side, layer) not in slots:
                slots[side, layer] = order
            elif order.purpose is not Purpose.LIQUIDATE:
                surplus.append(order)
        elif layer >= 0 and life is not _CANCELLING:
            busy[side, layer] = busy.get((side, layer), 0) + exposure
    stuck_by_side = {Side.BUY: buy_stuck, Side.SELL: sell_stuck}
    return Standing(buy_exposure, sell_exposure, stuck_by_side, busy, slots, surplus, highest_buy, lowest_sell, live)

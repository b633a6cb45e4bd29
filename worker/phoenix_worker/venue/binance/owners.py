"""Whose orders made the fills of which nobody had heard: trades tell the order's id, its client id tells whose it is.

One by one where they are few; where they are many (hours without a leader), page by page from the oldest on. What the
exchange does not know may not be visible yet, and is asked for again; liquidations and deleveraging are listed apart.
An order that is nowhere is told without a client id: its fills are facts, and nobody may take them for ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from phoenix_worker.core.events import Fill, OpenOrder, OrderState
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import own_messages
from phoenix_worker.venue.binance.rest import Parameters, Reply, RestError

ONE_BY_ONE = 40
"""Queries of weight 1; a page costs 5, and may be full of orders that never filled."""
PAGE = 1000
FORCED_PAGE = 100
AGAIN_AFTER_S = 1.0
NO_SUCH_ORDER = -2013


class Get(Protocol):
    """A signed read of some weight, asked again while it may heal; raises `RestError`."""

    def __call__(self, path: str, parameters: Parameters, *, weight: int) -> Awaitable[Reply]: ...


async def owners_of(
    fills: Sequence[Fill], instrument: Instrument, get: Get, sleep: Callable[[float], Awaitable[None]]
) -> list[OpenOrder]:
    """Each order of these fills once, as it is now; raises `RestError`, `DecodeError`."""
    made_by = {fill.venue_id: fill for fill in fills}
    found: dict[int, OpenOrder] = {}
    if len(made_by) > ONE_BY_ONE:
        found |= await _by_pages(made_by, instrument, get)
    found |= await _one_by_one(made_by.keys() - found.keys(), instrument, get)
    if made_by.keys() - found.keys():
        await sleep(AGAIN_AFTER_S)
        found |= await _one_by_one(made_by.keys() - found.keys(), instrument, get)
    if made_by.keys() - found.keys():
        found |= await _forced(instrument, get)
    return [found.get(venue_id) or _nameless(fill) for venue_id, fill in made_by.items()]


async def _one_by_one(venue_ids: set[int], instrument: Instrument, get: Get) -> dict[int, OpenOrder]:
    orders = await asyncio.gather(*(_order(venue_id, instrument, get) for venue_id in sorted(venue_ids)))
    return {order.venue_id: order for order in orders if order is not None}


async def _order(venue_id: int, instrument: Instrument, get: Get) -> OpenOrder | None:
    parameters: Parameters = [("symbol", instrument.symbol), ("orderId", venue_id)]
    try:
        reply = await get("/fapi/v1/order", parameters, weight=1)
    except RestError as error:
        if error.code == NO_SUCH_ORDER:
            return None
        raise
    return own_messages.order_reply(reply.body, instrument)


async def _by_pages(made_by: dict[int, Fill], instrument: Instrument, get: Get) -> dict[int, OpenOrder]:
    """Ids of a symbol's orders ascend."""
    found: dict[int, OpenOrder] = {}
    oldest = min(made_by)
    while True:
        parameters: Parameters = [("symbol", instrument.symbol), ("orderId", oldest), ("limit", PAGE)]
        reply = await get("/fapi/v1/allOrders", parameters, weight=5)
        page = own_messages.open_orders(reply.body, instrument)
        found |= {order.venue_id: order for order in page if order.venue_id in made_by}
        newest = max((order.venue_id for order in page), default=oldest)
        if len(page) < PAGE or newest >= max(made_by):
            return found
        oldest = newest + 1


async def _forced(instrument: Instrument, get: Get) -> dict[int, OpenOrder]:
    parameters: Parameters = [("symbol", instrument.symbol), ("limit", FORCED_PAGE)]
    reply = await get("/fapi/v1/forceOrders", parameters, weight=20)
    return {order.venue_id: order for order in own_messages.open_orders(reply.body, instrument)}


def _nameless(fill: Fill) -> OpenOrder:
    return OpenOrder(
        client_id="",
        venue_id=fill.venue_id,
        side=fill.side,
        price_ticks=fill.price_ticks,
        qty_steps=fill.qty_steps,
        filled_steps=fill.qty_steps,
        reduce_only=False,
        state=OrderState.FILLED,
        update_ms=fill.time_ms,
    )

"""A rehearsal: real market data, real account, and orders that never leave.

Approved orders are answered as resting and unfilled, cancels as done, with the reports that the user stream would
have brought, so that the engine sees the same order of things (`core.paper`). The venue that is wrapped refuses
everything that changes the account besides, should anything get past this.

A live maker of ours may trade the same symbol beside the rehearsal. Its orders are none of the rehearsal's: taken for a
second writer's they would halt the live account, and taken for an older token's they would be cancelled in vain for
ever. Only its fills count, as they move the account's position.
"""

import asyncio

from msgspec.structs import replace

from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchDay,
    FetchFunding,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    Place,
    QueryOrder,
    Reconnect,
)
from phoenix_worker.core.events import AnyEvent, OrderReport, Truth
from phoenix_worker.core.paper import Paper, is_ours, only_fills
from phoenix_worker.venue.clock import NS_PER_MS, Clock
from phoenix_worker.venue.port import Preflight, Sink, Venue, VenueAction


class DryRun:
    """Wraps a venue. Only place, amend, cancel, cancel-all, dead-man and what asks about them are its own."""

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._offset_ns = 0
        self._paper = Paper()
        self._sink: Sink | None = None

    async def prepare(self) -> Preflight:
        preflight = await self._venue.prepare()
        self._offset_ns = preflight.offset_ns
        return preflight

    async def start(self, sink: Sink) -> None:
        self._sink = sink
        await self._venue.start(self._hear)

    @property
    def quiescent(self) -> bool:
        return self._venue.quiescent

    async def close(self) -> None:
        await self._venue.close()

    def perform(self, action: VenueAction) -> None:
        match action:
            case Place() | Amend() | Cancel() | CancelAll() | ArmDeadMan() | QueryOrder():
                now_ns = self._clock.monotonic_ns()
                for event in self._paper.perform(action, now_ns, (now_ns + self._offset_ns) // NS_PER_MS):
                    self._tell(event)
            case FetchTruth():
                self._venue.perform(replace(action, in_flight=[]))
            case FetchSnapshot() | FetchTouch() | FetchMinutes() | FetchFunding() | FetchDay() | Reconnect():
                self._venue.perform(action)

    def _hear(self, event: AnyEvent) -> None:
        """The real truth, with the orders that only exist here instead of those of a live maker."""
        heard: AnyEvent | None = event
        match event:
            case Truth() if not event.problem:
                others = [order for order in event.open_orders if not is_ours(order)]
                owners = [order for order in event.owners if not is_ours(order)]
                heard = replace(event, open_orders=[*others, *self._paper.orders.values()], owners=owners)
            case OrderReport():
                heard = only_fills(event)
            case _:
                pass
        if heard is not None and self._sink is not None:
            self._sink(heard)

    def _tell(self, event: AnyEvent) -> None:
        """In a later turn of the loop, in order: the engine is in the middle of its actions."""
        if self._sink is not None:
            asyncio.get_running_loop().call_soon(self._sink, event)

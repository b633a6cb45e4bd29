"""How an outage looks from outside: a request waits, and then its connection ends without an answer."""

from typing import Final

from aiohttp import web

from phoenix_simulator.clock import Clock
from phoenix_simulator.faults import Faults

_GLANCE_S: Final = 0.05
"""How often a waiting request looks whether the outage is over (simulated seconds)."""


async def sit_out(request: web.Request, faults: Faults, clock: Clock) -> None:
    """Returns at once unless the venue is out; otherwise ends the connection, once the outage is over."""
    holder = request.headers.get("User-Agent", "")
    if not faults or not faults.in_outage(holder):
        return
    while faults.in_outage(holder):
        await clock.sleep(_GLANCE_S)
    hang_up(request)


def hang_up(request: web.Request) -> None:
    """Cuts the connection under the request; raises, so that nothing is answered."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("a fault cut this connection")

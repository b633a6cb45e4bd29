"""How an outage looks from outside: a request waits, and then its connection ends without an answer."""

from typing import Final

from aiohttp import web

from phoenix_simulator.clock import Clock
from phoenix_simulator.fault_schedule import Faults

_GLANCE_S: Final = 0.05
"""How often a waiting request looks whether the outage is over (simulated seconds)."""


async def sit_out(request: web.Request, faults: Faults, clock: Clock) -> web.Response | None:
    """None at once unless the venue is out; otherwise, when the outage is over, a response that is never sent."""
    holder = request.headers.get("User-Agent", "")
    if not faults or not faults.in_outage(holder):
        return None
    while faults.in_outage(holder):
        await clock.sleep(_GLANCE_S)
    return hang_up(request)


def hang_up(request: web.Request) -> web.Response:
    """Cuts the connection under the request: the response that aiohttp wants goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)

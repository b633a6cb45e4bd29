"""Reads that are asked again: reading changes nothing, so what may heal, or waits for its part of the budget, may."""

from collections.abc import Awaitable, Callable

from phoenix_worker.core.events import Refusal
from phoenix_worker.venue.binance.rest import Reply, RestError
from phoenix_worker.venue.clock import Clock

ATTEMPTS = 3
ATTEMPT_PAUSE_S = 0.25
GRANT_ATTEMPTS = 50
GRANT_PAUSE_S = 0.1
"""A worker that has just come is granted its part of the request weight within seconds."""

Ask = Callable[[], Awaitable[Reply]]


async def while_it_may_heal(ask: Ask, clock: Clock) -> Reply:
    """A few times, later and later; raises `RestError`."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return await ask()
        except RestError as error:
            if not error.retryable:
                raise
        await clock.sleep(ATTEMPT_PAUSE_S * (attempt + 1))
    return await ask()


async def when_granted(ask: Ask, clock: Clock) -> Reply:
    """As soon as the budget admits it; raises `RestError`, also where it never does."""
    for _ in range(GRANT_ATTEMPTS - 1):
        try:
            return await ask()
        except RestError as error:
            if error.sent_ns or error.verdict.refusal is not Refusal.RATE_LIMIT:
                raise
        await clock.sleep(GRANT_PAUSE_S)
    return await ask()

"""What a worker needs of an exchange: one Protocol, as narrow as its user (the runtime's shell).

A venue turns bytes into `core.events` and `core.actions` into bytes. It never blocks and never raises for what the
exchange does: whatever waits ends in exactly one event, given to `sink` in the order in which it became known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

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
from phoenix_worker.core.events import AnyEvent
from phoenix_worker.core.instrument import Instrument

Sink = Callable[[AnyEvent], None]

Question = QueryOrder | FetchTruth | FetchDay | FetchFunding | FetchSnapshot | FetchTouch | FetchMinutes
"""What changes nothing at the exchange, and is answered by one event."""

VenueAction = Place | Amend | Cancel | CancelAll | Reconnect | ArmDeadMan | Question


@dataclass(frozen=True, slots=True)
class Refused:
    """One reason why this account or symbol must not be quoted (trading: before the first quote), and what to do."""

    what: str
    todo: str
    retryable: bool = False
    """Whether it may heal by itself (the venue does not answer), so that the worker keeps trying instead of staying
    down.
    """
    of_key: bool = False
    """Whether another key would be taken: the worker waits for one."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is known before the first quote; `refused` is empty when quoting may begin.

    `identity` is the exchange's own name of the account (coordination keys); `offset_ns`: exchange ns ≈ monotonic ns
    + offset.
    """

    instrument: Instrument | None
    maker_bps: float
    taker_bps: float
    identity: str
    offset_ns: int
    offset_error_ns: int
    refused: Sequence[Refused]
    skipped: Sequence[str]
    """Checks that could not be made here, and why (key permissions outside production)."""


class Venue(Protocol):
    """One symbol of one account at one exchange."""

    async def prepare(self) -> Preflight:
        """Reads and checks everything that must hold before the first quote. Never raises for the venue's faults."""
        ...

    async def start(self, sink: Sink) -> None:
        """Opens the streams; from now on events flow into `sink`, called from the event loop, never concurrently."""
        ...

    def perform(self, action: VenueAction) -> None:
        """Begins the action and returns at once. Orders are checked against their deadline right before the bytes
        leave.
        """
        ...

    @property
    def quiescent(self) -> bool:
        """Whether every request that was sent has its answer or has been reported as unknown."""
        ...

    async def close(self) -> None:
        """Closes our own sockets; the listen key stays, it is the account's."""
        ...

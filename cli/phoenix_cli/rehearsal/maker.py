"""Who quotes in a rehearsal: the worker's engine as it is, or anybody else who speaks its words."""

from collections.abc import Sequence
from typing import Protocol

from phoenix_coordination.state import Reason
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import AnyAction, Note, WantedOrder
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Parameters

IDLE_TICK_NS = 1_000_000_000
"""Time passes for an engine in steps of so much where nothing of its own is due; a worker's shell takes 50 ms."""
TOKEN = 1_700_000_000_000
FOREVER_NS = 1 << 61

Wish = AnyAction | WantedOrder
"""An order that no gate has approved is another maker's than ours: nothing here can reach a venue."""


class Maker(Protocol):
    """Hears the worker's events, answers with its actions; `wake_ns` is when it wants the next `Tick`."""

    @property
    def wake_ns(self) -> int: ...

    @property
    def mode(self) -> str:
        """What it is doing, in a word."""
        ...

    def start(self, now_ns: int, clock_offset_ns: int, fees_bps: tuple[float, float]) -> Sequence[Wish]: ...

    def on(self, event: ev.AnyEvent) -> Sequence[Wish]: ...


class EngineMaker:
    """The engine of a worker, alone: it leads for ever, and the account's other workers are not there. `memory` is what
    a leader before it has left (`Engine.remember`): statistics of the minutes before the run, above all.
    """

    def __init__(self, parameters: Parameters, instrument: Instrument, memory: bytes = b"") -> None:
        self._parameters = parameters
        self._instrument = instrument
        self._memory = memory
        self.engine = Engine.new(parameters, instrument, 1, dry_run=False)
        self._ticked_ns = 0

    @property
    def wake_ns(self) -> int:
        """As soon as quotes may be touched, where something asks for that; the shell's ticks would be as soon."""
        idle_ns = self._ticked_ns + IDLE_TICK_NS
        if self.engine.dirty:
            return max(self._ticked_ns + 1, min(idle_ns, self.engine.next_requote_ns))
        return idle_ns

    @property
    def mode(self) -> str:
        """The mode in force, or the first reason against quoting."""
        tally = self.engine.tally
        return str(tally.stance if tally.reason is Reason.QUOTING else tally.reason)

    def start(self, now_ns: int, clock_offset_ns: int, fees_bps: tuple[float, float]) -> Sequence[Wish]:
        self._ticked_ns = now_ns
        self.engine = Engine.new(self._parameters, self._instrument, now_ns, dry_run=False)
        wishes: list[Wish] = []
        for event in (
            ev.ClockSynced(now_ns, clock_offset_ns, 0),
            ev.FeesSet(now_ns, *fees_bps),
            ev.Coordination(now_ns, reachable=True),
            ev.Emergency(now_ns, ev.EmergencyLevel.NONE, 0, ""),
            ev.SymbolHalt(now_ns, 0, ""),
            ev.StreamOpened(now_ns, ev.Stream.BOOK),
            ev.StreamOpened(now_ns, ev.Stream.USER),
            ev.StreamOpened(now_ns, ev.Stream.MARKET),
            ev.Restored(now_ns, self._memory or self.engine.remember(), 0),
            ev.Lease(now_ns, TOKEN, FOREVER_NS, "rehear"),
            ev.Tick(now_ns),
        ):
            wishes += self.on(event)
        return wishes

    def on(self, event: ev.AnyEvent) -> Sequence[Wish]:
        if isinstance(event, ev.Tick):
            self._ticked_ns = event.at
            # The connection of a rehearsal never breaks: what is silent is the symbol.
            self.engine.on(ev.Canary(event.at))
        return [action for action in self.engine.on(event) if not isinstance(action, Note)]

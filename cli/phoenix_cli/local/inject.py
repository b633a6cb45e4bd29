"""Makes the faults of a run happen: at the exchange, to a worker, or by the account's emergency switch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_crds import Emergency

from phoenix_cli.local.exchange import Control
from phoenix_cli.local.faults import DESCRIPTIONS, PAUSE_S, Fault, FaultKind, venue_faults
from phoenix_cli.local.maker import POLL_S, Maker
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.runner import RUN, Runner
from phoenix_cli.local.view import Mood
from phoenix_cli.refusal import Refused

_SWITCH_READ_S = 10.0
"""Life's time within which every worker knows the switch: it validates a changed file in a process of its own."""


def target(fault: Fault, makers: Sequence[Maker]) -> Maker:
    """The maker that the fault names, or the first; raises `Refused` where none trades the symbol."""
    if fault.symbol is None:
        return makers[0]
    for maker in makers:
        if maker.symbol == fault.symbol:
            return maker
    traded = ", ".join(maker.symbol for maker in makers)
    raise Refused(f"--fault {fault.kind}:{fault.symbol}: no maker of this run trades it; there are: {traded}")


@dataclass(frozen=True, slots=True)
class Injector:
    """What faults act on."""

    runner: Runner
    control: Control
    parameters: Parameters

    async def play(self, fault: Fault) -> None:
        """The fault at its time; returns when it is over, as far as this side knows."""
        await self.runner.until(fault.at_s)
        maker = target(fault, self.runner.makers)
        subject = RUN if fault.hits_everyone else maker.symbol
        self.runner.tell(subject, f"fault {fault.kind}: {DESCRIPTIONS[fault.kind]}", Mood.WARNING)
        match fault.kind:
            case FaultKind.KILL:
                maker.kill()
            case FaultKind.PAUSE:
                maker.freeze()
                await self.runner.clock.sleep(PAUSE_S)
                maker.thaw()
                self.runner.tell(maker.symbol, "the frozen worker runs again")
            case FaultKind.STOP:
                self.parameters.set_emergency(Emergency.HALT)
                await self._switch_read()
                await self.control.declare({"stop": {}})
                self.runner.tell(RUN, "every worker had its time to read the switch: the audit holds them to it now")
            case kind:
                for told in venue_faults(kind, maker.symbol):
                    await self.control.schedule_fault(told)

    async def _switch_read(self) -> None:
        """Waits until every worker says that it knows, and no longer than a stop may take to be known."""
        for _ in range(int(_SWITCH_READ_S / POLL_S)):
            if all(maker.emergency not in {"", "None"} for maker in self.runner.makers):
                return
            await asyncio.sleep(POLL_S)

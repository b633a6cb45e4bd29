"""Makes the faults of a run happen: at the exchange, to a worker, or by the account's emergency switch."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_coordination.port import EmergencyLevel, LeaseTimes

from phoenix_cli.local.exchange import Control
from phoenix_cli.local.faults import DESCRIPTIONS, PAUSE_S, Fault, FaultKind, venue_faults
from phoenix_cli.local.maker import Maker
from phoenix_cli.local.redis import LocalRedis
from phoenix_cli.local.runner import RUN, Runner
from phoenix_cli.local.view import Mood
from phoenix_cli.refusal import Refused

STOP_REASON = "fault of the demo"
_KNOWN_S = LeaseTimes().renew_s
"""A message of the switch that is lost costs a worker one renewal, in the run's time."""
_HELD_S = 5.0
"""So long the audit counts what opens after a stop; a person may resume a moment later."""
_EMPTY_S = 5.0
_LOOK_S = 0.005


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
    api_key: str

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
            case FaultKind.REDIS_RESTART:
                self._redis().kill()
            case FaultKind.REDIS_FLUSH:
                await self._redis().forget()
            case FaultKind.STOP:
                await self._stop()
            case kind:
                for told in venue_faults(kind, maker.symbol):
                    await self.control.schedule_fault(told)

    def _redis(self) -> LocalRedis:
        if self.runner.redis is None:
            raise RuntimeError("this run has no Redis of its own")
        return self.runner.redis

    async def _stop(self) -> None:
        """Raises the switch, says how long the exchange still had orders of ours, and holds the workers to it."""
        for account in self.runner.accounts:
            await account.stop(EmergencyLevel.HALT, STOP_REASON)
        began_s = time.perf_counter()
        known = asyncio.create_task(self.runner.clock.sleep(_KNOWN_S))
        if await self._book_empties():
            took_ms = (time.perf_counter() - began_s) * 1e3
            self.runner.tell(RUN, f"nothing of ours rests on the exchange {took_ms:.0f} ms after the stop", Mood.GOOD)
        await known
        await self.control.declare({"stop": {}})
        await self.runner.clock.sleep(_HELD_S)
        await self.control.declare({"stop": {"lift": True}})
        self.runner.tell(RUN, "the audit held every worker to the stop until now")

    async def _book_empties(self) -> bool:
        for _ in range(int(_EMPTY_S / _LOOK_S)):
            if not any(books.open_orders for books in (await self.control.books(self.api_key)).values()):
                return True
            await asyncio.sleep(_LOOK_S)
        return False

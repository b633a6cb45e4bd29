"""How long a stop takes over N makers: from the switch that is written to the last cancel that is sent, and to the last
order that the exchange has taken out.

    python benchmarks/stop_account.py [--makers 20] [--stops 5]

The exchange runs in this process, which stops the account as `phoenix stop` does and hears each cancel; the makers are
real workers below `phoenix up`, one process each, with a Redis of their own. Every stop is resumed by its epoch. When a
cancel was sent is what its signature says (ms); what this one Python process then needs to take all orders out and to
tell each of N user streams of each is the simulator's time, not the makers'.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from many_makers import all_quote, many_makers, resting
from phoenix_cli.local.runfile import RunFile, read_run_file
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, account_tools
from phoenix_simulator.api.gateway import Answer, Arrival, Operation
from phoenix_simulator.exchange.events import ExchangeEvent, OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType
from phoenix_simulator.server import Server

MAKERS, STOPS = 20, 5
_BEGINS_S = 120.0
_EMPTIES_S = 30.0
_BETWEEN_S = 3.0


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds from the moment before the switch was written."""

    sent_ms: float
    empty_ms: float


async def measure(makers: int = MAKERS, stops: int = STOPS) -> list[Took]:
    async with many_makers(makers) as (server, run_file):
        return await _stop_again_and_again(server, run_file, makers, stops)


async def _stop_again_and_again(server: Server, run_file: Path, makers: int, stops: int) -> list[Took]:
    cancels = Cancels(server)
    took = []
    async with account_tools((await _begun(run_file)).redis) as tools:
        await all_quote(server, makers, _BEGINS_S)
        account = await tools.open("bench")
        for _ in range(stops):
            await asyncio.sleep(_BETWEEN_S)
            await all_quote(server, makers, _BEGINS_S)
            took.append(await _stop(server, account, cancels))
    return took


class Cancels:
    """What the exchange hears of cancels: when they were signed, and when the orders were out (wall time, ms)."""

    def __init__(self, server: Server) -> None:
        self.sent_ms: list[float] = []
        self.out_ms: list[float] = []
        self._perform = server.gateway.perform
        server.gateway.perform = self._heard  # type: ignore[method-assign] # the one door of both transports
        server.exchange.listeners.append(self._saw)

    async def _heard(self, operation: Operation, arrival: Arrival) -> Answer:
        if "cancel" in operation.name:
            self.sent_ms.append(float(arrival.params.peek("timestamp")))
        return await self._perform(operation, arrival)

    def _saw(self, event: ExchangeEvent) -> None:
        if isinstance(event, OrderUpdated) and event.execution is ExecutionType.CANCELED:
            self.out_ms.append(time.time_ns() / 1e6)


async def _stop(server: Server, account: Account, cancels: Cancels) -> Took:
    cancels.sent_ms.clear()
    cancels.out_ms.clear()
    began_ms = time.time_ns() / 1e6
    switch = await account.stop(EmergencyLevel.HALT, "benchmark", "benchmark")
    deadline = time.monotonic() + _EMPTIES_S
    while resting(server):
        if time.monotonic() > deadline:
            raise SystemExit(f"{resting(server)} still rest {_EMPTIES_S:.0f} s after the stop")
        await asyncio.sleep(0.01)
    took = Took(max(cancels.sent_ms) - began_ms, max(cancels.out_ms) - began_ms)
    await account.resume(switch.epoch, "benchmark")
    return took


async def _begun(run_file: Path) -> RunFile:
    deadline = time.monotonic() + _BEGINS_S
    while (found := read_run_file(run_file)) is None:
        if time.monotonic() > deadline:
            raise SystemExit("`phoenix up` has not begun")
        await asyncio.sleep(0.05)
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--makers", type=int, default=MAKERS, help="default %(default)s")
    parser.add_argument("--stops", type=int, default=STOPS, help="default %(default)s")
    options = parser.parse_args(argv)
    took = asyncio.run(measure(options.makers, options.stops))
    for what, all_ms in (("sent", [each.sent_ms for each in took]), ("executed", [each.empty_ms for each in took])):
        told = ", ".join(f"{ms:.0f}" for ms in all_ms)
        print(f"{options.makers} makers, last cancel {what}: {told} ms; median {statistics.median(all_ms):.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The storm of one cell, as a process: does to it what the plan says, then has the history judged."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from random import Random

import msgspec
import uvloop
from cell import INSTALLATION, Cell, open_cell
from checker import Violation
from crowd import reserve_at_once
from ending import finish
from figures import Timings, timings
from history import FaultBegan, FaultEnded, write
from mutations import Mutation
from phoenix_coordination import order_id
from phoenix_coordination.redis.client import FAULTS
from phoenix_coordination.redis.tasks import end
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.faults import RateLimit
from plan import DEEDS, Fault, Kind, draw
from plots import two_makers
from proxy import Weather
from workers import OUR_UID, THEIR_UID, Slot

_THEIRS = order_id.installation_of(THEIR_UID)
_AT_ONCE = 3
_EXAMPLES = 5
_STARTS_WITHIN_S = 150.0
"""A machine that is busy with other things needs its time; a cell that never quotes proves nothing."""
_RECOVERS_WITHIN_S = 8.0
_MEETS_WITHIN_S = 2.5
_SEEN_WITHIN_S = 8.0
"""Longer than the judge lets anybody trade beside another installation."""
_TAKE_EVERY_S = 0.25
_LOOK_S = 0.01
_PERSON_S = 0.25
_BAN_S = 3
_KILLS = frozenset({Kind.REDIS_RESTART, Kind.REDIS_EMPTY, Kind.REDIS_OLD})


class Result(msgspec.Struct):
    """What one cell tells: its last line."""

    cell: int
    faults: dict[str, int]
    hit: int
    """Faults that met something that was quoting."""
    met: dict[str, int]
    """Failpoints that a worker came by."""
    violations: int
    examples: list[str]
    """The first of them; all are kept beside the cell's history."""
    timings: Timings
    accepted: int
    fills: int

    @property
    def done(self) -> int:
        return sum(self.faults.values())


class Storm:
    """`begun` counts what was done, by kind."""

    def __init__(self, cell: Cell, seed: str) -> None:
        self._cell = cell
        self._random = Random(seed)  # noqa: S311 - a storm, not a secret
        self.begun: Counter[Kind] = Counter()
        self.met: Counter[str] = Counter()
        """Failpoints that a worker came by."""
        self.hit = 0
        """Faults that met a symbol, or an account, that was quoting."""
        self._quoting: dict[int, bool] = {}
        self._busy: set[str] = set()
        """Slots that a fault is acting on."""
        self._redis = asyncio.Lock()
        """One thing at a time happens to the server itself."""
        self._alone = asyncio.Lock()
        """And one at a time to the account as a whole."""

    async def run(self, plan: list[Fault]) -> None:
        person = asyncio.create_task(self._person(), name="a person")
        acting: set[asyncio.Task[None]] = set()
        try:
            for fault in plan:
                while len(acting) >= _AT_ONCE:
                    _, acting = await asyncio.wait(acting, return_when=asyncio.FIRST_COMPLETED)
                acting.add(asyncio.create_task(self._do(fault), name=str(fault)))
                if fault.pause_s >= 0:
                    await asyncio.sleep(fault.pause_s)
                    continue
                await asyncio.wait(acting)
                _raise(acting)
                acting.clear()
                began = time.monotonic()
                recovered = await self._cell.quoting(_RECOVERS_WITHIN_S)
                self._cell.note(f"{'recovered' if recovered else 'not recovered'} in {time.monotonic() - began:.2f} s")
            if acting:
                await asyncio.wait(acting)
            _raise(acting)
        finally:
            await end((person, *acting))  # a person who lived on would resume the stop that ends the storm

    async def _do(self, fault: Fault) -> None:
        slot = await self._free_slot(fault)
        if person := slot is None:
            slot = list(self._cell.workers.slots.values())[fault.slot]
        symbols = self._cell.plot.symbols if person else (slot.symbol,)
        self._quoting[fault.number] = any(self._cell.quotes(symbol) for symbol in symbols)
        try:
            await self._acts()[fault.kind](fault, slot)
        finally:
            if not person:
                self._busy.discard(slot.name)

    def _acts(self) -> dict[Kind, Callable[[Fault, Slot], Awaitable[None]]]:
        return {
            Kind.FREEZE: self._freeze,
            Kind.FREEZE_AT: self._at_failpoint,
            Kind.KILL: self._kill,
            Kind.KILL_AT: self._at_failpoint,
            Kind.ROLL: self._roll,
            Kind.OFF_REDIS: self._off,
            Kind.OFF_EXCHANGE: self._off,
            Kind.REDIS_PAUSE: self._redis_pause,
            Kind.REDIS_RESTART: self._redis_restart,
            Kind.REDIS_EMPTY: self._redis_restart,
            Kind.REDIS_OLD: self._redis_restart,
            Kind.FLUSH: self._flush,
            Kind.STOP: self._stop,
            Kind.BAN: self._ban,
            Kind.SECOND_INSTALLATION: self._second_installation,
            Kind.CLOCK: self._clock,
            Kind.CROWD: self._crowd,
        }

    # -- bookkeeping -------------------------------------------------------------------------------

    async def _free_slot(self, fault: Fault) -> Slot | None:
        """The worker that the plan names, or the next one that nothing is being done to; `None` where it needs none."""
        if fault.kind not in _OF_WORKERS:
            return None
        slots = [slot for slot in self._cell.workers.slots.values() if slot.uid == OUR_UID]
        named = slots[fault.slot]
        others = [slots[(fault.slot + number) % len(slots)] for number in range(len(slots))]
        while True:
            leader = self._cell.leader(named.symbol) if fault.leader else None
            for slot in others if leader is None else (leader, *others):
                if slot.pid and slot.name not in self._busy:
                    self._busy.add(slot.name)
                    return slot
            await asyncio.sleep(_LOOK_S)

    def _begin(self, fault: Fault, target: str = "") -> None:
        """Only what was done counts: a fault that nothing could be done for is none."""
        self.begun[fault.kind] += 1
        quoting = self._quoting[fault.number]
        self.hit += quoting
        began = FaultBegan(
            at_ns=time.monotonic_ns(), number=fault.number, kind=str(fault), target=target, quoting=quoting
        )
        self._cell.hear(began)

    def _end(self, fault: Fault) -> None:
        self._cell.hear(FaultEnded(at_ns=time.monotonic_ns(), number=fault.number))

    # -- a worker ----------------------------------------------------------------------------------

    async def _freeze(self, fault: Fault, slot: Slot) -> None:
        pid = slot.pid
        self._begin(fault, slot.process)
        slot.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        if slot.pid == pid:
            slot.signal(signal.SIGCONT)
        self._end(fault)

    async def _at_failpoint(self, fault: Fault, slot: Slot) -> None:
        """Counted where the worker came by in time."""
        pid, controls = slot.pid, slot.controls
        assert controls is not None
        controls.arm(fault.failpoint, DEEDS[fault.kind])
        next_take = time.monotonic()
        deadline = next_take + _MEETS_WITHIN_S
        while not controls.acted and slot.pid == pid and time.monotonic() < deadline:
            if time.monotonic() >= next_take:
                self._cell.exchange.take(slot.symbol)  # a fill makes a leader reserve and place
                next_take += _TAKE_EVERY_S
            await asyncio.sleep(_LOOK_S)
        controls.disarm()
        if not controls.acted:
            return
        self._begin(fault, slot.process)
        self.met[fault.failpoint.name.lower()] += 1
        await asyncio.sleep(fault.seconds)
        if slot.pid == pid:
            slot.signal(signal.SIGCONT)
        self._end(fault)

    async def _kill(self, fault: Fault, slot: Slot) -> None:
        self._begin(fault, slot.process)
        pid = slot.pid
        slot.signal(signal.SIGKILL)
        await self._cell.workers.ended(pid)
        self._end(fault)

    async def _roll(self, fault: Fault, slot: Slot) -> None:
        """As a rolling update does it: SIGTERM, and another one comes."""
        self._begin(fault, slot.process)
        pid = slot.pid
        slot.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(25):
                await self._cell.workers.ended(pid)
        except TimeoutError:
            slot.signal(signal.SIGKILL)
        self._end(fault)

    async def _off(self, fault: Fault, slot: Slot) -> None:
        link = slot.redis if fault.kind is Kind.OFF_REDIS else slot.exchange
        self._begin(fault, slot.process)
        link.change(fault.weather)
        await asyncio.sleep(fault.seconds)
        link.change(Weather.FAIR)
        self._end(fault)

    async def _clock(self, fault: Fault, slot: Slot) -> None:
        controls = slot.controls
        assert controls is not None
        self._begin(fault, slot.process)
        controls.jump(int(fault.jump_s * 1e9))
        await asyncio.sleep(min(fault.seconds, 0.5))
        self._end(fault)

    # -- Redis -------------------------------------------------------------------------------------

    async def _redis_pause(self, fault: Fault, _: Slot) -> None:
        async with self._redis:
            assert self._cell.redis.process is not None
            self._begin(fault)
            self._cell.redis.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            self._cell.redis.process.send_signal(signal.SIGCONT)
            self._end(fault)

    async def _redis_restart(self, fault: Fault, _: Slot) -> None:
        async with self._redis:
            async with self._cell.redis_gone():
                if fault.kind is Kind.REDIS_EMPTY:
                    self._cell.redis.forget()
                if fault.kind is not Kind.REDIS_OLD or self._cell.redis.go_back(fault.seconds):
                    self._begin(fault)
                await asyncio.sleep(fault.seconds / 2)
            self._end(fault)

    async def _flush(self, fault: Fault, _: Slot) -> None:
        async with self._redis:
            with contextlib.suppress(*FAULTS):
                await self._cell.account.client.execute_command("FLUSHALL")
                self._begin(fault)
            self._end(fault)

    # -- the account -------------------------------------------------------------------------------

    async def _stop(self, fault: Fault, _: Slot) -> None:
        """The person who resumes is another task."""
        with contextlib.suppress(*FAULTS):
            await self._cell.account.stop(fault.level)
            self._begin(fault)
        await asyncio.sleep(fault.seconds)
        self._end(fault)

    async def _ban(self, fault: Fault, _: Slot) -> None:
        """Everybody behind one address is banned for seconds: longer than the audit forgives who was held up."""
        exchange = self._cell.exchange
        faults = exchange.server.faults
        banned = RateLimit(status=418, retry_after_seconds=_BAN_S, holder=f"phoenix/{self._cell.name}-*")
        number = faults.schedule(banned, exchange.clock.monotonic_ns())
        began = time.monotonic()
        while not (met := any(status.id == number and status.acted for status in faults.list())):
            if time.monotonic() - began > _MEETS_WITHIN_S:
                break
            await asyncio.sleep(_LOOK_S)
        if met:
            self._begin(fault)
            await asyncio.sleep(fault.seconds)
        faults.cancel(number)
        await asyncio.sleep(_BAN_S)
        self._end(fault)

    async def _second_installation(self, fault: Fault, slot: Slot) -> None:
        """Somebody else's worker with our key: it shares nothing with ours but the exchange. A careful one reads our
        orders first and halts itself, so an order of one that is not comes beside it.
        """
        async with self._alone:
            name = f"other-{fault.number}"
            other = await self._cell.workers.add(name, slot.symbol, uid=THEIR_UID, database=1)
            other.wanted = False
            with contextlib.suppress(*FAULTS):
                await self._cell.account.seed_other()
            await self._cell.workers.start(other)
            await asyncio.sleep(fault.seconds / 2)
            epoch = self._cell.account.switch.epoch
            with contextlib.suppress(VenueError):  # an exchange may refuse it, as it would anybody's
                self._cell.exchange.place_foreign(slot.symbol, _THEIRS)
                self._begin(fault, name)
            await asyncio.sleep(fault.seconds / 2)
            await self._stopped_since(epoch)
            pid = other.pid
            other.signal(signal.SIGKILL)
            if pid:
                await self._cell.workers.ended(pid)
            self._cell.workers.remove(other)
            self._cell.exchange.cancel_foreign(slot.symbol, INSTALLATION)
            self._end(fault)

    async def _stopped_since(self, epoch: int) -> None:
        """Until somebody has turned the switch, or the judge would have spoken."""
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while self._cell.account.switch.epoch == epoch:
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(_LOOK_S)

    async def _crowd(self, fault: Fault, _: Slot) -> None:
        async with self._alone:
            if await reserve_at_once(self._cell):
                self._begin(fault)
            self._end(fault)

    # -- who looks after it ------------------------------------------------------------------------

    async def _person(self) -> None:
        """The operator that seeds what was lost, and the person who looks and resumes."""
        while True:
            await asyncio.sleep(_PERSON_S)
            with contextlib.suppress(*FAULTS):
                if not self._cell.account.switch.seeded:
                    await asyncio.sleep(self._thinks_s())
                    await self._cell.account.seed()
                elif self._cell.account.switch.level:
                    await asyncio.sleep(self._thinks_s())
                    await self._cell.account.resume()
                await self._cell.resume_symbols()

    def _thinks_s(self) -> float:
        """Often quick, and for a third of the time longer than anybody may go on who has not heard yet."""
        slow = self._random.random() < 1 / 3
        return self._random.uniform(2.0, 3.0) if slow else self._random.uniform(0.0, 1.0)


_OF_WORKERS = frozenset(
    {
        *(Kind.FREEZE, Kind.FREEZE_AT, Kind.KILL, Kind.KILL_AT, Kind.ROLL),
        *(Kind.OFF_REDIS, Kind.OFF_EXCHANGE, Kind.CLOCK),
    }
)


def _raise(tasks: set[asyncio.Task[None]]) -> None:
    """A fault that could not be done is a defect of the storm."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise RuntimeError(f"{task.get_name()} could not be done") from error


async def storm(seed: str, number: int, count: int, keep: Path, mutation: Mutation, *, always: bool = False) -> Result:
    """One cell; where something was violated, its logs, plan and history are kept."""
    directory = Path(tempfile.mkdtemp(prefix="pxf-"))
    plot = two_makers(directory / "makers", mutation)
    name = f"c{number}"
    plan = draw(f"{seed}/{number}", count, len(plot.symbols) * plot.slots)
    began = time.monotonic_ns()
    try:
        async with open_cell(name, directory / name, plot, number) as cell:
            if not await cell.quoting(_STARTS_WITHIN_S):
                raise SystemExit(f"the cell never quoted: see {_keep(keep, directory / name, cell, plan, [], began)}")
            storm = Storm(cell, f"{seed}/{number}/person")
            violations = await _unless_lost(cell, _live(storm, cell, plan, leaderless=number % 2 == 1))
        if violations or always:
            _keep(keep, directory / name, cell, plan, violations, began)
        facts = [type(fact).__name__ for fact in cell.facts]
        return Result(
            number,
            {kind.value: count for kind, count in storm.begun.items()},
            storm.hit,
            dict(storm.met),
            len(violations),
            [str(violation) for violation in violations[:_EXAMPLES]],
            timings(cell.facts, cell.terms),
            facts.count("Accepted"),
            facts.count("Filled"),
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _live(storm: Storm, cell: Cell, plan: list[Fault], *, leaderless: bool) -> list[Violation]:
    await storm.run(plan)
    return await finish(cell, leaderless=leaderless)


async def _unless_lost(cell: Cell, life: Coroutine[None, None, list[Violation]]) -> list[Violation]:
    """Without a process that forks workers nothing that follows says anything about workers."""
    living, lost = asyncio.create_task(life), asyncio.create_task(cell.workers.lost.wait())
    await asyncio.wait({living, lost}, return_when=asyncio.FIRST_COMPLETED)
    lost.cancel()
    if living.done():
        return living.result()
    living.cancel()
    raise SystemExit("somebody ended the process that forks the workers: the cell proves nothing")


def _keep(
    place: Path, directory: Path, cell: Cell, plan: list[Fault], violations: list[Violation], began_ns: int
) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write(cell.facts, place / "history.jsonl")
    (place / "plan.txt").write_text("\n".join(f"{fault.number}: {fault}" for fault in plan) + "\n")
    told = [f"{violation} ({(violation.at_ns - began_ns) / 1e9:.3f} s after the start)" for violation in violations]
    (place / "violations.txt").write_text("\n".join(told) + "\n")
    for log in directory.glob("*/log"):
        shutil.copy(log, place / f"{log.parent.name}.log")
    for recordings in directory.glob("*/state/recordings"):
        shutil.copytree(recordings, place / "recordings" / recordings.parents[1].name)
    return place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--cell", type=int, required=True)
    parser.add_argument("--faults", type=int, required=True)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--mutation", type=Mutation, default=Mutation.NONE)
    parser.add_argument("--keep-always", action="store_true", help="history and logs of a clean cell, too")
    arguments = parser.parse_args()
    result = uvloop.run(
        storm(
            arguments.seed,
            arguments.cell,
            arguments.faults,
            arguments.keep,
            arguments.mutation,
            always=arguments.keep_always,
        )
    )
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One maker of a run: its worker processes one after the other, what they say, and when the next one is started."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

import aiohttp
from phoenix_coordination.state import ForeignSchemaError, StateRecord, decode
from phoenix_coordination.state_directory import final_record_path
from phoenix_crds import MarketMaker

from phoenix_cli.local.describe import changes, ending, maker_view
from phoenix_cli.local.layout import NAMESPACE
from phoenix_cli.local.process import WORKER_RANK, Guardian, Process
from phoenix_cli.local.view import MakerView, Mood

WORKER = (sys.executable, "-m", "phoenix_worker")
POLL_S = 0.5
LIVENESS_S = 30.0
"""A worker that answers nobody for so long is replaced: as long as three probes of a kubelet take."""

STOP_S = 20.0
"""A worker withdraws and ends within 20 s (trading: shutdown)."""

_HEALTHY_S = 60.0
_LONGEST_DELAY_S = 60.0
_FINAL_POLL_S = 0.05
_ANSWER = aiohttp.ClientTimeout(total=2.0)
_SUSPENDED_S = 5.0
"""Asking takes no longer: where it did, this process itself stood still (Ctrl-Z, a laptop that slept)."""

Tell = Callable[[str, str, Mood], None]
"""(subject, text, mood): something that a person watching the run wants to know."""


def restart_delay_s(deaths: int) -> float:
    """How long to wait after the `deaths`-th death in a row: at once the first time, then 1 s, 2 s, 4 s … 60 s."""
    return 0.0 if deaths <= 1 else min(_LONGEST_DELAY_S, 2.0 ** (deaths - 2))


def free_port() -> int:
    """A port of the loopback that nobody listens on. Another process may take it first: the worker then ends, and the
    next one gets another port.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Launch:
    """How the worker of one maker is started: everything but the port."""

    program: Sequence[str]
    parameters: Path
    credentials: Path
    redis: str
    state: Path
    log: Path
    env: Mapping[str, str]

    def argv(self, port: int) -> list[str]:
        return [
            *self.program,
            *("--maker", str(self.parameters / "maker.yaml")),
            *("--account", str(self.parameters / "account.yaml")),
            *("--credentials", str(self.credentials)),
            *("--redis", self.redis),
            *("--state-dir", str(self.state)),
            *("--http", f"127.0.0.1:{port}"),
        ]


@dataclass(slots=True)
class Worker:
    """One worker process of a maker. Times are of the machine's monotonic clock: a person waits, not the run."""

    process: Process
    url: str
    started_s: float
    heard_s: float
    ready_since_s: float | None = None
    record: StateRecord | None = None


@dataclass(slots=True)
class Maker:
    """Keeps one worker running. `finished` are the last words of the workers before the present one."""

    resource: MarketMaker
    venue: str
    launch: Launch
    guardian: Guardian
    tell: Tell
    worker: Worker | None = None
    finished: list[StateRecord] = field(default_factory=list)
    restarts: int = 0
    deaths: int = 0
    was_ready: bool = False
    last_words: str = ""
    halts: list[str] = field(default_factory=list)
    """What has halted the symbol so far, one after the other."""
    stop_problem: str = ""
    """Why the last worker did not end in order; empty where it did."""
    _replacing: bool = False
    _stop_asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.resource.metadata.name

    @property
    def symbol(self) -> str:
        return self.resource.spec.symbol

    @property
    def records(self) -> list[StateRecord]:
        """The last record of every worker that has said anything, oldest first."""
        present = self.worker.record if self.worker is not None else None
        return [*self.finished, present] if present is not None else list(self.finished)

    @property
    def holder(self) -> str:
        """The name of the present worker; empty while it has said nothing."""
        record = self.worker.record if self.worker is not None else None
        return record.holder if record is not None else ""

    @property
    def emergency(self) -> str:
        """The level of the switch as the present worker knows it; empty while it has said nothing."""
        record = self.worker.record if self.worker is not None else None
        return record.emergency.level if record is not None else ""

    async def supervise(self) -> None:
        """Starts workers until it is told to stop; returns when the last one has ended."""
        while not self._stop_asked.is_set():
            worker = self.worker = await self._start()
            if self._stop_asked.is_set():  # meanwhile
                await worker.process.stop(STOP_S)
            code = await worker.process.wait()
            last = self._last_record(worker)
            if last is not None:
                self.finished.append(last)
            self.worker = None
            if self._stop_asked.is_set():
                return
            self.restarts += 1
            if self._replacing:
                self._replacing = False
                continue
            healthy = worker.ready_since_s is not None and time.monotonic() - worker.ready_since_s >= _HEALTHY_S
            self.deaths = 1 if healthy else self.deaths + 1
            delay_s = restart_delay_s(self.deaths)
            again = f"the next starts in {delay_s:.0f} s" if delay_s else "the next starts now"
            self.last_words = worker.process.last_words() if code > 0 else ""
            why = f": {self.last_words}" if self.last_words else ""
            self.tell(self.symbol, f"worker {ending(code)}, {again}{why}", Mood.BAD)
            await self._pause(delay_s)

    def _last_record(self, worker: Worker) -> StateRecord | None:
        """What the worker left on disk when it ended in order, else what it said last."""
        said, path = worker.record, final_record_path(self.launch.state, NAMESPACE, self.name)
        try:
            left = decode(path.read_bytes())
        except FileNotFoundError:
            return said
        except ForeignSchemaError as error:
            self.tell(self.symbol, f"{path}: {error}", Mood.WARNING)
            return said
        return left if said is not None and said.holder == left.holder else said

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop_asked.wait(), seconds)

    async def _start(self) -> Worker:
        port = free_port()
        process = await Process.start(
            self.name,
            self.launch.argv(port),
            log=self.launch.log,
            guardian=self.guardian,
            rank=WORKER_RANK,
            env=self.launch.env,
        )
        now = time.monotonic()
        return Worker(process, f"http://127.0.0.1:{port}", now, now)

    async def watch(self, http: aiohttp.ClientSession) -> None:
        """Asks the worker for its state again and again, and ends one that no longer answers."""
        while True:
            worker = self.worker
            if worker is not None:
                asked_s = time.monotonic()
                await self._ask(worker, http)
                now_s = time.monotonic()
                if now_s - asked_s > _SUSPENDED_S:
                    worker.heard_s = now_s  # nobody listened: its silence tells nothing
                if now_s - worker.heard_s > LIVENESS_S:
                    self.tell(self.symbol, f"worker has not answered for {LIVENESS_S:.0f} s, is killed", Mood.BAD)
                    worker.heard_s = now_s
                    worker.process.signal(Signals.SIGKILL)
                worker.process.rotate_log()
            await asyncio.sleep(_FINAL_POLL_S if self._stop_asked.is_set() else POLL_S)

    async def _ask(self, worker: Worker, http: aiohttp.ClientSession) -> None:
        try:
            async with http.get(f"{worker.url}/state", timeout=_ANSWER) as response:
                if response.status != 200:
                    return
                record = decode(await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return  # it starts, hangs or has ended: the liveness bound and its exit tell which
        worker.heard_s = time.monotonic()
        before, worker.record = worker.record, record
        if record.ready and worker.ready_since_s is None:
            worker.ready_since_s = worker.heard_s
        if not record.ready:
            worker.ready_since_s = None
        self.was_ready = self.was_ready or record.ready
        halted = record.halt.reason
        if halted and (before is None or before.halt.reason != halted) and self.halts[-1:] != [halted]:
            self.halts.append(halted)
        self._tell_changes(before, record)

    def _tell_changes(self, before: StateRecord | None, now: StateRecord) -> None:
        for text, mood in changes(before, now):
            self.tell(self.symbol, text, mood)

    def kill(self) -> None:
        if self.worker is not None:
            self.worker.process.signal(Signals.SIGKILL)

    def freeze(self) -> None:
        if self.worker is not None:
            self.worker.process.signal(Signals.SIGSTOP)

    def thaw(self) -> None:
        if self.worker is not None:
            self.worker.process.signal(Signals.SIGCONT)

    def stop_restarting(self) -> None:
        """From now on the end of the worker is the end of the maker."""
        self._stop_asked.set()

    async def replace(self, why: str) -> None:
        """Ends the present worker in order, so that `supervise` starts another."""
        if self.worker is not None:
            self.tell(self.symbol, f"worker is replaced: {why}", Mood.WARNING)
            self._replacing = True
            await self.worker.process.stop(STOP_S)

    async def stop(self) -> None:
        """Ends the worker in order, or by force when its time is over."""
        self.stop_restarting()
        worker = self.worker
        if worker is None:
            return
        if not await worker.process.stop(STOP_S):
            self.stop_problem = f"worker did not end within {STOP_S:.0f} s, was killed"
        elif worker.process.exit_code == -Signals.SIGTERM and worker.record is None:
            pass  # it had not begun: a worker hears this signal before it opens anything
        elif worker.process.exit_code != 0:
            how = ending(worker.process.exit_code or 0)
            self.stop_problem = f"worker {how} instead of withdrawing in order: {worker.process.last_words()}"
        if self.stop_problem:
            self.tell(self.symbol, self.stop_problem, Mood.BAD)

    def view(self) -> MakerView:
        said = self.records
        worker = self.worker
        return maker_view(
            self.resource,
            said[-1] if said else None,
            alive=worker is not None and worker.record is not None,
            restarts=self.restarts,
            pid=worker.process.pid if worker is not None else None,
        )

"""The run: makers kept alive side by side until somebody ends it, and what a person sees of it meanwhile."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import aiohttp
import msgspec
from phoenix_coordination.redis.tasks import end
from phoenix_crds.maker import Mode
from phoenix_worker.runtime.clock import Clock

from phoenix_cli.local.account import AccountWatch, SwitchFile
from phoenix_cli.local.describe import ending
from phoenix_cli.local.fleet import Assignment
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.maker import Maker
from phoenix_cli.local.process import Guardian, Process
from phoenix_cli.local.redis import LocalRedis
from phoenix_cli.local.restarts import Restarts
from phoenix_cli.local.runfile import EVENTS_KEPT, AccountFiles, RunFile, write_run_file
from phoenix_cli.local.view import Mood, RunEvent, RunView
from phoenix_cli.refusal import Refused

_REFRESH_S = 0.25
_RUN_FILE_S = 1.0
_JUDGE_S = 1.0
_HTTP_S = 30.0
_TRIES_TO_START = 3
"""A worker that was never ready and has died so often will not be the next time."""
RUN = "run"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def http_session() -> aiohttp.ClientSession:
    """For probes and control requests: bounded, whoever is asked."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_HTTP_S))


class Output(Protocol):
    """Where a run is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def event(self, event: RunEvent) -> None: ...

    def update(self, view: RunView) -> None: ...


@dataclass(slots=True)
class Runner:
    """One run. `blurb` is the fixed part of its view; `env` is what every child gets (the run's clock).

    `redis_argument` is what workers are told of their Redis; `redis` is the server where it is the run's own.
    `violations` is what the audit has found, where there is one; `problem` is why the run failed.
    """

    directory: StateDirectory
    clock: Clock
    guardian: Guardian
    http: aiohttp.ClientSession
    output: Output
    blurb: RunView
    env: Mapping[str, str] = field(default_factory=dict)
    redis_argument: str = ""
    redis: LocalRedis | None = None
    accounts: list[AccountWatch] = field(default_factory=list)
    account_files: list[AccountFiles] = field(default_factory=list)
    makers: list[Maker] = field(default_factory=list)
    violations: int | None = None
    problem: str = ""
    _events: deque[RunEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _began_ns: int = 0

    def __post_init__(self) -> None:
        self._began_ns = self.clock.monotonic_ns()

    @property
    def elapsed_s(self) -> float:
        """Since the run began, in its own time."""
        return (self.clock.monotonic_ns() - self._began_ns) / 1e9

    def share(self, fleet: Sequence[Assignment], credentials: Mapping[str, Path]) -> None:
        """Watches what the makers of each account share, and tells other commands where the account's files are."""
        memory = SwitchFile(self.directory.switch_file)
        for name in dict.fromkeys(assignment.account.metadata.name for assignment in fleet):
            its = [assignment for assignment in fleet if assignment.account.metadata.name == name]
            rehearses = all(assignment.maker.spec.mode is Mode.DRY_RUN for assignment in its)
            self.accounts.append(
                AccountWatch(
                    its[0].account, self.redis_argument, memory, self.tell, self._maker_of, rehearses=rehearses
                )
            )
            place = self.directory.parameters(its[0].maker.metadata.name)
            self.account_files.append(AccountFiles(name, str(place), str(credentials[name])))

    def declare(self, fleet: Sequence[Assignment]) -> None:
        """What the accounts' changed manifests say of their switches."""
        changed = {assignment.account.metadata.name: assignment.account for assignment in fleet}
        for watch in self.accounts:
            if watch.name in changed:
                watch.declare(changed[watch.name])

    def _maker_of(self, holder: str) -> str | None:
        """The name of the maker whose worker this is or was, in whatever office; None: no worker of this run."""
        return next(
            (maker.name for maker in self.makers if any(record.holder in holder for record in maker.records)), None
        )

    def begin(self) -> None:
        """From now on the run's time counts: what it runs on is ready."""
        self._began_ns = self.clock.monotonic_ns()

    async def until(self, at_s: float) -> None:
        """Waits until the run is so old."""
        await self.clock.sleep(max(0.0, at_s - self.elapsed_s))

    def tell(self, subject: str, text: str, mood: Mood = Mood.PLAIN) -> None:
        event = RunEvent(round(self.elapsed_s, 3), subject, text, mood)
        self._events.append(event)
        self.output.event(event)

    def end(self, why: str) -> None:
        """Ends the run in order; only the first call says why."""
        if not self._over.is_set():
            self.tell(RUN, why)
            self._over.set()

    def fail(self, problem: str) -> None:
        """Ends the run in order, as one that failed."""
        self.problem = self.problem or problem
        self.end(problem)

    @asynccontextmanager
    async def ended_by_signals(self) -> AsyncIterator[None]:
        """Ctrl-C, SIGTERM and a closed terminal end the run in order; the second one kills what still runs."""
        loop = asyncio.get_running_loop()
        for signum in _ENDING:
            loop.add_signal_handler(signum, self._interrupted, signum)
        try:
            yield
        finally:
            for signum in _ENDING:
                loop.remove_signal_handler(signum)

    def _interrupted(self, signum: signal.Signals) -> None:
        if not self._over.is_set():
            self.end(f"{signum.name}: stopping in order; again kills what still runs")
            return
        for each in _ENDING:  # what hangs now is this process itself
            signal.signal(each, signal.SIG_DFL)
        self.problem = self.problem or f"{signum.name} twice: killed what still ran; orders may rest on the exchange"
        self.guardian.kill_all()

    async def run(
        self,
        *,
        length_s: float | None = None,
        exchange: Process | None = None,
        give_up: bool = False,
        beside: Sequence[Coroutine[None, None, None]] = (),
    ) -> None:
        """Runs until it is ended, then stops every worker in order.

        `beside`: what else happens while it runs. `give_up`: end it when a worker cannot even start.
        """
        async with asyncio.TaskGroup() as group:
            for maker in self.makers:
                group.create_task(maker.supervise())
            helpers = [
                *(group.create_task(maker.watch(self.http)) for maker in self.makers),
                *(group.create_task(account.follow()) for account in self.accounts),
                *(group.create_task(self._refused_is_the_end(work)) for work in beside),
                group.create_task(self._show()),
                group.create_task(self._keep_run_file(exchange)),
                group.create_task(self._replace_stale()),
            ]
            if self.redis is not None:
                helpers.append(group.create_task(self.redis.supervise()))
            if length_s is not None:
                helpers.append(group.create_task(self._end_at(length_s)))
            if exchange is not None:
                helpers.append(group.create_task(self._miss(exchange)))
            if give_up:
                helpers.append(group.create_task(self._give_up()))
            try:
                await self._over.wait()
            finally:
                await asyncio.gather(*(maker.stop() for maker in self.makers))
                await end(helpers)  # whoever asks Redis may have to be told more than once

    async def _refused_is_the_end(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Refused as refused:
            self.fail(str(refused))

    async def _give_up(self) -> None:
        """Ends a run of which a worker cannot even start: what it says is to be put right first."""
        while True:
            for maker in self.makers:
                if not maker.was_ready and maker.deaths >= _TRIES_TO_START:
                    self.fail(f"{maker.symbol}: the worker does not start: {maker.last_words or maker.launch.log}")
            await asyncio.sleep(_REFRESH_S)

    async def _end_at(self, length_s: float) -> None:
        await self.until(length_s)
        self.end("the time is over: stopping in order")

    async def _miss(self, exchange: Process) -> None:
        code = await exchange.wait()
        said = exchange.last_words()
        self.fail(f"the exchange {ending(code)}{f': {said}' if said else ''}")

    async def _show(self) -> None:
        while True:
            self.output.update(self.view())
            await asyncio.sleep(_REFRESH_S)

    async def _keep_run_file(self, exchange: Process | None) -> None:
        while True:
            accounts = tuple(map(self._known, self.account_files, self.accounts))
            run = RunFile(
                os.getpid(), self.view(), self.redis_argument, dict(self.env), accounts, told_ns=time.monotonic_ns()
            )
            write_run_file(self.directory, run)
            if exchange is not None:
                exchange.rotate_log()
            if self.redis is not None:
                self.redis.rotate_log()
            await asyncio.sleep(_RUN_FILE_S)

    def _known(self, files: AccountFiles, account: AccountWatch) -> AccountFiles:
        """With what the workers have told of the account by now."""
        its = [maker for maker in self.makers if maker.resource.spec.account_ref == files.account]
        installation = next((record.installation for maker in its for record in maker.records[-1:]), "")
        return msgspec.structs.replace(files, identity=account.identity, installation=installation)

    async def _replace_stale(self) -> None:
        """Replaces workers by the operator's rule, and says when the cause is the venue's."""
        restarts = Restarts()
        in_outage: set[str] = set()
        while True:
            for venue, plan in restarts.plan(self.makers, self.clock.monotonic_ns() // 1_000_000).items():
                if plan.outage is not None and venue not in in_outage:
                    in_outage.add(venue)
                    self.tell(RUN, f"VenueOutage of {venue}, nobody is restarted: {plan.outage.text}", Mood.BAD)
                elif plan.outage is None and venue in in_outage:
                    in_outage.remove(venue)
                    self.tell(RUN, f"{venue} is back", Mood.GOOD)
                for restart in plan.restarts:
                    await next(maker for maker in self.makers if maker.holder == restart.holder).replace(restart.text)
            await asyncio.sleep(_JUDGE_S)

    def view(self) -> RunView:
        return msgspec.structs.replace(
            self.blurb,
            elapsed_s=self.elapsed_s,
            violations=self.violations,
            accounts=tuple(account.view() for account in self.accounts),
            makers=tuple(maker.view() for maker in self.makers),
            events=tuple(self._events),
        )

"""One worker from start to end: files, key, preflight, engine, and the orderly way out.

A worker that cannot start says why on `/readyz` while the cause may heal by itself, and otherwise ends with status 1
and the reason, which is also its termination message.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from phoenix_coordination.port import Coordinator, LeaseTimes
from phoenix_coordination.redis.announcements import Announcements
from phoenix_coordination.state import Mode, Reason, StateRecord, encode
from phoenix_coordination.state_directory import final_record_path, installation_in

from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import ClockSynced, FeesSet, ParametersSet
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.credentials import MountedKey
from phoenix_worker.runtime.entrance import Entrance, RefusedError
from phoenix_worker.runtime.files import Look
from phoenix_worker.runtime.hot import HotParameters
from phoenix_worker.runtime.logs import LineWriter, Log
from phoenix_worker.runtime.loop_lag import LoopWatch, Stall
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.metrics import Exposition
from phoenix_worker.runtime.peers import Peers
from phoenix_worker.runtime.probes import Probes
from phoenix_worker.runtime.publisher import Identity
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.redaction import Redactor, stack_of
from phoenix_worker.runtime.redis_url import redis_credentials
from phoenix_worker.runtime.resolved import InvalidConfigurationError, Resolved, load, parameters, shadow_parameters
from phoenix_worker.runtime.rotation import Rotation
from phoenix_worker.runtime.shell import Shell
from phoenix_worker.runtime.status import Running, Status
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.dry_run import DryRun
from phoenix_worker.venue.port import Venue

PUBLISH_SECONDS = 1.0
PUBLISHINGS_PER_SNAPSHOT = 5
ANNOUNCE_SECONDS = 5.0
CLOSE_SECONDS = 2.5


class Options(msgspec.Struct, frozen=True):
    """What the command line says. `redis`: a URL without a password, or `@FILE`; `address`: where the probes listen."""

    maker_file: Path
    account_file: Path
    credentials: Path
    redis: str
    state_dir: Path
    address: tuple[str, int]


class Worker:
    """The one worker of this process. `run` once. `redis_url` may hold a password; `seen`: how the files looked before
    `resolved` was read.
    """

    def __init__(
        self,
        options: Options,
        resolved: Resolved,
        redis_url: str,
        clock: Clock,
        log: Log,
        lines: LineWriter,
        redact: Redactor,
        *,
        times: LeaseTimes | None = None,
        seen: Look | None = None,
    ) -> None:
        self._options = options
        self._resolved = resolved
        self._redis_url = redis_url
        self._redis_credentials = redis_credentials(options.redis, redact)
        self._times = times or LeaseTimes()
        self._clock = clock
        self._log = log
        self._redact = redact
        self._meters = Meters()
        self._watch = LoopWatch(self._stalled)
        self._hot = HotParameters(options.maker_file, options.account_file, resolved, load, seen)
        self._key = MountedKey(options.credentials, redact)
        self._news = asyncio.Event()
        self._holder = holder_name()
        self._identity = Identity(self._holder, "", clock.monotonic_ns())
        self._status = Status(self._identity, self._hot, clock, self._meters, self._watch, lines)
        self._probes = Probes(self._status, Exposition(self._status.sample))
        self._shell: Shell | None = None
        self._venue: Venue | None = None
        self._peers: Peers | None = None
        self._recorder: Recorder | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._announcing: asyncio.Task[None] | None = None
        self._life: asyncio.Task[int] | None = None
        self._stopping = ""
        self._crashed = False

    async def run(self) -> int:
        """The exit status, once everything is closed; raises `RefusedError` and `ForbiddenError`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        loop.set_exception_handler(self._task_failed)
        self._watch.start()
        try:
            await self._open_probes()
            self._life = asyncio.create_task(self._live(), name="life")
            code = await self._life
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            code = 0  # stopped before anything was sent
        finally:
            await self._close()
        return 1 if self._crashed else code

    @property
    def ending(self) -> str:
        """Why it has ended."""
        return (self._shell.ending if self._shell is not None else "") or self._stopping

    def stop(self, reason: str) -> None:
        """Ends the worker in order; the exchange has nothing of ours left when it is over."""
        self._stopping = reason
        self._log.info("stopping", reason=reason)
        if self._shell is not None:
            self._shell.stop(reason)
        elif self._life is not None:
            self._life.cancel()

    # -- the way up --------------------------------------------------------------------------------

    async def _live(self) -> int:
        resolved, options = self._resolved, self._options
        try:
            installation = await asyncio.to_thread(installation_in, options.state_dir, resolved.account_uid)
        except OSError as error:
            raise RefusedError(
                f"--state-dir {options.state_dir}: cannot be used: {error.strerror}: name a directory that is writable"
            ) from None
        self._identity.installation = installation
        self._announcing = self._spawn(self._announce(), "announcements")
        entrance = Entrance(resolved, self._key, self._holder, self._clock, self._log, self._wait_for)
        exchange = await entrance.client()
        dry_run = resolved.mode is Mode.DRY_RUN
        self._venue = venue = DryRun(exchange, self._clock) if dry_run else exchange
        peers = self._peers = Peers(
            self._redis_url,
            self._redis_credentials,
            resolved,
            installation,
            self._holder,
            exchange,
            self._clock,
            self._times,
            self._log,
        )
        preflight, instrument = await entrance.preflight(venue, exchange, peers)
        identity = preflight.identity
        if await peers.join(identity, self._wait_for):
            # What was read before the wait may have changed.
            preflight, instrument = await entrance.preflight(venue, exchange, peers)
            if preflight.identity != identity:
                raise RefusedError(
                    f"the key was replaced by one of another account ({preflight.identity}): start again"
                )
        await self._hot.catch_up(instrument, self._applied, self._refused)  # that may have been long
        rotation = Rotation(self._key, exchange, identity, self._log, self._news.set)
        ready, shadow = self._in_force(instrument)
        shell = self._assemble(self._new_engine(ready, instrument), instrument, venue, exchange, peers, rotation)
        _spare_the_collector()
        now_ns = self._clock.monotonic_ns()
        shell.sink(ClockSynced(now_ns, preflight.offset_ns, preflight.offset_error_ns))
        shell.sink(FeesSet(now_ns, preflight.maker_bps, preflight.taker_bps))
        if shadow is not None:
            shell.sink(ParametersSet(now_ns, ready, shell.engine.revision, shadow))
        await peers.start(shell)
        await venue.start(shell.sink)
        shell.start_ticking()
        self._spawn(self._hot.watch(instrument, self._applied, self._refused), "hot parameters")
        self._spawn(rotation.watch(), "key")
        self._spawn(self._publish(shell, peers.coordinator, shell.recorder), "publisher")
        self._announcing.cancel()
        return await shell.ended

    async def _open_probes(self) -> None:
        host, port = self._options.address
        try:
            await self._probes.open(host, port)
        except OSError as error:
            raise RefusedError(f"--http {host}:{port}: cannot listen there: {error.strerror or error}") from None
        self._log.info("listening", host=host, port=self._probes.port, build=build(), holder=self._holder)

    def _in_force(self, instrument: Instrument) -> tuple[Parameters, Parameters | None]:
        """Of the live engine, and of the shadow where there is one."""
        resolved = self._hot.in_force.resolved
        try:
            return parameters(resolved.quoting, instrument), shadow_parameters(resolved, instrument)
        except InvalidConfigurationError as error:
            raise RefusedError(str(error)) from None

    def _new_engine(self, ready: Parameters, instrument: Instrument) -> Engine:
        resolved = self._hot.in_force.resolved
        return Engine.new(
            ready,
            instrument,
            self._clock.monotonic_ns(),
            dry_run=resolved.mode is Mode.DRY_RUN,
            revision=resolved.hash,
        )

    def _assemble(
        self,
        engine: Engine,
        instrument: Instrument,
        venue: Venue,
        exchange: BinanceVenue,
        peers: Peers,
        rotation: Rotation,
    ) -> Shell:
        resolved = self._resolved
        beside = Beside(self._log)
        started = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).strftime("%Y%m%dT%H%M%S")
        recordings = self._options.state_dir / "recordings" / f"{resolved.namespace}.{resolved.maker}"
        self._recorder = recorder = Recorder(
            recordings / f"{started}-{os.getpid()}",
            resolved.symbol,
            build(),
            engine.keyframe,
            self._clock.wall_ns,
            shadow_keyframe=beside.keyframe,
        )
        self._shell = shell = Shell(
            engine,
            instrument,
            venue,
            peers.coordinator,
            peers.budgets.granted,
            recorder,
            self._clock,
            self._meters,
            self._log,
            beside,
        )
        self._status.running = Running(shell, instrument, exchange, recorder, peers, rotation)
        return shell

    # -- while it runs -----------------------------------------------------------------------------

    async def _announce(self) -> None:
        """Why the engine does not run yet, until it does: for those who look after this worker."""
        announcements = Announcements(self._redis_url, self._clock.rate, self._redis_credentials)
        try:
            while True:
                announcements.tell(self._status.record())
                await self._news_within(ANNOUNCE_SECONDS)
        finally:
            await announcements.stop()

    async def _news_within(self, seconds: float) -> None:
        """Until something has changed that others wait to hear, or so many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds / self._clock.rate):
                await self._news.wait()
        self._news.clear()

    async def _publish(self, shell: Shell, coordinator: Coordinator, recorder: Recorder) -> None:
        """Every second, and at once where there is news, the state record; with it what was recorded, and at times the
        memory.
        """
        told: tuple[object, ...] = ()
        count = 0
        while True:
            record = self._status.record()
            coordinator.publish(record)
            recorder.flush()
            if count % PUBLISHINGS_PER_SNAPSHOT == 0:
                shell.save_memory()
            state = (record.role, record.ready, record.reason, record.guard)
            if state != told:
                self._tell(record)
                told = state
            count += 1
            await self._news_within(PUBLISH_SECONDS)

    def _tell(self, record: StateRecord) -> None:
        self._log.info(
            "state",
            role=record.role.value,
            ready=record.ready,
            reason=record.reason.value,
            guard=record.guard,
            text=record.detail,
        )

    def _applied(self, resolved: Resolved, ready: Parameters, shadow: Parameters | None) -> None:
        in_force = self._hot.in_force
        self._log.info("parameters in force", hash=in_force.hash, needs_restart=list(in_force.needs_restart))
        if self._peers is not None:
            self._peers.configure(resolved)
        if self._shell is not None:
            self._shell.sink(ParametersSet(self._clock.monotonic_ns(), ready, resolved.hash, shadow))
        self._news.set()

    def _refused(self, problem: str) -> None:
        self._log.error("parameters refused", text=problem)
        self._news.set()

    def _wait_for(self, reason: Reason, detail: str) -> None:
        if (reason, detail) != self._status.starting:
            self._log.info("waiting", reason=reason.value, text=detail)
            self._news.set()
        self._status.wait_for(reason, detail)

    def _stalled(self, stall: Stall) -> None:
        self._log.warning("event loop held up", seconds=round(stall.seconds, 3), where=stall.where)

    def _task_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task of ours raised: a defect. It is told and the worker ends in order: nobody knows what is missing."""
        error = context.get("exception")
        stack = stack_of(error) if isinstance(error, BaseException) else ""
        self._log.error("task failed", text=str(context.get("message", "")), stack=stack)
        if error is not None and not isinstance(error, OSError) and not self._stopping:
            self._crashed = True
            self.stop(f"{context.get('message')}: {type(error).__name__}")

    # -- the way down ------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._finished)
        self._tasks.append(task)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": f"task {task.get_name()}", "exception": error})

    async def _close(self) -> None:
        """Bounded: whatever hangs is left to the end of the process, and said."""
        for task in self._tasks:
            task.cancel()
        self._leave_record()
        closing: list[asyncio.Task[None]] = []
        if self._announcing is not None:
            closing.append(asyncio.create_task(_over(self._announcing), name="announcements"))
        if self._venue is not None:
            closing.append(asyncio.create_task(self._venue.close(), name="exchange"))
        if self._peers is not None:
            closing.append(asyncio.create_task(self._peers.stop(), name="coordination"))
        if self._recorder is not None:
            closing.append(asyncio.create_task(asyncio.to_thread(self._recorder.close), name="recording"))
        closing.append(asyncio.create_task(self._probes.close(), name="probes"))
        done, hanging = await asyncio.wait(closing, timeout=CLOSE_SECONDS)
        for task in hanging:
            self._log.warning("not closed in time", part=task.get_name())
        for task in done:
            if (error := task.exception()) is not None:
                self._log.error("not closed", part=task.get_name(), stack=stack_of(error))
        self._watch.stop()

    def _leave_record(self) -> None:
        """The last state record stays on disk: whoever supervised the process compares it with the exchange's books."""
        path = final_record_path(self._options.state_dir, self._resolved.namespace, self._resolved.maker)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(self._status.record()))
        except OSError as error:
            self._log.warning("last record not kept", path=str(path), text=str(error))


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})


def _spare_the_collector() -> None:
    """What a start has made lives as long as the process: looking through it again and again for garbage held up the
    loop for ten milliseconds at a time.
    """
    gc.collect()
    gc.freeze()


def holder_name() -> str:
    """Pod (or process) and a boot nonce: names this process among all that ever ran for the symbol."""
    pod = os.environ.get("POD_UID") or f"{socket.gethostname()}-{os.getpid()}"
    return f"{pod}/{secrets.token_hex(4)}"

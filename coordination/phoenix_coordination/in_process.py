"""Coordination of workers that share nothing but a directory of this machine.

The lease is a file lock, so two workers of one symbol on one machine never trade at once; tokens, the sticky switch
(which the workers of one account here share) and snapshots outlive the process. The account's limits are applied to
the symbol alone: makers of one account do not see each other's exposure here.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from phoenix_coordination import exposure
from phoenix_coordination.port import (
    AccountTerms,
    Clock,
    EmergencyChanged,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    LeaseTimes,
    Message,
    Reachable,
    Reservation,
    Reserved,
    Sink,
    Snapshot,
    Unreachable,
)
from phoenix_coordination.state import StateRecord
from phoenix_coordination.state_directory import StateDirectory, Switch

_STOP_SECONDS = 2.0
"""How long a stop waits for a disk before it goes without it."""


class InProcessCoordinator:
    """A `Coordinator` over a state directory. File work runs in a thread: a slow disk never holds up the loop."""

    def __init__(
        self,
        directory: Path,
        symbol: str,
        installation: str,
        terms: AccountTerms,
        clock: Clock,
        *,
        dry_run: bool,
        times: LeaseTimes | None = None,
    ) -> None:
        self._directory = directory
        self._symbol = symbol
        self._dry_run = dry_run
        self._installation = installation
        self._terms = terms
        self._clock = clock
        self._times = times or LeaseTimes()
        self._sink: Sink | None = None
        self._files: StateDirectory | None = None
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="state-directory")
        self._token = 0
        self._deadline_ns = 0
        self._expiry: asyncio.TimerHandle | None = None
        self._reachable: bool | None = None
        self._switch = Switch(EmergencyLevel.NONE, 0, "", 0)
        self._told: EmergencyChanged | None = None
        self._sequence = -1
        self._releasing = asyncio.Event()
        self._campaign: asyncio.Task[None] | None = None
        self.record: StateRecord | None = None

    @property
    def installation(self) -> str:
        return self._installation

    async def join(self, identity: str) -> None:
        self._files = StateDirectory(self._directory, identity, self._symbol, dry_run=self._dry_run)

    async def start(self, sink: Sink) -> None:
        if self._files is None:
            raise RuntimeError("join() comes first")
        self._sink = sink
        self._campaign = asyncio.create_task(self._run(self._files), name="lease")
        self._campaign.add_done_callback(_told_when_it_fails)

    def configure(self, terms: AccountTerms) -> None:
        self._terms = terms
        asyncio.get_running_loop().call_soon(self._tell_switch)

    def reserve(self, reservation: Reservation) -> None:
        if reservation.sequence <= self._sequence:
            return
        self._sequence = reservation.sequence
        buy_steps, sell_steps = exposure.grant(reservation, self._terms)
        # The answer is an event of its own, never a call inside the request that led to it.
        asyncio.get_running_loop().call_soon(self._tell, Reserved(reservation.sequence, buy_steps, sell_steps))

    def release(self) -> None:
        self._releasing.set()

    def raise_emergency(self, level: EmergencyLevel, reason: str) -> None:
        if level <= self._switch.level:
            return
        # In force here at once and on disk with the next beat: a stop that waits for a disk is no stop.
        if self._files is not None:
            reason += f"; to resume, stop the workers of this account and remove {self._files.switch_path}"
        self._switch = Switch(level, self._switch.epoch + 1, reason, self._clock.wall_ns())
        asyncio.get_running_loop().call_soon(self._tell_switch)
        if self._files is not None:
            self._begin(self._files.settle_switch, self._switch)

    def publish(self, record: StateRecord) -> None:
        self.record = record

    def save_snapshot(self, token: int, memory: bytes) -> None:
        if token and token == self._token and self._files is not None:
            self._begin(self._files.save, Snapshot(token, self._clock.wall_ns(), memory))

    async def load_snapshot(self) -> Snapshot | None:
        if self._files is None:
            return None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._disk, self._files.load)
        except OSError:
            return None

    async def stop(self) -> None:
        if self._campaign is not None:
            self._campaign.cancel()
            await asyncio.wait({self._campaign})
        if self._expiry is not None:
            self._expiry.cancel()
        self._sink = None
        if self._files is not None:
            files, self._files = self._files, None
            last = asyncio.get_running_loop().run_in_executor(self._disk, files.let_go)
            await asyncio.wait({last}, timeout=_STOP_SECONDS)
        self._disk.shutdown(wait=False)

    # -- the campaign ------------------------------------------------------------------------------

    async def _run(self, files: StateDirectory) -> None:
        while not self._releasing.is_set():
            await self._beat(files)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.renew_s / self._clock.rate):
                    await self._releasing.wait()
        if self._expiry is not None:
            self._expiry.cancel()
        await asyncio.get_running_loop().run_in_executor(self._disk, files.let_go)
        self._lose("released")

    async def _beat(self, files: StateDirectory) -> None:
        """One renewal: read the switch, hold or take the lease. What fails is unreachable, never fine."""
        loop = asyncio.get_running_loop()
        sent_ns = self._clock.monotonic_ns()
        if self._token and sent_ns >= self._deadline_ns:  # this process slept, and its timers with it
            self._expire(files)
        try:
            switch = await loop.run_in_executor(self._disk, files.settle_switch, self._switch)
            token = await loop.run_in_executor(self._disk, files.hold, self._clock.wall_ns() // 1_000_000)
        except OSError as error:
            self._say_unreachable(error)
            return
        if self._reachable is not True:
            self._reachable = True
            self._tell(Reachable())
        if (switch.epoch, switch.level) > (self._switch.epoch, self._switch.level):
            self._switch = switch
        self._tell_switch()
        if token is None:
            self._lose("another process holds it")
            return
        if self._token not in (0, token):
            self._lose("its file was replaced")
        self._deadline_ns = sent_ns + int((self._times.ttl_s - self._times.margin_s) * 1e9)
        left_s = (self._deadline_ns - self._clock.monotonic_ns()) / 1e9
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = loop.call_later(left_s / self._clock.rate, self._expire, files)
        granted = LeaseRenewed if token == self._token else LeaseGranted
        self._token = token
        self._tell(granted(token, self._deadline_ns))

    def _expire(self, files: StateDirectory) -> None:
        """The deadline has passed: whoever comes next, ourselves included, trades under a new token."""
        self._begin(files.let_go)
        self._lose("not renewed before its deadline")

    def _lose(self, reason: str) -> None:
        if self._token:
            token, self._token = self._token, 0
            self._tell(LeaseLost(token, reason))

    def _begin(self, work: Callable[..., object], *arguments: object) -> None:
        asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments).add_done_callback(self._written)

    def _written(self, done: asyncio.Future[object]) -> None:
        if isinstance(error := done.exception(), OSError):
            self._say_unreachable(error)
        else:
            _told_when_it_fails(done)

    def _say_unreachable(self, error: OSError) -> None:
        if self._reachable is not False:
            self._reachable = False
            self._tell(Unreachable(f"the state directory cannot be used: {error}"))

    def _tell_switch(self) -> None:
        """The higher of the sticky switch and what the account resource declares; told when it changes."""
        sticky, declared = self._switch, self._terms.emergency
        if declared > sticky.level:
            told = EmergencyChanged(declared, sticky.epoch, "the account resource says so (spec.emergency)")
        else:
            told = EmergencyChanged(sticky.level, sticky.epoch, sticky.reason)
        if told != self._told and self._reachable is not None:
            self._told = told
            self._tell(told)

    def _tell(self, message: Message) -> None:
        if self._sink is not None:
            self._sink(message)


def _told_when_it_fails(done: asyncio.Future[Any]) -> None:
    """A defect is not kept in a future that nobody reads: it goes where the loop's owner hears of it."""
    if not done.cancelled() and (error := done.exception()) is not None:
        done.get_loop().call_exception_handler({"message": "task coordination", "exception": error})

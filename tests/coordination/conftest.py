"""Worlds in which coordinators meet: one class for each implementation, so that all pass the same suite."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from phoenix_coordination.in_process import InProcessCoordinator, LeaseTimes
from phoenix_coordination.port import AccountTerms, Coordinator, EmergencyLevel, Message

TERMS = AccountTerms(net_micro=10_000 * 10**6, gross_micro=20_000 * 10**6, emergency=EmergencyLevel.NONE)


class FastClock:
    """Ten times as fast as life, with a jump at will: what a paused process sees when it wakes."""

    rate = 10.0

    def __init__(self) -> None:
        self._jump_ns = 0

    def jump(self, *, seconds: int) -> None:
        self._jump_ns += seconds * 1_000_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() * 10 + self._jump_ns

    def wall_ns(self) -> int:
        return time.time_ns() + self._jump_ns


class Member:
    """A coordinator and everything that it has told, in order."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.told: list[Message] = []
        self._changed = asyncio.Event()

    def sink(self, message: Message) -> None:
        self.told.append(message)
        self._changed.set()

    async def hears(self, kind, *, after=0):
        """The next message of the kind, beginning with message number `after`."""
        async with asyncio.timeout(20):
            while True:
                for message in self.told[after:]:
                    if isinstance(message, kind):
                        return message
                self._changed.clear()
                await self._changed.wait()

    @property
    def count(self) -> int:
        return len(self.told)


class InProcessWorld:
    """Coordinators over one directory; each has a lock of its own, as processes have."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "state"
        self.clock = FastClock()
        self._members: list[Member] = []

    def member(self, symbol: str = "BTCUSDT", *, dry_run: bool = False, terms: AccountTerms = TERMS) -> Member:
        times = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)
        coordinator = InProcessCoordinator(
            self.directory, symbol, "k3f9a0", terms, self.clock, dry_run=dry_run, times=times
        )
        member = Member(coordinator)
        self._members.append(member)
        return member

    def cut(self) -> None:
        """Nothing shared can be reached any more."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.write_text("a file where a directory should be")

    def heal(self) -> None:
        self.directory.unlink()

    async def close(self) -> None:
        for member in self._members:
            await member.coordinator.stop()


@pytest.fixture(params=[InProcessWorld], ids=["in-process"])
async def world(request, tmp_path):
    world = request.param(tmp_path)
    yield world
    await world.close()

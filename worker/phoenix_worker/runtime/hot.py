"""Hot parameters: the resolved files are watched, and what changes is swapped in whole between two decisions.

A file that does not validate is refused whole and the old one stays in force, its switch included.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.files import Look, look
from phoenix_worker.runtime.resolved import (
    InvalidConfigurationError,
    NotValidatedError,
    Resolved,
    parameters,
    shadow_parameters,
)

POLL_SECONDS = 0.25
"""Life's seconds between two looks at the files: two `stat` calls."""
RETRY_SECONDS = 5.0

Load = Callable[[Path, Path], Awaitable[Resolved]]
Applied = Callable[[Resolved, Parameters, Parameters | None], None]
"""Of what is in force from now on: the live engine's parameters, and the shadow's where there is one."""


class InForce(msgspec.Struct, frozen=True):
    """What runs, and why what lies there does not.

    `refused`: the problems of the files, empty while they are in force. `needs_restart`: cold fields that differ from
    what this process was started with; then `hash` and `generation` stay those of the start.
    """

    resolved: Resolved
    hash: str
    generation: int
    refused: str = ""
    needs_restart: tuple[str, ...] = ()
    refusals: int = 0


class HotParameters:
    """Watches the two files. `in_force` is replaced, never changed.

    `seen`: how they looked before `started_with` was read from them, so that no change since is missed.
    """

    def __init__(
        self, maker_file: Path, account_file: Path, started_with: Resolved, load: Load, seen: Look | None = None
    ) -> None:
        self._files = (maker_file, account_file)
        self._load = load
        self._started_with = started_with
        self._last_look = self._look() if seen is None else seen
        self._last_place = self._place()
        self.in_force = InForce(started_with, started_with.hash, started_with.generation)

    async def watch(self, instrument: Instrument, applied: Applied, refused: Callable[[str], None]) -> None:
        """Runs until cancelled. Exactly one of `applied` and `refused` is called for each change that has settled.

        Quantities become steps of `instrument`, whose grid does not change while a worker runs.
        """
        while True:
            await asyncio.sleep(POLL_SECONDS)
            seen = self._look()
            if seen == self._last_look:
                continue
            place = self._place()
            if place == self._last_place:  # written where it lay: what was swapped behind a link is whole
                await asyncio.sleep(POLL_SECONDS)
                if self._look() != seen:  # still being written
                    continue
            self._last_look, self._last_place = seen, place
            if not await self._read(instrument, applied, refused):
                self._last_look = ()
                await asyncio.sleep(RETRY_SECONDS)

    async def catch_up(self, instrument: Instrument, applied: Applied, refused: Callable[[str], None]) -> None:
        """What has changed while nobody watched, before anything is done with what was read then."""
        seen = self._look()
        if seen != self._last_look and await self._read(instrument, applied, refused):
            self._last_look, self._last_place = seen, self._place()

    async def _read(self, instrument: Instrument, applied: Applied, refused: Callable[[str], None]) -> bool:
        """Whether the files have been judged; false where that was not possible and is worth another try."""
        try:
            resolved = await self._load(*self._files)
            self._refuse_another_identity(resolved)
            ready = parameters(resolved.quoting, instrument)
            shadow = shadow_parameters(resolved, instrument)
        except InvalidConfigurationError as error:
            self.in_force = msgspec.structs.replace(
                self.in_force, refused=str(error), refusals=self.in_force.refusals + 1
            )
            refused(str(error))
            return not isinstance(error, NotValidatedError)
        before, now = self._started_with.cold, resolved.cold
        cold = tuple(name for name in now if now[name] != before[name])
        running = self._started_with if cold else resolved
        # The mode of this process is the one that it was started with, whatever the file says by now.
        shown = msgspec.structs.replace(resolved, mode=self._started_with.mode)
        self.in_force = InForce(
            shown, running.hash, running.generation, needs_restart=cold, refusals=self.in_force.refusals
        )
        applied(resolved, ready, shadow)
        return True

    def _refuse_another_identity(self, resolved: Resolved) -> None:
        before, now = self._started_with.identity, resolved.identity
        for name, value in now.items():
            if value != before[name]:
                raise InvalidConfigurationError(
                    f"{name}: is {value!r} now, this worker runs for {before[name]!r}: start another worker for it"
                )

    def _look(self) -> Look:
        return look(self._files)

    def _place(self) -> tuple[str, ...]:
        """Where the files lie, past all links: a mounted volume is swapped whole, to another place."""
        return tuple(os.path.realpath(path) for path in self._files)

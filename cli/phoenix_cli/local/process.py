"""One child process of a run: where it logs, how it is signalled, and a stop that is bounded in time."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from phoenix_cli.local import guardian as guardian_program

LOG_LIMIT_BYTES = 16 * 1024 * 1024
LOG_GENERATIONS = 3
TAIL_BYTES = 8192

WORKER_RANK, EXCHANGE_RANK, REDIS_RANK = 0, 1, 2
"""Order of stopping: a worker needs the exchange to withdraw, and Redis to give its lease up."""


class Guardian:
    """Our end of the guardian process (see `guardian`): a context that must be open while children run.

    `lock`: a descriptor that it holds as long as it lives, so that nobody begins where it still stops children.
    """

    def __init__(self, grace_s: float = guardian_program.GRACE_S, lock: int | None = None) -> None:
        self._grace_s = grace_s
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None
        self._watched: set[int] = set()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            guardian_program.__file__,
            str(self._grace_s),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if self._lock is None else (self._lock,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        if not self._watched:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                self._process.kill()  # nobody is left to be guarded
        await self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            raise RuntimeError("the guardian of this run has died: nothing would stop the children of a killed runner")
        self._process.stdin.write(f"{line}\n".encode())

    def watch(self, pid: int, rank: int) -> None:
        self._watched.add(pid)
        self._tell(f"+{rank} {pid}")

    def forget(self, pid: int) -> None:
        self._watched.discard(pid)
        self._tell(f"-{pid}")

    def kill_all(self) -> None:
        """SIGKILL to every child that still runs: when a person will not wait."""
        for pid in self._watched:
            guardian_program.send(pid, signal.SIGKILL)


class Process:
    """A running child. It leads its own process group, so that a terminal's Ctrl-C reaches only the runner."""

    def __init__(
        self, name: str, child: asyncio.subprocess.Process, log: Path, log_start: int, guardian: Guardian
    ) -> None:
        self.name = name
        self._child = child
        self._log = log
        self._log_start = log_start
        self._guardian = guardian
        self._forgotten = False

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        guardian: Guardian,
        rank: int,
        env: Mapping[str, str],
        announces: bool = False,
    ) -> Self:
        """Starts `argv` with `env` added to ours; errors (and output, unless it `announces`) are appended to `log`."""
        rotate(log)
        with log.open("ab") as sink:
            log_start = sink.tell()  # before it runs: it may have had its last words when it is ours to ask
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if announces else sink,
                stderr=sink,
                env={**os.environ, **env},
                start_new_session=True,
            )
        guardian.watch(child.pid, rank)
        return cls(name, child, log, log_start, guardian)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._child.returncode

    async def announcement(self) -> str:
        """The first line that an announcing child prints; empty where it ended without one."""
        if self._child.stdout is None:
            raise ValueError(f"{self.name} was not started as one that announces")
        return (await self._child.stdout.readline()).decode(errors="replace").strip()

    async def wait(self) -> int:
        code = await self._child.wait()
        if not self._forgotten:
            self._forgotten = True
            self._guardian.forget(self.pid)
        return code

    def signal(self, signum: signal.Signals) -> None:
        """To the whole group of the child; one that has ended already is no fault."""
        if self.exit_code is None:
            guardian_program.send(self.pid, signum)

    async def stop(self, within_s: float) -> bool:
        """SIGTERM, then SIGKILL after `within_s`. False where it had to be killed."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), within_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.wait()
            return False
        return True

    def last_words(self) -> str:
        """The last line that it wrote to its log, to tell a person why it ended; empty where it wrote none."""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(min(self._log_start, size), size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return next((spoken(line.strip()) for line in reversed(lines) if line.strip()), "")

    def rotate_log(self) -> None:
        if rotate(self._log):
            self._log_start = 0


def spoken(line: str) -> str:
    """What a line of a log says to a person: of a structured one what happened and why, of another the line itself."""
    try:
        entry = json.loads(line)
        return f"{entry['event']}: {entry.get('text') or entry['reason']}"
    except (ValueError, KeyError, TypeError):
        return line


def rotate(log: Path) -> bool:
    """Copies a log that has grown too large aside and empties it: the child goes on appending to the same file.
    Whether it had.
    """
    if not log.exists() or log.stat().st_size < LOG_LIMIT_BYTES:
        return False
    for generation in range(LOG_GENERATIONS - 1, 0, -1):
        older = log.with_name(f"{log.name}.{generation}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{generation + 1}"))
    log.with_name(f"{log.name}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    return True

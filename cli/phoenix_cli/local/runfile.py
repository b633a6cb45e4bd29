"""The run file: what other commands need to attach to a run. Its runner writes it every second, until it ends."""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from phoenix_cli.local.layout import StateDirectory, write_private
from phoenix_cli.local.view import RunView

EVENTS_KEPT = 200
KINDS = ("demo", "up")
_FRESH_S = 5.0
"""A runner that has written nothing for so long hangs, or is dead: on a busy machine it may be late by a second or two.
"""


class AccountFiles(msgspec.Struct, frozen=True):
    """Where one account of the run has its resolved resource, beside that of a maker, and its key. No secret.

    `identity` is the exchange's own name of the account, `installation` what marks the run's orders there: both empty
    until a worker of the run has told them.
    """

    account: str
    parameters: str
    credentials: str
    identity: str = ""
    installation: str = ""


class RunFile(msgspec.Struct, frozen=True):
    """The runner's pid and what its own screen would show; what its workers are told by `--redis`, and their clock.

    `told_ns`: when it was written, on this machine's monotonic clock, which no process has to itself.
    """

    pid: int
    view: RunView
    redis: str = ""
    env: dict[str, str] = {}
    accounts: tuple[AccountFiles, ...] = ()
    told_ns: int = 0

    @property
    def age_s(self) -> float:
        """For how long the runner has told nothing."""
        return (time.monotonic_ns() - self.told_ns) / 1e9

    @property
    def stale(self) -> str:
        """Why this is no longer how things are, for a person; empty where it is."""
        lives = is_alive(self.pid)
        if lives and self.age_s < _FRESH_S:
            return ""
        how = "hangs" if lives else "is dead, and what it left is being stopped"
        return f"{self.age_s:.0f} s old: the runner (pid {self.pid}) {how}"


def write_run_file(directory: StateDirectory, run: RunFile) -> None:
    write_private(directory.run_file, msgspec.json.encode(run).decode())


def read_run_file(path: Path) -> RunFile | None:
    """The run, or None where there is none (or another version's)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None


def is_alive(pid: int) -> bool:
    """Whether there is such a process, of whatever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def is_held(directory: StateDirectory) -> bool:
    """Whether a runner holds the state directory right now."""
    try:
        lock = os.open(directory.root / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False

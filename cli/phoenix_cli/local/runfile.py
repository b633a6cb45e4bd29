"""The run file: what other commands need to attach to a run. Its runner writes it; stale once that has ended."""

import fcntl
import os
from pathlib import Path

import msgspec

from phoenix_cli.local.layout import StateDirectory, write_private
from phoenix_cli.local.view import RunView

EVENTS_KEPT = 200
KINDS = ("demo", "up")


class AccountFiles(msgspec.Struct, frozen=True):
    """Where one account of the run has its resolved resource, beside that of a maker, and its key. No secret."""

    account: str
    parameters: str
    credentials: str


class RunFile(msgspec.Struct, frozen=True):
    """The runner's pid and what its own screen would show; what its workers are told by `--redis`, and their clock."""

    pid: int
    view: RunView
    redis: str = ""
    env: dict[str, str] = {}
    accounts: tuple[AccountFiles, ...] = ()


def write_run_file(directory: StateDirectory, run: RunFile) -> None:
    write_private(directory.run_file, msgspec.json.encode(run).decode())


def read_run_file(path: Path) -> RunFile | None:
    """The run, or None where there is none (or another version's)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None


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

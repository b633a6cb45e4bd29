"""What outlives a worker on this machine's own disk, where no cluster keeps it. Synchronous.

    <directory>/installation                        random, once: the installation of all accounts here
    <directory>/records/<namespace>.<maker>.json    the last state record of a worker that has ended

Files are replaced whole and flushed before they count.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from phoenix_coordination import order_id


def installation_in(directory: Path, account_uid: str = "") -> str:
    """Six digits: from the account resource's uid, or where it has none from a file made once. Raises `OSError`."""
    if account_uid:
        return order_id.installation_of(account_uid)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "installation"
    with _exclusive(directory / "installation.lock"):
        if not path.exists():
            _replace(path, secrets.token_hex(16).encode())
        return order_id.installation_of(path.read_text().strip())


def knows_installation(directory: Path, account_uid: str) -> bool:
    """Whether `installation_in` would name one that has been named before: whose orders may be out there."""
    return bool(account_uid) or (directory / "installation").exists()


def final_record_path(directory: Path, namespace: str, maker: str) -> Path:
    """Where a maker's worker leaves its last state record when it ends in order."""
    return directory / "records" / f"{namespace}.{maker}.json"


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds a lock file for a read-modify-write of a few milliseconds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing, and on disk before it is seen."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

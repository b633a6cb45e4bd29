"""What one worker keeps on this machine's disk: its lease, the account's sticky switch, its memory. Synchronous.

    <directory>/installation                        random, once: the installation of all accounts here
    <directory>/records/<namespace>.<maker>.json    the last state record of a worker that has ended
    <directory>/<account>/emergency.json            the sticky switch
    <directory>/<account>[/dry]/<symbol>/lease      locked by the holder, holds the last token
    <directory>/<account>[/dry]/<symbol>/snapshot   the worker's memory

Files are replaced whole and flushed before they count. A rehearsal (`dry`) never holds what a live maker needs.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from phoenix_coordination import order_id
from phoenix_coordination.port import EmergencyLevel, Snapshot

SNAPSHOT_SCHEMA = 1


class Switch(msgspec.Struct, frozen=True):
    """The sticky emergency switch. Every change grows the epoch, so that the newer of two is known."""

    level: EmergencyLevel
    epoch: int
    reason: str
    changed_wall_ns: int


class _StoredSnapshot(msgspec.Struct, frozen=True):
    schema: int
    token: int
    saved_wall_ns: int
    memory: bytes


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


def final_record_path(directory: Path, namespace: str, maker: str) -> Path:
    """Where a maker's worker leaves its last state record when it ends in order."""
    return directory / "records" / f"{namespace}.{maker}.json"


class StateDirectory:
    """The files of one worker. Every method may raise `OSError`; none is called from two threads at once."""

    def __init__(self, directory: Path, account: str, symbol: str, *, dry_run: bool) -> None:
        self._account = directory / _as_file_name(account)
        self._home = self._account / "dry" / symbol if dry_run else self._account / symbol
        self._lease: int | None = None

    @property
    def switch_path(self) -> Path:
        return self._account / "emergency.json"

    # -- the lease: an exclusive lock, which the kernel takes back when the process ends --------------

    def hold(self, now_ms: int) -> int | None:
        """Takes or keeps the lease; its token, or `None` where another process holds it.

        A file that was removed or replaced under us is not the lease any more: whoever locks the new one may hold it.
        """
        path = self._home / "lease"
        if self._lease is not None:
            if _is_same_file(self._lease, path):
                return self._read_token(self._lease)
            self.let_go()
        self._home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            token = max(self._read_token(descriptor) + 1, now_ms)
            os.pwrite(descriptor, f"{token}\n".encode().ljust(32), 0)
            os.fsync(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        self._lease = descriptor
        return token

    def let_go(self) -> None:
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None

    @staticmethod
    def _read_token(descriptor: int) -> int:
        text = os.pread(descriptor, 32, 0).strip()
        if text and not text.isdigit():
            raise OSError("the lease file holds no token: move it away after making sure that no order of ours rests")
        return int(text or 0)

    # -- the sticky switch -------------------------------------------------------------------------

    def settle_switch(self, known: Switch) -> Switch:
        """Brings the switch on disk and the one in memory together: the later epoch wins, then the higher level.

        So a switch that vanished comes back, and one that cannot be read counts as halt (and stays for a person).
        """
        self._account.mkdir(parents=True, exist_ok=True)
        with _exclusive(self._account / "emergency.lock"):
            try:
                stored = msgspec.json.decode(self.switch_path.read_bytes(), type=Switch)
            except FileNotFoundError:
                stored = None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                reason = f"{self.switch_path} cannot be read ({error}): remove it once this account may trade again"
                halt = Switch(EmergencyLevel.HALT, known.epoch, reason, 0)
                return max(known, halt, key=lambda switch: switch.level)
            if stored is not None and (stored.epoch, stored.level) >= (known.epoch, known.level):
                return stored
            _replace(self.switch_path, msgspec.json.encode(known))
            return known

    # -- the memory --------------------------------------------------------------------------------

    def save(self, snapshot: Snapshot) -> None:
        """Keeps it, unless a newer token has saved one."""
        before = self.load()
        if before is not None and before.token > snapshot.token:
            return
        self._home.mkdir(parents=True, exist_ok=True)
        stored = _StoredSnapshot(SNAPSHOT_SCHEMA, snapshot.token, snapshot.saved_wall_ns, snapshot.memory)
        _replace(self._home / "snapshot", msgspec.msgpack.encode(stored))

    def load(self) -> Snapshot | None:
        """The memory; `None` where there is none, or none of this schema."""
        try:
            stored = msgspec.msgpack.decode((self._home / "snapshot").read_bytes(), type=_StoredSnapshot)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        if stored.schema != SNAPSHOT_SCHEMA:
            return None
        return Snapshot(stored.token, stored.saved_wall_ns, stored.memory)


def _as_file_name(account: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", account).lstrip(".") or "unknown-account"


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


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

"""The state directory of local runs: what lies where, and one run at a time.

```
<state>/                      $XDG_STATE_HOME/phoenix/demo or …/up; private (0700), because keys lie below
  lock                        held by the runner
  demo                        only in a demo's: what lies here may be removed by the next one
  run.json                    what `phoenix top` attaches to
  logs/<name>.log             one per process, rotated
  accounts/<name>/            credentials (0700), as the pod would mount them
  parameters/<name>/          maker.yaml and account.yaml of a maker, resolved; hot
  redis/                      the run's own Redis: its socket and its append-only file
  switch.json                 the emergency switches as last seen: what an empty Redis is told (see `account`)
  state/                      what the workers keep: installation, last records, flight recordings
```
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phoenix_cli.refusal import Refused

NAMESPACE = "local"
"""Of all that runs on this machine: a local run has no other."""
_PARTS = ("accounts", "logs", "parameters", "redis", "state", "switch.json")


def default_state_directory(kind: str) -> Path:
    """`$XDG_STATE_HOME/phoenix/<kind>`; `~/.local/state` where the variable is absent or relative, as XDG has it."""
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "state") / "phoenix" / kind


class StateDirectory:
    """Paths below one state directory, each made private when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _private(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @property
    def run_file(self) -> Path:
        return self.root / "run.json"

    def log(self, name: str) -> Path:
        return self._private("logs") / f"{name}.log"

    def credentials(self, account: str) -> Path:
        return self._private("accounts", account, "credentials")

    def parameters(self, maker: str) -> Path:
        return self._private("parameters", maker)

    @property
    def redis(self) -> Path:
        return self._private("redis")

    @property
    def switch_file(self) -> Path:
        return self.root / "switch.json"

    @property
    def state(self) -> Path:
        return self._private("state")

    def forget(self) -> None:
        """Removes what an earlier demo left: a new simulated exchange knows nothing of its orders and positions.

        Raises `Refused` for what no demo has left: the emergency switch and the leases of `up` must not be lost.
        """
        left = [name for name in _PARTS if (self.root / name).exists()]
        marker = self.root / "demo"
        if left and not marker.exists() and self.root != default_state_directory("demo"):
            raise Refused(
                f"{self.root} holds {', '.join(left)} that no demo has left, and a demo would remove it: give it a"
                " --state-dir of its own"
            )
        marker.touch()
        for name in left:
            shutil.rmtree(self.root / name, ignore_errors=True)
        for file in (self.switch_file, self.run_file):
            file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Holds the directory for one run; raises `Refused` where another run holds it, or it cannot be written.

        Gives the lock's descriptor: whoever inherits it holds the directory too, until the last of them has ended.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Refused(
                f"cannot write the state directory {self.root}: {error.strerror}; give another with --state-dir"
            ) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Refused(self._held()) from error
            yield lock
        finally:
            os.close(lock)

    def _held(self) -> str:
        """By whom, and what to do: a runner, or after one was killed its guardian, who still stops its children."""
        advice = "stop it, watch it with `phoenix top`, or give this one its own --state-dir"
        try:
            pid = int(json.loads(self.run_file.read_bytes())["pid"])
            os.kill(pid, 0)
        except ProcessLookupError:
            return f"the run (pid {pid}) in {self.root} was killed, and what it left is being stopped: try again soon"
        except (OSError, ValueError, KeyError, TypeError):
            return f"another run holds {self.root}: {advice}"
        return f"another run (pid {pid}) holds {self.root}: {advice}"


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, at once: a reader sees the old text or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def write_key(credentials: Path, api_key: str, api_secret: str) -> None:
    """A key as the pod would mount it: one private file for each half."""
    write_private(credentials / "apiKey", api_key)
    write_private(credentials / "apiSecret", api_secret)

"""The live screen of `phoenix top` about a cluster, on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

WITHIN_S = 40.0
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program on a terminal of its own, 120×24."""

    def __init__(self, *command: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        size = {"COLUMNS": "120", "LINES": "24", "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, **size}, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)

    def until(self, wanted: str) -> str:
        """Reads on until that is on the screen; gives what was shown meanwhile."""
        shown = b""
        deadline = time.monotonic() + WITHIN_S
        while wanted not in (text := _CONTROL.sub(b"", shown).decode(errors="replace")):
            assert time.monotonic() < deadline, f"never: {wanted}: {text[-2000:]}"
            try:
                shown += os.read(self._ours, 65536)
            except BlockingIOError:
                time.sleep(0.02)
        return text

    def ended(self) -> int:
        """Its exit status; it is read to the end, for who writes to a terminal that nobody reads never ends."""
        deadline = time.monotonic() + WITHIN_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "never ended"
            try:
                os.read(self._ours, 65536)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # nobody writes any more
                self.process.wait(WITHIN_S)
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(api_server, namespace, tmp_path):
    command = [sys.executable, "-m", "phoenix_cli", "top", "-n", namespace]
    environment = {**os.environ, "KUBECONFIG": str(api_server.admin_kubeconfig), "XDG_STATE_HOME": str(tmp_path)}
    shown = Terminal(*command, environment={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    yield shown
    shown.close()


def test_the_screen_follows_and_says_when_it_is_not_how_things_are_now(terminal, api_server, namespace, tell, maker):
    assert f"account {namespace}/default" in terminal.until("quoting 0 of 1")
    quoting = {"type": "Quoting", "status": "True", "reason": "Quoting"}
    tell(maker, conditions=[quoting])
    terminal.until("quoting 1 of 1")
    with api_server.frozen():
        terminal.until("does not answer within 5 s")
    terminal.until("quoting 1 of 1")
    tell(maker, conditions=[{**quoting, "status": "False", "reason": "PriceStale", "message": "no frame for 2 s"}])
    terminal.until("no frame for 2 s")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 130, "as a shell expects of Ctrl-C"

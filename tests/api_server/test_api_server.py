"""The tests' own API server keeps what it promises to those who build on it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from api_server import ENDS_WITHIN_S, LOOK_S, ApiServer

SUPPORT = Path(__file__).resolve().parents[1] / "support"

STARTS_ONE_AND_HANGS = """
import sys, time
from pathlib import Path
from api_server import Leashed
print(Leashed(Path(sys.argv[1]), "/bin/sleep", "600").pid, flush=True)
time.sleep(600)
"""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_does_not_outlive_the_tests_however_they_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_ONE_AND_HANGS, str(tmp_path / "log")]
    tests = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(SUPPORT)})
    assert tests.stdout is not None
    pid = int(tests.stdout.readline())
    assert _lives(pid)
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    tests.stdout.close()
    deadline = time.monotonic() + ENDS_WITHIN_S
    while _lives(pid):
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(LOOK_S)


def test_a_user_may_do_what_is_bound_to_it_and_nothing_else(api_server: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    refused = api_server.client("anna", "readers").get(path)
    assert refused.status == 403
    assert 'User "anna" cannot list resource "configmaps"' in refused.message
    role = ("--verb=list", "--resource=configmaps", "-n", namespace)
    api_server.kubectl("create", "role", "readers", *role)
    api_server.kubectl("create", "rolebinding", "readers", "--role=readers", "--group=readers", "-n", namespace)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not (answer := api_server.client("anna", "readers").get(path)).ok:
        assert time.monotonic() < deadline, answer.message  # the authoriser reads its own watch
        time.sleep(LOOK_S)
    assert api_server.client("bert").get(path).status == 403
    told = [each for each in api_server.audit() if each.get("objectRef", {}).get("namespace") == namespace]
    assert ("anna", "list", 403) in {
        (each["user"]["username"], each["verb"], each["responseStatus"]["code"]) for each in told
    }

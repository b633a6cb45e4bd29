import subprocess
import sys

import pytest
from phoenix_worker.runtime.redaction import HIDDEN, Redactor

SECRET = "3ca2f468986ba88ee8270b62bb9afd4f"


@pytest.mark.parametrize(
    "text",
    [
        f"https://host/fapi/v1/order?symbol=X&signature={SECRET}",
        f'{{"signature": "{SECRET}"}}',
        f"wss://host/private/ws?listenKey={SECRET}",
        f"X-MBX-APIKEY: {SECRET}",
        f"apiKey={SECRET}",
        "redis://user:hunter2hunter2@host:6379/0",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\\n{SECRET}\\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN ENCRYPTED PRIVATE KEY----- {SECRET}, cut off",
    ],
)
def test_what_stands_where_secrets_stand_is_hidden_without_being_known(text):
    hidden = Redactor()(text)
    assert SECRET not in hidden
    assert "hunter2" not in hidden
    assert HIDDEN in hidden


def test_known_secrets_are_hidden_wherever_they_stand():
    redact = Redactor([SECRET])
    redact.hide(["-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----"])
    assert redact(f"a {SECRET} b MC4CAQAwBQYDK2Vw c") == f"a {HIDDEN} b {HIDDEN} c"


def test_ordinary_words_stay():
    text = "BUY 0.004 @ 61801.2 pxyzke55-mwq19gir-q1; signature algorithms differ; see the apiKey file"
    assert Redactor(["abc", ""])(text) == text


CRASH = f"""
import sys, threading
from phoenix_worker.runtime.redaction import Redactor, guard_crashes
guard_crashes(Redactor(["{SECRET}"]), lambda summary, stack: print(summary, stack, file=sys.stderr))
def crash(secret):
    raise ValueError("refused for " + secret)
if sys.argv[1] == "thread":
    thread = threading.Thread(target=crash, args=("{SECRET}",)); thread.start(); thread.join()
else:
    crash("{SECRET}")
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_crash_tells_where_and_not_the_secret(where):
    done = subprocess.run([sys.executable, "-c", CRASH, where], capture_output=True, text=True, check=False)
    assert "ValueError: refused for [hidden]" in done.stderr
    assert "in crash" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_no_core_is_dumped():
    script = (
        "import resource\nfrom phoenix_worker.runtime.redaction import Redactor, guard_crashes\n"
        "guard_crashes(Redactor(), print)\nprint(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0)"

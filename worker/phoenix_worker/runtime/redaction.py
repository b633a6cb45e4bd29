"""Keeps secrets out of everything that leaves the process as text: logs, crash reports, termination messages."""

import faulthandler
import re
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType

HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6
_SIGNED = re.compile(
    r"(?i)\b(signature|listenKey|apiKey|X-MBX-APIKEY|password|secret)(\W{0,3}[=:]\W{0,3})[A-Za-z0-9+/=_.%-]{6,}"
)
_PRIVATE_KEY = re.compile(r"(?s)-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)")
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")


class Redactor:
    """Replaces known secrets, and what stands where secrets stand, by `[hidden]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Adds secrets; multi-line ones by line, and very short ones not: they would blank out ordinary words."""
        lines = {line.strip() for secret in secrets for line in secret.splitlines()}
        found = {line for line in lines if len(line) >= _SHORTEST_SECRET and not line.startswith("-----")}
        self._secrets = sorted({*self._secrets, *found}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        text = _PRIVATE_KEY.sub(HIDDEN, text)
        return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", _SIGNED.sub(rf"\1\2{HIDDEN}", text))


def stack_of(error: BaseException) -> str:
    """Where it happened and what it said. Frames without locals: those hold keys."""
    return "".join(traceback.format_exception(error))


def guard_crashes(redact: Redactor, report: Callable[[str, str], None]) -> None:
    """Crashes of any thread go to `report(summary, stack)`, redacted; fatal signals show stacks; no core is dumped."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()

    def crashed(kind: type[BaseException], error: BaseException | None, _: TracebackType | None) -> None:
        error = error if error is not None else kind()
        report(redact(f"{kind.__name__}: {error}"), redact(stack_of(error)))

    def thread_crashed(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            crashed(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = crashed
    threading.excepthook = thread_crashed

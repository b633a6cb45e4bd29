"""Outputs of a local run that tests watch it by."""

import os
import signal

from phoenix_cli.local.view import RunEvent
from phoenix_cli.plain import PlainOutput


class Until(PlainOutput):
    """Keeps the lines of a run, and ends it as Ctrl-C does when a text has come (after another one has)."""

    def __init__(self, text: str, after: str = "") -> None:
        super().__init__()
        self.lines: list[str] = []
        self._awaited = [after, text] if after else [text]

    def event(self, event: RunEvent) -> None:
        super().event(event)
        self.lines.append(f"{event.subject} {event.text}")
        if self._awaited and self._awaited[0] in event.text:
            del self._awaited[0]
            if not self._awaited:
                os.kill(os.getpid(), signal.SIGINT)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

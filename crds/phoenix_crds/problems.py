"""What is wrong with what somebody wrote, as data: where, what, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error refuses; a warning is said and lets pass."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a person can act on. `line` counts from 1, 0 where the file as a whole is meant."""

    file: str
    line: int
    field: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """One line a problem, in the form that editors and terminals make clickable."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.field}: {self.message}" if self.field else self.message
        return _on_one_line(f"{where}: {self.severity}: {what}" + (f" ({self.hint})" if self.hint else ""))


def _on_one_line(text: str) -> str:
    """Escapes what a terminal would act on: line ends, control sequences and lone surrogates of somebody's file."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class InvalidResourceError(Exception):
    """A file that must hold one valid resource does not; `problems` say why, one a line in the text."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

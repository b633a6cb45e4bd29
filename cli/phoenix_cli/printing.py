"""What commands print: columns for people and pipes, whole however narrow the terminal is, and JSON for programs."""

import re
from collections.abc import Sequence

import msgspec


def one_line(text: str) -> str:
    """Escapes what a terminal, or whoever reads line by line, would act on: others have written some of it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


_RAW_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Those that JSON lets stand."""
_encoder = msgspec.json.Encoder(decimal_format="number")
_NUMBER_STARTS = frozenset("0123456789+-.–")  # – stands for a number that is not known


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The header in capitals and the rows below it; columns of numbers stand at the right. Ends with a newline."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    right = [bool(rows) and all(row[index][:1] in _NUMBER_STARTS for row in rows) for index in range(len(header))]
    lines = []
    for row in ([name.upper() for name in header], *rows):
        cells = [
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def as_json(value: object) -> str:
    """Structs as indented JSON; decimals are numbers, exact. What a terminal would act on is escaped."""
    text = msgspec.json.format(_encoder.encode(value), indent=2).decode() + "\n"
    return _RAW_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

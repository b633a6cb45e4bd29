"""Figures with their intervals as dots and whiskers, in SVG.

Written by hand: a page of documentation needs rows, dots and an axis, and a plotting library would be the largest thing
in the locks of this house.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

import msgspec

from quality.intervals import Interval

WIDTH, LABELS, RIGHT, ROW, TOP = 880, 240, 180, 20, 56
INK, FAINT, LINE = "#1f2933", "#7b8794", "#d5dbe1"
GOOD, BAD, NEITHER = "#1b7f4d", "#b3261e", "#52606d"
TICKS = 6


class Row(msgspec.Struct, frozen=True):
    """`value` None: nothing was traded; a row without a label is a space between groups."""

    label: str
    value: Interval | None = None
    heading: bool = False


def whiskers(title: str, unit: str, rows: Sequence[Row]) -> str:
    """The page of one plot; the axis holds every interval and zero."""
    known = [row.value for row in rows if row.value is not None]
    low = min((value.low for value in known), default=0.0)
    high = max((value.high for value in known), default=0.0)
    ticks = nice_ticks(min(low, 0.0), max(high, 0.0))
    span = ticks[-1] - ticks[0] or 1.0
    height = TOP + ROW * len(rows) + 30

    def x(value: float) -> float:
        return LABELS + (value - ticks[0]) / span * (WIDTH - LABELS - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'  font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(12, 22, title, INK, size=15, weight=600),
        _text(12, 40, unit, FAINT),
    ]
    bottom = height - 24
    for tick in ticks:
        parts.append(_line(x(tick), TOP - 6, x(tick), bottom, INK if tick == 0 else LINE))
        parts.append(_text(x(tick), bottom + 16, f"{tick:g}", FAINT, anchor="middle"))
    for number, row in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts.append(_text(12 if row.heading else 24, y + 4, row.label, INK, weight=600 if row.heading else 400))
        if row.value is not None:
            parts += _whisker(row.value, x, y)
    return "\n".join([*parts, "</svg>", ""])


def _whisker(value: Interval, at: Callable[[float], float], y: float) -> list[str]:
    colour = GOOD if value.is_above_zero else BAD if value.is_below_zero else NEITHER
    told = f"{value.value:.2f}"
    parts = []
    if value.known:
        parts.append(_line(at(value.low), y, at(value.high), y, colour, width=2))
        told += f"  [{value.low:.2f}, {value.high:.2f}]"
    parts.append(f'<circle cx="{at(value.value):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    parts.append(_text(WIDTH - RIGHT + 12, y + 4, told, colour))
    return parts


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`."""
    raw = (high - low) / TICKS or 1.0
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(times * magnitude for times in (1, 2, 5, 10) if times * magnitude >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(
    x: float, y: float, text: str, colour: str, *, size: int = 12, weight: int = 400, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )

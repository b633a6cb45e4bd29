"""docs/metrics.md and the registries say the same, in both directions."""

import re
from pathlib import Path

import pytest
from metric_definitions import Definition

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
UNITS = {"0, 1", "1", "asset", "base", "bps", "bytes", "count", "number", "quote", "ratio", "seconds"}


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, ...]]:
    return ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_the_page_says_of_every_metric_what_the_registries_say_and_of_no_other(rows, definitions):
    assert {row[0]: row[1:3] + row[4:] for row in rows} == {name: _row(each) for name, each in definitions.items()}


def test_each_is_there_once_with_a_unit(rows):
    assert len({row[0] for row in rows}) == len(rows)
    assert {row[3] for row in rows} == UNITS


def _row(definition: Definition) -> tuple[str, str, str]:
    own = [label for label in definition.labels if not (label == "symbol" and definition.name.startswith("mm_"))]
    return (
        definition.kind,
        ", ".join(f"`{label}`" for label in own) or "–",
        definition.text.replace("|", "\\|"),
    )

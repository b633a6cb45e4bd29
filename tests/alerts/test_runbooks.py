"""Every alert has its page, every page its alert, and the metrics that it names are told."""

import re
from pathlib import Path

import pytest

BOOKS = Path(__file__).resolve().parents[2] / "docs/runbooks"
INDEX = BOOKS / "README.md"
PAGES = sorted(BOOKS.glob("*.md"))
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]

SEARCHED = re.compile(r"grep (?:-\w+ )?'\^((?:mm|phoenix)_[^']*)'")
NAMED = re.compile(r"`((?:mm|phoenix_operator)_\w*[a-z])(?:\{[^`]*\})?`")


def _ids(page: Path) -> str:
    return page.stem


def test_every_alert_has_its_page_and_every_page_its_alert(alerts):
    assert {page.stem for page in PAGES} == {*alerts, INDEX.stem}


def test_the_index_names_each_with_its_severity(alerts):
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", INDEX.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {name: rule["labels"]["severity"] for name, rule in alerts.items()}


@pytest.mark.parametrize("page", [page for page in PAGES if page != INDEX], ids=_ids)
def test_a_page_says_what_it_means_what_it_costs_how_to_look_and_what_to_do(page, alerts):
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n\n**{alerts[page.stem]['labels']['severity']}**")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert "```sh\n" in text.partition("## Diagnosis")[2].partition("## Mitigation")[0]


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_the_metrics_that_it_names_are_told(page, definitions):
    told = {sample for each in definitions.values() for sample in each.samples}
    text = page.read_text(encoding="utf-8")
    unknown = [name for name in NAMED.findall(text) if not any(each.startswith(name) for each in told)]
    for pattern in SEARCHED.findall(text):
        prefix, _, choices = pattern.partition("(")
        looked_for = [prefix + choice for choice in choices.rstrip(")").split("|")]
        unknown += [name for name in looked_for if not any(each.startswith(name) for each in told)]
    assert unknown == []

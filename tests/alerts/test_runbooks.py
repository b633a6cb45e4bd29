"""Every alert has its page, every page its alert, and what a page tells to type can be typed."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
from phoenix_cli.__main__ import COMMANDS

BOOKS = Path(__file__).resolve().parents[2] / "docs/runbooks"
INDEX = BOOKS / "README.md"
PAGES = sorted(BOOKS.glob("*.md"))
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
MODULES = {command.name: command.module for command in COMMANDS}

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
def test_its_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_its_commands_of_ours_can_be_typed(page, capsys):
    for words in map(_words, _code(page)):
        if words is None:
            continue
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(MODULES[words[0]]).add_arguments(parser)
        try:
            parser.parse_args(words[1:])
        except (SystemExit, argparse.ArgumentError):
            pytest.fail(f"{page.name}: phoenix {shlex.join(words)}: {capsys.readouterr().err}")


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


def _code(page: Path) -> list[str]:
    """Whatever looks like a command of ours, in a block or in the text."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    inline = re.findall(r"`((?:kubectl )?phoenix [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [*(line for line in blocks.splitlines() if "phoenix " in line), *inline]


def _words(line: str) -> list[str] | None:
    """Command and arguments; None where it is none of ours, or only names one."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["kubectl"]:
        words = words[1:]
    if words[0] != "phoenix" or words[1] == "…":
        return None
    assert words[1] in MODULES, line
    if len(words) == 2:
        return None
    return ["1" if word == "N" else word for word in words[1:]]

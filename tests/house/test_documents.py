"""Documents do not lie: their links lead somewhere, and what they tell to type can be typed."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
from phoenix_cli.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md")])
RUNBOOKS = ROOT / "docs" / "runbooks"
MODULES = {command.name: command.module for command in COMMANDS}

of_each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@of_each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:|mailto:", target)]
    missing = []
    for target in targets:
        file, _, anchor = target.partition("#")
        path = document.parent / file if file else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            missing.append(target)
    assert missing == []


def test_every_page_can_be_found_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page}" not in index} == set()


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@of_each_document
def test_every_target_of_make_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    code = "\n".join([*_blocks(document), *_inline(document)])
    assert set(re.findall(r"^\$? ?make ([a-z-]+)", code, re.MULTILINE)) <= targets


@of_each_document
def test_every_command_of_ours_can_be_typed(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in a block; of a runbook also what stands in the text: at night both are typed."""
    lines = _blocks(document) + (_inline(document) if document.parent == RUNBOOKS else [])
    for command, *arguments in filter(None, map(_ours, lines)):
        module = importlib.import_module(MODULES[command])
        if not hasattr(module, "add_arguments"):  # a program of its own: only its options are looked at
            assert _unknown(command, arguments, capsys) == []
            continue
        parser = argparse.ArgumentParser(exit_on_error=False)
        module.add_arguments(parser)
        try:
            parser.parse_args(["1" if word == "N" else word for word in arguments])
        except (SystemExit, argparse.ArgumentError):
            pytest.fail(f"phoenix {command} {shlex.join(arguments)}: {capsys.readouterr().err}")


@of_each_document
def test_every_option_of_ours_that_a_text_names_exists(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, *arguments in filter(None, map(_ours, _inline(document))):
        assert _unknown(command, arguments, capsys) == []


def _unknown(command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Options that the command's own help does not name."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = re.findall(r"(?<![\w-])--?\w[\w-]*", capsys.readouterr().out)
    return [word for word in arguments if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in told]


def _blocks(document: Path) -> list[str]:
    """Lines of blocks of the shell."""
    found = re.findall(
        r"^ *```(?:sh|console|bash)?\n(.*?)^ *```", document.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return "\n".join(found).splitlines()


def _inline(document: Path) -> list[str]:
    """What stands between back quotes in the text."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


def _ours(line: str) -> list[str]:
    """Command and arguments; nothing where it is none of ours, or only names one."""
    found = re.match(r"\s*(?:\$ )?(?:kubectl |\.venv/bin/)?phoenix ([a-z]+)(.*)$", line)
    if found is None:
        return []
    assert found[1] in MODULES, line
    words = shlex.split(found[2], comments=True)
    return [found[1], *words] if words and words != ["--help"] and "…" not in words else []

"""What holds for the repository as a whole: locks, secrets and machines kept out, what must be said somewhere."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from phoenix_simulator.faults import Fault

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("runtime", "build", "dev", "local")
PINNED = re.compile(r"^([a-z0-9.-]+)==([^ ;\\]+)", re.MULTILINE)


def _committed() -> list[Path]:
    """Files of the repository, as git knows them; everything but the environment where there is no git."""
    listed = subprocess.run(["/usr/bin/env", "git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not {".venv", "build", ".git"} & set(path.relative_to(ROOT).parts)
    ]


def _lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def _canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_everything_by_version_and_hash(name: str) -> None:
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", _lock(name)) if not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert PINNED.match(entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place_to_download_from(name: str) -> None:
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|https?:|file:/", _lock(name))


def test_the_locks_hold_what_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {"runtime": declared["project"]["dependencies"]}
    for name in ("build", "dev", "local"):
        lines = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
        wanted[name] = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert set(map(_canonical, declared["build-system"]["requires"])) <= set(map(_canonical, wanted["build"]))
    for name, requirements in wanted.items():
        locked = {found[0] for found in PINNED.findall(_lock(name))}
        assert {_canonical(requirement) for requirement in requirements} <= locked


def test_one_package_has_one_version_in_all_locks() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for package, version in PINNED.findall(_lock(name)):
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


# Spelled in pieces, so that this file does not hold what it looks for.
NOT_OURS = {
    "a package registry": r"py" r"pi\.org|python" r"hosted\.org|registry\.npm" r"js|proxy\.go" r"lang",
    "a path of one machine": r"(?<![\w.])/(work/(main|shared)|root/|home/[a-z])",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE" r" KEY-----\s+[A-Za-z0-9+/]{40}",
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_nothing_committed_names(what: str) -> None:
    found = []
    for path in _committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]!r}" for match in re.finditer(NOT_OURS[what], text)]
    assert found == []


def test_the_readme_begins_with_what_a_newcomer_types() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


def test_the_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{version}]" in changelog or "## [Unreleased]" in changelog


def test_every_target_that_a_person_types_is_in_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (\S+)", makefile, re.MULTILINE))
    helped = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == helped


def test_the_operators_folder_is_no_package_of_that_name() -> None:
    """`import operator` must stay the standard library's."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_dependency_says_why_it_is_one() -> None:
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").lower()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert [name for name in map(_canonical, declared) if f"| {name} |" not in decisions] == []


def test_the_page_of_the_exchange_lists_every_fault_with_its_fields() -> None:
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    for fault in get_args(Fault):
        assert f"| `{fault.__struct_config__.tag}` |" in page
        assert [name for name in fault.__struct_encode_fields__ if f"`{name}`" not in page] == [], fault

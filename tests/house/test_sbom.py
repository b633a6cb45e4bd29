"""What the image says of itself: every distribution with its version and its licence, or no image."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
OURS = ("phoenix-market-maker", "License-Expression: Apache-2.0")


def run(site_packages: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(REQUIREMENTS / "sbom.py"), str(site_packages)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def installed(directory: Path, *distributions: tuple[str, str]) -> Path:
    """A folder with these of version 1.2, by the lines of their metadata."""
    for name, lines in distributions:
        info = directory / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{lines}\n")
    return directory


@pytest.mark.parametrize(
    ("lines", "licenses"),
    [
        pytest.param(
            "License-Expression: MIT OR Apache-2.0", [{"expression": "MIT OR Apache-2.0"}], id="an expression"
        ),
        pytest.param(
            "License: ISC\nClassifier: License :: OSI Approved :: BSD License",
            [{"license": {"name": "ISC"}}],
            id="words, which are nearer than classifiers",
        ),
        pytest.param(
            f"License: {'Permission is hereby granted ' * 5}\nClassifier: License :: OSI Approved :: MIT License",
            [{"license": {"name": "MIT License"}}],
            id="a whole text in place of a name",
        ),
        pytest.param(
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: ISC License (ISCL)",
            [{"license": {"name": "ISC License (ISCL)"}}],
            id="a tool's word for nothing",
        ),
    ],
)
def test_a_licence_is_told_as_the_distribution_states_it(tmp_path: Path, lines: str, licenses: list[object]):
    done = run(installed(tmp_path, OURS, ("Some_Library", lines)))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (library,) = (each for each in told["components"] if each["type"] == "library")
    assert library["name"] == "some-library"
    assert library["purl"] == "pkg:pypi/some-library@1.2"
    assert library["licenses"] == licenses
    assert told["metadata"]["component"]["purl"] == "pkg:pypi/phoenix-market-maker@1.2"


def test_of_a_library_that_is_not_whole_it_is_told_what_is_missing(tmp_path: Path):
    place = installed(tmp_path, OURS, ("library", "License-Expression: MIT"), ("whole", "License-Expression: MIT"))
    (place / "library-1.2.dist-info/PRUNED").write_text("library/models/*.py\nlibrary/tests/*\n")
    told = {each["name"]: each for each in json.loads(run(place).stdout)["components"]}
    assert told["library"]["pedigree"] == {"notes": "without library/models/*.py, library/tests/*"}
    assert "pedigree" not in told["whole"]


def test_a_distribution_without_a_licence_is_refused_by_name(tmp_path: Path):
    done = run(installed(tmp_path, OURS, ("stranger", "Summary: who knows")))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sbom: stranger 1.2 states no licence: ")


def test_a_folder_without_us_is_refused(tmp_path: Path):
    done = run(installed(tmp_path, ("library", "License-Expression: MIT")))
    assert done.returncode == 1
    assert "phoenix-market-maker is not installed in" in done.stderr


def test_what_is_locked_is_what_is_listed_and_twice_the_same(tmp_path: Path):
    locked = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (REQUIREMENTS / "runtime.txt").read_text(encoding="utf-8")))
    assert len(locked) > 30
    for each in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):  # the tools of the house are not shipped
        name = re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower()
        if name in {*locked, OURS[0]}:
            (tmp_path / each.name).symlink_to(each)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    listed = {each["name"]: each["version"] for each in told["components"] if each["type"] == "library"}
    assert {"uvloop": locked["uvloop"], **listed} == locked  # which not every platform has
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert run(tmp_path).stdout == done.stdout

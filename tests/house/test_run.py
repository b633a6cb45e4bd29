"""`make test`'s runner: it counts what pytest says, and nothing is green that did not run."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, as a module whose repository is an empty folder."""
    spec = importlib.util.spec_from_file_location("run_of_the_suites", ROOT / "tests" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUILD", tmp_path / "build" / "tests")
    monkeypatch.setattr(module, "SUITES", (module.Suite("one", "the first", ("tests/one",)),))
    return module


def _tests(runner: ModuleType, text: str) -> None:
    folder = runner.ROOT / "tests" / "one"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text(text, encoding="utf-8")


GOOD = "def test_good(): pass\n"


@pytest.mark.parametrize(
    ("text", "status", "summary"),
    [
        pytest.param(GOOD, 0, "1 passed, 0 failed", id="green"),
        pytest.param(GOOD + "def test_bad(): assert 0\n", 1, "1 passed, 1 failed", id="red"),
        pytest.param("import nowhere\n", 1, "0 passed, 1 failed", id="does-not-import"),
        pytest.param("import os\ndef test_it(): os._exit(3)\n", 1, "0 passed, 1 failed", id="dies"),
        pytest.param("", 1, "0 passed, 0 failed", id="holds-no-test"),
        pytest.param(None, 1, "0 passed, 1 failed", id="is-not-there"),
    ],
)
def test_the_last_line_sums_up_and_the_status_agrees(
    runner: ModuleType, capfd: pytest.CaptureFixture[str], text: str | None, status: int, summary: str
) -> None:
    if text is not None:
        _tests(runner, text)
    assert runner.main([]) == status
    assert capfd.readouterr().out.splitlines()[-1] == summary
    assert (runner.BUILD / "summary").read_text(encoding="utf-8") == summary + "\n"


def test_what_is_skipped_is_named_with_its_reason(runner: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    skip = "@pytest.mark.skip(reason='no capture here')\n"
    _tests(runner, f"{GOOD}import pytest\n{skip}def test_replay(): pass\n{skip}def test_another(): pass\n")
    assert runner.main([]) == 0
    said = capfd.readouterr().out
    assert "skipped in one: no capture here: tests.one.test_it.test_replay and 1 more" in said


def test_what_runs_by_name_only_is_said_to_be_left_out_and_runs_by_name(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _tests(runner, GOOD)
    (suite,) = runner.SUITES
    slow = runner.Suite("slow", "the second", ("tests/one",), by_name_only=True)
    monkeypatch.setattr(runner, "SUITES", (suite, slow))
    assert runner.main([]) == 0
    said = capfd.readouterr().out
    assert "left out: slow, the second (make test SUITES=slow)" in said
    assert said.splitlines()[-1] == "1 passed, 0 failed"
    assert runner.main(["slow"]) == 0
    assert "left out" not in capfd.readouterr().out


def test_an_unknown_suite_is_wrong_usage(runner: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["two"]) == 2
    assert "there are: one" in capfd.readouterr().err


def test_every_folder_of_tests_belongs_to_exactly_one_suite() -> None:
    source = (ROOT / "tests" / "run.py").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    suites = sorted(set(re.findall(r'"(tests/[a-z_/]+)"', source)))
    for file in files:
        if not file.startswith("tests/cluster/"):  # needs a cluster of its own: make test-cluster
            *outer, inner = [suite for suite in suites if file.startswith(f"{suite}/")]  # sorted: the innermost is last
            assert all(f'"--ignore={inner}"' in source for _ in outer), file


ONCE = """
from pathlib import Path
def test_slow():
    seen = Path(__file__).with_name("seen-{name}")
    was = seen.exists()
    seen.touch()
    assert was
"""


def test_what_fails_beside_others_and_passes_alone_is_green_and_named(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _tests(runner, GOOD + ONCE)
    monkeypatch.setattr(runner, "SUITES", (runner.Suite("one", "the first", ("tests/one",), real_time=True),))
    assert runner.main([]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[-1] == "2 passed, 0 failed"
    assert "passed only alone, in one: tests.one.test_it.test_slow" in said


@pytest.mark.parametrize(
    ("text", "real_time", "failed"),
    [
        pytest.param(GOOD + ONCE, False, 1, id="rules-are-not-asked-twice"),
        pytest.param(GOOD + "def test_bad(): assert 0\n", True, 1, id="fails-alone-too"),
        pytest.param(
            GOOD + ONCE.replace("assert was", "assert was, 'the audit found two writers'"),
            True,
            1,
            id="what-the-audit-found",
        ),
        pytest.param(
            GOOD + "".join(ONCE.format(name=n).replace("test_slow", f"test_{n}") for n in range(4)),
            True,
            4,
            id="too-many-for-an-accident",
        ),
    ],
)
def test_a_failure_stays_one(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text, real_time, failed
) -> None:
    _tests(runner, text)
    monkeypatch.setattr(runner, "SUITES", (runner.Suite("one", "the first", ("tests/one",), real_time=real_time),))
    assert runner.main([]) == 1
    said = capfd.readouterr().out.splitlines()
    assert said[-1] == f"1 passed, {failed} failed"
    assert not any(line.startswith("passed only alone") for line in said)

"""`make test`: every suite as a process of its own, the time that it took, and what it skipped and why.

A suite is a part of the tests by what they need: nothing, sockets on this machine, a whole run. The last line sums up:
`N passed, N failed`, which `build/tests/summary` holds too.

A test that lives on processes and real time can fail because the machine held one of them for a second. So what fails
in such a suite is run once more, alone; if it passes then, it counts as passed, and is named below the table: somebody
has to look at it. Rules, properties, the exchange's audit and the verdict of a storm are never asked twice.
"""

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "tests"


@dataclass(frozen=True, slots=True)
class Suite:
    """`arguments` go to pytest; `paths` that are not there yet are left out."""

    name: str
    what: str
    paths: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    real_time: bool = False
    """Lives on processes and clocks: what fails, if it is little, is run once more with nothing beside it."""
    by_name_only: bool = False
    """Left out unless it is asked for, and then said so: minutes of waiting for what a minute shows elsewhere."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of one suite; `status` is pytest's, `crashed` where it left no report."""

    passed: int
    failed: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    cpu_seconds: float
    """Of all its processes: beside `seconds` it says whether more of them side by side would be quicker."""
    green: bool
    alone: tuple[str, ...] = ()
    """Tests that failed beside others and passed alone."""


# The core's coverage is part of its contract: a branch of it that no test has seen may be an order that nobody meant.
CORE_COVERAGE = ("--cov=phoenix_worker.core", "--cov-branch", "--cov-report=term:skip-covered", "--cov-fail-under=95")

# Sockets and processes are waited for half of the time: two side by side keep two cores at work.
TWO = ("-n", "2")

# … and those that wait for whole processes of ours for more of it.
THREE = ("-n", "3")

# A scenario mostly waits (for silence to be noticed, for a back-off to pass), so several run side by side on two cores.
WAITING = ("-n", "5", "--dist", "loadscope")

# Cells of a storm hold two cores by themselves.
STORM = ("-n", "3", "--dist", "loadscope")

# More failures than these are no accident of the machine.
MOST_AGAIN = 3

SUITES = (
    Suite("core", "the engine: rules, tables, properties", ("tests/worker/core",), (*CORE_COVERAGE, *TWO)),
    Suite(
        "house",
        "models, commands, the house itself, alerts",
        ("tests/crds", "tests/cli", "tests/house", "tests/alerts"),
        TWO,
        real_time=True,
    ),
    Suite("shared", "what workers and operator share", ("tests/coordination", "tests/operator"), TWO, real_time=True),
    Suite(
        "apiserver",
        "resources, operator and policies on a real kube-apiserver",
        ("tests/api_server",),
        (*TWO, "--ignore=tests/api_server/operator/outages"),
        real_time=True,
    ),
    Suite("chart", "what Helm installs, judged by a real kube-apiserver", ("tests/chart",), real_time=True),
    Suite(
        "outages",
        "the operator killed, paused, without server, Redis or rights",
        ("tests/api_server/operator/outages",),
        TWO,
        real_time=True,
        by_name_only=True,
    ),
    Suite(
        "worker",
        "venue client and runtime, over real sockets",
        ("tests/worker/venue", "tests/worker/runtime"),
        THREE,
        real_time=True,
    ),
    Suite("simulator", "the exchange: matching, wire, markets", ("tests/simulator",), TWO, real_time=True),
    Suite("conformance", "the exchange against the venue's documentation", ("tests/conformance",), real_time=True),
    Suite("scenarios", "whole runs: every fault, over real sockets", ("tests/scenarios",), WAITING, real_time=True),
    Suite("soak", "days in one process: its clock and network, its judgement, minutes of it", ("tests/soak",)),
    Suite("faults", "many workers in a storm, judged by their history; the judge itself", ("tests/faults",), STORM),
)


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - {suite.name for suite in SUITES})
    if unknown:
        print(f"no suite {', '.join(unknown)}; there are: {', '.join(suite.name for suite in SUITES)}", file=sys.stderr)
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "summary").unlink(missing_ok=True)
    chosen = [suite for suite in SUITES if suite.name in names or not (names or suite.by_name_only)]
    outcomes = [(suite, run(suite)) for suite in chosen]
    _tell(outcomes)
    summary = f"{sum(o.passed for _, o in outcomes)} passed, {sum(o.failed for _, o in outcomes)} failed"
    (BUILD / "summary").write_text(summary + "\n", encoding="utf-8")
    print(summary, flush=True)
    return 0 if all(outcome.green for _, outcome in outcomes) else 1


def _tell(outcomes: list[tuple[Suite, Outcome]]) -> None:
    """The table, and below it what was left out, skipped, or is green or red in a way that the numbers do not say."""
    chosen = [suite for suite, _ in outcomes]
    print(f"\n{'suite':<11} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8} {'CPU':>6}")
    for suite, outcome in outcomes:
        counts = f"{outcome.passed:>7} {outcome.failed:>7} {len(outcome.skipped):>8}"
        print(f"{suite.name:<11} {counts} {outcome.seconds:>8.0f} {outcome.cpu_seconds:>6.0f}  {suite.what}")
    for suite in SUITES:
        if suite.by_name_only and suite not in chosen:
            print(f"left out: {suite.name}, {suite.what} (make test SUITES={suite.name})")
    for suite, outcome in outcomes:
        for reason, tests in _by_reason(outcome.skipped).items():
            print(f"skipped in {suite.name}: {reason}: {tests[0]}{f' and {len(tests) - 1} more' if tests[1:] else ''}")
    for suite, outcome in outcomes:
        for test in outcome.alone:
            print(f"passed only alone, in {suite.name}: {test}")
    for suite, outcome in outcomes:
        if not outcome.green and not outcome.failed:
            print(f"{suite.name}: no test failed and yet it is not green (coverage, or no test at all): see above")


def _by_reason(skipped: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for test, reason in skipped:
        reasons.setdefault(reason, []).append(test)
    return reasons


def run(suite: Suite) -> Outcome:
    """Runs a suite and counts. A suite without a single test is not green: it would hide that its tests are gone."""
    print(f"\n── {suite.name}: {suite.what}", flush=True)
    began, cpu_began = time.monotonic(), _cpu_seconds()
    status, cases = _pytest(suite, suite.name)
    if cases is None:
        return Outcome(0, 1, (), time.monotonic() - began, _cpu_seconds() - cpu_began, green=False)
    skipped = tuple(
        (_name(case), str(found.get("message"))) for case in cases if (found := case.find("skipped")) is not None
    )
    failures = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    failed = [_name(case) for case in failures]
    alone: list[str] = []
    if suite.real_time and status == pytest.ExitCode.TESTS_FAILED and _may_be_an_accident(failures):
        print(f"\n── {suite.name}: what failed, once more, alone", flush=True)
        status, cases_alone = _pytest(suite, f"{suite.name}-alone", "--last-failed", "-n0")
        if status == 0 and sorted(map(_name, cases_alone or ())) == sorted(failed):
            alone, failed = failed, []
    passed = len(cases) - len(failed) - len(skipped)
    took, cpu = time.monotonic() - began, _cpu_seconds() - cpu_began
    return Outcome(passed, len(failed), skipped, took, cpu, green=status == 0, alone=tuple(alone))


def _cpu_seconds() -> float:
    """Of every process that has ended so far and was waited for: those of the suites."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _may_be_an_accident(failures: list[ET.Element]) -> bool:
    """Few, and none that got as far as what the exchange's audit found: a violation counts however rarely it comes."""
    return len(failures) <= MOST_AGAIN and not any("audit" in text for case in failures for text in case.itertext())


def _pytest(suite: Suite, name: str, *words: str) -> tuple[int, list[ET.Element] | None]:
    """Its exit status, and each test that it ran; None where it did not come to write a report."""
    report = BUILD / f"{name}.xml"
    report.unlink(missing_ok=True)
    paths = [path for path in suite.paths if (ROOT / path).is_dir()]
    if not paths:
        return pytest.ExitCode.NO_TESTS_COLLECTED, None
    # What failed is remembered a suite, beside the reports: two of them are never each other's.
    cache = f"cache_dir={BUILD / suite.name}.cache"
    command = [sys.executable, "-m", "pytest", "-q", "-o", cache, f"--junitxml={report}", *suite.arguments, *words]
    # Hundreds of processes of ours would each compile all of ours again: a fifth of what a worker's start costs.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    status = subprocess.run([*command, *paths], cwd=ROOT, env=environment, check=False).returncode
    return status, list(ET.parse(report).iter("testcase")) if report.exists() else None  # noqa: S314 - pytest's own


def _name(case: ET.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make test`: every suite as a process of its own, the time that it took, and what it skipped and why.

A suite is a part of the tests by what they need: nothing, sockets on this machine, a whole run. The last line sums up:
`N passed, N failed`, which `build/tests/summary` holds too.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "tests"


@dataclass(frozen=True, slots=True)
class Suite:
    """`arguments` go to pytest; `paths` that are not there yet are left out."""

    name: str
    what: str
    paths: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    by_name_only: bool = False
    """Left out unless it is asked for, and then said so: minutes of waiting for what a minute shows elsewhere."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of one suite; `status` is pytest's, `crashed` where it left no report."""

    passed: int
    failed: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    green: bool


# The core's coverage is part of its contract: a branch of it that no test has seen may be an order that nobody meant.
CORE_COVERAGE = ("--cov=phoenix_worker.core", "--cov-branch", "--cov-report=term:skip-covered", "--cov-fail-under=95")

# Sockets and processes are waited for half of the time: two side by side keep two cores at work.
TWO = ("-n", "2")

# … and those that wait for whole processes of ours for more of it.
THREE = ("-n", "3")

# A scenario mostly waits (for silence to be noticed, for a back-off to pass), so several run side by side on two cores.
WAITING = ("-n", "4", "--dist", "loadscope")

# Cells of a storm hold two cores by themselves.
STORM = ("-n", "3", "--dist", "loadscope")

SUITES = (
    Suite("core", "the engine: rules, tables, properties", ("tests/worker/core",), (*CORE_COVERAGE, *TWO)),
    Suite("house", "models, commands, the house itself", ("tests/crds", "tests/cli", "tests/house"), TWO),
    Suite("shared", "what workers and operator share", ("tests/coordination", "tests/operator"), TWO),
    Suite(
        "apiserver",
        "resources, operator and policies on a real kube-apiserver",
        ("tests/api_server",),
        (*TWO, "--ignore=tests/api_server/operator/outages"),
    ),
    Suite(
        "outages",
        "the operator killed, paused, without server, Redis or rights",
        ("tests/api_server/operator/outages",),
        TWO,
        by_name_only=True,
    ),
    Suite(
        "worker", "venue client and runtime, over real sockets", ("tests/worker/venue", "tests/worker/runtime"), THREE
    ),
    Suite("simulator", "the exchange: matching, wire, markets", ("tests/simulator",), TWO),
    Suite("conformance", "the exchange against the venue's documentation", ("tests/conformance",)),
    Suite("scenarios", "whole runs: every fault, over real sockets", ("tests/scenarios",), WAITING),
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
    print(f"\n{'suite':<11} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for suite, outcome in outcomes:
        row = (outcome.passed, outcome.failed, len(outcome.skipped), round(outcome.seconds))
        print(f"{suite.name:<11} {row[0]:>7} {row[1]:>7} {row[2]:>8} {row[3]:>8}  {suite.what}")
    for suite in SUITES:
        if suite.by_name_only and suite not in chosen:
            print(f"left out: {suite.name}, {suite.what} (make test SUITES={suite.name})")
    for suite, outcome in outcomes:
        for reason, tests in _by_reason(outcome.skipped).items():
            print(f"skipped in {suite.name}: {reason}: {tests[0]}{f' and {len(tests) - 1} more' if tests[1:] else ''}")
    for suite, outcome in outcomes:
        if not outcome.green and not outcome.failed:
            print(f"{suite.name}: no test failed and yet it is not green (coverage, or no test at all): see above")
    summary = f"{sum(o.passed for _, o in outcomes)} passed, {sum(o.failed for _, o in outcomes)} failed"
    (BUILD / "summary").write_text(summary + "\n", encoding="utf-8")
    print(summary, flush=True)
    return 0 if all(outcome.green for _, outcome in outcomes) else 1


def _by_reason(skipped: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for test, reason in skipped:
        reasons.setdefault(reason, []).append(test)
    return reasons


def run(suite: Suite) -> Outcome:
    """Runs a suite and counts. A suite without a single test is not green: it would hide that its tests are gone."""
    print(f"\n── {suite.name}: {suite.what}", flush=True)
    report = BUILD / f"{suite.name}.xml"
    report.unlink(missing_ok=True)
    paths = [path for path in suite.paths if (ROOT / path).is_dir()]
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *suite.arguments, *paths]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode if paths else 5
    seconds = time.monotonic() - began
    if not report.exists():
        return Outcome(0, 1, (), seconds, green=False)
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it a moment ago
    skipped = tuple(
        (f"{case.get('classname')}.{case.get('name')}", str(found.get("message")))
        for case in cases
        if (found := case.find("skipped")) is not None
    )
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return Outcome(len(cases) - failed - len(skipped), failed, skipped, seconds, green=status == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

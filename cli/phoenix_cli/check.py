"""Say what is wrong with manifests, scenarios and captures before anything runs: file, line, field, what to do.

Nothing is contacted: what the API server and the programs would refuse is refused here, for all files at once and for
what they say together. Warnings are said and let pass.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import get_args

from phoenix_crds.account import Environment
from phoenix_crds.consistency import check_together
from phoenix_crds.documents import Document
from phoenix_crds.manifests import MANIFEST_SUFFIXES, STDIN, STDIN_NAME, Loaded, load_manifests
from phoenix_crds.problems import Problem, Severity

_CAPTURE_SUFFIX = ".gz"
_ROOM_TO_SHRINK = Decimal("1.5")  # times the least notional: below, decay and layerDecay have nothing to act on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "-f",
        "--filename",
        dest="paths",
        metavar="PATH",
        action="extend",
        nargs="+",
        help="manifests and scenarios (.yaml, .yml, .json), captures (.gz), directories of them, - for standard input",
    )
    what.add_argument("--schema", action="store_true", help="print the JSON schema of scenarios, for an editor")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    if args.schema:
        from phoenix_simulator.scenario_schema import scenario_schema  # noqa: PLC0415 - as below

        print(json.dumps(scenario_schema(), indent=2))
        return 0
    report = check(args.paths)
    if args.output == "json":
        print(json.dumps(report.as_json(), indent=2))
    else:
        for problem in report.problems:
            print(problem, file=sys.stderr)
        print(report.summary())
    return 1 if report.errors else 0


@dataclass(slots=True)
class Report:
    """Everything that was read and everything found, problems in the order of the files."""

    makers: int = 0
    accounts: int = 0
    scenarios: int = 0
    captures: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return sum(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors

    def summary(self) -> str:
        counts = ("makers", "accounts", "scenarios", "captures", "errors", "warnings")
        words = [_counted(getattr(self, name), name) for name in counts]
        return f"{', '.join(words[:4])} in order; {words[4]}, {words[5]}"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "errors": self.errors, "warnings": self.warnings}


def _counted(number: int, plural: str) -> str:
    return f"{number} {plural.removesuffix('s') if number == 1 else plural}"


def check(paths: Sequence[str]) -> Report:
    """Reads and judges all of `paths`; never raises for what is in them."""
    captures = list(_captures(paths))
    loaded = load_manifests(path for path in paths if not _holds_captures_only(Path(path), captures))
    report = Report(makers=len(loaded.makers), accounts=len(loaded.accounts))
    report.problems += loaded.problems
    report.problems += check_together(loaded)
    report.problems += _check_others(loaded, report)
    report.problems += _check_sizes(loaded)
    report.problems += _check_limits(loaded)
    for capture in captures:
        report.problems += _check_capture(capture, report)
    files = {problem.file: index for index, problem in reversed(list(enumerate(report.problems)))}
    report.problems.sort(key=lambda problem: (files[problem.file], problem.line))
    return report


def _captures(paths: Sequence[str]) -> Iterator[Path]:
    """Named captures, and those below a named directory. A named file of an unknown suffix is taken for one too."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(found for found in path.rglob(f"*{_CAPTURE_SUFFIX}") if found.is_file())
        elif str(path) != STDIN and path.suffix not in MANIFEST_SUFFIXES:
            yield path


def _holds_captures_only(path: Path, captures: Sequence[Path]) -> bool:
    if path in captures:
        return True
    return any(path in capture.parents for capture in captures) and not any(
        found.suffix in MANIFEST_SUFFIXES for found in path.rglob("*")
    )


def _check_others(loaded: Loaded, report: Report) -> Iterator[Problem]:
    """Documents of our group that no API server serves: scenarios, judged by the exchange that will run them."""
    if not loaded.others:
        return
    # The simulator is imported where it is needed: manifests alone are checked without it.
    from phoenix_simulator.scenario import KIND  # noqa: PLC0415 - see above

    judged: set[str] = set()
    for document in loaded.others:
        kind = document.value.get("kind") if isinstance(document.value, dict) else None
        if kind != KIND:
            kinds = f"MarketMaker, TradingAccount, {KIND}"
            yield Problem(
                document.file, document.line(("kind",)), "kind", f"{kind} is no kind of ours", f"ours: {kinds}"
            )
            continue
        # The exchange takes a file whole: one that it would refuse is wrong once, however many documents are in it.
        if document.file not in judged:
            problem = _scenario_problem(document)
            if problem is None:
                report.scenarios += 1
            else:
                yield problem
        judged.add(document.file)


def _scenario_problem(document: Document) -> Problem | None:
    """As the exchange will read it: the file itself, which is there but for standard input."""
    from phoenix_simulator.scenario import ScenarioError, load_scenario, parse_scenario, path_of  # noqa: PLC0415 - as above

    try:
        if document.file == STDIN_NAME:
            parse_scenario(document.value, document.file)
        else:
            load_scenario(Path(document.file))
    except ScenarioError as error:
        line = document.line(path_of(error.field)) if error.line is None else error.line
        return Problem(document.file, line, error.field, error.reason, _scenario_hint(error.field))
    return None


def _scenario_hint(field_name: str) -> str:
    from phoenix_simulator.exchange.book import QueueModel  # noqa: PLC0415 - as above
    from phoenix_simulator.expectations import Expectation  # noqa: PLC0415 - as above
    from phoenix_simulator.faults import Fault  # noqa: PLC0415 - as above
    from phoenix_simulator.market.agents import Agent  # noqa: PLC0415 - as above
    from phoenix_simulator.market.regimes import RegimeName  # noqa: PLC0415 - as above

    match field_name.rpartition(".")[2]:
        case "kind":
            where = field_name.removeprefix("spec.")
            kinds = get_args(
                Expectation if where.startswith("expect") else Agent if where.startswith("markets") else Fault
            )
            return f"there are: {', '.join(str(kind.__struct_config__.tag) for kind in kinds)}"
        case "regime":
            return f"there are: {', '.join(RegimeName)}"
        case "queueModel":
            return f"there are: {', '.join(model.value for model in QueueModel)}"
        case _:
            return "docs/exchange.md lists the fields of a scenario"


def _check_sizes(loaded: Loaded) -> Iterator[Problem]:
    """On the simulated exchange price and filters are known, and so whether a size leaves room to shrink."""
    from phoenix_simulator.exchange.symbols import BUILT_IN  # noqa: PLC0415 - as above
    from phoenix_simulator.market.regimes import scale_of  # noqa: PLC0415 - as above

    simulated = {
        manifest.key[1:] for manifest, account in loaded.accounts if account.spec.environment is Environment.SIMULATOR
    }
    for manifest, maker in loaded.makers:
        if (manifest.key[1], maker.spec.account_ref) not in simulated:
            continue
        listed = BUILT_IN.get(maker.spec.symbol)
        if listed is None:
            hint = f"it lists {', '.join(BUILT_IN)}"
            yield manifest.problem("spec.symbol", f"{maker.spec.symbol} is not on the simulated exchange", hint)
            continue
        price = Decimal(scale_of(listed).price)
        least = Decimal(listed.min_notional_e8).scaleb(-8)
        if maker.spec.base_size * price < _ROOM_TO_SHRINK * least:
            enough = listed.step_size * math.ceil(_ROOM_TO_SHRINK * least / price / listed.step_size)
            yield manifest.problem(
                "spec.baseSize",
                f"at a price around {price:f} this is close to the least notional of {least.normalize():f}:"
                " outer layers and decayed sizes merge or are dropped",
                f"{enough.normalize():f} or more leaves room",
                Severity.WARNING,
            )


def _check_limits(loaded: Loaded) -> Iterator[Problem]:
    """Says where a loss limit is a share of nothing: Live needs a capital, a rehearsal goes on without."""
    for manifest, maker in loaded.makers:
        risk = maker.spec.risk
        limits = {"dailyLossMax": risk.daily_loss_max, "stopLoss": risk.stop_loss}
        shares = [f"{name} of {limit}" for name, limit in limits.items() if limit.of(risk.capital) is None]
        if shares:
            yield manifest.problem(
                "spec.risk.capital",
                f"not set: {' and '.join(shares)} would be a share of it, and halt nothing in this rehearsal",
                "write the capital that Live will have, or the limits in the quote asset",
                Severity.WARNING,
            )


def _check_capture(path: Path, report: Report) -> Iterator[Problem]:
    from phoenix_simulator.market.capture import CaptureError  # noqa: PLC0415 - as above
    from phoenix_simulator.market.replay import validate as validate_capture  # noqa: PLC0415 - as above

    try:
        validate_capture([path])
    except CaptureError as error:
        yield Problem(str(error.path), error.line, "", error.reason, "it cannot be replayed: cut it, or record anew")
    except OSError as error:
        yield Problem(str(path), 0, "", f"cannot be read: {error.strerror or type(error).__name__}", "check the path")
    else:
        report.captures += 1

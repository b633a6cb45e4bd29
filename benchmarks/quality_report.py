"""The trading quality report: Phoenix, Phoenix without its parts, a grid and the closed forms, in the same markets.

    python benchmarks/quality_report.py [--seeds 200] [--first-seed 1] [--cell-seeds 20] [--seconds 3600] [--jobs 2]
        [--minutes 60] [--maker configs/makers/ethusdc.yaml] [--also "NAME: field=value …"] [--output build/quality]
        [--publish]

Writes `report.json` (every run and the summary), `quality.md` and its plots into the output folder; `--publish` writes
page and plots into docs/, too. `--also` adds Phoenix under other parameters of the core, for example
`--also "skew 10: inventory_skew_bps=10"`.

Runs are kept in the output folder as they end: the same command again goes on where this one stopped, and with
`--minutes 0` it reports what there is.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from phoenix_cli.rehearsal.run import instrument_of
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.capture import CaptureError
from phoenix_simulator.market.replay import validate
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.resolve import resolve
from phoenix_worker.runtime.resolved import InvalidConfigurationError, parameters
from quality.calibration import calibrate
from quality.journal import Journal
from quality.page import PLOTS, Facts, page, plots
from quality.study import CELLS, RECORDED_CELLS, RECORDING, Done, Result, Study, Unit, run_all, units
from quality.summary import Summary, summarise

ROOT = Path(__file__).resolve().parent.parent
CAPTURE = Path(os.environ.get("PHOENIX_CAPTURE") or ROOT.parent / "shared/data/binance-usdm/btcusdt_20240808.gz")
CAPTURE_MAKER = ROOT / "configs/makers/btcusdt.yaml"
ACCOUNT = ROOT / "configs/accounts/simulator.yaml"
FULL_SEEDS, FULL_CELL_SEEDS, FULL_SECONDS = 200, 20, 3600


class Report(msgspec.Struct, frozen=True):
    """`report.json`."""

    facts: Facts
    summary: Summary
    runs: list[Result]


class RefusedError(Exception):
    """What was asked for cannot be run: where, what, and what to do."""


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    try:
        found = _parameters(options.maker)
        variants = dict(_variant(text, found[1]) for text in options.also)
    except (InvalidConfigurationError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 1
    symbol, chosen = found
    began = time.monotonic()
    study = Study(symbol, chosen, calibrate(BUILT_IN[symbol]), options.seconds, variants)
    asked = units(options.seeds, options.cell_seeds, options.first_seed)
    done = _run(study, asked, options.jobs, options.output, options.minutes)
    if not done:
        print("nothing was run to its end: there is nothing to report", file=sys.stderr)
        return 1
    seeds = {each.unit.seed for each in done}
    cell_seeds = {each.unit.seed for each in done if len(each.unit.cells) >= len(CELLS)}
    is_full = len(seeds) >= FULL_SEEDS and len(cell_seeds) >= FULL_CELL_SEEDS and options.seconds >= FULL_SECONDS
    recorded, recording = _record(options.jobs, options.output)
    results = [result for each in (*done, *recorded) for result in each.results]
    facts = Facts(
        command=_command(options, len(seeds), len(cell_seeds)),
        full="" if is_full else f"{FULL_SEEDS} seeds of an hour, {FULL_CELL_SEEDS} in every cell",
        symbol=symbol,
        maker=_name(options.maker),
        seeds=len(seeds),
        cell_seeds=len(cell_seeds),
        seconds=options.seconds,
        runs=len(results),
        core_seconds=sum(each.core_seconds for each in (*done, *recorded)),
        recording=recording,
        variants={text.partition(":")[0].strip(): text.partition(":")[2].strip() for text in options.also},
    )
    summary = summarise(results)
    text = page(summary, facts, chosen, study.calibration)
    _write(options.output, Report(facts, summary, results), text)
    if options.publish:
        _publish(ROOT / "docs", summary, text)
    print(f"{len(results)} runs in {(time.monotonic() - began) / 60:.1f} min: {options.output / 'quality.md'}")
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=_positive, default=FULL_SEEDS, help="hours at pessimistic, 20 ms (%(default)s)")
    parser.add_argument(
        "--cell-seeds", type=int, help="of these, how many go through every queue and latency (20, or a tenth)"
    )
    parser.add_argument("--seconds", type=_positive, default=FULL_SECONDS, help="of each (%(default)s)")
    parser.add_argument(
        "--first-seed", type=_positive, default=1, help="what defaults are chosen on is not reported on"
    )
    parser.add_argument("--jobs", type=_positive, default=min(2, os.cpu_count() or 1), help="processes (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no more after these; 0: report what there is (no limit)"
    )
    parser.add_argument("--maker", type=Path, default=ROOT / "configs/makers/ethusdc.yaml", help="a MarketMaker")
    parser.add_argument("--also", action="append", default=[], metavar="'NAME: field=value …'", help="one more Phoenix")
    parser.add_argument("--output", type=Path, default=ROOT / "build/quality", help="default %(default)s")
    parser.add_argument("--publish", action="store_true", help="write the page and its plots into docs/, too")
    options = parser.parse_args(argv)
    if options.cell_seeds is None:
        options.cell_seeds = min(FULL_CELL_SEEDS, max(1, options.seeds // 10))
    if not 0 <= options.cell_seeds <= options.seeds:
        parser.error(f"--cell-seeds: {options.cell_seeds} is not between 0 and --seeds ({options.seeds})")
    return options


def _command(options: argparse.Namespace, seeds: int, cell_seeds: int) -> str:
    """What gives these figures again, wherever they are written to."""
    arguments = [f"--seeds {seeds}", f"--cell-seeds {cell_seeds}", f"--seconds {options.seconds}"]
    arguments += [f"--first-seed {options.first_seed}"] if options.first_seed > 1 else []
    arguments += [f"--maker {_name(options.maker)}", *(f'--also "{text}"' for text in options.also)]
    return f"make quality ARGS='{' '.join(arguments)}'"


def _name(maker: Path) -> str:
    """By its place in the repository, where it has one."""
    path = maker.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _parameters(maker: Path) -> tuple[str, Parameters]:
    """Symbol and parameters, as a worker would resolve them."""
    resolved = resolve(maker, ACCOUNT)
    spec = BUILT_IN.get(resolved.symbol)
    if spec is None:
        raise RefusedError(f"{maker}: spec.symbol: {resolved.symbol} has no market here: one of {', '.join(BUILT_IN)}")
    return resolved.symbol, parameters(resolved.quoting, instrument_of(spec))


def _variant(text: str, base: Parameters) -> tuple[str, Parameters]:
    """`NAME: field=value …`; a field of a part is written `vpin.max_widen`."""
    name, _, changes = text.partition(":")
    changed = base
    if not name.strip() or not changes.strip():
        raise RefusedError(f"--also {text!r}: write 'NAME: field=value …'")
    for change in changes.split():
        field, _, value = change.partition("=")
        try:
            changed = _changed(changed, field.split("."), value)
        except (AttributeError, msgspec.ValidationError, msgspec.DecodeError) as error:
            told = f"--also {text!r}: {change}: {error}; the fields are those of the core's parameters"
            raise RefusedError(told) from None
    return name.strip(), changed


def _changed(whole: Parameters, path: list[str], value: str) -> Parameters:
    plain = msgspec.to_builtins(whole)
    inner = plain
    for part in path[:-1]:
        inner = inner.get(part) or {}
    if path[-1] not in inner:
        raise AttributeError(f"there is no field {'.'.join(path)}")
    inner[path[-1]] = msgspec.json.decode(value)
    return msgspec.convert(plain, Parameters)


def _run(study: Study, work: list[Unit], jobs: int, folder: Path, minutes: float = math.inf) -> list[Done]:
    """All of it that is not kept yet, or as much as is begun in so many minutes or until somebody interrupts it; with
    what is kept, in the order of the work.
    """
    journal = Journal(folder, study)
    kept = {done.unit for done in journal.read(work)}
    missing = [unit for unit in work if unit not in kept]
    began = time.monotonic()
    if minutes > 0:
        running = run_all(study, missing, jobs)
        try:
            for count, done in enumerate(running, start=len(kept) + 1):
                journal.write(done)
                spent = (time.monotonic() - began) / 60
                print(f"{count}/{len(work)} of all markets, {spent:.1f} min", flush=True)
                if spent > minutes:
                    break
        except KeyboardInterrupt:
            print("interrupted: the report is of what is done", file=sys.stderr)
        running.close()
    return journal.read(work)


def _record(jobs: int, folder: Path) -> tuple[list[Done], str]:
    """The runs through the recording; says what it was, or why there were none."""
    if not CAPTURE.exists():
        return [], (
            "Skipped: there is no recording on this machine (`PHOENIX_CAPTURE`, or `../shared/data/…` beside the "
            "repository)."
        )
    try:
        recorded = validate([CAPTURE])
    except CaptureError as error:
        return [], f"Skipped: {error}."
    symbol, chosen = _parameters(CAPTURE_MAKER)
    study = Study(symbol, chosen, calibrate(BUILT_IN[symbol]), recorded.duration_s)
    work = [Unit(RECORDING, 0, (cell,), str(CAPTURE)) for cell in RECORDED_CELLS]
    return _run(study, work, jobs, folder), (
        f"{recorded.duration_s:.0f} s of {symbol} ({CAPTURE.name}), all of its messages, with "
        f"`{CAPTURE_MAKER.relative_to(ROOT)}` (a maker pays 2 bps here). One sample of a few minutes: no interval, and "
        "no verdict."
    )


def _write(folder: Path, report: Report, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    _publish(folder, report.summary, text)


def _publish(folder: Path, summary: Summary, text: str) -> None:
    (folder / "quality.md").write_text(text, encoding="utf-8")
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for name, drawn in plots(summary).items():
        (folder / PLOTS / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

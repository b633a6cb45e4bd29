"""`make soak`: days of four makers with faults, in minutes, in one process.

    python tests/soak/soak.py --hours 72 --seed 7
    python tests/soak/soak.py --scenario flat --hours 6

Exchange, workers and Redis are the real ones; time passes when nothing is left to do (`virtual_loop`). The last line is
`hours=N faults=N violations=N agreement=true rss=+N.NNMiB/h seed=N`, `build/soak/report.json` has the rest; status 1
where anything was violated, where a maker and the exchange disagree, or where a program failed. Ctrl-C ends it
sooner; it is judged all the same.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    *(str(ROOT / part) for part in ("crds", "coordination", "worker", "operator", "cli", "simulator")),
    str(Path(__file__).parent),
]

from datetime import UTC, datetime  # noqa: E402

from virtual_time import VirtualTime, machines_monotonic_ns  # noqa: E402

_BEGINS = datetime(2026, 3, 2, 23, 58, 30, tzinfo=UTC)
"""Shortly before midnight: a day begins, and funding is due, in the shortest of runs."""
TIME = VirtualTime(int(_BEGINS.timestamp()) * 1_000_000_000)
TIME.install()  # before anything of ours, which binds the readers of `time`

import argparse  # noqa: E402
import asyncio  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import resource  # noqa: E402
import secrets  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import tempfile  # noqa: E402

import msgspec  # noqa: E402
from flat_market import StuckMaker  # noqa: E402
from phoenix_coordination.redis.server import MISSING, find_server  # noqa: E402
from phoenix_simulator.server import spare_the_collector  # noqa: E402
from soak_report import Hour, Report, failures_in, hours_of, slope  # noqa: E402
from soak_world import World, opened, seconds_of  # noqa: E402
from virtual_loop import VirtualLoop  # noqa: E402

BUILD = ROOT / "build" / "soak"
SCENARIOS = {"faults": World, "flat": StuckMaker}
_LOG = "workers.log"
_LOOK_S = 0.1
_RECOVERS_S = 60.0
"""Longer than a ban lasts, and than a position is compared in."""
_PERIOD_S, _ENOUGH = 60.0, 20
"""How often it is asked whether something failed; more defects than these tell nothing new, and the run ends."""
_MIB = 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=hours_of, default=72.0, metavar="N", help="simulated (default %(default)g)")
    parser.add_argument("--seed", type=int, help="of market and faults; a fresh one unless it is given")
    parser.add_argument(
        "--scenario",
        choices=sorted(SCENARIOS),
        default="faults",
        help="makers under faults, or one stuck (%(default)s)",
    )
    parser.add_argument("--build", type=Path, default=BUILD, metavar="DIRECTORY", help="where logs and report go")
    options = parser.parse_args()
    if find_server() is None:
        sys.stderr.write(f"soak: {MISSING.partition(', or name')[0]}\n")
        return 1
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    options.build.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="px-soak-state-"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what runs behind it ignore this
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    out, excepthook = sys.stdout, sys.excepthook
    loop = VirtualLoop(TIME)
    try:
        with (
            (options.build / _LOG).open("w", encoding="utf-8") as sys.stdout,  # where a worker's log goes
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            report = runner.run(_run(SCENARIOS[options.scenario], loop, root, options.hours, seed, out))
        report.defects.extend(failures_in(options.build / _LOG))
    except KeyboardInterrupt:
        return 1
    finally:
        sys.stdout, sys.excepthook = out, excepthook
        shutil.rmtree(root, ignore_errors=True)
    (options.build / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    for line in (*report.disagreements, *report.defects, *map(str, report.examples), *report.figures):
        print(line, file=out)
    print(report, file=out, flush=True)
    return 0 if report.held else 1


async def _run(kind: type[World], loop: VirtualLoop, root: Path, hours: float, seed: int, out: object) -> Report:
    random.seed(seed)
    began_ns = machines_monotonic_ns()
    course: list[Hour] = []
    async with opened(kind, loop, TIME, root, seed) as world:
        spare_the_collector()  # as an exchange's own process does
        try:
            while (left_s := hours * 3600 - seconds_of(TIME)) > _LOOK_S and len(world.defects) < _ENOUGH:
                await _pass(world, min(3600.0, left_s))
                course.append(await _look(world, began_ns))
                violations, _ = await world.violations()
                print(_line(course[-1], violations, world), file=out, flush=True)
        except asyncio.CancelledError:  # Ctrl-C: what has passed until now is judged
            course.append(await _look(world, began_ns))
        hours, faults = min(hours, round(seconds_of(TIME) / 3600, 3)), world.faults()
        await world.recover(_RECOVERS_S)
        found = await world.end()
        violations, examples = await world.violations()
        return Report(
            hours=hours,
            seed=seed,
            symbols=tuple(kind.symbols),
            faults=faults,
            violations=violations,
            examples=list(examples),
            agreement=not found,
            disagreements=found,
            defects=world.defects,
            events=dict(world.done),
            fills={symbol: book.fills for symbol, book in (await world.books()).items()},
            rss_mib_per_hour=slope(course),
            course=course,
            figures=world.figures(),
        )


async def _pass(world: World, seconds: float) -> None:
    until_s = seconds_of(TIME) + seconds
    while (left_s := until_s - seconds_of(TIME)) > _LOOK_S and len(world.defects) < _ENOUGH:
        await world.clock.sleep(min(_PERIOD_S, left_s))


async def _look(world: World, began_ns: int) -> Hour:
    # What a worker's start keeps from the collector is the process's for life; here it outlives many.
    gc.unfreeze()
    gc.collect()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Hour(
        hours=round(seconds_of(TIME) / 3600, 3),
        rss_mib=round(_rss_bytes() / _MIB, 1),
        fills=sum(book.fills for book in (await world.books()).values()),
        faults=sum(world.faults().values()),
        cpu_s=round(used.ru_utime + used.ru_stime, 1),
        real_s=round((machines_monotonic_ns() - began_ns) / 1e9, 1),
    )


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _line(hour: Hour, violations: dict[str, int], world: World) -> str:
    return (
        f"{hour.hours:7.2f} h  rss {hour.rss_mib:6.1f} MiB  fills {hour.fills:6d}  faults {hour.faults:5d}"
        f"  cpu {hour.cpu_s:6.0f} s  violations {violations or 0}  defects {len(world.defects)}"
    )


if __name__ == "__main__":
    sys.exit(main())

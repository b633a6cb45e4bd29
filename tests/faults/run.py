"""`make test-faults`: the storm in several cells at once, the figures, and one line at the end.

    python tests/faults/run.py --faults 2000 --seed 7

The last line is `faults=N violations=N seed=N`; status 1 where anything was violated, or where a cell never came to
quote and so proves nothing (`broken=N`, told above it). What a failing cell leaves lies in
`build/faults/<seed>/cell-<n>`: its plan, history, logs and flight recordings, and how to run it again.
"""

import argparse
import asyncio
import itertools
import math
import secrets
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

import msgspec
from measure import measurements
from mutations import Mutation
from storm import Result


def say(text: str) -> None:
    """At once, however the output is read."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "faults"
_CELLS_AT_ONCE = 6
"""A cell wants a quarter of a core."""
_DONE = 0.8
"""Of the faults that are planned, those that something can be done for, at least: no cell is begun for the last few."""
_FAULTS_A_CELL = 125
"""Short enough that a failing one is read, long enough that it lives through everything."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=2000, help="how many at least (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of the storm; a fresh one unless it is given")
    parser.add_argument("--at-once", type=int, default=_CELLS_AT_ONCE, help="cells side by side (default %(default)s)")
    parser.add_argument("--mutation", type=Mutation, default=Mutation.NONE, help="take a safeguard out of the workers")
    parser.add_argument("--no-figures", action="store_true", help="the storm alone, without the measurements")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    return asyncio.run(_run(options, seed))


async def _run(options: argparse.Namespace, seed: int) -> int:
    began = time.monotonic()
    say(f"seed {seed}: at least {options.faults} faults, {options.at_once} cells side by side")
    results: list[Result] = []
    broken = 0
    running: dict[asyncio.Task[Result | str], int] = {}
    most = min(_FAULTS_A_CELL, math.ceil(options.faults / _DONE / options.at_once))
    numbers = itertools.count()
    while True:
        # What a cell could not do does not count, so cells are added until there are enough.
        expected = sum(result.done for result in results) + _DONE * sum(running.values())
        if not broken and expected < options.faults and len(running) < options.at_once:
            count = min(most, math.ceil((options.faults - expected) / _DONE))
            running[asyncio.create_task(_cell(seed, next(numbers), count, options.mutation))] = count
            continue
        if not running:
            break
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            count = running.pop(task)
            match task.result():
                case Result() as result:
                    results.append(result)
                    _tell_cell(result, count, seed, time.monotonic() - began)
                case str() as problem:
                    broken += 1
                    say(problem)
    _tell(results)
    if not options.no_figures and not broken:
        for line in await measurements():
            say(line)
    violations = sum(result.violations for result in results)
    if broken:
        say(f"broken={broken}: cells that never quoted (machine too busy?) or broke off, as each says above")
    say(f"faults={sum(result.done for result in results)} violations={violations} seed={seed}")
    return 1 if violations or broken else 0


async def _cell(seed: int, number: int, count: int, mutation: Mutation) -> Result | str:
    """Its result, or why it has none: a storm that could not be made proves nothing."""
    keep = BUILD / str(seed) / f"cell-{number}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("storm.py")), "--seed", str(seed), "--cell", str(number)),
        *("--faults", str(count), "--keep", str(keep), "--mutation", mutation.value),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode == 0:
        return msgspec.json.decode(output.splitlines()[-1], type=Result)
    return f"cell {number} ended with status {process.returncode}: {errors.decode(errors='replace')[-2000:]}"


def _tell_cell(result: Result, planned: int, seed: int, elapsed_s: float) -> None:
    line = (
        f"[{elapsed_s:5.0f} s] cell {result.cell}: {result.done} faults, {result.accepted} orders"
        f" accepted, {result.fills} fills, {result.violations} violations"
    )
    say(line)
    if not result.violations:
        return
    for violation in result.examples:
        say(f"    {violation}")
    place = (BUILD / str(seed) / f"cell-{result.cell}").relative_to(ROOT)
    again = f"python tests/faults/storm.py --seed {seed} --cell {result.cell} --faults {planned} --keep {place}"
    say(f"    kept in {place}; again: {again}")


def _tell(results: Sequence[Result]) -> None:
    survived: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for result in results:
        survived.update(result.faults)
        met.update(result.met)
    say("\nfaults survived")
    for kind, count in survived.most_common():
        say(f"  {count:6d}  {kind}")
    say(f"  {sum(result.hit for result in results):6d}  of them hit a symbol, or an account, that was quoting")
    say(f"  failpoints met: {', '.join(f'{name} {count}' for name, count in met.most_common())}")
    say(f"  {sum(result.accepted for result in results):6d}  orders and amends judged")
    for name, what in (
        ("failovers", "kill of a leader → its successor's first order (ttl 1 s)"),
        ("handovers", "release → the successor's first order"),
        ("stops", "stop written → last order that was still accepted, undisturbed workers"),
    ):
        values = sorted(value for result in results for value in getattr(result.timings, name))
        if values:
            say(f"{what}: p50 {statistics.median(values):.0f} ms, max {values[-1]:.0f} ms, of {len(values)}")


if __name__ == "__main__":
    sys.exit(main())

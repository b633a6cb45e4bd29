"""The files of `configs/scenarios`, as the demo plays them, in virtual time.

    python tests/soak/scenario_files.py --build DIRECTORY guards.yaml:90:BTCUSDT,ETHUSDT,SOLUSDT,ETHUSDC …

Exchange, Redis and workers are those of the soak, the market and what goes wrong in it are the file's. A line of JSON
for each file: what became of its expectations, and what the makers say of where they have been.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    *(str(ROOT / part) for part in ("crds", "coordination", "worker", "operator", "cli", "simulator")),
    str(Path(__file__).parent),
]

from datetime import UTC, datetime  # noqa: E402

from virtual_time import VirtualTime  # noqa: E402

TIME = VirtualTime(int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 1_000_000_000)
TIME.install()  # before anything of ours, which binds the readers of `time`

import argparse  # noqa: E402
import asyncio  # noqa: E402
import random  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402

import msgspec  # noqa: E402
from phoenix_cli.local.layout import NAMESPACE  # noqa: E402
from phoenix_coordination.state import StateRecord, decode  # noqa: E402
from phoenix_coordination.state_directory import final_record_path  # noqa: E402
from phoenix_simulator.scenario import load_scenario  # noqa: E402
from soak_world import World, listening  # noqa: E402
from virtual_loop import VirtualLoop  # noqa: E402

_SEED = 3
"""Of a file that names none."""


class Played(msgspec.Struct, frozen=True):
    """`broken`: what the file expects and what did not hold; `wrong`: what no run may end with. By symbol: how many ms
    each maker was in each mode, and how many each reason came first.
    """

    file: str
    broken: list[str]
    wrong: list[str]
    modes: dict[str, dict[str, int]]
    reasons: dict[str, dict[str, int]]


class ScenarioWorld(World):
    """Where nothing happens but what the file says; nobody resumes what it stops."""

    rate = 20.0

    async def _happen(self, seed: int) -> None:  # noqa: ARG002 - the exchange has it
        await asyncio.Event().wait()

    async def _look_after(self) -> None:
        while not await self._seed():
            await self.clock.sleep(1.0)
        await asyncio.Event().wait()

    def last_records(self) -> dict[str, StateRecord]:
        paths = {
            item.symbol: final_record_path(self._directory.state, NAMESPACE, item.maker.metadata.name)
            for item in self._fleet
        }
        return {symbol: decode(path.read_bytes()) for symbol, path in paths.items()}

    async def broken(self) -> list[str]:
        verdicts = await self._control.verdicts()
        return [f"{verdict.text}: {verdict.state}: {verdict.reason}" for verdict in verdicts if not verdict.held]


async def play(loop: VirtualLoop, file: Path, seconds: float, symbols: Sequence[str]) -> Played:
    scenario = load_scenario(file)
    seed = _SEED if scenario.seed is None else scenario.seed
    random.seed(seed)
    kind = type("Makers", (ScenarioWorld,), {"symbols": symbols})
    with tempfile.TemporaryDirectory(prefix="px-scenario-") as root:
        async with listening(kind, loop, TIME, Path(root), seed, scenario) as world:
            await world.clock.sleep(seconds)
            broken = await world.broken()
            wrong = await world.end()
            violations, _ = await world.violations()
            records = world.last_records()
            return Played(
                file.name,
                broken,
                [*wrong, *world.defects, *violations],
                {symbol: record.activity.stances_ms for symbol, record in records.items()},
                {symbol: record.activity.reasons_ms for symbol, record in records.items()},
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="FILE:SECONDS:SYMBOLS")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE", help="where the workers' log goes")
    options = parser.parse_args()
    out = sys.stdout
    with options.log.open("w", encoding="utf-8") as sys.stdout:
        for run in options.runs:
            out.write(msgspec.json.encode(_played(*run.split(":"))).decode() + "\n")
    sys.stdout = out


def _played(name: str, seconds: str, symbols: str) -> Played:
    loop = VirtualLoop(TIME)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(play(loop, ROOT / "configs" / "scenarios" / name, float(seconds), symbols.split(",")))


if __name__ == "__main__":
    main()

"""The files of `configs/scenarios` take makers where docs/exchange.md says, and what they expect holds.

Those that cost little, in virtual time, where no machine is too slow: two seconds of market and a start of a worker
cost about as much. `phoenix check` judges them all.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from phoenix_coordination.redis.server import find_server

PLAYER = Path(__file__).with_name("scenario_files.py")
QUOTING = "Quoting"
RUNS = {
    # file: seconds, {symbol: (modes that it is in, reasons against quoting)}
    "guards.yaml": (
        60,
        {
            "BTCUSDT": ({"pin"}, {"RiskHalted"}),
            "ETHUSDT": ({"block"}, {"RiskHalted"}),
            "SOLUSDT": ({"pin"}, {"RiskHalted"}),
            "ETHUSDC": ({"liquidate", "flatten"}, {"RiskHalted"}),
        },
    ),
    "losses.yaml": (66, {"ETHUSDT": (set(), {"RiskHalted"}), "SOLUSDT": ({"liquidate"}, {"RiskHalted"})}),
    "reduce-only.yaml": (50, {"BTCUSDT": (set(), {"ReduceOnly"}), "ETHUSDT": (set(), {"ForeignActivity"})}),
}


class Played(msgspec.Struct, frozen=True):
    file: str
    broken: list[str]
    wrong: list[str]
    modes: dict[str, dict[str, int]]
    reasons: dict[str, dict[str, int]]


@pytest.mark.skipif(find_server() is None, reason="no redis-server here")
@pytest.mark.timeout(300)  # twenty seconds of a core, wherever that is
def test_each_file_reaches_what_it_is_for_and_what_it_expects_holds(tmp_path):
    runs = [f"{file}:{seconds}:{','.join(reached)}" for file, (seconds, reached) in RUNS.items()]
    command = [sys.executable, str(PLAYER), "--log", str(tmp_path / "workers.log"), *runs]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    played = {each.file: each for each in msgspec.json.Decoder(Played).decode_lines(run.stdout)}
    assert played.keys() == RUNS.keys()
    for file, (_, reached) in RUNS.items():
        assert (played[file].broken, played[file].wrong) == ([], []), file
        for symbol, (modes, reasons) in reached.items():
            assert modes <= played[file].modes[symbol].keys(), (file, symbol, played[file].modes[symbol])
            assert reasons <= played[file].reasons[symbol].keys(), (file, symbol, played[file].reasons[symbol])
            assert QUOTING in played[file].reasons[symbol], f"{file}: {symbol} has never quoted"

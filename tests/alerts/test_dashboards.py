"""Dashboards are as their source makes them, and ask only for what is told. That every panel has data in a real run is
shown where one runs: tests/scenarios and tests/api_server.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from metric_definitions import unknown_in
from prometheus import FILES, queries

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("fleet", "maker", "operator")


def test_what_is_committed_is_what_the_source_makes():
    command = [sys.executable, "-m", "dashboards", "--check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "charts")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_is_nothing_else_in_the_folder():
    assert sorted(path.name for path in (FILES / "dashboards").iterdir()) == [f"{name}.json" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_queries_ask_for_metrics_and_labels_that_there_are(name, definitions):
    for query in queries(name, maker="default/btcusdt"):
        assert unknown_in(query.text, definitions) == [], query


@pytest.mark.parametrize("name", NAMES)
def test_panels_stand_beside_each_other_and_each_has_a_number_of_its_own(name):
    panels = json.loads((FILES / f"dashboards/{name}.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


RESULTS = {
    "nobody tells any": ({}, {}),
    "of two assets": ({"btc": ("BTCUSDT", -3), "eth": ("ETHUSDT", 1), "usdc": ("ETHUSDC", 7)}, {"USDT": -2, "USDC": 7}),
    "one of two knows": ({"btc": ("BTCUSDT", -3), "eth": ("ETHUSDT", "NaN")}, {"USDT": -3}),
    "the one maker does not know": ({"btc": ("BTCUSDT", "NaN")}, {}),
}


def test_the_result_of_the_day_is_of_those_who_know_it_and_no_two_assets_are_added(promtool, tmp_path):
    (query,) = (each.text for each in queries("fleet") if each.panel == "Result of the day")
    tests = []
    for name, (leaders, told) in RESULTS.items():
        series = []
        for pod, (symbol, result) in leaders.items():
            for instance, held, known in ((pod, 1, result), (f"{pod}-standby", 0, -50)):
                of = f'job="w",instance="{instance}",symbol="{symbol}"'
                series += [
                    {"series": f"mm_lease_held{{{of}}}", "values": f"{held}"},
                    {"series": f'mm_pnl{{{of},kind="day"}}', "values": f"{known}"},
                ]
        samples = [{"labels": f'{{asset="{asset}"}}', "value": value} for asset, value in told.items()]
        asked = [{"expr": query, "eval_time": "0s", "exp_samples": samples}]
        tests.append({"name": name, "interval": "15s", "input_series": series, "promql_expr_test": asked})
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": tests}))
    done = subprocess.run(
        [promtool, "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

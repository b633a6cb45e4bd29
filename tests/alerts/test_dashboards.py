"""Dashboards are as their source makes them, and ask only for what is told. That every panel has data in a real run is
shown where one runs: tests/scenarios and tests/api_server.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
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

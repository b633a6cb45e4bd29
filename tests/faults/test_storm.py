"""A hundred faults of a fixed seed, as `make test-faults` does two thousand; and that a storm is what its seed says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from plan import Kind, draw

SEED = 17
"""Of which every kind of fault is drawn, at every failpoint."""
FAULTS = 100
RUN = Path(__file__).with_name("run.py")


@pytest.mark.timeout(900)
def test_a_hundred_faults_violate_nothing():
    command = [sys.executable, str(RUN), "--faults", str(FAULTS), "--seed", str(SEED), "--at-once", "3", "--no-figures"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    last = ended.stdout.splitlines()[-1]
    found = re.fullmatch(rf"faults=(\d+) violations=0 seed={SEED}", last)
    assert found is not None, ended.stdout + ended.stderr
    assert int(found[1]) >= FAULTS
    assert ended.returncode == 0


def test_the_same_seed_draws_the_same_storm_and_another_one_another():
    assert draw("7/0", 50, 4) == draw("7/0", 50, 4)
    assert draw("7/0", 50, 4) != draw("7/1", 50, 4)


def test_a_storm_of_two_thousand_has_every_kind_of_fault():
    drawn = {fault.kind for cell in range(16) for fault in draw(f"7/{cell}", 125, 4)}
    assert drawn == set(Kind)

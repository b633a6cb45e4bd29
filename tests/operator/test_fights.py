"""Drift is corrected at once, a fight ever more seldom."""

import pytest
from phoenix_operator.fights import FREE, LONGEST_WAIT_S, Fights, is_correction, other_manager

CHILD = ("Deployment", "trading", "btcusdt")


def test_some_corrections_are_free_and_then_each_waits_longer():
    fights, now = Fights(), 1000.0
    told, waits = [], []
    for _ in range(FREE + 8):
        wait = fights.wait_s(CHILD, now)
        waits.append(wait)
        now += wait
        told.append(fights.corrected(CHILD, now))
    assert waits[: FREE + 1] == [0.0] * (FREE + 1)
    assert waits[FREE + 1 : FREE + 4] == [30.0, 60.0, 120.0]
    assert max(waits) == LONGEST_WAIT_S
    assert told.index(True) == FREE
    assert told.count(True) == 1


def test_a_fight_that_has_ended_is_forgotten():
    fights = Fights()
    for at in range(FREE + 1):
        fights.corrected(CHILD, float(at))
    assert fights.wait_s(CHILD, 5.0) > 0
    assert not fights.corrected(CHILD, 10_000.0)
    assert fights.wait_s(CHILD, 10_001.0) == 0


def _child(digest: str) -> dict:
    return {"metadata": {"annotations": {"phoenix.trading/wished": digest}}}


@pytest.mark.parametrize(
    ("live", "expected"),
    [(None, False), (_child("old"), False), (_child("now"), True), ({"metadata": {}}, False)],
    ids=["not there", "an older wish", "somebody else's change", "never ours"],
)
def test_only_what_differs_from_an_unchanged_wish_is_somebody_elses_doing(live, expected):
    assert is_correction(_child("now"), live) is expected


def test_the_last_other_manager_is_named():
    fields = [
        {"manager": "kubectl", "time": "2026-01-01T00:00:00Z"},
        {"manager": "vpa", "time": "2026-01-02T00:00:00Z"},
        {"manager": "phoenix-operator", "time": "2026-01-03T00:00:00Z"},
    ]
    assert other_manager({"metadata": {"managedFields": fields}}) == "vpa"
    assert other_manager({"metadata": {}}) == "somebody"

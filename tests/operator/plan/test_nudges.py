import pytest
from phoenix_coordination.state import Configuration
from phoenix_operator.names import Annotation, Component
from phoenix_operator.plan.facts import PodFact
from phoenix_operator.plan.nudges import (
    LONGEST_AGAIN_MS,
    REFUSED_ATTEMPTS,
    UNHEARD_ATTEMPTS,
    back_off_ms,
    plan_nudges,
    read,
    target_of,
)
from state_records import leading_record

NOW_MS = 1_790_000_000_000
UID = "0a000000-0000-4000-8000-000000000001"
TARGET = target_of("hash", 3)
BEHIND, HEARD = Configuration("older", 2), Configuration("hash", 3)
REFUSED = Configuration("older", 2, refused="spec.netMax: is none")
LONG_AGO = NOW_MS - LONGEST_AGAIN_MS


def planned(nudge="", told=BEHIND, changed=False, **pod):
    records = () if told is None else (leading_record(holder=f"{UID}/7f3a", configuration=told),)
    given = {"running": True, "nudge": nudge} | pod
    return plan_nudges(
        (PodFact("p", UID, Component.WORKER, "aaaa", **given),), {"aaaa": TARGET}, records, NOW_MS, changed=changed
    )


def attempt(nudges):
    return [read(patch.annotations[Annotation.NUDGE.value]).attempt for patch in nudges.patches]


@pytest.mark.parametrize(
    ("given", "attempts"),
    [
        pytest.param({"told": HEARD}, [], id="who has read it is left alone"),
        pytest.param({}, [1], id="who is behind is nudged"),
        pytest.param({"told": Configuration("hash", 2)}, [1], id="also for another generation of the same values"),
        pytest.param({"nudge": f"{TARGET}.1.{NOW_MS - 999}"}, [], id="not again at once"),
        pytest.param({"nudge": f"{TARGET}.1.{NOW_MS - 1000}"}, [2], id="again after a second"),
        pytest.param({"nudge": f"{TARGET}.4.{NOW_MS - 7999}"}, [], id="ever more seldom"),
        pytest.param({"nudge": f"{TARGET}.4.{NOW_MS - 8000}"}, [5], id="but again"),
        pytest.param({"nudge": f"other-2.9.{NOW_MS}"}, [1], id="at once for something newer"),
        pytest.param({"nudge": "somebody's words"}, [1], id="an annotation of somebody's is none"),
        pytest.param({"running": False}, [], id="a pod that does not run reads the newest when it starts"),
        pytest.param({"deleting": True}, [], id="a pod on its way out"),
        pytest.param({"finished": True}, [], id="a pod that has ended"),
        pytest.param({"told": None}, [], id="who tells nothing, where nothing has changed"),
        pytest.param({"told": None, "changed": True}, [1], id="who tells nothing, where something changes now"),
        pytest.param(
            {"told": None, "nudge": f"{TARGET}.2.{NOW_MS - 2000}"}, [3], id="who tells nothing is nudged a few times"
        ),
        pytest.param(
            {"told": None, "nudge": f"{TARGET}.{UNHEARD_ATTEMPTS}.{NOW_MS - 90_000}"}, [], id="and then no more"
        ),
        pytest.param(
            {"told": REFUSED, "nudge": f"{TARGET}.{REFUSED_ATTEMPTS - 1}.{LONG_AGO}"},
            [REFUSED_ATTEMPTS],
            id="who refuses may have read an older file",
        ),
        pytest.param(
            {"told": REFUSED, "nudge": f"{TARGET}.{REFUSED_ATTEMPTS}.{LONG_AGO}"},
            [],
            id="who still refuses has read",
        ),
        pytest.param({"told": REFUSED, "nudge": f"other-2.9.{LONG_AGO}"}, [1], id="who refuses is told of another"),
        pytest.param({"nudge": f"{TARGET}.99.{LONG_AGO}"}, [100], id="who says neither is nudged on, seldom"),
    ],
)
def test_a_pod_is_nudged_until_its_worker_says_that_it_has_read(given, attempts):
    assert attempt(planned(**given)) == attempts


def test_the_next_look_is_when_the_next_nudge_is_due():
    assert planned().again_ms == 1_000
    assert planned(f"{TARGET}.3.{NOW_MS - 1000}").again_ms == 3_000
    assert planned(told=HEARD).again_ms is None


def test_for_who_refuses_nobody_looks_again():
    assert planned(f"{TARGET}.{REFUSED_ATTEMPTS}.{NOW_MS}", told=REFUSED).again_ms is None


def test_a_clock_that_was_set_back_silences_no_nudge_for_longer_than_the_longest_pause():
    assert planned(f"{TARGET}.1.{NOW_MS + 10 * LONGEST_AGAIN_MS}").again_ms <= LONGEST_AGAIN_MS


def test_pauses_double_up_to_ten_minutes():
    assert [back_off_ms(each) for each in (1, 2, 3, 9, 10, 99)] == [1_000, 2_000, 4_000, 256_000, 512_000, 600_000]

"""From what the API server sends to what is shown; nothing of it is taken for granted."""

from decimal import Decimal

import pytest
from phoenix_cli.cluster.resources import event_views, figures_of, fleet_of, pod_views
from phoenix_coordination.state import Prices, Role


def test_makers_stand_below_their_account_by_name(account, maker, now_ms):
    other = account("other")
    accounts = fleet_of([other, account()], [maker("ethusdt"), maker("btcusdt")], now_ms)
    assert [(each.account, [m.name for m in each.makers]) for each in accounts] == [
        ("trading/default", ["btcusdt", "ethusdt"]),
        ("trading/other", []),
    ]


def test_an_account_that_makers_name_and_that_is_not_there_has_a_row(maker, now_ms):
    (missing,) = fleet_of([], [maker()], now_ms)
    assert (missing.account, missing.there, len(missing.makers)) == ("trading/default", False, 1)


def test_an_account_of_the_same_name_in_another_namespace_is_another(account, maker, now_ms):
    elsewhere = maker(metadata={"namespace": "elsewhere"})
    found = {each.account: (each.there, len(each.makers)) for each in fleet_of([account()], [elsewhere], now_ms)}
    assert found == {"trading/default": (True, 0), "elsewhere/default": (False, 1)}


def test_a_maker_that_the_operator_has_not_seen_says_nothing_of_itself(account, maker, now_ms):
    unseen = maker()
    del unseen["status"]
    ((view,),) = [each.makers for each in fleet_of([account()], [unseen], now_ms)]
    assert (view.ready, view.quoting, view.figures, view.applied_generation) == ("", "", None, None)
    assert (view.symbol, view.net_max, view.age_s) == ("BTCUSDT", Decimal("0.2"), 7200)


def test_a_status_that_is_none_of_ours_is_named_and_hides_no_other(account, maker, now_ms):
    strange = maker("strange", conditions=[{"type": "Ready", "status": "Perhaps"}])
    (found,) = fleet_of([account()], [strange, maker()], now_ms)
    assert [bool(each.problem) for each in found.makers] == [False, True]
    assert found.makers[1].problem.startswith("status.conditions.0.status is none of ours")
    (broken,) = fleet_of([account(emergency={"level": "Loud"})], [maker()], now_ms)
    assert broken.problem.startswith("status.emergency.level is none of ours")
    assert broken.emergency == "", "what cannot be read is not known, and not none"
    assert broken.makers[0].quoting == "True"


def test_fields_of_a_newer_operator_are_left_alone(account, maker, now_ms):
    (found,) = fleet_of([account(mood="bright")], [maker(mood="bright")], now_ms)
    assert (found.problem, found.makers[0].problem) == ("", "")


def test_ages_are_never_below_zero_where_clocks_differ(account, maker, ago, now_ms):
    (found,) = fleet_of([account()], [maker(figures={"position": "1", "at": ago(-60)})], now_ms)
    assert found.makers[0].figures.age_s == 0


def test_requests_that_wait_are_counted_with_the_age_of_the_oldest(account, ago, now_ms):
    requests = [
        {"id": "a", "action": "Stop", "level": "Halt", "at": ago(20)},
        {"id": "b", "action": "Resume", "epoch": 3, "at": ago(10)},
    ]
    (found,) = fleet_of([account(requests=requests)], [], now_ms)
    assert (found.waiting, found.waiting_s) == (2, 20)


@pytest.mark.parametrize(
    ("reason", "conditions", "message"),
    [
        pytest.param(
            "NotAdmitted",
            [("Ready", "False", "NotAdmitted", "the limit is 0.2"), ("Quoting", "Unknown", "NoWorker", "nobody tells")],
            "the limit is 0.2",
            id="Ready's reason",
        ),
        pytest.param(
            "PriceStale",
            [("Ready", "True", "InForce", "in force"), ("Quoting", "False", "PriceStale", "connection silent")],
            "connection silent",
            id="Quoting's reason",
        ),
        pytest.param(
            "RedisUnreachable",
            [("Ready", "Unknown", "RedisUnreachable", "refused"), ("Quoting", "Unknown", "RedisUnreachable", "ask it")],
            "ask it",
            id="both have it",
        ),
        pytest.param(
            "NewerThanThis", [("Quoting", "Unknown", "NoWorker", "nobody tells")], "", id="no condition has it"
        ),
        pytest.param("", [("Quoting", "Unknown", "NoWorker", "nobody tells")], "nobody tells", id="none is told"),
    ],
)
def test_a_reason_has_the_message_of_the_condition_that_bears_it(maker, condition, now_ms, reason, conditions, message):
    resource = maker(reason=reason, conditions=[condition(*each) for each in conditions])
    (found,) = fleet_of([], [resource], now_ms)
    assert found.makers[0].message == message


def container(**fields) -> dict:
    return {"name": "worker", "restartCount": 0, **fields}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(
            {"containerStatuses": [container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such"}})]},
            "ImagePullBackOff: no such",
            id="image",
        ),
        pytest.param(
            {
                "containerStatuses": [
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"reason": "Error", "message": "netMax is -1\n"}},
                    )
                ]
            },
            "CrashLoopBackOff; last words: Error: netMax is -1",
            id="crashes",
        ),
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2"}]},
            "Unschedulable: 0/2",
            id="no-node",
        ),
        pytest.param({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "Evicted: disk", id="evicted"),
        pytest.param({"containerStatuses": [container(state={"running": {}})]}, "", id="runs"),
        pytest.param({}, "", id="nothing-yet"),
    ],
)
def test_a_pod_says_why_it_does_not_run(status, says, ago, now_ms):
    (pod,) = pod_views([{"metadata": {"name": "p", "creationTimestamp": ago(5)}, "status": status}], now_ms)
    assert (pod.says, pod.age_s) == (says, 5)


def test_a_pod_that_is_going_is_terminating_whatever_its_phase_says(ago, now_ms):
    metadata = {"name": "p", "creationTimestamp": ago(5), "deletionTimestamp": ago(1)}
    (pod,) = pod_views([{"metadata": metadata, "status": {"phase": "Running"}}], now_ms)
    assert (pod.phase, pod.ready) == ("Terminating", False)


def test_events_are_told_by_the_last_time_they_were_seen(ago, now_ms):
    first = {"metadata": {"creationTimestamp": ago(100)}, "reason": "Created", "eventTime": ago(100)}
    often = {
        "metadata": {"creationTimestamp": ago(500)},
        "reason": "Restarted",
        "eventTime": ago(500),
        "series": {"count": 3, "lastObservedTime": ago(20)},
    }
    old = {"metadata": {}, "reason": "Pulled", "lastTimestamp": ago(300), "count": 2}
    unknown = {"metadata": {}, "reason": "Odd"}
    told = [(each.reason, each.count, each.age_s) for each in event_views([first, often, old, unknown], 3, now_ms)]
    assert told == [("Pulled", 2, 300), ("Created", 1, 100), ("Restarted", 3, 20)]


def test_live_figures_are_the_leaders(record):
    standby = record(role=Role.STANDBY, position={"qty": "0.5"})
    assert figures_of([standby]) is None
    leader = record(position={"qty": "0.012", "worst_case_short": "-0.08"}, prices=Prices(mid=61234.5))
    live = figures_of([standby, leader])
    assert live is not None
    assert (live.position, live.mid, live.worst_case, live.live) == (
        Decimal("0.012"),
        Decimal("61234.5"),
        Decimal("0.08"),
        True,
    )

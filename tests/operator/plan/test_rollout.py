import msgspec
import pytest
from phoenix_operator.names import Annotation, Component
from phoenix_operator.plan import children
from phoenix_operator.plan.facts import PodFact
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.observed import child
from phoenix_operator.plan.outcome import Situation
from phoenix_operator.plan.rollout import Roll, is_rolling, judge
from phoenix_operator.settings import Settings

COLD = [
    pytest.param({"mode": "DryRun"}, {}, {}, id="the maker's mode"),
    pytest.param({}, {"egress": "second"}, {}, id="the account's egress"),
    pytest.param({}, {"endpoints": {"baseUrl": "http://other:9000"}}, {}, id="the account's endpoint"),
    pytest.param({}, {"credentialsSecretRef": {"name": "other"}}, {}, id="the name of the Secret"),
    pytest.param({}, {"settings": {"leverage": 5}}, {}, id="leverage"),
    pytest.param({}, {"budgets": {"orderShare": "0.5"}}, {}, id="budgets"),
    pytest.param({}, {"_uid": "another"}, {}, id="another account of that name"),
    pytest.param({}, {}, {"image": "phoenix:2"}, id="the image"),
    pytest.param({}, {}, {"resources": {"preset": "Dedicated"}}, id="resources"),
    pytest.param({}, {}, {"redisSecret": {"name": "elsewhere"}}, id="where Redis is told"),
    pytest.param({}, {}, {"serviceAccountName": "maker"}, id="the service account"),
    pytest.param({}, {}, {"podLabels": {"scrape": "yes"}}, id="a label of pods"),
]
HOT = [
    pytest.param({"minSpreadBps": "7"}, {}, {}, id="a parameter of quoting"),
    pytest.param({"paused": True}, {}, {}, id="a pause"),
    pytest.param({"standby": True}, {}, {}, id="a standby, which is a number of pods"),
    pytest.param({"restartAfter": "2m"}, {}, {}, id="what the operator alone heeds"),
    pytest.param({"onDelete": "Flatten"}, {}, {}, id="what happens on deletion"),
    pytest.param({}, {"emergency": "Halt"}, {}, id="the account's switch"),
    pytest.param({}, {"_generation": 9}, {}, id="a generation alone"),
    pytest.param({}, {}, {"maxConcurrentRolls": 3}, id="how careful the operator is"),
    pytest.param({}, {}, {"propagatedLabels": ["team"]}, id="labels of children"),
]


@pytest.mark.parametrize(("of_maker", "of_account", "of_operator"), COLD)
def test_what_is_cold_needs_another_pod(maker, account, wanted, platform, of_maker, of_account, of_operator):
    before = children.template_hash(wanted(), platform)
    settings = Settings.model_validate({"image": "phoenix:1"} | of_operator)
    assert children.template_hash(wanted(maker(**of_maker), account(**of_account)), settings) != before


@pytest.mark.parametrize(("of_maker", "of_account", "of_operator"), HOT)
def test_what_is_hot_needs_none(maker, account, wanted, platform, of_maker, of_account, of_operator):
    before = children.template_hash(wanted(), platform)
    settings = Settings.model_validate({"image": "phoenix:1"} | of_operator)
    assert children.template_hash(wanted(maker(**of_maker), account(**of_account)), settings) == before


def _of_revision(facts, wanted, revision):
    """The same maker as an operator of another revision has rendered it."""
    live = facts.deployment.manifest
    settings = Settings(image="phoenix:1")
    template = children.template_hash(wanted, settings, revision)
    manifest = children.deployment(facts.maker, wanted, template, settings)
    manifest["metadata"]["annotations"][Annotation.REVISION.value] = str(revision)
    manifest["metadata"]["uid"] = live["metadata"]["uid"]
    return msgspec.structs.replace(facts, deployment=child(manifest))


def test_pods_of_an_older_rendering_stay_until_settings_say_otherwise(quoting, wanted, platform):
    facts = _of_revision(quoting(), wanted(), children.TEMPLATE_REVISION - 1)
    verdict = judge(facts, wanted(), platform)
    assert verdict.roll is Roll.HELD
    assert plan_maker(facts, platform).situation is Situation.HELD
    upgraded = Settings(image="phoenix:1", rollOnUpgrade=True)
    assert judge(facts, wanted(), upgraded).roll is Roll.DUE


def test_a_cold_change_replaces_pods_of_an_older_rendering_too(quoting, wanted, platform):
    facts = _of_revision(quoting(), wanted(), children.TEMPLATE_REVISION - 1)
    assert judge(facts, wanted(mode="DryRun"), platform).roll is Roll.DUE


@pytest.mark.parametrize(
    ("changes", "ready", "at_account", "roll", "text"),
    [
        pytest.param({}, True, {"egress": "b"}, Roll.DUE, "", id="nothing is against it"),
        pytest.param(
            {"siblings_rolling": 1}, True, {"egress": "b"}, Roll.WAITS, "waits its turn", id="a sibling rolls"
        ),
        pytest.param(
            {"outage": "2 of 3 symbols are stale"},
            True,
            {"egress": "b"},
            Roll.WAITS,
            "waits for the venue, which serves nobody now",
            id="an outage",
        ),
        pytest.param(
            {"outage": "silent"}, False, {"egress": "b"}, Roll.WAITS, "waits for", id="an outage, nothing ready"
        ),
        pytest.param(
            {"outage": "silent"},
            False,
            {"endpoints": {"baseUrl": "http://other:9000"}},
            Roll.DUE,
            "",
            id="in an outage what may be its cure, of a maker that is not ready",
        ),
        pytest.param(
            {"outage": "silent"},
            True,
            {"endpoints": {"baseUrl": "http://other:9000"}},
            Roll.WAITS,
            "waits for the venue",
            id="not of one that is ready",
        ),
    ],
)
def test_a_roll_begins_or_says_what_it_waits_for(
    quoting, account, wanted, platform, changes, ready, at_account, roll, text
):
    facts = quoting(pod={"ready": ready}, **changes)
    verdict = judge(facts, wanted(at=account(**at_account)), platform)
    assert verdict.roll is roll
    assert verdict.text.startswith(text)


def _pods(*templates_and_ready):
    return [
        PodFact(f"p{at}", f"u{at}", Component.WORKER, template, running=True, ready=ready)
        for at, (template, ready) in enumerate(templates_and_ready)
    ]


@pytest.mark.parametrize(
    ("pods", "given_up", "rolling"),
    [
        pytest.param([("new", True)], False, False, id="one pod as wished"),
        pytest.param([], False, False, id="no pod"),
        pytest.param([("old", True), ("new", False)], False, True, id="the new one comes up"),
        pytest.param([("old", True), ("new", False)], True, True, id="stuck, with a working one at risk"),
        pytest.param([("old", False), ("new", False)], False, True, id="nothing ready, still trying"),
        pytest.param([("old", False), ("new", False)], True, False, id="nothing ready, given up: nobody waits for it"),
    ],
)
def test_a_maker_is_rolling_while_pods_of_two_templates_take_turns(pods, given_up, rolling):
    manifest = {
        "metadata": {"name": "btcusdt", "generation": 2},
        "spec": {"template": {"metadata": {"labels": {"phoenix.trading/template": "new"}}}},
        "status": {
            "observedGeneration": 2,
            "conditions": [{"type": "Progressing", "status": "False" if given_up else "True"}],
        },
    }
    assert is_rolling(child(manifest), _pods(*pods)) is rolling


def test_a_deployment_that_its_controller_has_not_seen_yet_is_rolling():
    manifest = {
        "metadata": {"name": "btcusdt", "generation": 3},
        "spec": {"template": {"metadata": {"labels": {"phoenix.trading/template": "new"}}}},
        "status": {"observedGeneration": 2},
    }
    assert is_rolling(child(manifest), _pods(("new", True)))

import msgspec
import pytest
from phoenix_crds import Instant
from phoenix_operator.names import Component
from phoenix_operator.plan import children
from phoenix_operator.plan.config_maps import in_use, plan_config_maps
from phoenix_operator.plan.facts import PodFact
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.observed import child
from phoenix_operator.plan.outcome import Situation
from phoenix_operator.plan.rollout import judge

OLD = ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"]


@pytest.fixture
def planned(quoting, maker, wanted, platform):
    """What is deleted and written beside `OLD` ConfigMaps, the last made last; `pods` of these run, too."""

    def make(there=OLD, pods=(), data=None, **changed):
        facts = quoting()
        spares = []
        for at, template in enumerate(there):
            manifest = children.config_map(maker(), template, data or wanted().data, platform)
            manifest["metadata"] |= {"uid": f"uid-{template}", "creationTimestamp": str(Instant(1_000_000 + at * 1000))}
            spares.append(child(manifest))
        more = tuple(PodFact(f"p-{each}", each, Component.WORKER, each, running=True) for each in pods)
        maps, all_pods = (*facts.config_maps, *spares), (*facts.pods, *more)
        facts = msgspec.structs.replace(facts, config_maps=maps, pods=all_pods)
        content = wanted(**changed)
        plan = plan_config_maps(facts, content, judge(facts, content, platform), platform, target=True)
        return [each.name for each in plan.delete], [each.name for each in plan.apply]

    return make


@pytest.mark.parametrize(
    ("pods", "deleted"),
    [
        pytest.param((), ["btcusdt-aaaaaaaaaa", "btcusdt-bbbbbbbbbb"], id="the newest spare one is kept"),
        pytest.param(("aaaaaaaaaa",), ["btcusdt-bbbbbbbbbb", "btcusdt-cccccccccc"], id="none beside two that are read"),
        pytest.param(tuple(OLD), [], id="never one that a pod reads"),
    ],
)
def test_two_config_maps_are_kept_and_every_one_that_is_read(planned, pods, deleted):
    assert planned(pods=pods)[0] == deleted


@pytest.mark.parametrize("kind", ["a pod on its way out", "a pod of the withdraw Job"])
def test_what_any_pod_reads_is_in_use(quoting, kind):
    pod = PodFact("p", "u", Component.WORKER, "aaaaaaaaaa", running=True, deleting=True)
    seen = {"pods": (pod,)} if kind == "a pod on its way out" else {"job_pods": (pod,)}
    assert "aaaaaaaaaa" in in_use(msgspec.structs.replace(quoting(), **seen))


def test_a_hot_value_is_written_to_every_config_map_that_stays(planned):
    deleted, written = planned(minSpreadBps="9")
    assert len(written) == 2
    assert "btcusdt-cccccccccc" in written
    assert not set(written) & set(deleted)


def test_a_config_map_of_another_template_that_cannot_be_read_is_left_as_it_is(planned):
    assert planned(pods=OLD, data={"maker.yaml": "nonsense: ["}, minSpreadBps="9")[1] != []
    assert not any(
        each.endswith(tuple(OLD)) for each in planned(pods=OLD, data={"maker.yaml": "?"}, minSpreadBps="9")[1]
    )


def test_a_maker_that_its_account_does_not_admit_is_told_so_and_started_nowhere(quoting, account, platform):
    limits = {"netNotional": "25000", "grossNotional": "50000", "dailyLoss": "500", "makerNetMax": {"ETHUSDT": "1"}}
    gone = {"deployment": None, "config_maps": (), "pods": (), "records": ()}
    facts = msgspec.structs.replace(quoting(), account=account(limits=limits), **gone)
    plan = plan_maker(facts, platform)
    assert plan.situation is Situation.NOT_ADMITTED
    assert (plan.apply, plan.add_finalizer) == ((), None)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert "the account admits no maker of BTCUSDT" in ready.message

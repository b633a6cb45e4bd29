"""A plan is carried out in one order, so that an operator may be killed between any two of its writes."""

import pytest
from phoenix_crds import MakerStatus, Restarts
from phoenix_operator import reconcile as module
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import CONFIG_MAPS
from phoenix_operator.fleet import Fleet
from phoenix_operator.names import EventAction, EventReason, EventType, Finalizer
from phoenix_operator.plan.outcome import (
    Apply,
    Delete,
    Event,
    FinalizerChange,
    MakerPlan,
    PodPatch,
    Scale,
    Situation,
)
from phoenix_operator.plan.restarts import Judged, Verdict
from phoenix_operator.queue import Key, Kind
from phoenix_operator.reconcile import Reconciler
from phoenix_operator.settings import Settings
from phoenix_operator.writer import NotOursError

KEY = Key(Kind.MAKER, "trading", "btc")
EVERYTHING = MakerPlan(
    Situation.STEADY,
    add_finalizer=FinalizerChange(Finalizer.WITHDRAW),
    apply=(Apply({"kind": "ConfigMap", "metadata": {"name": "btc-1"}}, "", force=False),),
    scale=(Scale("btc", "uid", 1),),
    status=MakerStatus(restarts=Restarts(count=1, total=1)),
    delete=(Delete("Pod", "btc-1", "uid"),),
    pods=(PodPatch("btc-2", "uid", {}),),
    events=(Event(EventType.WARNING, EventReason.RESTARTED, "replaced", EventAction.RESTART),),
    remove_finalizer=FinalizerChange(Finalizer.WITHDRAW),
)
ORDER = [
    "add_finalizer",  # before there is anything that it guards
    "apply",
    "scale",
    "patch_pod",  # a changed parameter is waited for: what is said of it can wait
    "write_maker_status",  # a restart is counted before it is done: no back-off is forgotten
    "delete",
    "tell",
    "remove_finalizer",  # after which there is nobody to write for
]


class Writes:
    """A writer that keeps the order, and fails at `fails_at`. Tells Events, too."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails_at = ""
        self.fault = Fault.UNREACHABLE

    def __getattr__(self, name):
        async def write(*_):
            if name == self.fails_at:
                raise ClusterFault(self.fault, "gone")
            self.done.append(name)

        return write

    def tell(self, *_, **__) -> None:
        self.done.append("tell")


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def reconciler(writes, store, census, put_maker, monkeypatch) -> Reconciler:
    monkeypatch.setattr(module, "Writer", lambda *_: writes)
    monkeypatch.setattr(module, "plan_maker", lambda *_: EVERYTHING)
    put_maker("btc")
    fleet = Fleet("", census, 0.5, lambda _: None)
    settings = Settings(image="phoenix:1")
    return Reconciler(writes, store, census, fleet, writes, settings, lambda _: None, lambda _: None)


async def test_a_plan_is_carried_out_in_one_order(reconciler, writes):
    await reconciler.reconcile(KEY)
    assert writes.done == ORDER


@pytest.mark.parametrize("step", [each for each in ORDER if each != "tell"])
async def test_nothing_follows_a_write_that_failed_but_for_what_is_said_of_it(reconciler, writes, step):
    writes.fails_at = step
    with pytest.raises(ClusterFault):
        await reconciler.reconcile(KEY)
    before = ORDER[: ORDER.index(step)]
    assert writes.done[: len(before)] == before
    assert set(writes.done[len(before) :]) <= {"write_maker_status", "tell"}


DATA, POD = {"kind": "ConfigMap", "metadata": {"name": "btc-1"}}, {"kind": "Deployment", "metadata": {"name": "btc"}}
STARTING = MakerPlan(Situation.STARTING, apply=(Apply(DATA, "", force=False), Apply(POD, "", force=False)))


@pytest.fixture
def taken(writes, monkeypatch, reconciler) -> list[str]:
    """The ConfigMap's name is somebody else's; gives what was tried."""
    assert reconciler
    tried: list[str] = []

    async def apply(_, __, wish):
        tried.append(wish.name)
        if wish.kind == "ConfigMap":
            raise NotOursError("ConfigMap btc-1")

    monkeypatch.setattr(module, "plan_maker", lambda *_: STARTING)
    writes.apply = apply
    return tried


async def test_nothing_is_made_that_would_read_what_is_somebody_elses(reconciler, taken):
    await reconciler.reconcile(KEY)
    await reconciler.reconcile(KEY)  # believed for a while, and not tried each time that somebody looks
    assert taken == ["btc-1"]


async def test_what_another_controls_is_not_even_tried(reconciler, taken, store):
    owner = {"kind": "Backup", "name": "nightly", "uid": "b", "controller": True}
    meta = {"name": "btc-1", "namespace": "trading", "uid": "c", "resourceVersion": "1", "ownerReferences": [owner]}
    store.observe(CONFIG_MAPS, {"metadata": meta | {"labels": {"phoenix.trading/maker": "btc"}}})
    await reconciler.reconcile(KEY)
    assert taken == []
    assert reconciler._memories[KEY].foreign.keys() == {"ConfigMap btc-1"}


async def test_a_conflict_is_begun_anew_and_one_that_lasts_is_told(reconciler, writes):
    writes.fails_at, writes.fault = "apply", Fault.CONFLICT

    async def fault_after_a_round() -> str:
        with pytest.raises(ClusterFault):
            await reconciler.reconcile(KEY)
        return reconciler._memories[KEY].fault

    assert [await fault_after_a_round() for _ in range(4)] == ["", "", "gone", "gone"]
    writes.fails_at = ""
    await reconciler.reconcile(KEY)
    assert reconciler._memories[KEY].fault == ""
    writes.fails_at = "apply"
    assert await fault_after_a_round() == ""


@pytest.mark.parametrize(("kind", "counted"), [("Pod", ["StalePrice"]), ("ConfigMap", [])])
async def test_a_restart_is_counted_where_a_pod_was_deleted(reconciler, monkeypatch, kind, counted):
    told: list[str] = []
    stale = Judged("trading/btc", "trading/main", "BTCUSDT", "holder", Verdict.RESTART, 10_000, "stale")
    monkeypatch.setattr(reconciler, "_restarted", told.append)
    monkeypatch.setattr(reconciler._fleet, "judged", lambda _: stale)
    plan = MakerPlan(Situation.STEADY, delete=(Delete(kind, "btc-1", "uid"),))
    monkeypatch.setattr(module, "plan_maker", lambda *_: plan)
    await reconciler.reconcile(KEY)
    assert told == counted

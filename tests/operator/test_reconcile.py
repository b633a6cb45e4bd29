"""A plan is carried out in one order, so that an operator may be killed between any two of its writes."""

import pytest
from phoenix_crds import MakerStatus, Restarts
from phoenix_operator import reconcile as module
from phoenix_operator.cluster.faults import ClusterFault, Fault
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
from phoenix_operator.queue import Key, Kind
from phoenix_operator.reconcile import Reconciler
from phoenix_operator.settings import Settings

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

    def __getattr__(self, name):
        async def write(*_):
            if name == self.fails_at:
                raise ClusterFault(Fault.UNREACHABLE, "gone")
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

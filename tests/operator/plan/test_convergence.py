"""Whatever people, faults and chance have left behind, the plan brings a cluster to rest where everything is as wished.

What must never happen on the way (a pod killed without its own reason, children of a deleted maker, two makers' pods
started for one symbol, too many rolls, a ConfigMap taken from a pod) the model checks at every step.
"""

import copy

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from manifests_of import account_manifest, maker_manifest
from model_cluster import ModelCluster
from phoenix_operator.names import Annotation, Finalizer, Label
from phoenix_operator.plan.restarts import Judged, Verdict
from phoenix_operator.settings import Settings

MAKERS = {"one": "BTCUSDT", "two": "BTCUSDT", "three": "ETHUSDT"}
makers = st.sampled_from(sorted(MAKERS))
DRIFT = [
    {"spec": {"replicas": 0}},
    {"spec": {"replicas": 3}},
    {"metadata": {"labels": {"team": "desk"}, "annotations": {Annotation.WISHED.value: "else"}}},
    {"spec": {"template": {"metadata": {"labels": {Label.TEMPLATE.value: "somebodys"}}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "other:1"}]}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "mesh:1"}]}}}},
]


class AnyHistory(RuleBasedStateMachine):
    @initialize(at_once=st.sampled_from([1, 2]))
    def install(self, at_once):
        self.cluster = ModelCluster(Settings(image="phoenix:1", maxConcurrentRolls=at_once))
        self.cluster.put(account_manifest())
        for name in ("one", "three"):
            self.cluster.put(maker_manifest(name, MAKERS[name], standby=False))
        self.cluster.settle()

    @rule(count=st.integers(1, 5))
    def time_passes(self, count):
        for _ in range(count):
            self.cluster.round()
            self.cluster.step(2_000)

    @rule()
    def the_cluster_goes_on_without_the_operator(self):
        self.cluster.step()
        self.cluster.step()

    # -- people ------------------------------------------------------------------------------------

    @rule(name=makers, mode=st.sampled_from(["Live", "DryRun"]), standby=st.booleans(), spread=st.integers(3, 5))
    def a_maker_is_applied(self, name, mode, standby, spread):
        self.cluster.step(1_000)
        self.cluster.put(maker_manifest(name, MAKERS[name], mode=mode, standby=standby, minSpreadBps=spread))

    @rule(
        egress=st.sampled_from(["a", "b"]),
        emergency=st.sampled_from(["None", "Halt"]),
        most=st.sampled_from(["0.05", "0.2"]),
    )
    def the_account_changes(self, egress, emergency, most):
        limits = copy.deepcopy(account_manifest()["spec"]["limits"])
        limits["makerNetMax"]["BTCUSDT"] = most
        self.cluster.put(account_manifest(egress=egress, emergency=emergency, limits=limits))

    @rule(name=makers)
    def a_maker_is_deleted(self, name):
        if name in self.cluster.makers:
            self.cluster.delete("MarketMaker", name)

    @rule()
    def the_account_is_deleted(self):
        if "default" in self.cluster.accounts:
            self.cluster.delete("TradingAccount", "default")

    @rule(name=makers, disabled=st.booleans())
    def reconciling_is_disabled(self, name, disabled):
        if name in self.cluster.makers:
            annotations = {Annotation.RECONCILE.value: "disabled"} if disabled else {}
            self.cluster.makers[name].ours["metadata"]["annotations"] = annotations

    # -- chance ------------------------------------------------------------------------------------

    @rule(data=st.data())
    def a_child_is_deleted_by_hand(self, data):
        if self.cluster.objects:
            del self.cluster.objects[data.draw(st.sampled_from(sorted(self.cluster.objects)))]

    @rule(name=makers, drift=st.sampled_from(DRIFT))
    def a_deployment_is_changed_by_others(self, name, drift):
        found = self.cluster.objects.get(("Deployment", name))
        if found is not None:
            found.foreign = copy.deepcopy(drift)
            found.generation += 1

    @rule(name=makers, text=st.sampled_from(["", "nonsense: [", "kind: MarketMaker"]))
    def a_config_map_is_garbled(self, name, text):
        for (kind, _), each in self.cluster.objects.items():
            if kind == "ConfigMap" and each.ours["metadata"]["labels"].get(Label.MAKER.value) == name:
                each.foreign = {"data": {"maker.yaml": text, "notes": "mine"}}

    @rule(name=makers)
    def a_withdraw_job_of_yesterday_is_there(self, name):
        if name in self.cluster.makers and ("Job", f"{name}-withdraw") not in self.cluster.objects:
            labels = {Label.MAKER.value: name, Label.TEMPLATE.value: "old"}
            owner = {"uid": self.cluster.makers[name].uid, "controller": True}
            meta = {"name": f"{name}-withdraw", "labels": labels, "ownerReferences": [owner]}
            manifest = {"kind": "Job", "metadata": meta, "spec": {"template": {"metadata": {"labels": labels}}}}
            self.cluster.garbage("Job", f"{name}-withdraw", manifest)

    @rule(name=makers, templates=st.lists(st.sampled_from(["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"]), unique=True))
    def config_maps_of_old_templates_are_there(self, name, templates):
        if name not in self.cluster.makers:
            return
        owner = {"uid": self.cluster.makers[name].uid, "controller": True}
        for template in templates:
            labels = {Label.MAKER.value: name, Label.TEMPLATE.value: template}
            meta = {"name": f"{name}-{template}", "labels": labels, "ownerReferences": [owner]}
            key = "ConfigMap", f"{name}-{template}"
            if key not in self.cluster.objects:
                self.cluster.garbage(*key, {"kind": "ConfigMap", "metadata": meta, "data": {"maker.yaml": "old"}})

    @rule(name=makers)
    def our_finalizer_is_taken_away(self, name):
        if name in self.cluster.makers and self.cluster.makers[name].deleted_ms is None:
            self.cluster.makers[name].finalizers.clear()

    @rule(name=makers)
    def a_pod_is_evicted(self, name):
        for pod in self.cluster.workers_of(name)[:1]:
            pod.deleting = True

    @rule(name=makers)
    def a_worker_stays_stale_and_is_to_be_restarted(self, name):
        for pod in self.cluster.workers_of(name)[:1]:
            pod.ready = False
            holder = f"{pod.uid}/0badcafe"
            self.cluster.restarts[name] = Judged(
                f"trading/{name}", "trading/default", MAKERS[name], holder, Verdict.RESTART, 60_000, "price stale"
            )

    @rule(outage=st.sampled_from(["", "3 of 3 symbols are stale"]))
    def the_venue_goes_or_comes(self, outage):
        self.cluster.outage = outage

    @rule(problem=st.sampled_from(["", "Redis cannot be reached"]))
    def redis_goes_or_comes(self, problem):
        self.cluster.fleet_problem = problem

    @rule(fails=st.booleans())
    def withdrawing_fails_or_not(self, fails):
        self.cluster.job_fails = fails

    @rule()
    def a_node_is_lost(self):
        self.cluster.lost_nodes |= set(self.cluster.pods)

    @rule()
    def new_pods_do_not_come_up(self):
        for pod in self.cluster.pods.values():
            if pod.phase != "running":
                self.cluster.broken.add(pod.template)

    # -- and then ----------------------------------------------------------------------------------

    def teardown(self):
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        cluster.outage = cluster.fleet_problem = ""
        cluster.broken.clear()
        cluster.lost_nodes.clear()
        for maker in cluster.makers.values():
            maker.ours["metadata"]["annotations"] = {}
        for _ in range(2):  # one that was being deleted may go, and is applied again
            if "default" not in cluster.accounts:
                cluster.put(account_manifest())
            cluster.settle()
        if any(maker.deleted_ms is not None for maker in cluster.makers.values()):
            cluster.step(700_000)
            cluster.settle()
        check_at_rest(cluster)


def check_at_rest(cluster):
    assert all(maker.deleted_ms is None for maker in cluster.makers.values())
    for name, maker in cluster.makers.items():
        twins = [other for other in cluster.makers if MAKERS[other] == MAKERS[name]]
        eldest = min(twins, key=lambda each: (cluster.makers[each].created_ms, cluster.makers[each].uid))
        pods = cluster.workers_of(name)
        if eldest != name:
            assert pods == []
            assert cluster.condition(name, "SymbolConflict") == ("True", "SymbolConflict")
            continue
        if cluster.accounts["default"].deleted_ms is not None and not maker.finalizers:
            # Kept by another maker that works on; nothing is begun on it.
            assert cluster.condition(name, "Ready") == ("False", "AccountDeleted")
            continue
        spec = maker.ours["spec"]
        admitted = float(cluster.accounts["default"].ours["spec"]["limits"]["makerNetMax"].get(spec["symbol"], "0"))
        if admitted < float(spec["netMax"]):
            assert cluster.condition(name, "Ready") == ("False", "NotAdmitted")
            continue
        assert cluster.condition(name, "Ready") == ("True", "InForce"), cluster.status(name)
        assert len(pods) == (2 if spec["standby"] else 1)
        assert {pod.template for pod in pods} == {cluster.status(name)["templateHash"]}
        assert all(pod.reads[0].metadata.generation == maker.generation for pod in pods)
        maps = [key for key in cluster.objects if key[0] == "ConfigMap" and key[1].startswith(f"{name}-")]
        assert len(maps) <= 2
        assert maker.finalizers == [Finalizer.WITHDRAW.value]
        assert ("Job", f"{name}-withdraw") not in cluster.objects


pytestmark = pytest.mark.timeout(300)
TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)

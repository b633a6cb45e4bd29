"""A small pure model of what surrounds the operator's plan: API server, Deployment and Job controllers, garbage
collector, kubelet, workers with their lease. It carries plans out literally and checks at each step what must never
happen; time is a number that the test moves.

Not a simulation of Kubernetes' timing: each `step` lets every controller act once, in one order.
"""

import copy
import itertools
import uuid
from dataclasses import dataclass, field

from msgspec import structs
from phoenix_coordination.state import Configuration, EmergencyState, Reason, Role
from phoenix_crds import Emergency, Instant, resolved_hash
from phoenix_operator.names import Annotation, Component, Finalizer, Label
from phoenix_operator.plan import resolved, rollout
from phoenix_operator.plan.account import answered, plan_account
from phoenix_operator.plan.facts import AccountFacts, AccountShared, MakerFacts, Switch
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.observed import account_resource, child, maker_resource, meta_of, older_twin, pod_fact
from phoenix_operator.plan.outcome import CarryOut, Forget, Refuse
from phoenix_operator.settings import Settings
from state_records import leading_record

NAMESPACE = "trading"
COLD = ("symbol", "account_ref", "mode"), ("venue", "environment", "endpoints", "egress", "settings", "budgets")
LEVELS = tuple(Emergency)
CHILDREN = ("Deployment", "ConfigMap", "PodDisruptionBudget", "Job", "Pod")


class RefusedError(Exception):
    """What the API server would refuse; a plan that meets this is wrong, or sees the world too late."""


@dataclass
class Object:
    """What we applied, what others put over it, what the server says of it. `live` is what everybody sees."""

    kind: str
    name: str
    uid: str
    ours: dict
    foreign: dict
    created_ms: int
    version: int = 1
    generation: int = 1
    deleted_ms: int | None = None
    finalizers: list = field(default_factory=list)
    status: dict = field(default_factory=dict)

    @property
    def live(self) -> dict:
        seen = merged(self.ours, self.foreign)
        meta = dict(seen.get("metadata", {}))
        meta.update(
            name=self.name,
            namespace=NAMESPACE,
            uid=self.uid,
            resourceVersion=str(self.version),
            generation=self.generation,
            creationTimestamp=str(Instant(self.created_ms)),
        )
        if self.deleted_ms is not None:
            meta["deletionTimestamp"] = str(Instant(self.deleted_ms))
        if self.finalizers:
            meta["finalizers"] = list(self.finalizers)
        return {**seen, "metadata": meta} | ({"status": self.status} if self.status else {})


def merged(under, over):
    """`over` wins; lists of named items merge by name, others are replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {
            key: merged(under.get(key), over.get(key)) for key in [*under, *(key for key in over if key not in under)]
        }
    if (
        isinstance(under, list)
        and isinstance(over, list)
        and all(isinstance(each, dict) and "name" in each for each in [*under, *over])
    ):
        by_name = {each["name"]: each for each in under}
        for each in over:
            by_name[each["name"]] = merged(by_name.get(each["name"]), each)
        return list(by_name.values())
    return under if over is None else over


def without(foreign, wished):
    """What is left to others after an apply that is forced: nothing that we wish."""
    if isinstance(foreign, dict) and isinstance(wished, dict):
        kept = {}
        for key, value in foreign.items():
            rest = without(value, wished[key]) if key in wished else value
            if rest not in (None, {}, []):
                kept[key] = rest
        return kept
    if (
        isinstance(foreign, list)
        and isinstance(wished, list)
        and all(isinstance(each, dict) and "name" in each for each in [*foreign, *wished])
    ):
        ours = {each["name"] for each in wished}
        return [each for each in foreign if each["name"] not in ours]
    return None


class ModelCluster:
    """`writes` counts requests of the operator. `broken`: template → why pods of it never become ready."""

    def __init__(self, settings: Settings | None = None, now_ms: int = 1_790_000_000_000) -> None:
        self.settings = settings or Settings(image="phoenix:1")
        self.now_ms = now_ms
        self.objects: dict[tuple[str, str], Object] = {}
        self.makers: dict[str, Object] = {}
        self.accounts: dict[str, Object] = {}
        self.pods: dict[str, Pod] = {}
        self.foreign: dict[str, tuple[str, ...]] = {}
        self.switch = Switch(Emergency.NONE, 0)
        self.outage = ""
        self.namespace_terminating = False
        self.fleet_problem = ""
        self.restarts: dict[str, object] = {}
        self.broken: set[str] = set()
        self.job_fails = False
        self.lost_nodes: set[str] = set()
        self.writes: list[str] = []
        self.events: list[tuple[str, str, str]] = []
        self.rolled_at_once = 0
        self._serial = itertools.count(1)
        self._makers_seen: dict[str, object] = {}
        self._accounts_seen: dict[str, object] = {}

    # -- people ------------------------------------------------------------------------------------

    def uid(self) -> str:
        return str(uuid.UUID(int=next(self._serial)))

    def put(self, manifest: dict) -> Object:
        """A person applies a maker or an account."""
        where = self.makers if manifest["kind"] == "MarketMaker" else self.accounts
        name = manifest["metadata"]["name"]
        if name not in where:
            where[name] = Object(manifest["kind"], name, self.uid(), copy.deepcopy(manifest), {}, self.now_ms)
            return where[name]
        known = where[name]
        if known.ours["spec"] != manifest["spec"]:
            known.generation += 1
        known.ours = copy.deepcopy(manifest)
        known.version += 1
        return known

    def change(self, kind: str, name: str, **spec) -> None:
        where = self.makers if kind == "MarketMaker" else self.accounts
        manifest = copy.deepcopy(where[name].ours)
        manifest["spec"].update(spec)
        self.put(manifest)

    def delete(self, kind: str, name: str) -> None:
        where = self.makers if kind == "MarketMaker" else self.accounts
        if where[name].finalizers:
            where[name].deleted_ms = where[name].deleted_ms or self.now_ms
            where[name].version += 1
        else:
            del where[name]

    def garbage(self, kind: str, name: str, manifest: dict, foreign: dict | None = None) -> Object:
        """An object that is there for whatever reason."""
        found = Object(kind, name, self.uid(), copy.deepcopy(manifest), foreign or {}, self.now_ms)
        self.objects[kind, name] = found
        return found

    # -- the operator ------------------------------------------------------------------------------

    def facts_of(self, name: str) -> MakerFacts:
        maker = self._seen(name)
        meta = maker.meta
        account = None
        if maker.account_ref in self.accounts:
            account = self._seen_account(maker.account_ref)
        own = [pod for pod in self.pods.values() if pod.maker == name]
        maps = [
            each for (kind, _), each in self.objects.items() if kind == "ConfigMap" and self._maker_of(each) == name
        ]
        siblings = 0
        for other in self.makers:
            if other != name and self._account_of(other) == maker.account_ref:
                siblings += self.is_rolling(other)
        return (
            MakerFacts(
                maker=maker,
                account=account,
                now_ms=self.now_ms,
                older_twin=older_twin(maker, [self._seen(each) for each in self.makers]),
                rivals=tuple(self._rivals(name)),
                foreign=self.foreign.get(name, ()),
                deployment=self._child("Deployment", name),
                config_maps=tuple(child(each.live) for each in maps),
                budget=self._child("PodDisruptionBudget", name),
                job=self._child("Job", f"{name}-withdraw"),
                pods=tuple(pod.fact for pod in own if pod.component == Component.WORKER),
                job_pods=tuple(pod.fact for pod in own if pod.component == Component.WITHDRAW),
                records=tuple(record for pod in own if (record := pod.record(self)) is not None),
                fleet_problem=self.fleet_problem,
                siblings_rolling=siblings,
                outage=self.outage,
                namespace_terminating=self.namespace_terminating,
                restart=self.restarts.get(name),
                fault="",
            )
            if meta
            else None
        )

    def reconcile(self, name: str):
        """Plans for one maker and carries the plan out."""
        facts = self.facts_of(name)
        plan = plan_maker(facts, self.settings)
        rolling_before = self.rolling_makers()
        self._check(facts, plan)
        maker = self.makers[name]
        if plan.add_finalizer is not None:
            self._write(f"{name} +finalizer")
            maker.finalizers.append(plan.add_finalizer.finalizer.value)
            maker.version += 1
        for apply in plan.apply:
            self._apply(name, apply)
        for scale in plan.scale:
            self._scale(scale)
        for patch in plan.pods:
            self._write(f"{name} pod {patch.name} {sorted(patch.annotations)}")
            self.pods[patch.name].annotations.update(patch.annotations)
        if plan.status is not None:
            self._write(f"{name} status")
            maker.status = plan.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            maker.version += 1
        for delete in plan.delete:
            self._delete(delete)
        self.events += [(name, event.reason.value, event.message) for event in plan.events]
        if plan.remove_finalizer is not None:
            self._write(f"{name} -finalizer")
            maker.finalizers.remove(plan.remove_finalizer.finalizer.value)
        if plan.starts_roll:
            account = self._account_of(name)
            others = [each for each in rolling_before if each != name and self._account_of(each) == account]
            assert len(others) < self.settings.max_concurrent_rolls, f"{name} rolls beside {others}"
        return plan

    def reconcile_account(self, name: str):
        account = self._seen_account(name)
        makers = tuple(each for each in sorted(self.makers) if self._account_of(each) == name)
        shared = None if self.fleet_problem else AccountShared("id-1", self.switch)
        records = [record for pod in self.pods.values() if (record := pod.record(self)) is not None]
        facts = AccountFacts(
            account=account,
            now_ms=self.now_ms,
            makers=makers,
            needed_by=tuple(each for each in makers if WITHDRAW_FINALIZER in self.makers[each].finalizers),
            live_makers=tuple(each for each in makers if self.workers_of(each)),
            records=tuple(records),
            shared=shared,
            fleet_problem=self.fleet_problem,
            outage=self.outage,
        )
        plan = plan_account(facts)
        there = self.accounts[name]
        if plan.add_finalizer is not None:
            self._write(f"account {name} +finalizer")
            there.finalizers.append(plan.add_finalizer.finalizer.value)
            there.version += 1
        if plan.declare is not None:
            self.switch = structs.replace(self.switch, declared=plan.declare.level)
        if (seed := plan.seed) is not None:
            told = {"level": seed.level, "epoch": seed.epoch, "reason": seed.reason, "source": seed.source}
            self.switch = structs.replace(self.switch, **told, seeded=True)
        status = plan.status or account.status
        for request in plan.requests:
            match request:
                case CarryOut():
                    status = answered(status, request.request, ok=True, message="done", now_ms=self.now_ms)
                case Refuse():
                    status = answered(status, request.request, ok=False, message=request.message, now_ms=self.now_ms)
                case Forget():
                    status = status.model_copy(
                        update={"requests": tuple(each for each in status.requests if each.id != request.id)}
                    )
        if status != account.status:
            self._write(f"account {name} status")
            there.status = status.model_dump(mode="json", by_alias=True, exclude_none=True)
            there.version += 1
        if plan.remove_finalizer is not None:
            self._write(f"account {name} -finalizer")
            there.finalizers.remove(plan.remove_finalizer.finalizer.value)
        return plan

    def round(self) -> int:
        """Every resource once; how many writes it took."""
        before = len(self.writes)
        for name in list(self.accounts):
            self.reconcile_account(name)
        for name in list(self.makers):
            self.reconcile(name)
        self._collect()
        return len(self.writes) - before

    def settle(self, rounds: int = 60, step_ms: int = 5_000) -> int:
        """Rounds until three in a row wrote nothing while the cluster stood still; fails where that never comes."""
        still = 0
        for each in range(rounds):
            written = self.round()
            moved = self.step(step_ms)
            still = still + 1 if not written and not moved else 0
            if still == 3:
                return each
        raise AssertionError(f"not at rest after {rounds} rounds; last writes: {self.writes[-8:]}")

    # -- the cluster -------------------------------------------------------------------------------

    def step(self, step_ms: int = 1_000) -> bool:
        """Every controller once; whether anything moved."""
        self.now_ms += step_ms
        moved = self._collect()
        for (kind, name), each in list(self.objects.items()):
            if kind == "Deployment":
                moved |= self._control_deployment(name, each)
            elif kind == "Job":
                moved |= self._control_job(each)
        for pod in list(self.pods.values()):
            moved |= pod.advance(self)
        return moved

    def is_rolling(self, maker: str) -> bool:
        own = [pod.fact for pod in self.pods.values() if pod.maker == maker and pod.component == Component.WORKER]
        return rollout.is_rolling(self._child("Deployment", maker), own)

    def rolling_makers(self) -> list[str]:
        return [maker for maker in self.makers if self.is_rolling(maker)]

    def workers_of(self, maker: str) -> list["Pod"]:
        return [pod for pod in self.pods.values() if pod.maker == maker and pod.component == Component.WORKER]

    def status(self, maker: str) -> dict:
        return self.makers[maker].status

    def condition(self, maker: str, type_: str) -> tuple[str, str]:
        found = next((each for each in self.status(maker).get("conditions", ()) if each["type"] == type_), None)
        return (found["status"], found["reason"]) if found else ("", "")

    def _control_deployment(self, name: str, deployment: Object) -> bool:
        live = deployment.live
        if self._maker_of(deployment) is None:
            return False
        moved = deployment.status.get("observedGeneration") != deployment.generation
        deployment.status = {"observedGeneration": deployment.generation}
        template = live["spec"]["template"]["metadata"]["labels"].get(Label.TEMPLATE.value, "")
        count = live["spec"].get("replicas", 1)
        own = [pod for pod in self.workers_of(name) if pod.owner in ("", deployment.uid) and not pod.deleting]
        present = [pod for pod in own if pod.template == template]
        older = [pod for pod in own if pod.template != template]
        ready = [pod for pod in own if pod.ready]
        if len(own) > count and (count == 0 or not older):
            victim = max(present or older, key=lambda pod: (not pod.ready, pod.name))
            return self._kill(victim)
        spare = len(own) - count - sum(not pod.ready for pod in present)
        unready = [pod for pod in older if not pod.ready]
        if spare > 0 and unready:  # as Kubernetes does: what is broken anyway goes first
            return self._kill(unready[0])
        if spare > 0 and older and len(ready) > count:
            return self._kill(older[0])
        if len(present) < count and len(own) <= count:
            self._start_pod(name, template, live, deployment.uid, Component.WORKER)
            return True
        return moved

    def _control_job(self, job: Object) -> bool:
        if job.status:
            return False
        maker = self._maker_of(job)
        own = [pod for pod in self.pods.values() if pod.maker == maker and pod.component == Component.WITHDRAW]
        if not own:
            labels = job.live["spec"]["template"]["metadata"]["labels"]
            self._start_pod(maker, labels[Label.TEMPLATE.value], job.live, job.uid, Component.WITHDRAW)
            return True
        if own[0].phase == "running":
            end = "Failed" if self.job_fails else "Complete"
            job.status = {"conditions": [{"type": end, "status": "True"}]}
            own[0].phase = "finished"
            own[0].last_words = "2 orders may rest" if self.job_fails else "nothing rests"
            return True
        return False

    def _start_pod(self, maker: str, template: str, live: dict, owner: str, component: Component) -> None:
        labels = live["spec"]["template"]["metadata"]["labels"]
        market = labels.get(Label.ACCOUNT.value), labels.get(Label.SYMBOL.value)
        if component is Component.WORKER and not self.workers_of(maker):
            rivals = [pod.name for pod in self.pods.values() if pod.market == market and pod.maker != maker]
            assert not rivals, f"a pod of {maker} is started beside {rivals} of the same symbol"
        serial = next(self._serial)
        name = f"{maker}-{template}-{serial}"
        self.pods[name] = Pod(name, self.uid(), maker, template, component, owner, market, self.now_ms)

    def _kill(self, pod: "Pod") -> bool:
        if not pod.deleting:
            pod.deleting = True
            return True
        return False

    def _collect(self) -> bool:
        """The garbage collector: what has no owner any more, and resources whose last finalizer has gone."""
        moved = False
        for where in (self.makers, self.accounts):
            for name, each in list(where.items()):
                if each.deleted_ms is not None and not each.finalizers:
                    del where[name]
                    moved = True
        uids = {each.uid for each in self.makers.values()}
        for key, each in list(self.objects.items()):
            owners = each.live["metadata"].get("ownerReferences", ())
            if owners and not any(owner["uid"] in uids for owner in owners):
                del self.objects[key]
                moved = True
        alive = {each.uid for each in self.objects.values()}
        for pod in list(self.pods.values()):
            if pod.owner and pod.owner not in alive:
                moved |= self._kill(pod)
        return moved

    # -- requests ----------------------------------------------------------------------------------

    def _write(self, what: str) -> None:
        self.writes.append(what)

    def _apply(self, maker: str, apply) -> None:
        key = apply.kind, apply.name
        self._write(f"apply {apply.kind} {apply.name}")
        known = self.objects.get(key)
        wished = copy.deepcopy(dict(apply.manifest))
        owner = wished["metadata"]["ownerReferences"][0]["uid"]
        if known is None:
            if apply.uid:
                raise RefusedError(f"{key} is not there, uid {apply.uid} was asked for")
            self.objects[key] = Object(apply.kind, apply.name, self.uid(), wished, {}, self.now_ms)
            return
        controller = meta_of(known.live).controller_uid
        if not apply.force and controller != owner:
            self.foreign[maker] = (*self.foreign.get(maker, ()), f"{apply.kind} {apply.name}")
            return
        if apply.uid and apply.uid != known.uid:
            raise RefusedError(f"{key} is {known.uid}, not {apply.uid}")
        if controller and controller != owner:
            raise RefusedError(f"{key} has another controller")
        if apply.kind == "Job" and known.live["spec"] != wished["spec"]:
            raise RefusedError("a Job's template is immutable")
        before = known.live.get("spec")
        known.foreign = without(known.foreign, wished) or {}
        known.ours = wished
        known.version += 1
        known.generation += known.live.get("spec") != before

    def _scale(self, scale) -> None:
        self._write(f"scale {scale.name} {scale.replicas}")
        known = self.objects["Deployment", scale.name]
        if known.uid != scale.uid:
            raise RefusedError("another Deployment")
        known.foreign = merged(known.foreign, {"spec": {"replicas": scale.replicas}})
        known.generation += 1
        known.version += 1

    def _delete(self, delete) -> None:
        self._write(f"delete {delete.kind} {delete.name}")
        if delete.kind == "Pod":
            pod = self.pods[delete.name]
            if pod.uid != delete.uid:
                raise RefusedError("another pod")
            self._kill(pod)
            return
        known = self.objects[delete.kind, delete.name]
        if known.uid != delete.uid:
            raise RefusedError(f"{delete.kind} {delete.name} is another")
        del self.objects[delete.kind, delete.name]

    def _check(self, facts: MakerFacts, plan) -> None:
        """What no plan may do, whatever it was given."""
        used = {pod.template for pod in facts.pods if not pod.finished}
        for delete in plan.delete:
            if delete.kind == "ConfigMap":
                template = delete.name.removeprefix(f"{facts.maker.meta.name}-")
                assert template not in used, f"{delete.name} is read by a pod"
            if delete.kind == "Pod":
                judged = facts.restart
                assert judged is not None, f"{delete.name} dies for no reason"
                assert judged.holder.startswith(delete.uid), f"{delete.name} dies for another's reason"
        if facts.maker.meta.deleting:
            made = {apply.kind for apply in plan.apply}
            assert not made & {"Deployment", "PodDisruptionBudget"}, f"{made} of a maker that is deleted"
            assert all(scale.replicas == 0 for scale in plan.scale)
        names = [(apply.kind, apply.name) for apply in plan.apply]
        assert len(names) == len(set(names)), "one object twice in a plan"

    # -- what is seen ------------------------------------------------------------------------------

    def _seen(self, name: str):
        self._makers_seen[name] = maker_resource(self.makers[name].live, self._makers_seen.get(name))
        return self._makers_seen[name]

    def _seen_account(self, name: str):
        self._accounts_seen[name] = account_resource(self.accounts[name].live, self._accounts_seen.get(name))
        return self._accounts_seen[name]

    def _child(self, kind: str, name: str):
        found = self.objects.get((kind, name))
        return None if found is None or self._maker_of(found) is None else child(found.live)

    def _maker_of(self, each: Object) -> str | None:
        """By the label that the operator's watches select."""
        return each.live["metadata"].get("labels", {}).get(Label.MAKER.value)

    def _account_of(self, name: str) -> str:
        return self.makers[name].ours["spec"].get("accountRef", "default")

    def _rivals(self, name: str) -> list[str]:
        spec = self.makers[name].ours["spec"]
        market = spec.get("accountRef", "default"), spec.get("symbol")
        return [
            pod.name
            for pod in self.pods.values()
            if pod.market == market and pod.maker != name and pod.phase != "finished"
        ]


@dataclass
class Pod:
    """A pod with its worker: pending → starting → running; a deleted one is gone a step later, unless its node is."""

    name: str
    uid: str
    maker: str
    template: str
    component: Component
    owner: str
    market: tuple
    created_ms: int
    phase: str = "pending"
    deleting: bool = False
    ready: bool = False
    last_words: str = ""
    annotations: dict = field(default_factory=dict)
    reads: tuple | None = None
    started_with: tuple | None = None
    nudged: str = ""
    hashed: tuple | None = None

    @property
    def fact(self):
        running = self.phase in ("starting", "running")
        state = (
            {"running": {}}
            if running
            else {"terminated": {"message": self.last_words}}
            if self.phase == "finished"
            else {}
        )
        labels = {
            Label.TEMPLATE.value: self.template,
            Label.COMPONENT.value: self.component.value,
            Label.MAKER.value: self.maker,
        }
        manifest = {
            "metadata": {
                "name": self.name,
                "uid": self.uid,
                "labels": labels,
                "annotations": self.annotations,
                "creationTimestamp": str(Instant(self.created_ms)),
            },
            "status": {
                "phase": {"pending": "Pending", "finished": "Succeeded"}.get(self.phase, "Running"),
                "conditions": [{"type": "Ready", "status": "True" if self.ready else "False"}],
                "containerStatuses": [{"name": "worker", "state": state}],
            },
        }
        if self.deleting:
            manifest["metadata"]["deletionTimestamp"] = str(Instant(self.created_ms))
        return pod_fact(manifest)

    def advance(self, cluster: ModelCluster) -> bool:
        if self.deleting:
            if self.name in cluster.lost_nodes:
                return False
            del cluster.pods[self.name]
            return True
        content = cluster.objects.get(("ConfigMap", f"{self.maker}-{self.template}"))
        data = resolved.read(content.live.get("data", {})) if content is not None else None
        match self.phase:
            case "pending" if content is not None and data is not None:
                self.phase, self.started_with, self.reads = "starting", data, data
                return True
            case "starting" if self.template not in cluster.broken:
                self.phase = "running"
                self.ready = self.component is Component.WORKER
                return True
            case "running" if self.annotations.get(Annotation.NUDGE, "") != self.nudged:
                self.nudged = self.annotations[Annotation.NUDGE]
                if data is not None and not self._is_colder(data):
                    self.reads = data
                return True
        return False

    def _is_colder(self, data) -> bool:
        """Whether a cold value differs from the ones of the start: then the file is refused whole."""
        return any(
            getattr(now.spec, name) != getattr(then.spec, name)
            for now, then, names in zip(data, self.started_with, COLD, strict=True)
            for name in names
        )

    def record(self, cluster: ModelCluster):
        if self.phase not in ("starting", "running") or self.component is not Component.WORKER or cluster.fleet_problem:
            return None
        maker, account = self.reads
        running = self.phase == "running"
        leads = running and self._leads(cluster)
        level = max((account.spec.emergency, cluster.switch.declared, cluster.switch.level), key=LEVELS.index)
        stopped = Reason.EMERGENCY if level != "None" else Reason.PAUSED if maker.spec.paused else None
        reason = (stopped or Reason.QUOTING) if leads else Reason.STANDBY
        return leading_record(
            symbol=self.market[1],
            holder=f"{self.uid}/0badcafe",
            namespace=NAMESPACE,
            maker=self.maker,
            account=f"{NAMESPACE}/{self.market[0]}",
            role=Role.LEADING if leads else Role.STANDBY if running else Role.STARTING,
            ready=self.ready,
            reason=reason if running else Reason.STARTING,
            reasons_not_ready=[] if running else [Reason.STARTING],
            configuration=Configuration(hash=self._hash(), generation=maker.metadata.generation or 0),
            emergency=EmergencyState(str(level), cluster.switch.epoch),
        )

    def _hash(self) -> str:
        if self.hashed is None or self.hashed[0] is not self.reads:
            self.hashed = self.reads, resolved_hash(self.reads[0].spec, self.reads[1].spec)
        return self.hashed[1]

    def _leads(self, cluster: ModelCluster) -> bool:
        """The lease: of one market's ready pods the oldest that does not drain."""
        field_ = [
            pod
            for pod in cluster.pods.values()
            if pod.market == self.market and pod.ready and not pod.deleting and pod.component is Component.WORKER
        ]
        return bool(field_) and min(field_, key=lambda pod: (pod.created_ms, pod.name)) is self


WITHDRAW_FINALIZER = Finalizer.WITHDRAW.value

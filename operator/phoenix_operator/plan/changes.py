"""What a maker's situation means for its children: what is applied, scaled, deleted, nudged."""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from phoenix_coordination.state import pod_uid_of

from phoenix_operator.names import Annotation, ConditionReason, EventAction, EventReason, EventType
from phoenix_operator.plan import children, config_maps, nudges, rollout
from phoenix_operator.plan.conditions import shortened
from phoenix_operator.plan.difference import difference
from phoenix_operator.plan.facts import Child, MakerFacts, PodFact
from phoenix_operator.plan.outcome import Apply, Delete, Event, PodPatch, Scale, Situation
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.plan.restarts import Verdict as RestartVerdict
from phoenix_operator.plan.situation import Found
from phoenix_operator.plan.workers import Worker
from phoenix_operator.settings import Settings

_LEADERS_COST = "100"
ROLL_LOOK_AGAIN_MS = 10_000


class Changes(msgspec.Struct, frozen=True):
    """What is to be done to the children, and why."""

    apply: tuple[Apply, ...] = ()
    scale: tuple[Scale, ...] = ()
    delete: tuple[Delete, ...] = ()
    pods: tuple[PodPatch, ...] = ()
    events: tuple[Event, ...] = ()
    again_ms: int | None = None


def plan_changes(found: Found, facts: MakerFacts, settings: Settings, workers: Sequence[Worker]) -> Changes:
    """Everything that is to be done to the children of a maker that nobody deletes."""
    match found.situation:
        case (
            Situation.NOTHING_LEFT
            | Situation.DELETING
            | Situation.NAMESPACE_TERMINATING
            | Situation.DISABLED
            | Situation.NO_ACCOUNT
            | Situation.ACCOUNT_INVALID
            | Situation.ACCOUNT_DELETED
        ):
            return Changes()
        case Situation.SYMBOL_CONFLICT:
            return _to_zero(facts, found.text)
        case Situation.INVALID | Situation.CHILD_NOT_OURS | Situation.NOT_ADMITTED | Situation.OCCUPIED:
            return _kept(found, facts, settings, workers, target=False)
        case Situation.ROLL_WAITS | Situation.HELD:
            return _kept(found, facts, settings, workers, target=False)
        case Situation.STARTING | Situation.ROLL_DUE | Situation.ROLLING | Situation.STEADY:
            return _kept(found, facts, settings, workers, target=True)
        case _:
            assert_never(found.situation)


def _to_zero(facts: MakerFacts, why: str) -> Changes:
    live = facts.deployment
    if live is None or live.meta.deleting or rollout.replicas_of(live) == 0:
        return Changes()
    event = _event(EventReason.SCALED_TO_ZERO, why, EventAction.SCALE, EventType.WARNING)
    return Changes(scale=(Scale(live.meta.name, live.meta.uid, 0),), events=(event,))


def _kept(found: Found, facts: MakerFacts, settings: Settings, workers: Sequence[Worker], *, target: bool) -> Changes:
    """ConfigMaps of all templates in use, and (`target`) the Deployment itself; then what follows from pods."""
    wanted, verdict = found.wanted, found.verdict
    if wanted is None or verdict is None:
        return Changes()
    maps = config_maps.plan_config_maps(facts, wanted, verdict, settings, target=target)
    applied, events = list(maps.apply), []
    scaled: tuple[Scale, ...] = ()
    deleted = list(maps.delete)
    if target:
        manifest = children.deployment(facts.maker, wanted, verdict.target, settings)
        change = _applied(manifest, facts.deployment)
        if change is not None:
            applied.append(change)
            events.append(_told_of(found.situation, manifest, facts.deployment))
    else:
        scaled = _count_kept(found.situation, wanted, facts.deployment)
    if found.situation not in {Situation.INVALID, Situation.CHILD_NOT_OURS, Situation.OCCUPIED}:
        applied += _budget(facts, wanted, settings)
        deleted += _surplus(facts, wanted)
    if found.situation is Situation.ROLL_WAITS:
        events += _waiting(facts, found.text)
    restart = _restart(facts)
    nudged = nudges.plan_nudges(facts.pods, maps.targets, facts.records, facts.now_ms, changed=bool(maps.apply))
    patches = _merged((*nudged.patches, *_deletion_costs(facts, wanted, workers)))
    waits = [nudged.again_ms, ROLL_LOOK_AGAIN_MS if found.situation is Situation.ROLL_WAITS else None]
    return Changes(
        apply=tuple(applied),
        scale=scaled,
        delete=(*deleted, *restart.delete),
        pods=patches,
        events=(*events, *restart.events),
        again_ms=min((each for each in waits if each is not None), default=None),
    )


def _applied(manifest: dict[str, object], live: Child | None) -> Apply | None:
    """None where it is as wished, or on its way out (made again once it is gone)."""
    if live is None:
        return Apply(manifest, "", force=False)
    if live.meta.deleting or not difference(manifest, live.manifest):
        return None
    return Apply(manifest, live.meta.uid, force=True)


def _told_of(situation: Situation, manifest: dict[str, object], live: Child | None) -> Event:
    if live is None:
        return _event(EventReason.CREATED, f"Deployment {_name(manifest)} is made", EventAction.APPLY)
    if situation is Situation.ROLL_DUE:
        text = f"a cold value has changed: pods of template {rollout.template_of(live)} are replaced"
        return _event(EventReason.ROLLING_OUT, text, EventAction.ROLL)
    text = f"Deployment {live.meta.name}: {difference(manifest, live.manifest)}"
    return _event(EventReason.CORRECTED, text, EventAction.APPLY)


def _count_kept(situation: Situation, wanted: Resolved, live: Child | None) -> tuple[Scale, ...]:
    """A Deployment whose template stays has its number of pods all the same; in trouble it is not scaled up."""
    if live is None or live.meta.deleting or situation not in {Situation.ROLL_WAITS, Situation.HELD}:
        return ()
    count = children.replicas(wanted)
    return () if rollout.replicas_of(live) == count else (Scale(live.meta.name, live.meta.uid, count),)


def _budget(facts: MakerFacts, wanted: Resolved, settings: Settings) -> list[Apply]:
    if not wanted.maker.spec.standby:
        return []
    change = _applied(children.budget(facts.maker, settings), facts.budget)
    return [] if change is None else [change]


def _surplus(facts: MakerFacts, wanted: Resolved) -> list[Delete]:
    """A budget of a maker without a standby, and a withdraw Job of one that nobody deletes."""
    found = []
    if facts.budget is not None and not facts.budget.meta.deleting and not wanted.maker.spec.standby:
        found.append(Delete("PodDisruptionBudget", facts.budget.meta.name, facts.budget.meta.uid))
    if facts.job is not None and not facts.job.meta.deleting:
        found.append(Delete("Job", facts.job.meta.name, facts.job.meta.uid))
    return found


def _restart(facts: MakerFacts) -> Changes:
    """The pod of a stale worker, where the rule says so and it is still there, and has not got well meanwhile."""
    judged = facts.restart
    if judged is None or judged.verdict is not RestartVerdict.RESTART:
        return Changes()
    uid = pod_uid_of(judged.holder)
    pod = next((each for each in facts.pods if uid and each.uid == uid and not each.deleting), None)
    if pod is None or _serves(facts, judged.holder, pod):
        return Changes()
    event = _event(
        EventReason.RESTARTED, f"pod {pod.name} is replaced: {judged.text}", EventAction.RESTART, EventType.WARNING
    )
    return Changes(delete=(Delete("Pod", pod.name, pod.uid),), events=(event,))


def _serves(facts: MakerFacts, holder: str, pod: PodFact) -> bool:
    return pod.ready and any(record.holder == holder and record.ready for record in facts.records)


def _deletion_costs(facts: MakerFacts, wanted: Resolved, workers: Sequence[Worker]) -> tuple[PodPatch, ...]:
    """With a standby, whoever scales down takes the pod that does not lead. Written when the leader changes."""
    leader = next((worker.pod for worker in workers if worker.leads), None)
    if leader is None or not wanted.maker.spec.standby:
        return ()
    found = []
    for pod in facts.pods:
        cost = _LEADERS_COST if pod.uid == leader.uid else "0"
        known = pod.deletion_cost or "0"
        if cost != known and not pod.deleting and not pod.finished:
            found.append(PodPatch(pod.name, pod.uid, {Annotation.DELETION_COST.value: cost}))
    return tuple(found)


def _merged(patches: Sequence[PodPatch]) -> tuple[PodPatch, ...]:
    """One request a pod."""
    by_uid: dict[str, PodPatch] = {}
    for each in patches:
        before = by_uid.get(each.uid)
        known = {} if before is None else dict(before.annotations)
        by_uid[each.uid] = PodPatch(each.name, each.uid, {**known, **each.annotations})
    return tuple(by_uid.values())


def _waiting(facts: MakerFacts, text: str) -> list[Event]:
    """Told once: when `Ready` does not say so yet."""
    ready = next((each for each in facts.maker.status.conditions if each.type == "Ready"), None)
    if ready is not None and ready.reason == ConditionReason.ROLL_WAITS:
        return []
    return [_event(EventReason.ROLL_WAITS, text, EventAction.ROLL)]


def _name(manifest: dict[str, object]) -> str:
    meta = manifest["metadata"]
    return str(meta["name"]) if isinstance(meta, dict) else ""


def _event(reason: EventReason, message: str, action: EventAction, type_: EventType = EventType.NORMAL) -> Event:
    return Event(type_, reason, shortened(message), action)

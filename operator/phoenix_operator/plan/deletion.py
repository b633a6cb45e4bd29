"""A maker is deleted: to zero, then a Job that withdraws, then the finalizer goes. Bounded in time, whatever is away.

    scaling     the Deployment goes to zero; SIGTERM withdraws and releases
    pods go     until they are gone, or their grace has passed twice (a node that is lost keeps its pods for ever)
    withdrawing the Job takes the lease, cancels, closes the position if asked, settles the ledger's entry
    over        the Job has succeeded; or it has failed, its time has passed, or there can be none: then the Event says
                what may be left, with the Job's own last words

Where an older maker has the symbol there is no Job: it would wait for that one's lease, and close its position.

In a namespace that ends no Job can be made: SIGTERM withdraws, the exchange's countdown clears the rest. Children are
never made again but for what the Job needs. A disabled reconcile (annotation) does not hold a deletion up: nobody would
see why it never ends.
"""

from enum import StrEnum
from typing import assert_never

import msgspec
from phoenix_crds import OnDelete

from phoenix_operator.names import EventAction, EventReason, EventType, Finalizer
from phoenix_operator.plan import children
from phoenix_operator.plan.conditions import shortened
from phoenix_operator.plan.facts import Child, JobState, MakerFacts
from phoenix_operator.plan.observed import job_state
from phoenix_operator.plan.outcome import Apply, Event, FinalizerChange, MakerPlan, Scale, Situation
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.plan.rollout import replicas_of, template_of
from phoenix_operator.settings import Settings

PODS_MS = 2 * children.GRACE_S * 1000
LONGEST_MS = 600_000
"""A Job ends by its own deadline long before; this is for one that nobody ends, and for one that the API server does
not let us make. An operator that was away for longer still makes it."""
LOOK_AGAIN_MS = 5_000


class Stage(StrEnum):
    """How far a deletion has come: exactly one holds, judged in this order."""

    GONE = "gone"
    SCALING = "scaling"
    PODS_GO = "pods go"
    NAMESPACE_ENDS = "namespace ends"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    TIME_OVER = "time over"
    NO_JOB_POSSIBLE = "no job possible"
    JOB_RUNS = "job runs"
    JOB_DUE = "job due"
    NOT_OURS = "not ours"


class Progress(msgspec.Struct, frozen=True):
    stage: Stage
    text: str


def progress(facts: MakerFacts, wanted: Resolved | None) -> Progress:
    """How far it has come. `wanted`: what the Job would read, None where there is nothing to read it from."""
    meta = facts.maker.meta
    if Finalizer.WITHDRAW not in meta.finalizers:
        return Progress(Stage.GONE, "deleted")
    since_ms = facts.now_ms - (meta.deleting_since_ms or facts.now_ms)
    if facts.deployment is not None and replicas_of(facts.deployment) > 0 and not facts.deployment.meta.deleting:
        return Progress(Stage.SCALING, "its pods are told to withdraw")
    pods = [pod.name for pod in facts.pods if not pod.finished]
    if pods and since_ms < PODS_MS:
        return Progress(Stage.PODS_GO, f"waits for {', '.join(pods)} to withdraw")
    if facts.namespace_terminating:
        return Progress(Stage.NAMESPACE_ENDS, "the namespace ends: its pods were told to withdraw, no Job can be made")
    job = _own_job(facts)
    if job is not None:
        return _of_job(job, facts)
    if instead := facts.older_twin or facts.elder:
        text = f"its pods have gone; maker {instead} trades the symbol, so no Job withdraws beside it"
        return Progress(Stage.NOT_OURS, text + _unkept_wish(facts, wanted))
    if facts.fault and since_ms >= LONGEST_MS:
        return Progress(Stage.TIME_OVER, f"no withdraw Job could be made: {facts.fault}")
    if wanted is None or _taken(facts):
        return Progress(Stage.NO_JOB_POSSIBLE, _why_no_job(facts))
    return Progress(Stage.JOB_DUE, "a Job withdraws what may be left")


def plan_deletion(facts: MakerFacts, wanted: Resolved | None, settings: Settings) -> MakerPlan:
    """What is next. The status is left to who calls."""
    found = progress(facts, wanted)
    match found.stage:
        case Stage.GONE:
            return MakerPlan(Situation.NOTHING_LEFT)
        case Stage.SCALING:
            deployment = facts.deployment
            if deployment is None:
                raise ValueError("a Deployment that is not there cannot be scaled")
            scale = Scale(deployment.meta.name, deployment.meta.uid, 0)
            event = _event(EventReason.WITHDRAWING, "deleted: the pods withdraw and end", EventAction.SCALE)
            return MakerPlan(Situation.DELETING, scale=(scale,), events=(event,), again_ms=LOOK_AGAIN_MS)
        case Stage.PODS_GO | Stage.JOB_RUNS:
            return MakerPlan(Situation.DELETING, again_ms=LOOK_AGAIN_MS)
        case Stage.JOB_DUE:
            if wanted is None:
                raise ValueError("a Job needs parameters")
            return _start_job(facts, wanted, settings)
        case Stage.WITHDRAWN | Stage.NOT_OURS:
            return _let_go(_event(EventReason.WITHDRAWN, found.text, EventAction.WITHDRAW))
        case Stage.NAMESPACE_ENDS:
            text = found.text + _unkept_wish(facts, wanted)
            return _let_go(_event(EventReason.NOT_WITHDRAWN, text, EventAction.WITHDRAW, EventType.WARNING))
        case Stage.FAILED | Stage.TIME_OVER | Stage.NO_JOB_POSSIBLE:
            text = (
                f"{found.text}; orders may rest until the exchange's countdown of a minute, a position may be open:"
                f" look at `phoenix orders` and `phoenix positions`{_unkept_wish(facts, wanted)}"
            )
            return _let_go(_event(EventReason.NOT_WITHDRAWN, text, EventAction.WITHDRAW, EventType.WARNING))
        case _:
            assert_never(found.stage)


def _start_job(facts: MakerFacts, wanted: Resolved, settings: Settings) -> MakerPlan:
    """With a ConfigMap of the maker's that is there, whose cold values are those that it traded with."""
    template = _template_to_read(facts)
    applied: list[Apply] = []
    if template is None:
        template = children.template_hash(wanted, settings)
        data = children.config_map(facts.maker, template, wanted.data, settings)
        applied.append(Apply(data, "", force=False))
    applied.append(Apply(children.withdraw_job(facts.maker, wanted, template, settings), "", force=False))
    event = _event(EventReason.WITHDRAWING, "a Job withdraws what may be left", EventAction.WITHDRAW)
    return MakerPlan(Situation.DELETING, apply=tuple(applied), events=(event,), again_ms=LOOK_AGAIN_MS)


def _template_to_read(facts: MakerFacts) -> str | None:
    there = {each.meta.name: each for each in facts.config_maps if not each.meta.deleting}
    if facts.deployment is not None:
        template = template_of(facts.deployment)
        if children.config_map_name(facts.maker.meta.name, template) in there:
            return template
    newest = max(there.values(), key=lambda each: (each.meta.created_ms, each.meta.name), default=None)
    return None if newest is None else newest.meta.name.removeprefix(f"{facts.maker.meta.name}-")


def _own_job(facts: MakerFacts) -> Child | None:
    """A Job of an earlier maker of this name is not this one's; the garbage collector has it."""
    job = facts.job
    return job if job is not None and job.meta.controller_uid == facts.maker.meta.uid else None


def _of_job(job: Child, facts: MakerFacts) -> Progress:
    match job_state(job):
        case JobState.SUCCEEDED:
            return Progress(Stage.WITHDRAWN, f"withdrawn{_last_words(facts)}")
        case JobState.FAILED:
            return Progress(Stage.FAILED, f"the withdraw Job has failed{_last_words(facts)}")
        case JobState.RUNNING if facts.now_ms - job.meta.created_ms >= LONGEST_MS:
            return Progress(Stage.TIME_OVER, f"the withdraw Job does not end{_last_words(facts)}")
        case JobState.RUNNING:
            return Progress(Stage.JOB_RUNS, "a Job withdraws what may be left")


def _last_words(facts: MakerFacts) -> str:
    said = [pod for pod in facts.job_pods if pod.last_words]
    newest = max(said, key=lambda pod: (pod.created_ms, pod.name), default=None)
    if newest is not None:
        return f": {newest.last_words}"
    waiting = next((pod for pod in facts.job_pods if pod.waiting_reason or pod.unschedulable), None)
    return f": {waiting.waiting_message or waiting.waiting_reason or waiting.unschedulable}" if waiting else ""


def _taken(facts: MakerFacts) -> str:
    """What of the Job's is somebody else's: its own name, or that of the ConfigMap that it would read; else ""."""
    job = f"Job {children.job_name(facts.maker.meta.name)}"
    if job in facts.foreign or _template_to_read(facts) is not None:
        return job if job in facts.foreign else ""
    return next((each for each in facts.foreign if each.startswith("ConfigMap ")), "")


def _why_no_job(facts: MakerFacts) -> str:
    name = facts.maker.account_ref
    if facts.account is None:
        return f"no withdraw Job: TradingAccount {name}, which has the key, is not there"
    if facts.account.spec is None:
        return f"no withdraw Job: TradingAccount {name} does not validate ({facts.account.problem})"
    if facts.maker.spec is None:
        return f"no withdraw Job: the maker does not validate ({facts.maker.problem}), and what it traded with is gone"
    return f"no withdraw Job: a {_taken(facts)} of somebody else is there"


def _unkept_wish(facts: MakerFacts, wanted: Resolved | None) -> str:
    spec = wanted.maker.spec if wanted is not None else facts.maker.spec
    flatten = spec is not None and spec.on_delete is OnDelete.FLATTEN
    return "; onDelete: Flatten was not honoured" if flatten else ""


def _let_go(event: Event) -> MakerPlan:
    return MakerPlan(Situation.DELETING, events=(event,), remove_finalizer=FinalizerChange(Finalizer.WITHDRAW))


def _event(reason: EventReason, message: str, action: EventAction, type_: EventType = EventType.NORMAL) -> Event:
    return Event(type_, reason, shortened(message), action)

"""What is to be done for one maker: first its situation, then what follows from it for children and status.

The same facts give the same plan, and a plan that was carried out gives an empty one.
"""

from collections.abc import Sequence

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import MarketMakerSpec, RampProgress

from phoenix_operator.names import Finalizer
from phoenix_operator.plan import deletion, resolved
from phoenix_operator.plan.changes import plan_changes
from phoenix_operator.plan.facts import MakerFacts
from phoenix_operator.plan.maker_status import StatusWish, plan_status, quotes
from phoenix_operator.plan.outcome import FinalizerChange, MakerPlan, Situation
from phoenix_operator.plan.ramp import Stage, plan_ramp, present_stage, standing
from phoenix_operator.plan.situation import situate
from phoenix_operator.plan.workers import Worker, workers_of
from phoenix_operator.settings import Settings

_HANDS_OFF = frozenset({Situation.DISABLED, Situation.NAMESPACE_TERMINATING})


def plan_maker(facts: MakerFacts, settings: Settings) -> MakerPlan:
    """Everything that is to be done for one maker now."""
    workers = workers_of(facts.pods, facts.records)
    stage = _stage(facts, workers)
    found = situate(facts, settings, stage)
    if found.situation is Situation.NOTHING_LEFT:
        return MakerPlan(found.situation)
    if found.situation is Situation.DELETING:
        plan = deletion.plan_deletion(facts, found.wanted, settings)
        if plan.situation is Situation.NOTHING_LEFT or plan.remove_finalizer is not None:
            return plan
        status = plan_status(facts, StatusWish(found.situation, found.text, None, None, workers, stage))
        return msgspec.structs.replace(plan, status=status.status, events=(*plan.events, *status.events))
    changes = plan_changes(found, facts, settings, workers)
    status = plan_status(facts, StatusWish(found.situation, found.text, found.wanted, found.verdict, workers, stage))
    waits = [each for each in (changes.again_ms, status.again_ms, stage.again_ms) if each is not None]
    started = any(each.kind == "Deployment" for each in changes.apply)
    return MakerPlan(
        found.situation,
        add_finalizer=_guard(found.situation, facts, started=started),
        apply=changes.apply,
        scale=changes.scale,
        status=status.status,
        delete=changes.delete,
        pods=changes.pods,
        events=(*changes.events, *status.events),
        again_ms=min(waits, default=None),
        starts_roll=found.situation is Situation.ROLL_DUE and started,
    )


def _guard(situation: Situation, facts: MakerFacts, *, started: bool) -> FinalizerChange | None:
    """Our finalizer is there before the first pod can be, and again where somebody took it away."""
    if Finalizer.WITHDRAW in facts.maker.meta.finalizers or situation in _HANDS_OFF:
        return None
    return FinalizerChange(Finalizer.WITHDRAW) if started or facts.deployment is not None else None


def _stage(facts: MakerFacts, workers: Sequence[Worker]) -> Stage:
    maker = facts.maker
    spec, before = maker.spec, maker.status.ramp
    if spec is None:
        return Stage(None, before)
    leader = next((worker.record for worker in workers if worker.leads), None)
    awaited = facts.history is not None and facts.history.awaiting_ready
    stopped = leader is not None and bool(leader.halt.reason or leader.emergency.level != "None")
    stands = standing(before, _place(facts, spec))
    counts = leader is not None and _is_in_force(facts, spec, stands, leader) and quotes(facts, workers)
    return plan_ramp(spec, stands, leader, facts.now_ms, counts=counts, incident=awaited or stopped)


def _place(facts: MakerFacts, spec: MarketMakerSpec) -> str:
    account = facts.account.spec if facts.account is not None else None
    return "" if account is None else f"{spec.mode.value} {account.environment}"


def _is_in_force(facts: MakerFacts, spec: MarketMakerSpec, stands: RampProgress, leader: StateRecord) -> bool:
    """Whether the leader runs with the ramp's present stage. Nobody's work counts while reconciling is disabled."""
    stage = present_stage(spec, stands)
    if stage is None or facts.account is None or facts.maker.is_disabled:
        return False
    conflict = bool(facts.account_conflict)
    wanted = resolved.resolve(facts.maker.meta, spec, facts.account, stage=stage, withdrawn=conflict)
    return wanted is not None and leader.configuration.hash == wanted.hash

"""What a maker's status says, from its situation, its workers and what it said before. Written only where it changes.

`Ready` is decided in `readiness`; the others are what the worker that counts tells. A worker's word can change many
times a second, and each change would be a write and an Event: so a change is told at once when the last one is a while
ago, and else once it has lasted.
"""

from collections.abc import Sequence

import msgspec
from phoenix_coordination.state import Reason, StateRecord
from phoenix_crds import Condition, Instant, MakerStatus, Restarts, SymbolHalt

from phoenix_operator.names import ConditionReason, ConditionType, EventAction, EventReason, EventType
from phoenix_operator.plan import conditions
from phoenix_operator.plan.conditions import Status, Wish, truth
from phoenix_operator.plan.facts import MakerFacts
from phoenix_operator.plan.figures import plan_figures
from phoenix_operator.plan.jitter import jitter_of
from phoenix_operator.plan.outcome import Event, Situation
from phoenix_operator.plan.ramp import Stage
from phoenix_operator.plan.readiness import Readiness, readiness
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.plan.rollout import Verdict, replicas_of
from phoenix_operator.plan.workers import UNTIL_MENDED, YOUNG_MS, Worker

SETTLED_MS = 15_000
"""A status that has stood for so long may change at once."""
LASTING_MS = 5_000
"""Otherwise what the worker tells must have lasted so long."""
_OF_THE_TICK = frozenset({ConditionType.QUOTING, ConditionType.PRICE_FRESH})
_TOLD_AS_IT_IS = UNTIL_MENDED | {Reason.EMERGENCY, Reason.RISK_HALTED}
_STALE = frozenset({Reason.PRICE_STALE, Reason.BOOK_NOT_SYNCED})


class StatusWish(msgspec.Struct, frozen=True):
    """What the plan has found out. `workers`: the one that counts first."""

    situation: Situation
    text: str
    wanted: Resolved | None
    verdict: Verdict | None
    workers: Sequence[Worker]
    stage: Stage


class StatusPlan(msgspec.Struct, frozen=True):
    """`status` is None where it says so already."""

    status: MakerStatus | None
    events: tuple[Event, ...]
    again_ms: int | None


def plan_status(facts: MakerFacts, wish: StatusWish) -> StatusPlan:
    """The whole status, what changed in it, and when to look again."""
    before, meta = facts.maker.status, facts.maker.meta
    worker = wish.workers[0] if wish.workers else None
    ready = readiness(wish.situation, wish.text, facts, wish.wanted, wish.verdict, wish.workers)
    told = _Told(before.conditions, worker, facts, ready)
    wishes = [
        Wish(ConditionType.READY, ready.status, ready.reason, ready.message),
        *told.of_the_worker(),
        _outage(facts),
        *_conflicts(facts, wish),
        *_progress(ready),
    ]
    held = conditions.conditions(before.conditions, wishes, meta.generation, facts.now_ms)
    leader = next((each for each in wish.workers if each.leads), None)
    figures = plan_figures(before.figures, leader.record if leader else None, facts.now_ms, jitter_of(meta.uid))
    status = MakerStatus(
        observed_generation=meta.generation,
        applied_generation=_applied_generation(before, wish, worker),
        conditions=held,
        reason=_column(held, ready),
        pod=_pod(before, leader, facts),
        parameters_hash=wish.wanted.hash if wish.wanted else before.parameters_hash,
        template_hash=wish.verdict.template if wish.verdict else before.template_hash,
        restarts=_restarts(before, facts),
        figures=figures.figures,
        ramp=wish.stage.progress,
        halt=_halt(before, leader, facts),
    )
    events = [*conditions.transitions(before.conditions, held)]
    if wish.stage.text:
        events.append(Event(EventType.NORMAL, EventReason.RAMP_STAGE, wish.stage.text, EventAction.RECONCILE))
    waits = [each for each in (told.again_ms, figures.again_ms) if each is not None]
    return StatusPlan(None if status == before else status, tuple(events), min(waits, default=None))


def quotes(facts: MakerFacts, workers: Sequence[Worker]) -> bool:
    """Whether `Quoting` is going to be true: a break too short to be told is none."""
    told = _Told(facts.maker.status.conditions, workers[0] if workers else None, facts, None).of_the_worker()
    return any(each.type is ConditionType.QUOTING and each.status == "True" for each in told)


class _Told:
    """The conditions that come from the worker that counts, settled."""

    def __init__(
        self, before: Sequence[Condition], worker: Worker | None, facts: MakerFacts, ready: Readiness | None
    ) -> None:
        self._ready = ready
        self._before = before
        self._worker = worker
        self._facts = facts
        self.again_ms: int | None = None

    def of_the_worker(self) -> list[Wish]:
        worker = self._worker
        if worker is None:
            return [
                self._unknown(type_)
                for type_ in (
                    ConditionType.QUOTING,
                    ConditionType.LEASE_HELD,
                    ConditionType.PRICE_FRESH,
                    ConditionType.RISK_HALTED,
                )
            ]
        record = worker.record
        said = record.detail or record.reason.value
        if worker.starts:
            self.again_ms = max(100, YOUNG_MS - record.ages.running) if record.ages.running < YOUNG_MS else None
            return [
                Wish(ConditionType.QUOTING, "False", Reason.STARTING, said),
                Wish(ConditionType.LEASE_HELD, "Unknown", ConditionReason.STARTING, said),
                Wish(ConditionType.PRICE_FRESH, "Unknown", ConditionReason.STARTING, said),
                Wish(ConditionType.RISK_HALTED, "Unknown", ConditionReason.STARTING, said),
            ]
        stale = next((reason for reason in record.reasons_not_ready if reason in _STALE), None)
        fresh = truth(stale is None)
        return [
            self._settled(ConditionType.QUOTING, truth(worker.quotes), record.reason.value, said),
            self._settled(
                ConditionType.LEASE_HELD,
                truth(worker.leads),
                ConditionReason.LEADING if worker.leads else ConditionReason.NOBODY_LEADS,
                f"pod {worker.pod.name} leads" if worker.leads else "no pod leads the symbol",
            ),
            self._settled(
                ConditionType.PRICE_FRESH, fresh, stale.value if stale else ConditionReason.FRESH, said if stale else ""
            ),
            self._settled(
                ConditionType.RISK_HALTED,
                truth(bool(record.halt.reason)),
                Reason.RISK_HALTED if record.halt.reason else ConditionReason.NOT_HALTED,
                _halt_text(record),
            ),
        ]

    def _unknown(self, type_: ConditionType) -> Wish:
        ready, live = self._ready, self._facts.deployment
        nobody = not self._facts.pods and (live is None or replicas_of(live) == 0)
        is_stuck = ready is not None and ready.status == "False" and not ready.reconciling
        if type_ is ConditionType.QUOTING and ready is not None and is_stuck and nobody:
            return Wish(type_, "False", ready.reason, ready.message)
        if self._facts.fleet_problem:
            return Wish(type_, "Unknown", ConditionReason.RECORDS_UNKNOWN, self._facts.fleet_problem)
        return Wish(type_, "Unknown", ConditionReason.NO_RECORD, "no worker tells anything")

    def _settled(self, type_: ConditionType, status: Status, reason: str, message: str) -> Wish:
        """As told, or as it was while the worker's word is too young."""
        was = conditions.find(self._before, type_)
        wish = Wish(type_, status, reason, message)
        if was is None or was.status == "Unknown" or (was.status == status and was.reason == reason):
            # What a reason says may change at every tick (a price, an age); it is told with the next change. What names
            # a pod, or an epoch that a person is to write, is told as it is.
            ticks = type_ in _OF_THE_TICK and reason not in _TOLD_AS_IT_IS
            kept = was is not None and was.status == status and was.reason == reason and ticks
            return Wish(type_, status, reason, was.message) if was is not None and kept else wish
        age_ms = self._worker.record.ages.reason if self._worker is not None else LASTING_MS
        stood_ms = self._facts.now_ms - (was.last_transition_time.ms if was.last_transition_time is not None else 0)
        if age_ms >= LASTING_MS or (was.status != status and stood_ms >= SETTLED_MS):
            return wish
        self.again_ms = max(100, min(self.again_ms or LASTING_MS, LASTING_MS - age_ms))
        return Wish(type_, was.status, was.reason, was.message)


def _outage(facts: MakerFacts) -> Wish:
    if facts.outage:
        was = conditions.find(facts.maker.status.conditions, ConditionType.VENUE_OUTAGE)
        # Which symbols are stale changes from second to second: the account tells the present, a maker the first.
        text = was.message if was is not None and was.status == "True" else facts.outage
        return Wish(ConditionType.VENUE_OUTAGE, "True", ConditionReason.SILENT, text)
    return Wish(ConditionType.VENUE_OUTAGE, "False", ConditionReason.SERVING)


def _conflicts(facts: MakerFacts, wish: StatusWish) -> list[Wish]:
    found = []
    if wish.situation is Situation.SYMBOL_CONFLICT:
        found.append(Wish(ConditionType.SYMBOL_CONFLICT, "True", ConditionReason.SYMBOL_CONFLICT, wish.text))
    if facts.account_conflict:
        text = f"account {facts.account_conflict} has the same identity and is older"
        found.append(Wish(ConditionType.ACCOUNT_CONFLICT, "True", ConditionReason.ACCOUNT_CONFLICT, text))
    return found


def _progress(ready: Readiness) -> list[Wish]:
    if ready.stalled:
        return [Wish(ConditionType.STALLED, "True", ready.reason, ready.message)]
    if ready.reconciling:
        return [Wish(ConditionType.RECONCILING, "True", ready.reason, ready.message)]
    return []


def _applied_generation(before: MakerStatus, wish: StatusWish, worker: Worker | None) -> int | None:
    """Of the worker that counts, once what it runs with is what is wanted; until then what was."""
    if worker is None or wish.wanted is None or worker.record.configuration.hash != wish.wanted.hash:
        return before.applied_generation
    return worker.record.configuration.generation


def _column(held: Sequence[Condition], ready: Readiness) -> str:
    """The first reason: why it is not ready where that is the trouble, else why it does not quote."""
    quoting = conditions.find(held, ConditionType.QUOTING)
    if quoting is not None and quoting.status != "Unknown" and not ready.stalled:
        return quoting.reason
    return str(ready.reason)


def _pod(before: MakerStatus, leader: Worker | None, facts: MakerFacts) -> str:
    if leader is not None:
        return leader.pod.name
    return before.pod if facts.fleet_problem and any(pod.name == before.pod for pod in facts.pods) else ""


def _restarts(before: MakerStatus, facts: MakerFacts) -> Restarts:
    history = facts.history
    if history is None or history.total < before.restarts.total:  # not read back yet
        return before.restarts
    last = Instant(history.restarted_at_ms) if history.restarted_at_ms else None
    return Restarts(count=history.restarts, total=history.total, last_time=last, awaiting_ready=history.awaiting_ready)


def _halt(before: MakerStatus, leader: Worker | None, facts: MakerFacts) -> SymbolHalt | None:
    if leader is None:
        return before.halt if facts.pods else None
    halt = leader.record.halt
    return SymbolHalt(reason=halt.reason, epoch=halt.epoch) if halt.reason else None


def _halt_text(record: StateRecord) -> str:
    halt = record.halt
    if not halt.reason:
        return ""
    return f"{halt.reason}; resume with `phoenix resume {record.account} --symbol {record.symbol} --epoch {halt.epoch}`"

"""`Ready` of a maker: this generation is in force in a running pod, and nothing of configuration or infrastructure
stands against it. Unknown is not ready.

The first that holds is told. What only a person's change of the configuration heals is also `Stalled`; what is on its
way is also `Reconciling`. Prices, halts, outages and pauses are `Quoting`'s business and never change it.
"""

from collections.abc import Sequence

import msgspec

from phoenix_operator.names import ConditionReason
from phoenix_operator.plan import nudges, rollout
from phoenix_operator.plan.conditions import Status
from phoenix_operator.plan.facts import MakerFacts
from phoenix_operator.plan.outcome import Situation
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.plan.rollout import Verdict
from phoenix_operator.plan.workers import AGAINST_READY, Worker, trouble_of


class Readiness(msgspec.Struct, frozen=True):
    status: Status
    reason: str
    message: str
    reconciling: bool = False
    stalled: bool = False


class _Word(msgspec.Struct, frozen=True):
    reason: ConditionReason
    reconciling: bool = False
    stalled: bool = False


_NOT_READY = {
    Situation.INVALID: _Word(ConditionReason.CONFIGURATION_INVALID, stalled=True),
    Situation.NOT_ADMITTED: _Word(ConditionReason.NOT_ADMITTED, stalled=True),
    Situation.SYMBOL_CONFLICT: _Word(ConditionReason.SYMBOL_CONFLICT, stalled=True),
    Situation.CHILD_NOT_OURS: _Word(ConditionReason.CHILD_NOT_OURS, stalled=True),
    # An account may come, or be mended, without anybody touching the maker: GitOps applies in any order.
    Situation.NO_ACCOUNT: _Word(ConditionReason.ACCOUNT_NOT_FOUND),
    Situation.ACCOUNT_INVALID: _Word(ConditionReason.ACCOUNT_INVALID),
    Situation.ACCOUNT_DELETED: _Word(ConditionReason.ACCOUNT_DELETED),
    Situation.NAMESPACE_TERMINATING: _Word(ConditionReason.NAMESPACE_TERMINATING),
    Situation.DELETING: _Word(ConditionReason.WITHDRAWING, reconciling=True),
    Situation.NOTHING_LEFT: _Word(ConditionReason.WITHDRAWING, reconciling=True),
    Situation.OCCUPIED: _Word(ConditionReason.SYMBOL_OCCUPIED, reconciling=True),
}
"""Situations that say all; in the others it depends on the workers."""


def readiness(
    situation: Situation,
    text: str,
    facts: MakerFacts,
    wanted: Resolved | None,
    verdict: Verdict | None,
    workers: Sequence[Worker],
) -> Readiness:
    """`text`: what was found with the situation, for those that need a word of their own."""
    word = _NOT_READY.get(situation)
    if word is not None:
        return Readiness("False", word.reason, text, reconciling=word.reconciling, stalled=word.stalled)
    if situation is Situation.DISABLED:
        return _disabled(text, facts, wanted, verdict, workers)
    return _running(situation, text, facts, wanted, verdict, workers)


def _disabled(
    text: str, facts: MakerFacts, wanted: Resolved | None, verdict: Verdict | None, workers: Sequence[Worker]
) -> Readiness:
    """As it would be; not in force is no progress here, because nobody works on it."""
    if wanted is None or verdict is None:
        return Readiness("False", ConditionReason.RECONCILE_DISABLED, text)
    found = _running(Situation.STEADY, "", facts, wanted, verdict, workers)
    if found.status == "True":
        return Readiness("True", ConditionReason.RECONCILE_DISABLED, f"in force; {text}")
    return Readiness(
        found.status, ConditionReason.RECONCILE_DISABLED, f"{found.message}; {text}", stalled=found.stalled
    )


def _running(
    situation: Situation,
    text: str,
    facts: MakerFacts,
    wanted: Resolved | None,
    verdict: Verdict | None,
    workers: Sequence[Worker],
) -> Readiness:
    if facts.fault:
        return Readiness("False", ConditionReason.API_REFUSED, facts.fault)
    if facts.account_conflict:
        heard = wanted is not None and all(each.record.configuration.hash == wanted.hash for each in workers)
        return _stalled(
            ConditionReason.ACCOUNT_CONFLICT,
            f"account {facts.account_conflict} is older and has the same identity at the exchange:"
            f" quotes {'are withdrawn' if heard else 'have to go'}; keep one TradingAccount for one exchange account",
        )
    if wanted is None or verdict is None:
        return Readiness(
            "Unknown", ConditionReason.APPLYING, "what shall be in force is not known yet", reconciling=True
        )
    if facts.fleet_problem and not workers:
        trouble = trouble_of(facts.pods, verdict.template)
        if trouble is not None:
            return Readiness("False", trouble.reason, trouble.text)
        return Readiness(
            "Unknown", ConditionReason.RECORDS_UNKNOWN, f"what the workers run with is not known: {facts.fleet_problem}"
        )
    current = [worker for worker in workers if worker.pod.template == verdict.target and not worker.pod.deleting]
    if situation is Situation.ROLL_WAITS:
        return Readiness("False", ConditionReason.ROLL_WAITS, text, reconciling=True)
    if not current:
        return _nobody_tells(situation, facts, verdict)
    return _of_record(situation, facts, wanted, verdict, current[0])


def _nobody_tells(situation: Situation, facts: MakerFacts, verdict: Verdict) -> Readiness:
    trouble = trouble_of(facts.pods, verdict.target)
    if trouble is not None:
        return Readiness("False", trouble.reason, trouble.text, reconciling=situation is Situation.ROLLING)
    own = [pod for pod in facts.pods if pod.template == verdict.target and not pod.deleting]
    refused = rollout.refused_pods(facts.deployment)
    if refused and not own:
        return Readiness("False", ConditionReason.PODS_REFUSED, f"no pod is admitted: {refused}{_remedy(refused)}")
    if situation in {Situation.ROLLING, Situation.ROLL_DUE}:
        return Readiness("False", ConditionReason.ROLLING_OUT, "a pod of the new template comes up", reconciling=True)
    if any(pod.running for pod in own):
        return Readiness("False", ConditionReason.NO_RECORD, "the worker has not told anything yet", reconciling=True)
    text = "the pod is on its way" if own else "no pod yet"
    return Readiness("False", ConditionReason.STARTING, text, reconciling=True)


def _remedy(refused: str) -> str:
    """Of what an installation forgets most easily where namespaces come and go."""
    missing = "service account" in refused and "not found" in refused
    return "; deploy/namespace makes what a namespace of makers needs" if missing else ""


def _of_record(
    situation: Situation, facts: MakerFacts, wanted: Resolved, verdict: Verdict, worker: Worker
) -> Readiness:
    record = worker.record
    if worker.starts:
        text = f"pod {worker.pod.name} starts" + (f": {record.detail}" if record.detail else "")
        return Readiness("False", ConditionReason.STARTING, text, reconciling=True)
    against = [reason for reason in record.reasons_not_ready if reason in AGAINST_READY]
    if against:
        first = min(against, key=lambda reason: reason.severity)
        said = f": {record.detail}" if record.detail else ""
        return Readiness(
            "False",
            first.value,
            f"pod {worker.pod.name}{said or f' says {first.value}'}",
        )
    told = record.configuration
    if told.refused:
        return _stalled(ConditionReason.CONFIGURATION_REFUSED, f"pod {worker.pod.name} refuses it: {told.refused}")
    if told.hash != wanted.hash or told.generation < wanted.generation:
        text = f"generation {told.generation} is in force, {wanted.generation} is on its way"
        if told.generation >= wanted.generation:
            text = "the account's parameters are on their way"
        target = nudges.target_of(wanted.hash, wanted.generation)
        if nudges.attempts(worker.pod, target) >= nudges.NOT_TAKEN_ATTEMPTS:
            text = (
                f"pod {worker.pod.name} neither takes nor refuses the present parameters, though its file has long been"
                f" there: kubectl delete pod {worker.pod.name} has a new one begin with them"
            )
            return Readiness("False", ConditionReason.NOT_TAKEN, text)
        return Readiness("False", ConditionReason.APPLYING, text, reconciling=True)
    if situation is Situation.ROLLING and any(
        pod.template != verdict.target and not pod.finished for pod in facts.pods
    ):
        return Readiness("False", ConditionReason.ROLLING_OUT, "the older pod is handing over", reconciling=True)
    if situation is Situation.HELD:
        text = "in force, in a pod as an older operator made it (rollOnUpgrade is false)"
        return Readiness("True", ConditionReason.HELD, text)
    return Readiness(
        "True", ConditionReason.IN_FORCE, f"generation {wanted.generation} is in force in {worker.pod.name}"
    )


def _stalled(reason: ConditionReason, message: str) -> Readiness:
    return Readiness("False", reason, message, stalled=True)

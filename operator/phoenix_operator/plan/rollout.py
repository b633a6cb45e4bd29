"""When a maker's pods are replaced by ones of another template, and why not yet.

A roll puts quoting at risk, so of one account only so many go on at once, and none during an outage of the venue, when
a fresh pod could not warm up. Two cases are no such risk: a maker of which nothing is left to lose keeps nobody
waiting once its Deployment has given up, and in an outage a maker that is not ready may get another way to the
exchange, because that may be the very cure.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from phoenix_operator.names import Annotation, Label
from phoenix_operator.plan import children
from phoenix_operator.plan.facts import Child, MakerFacts, PodFact
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.settings import Settings


class Roll(StrEnum):
    """What becomes of a Deployment's template."""

    FIRST = "first"
    """There is no Deployment yet."""
    CURRENT = "current"
    HELD = "held"
    """An older rendering of what is otherwise the same."""
    DUE = "due"
    WAITS = "waits"


class Verdict(msgspec.Struct, frozen=True):
    """`template` is what the Deployment shall have once this plan is carried out; `text` why a roll waits."""

    roll: Roll
    template: str
    target: str
    text: str = ""


def judge(facts: MakerFacts, wanted: Resolved, settings: Settings) -> Verdict:
    """What a maker's Deployment shall run, and whether that may begin now."""
    target = children.template_hash(wanted, settings)
    live = facts.deployment
    if live is None:
        return Verdict(Roll.FIRST, target, target)
    present = template_of(live)
    if present == target:
        return Verdict(Roll.CURRENT, target, target)
    if not settings.roll_on_upgrade and present == _as_rendered_then(live, wanted, settings):
        return Verdict(Roll.HELD, present, present)
    waits_for = _obstacle(facts, live, wanted, settings)
    if waits_for:
        return Verdict(Roll.WAITS, present, target, waits_for)
    return Verdict(Roll.DUE, target, target)


def template_of(deployment: Child) -> str:
    """The hash in a Deployment's pod template; "" where somebody took it away."""
    template = deployment.manifest.get("spec", {}).get("template", {})
    return str(((template.get("metadata") or {}).get("labels") or {}).get(Label.TEMPLATE, ""))


def is_rolling(deployment: Child | None, pods: Iterable[PodFact]) -> bool:
    """Whether pods of two templates take turns now. One that got stuck counts while an older pod is ready, which is at
    risk; once nothing of the old is ready and the Deployment has given up, nobody waits for it any more.
    """
    if deployment is None:
        return False
    present = template_of(deployment)
    older = [pod for pod in pods if pod.template != present and not pod.finished]
    if not older:
        return _is_unseen(deployment)
    return any(pod.ready for pod in older) or not _has_given_up(deployment)


def replicas_of(deployment: Child) -> int:
    return int(deployment.manifest.get("spec", {}).get("replicas", 1))


def refused_pods(deployment: Child | None) -> str:
    """Why the API server admits no pod of it (quota, pod security, no such service account); "" where it does."""
    conditions = {} if deployment is None else {each["type"]: each for each in _conditions(deployment)}
    failure = conditions.get("ReplicaFailure", {})
    return str(failure.get("message") or failure.get("reason") or "") if failure.get("status") == "True" else ""


def _as_rendered_then(live: Child, wanted: Resolved, settings: Settings) -> str:
    """The hash that the present wish had under the revision that made the live template."""
    written = live.meta.annotations.get(Annotation.REVISION, "")
    if not written.isdecimal() or int(written) >= children.TEMPLATE_REVISION:
        return ""
    return children.template_hash(wanted, settings, int(written))


def _obstacle(facts: MakerFacts, live: Child, wanted: Resolved, settings: Settings) -> str:
    if facts.outage and not _may_heal(facts, live, wanted):
        # Which symbols it does not serve the account says: that changes all the time.
        return "waits for the venue, which serves nobody now"
    if facts.siblings_rolling >= settings.max_concurrent_rolls:
        return f"waits its turn: {facts.siblings_rolling} of the account's makers are being replaced"
    return ""


def _may_heal(facts: MakerFacts, live: Child, wanted: Resolved) -> bool:
    reached_now = live.meta.annotations.get(Annotation.CONNECTION, "")
    return reached_now != children.connection_digest(wanted) and not any(pod.ready for pod in facts.pods)


def _is_unseen(deployment: Child) -> bool:
    """The Deployment's controller has not acted on its present spec yet, so its pods do not show what is coming."""
    observed = int((deployment.manifest.get("status") or {}).get("observedGeneration", 0))
    return 0 < observed < deployment.meta.generation


def _has_given_up(deployment: Child) -> bool:
    return any(each["type"] == "Progressing" and each.get("status") == "False" for each in _conditions(deployment))


def _conditions(deployment: Child) -> Sequence[Mapping[str, Any]]:
    return (deployment.manifest.get("status") or {}).get("conditions") or ()

"""Has kubelets look at a changed ConfigMap at once: an annotation of the pod, again with back-off until the worker says
that it has read it.

A kubelet that is not nudged looks within a minute or two. One that is may look at a cached copy, a moment old: so the
second nudge follows soon. What was nudged, how often and when lies in the annotation itself and survives the operator.
"""

import math
from collections.abc import Mapping

import msgspec
from phoenix_coordination.state import StateRecord, pod_uid_of

from phoenix_operator.names import Annotation
from phoenix_operator.plan.facts import PodFact
from phoenix_operator.plan.outcome import PodPatch

FIRST_AGAIN_MS = 1_000
LONGEST_AGAIN_MS = 600_000
UNHEARD_ATTEMPTS = 4
"""Where no record tells what a worker runs with: so often, then its kubelet finds out by itself."""
REFUSED_ATTEMPTS = 7
"""A worker that refuses what it has read: so often, two minutes in all. By then its kubelet has brought the newest file
without being asked, and reading it again changes nothing: the next file will."""
NOT_TAKEN_ATTEMPTS = 8
"""After so many, four minutes in all, a worker that reports neither the file nor why not is somebody's trouble."""


class Nudged(msgspec.Struct, frozen=True):
    """An annotation: what for, how often, when last."""

    target: str
    attempt: int
    at_ms: int

    def __str__(self) -> str:
        return f"{self.target}.{self.attempt}.{self.at_ms}"


class Nudges(msgspec.Struct, frozen=True):
    """Those that are due, and when the next is."""

    patches: tuple[PodPatch, ...] = ()
    again_ms: int | None = None


def target_of(parameters_hash: str, generation: int) -> str:
    """What a worker shall report."""
    return f"{parameters_hash}-{generation}"


def read(annotation: str) -> Nudged | None:
    """None where there is none, or nothing of ours."""
    target, _, rest = annotation.partition(".")
    attempt, _, at_ms = rest.partition(".")
    if not target or not attempt.isdecimal() or not at_ms.isdecimal():
        return None
    return Nudged(target, int(attempt), int(at_ms))


def back_off_ms(attempt: int) -> int:
    """After the nudge of that number, counted from 1."""
    return min(LONGEST_AGAIN_MS, FIRST_AGAIN_MS << min(max(attempt, 1) - 1, 16))


def plan_nudges(
    pods: tuple[PodFact, ...],
    targets: Mapping[str, str],
    records: tuple[StateRecord, ...],
    now_ms: int,
    *,
    changed: bool,
) -> Nudges:
    """`targets`: by template, what its pods shall report. `changed`: a ConfigMap is written by this very plan."""
    by_pod = {pod_uid_of(record.holder): record for record in records}
    patches: list[PodPatch] = []
    waits: list[int] = []
    for pod in pods:
        target = targets.get(pod.template)
        if target is None or pod.deleting or pod.finished or not pod.running:
            continue
        record = by_pod.get(pod.uid)
        if record is not None and _reported(record) == target:
            continue
        last = read(pod.nudge)
        if last is None or last.target != target:
            # Without a record only what changes now is worth a nudge: a pod that starts reads the newest anyway.
            if record is not None or changed or last is not None:
                patches.append(_patch(pod, Nudged(target, 1, now_ms)))
                waits.append(back_off_ms(1))
            continue
        if last.attempt >= _most_attempts(record):
            continue
        wait_ms = last.at_ms + back_off_ms(last.attempt) - now_ms
        if wait_ms <= 0:
            patches.append(_patch(pod, Nudged(target, last.attempt + 1, now_ms)))
            wait_ms = back_off_ms(last.attempt + 1)
        waits.append(min(wait_ms, LONGEST_AGAIN_MS))
    return Nudges(tuple(patches), min(waits, default=None))


def attempts(pod: PodFact, target: str) -> int:
    """How often a pod has been nudged for what it shall report."""
    last = read(pod.nudge)
    return last.attempt if last is not None and last.target == target else 0


def _most_attempts(record: StateRecord | None) -> float:
    if record is None:
        return UNHEARD_ATTEMPTS
    return REFUSED_ATTEMPTS if record.configuration.refused else math.inf


def _reported(record: StateRecord) -> str:
    return target_of(record.configuration.hash, record.configuration.generation)


def _patch(pod: PodFact, nudged: Nudged) -> PodPatch:
    return PodPatch(pod.name, pod.uid, {Annotation.NUDGE.value: str(nudged)})

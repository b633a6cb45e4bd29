"""What a maker's pods and records say together: who leads, what is in force, and why a pod does not come up."""

from collections.abc import Iterable, Sequence

import msgspec
from phoenix_coordination.state import Reason, Role, StateRecord, pod_uid_of

from phoenix_operator.names import ConditionReason
from phoenix_operator.plan.facts import PodFact

_NO_IMAGE = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
    }
)
_CRASHING = frozenset({"CrashLoopBackOff", "RunContainerError", "StartError"})
_NOT_CREATED = frozenset({"CreateContainerConfigError", "CreateContainerError"})

AGAINST_READY = frozenset(
    {
        Reason.CONFIGURATION_INVALID,
        Reason.CREDENTIALS_MISSING,
        Reason.CREDENTIALS_REFUSED,
        Reason.PREFLIGHT_REFUSED,
        Reason.STARTING,
        Reason.COORDINATION_UNREACHABLE,
    }
)
"""A worker's reasons of configuration or infrastructure; those of market, venue and risk never fail a deploy."""

UNTIL_MENDED = frozenset({Reason.CONFIGURATION_INVALID, Reason.CREDENTIALS_MISSING, Reason.CREDENTIALS_REFUSED})
"""Of those, what stands until a person changes something: what is said of it changes only then, too, and is news."""


class Worker(msgspec.Struct, frozen=True):
    """A pod that tells what it does."""

    pod: PodFact
    record: StateRecord

    @property
    def leads(self) -> bool:
        return self.record.role is Role.LEADING

    @property
    def quotes(self) -> bool:
        return self.leads and self.record.reason is Reason.QUOTING


class PodTrouble(msgspec.Struct, frozen=True):
    """Why a pod does not come up by itself."""

    reason: ConditionReason
    text: str


def workers_of(pods: Iterable[PodFact], records: Iterable[StateRecord]) -> tuple[Worker, ...]:
    """Records of pods that are there, the one that counts first: it leads, is ready, is newest. What pods that have
    gone have told is over, and so is whatever no pod of this maker tells.
    """
    by_uid = {pod.uid: pod for pod in pods if not pod.finished}
    found = [Worker(by_uid[uid], record) for record in records if (uid := pod_uid_of(record.holder)) and uid in by_uid]
    return tuple(sorted(found, key=_counts_first))


def _counts_first(worker: Worker) -> tuple[bool, bool, bool, int, str]:
    record = worker.record
    return (not worker.leads, not record.ready, worker.pod.deleting, -worker.pod.created_ms, record.holder)


def trouble_of(pods: Sequence[PodFact], template: str) -> PodTrouble | None:
    """The first trouble among the pods of a template (of any where that has none): what a person has to mend."""
    own = [pod for pod in pods if pod.template == template] or list(pods)
    found = [trouble for pod in own if not pod.deleting and (trouble := _trouble(pod)) is not None]
    return found[0] if found else None


def _trouble(pod: PodFact) -> PodTrouble | None:
    said = pod.waiting_message or pod.waiting_reason
    last_words = f": {pod.last_words}" if pod.last_words else ""
    if pod.waiting_reason in _NO_IMAGE:
        return PodTrouble(
            ConditionReason.IMAGE_NOT_PULLED,
            f"pod {pod.name} cannot pull its image: {said}; check image and imagePullSecrets of the operator",
        )
    if pod.waiting_reason in _CRASHING:
        return PodTrouble(
            ConditionReason.CRASHING,
            f"pod {pod.name} has ended {pod.container_restarts} times{last_words or f': {said}'}",
        )
    if pod.waiting_reason in _NOT_CREATED:
        return PodTrouble(ConditionReason.CONTAINER_NOT_CREATED, f"pod {pod.name} cannot be started: {said}")
    if pod.unschedulable:
        return PodTrouble(ConditionReason.UNSCHEDULABLE, f"pod {pod.name} has no node: {pod.unschedulable}")
    if pod.finished or (not pod.running and last_words):
        return PodTrouble(ConditionReason.CRASHING, f"pod {pod.name} has ended{last_words}")
    return None

"""What comes out of a plan: everything that is to be done, and nothing that is done already.

Who carries a plan out does it in the order of the fields, stops at the first failure (the next round begins anew), and
takes the server's answers for facts at once. Two rules make a crash at any point harmless: the status is written before
a pod is deleted (back-off survives), and a finalizer that goes, goes last.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from phoenix_crds import AccountStatus, Emergency, MakerStatus, SwitchRequest

from phoenix_operator.names import EventAction, EventReason, EventType, Finalizer


class Situation(StrEnum):
    """What a maker is in: exactly one, decided before anything else, from what must be heeded first."""

    NOTHING_LEFT = "NothingLeft"
    """Deleted, and our finalizer is off: nothing of it is ours any more."""
    DELETING = "Deleting"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    DISABLED = "Disabled"
    INVALID = "Invalid"
    SYMBOL_CONFLICT = "SymbolConflict"
    NO_ACCOUNT = "NoAccount"
    ACCOUNT_INVALID = "AccountInvalid"
    ACCOUNT_DELETED = "AccountDeleted"
    """Nothing is started on an account that is on its way out; what was started goes on."""
    CHILD_NOT_OURS = "ChildNotOurs"
    NOT_ADMITTED = "NotAdmitted"
    OCCUPIED = "Occupied"
    """Pods of another maker for this symbol are still there: nothing is started beside them."""
    STARTING = "Starting"
    """No Deployment yet."""
    ROLL_DUE = "RollDue"
    ROLL_WAITS = "RollWaits"
    ROLLING = "Rolling"
    HELD = "Held"
    """As STEADY, in pods of an older rendering that settings leave alone."""
    STEADY = "Steady"


class FinalizerChange(msgspec.Struct, frozen=True):
    """By JSON patch with a test of what is there."""

    finalizer: Finalizer


class Apply(msgspec.Struct, frozen=True):
    """Server-side apply of the whole wished object.

    `force` is false where we believe that no such object exists: a conflict then means that it is somebody else's
    (or, where its controller is our maker, that our view was late: forced then). A live object's `uid` goes along as a
    precondition, "" where there is none.
    """

    manifest: Mapping[str, Any]
    uid: str
    force: bool

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])


class Scale(msgspec.Struct, frozen=True):
    """`spec.replicas` of a Deployment alone, by merge patch with its UID: all else stays as it is."""

    name: str
    uid: str
    replicas: int


class Delete(msgspec.Struct, frozen=True):
    """With the UID as precondition, in the background. `kind`: ConfigMap, PodDisruptionBudget, Job, Pod."""

    kind: str
    name: str
    uid: str


class PodPatch(msgspec.Struct, frozen=True):
    """Annotations of a pod, by merge patch with its UID; one that has gone meanwhile is no fault."""

    name: str
    uid: str
    annotations: Mapping[str, str]


class Event(msgspec.Struct, frozen=True):
    """Regarding the resource. In a terminating namespace it can only be logged."""

    type: EventType
    reason: EventReason
    message: str
    action: EventAction


class MakerPlan(msgspec.Struct, frozen=True):
    """What is to be done for one maker, in this order.

    `status` is all that we own of it, None where it is so already. `again_ms`: look again after so long though nothing
    happens, None: no need. `starts_roll`: a Deployment's template changes (planning and applying belong under the
    account's lock).
    """

    situation: Situation
    add_finalizer: FinalizerChange | None = None
    apply: tuple[Apply, ...] = ()
    scale: tuple[Scale, ...] = ()
    pods: tuple[PodPatch, ...] = ()
    status: MakerStatus | None = None
    delete: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()
    remove_finalizer: FinalizerChange | None = None
    again_ms: int | None = None
    starts_roll: bool = False

    @property
    def writes(self) -> int:
        """How many requests it costs, Events aside."""
        changes = [self.add_finalizer, self.status, self.remove_finalizer]
        return sum(each is not None for each in changes) + sum(
            len(each) for each in (self.apply, self.scale, self.delete, self.pods)
        )


class Declare(msgspec.Struct, frozen=True):
    """Has Redis tell every worker what `spec.emergency` says, also those that their own files do not reach."""

    identity: str
    level: Emergency


class Seed(msgspec.Struct, frozen=True):
    """Has Redis know what the status remembers of the switch (`Account.seed`)."""

    identity: str
    level: Emergency
    epoch: int
    reason: str
    source: str


class CarryOut(msgspec.Struct, frozen=True):
    """A person's request for Redis. What became of it goes into the status by `account.answered`, then `Forget`."""

    identity: str
    request: SwitchRequest


class Refuse(msgspec.Struct, frozen=True):
    """A request that is not carried out; its answer says why (`account.answered`, ok false)."""

    request: SwitchRequest
    message: str


class Forget(msgspec.Struct, frozen=True):
    """Removes an answered request from `status.requests`, by JSON patch with a test of its id at its index."""

    id: str


class AccountPlan(msgspec.Struct, frozen=True):
    """What is to be done for one account, in this order; `requests` in theirs, one after the other."""

    add_finalizer: FinalizerChange | None = None
    declare: Declare | None = None
    seed: Seed | None = None
    requests: tuple[CarryOut | Refuse | Forget, ...] = ()
    status: AccountStatus | None = None
    events: tuple[Event, ...] = ()
    remove_finalizer: FinalizerChange | None = None
    again_ms: int | None = None

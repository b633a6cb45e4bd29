"""What goes into a plan: resources, children and workers as they are seen, in plain types. Nothing here is a client's.

All times are ms of wall time since 1970 (they are kept in a status, so they outlive a process).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import AccountStatus, Emergency, MakerStatus, MarketMakerSpec, TradingAccountSpec

from phoenix_operator.names import RECONCILE_DISABLED, Annotation, Component
from phoenix_operator.plan.restarts import Judged, MakerHistory

Manifest = Mapping[str, Any]
"""An object as the API server gives it, decoded JSON; `managedFields` may be left out."""


class Meta(msgspec.Struct, frozen=True):
    """Of any object. `deleting_since_ms`: None while nobody has deleted it. `controller_uid`: "" where it has none."""

    name: str
    namespace: str
    uid: str
    resource_version: str = ""
    generation: int = 0
    created_ms: int = 0
    deleting_since_ms: int | None = None
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    controller_uid: str = ""

    @property
    def deleting(self) -> bool:
        return self.deleting_since_ms is not None


class MakerResource(msgspec.Struct, frozen=True):
    """A maker, parsed once for each resourceVersion. `spec` is None where it does not validate, `problem` says why.

    `account_ref` and `symbol` never change, so they are known all the same: whose it is, and what its worker trades.
    """

    meta: Meta
    spec: MarketMakerSpec | None
    status: MakerStatus
    problem: str = ""
    account_ref: str = ""
    symbol: str = ""

    @property
    def is_disabled(self) -> bool:
        """Whether a person has us leave its children as they are."""
        return self.meta.annotations.get(Annotation.RECONCILE) == RECONCILE_DISABLED


class Unread(msgspec.Struct, frozen=True):
    """A part of a status (of a list an item) that cannot be read, as it is there. `field`: "" for all of it."""

    field: str
    value: Any
    problem: str


class AccountResource(msgspec.Struct, frozen=True):
    """An account, likewise. `unread`: what of its status cannot be read."""

    meta: Meta
    spec: TradingAccountSpec | None
    status: AccountStatus
    problem: str = ""
    unread: tuple[Unread, ...] = ()

    @property
    def switch_problem(self) -> str:
        """Why what the status remembers of the switch cannot be read: then none is seeded from it. "" where it can."""
        return next((each.problem for each in self.unread if each.field in {"", "emergency"}), "")

    @property
    def kept(self) -> Mapping[str, Any]:
        """What the status has to go on saying though nobody can read it: a person has to."""
        for each in self.unread:
            if each.field == "emergency":
                return {each.field: each.value}
            if not each.field and isinstance(each.value, Mapping) and "emergency" in each.value:
                return {"emergency": each.value["emergency"]}
        return {}

    @property
    def unreadable_requests(self) -> Mapping[str, str]:
        """Why each cannot be read, by id."""
        return {
            str(each.value["id"]): each.problem
            for each in self.unread
            if each.field == "requests" and isinstance(each.value, Mapping) and "id" in each.value
        }


class Child(msgspec.Struct, frozen=True):
    """A Deployment, ConfigMap, PodDisruptionBudget or Job of ours, with the whole object to compare with."""

    meta: Meta
    manifest: Manifest


class PodFact(msgspec.Struct, frozen=True):
    """A pod of ours.

    `template` is the hash in its label. `running`: its container runs; `finished`: it never will again.
    `waiting_reason` and `waiting_message`: why it does not (ImagePullBackOff, CrashLoopBackOff, …).
    `last_words`: termination message of its container's last end. `unschedulable`: the scheduler's message.
    """

    name: str
    uid: str
    component: Component
    template: str
    created_ms: int = 0
    deleting: bool = False
    running: bool = False
    ready: bool = False
    finished: bool = False
    waiting_reason: str = ""
    waiting_message: str = ""
    last_words: str = ""
    container_restarts: int = 0
    unschedulable: str = ""
    nudge: str = ""
    deletion_cost: str = ""


class JobState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class MakerFacts(msgspec.Struct, frozen=True):
    """All that one maker's plan depends on.

    account            the one that it names, None where there is none in its namespace
    account_conflict   name of the older account with the same identity at the exchange, else ""
    older_twin         name of the oldest other maker of this (account, symbol) that is older than this one, else ""
    elder              `namespace/name` of a maker with a Deployment that has the symbol on an older account with the
                       same identity, else ""
    rivals             names of pods (deleting ones too, not finished ones) of other makers of this (account, symbol)
    foreign            children that we tried to make and that are somebody else's, for example "Deployment btcusdt"
    pods, job_pods     of this maker, by component
    records            no older than their lifetime, of workers of this maker; `fleet_problem` says why there are none
                       to be had (Redis absent, not read yet, …), else ""
    siblings_rolling   how many other makers of the account are being rolled now (`rollout.is_rolling`)
    outage             `Outage.text` of the maker's venue and environment, else ""
    namespace_terminating  the server has refused to create anything there for that reason
    restart            what the restart rule says about this maker's stale worker now, and what it remembers
    fault              the sentence of the API server's last refusal for this maker, "" once a round went through
    """

    maker: MakerResource
    account: AccountResource | None
    now_ms: int
    account_conflict: str = ""
    older_twin: str = ""
    elder: str = ""
    rivals: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    deployment: Child | None = None
    config_maps: tuple[Child, ...] = ()
    budget: Child | None = None
    job: Child | None = None
    pods: tuple[PodFact, ...] = ()
    job_pods: tuple[PodFact, ...] = ()
    records: tuple[StateRecord, ...] = ()
    fleet_problem: str = ""
    siblings_rolling: int = 0
    outage: str = ""
    namespace_terminating: bool = False
    restart: Judged | None = None
    history: MakerHistory | None = None
    fault: str = ""


class Switch(msgspec.Struct, frozen=True):
    """An account's sticky switch as Redis holds it. `seeded` false: every worker reads it as a halt. `declared`: what
    Redis was told of `spec.emergency`, beside it.
    """

    level: Emergency
    epoch: int
    reason: str = ""
    source: str = ""
    at_ms: int = 0
    seeded: bool = False
    declared: Emergency = Emergency.NONE


class Halted(msgspec.Struct, frozen=True, order=True):
    """One symbol's own risk halt, in force."""

    symbol: str
    dry_run: bool
    epoch: int
    reason: str


class AccountShared(msgspec.Struct, frozen=True):
    """What Redis says about an account. `identity` is empty where no worker has registered it; then nothing else is
    known. `halts`: those in force.
    """

    identity: str = ""
    switch: Switch | None = None
    halts: tuple[Halted, ...] = ()


class AccountFacts(msgspec.Struct, frozen=True):
    """All that one account's plan depends on.

    makers          names of the makers that refer to it, deleting ones too
    needed_by       of those the ones that need its key to withdraw: they have been started
    live_makers     of those the ones in mode Live that have a worker
    records         fresh records of the account's workers
    older_twin      name of the older account (`namespace/name`) with the same identity, else ""
    shared          what Redis says; None where it cannot be read, and `fleet_problem` says why
    outage          of the account's venue and environment, else ""
    """

    account: AccountResource
    now_ms: int
    makers: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    live_makers: tuple[str, ...] = ()
    records: tuple[StateRecord, ...] = ()
    older_twin: str = ""
    shared: AccountShared | None = None
    fleet_problem: str = ""
    outage: str = ""
    fault: str = ""

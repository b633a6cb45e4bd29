"""What is shown of a cluster's accounts and makers: for a table, a screen, or a program that reads JSON."""

from decimal import Decimal

import msgspec
from phoenix_coordination.state import StateRecord


class ConditionView(msgspec.Struct, frozen=True):
    """`age_s`: for how long it has had this status; None where nobody says since when."""

    type: str
    status: str
    reason: str
    message: str
    age_s: float | None
    generation: int | None


class FiguresView(msgspec.Struct, frozen=True):
    """What the leader told `age_s` ago; `live`: read from Redis just now, not from the status."""

    position: Decimal | None
    mid: Decimal | None
    pnl: Decimal | None
    worst_case: Decimal | None
    age_s: float | None
    live: bool


NOT_TOLD = FiguresView(None, None, None, None, None, live=False)


class RestartsView(msgspec.Struct, frozen=True):
    """By the operator. `awaiting_ready`: the replacement is not ready yet."""

    total: int
    age_s: float | None
    awaiting_ready: bool


class HaltView(msgspec.Struct, frozen=True):
    """A symbol's own risk halt; `dry_run`: of its rehearsal."""

    symbol: str
    epoch: int
    reason: str
    dry_run: bool = False


class PodView(msgspec.Struct, frozen=True):
    """A pod of a maker. `says`: why it waits or how it ended; `restarts`: of its container, by the kubelet."""

    name: str
    phase: str
    ready: bool
    restarts: int
    node: str
    age_s: float | None
    says: str


class EventView(msgspec.Struct, frozen=True):
    """What was told of a resource; `count` times, the last `age_s` ago."""

    type: str
    reason: str
    message: str
    count: int
    age_s: float | None


class MakerView(msgspec.Struct, frozen=True, kw_only=True):
    """One maker. `ready` and `quoting` are `True`, `False`, `Unknown`, or empty where the operator has not said.

    `seen_generation` is the last that the operator acted on, `applied_generation` what the worker runs with. `pods` and
    `events` are None where nobody asked. `problem`: why its status cannot be read. `workers`: records, with Redis only.
    """

    name: str
    namespace: str
    account: str
    symbol: str
    mode: str
    net_max: Decimal | None
    paused: bool
    deleting: bool
    age_s: float | None
    generation: int
    seen_generation: int | None
    applied_generation: int | None
    ready: str
    quoting: str
    reason: str
    message: str
    pod: str
    restarts: RestartsView
    figures: FiguresView | None
    halt: HaltView | None
    ramp_stage: int | None
    conditions: list[ConditionView]
    pods: list[PodView] | None = None
    events: list[EventView] | None = None
    workers: list[StateRecord] = []
    problem: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account with its makers. `emergency` is empty where the operator has not said how the switch stands.

    `declared` is `spec.emergency`, which counts beside the switch. `there` false: makers name it, and it is not there.
    `waiting`: requests that the operator has not carried out, the oldest `waiting_s` ago.
    """

    account: str
    there: bool
    identity: str = ""
    environment: str = ""
    declared: str = "None"
    emergency: str = ""
    epoch: int = 0
    reason: str = ""
    source: str = ""
    age_s: float | None = None
    halts: list[HaltView] = []
    waiting: int = 0
    waiting_s: float | None = None
    conditions: list[ConditionView] = []
    makers: list[MakerView] = []
    problem: str = ""

    def condition(self, kind: str) -> ConditionView | None:
        return next((each for each in self.conditions if each.type == kind), None)


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked for. `namespace` is empty where all of them were. `unread`: parts that could not be read."""

    cluster: str
    namespace: str
    accounts: list[AccountView]
    unread: list[str] = []

    @property
    def makers(self) -> list[MakerView]:
        return [maker for account in self.accounts for maker in account.makers]

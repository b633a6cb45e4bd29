"""What a worker needs of those who share its account: one small Protocol, and the messages that come back.

The worker asks and goes on: no request waits, every answer is a message given to the sink, from the event loop, in the
order in which it became known. An implementation that cannot reach the others says `Unreachable` and keeps what it was
told; it never raises for the world's faults.

Quantities are whole steps of the symbol, durations ns of the run's monotonic clock.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import msgspec

from phoenix_coordination.state import StateRecord

# -- messages to the worker ------------------------------------------------------------------------


class EmergencyLevel(IntEnum):
    """`HALT`: nothing rests, only Liquidate acts. `FLATTEN`: and close what is open."""

    NONE = 0
    HALT = 1
    FLATTEN = 2


class Snapshot(msgspec.Struct, frozen=True):
    """A leader's memory as it was saved under `token`, `saved_wall_ns` (UTC, by the clock of who saved it).

    `observed_ns`: for how long this process itself has seen that it is the newest. It is at least so old.
    """

    token: int
    saved_wall_ns: int
    memory: bytes
    observed_ns: int = 0


class LeaseGranted(msgspec.Struct, frozen=True):
    """The symbol is this worker's. No order may leave after `deadline_ns`; ids carry `token`, which only grows.

    `memory` is the newest that any leader saved, read under this token, so that nothing newer can follow from an older
    leader; `None` where there is none that can be read (which fails closed).
    """

    token: int
    deadline_ns: int
    memory: Snapshot | None


class LeaseRenewed(msgspec.Struct, frozen=True):
    token: int
    deadline_ns: int


class LeaseLost(msgspec.Struct, frozen=True):
    """The symbol is not this worker's any more; it campaigns for a new lease by itself unless it released this one."""

    token: int
    reason: str


class Reserved(msgspec.Struct, frozen=True):
    """The ledger holds these pending quantities for reservation `sequence`: never more than was asked for."""

    sequence: int
    buy_steps: int
    sell_steps: int


class EmergencyChanged(msgspec.Struct, frozen=True):
    """The account's switch, the higher of its sources. Told once at the start, too."""

    level: EmergencyLevel
    epoch: int
    reason: str


class HaltChanged(msgspec.Struct, frozen=True):
    """The symbol's own risk halt, which outlives its workers; `reason` is empty where there is none (any more).

    Told once at the start, too. It ends by `phoenix resume ACCOUNT --symbol S --epoch N`.
    """

    epoch: int
    reason: str


class BudgetGranted(msgspec.Struct, frozen=True):
    """What quoting may send from the moment of need `sequence` until `until_ns`, instead of what was granted before:
    orders of the account, weight of the egress; and until when who must send nothing (0: at once).

    Cancels and reducing orders need no grant: a reserve of both windows is theirs.
    """

    sequence: int
    orders: int
    weight: int
    until_ns: int
    account_blocked_until_ns: int = 0
    egress_blocked_until_ns: int = 0


class Reachable(msgspec.Struct, frozen=True):
    """What is shared can be read and written. Told once at the start, and after each `Unreachable`."""


class Unreachable(msgspec.Struct, frozen=True):
    reason: str


Message = (
    LeaseGranted
    | LeaseRenewed
    | LeaseLost
    | Reserved
    | EmergencyChanged
    | HaltChanged
    | BudgetGranted
    | Reachable
    | Unreachable
)
Sink = Callable[[Message], None]


# -- requests of the worker ------------------------------------------------------------------------


class Reservation(msgspec.Struct, frozen=True):
    """Replaces this symbol's entry of the ledger; sequences grow, an older one is ignored.

    `step_value`: what one step is worth at the mark price, in quote units (mark · step size). `*_live_steps`: what
    rests or may rest of ours already, which stays counted whatever is granted; `None`: all that is asked may.
    """

    sequence: int
    position_steps: int
    buy_steps: int
    sell_steps: int
    step_value: float
    buy_live_steps: int | None = None
    sell_live_steps: int | None = None


class AccountTerms(msgspec.Struct, frozen=True):
    """What the account resource says and everyone heeds: limits in micro quote (1e-6), and its part of the switch."""

    net_micro: int
    gross_micro: int
    emergency: EmergencyLevel


class BudgetNeed(msgspec.Struct, frozen=True):
    """What this worker has sent since its last need, could use until its next, and what the exchange has said.

    Orders count against the account, request weight against the egress (the public IP). `*_unused` is what is left of
    the last grant: it stays usable until the answer is heard. Reported figures are the exchange's own of the windows
    that run at `exchange_ms` (its clock), -1 where it has said none. `*_blocked_ns`: how much longer the exchange wants
    to hear nothing (429 and 418: egress; -1015: the account's orders), as this worker was told itself.
    """

    sequence: int
    orders_sent: int
    orders_wanted: int
    orders_unused: int
    weight_sent: int
    weight_wanted: int
    weight_unused: int
    exchange_ms: int = 0
    orders_10s_reported: int = -1
    orders_1m_reported: int = -1
    weight_1m_reported: int = -1
    account_blocked_ns: int = 0
    egress_blocked_ns: int = 0


class BudgetTerms(msgspec.Struct, frozen=True):
    """The exchange's limits and the shares of them that are this account's makers', as the account resource says."""

    egress: str
    orders_10s: int
    orders_1m: int
    weight_1m: int
    order_share: float
    weight_share: float
    reserve_share: float


class Admission(msgspec.Struct, frozen=True):
    """Whether a maker fits beside the others of its egress: `problem` is empty, or says why not and what to do."""

    problem: str = ""
    reachable: bool = True


class LeaseTimes(msgspec.Struct, frozen=True):
    """A lease ends `ttl` after its renewal was sent; its holder stops `margin` earlier."""

    ttl_s: float = 5.0
    renew_s: float = 1.0
    margin_s: float = 1.0


class Clock(Protocol):
    """The run's clock: monotonic and wall time in ns; it advances `rate` times as fast as life."""

    @property
    def monotonic_ns(self) -> Callable[[], int]: ...

    @property
    def wall_ns(self) -> Callable[[], int]: ...

    @property
    def rate(self) -> float: ...


class Coordinator(Protocol):
    """One worker's side of what the account shares."""

    @property
    def installation(self) -> str:
        """Six base-36 digits, known from the beginning: see `order_id`."""
        ...

    async def join(self, identity: str) -> None:
        """Meets the others of the account: `identity` is the exchange's own name of it, whatever the resource's is."""
        ...

    async def start(self, sink: Sink) -> None:
        """Begins to campaign for the lease and to watch the switch; messages flow into `sink` from now on."""
        ...

    def configure(self, terms: AccountTerms) -> None:
        """The account resource was read, or has changed."""
        ...

    def reserve(self, reservation: Reservation) -> None:
        """Answered by `Reserved` with its sequence, unless a newer one has been asked for or nobody can be reached."""
        ...

    def release(self) -> None:
        """Gives the lease up and campaigns no more. Only when each request to the exchange has its answer."""
        ...

    def warm(self, *, warm: bool) -> None:
        """Whether this worker could quote at once if it led: book, streams and clock.

        Who could not leaves a lease that was released to another candidate who could.
        """
        ...

    def hand_over(self) -> None:
        """Gives the lease to a warm standby, if there is one, and goes on campaigning; else nothing changes.

        Only when each request to the exchange has its answer.
        """
        ...

    def halt_symbol(self, reason: str) -> None:
        """Halts the symbol until a person resumes it: whoever leads it next, too."""
        ...

    async def admit(self, terms: BudgetTerms, fixed_weight_1m: int, account_weight_1m: int) -> Admission:
        """Registers what this worker costs even when it does not quote, in weight a minute, and what its account costs
        once, however many workers it has. Between `join` and `start`; to be asked again while it is refused.
        """
        ...

    def spend(self, need: BudgetNeed) -> None:
        """Answered by `BudgetGranted`, unless nobody can be reached: then the last grant lapses."""
        ...

    def raise_emergency(self, level: EmergencyLevel, reason: str) -> None:
        """Raises the sticky switch for the whole account; a level that is not higher changes nothing."""
        ...

    def publish(self, record: StateRecord) -> None:
        """Replaces this holder's state record."""
        ...

    def save_snapshot(self, token: int, memory: bytes) -> None:
        """Keeps the worker's memory; ignored where a newer token has saved one."""
        ...

    async def stop(self) -> None:
        """Waits until what was asked has been written, bounded in time, and closes.

        Call `release` before, where every request to the exchange has its answer; else the lease runs out.
        """
        ...

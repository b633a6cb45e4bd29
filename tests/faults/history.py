"""What happened in a run, as facts: what the exchange accepted, what Redis wrote, which faults were begun.

Every fact carries `at_ns`, the machine's monotonic clock: exchange, server and harness share one host. Quantities are
whole steps, values micro quote (1e-6).
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from phoenix_coordination import order_id


class Fact(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    at_ns: int


# -- the exchange ----------------------------------------------------------------------------------


class Accepted(Fact, frozen=True, kw_only=True):
    """The exchange took an order, or an amend of one; `leaves` is what may fill of it from now on."""

    symbol: str
    order: int
    client_id: str
    holder: str
    side: int
    """+1 buys, −1 sells."""
    leaves: int
    reduce_only: bool = False

    @property
    def token(self) -> int:
        """0 where the id is not of our making."""
        parsed = order_id.parse(self.client_id)
        return parsed.token if parsed is not None else 0

    @property
    def installation(self) -> str:
        parsed = order_id.parse(self.client_id)
        return parsed.installation if parsed is not None else ""


class Filled(Fact, frozen=True, kw_only=True):
    symbol: str
    order: int
    side: int
    steps: int


class Gone(Fact, frozen=True, kw_only=True):
    """The order rests no more: cancelled, expired, or filled whole."""

    symbol: str
    order: int


class Marked(Fact, frozen=True, kw_only=True):
    """`step_micro`: what one step is worth at the mark price."""

    symbol: str
    step_micro: float


# -- Redis -----------------------------------------------------------------------------------------


class LeaseTaken(Fact, frozen=True, kw_only=True):
    symbol: str
    holder: str
    token: int


class LeaseRenewed(Fact, frozen=True, kw_only=True):
    """Of the token that was taken last: a renewal by anybody else writes nothing."""

    symbol: str


class LeaseReleased(Fact, frozen=True, kw_only=True):
    symbol: str


class Booked(Fact, frozen=True, kw_only=True):
    """A symbol's entry of the ledger as it was written. `token` 0: read from the exchange by who rebuilt the ledger.

    `size` is the signed position as it was asked for; `*_floor` what may rest already, whatever is granted.
    """

    symbol: str
    token: int
    sequence: int
    long: int
    short: int
    gross: int
    buys: int
    sells: int
    size: int = 0
    buy_floor: int = 0
    sell_floor: int = 0


class Unbooked(Fact, frozen=True, kw_only=True):
    """The entry was dropped by who rebuilt the ledger: the exchange holds nothing of the symbol."""

    symbol: str


class LedgerLost(Fact, frozen=True, kw_only=True):
    """Somebody deleted the ledger, and nothing else."""


class LedgerRebuilt(Fact, frozen=True, kw_only=True):
    pass


class SwitchWritten(Fact, frozen=True, kw_only=True):
    """The account's emergency switch; `seeded` as it is now. `resumed`: by who named its epoch."""

    level: int
    epoch: int
    seeded: bool
    resumed: bool = False


class KeysLost(Fact, frozen=True, kw_only=True):
    """Redis holds nothing any more."""


class KeysOld(Fact, frozen=True, kw_only=True):
    """Redis came back with what it held a moment earlier: the ledger's entries may be of the past."""


class RedisDied(Fact, frozen=True, kw_only=True):
    """What it did in its last moment it may not have told us."""


class RedisStarted(Fact, frozen=True, kw_only=True):
    """Another run of the server: every mark of an earlier one is void."""


# -- the harness -----------------------------------------------------------------------------------


class FaultBegan(Fact, frozen=True, kw_only=True):
    number: int
    kind: str
    target: str
    """A worker's name, a symbol, or empty: the whole cell."""
    quoting: bool = False
    """Whether what it hits was quoting."""


class FaultEnded(Fact, frozen=True, kw_only=True):
    number: int


class Told(Fact, frozen=True, kw_only=True):
    """What a leader published of itself while nothing of its symbol rested: its position in steps."""

    symbol: str
    holder: str
    position: int


class AtRest(Fact, frozen=True, kw_only=True):
    """Nothing is done to anybody any more, and everybody has heard how the switch stands: what rests now, stays."""


class Observed(Fact, frozen=True, kw_only=True):
    """Something that the harness saw and a reader of the history wants to know."""

    text: str


AnyFact = (
    Accepted
    | Filled
    | Gone
    | Marked
    | LeaseTaken
    | LeaseRenewed
    | LeaseReleased
    | Booked
    | Unbooked
    | LedgerLost
    | LedgerRebuilt
    | SwitchWritten
    | KeysLost
    | KeysOld
    | RedisDied
    | RedisStarted
    | FaultBegan
    | FaultEnded
    | Told
    | AtRest
    | Observed
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyFact)


def in_order(facts: Iterable[AnyFact]) -> list[AnyFact]:
    """By time; facts of one source with one time stay as they were told."""
    return sorted(facts, key=lambda fact: fact.at_ns)


def write(facts: Iterable[AnyFact], path: Path) -> None:
    path.write_bytes(_encoder.encode_lines(list(in_order(facts))))


def read(path: Path) -> list[AnyFact]:
    return [_decoder.decode(line) for line in path.read_bytes().splitlines() if line]

"""All that one worker knows, as one tree of structs: its encoding is a keyframe, and a replay from one is exact."""

import msgspec
from phoenix_coordination.state import Reason

from phoenix_worker.core.account import Account
from phoenix_worker.core.actions import AnyAction
from phoenix_worker.core.book import Book
from phoenix_worker.core.freshness import Freshness
from phoenix_worker.core.funding import Funding, Prediction
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.liquidation import Liquidation
from phoenix_worker.core.losses import Losses
from phoenix_worker.core.markout import Markouts
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.core.quoting import Ladder
from phoenix_worker.core.reconcile import Reconciliation
from phoenix_worker.core.reservation import Reservation
from phoenix_worker.core.session import Session
from phoenix_worker.core.statistics import Statistics
from phoenix_worker.core.tally import Tally
from phoenix_worker.core.vpin import Vpin

Out = list[AnyAction]
"""Where a handler puts what it asks for, in the order in which it is to be done."""


class Stopping(msgspec.Struct):
    """How far an orderly stop has come."""

    since_ns: int = 0
    cancel_all_ns: int = 0
    confirmed: bool = False


class State(msgspec.Struct):
    """One symbol of one account. Changed only by `engine.Engine.on`, through `decision` and `upkeep`."""

    instrument: Instrument
    parameters: Parameters
    revision: str
    dry_run: bool
    started_ns: int
    now_ns: int
    book: Book
    freshness: Freshness = msgspec.field(default_factory=Freshness)
    statistics: Statistics = msgspec.field(default_factory=Statistics)
    vpin: Vpin = msgspec.field(default_factory=Vpin)
    session: Session = msgspec.field(default_factory=Session)
    account: Account = msgspec.field(default_factory=Account.empty)
    reconciliation: Reconciliation = msgspec.field(default_factory=Reconciliation)
    reservation: Reservation = msgspec.field(default_factory=Reservation)
    liquidation: Liquidation = msgspec.field(default_factory=Liquidation)
    losses: Losses = msgspec.field(default_factory=Losses)
    markouts: Markouts = msgspec.field(default_factory=Markouts)
    tally: Tally = msgspec.field(default_factory=Tally)
    stopping: Stopping = msgspec.field(default_factory=Stopping)
    mode: Mode = Mode.NORMAL
    maker_fee_bps: float = 0.0
    taker_fee_bps: float = 0.0
    mark: float = 0.0
    mark_ns: int = 0
    """When the mark was told."""
    index: float = 0.0
    funding_rate: float = 0.0
    prediction: Prediction = msgspec.field(default_factory=Prediction)
    funding: Funding = msgspec.field(default_factory=Funding)
    next_funding_ms: int = 0
    silent_upstream: bool = False
    refused_upstream: bool = False
    reasons: list[Reason] = []
    ladder: Ladder | None = None
    market_high: int = 0
    """While bid + ask (in ticks) stays in `market_low`..`market_high`, every quote stays in its keep band."""
    market_low: int = 0
    unready_since_ns: int = 0
    """Since when this leader cannot quote although another worker might (0: it can, or nobody could)."""
    dirty: bool = True
    next_requote_ns: int = 0
    """`minRequoteInterval` after orders were last placed or amended; a decision that moved nothing delays nothing."""
    next_evaluation_ns: int = 0
    snapshot_asked_ns: int = 0
    minutes_asked_ns: int = 0
    reconnects: int = 0
    user_reconnect_ns: int = 0

    @property
    def accounts_began_ms(self) -> int:
        """The exchange's time from which fills count: of the symbol's first worker, as far as anybody remembers."""
        return self.account.pnl.began_ms or self.session.exchange_ms(self.started_ns)

"""The contract between whoever makes a market (a recording, a generator) and the exchange that trades on it.

A source yields `MarketUpdate`s in time order; `Exchange.apply` takes them one by one. Two kinds of market:

* SYNTHETIC: the source moves *background* liquidity with `DepthUpdate` (absolute background quantities, without the
  accounts' orders) and trades with `TakerUpdate`, a background market order that really sweeps the book, the
  accounts' orders included. Prints, update ids, depth and touch that the public sees come from the exchange, and
  accounts' orders are part of them. A background level that crosses a resting order of an account trades with it.
* REPLAY: the source repeats what a venue said: `DepthUpdate` (with the recorded ids), `TouchUpdate`, `PrintUpdate`.
  These reach the public unchanged. Accounts' orders are filled from them (see `exchange/book.py`) and stay unseen.
"""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Protocol

import msgspec

Level = tuple[int, int]
"""(price_ticks, qty_steps): absolute quantity; 0 deletes the level."""


class MarketKind(Enum):
    SYNTHETIC = auto()
    REPLAY = auto()


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """Levels of the background book. `first_id`/`last_id` (`U`/`u`) are the recording's; 0 in a synthetic market."""

    time_ns: int
    """Since the start of the source."""
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    first_id: int = 0
    last_id: int = 0


class TouchUpdate(msgspec.Struct, frozen=True, gc=False):
    """REPLAY only: a recorded best bid and ask (bookTicker)."""

    time_ns: int
    update_id: int
    bid_ticks: int
    bid_steps: int
    ask_ticks: int
    ask_steps: int


class PrintUpdate(msgspec.Struct, frozen=True, gc=False):
    """REPLAY only: a recorded trade. `buyer_is_maker`: the taker sold."""

    time_ns: int
    trade_id: int
    price_ticks: int
    qty_steps: int
    buyer_is_maker: bool


class TakerUpdate(msgspec.Struct, frozen=True, gc=False):
    """SYNTHETIC only: a background taker sweeps the book for at most `qty_steps`, no further than `limit_ticks`
    (None: wherever there is liquidity). What finds no counterpart is dropped.
    """

    time_ns: int
    is_buy: bool
    qty_steps: int
    limit_ticks: int | None = None


class MarkUpdate(msgspec.Struct, frozen=True, gc=False):
    """Mark and index price (8 decimals, × 1e8) and the funding rate predicted for the next settlement (× 1e8)."""

    time_ns: int
    mark_e8: int
    index_e8: int
    funding_rate_e8: int


MarketUpdate = DepthUpdate | TouchUpdate | PrintUpdate | TakerUpdate | MarkUpdate


class MarketStart(msgspec.Struct, frozen=True):
    """What a market looks like when it opens."""

    kind: MarketKind
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    mark_e8: int
    index_e8: int
    funding_rate_e8: int
    last_update_id: int = 1_000_000
    """Of the snapshot; a replay gives the recording's."""
    last_trade_id: int = 1_000_000


class BackgroundView(Protocol):
    """What a source may read of the exchange between two of its updates: background liquidity as it stands after
    accounts' orders took from it. Their own orders are not in it.
    """

    def best_bid(self) -> Level | None: ...

    def best_ask(self) -> Level | None: ...

    def best_quote(self, *, is_bid: bool) -> Level | None:
        """The best price at which an account's order rests, with all of theirs there: for agents that react to them."""
        ...

    def quantity(self, *, is_bid: bool, price_ticks: int) -> int: ...

    def lookup(self, *, is_bid: bool) -> Callable[[int], int | None]:
        """`quantity` of one side for many prices, until the next update; None is 0. Asks are asked for by −price."""
        ...


class LiveMarket(Protocol):
    """What a live source does to its market, as it hears of it."""

    def apply(self, update: MarketUpdate) -> None: ...

    def blind(self, is_blind: bool) -> None:
        """While the book is not known, nothing can be matched against it: orders are refused (−1016), cancels work."""
        ...


class LiveReport(msgspec.Struct, frozen=True):
    """How a live source fares."""

    symbol: str
    in_step: bool
    """Whether its book is the upstream's."""
    trouble: str
    """Why it is not, or was not the last time."""
    connections: int
    """Lines opened so far, those that replaced one in time included."""
    resynchronised: int
    """How often the book was read anew."""


class MarketSource(Protocol):
    """One symbol's market. The same seed or file gives the same updates, whatever the wall clock says."""

    @property
    def symbol(self) -> str: ...

    def start(self) -> MarketStart: ...

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:
        """Endless, or ends with the recording. Each update is applied before the next one is asked for."""
        ...

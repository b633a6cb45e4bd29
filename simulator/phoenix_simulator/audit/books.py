"""Which client can see which book, as the exchange knows it: it knows what it delivered and what a fault swallowed.

A client is its User-Agent (`holder`). Its book of a symbol is the best kind of stream that it ever subscribed: diff
depth before partial depth before the touch. The book is broken

* `silent` since the first frame that a fault kept from it; a REST read of that book renews the client's knowledge,
* `late` since the first frame that a fault delays by more than the grace, until one is on time again,
* `gap` since the first diff that arrived after a lost one whose changes no snapshot told it, until the client reads a
  new snapshot or subscribes anew,
* `disconnected` since its last subscription ended.
"""

from collections import OrderedDict
from enum import Enum
from typing import Final, Protocol

import msgspec

from phoenix_simulator.api.stream_names import StreamKind, StreamName

_CLIENTS_KEPT: Final = 2_000
_BEST_FIRST: Final = (StreamKind.DEPTH, StreamKind.PARTIAL_DEPTH, StreamKind.BOOK_TICKER)


class Graces(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How long after a break an order is still forgiven, in simulated seconds. A client may call a book stale after
    two seconds without a frame; a gap or a closed socket it sees at once. A fast clock makes a client's own delays
    long: accelerated runs want more.
    """

    silent_seconds: float = 2.5
    confirmed_seconds: float = 10.0
    """Silence after a REST read that showed the book: a client may take a quiet symbol for quiet."""
    gap_seconds: float = 0.5
    disconnected_seconds: float = 0.5
    rate_limit_seconds: float = 0.25
    """Requests that were on the wire when the 429 left."""
    stop_seconds: float = 0.25
    """Orders that were on the wire when the stop was declared."""

    def of(self, why: "Why", *, confirmed: bool) -> float:
        match why:
            case Why.SILENT:
                return self.confirmed_seconds if confirmed else self.silent_seconds
            case Why.LATE:
                return self.silent_seconds
            case Why.GAP:
                return self.gap_seconds
            case Why.DISCONNECTED:
                return self.disconnected_seconds


class Why(Enum):
    SILENT = "silent"
    LATE = "late"
    GAP = "gap"
    DISCONNECTED = "disconnected"


class Broken(msgspec.Struct):
    why: Why
    since_ns: int
    confirmed: bool = False


class Subscriber(Protocol):
    """A connection; only its identity matters here."""

    def __hash__(self) -> int: ...


class _Book:
    """One client's view of one symbol by one kind of stream."""

    __slots__ = ("broken", "lost_id", "read_id", "subscribers")

    def __init__(self) -> None:
        self.subscribers: dict[Subscriber, int] = {}
        self.broken: Broken | None = None
        self.lost_id = 0
        """The last update of which a diff told that was lost."""
        self.read_id = 0
        """The last update that a snapshot has shown the client."""


class BookWatch:
    """Times are the simulated monotonic clock, ns."""

    def __init__(self) -> None:
        self.graces = Graces()
        self._books: OrderedDict[tuple[str, str], dict[StreamKind, _Book]] = OrderedDict()
        self.watched: set[tuple[str, str, StreamKind]] = set()
        """Books that further frames can heal or worsen; without one frames need not be reported at all."""

    def subscribed(self, holder: str, stream: StreamName, subscriber: Subscriber) -> None:
        if not stream.kind.is_book or not stream.symbol:
            return
        books = self._books.setdefault((holder, stream.symbol), {})
        self._books.move_to_end((holder, stream.symbol))
        if len(self._books) > _CLIENTS_KEPT:
            (forgotten, symbol), kinds = self._books.popitem(last=False)
            self.watched -= {(forgotten, symbol, kind) for kind in kinds}
        book = books.setdefault(stream.kind, _Book())
        book.subscribers[subscriber] = book.subscribers.get(subscriber, 0) + 1
        self._heal(holder, stream.symbol, stream.kind, book)

    def unsubscribed(self, holder: str, stream: StreamName, subscriber: Subscriber, now_ns: int) -> None:
        book = self._find(holder, stream)
        if book is None or subscriber not in book.subscribers:
            return
        book.subscribers[subscriber] -= 1
        if not book.subscribers[subscriber]:
            del book.subscribers[subscriber]
        if not book.subscribers:
            since_ns = book.broken.since_ns if book.broken is not None else now_ns
            self._heal(holder, stream.symbol, stream.kind, book)
            book.broken = Broken(Why.DISCONNECTED, since_ns)

    def lost(self, holder: str, stream: StreamName, now_ns: int, update_id: int) -> None:
        """A fault swallowed a frame, of a diff of depth with all until this update."""
        book = self._find(holder, stream)
        if book is None:
            return
        if stream.kind is StreamKind.DEPTH:
            if update_id <= book.read_id:
                return  # a snapshot was faster: the client knows, and the next diff joins
            book.lost_id = update_id
        self._break(holder, stream, Why.SILENT, now_ns)

    def late(self, holder: str, stream: StreamName, now_ns: int, delay_s: float) -> None:
        if delay_s >= self.graces.silent_seconds:
            self._break(holder, stream, Why.LATE, now_ns)

    def delivered(self, holder: str, stream: StreamName, now_ns: int) -> None:
        """A frame went out on time."""
        book = self._find(holder, stream)
        if book is None or book.broken is None:
            return
        match book.broken.why:
            case Why.SILENT if stream.kind is StreamKind.DEPTH and book.lost_id > book.read_id:
                book.broken = Broken(Why.GAP, now_ns)
            case Why.SILENT | Why.LATE:
                self._heal(holder, stream.symbol, stream.kind, book)
            case Why.GAP | Why.DISCONNECTED:
                pass

    def read(self, holder: str, symbol: str, now_ns: int, update_id: int) -> None:
        """The client asked for a snapshot of the book, and got it with all until this update."""
        for kind, book in self._books.get((holder, symbol), {}).items():
            book.read_id = update_id
            if book.broken is not None and book.broken.why is Why.GAP:
                self._heal(holder, symbol, kind, book)
        self.read_touch(holder, symbol, now_ns)

    def read_touch(self, holder: str, symbol: str, now_ns: int) -> None:
        """The client asked for the best prices, and got them: silence is known to be quiet."""
        for book in self._books.get((holder, symbol), {}).values():
            if book.broken is not None and book.broken.why is Why.SILENT:
                book.broken = Broken(Why.SILENT, now_ns, confirmed=True)

    def broken(self, holder: str, symbol: str, at_ns: int) -> Why | None:
        """Why this client was blind at that moment, beyond the grace. None for one that sees, or never looked."""
        books = self._books.get((holder, symbol))
        if not books:
            return None
        broken = next(books[kind].broken for kind in _BEST_FIRST if kind in books)
        if broken is None:
            return None
        grace_ns = int(self.graces.of(broken.why, confirmed=broken.confirmed) * 1e9)
        return broken.why if at_ns - broken.since_ns > grace_ns else None

    def _find(self, holder: str, stream: StreamName) -> _Book | None:
        return self._books.get((holder, stream.symbol), {}).get(stream.kind)

    def _break(self, holder: str, stream: StreamName, why: Why, now_ns: int) -> None:
        book = self._find(holder, stream)
        if book is not None and book.broken is None:
            book.broken = Broken(why, now_ns)
            self.watched.add((holder, stream.symbol, stream.kind))

    def _heal(self, holder: str, symbol: str, kind: StreamKind, book: _Book) -> None:
        book.broken = None
        self.watched.discard((holder, symbol, kind))

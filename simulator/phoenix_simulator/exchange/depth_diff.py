"""What a diff-depth stream has to tell: where the public book of a listing has changed since it last told."""

from collections.abc import Collection


class DepthDiff:
    """Kept by key (see `book`), without quantities: of many changes at a price only what it holds in the end is told.
    Each stream has a chain (`previous_id`) of its own.
    """

    __slots__ = ("asks", "bids", "first_id", "last_id", "previous_id", "time_ms")

    def __init__(self, last_update_id: int) -> None:
        self.previous_id = last_update_id
        self.last_id = last_update_id
        self.first_id = 0
        """0 where nothing has changed."""
        self.time_ms = 0
        self.bids: set[int] = set()
        self.asks: set[int] = set()

    def add(self, first_id: int, last_id: int, time_ms: int, bids: Collection[int], asks: Collection[int]) -> None:
        """An update of the public book."""
        if not self.first_id:
            self.first_id = first_id
        self.last_id = last_id
        self.time_ms = time_ms
        if bids:
            self.bids.update(bids)
        if asks:
            self.asks.update(asks)

    def add_beside(self, key: int, update_id: int, time_ms: int, *, is_bid: bool) -> None:
        """A price that changed beside the public book, whose ids do not count it."""
        self.first_id = self.first_id or update_id
        self.last_id = max(self.last_id, update_id)
        self.time_ms = time_ms
        (self.bids if is_bid else self.asks).add(key)

    def turn(self) -> None:
        """All of it is told; what changes from now on follows it."""
        self.previous_id = self.last_id
        self.first_id = 0
        self.bids.clear()
        self.asks.clear()

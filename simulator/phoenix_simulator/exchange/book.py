"""Price-time book of one symbol: background liquidity per level, and accounts' orders with their place in the queue.

Each side keeps prices as *keys* (`ticks` for bids, `−ticks` for asks), so that on both sides the larger key is the
better price and the best one stands at the end of a sorted list: near the touch a level comes and goes in O(1).

**Queue position.** A resting order knows how much background quantity stands ahead of it at its price. Orders of
accounts keep their order of arrival among themselves. Trades at the price consume the front first. When the background
shrinks without a trade, somebody cancelled, and a level's total does not say where in the queue: `QueueModel` decides.

**A replay** fills accounts' orders from what was recorded, and cannot know what the recorded participants would have
done had our orders been there:

* a print at the order's price eats what is ahead first, then the order; a print through the price, or recorded
  opposite liquidity at or beyond it, proves that the order would have been reached, and fills it, never for more than
  was printed or stood there;
* a print already counted explains the same drop in the level that a later depth frame reports, so it is no cancel;
* an account's taker takes recorded liquidity away from accounts only: the public book stays the recording's, and the
  level is whole again when the recording next states it. Impact beyond that is unknown and not modelled.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

import msgspec

from phoenix_simulator.exchange.orders import Order, Side

Level = tuple[int, int]


class QueueModel(Enum):
    """Where in a level's queue the background cancels, between two bounds that hold whatever really happened."""

    PESSIMISTIC = "pessimistic"
    """Behind us first: an order advances only when what is ahead exceeds what the level still holds."""
    PROPORTIONAL = "proportional"
    """Evenly along the queue."""
    OPTIMISTIC = "optimistic"
    """Ahead of us first."""

    def ahead_after_cancel(self, ahead: int, before: int, after: int) -> int:
        """Background steps ahead of an order once the level's background fell from `before` to `after`."""
        match self:
            case QueueModel.PESSIMISTIC:
                return min(ahead, after)
            case QueueModel.PROPORTIONAL:
                return min(ahead * after // before, after)
            case QueueModel.OPTIMISTIC:
                return min(max(0, ahead - (before - after)), after)


class Resting(msgspec.Struct, eq=False):
    """An order in the book and the background quantity ahead of it at its price."""

    order: Order
    ahead_steps: int


class Queue(msgspec.Struct, eq=False):
    """Accounts' orders at one price, first come first. `ahead_steps` never falls along the list."""

    model: QueueModel
    background_steps: int
    """Others' quantity at this price as last stated, less what was seen to trade since."""
    resting: list[Resting] = []

    def join(self, order: Order, stated_steps: int) -> None:
        """Behind everything that may be there: `stated_steps` can exceed what prints left of the last statement."""
        self.background_steps = max(self.background_steps, stated_steps)
        self.resting.append(Resting(order, self.background_steps))

    def leave(self, order: Order) -> bool:
        for index, entry in enumerate(self.resting):
            if entry.order is order:
                del self.resting[index]
                return True
        return False

    def leaves_steps(self) -> int:
        return sum(entry.order.leaves_steps for entry in self.resting)

    def consume(self, steps: int) -> None:
        """Background quantity at the front of the queue traded."""
        self.background_steps = max(0, self.background_steps - steps)
        for entry in self.resting:
            entry.ahead_steps = max(0, entry.ahead_steps - steps)

    def print_instead(self, steps: int) -> None:
        """A recorded print filled one of our orders: the recording's level falls by as much, and nobody cancelled."""
        self.background_steps = max(0, self.background_steps - steps)
        for entry in self.resting:
            entry.ahead_steps = min(entry.ahead_steps, self.background_steps)

    def state_background(self, steps: int) -> None:
        """The source states the background's quantity: more joins the back, less means that somebody cancelled."""
        before = self.background_steps
        self.background_steps = steps
        if steps < before:
            ahead_after_cancel = self.model.ahead_after_cancel
            for entry in self.resting:
                entry.ahead_steps = ahead_after_cancel(entry.ahead_steps, before, steps)


class Counterpart(msgspec.Struct, frozen=True):
    """The next in priority for a taker: an account's order, or background liquidity (`order` None)."""

    key: int
    steps: int
    order: Order | None


class BookSide:
    """Bids (`sign` +1) or asks (−1). `consumed` is what accounts took from recorded levels (replay only)."""

    __slots__ = ("consumed", "keys", "levels", "model", "queue_keys", "queues", "sign", "touch_key", "touch_steps")

    def __init__(self, sign: int, model: QueueModel) -> None:
        self.sign = sign
        self.model = model
        self.levels: dict[int, int] = {}
        self.keys: list[int] = []
        self.queues: dict[int, Queue] = {}
        self.queue_keys: list[int] = []
        self.consumed: dict[int, int] = {}
        self.touch_key: int | None = None
        """A recorded touch newer than the depth: levels beyond it are gone, the one at it holds `touch_steps`."""
        self.touch_steps = 0

    # ---- the source ---------------------------------------------------------------------------------------------

    def state_levels(self, levels: Sequence[Level]) -> list[int]:
        """The source states background quantities (0 deletes); returns the keys where that changed something."""
        book, keys, queues, consumed, sign = self.levels, self.keys, self.queues, self.consumed, self.sign
        changed: list[int] = []
        for ticks, steps in levels:
            key = ticks * sign
            before = book.get(key, 0)
            if consumed:
                consumed.pop(key, None)
            if key in queues:
                queues[key].state_background(steps)
            if steps == before:
                continue
            changed.append(key)
            if not steps:
                del book[key]
                if keys[-1] == key:
                    keys.pop()
                else:
                    del keys[bisect_left(keys, key)]
                continue
            book[key] = steps
            if not before:
                if keys and key < keys[-1]:
                    insort(keys, key)
                else:
                    keys.append(key)
        return changed

    def set_touch(self, key: int, steps: int) -> None:
        """A recorded best price and quantity, newer than the last depth frame.

        It bounds what can be traded with, but moves no queue: in recordings a touch often precedes the prints that
        caused it, and counting both would advance our orders twice. Depth frames come after their prints.
        """
        known = self.touch_steps if self.touch_key == key else self.levels.get(key, 0)
        if known != steps:
            self.consumed.pop(key, None)
        self.touch_key, self.touch_steps = key, steps

    def clear_touch(self) -> None:
        self.touch_key = None

    # ---- accounts' orders ---------------------------------------------------------------------------------------

    def key_of(self, price_ticks: int) -> int:
        return price_ticks * self.sign

    def add(self, order: Order) -> None:
        """At the back of the queue at its price."""
        key = order.price_ticks * self.sign
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = Queue(self.model, self.background(key))
            insort(self.queue_keys, key)
        queue.join(order, self.background(key))

    def remove(self, order: Order) -> bool:
        """False where the order does not rest here."""
        key = order.price_ticks * self.sign
        queue = self.queues.get(key)
        if queue is None or not queue.leave(order):
            return False
        if not queue.resting:
            del self.queues[key]
            del self.queue_keys[bisect_left(self.queue_keys, key)]
        return True

    def ahead_of(self, order: Order) -> int:
        """Background steps ahead of a resting order."""
        return next(
            entry.ahead_steps for entry in self.queues[order.price_ticks * self.sign].resting if entry.order is order
        )

    # ---- priority -----------------------------------------------------------------------------------------------

    def background(self, key: int) -> int:
        """Background quantity at a price that accounts can still trade with."""
        if self.touch_key is not None and key >= self.touch_key:
            if key > self.touch_key:
                return 0
            stated = self.touch_steps
        else:
            stated = self.levels.get(key, 0)
        return max(0, stated - self.consumed.get(key, 0)) if self.consumed else stated

    def background_keys(self) -> Iterator[int]:
        """Prices with background liquidity to trade with, best first."""
        touch_key = self.touch_key
        if touch_key is not None:
            if self.background(touch_key):
                yield touch_key
            index = bisect_left(self.keys, touch_key)
        else:
            index = len(self.keys)
        while index:
            index -= 1
            key = self.keys[index]
            if not self.consumed or self.background(key):
                yield key

    def best_background(self) -> int | None:
        if self.touch_key is None and not self.consumed:
            # A synthetic market, which is asked with every update: nothing but the levels counts.
            return self.keys[-1] if self.keys else None
        return next(self.background_keys(), None)

    def best_background_level(self) -> Level | None:
        """The price at that key, and what is there to trade with."""
        if self.touch_key is None and not self.consumed:
            # As above.
            if not self.keys:
                return None
            key = self.keys[-1]
            return key * self.sign, self.levels[key]
        best = self.best_background()
        return None if best is None else (best * self.sign, self.background(best))

    def best(self) -> int | None:
        """The best key that a taker could trade at."""
        key = self.best_background()
        if self.queue_keys and (key is None or self.queue_keys[-1] > key):
            return self.queue_keys[-1]
        return key

    def counterpart(self, limit_key: int | None) -> Counterpart | None:
        """Who is next, no worse than `limit_key`; at one price: what is ahead of an order, the order, the rest."""
        key = self.best()
        if key is None or (limit_key is not None and key < limit_key):
            return None
        background = self.background(key)
        queue = self.queues.get(key)
        if queue is None:
            return Counterpart(key, background, None)
        front = queue.resting[0]
        ahead = min(front.ahead_steps, background)
        if ahead:
            return Counterpart(key, ahead, None)
        return Counterpart(key, front.order.leaves_steps, front.order)

    def available(self, limit_key: int | None, enough: int) -> int:
        """What a taker could get no worse than `limit_key`, counting up to `enough` (fill-or-kill)."""
        total = 0
        for key in self.background_keys():
            if total >= enough or (limit_key is not None and key < limit_key):
                break
            total += self.background(key)
        for key in reversed(self.queue_keys):
            if total >= enough or (limit_key is not None and key < limit_key):
                break
            total += self.queues[key].leaves_steps()
        return min(total, enough)

    def consume(self, key: int, steps: int, *, keep_level: bool) -> None:
        """A taker took background liquidity; in a replay (`keep_level`) the recorded level stays as it was said."""
        queue = self.queues.get(key)
        if queue is not None:
            queue.consume(steps)
        if keep_level:
            self.consumed[key] = self.consumed.get(key, 0) + steps
            return
        left = self.levels[key] - steps
        if left:
            self.levels[key] = left
        else:
            del self.levels[key]
            del self.keys[bisect_left(self.keys, key)]

    # ---- the public ---------------------------------------------------------------------------------------------

    def displayed(self, key: int) -> int:
        """Background and accounts' orders together, as a synthetic market shows them."""
        steps, queue = self.levels.get(key, 0), self.queues.get(key)
        return steps if queue is None else steps + queue.leaves_steps()

    def displayed_all(self, keys: Iterable[int]) -> tuple[Level, ...]:
        """Levels of these keys, 0 where nothing is left, best first."""
        sign, levels, queues = self.sign, self.levels, self.queues
        ordered = sorted(keys, reverse=True)
        # Written out for the many prices where no account's order rests.
        return tuple([(key * sign, self.displayed(key) if key in queues else levels.get(key, 0)) for key in ordered])

    def displayed_touch(self) -> Level:
        """(price_ticks, steps); (0, 0) for an empty side."""
        key = self.keys[-1] if self.keys else None
        if not self.queue_keys or (key is not None and self.queue_keys[-1] < key):
            return (key * self.sign, self.levels[key]) if key is not None else (0, 0)
        key = self.queue_keys[-1]
        return key * self.sign, self.displayed(key)

    def displayed_levels(self, limit: int) -> tuple[Level, ...]:
        """Best first."""
        keys = sorted({*self.keys[-limit:], *self.queue_keys[-limit:]}, reverse=True)[:limit]
        return tuple((key * self.sign, self.displayed(key)) for key in keys)

    def recorded_all(self, keys: Iterable[int]) -> tuple[Level, ...]:
        """Levels of these keys as the recording's depth frames state them, 0 where nothing is left, best first."""
        return tuple((key * self.sign, self.levels.get(key, 0)) for key in sorted(keys, reverse=True))

    def recorded_levels(self, limit: int) -> tuple[Level, ...]:
        """Best first, as the recording's depth frames state them."""
        return tuple((key * self.sign, self.levels[key]) for key in reversed(self.keys[-limit:]))


class Book:
    def __init__(self, model: QueueModel) -> None:
        self.bids = BookSide(1, model)
        self.asks = BookSide(-1, model)

    def set_queue_model(self, model: QueueModel) -> None:
        """Of all that is cancelled from now on."""
        for side in (self.bids, self.asks):
            side.model = model
            for queue in side.queues.values():
                queue.model = model

    def side(self, side: Side) -> BookSide:
        """Where orders of `side` rest."""
        return self.bids if side is Side.BUY else self.asks

    def against(self, side: Side) -> BookSide:
        """Where orders of `side` find their counterparts."""
        return self.asks if side is Side.BUY else self.bids


class DepthSnapshot(msgspec.Struct, frozen=True):
    symbol: str
    time_ms: int
    """Engine time of the last change."""
    last_update_id: int
    bids: tuple[Level, ...]
    """Best first."""
    asks: tuple[Level, ...]

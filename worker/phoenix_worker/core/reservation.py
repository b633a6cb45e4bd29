"""Our entry in the account's exposure ledger: asked for before the orders go out, lowered only by what is confirmed."""

import msgspec
from phoenix_coordination.exposure import PRICE_BUFFER

from phoenix_worker.core.actions import Reserve

RENEW_NS = 10_000_000_000
RETRY_NS = 1_000_000_000
MARK_MOVED = PRICE_BUFFER / 2
"""Half of the ledger's price buffer: beyond it the entry is valued wrongly."""


class Need(msgspec.Struct):
    """What must be covered, in steps: all that may rest soon, and what of it is live, in flight or unknown already."""

    position: int
    buys: int
    sells: int
    buys_live: int
    sells_live: int


class Reservation(msgspec.Struct):
    """Granted pending buys and sells in steps, and what they were granted for.

    A grant may be lower than the one before, and than what is live. Then the ledger still counts the higher one, under
    which orders may have been on their way, until it is asked again (`lowered`).

    It was given beside a position: the entry covers `position + buys` and no more. What has been bought since is off
    the room for buys (see `room`), or each fill with its successor would take us further than anybody counts.
    """

    sequence: int = 0
    buy_granted: int = 0
    sell_granted: int = 0
    buy_asked: int = 0
    sell_asked: int = 0
    position: int = 0
    granted_position: int = 0
    mark: float = 0.0
    asked_ns: int = 0
    answered: bool = True
    lowered: bool = False

    def forget(self) -> None:
        """The lease was lost: what was granted, or still will be, belonged to its token."""
        self.sequence += 1
        self.buy_granted = self.sell_granted = 0
        self.answered = True
        self.asked_ns = 0

    def on_granted(self, sequence: int, buy_steps: int, sell_steps: int) -> bool:
        """Takes the newest answer; older ones have been replaced in the ledger."""
        if sequence != self.sequence:
            return False
        self.lowered = buy_steps < self.buy_granted or sell_steps < self.sell_granted
        self.buy_granted, self.sell_granted, self.answered = buy_steps, sell_steps, True
        self.granted_position = self.position
        return True

    def room(self, position: int) -> tuple[int, int]:
        """(buys, sells) that may be pending beside this position, in steps.

        It never grows with the position: the entry that is asked for next may be the smaller one.
        """
        moved = position - self.granted_position
        return max(0, self.buy_granted - max(0, moved)), max(0, self.sell_granted - max(0, -moved))

    def ask(self, now_ns: int, need: Need, headroom: int, mark: float) -> Reserve | None:
        """A new request where the need no longer fits, or the entry is old. `headroom` is asked for beyond it, so that
        not every new layer needs a request of its own.
        """
        age = now_ns - self.asked_ns
        moved_by = need.position - self.position
        asked_enough = (
            need.buys + max(0, moved_by) <= self.buy_asked and need.sells + max(0, -moved_by) <= self.sell_asked
        )
        if self.answered:
            buys, sells = self.room(need.position)
            short = need.buys > buys or need.sells > sells
            moved = need.position != self.position or abs(mark - self.mark) > MARK_MOVED * mark
            # A grant below what was asked is an answer: asking the same again at once would help nobody.
            due = (short and not asked_enough) or age >= RENEW_NS
            due = due or ((short or moved or self.lowered) and age >= RETRY_NS)
        else:
            due = not asked_enough or age >= RETRY_NS
        if not due:
            return None
        self.sequence += 1
        self.position, self.mark, self.asked_ns, self.answered = need.position, mark, now_ns, False
        self.buy_asked, self.sell_asked = need.buys + headroom, need.sells + headroom
        return Reserve(
            self.sequence, need.position, self.buy_asked, self.sell_asked, mark, need.buys_live, need.sells_live
        )

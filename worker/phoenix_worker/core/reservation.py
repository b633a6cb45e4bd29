"""Our entry in the account's exposure ledger: asked for before the orders go out, lowered only by what is confirmed."""

import msgspec

from phoenix_worker.core.actions import Reserve

RENEW_NS = 10_000_000_000
RETRY_NS = 1_000_000_000
MARK_MOVED = 0.005
"""Half of the ledger's price buffer: beyond it the entry is valued wrongly."""


class Reservation(msgspec.Struct):
    """Granted pending buys and sells in steps, and what they were granted for."""

    sequence: int = 0
    buy_granted: int = 0
    sell_granted: int = 0
    buy_asked: int = 0
    sell_asked: int = 0
    position: int = 0
    mark: float = 0.0
    asked_ns: int = 0
    answered: bool = True

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
        self.buy_granted, self.sell_granted, self.answered = buy_steps, sell_steps, True
        return True

    def need(self, now_ns: int, position: int, buys: int, sells: int, headroom: int, mark: float) -> Reserve | None:
        """A new request where the need no longer fits, or the entry is old. `buys`, `sells`: all that must be
        covered.
        """
        age = now_ns - self.asked_ns
        asked_enough = buys <= self.buy_asked and sells <= self.sell_asked
        if self.answered:
            short = buys > self.buy_granted or sells > self.sell_granted
            moved = position != self.position or abs(mark - self.mark) > MARK_MOVED * mark
            # A grant below what was asked is an answer: asking the same again at once would help nobody.
            due = (short and not asked_enough) or ((short or moved) and age >= RETRY_NS) or age >= RENEW_NS
        else:
            due = not asked_enough or age >= RETRY_NS
        if not due:
            return None
        self.sequence += 1
        self.position, self.mark, self.asked_ns, self.answered = position, mark, now_ns, False
        self.buy_asked, self.sell_asked = buys + headroom, sells + headroom
        return Reserve(self.sequence, position, self.buy_asked, self.sell_asked, mark)

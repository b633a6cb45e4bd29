"""The judge: a history in, violations of the four invariants out. Pure.

Each rule is the sharpest statement that holds for a worker that does what was promised, however late it hears of
anything. A lease that Redis wrote at `t` was asked for before `t`, so its holder sends nothing that the exchange takes
after `t + ttl − margin`; an answer that renewed it later carried the switch and the ledger's state of that moment. So
what a worker cannot know yet is bounded by its last renewal before it happened, and never by a guess.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

import msgspec
from history import (
    Accepted,
    AnyFact,
    AtRest,
    Booked,
    KeysLost,
    KeysOld,
    LeaseTaken,
    LedgerRebuilt,
    RedisDied,
    RedisStarted,
    SwitchWritten,
    Told,
    in_order,
)
from world import Symbol, World

BORROWER = "/steward"
"""Ends the name under which a worker holds another maker's symbol, whose leader is gone, as the account's steward."""


class Rule(StrEnum):
    ONE_TRADER = "one trader per symbol"
    LIMITS = "the account's limits hold"
    STOP = "a stop stops"
    NOTHING_FORGOTTEN = "nothing is forgotten"
    RECOVERY = "what has healed quotes again"


class Violation(msgspec.Struct, frozen=True):
    rule: Rule
    at_ns: int
    symbol: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.symbol}: {self.text} (at {self.at_ns / 1e9:.3f} s)"


class Terms(msgspec.Struct, frozen=True):
    """What was promised. `usable_ns`: the lease's ttl less its margin. `tolerance_ns`: two clocks of one machine, read
    one after another, and the exchange's own whole milliseconds. `second_writer_ns`: how long a worker may take to
    see another installation's order, where its user stream has to be found dead first. `reading_ns`: how old what a
    leader has read of the exchange may be when it goes into the ledger.
    """

    installation: str
    net_micro: int
    gross_micro: int
    usable_ns: int
    ttl_ns: int
    tolerance_ns: int = 5_000_000
    second_writer_ns: int = 5_000_000_000
    reading_ns: int = 1_000_000_000


def check(facts: Iterable[AnyFact], terms: Terms) -> list[Violation]:
    return list(Judge(terms).judge(in_order(facts)))


class Judge:
    """One history. Each rule sees a fact after the world has taken it, and what the world was before is in it."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._world = World(terms.installation)
        self._entries: dict[str, Booked] = {}
        """By symbol: the newest entry that a leader has written since the ledger was lost."""
        self._lost_ns = 0
        self._switch: SwitchWritten | None = None
        """As it was written last, where nothing was lost since."""
        self._changed_ns = 0
        """When the server's run, or what it holds, changed last: whoever watches a lease begins anew."""

    def judge(self, facts: Iterable[AnyFact]) -> Iterator[Violation]:
        for fact in facts:
            yield from self._before(fact)
            self._world.apply(fact)
            yield from self._after(fact)

    def _before(self, fact: AnyFact) -> Iterator[Violation]:
        """Against the world that the fact changes."""
        match fact:
            case Accepted() if self._ours(fact):
                yield from self._one_trader(fact, self._world.symbol(fact.symbol))
            case LeaseTaken():
                yield from self._taken(fact, self._world.symbol(fact.symbol))
            case Booked():
                yield from self._older_entry(fact)
                yield from self._granted(fact)
            case SwitchWritten():
                yield from self._lifted(fact)
                yield from self._epochs(fact)
            case _:
                pass

    def _after(self, fact: AnyFact) -> Iterator[Violation]:
        """In the world that has taken the fact."""
        match fact:
            case Accepted() if self._ours(fact):
                yield from self._order(fact, self._world.symbol(fact.symbol))
            case Booked():
                yield from self._uncovered_entry(fact, self._world.symbol(fact.symbol))
            case LedgerRebuilt():
                yield from self._rebuilt(fact)
            case KeysLost() | KeysOld() | RedisStarted():
                self._changed_ns = fact.at_ns
                self._switch = None
            case RedisDied():
                self._switch = None
            case Told():
                yield from self._position(fact, self._world.symbol(fact.symbol))
            case AtRest():
                yield from self._resting(fact)
            case _:
                pass

    def _order(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        yield from self._second_writer(order, symbol)
        yield from self._stop(order, symbol)
        yield from self._leftovers(order, symbol)
        if _opens_risk(order, symbol):
            yield from self._account_limits(order)
            yield from self._uncovered_order(order, symbol)

    def _ours(self, order: Accepted) -> bool:
        return order.installation == self._terms.installation

    # -- 1: one trader per symbol ------------------------------------------------------------------

    def _taken(self, lease: LeaseTaken, symbol: Symbol) -> Iterator[Violation]:
        """Only what was released, or watched for its ttl, or is one's own is taken; tokens only grow."""
        before = symbol.tenures.get(symbol.highest_taken)
        if before is None:
            return
        told = Violation(Rule.ONE_TRADER, lease.at_ns, lease.symbol, "")
        if lease.token <= before.token:
            yield msgspec.structs.replace(told, text=f"token {lease.token} was given after {before.token}")
        if symbol.released_ns > self._changed_ns or lease.holder == before.holder:
            return
        held_ns = lease.at_ns - max(before.beats_ns[-1], self._changed_ns)
        if held_ns < self._terms.ttl_ns - self._terms.tolerance_ns:
            text = f"token {lease.token} was taken {_ms(held_ns)} after {before.holder} had renewed {before.token}"
            yield msgspec.structs.replace(told, text=text)

    def _one_trader(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        """Before the order counts: tokens never go back, and none outlives its lease."""
        say = self._say(Rule.ONE_TRADER, order)
        token, at_ns = order.token, order.at_ns
        if token < symbol.highest_accepted:
            yield say(f"accepted after an order of token {symbol.highest_accepted}")
        if token < symbol.highest_taken:
            taken_ns = min(t.beats_ns[0] for t in symbol.tenures.values() if t.token > token)
            if at_ns > taken_ns + self._terms.tolerance_ns:
                yield say(f"accepted {_ms(at_ns - taken_ns)} after a newer token was taken")
        tenure = symbol.tenures.get(token)
        if tenure is None:
            # Redis may have given it in its last moment, unheard by us.
            if at_ns > self._world.died_ns + self._terms.usable_ns + self._terms.tolerance_ns:
                yield say("accepted under a token that nobody was given")
            return
        if tenure.holder.removesuffix(BORROWER) != order.holder:
            yield say(f"sent by {order.holder}; the token is of {tenure.holder}")
        if token == symbol.current and symbol.released_ns and at_ns > symbol.released_ns + self._terms.tolerance_ns:
            yield say(f"accepted {_ms(at_ns - symbol.released_ns)} after its lease was released")
        late_ns = at_ns - self._deadline_ns(symbol, token, at_ns)
        if late_ns > 0:
            yield say(f"accepted {_ms(late_ns)} after its lease's deadline")

    def _second_writer(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        """While it rests, who reads the account finds it; what is gone again may never have been seen by who leads."""
        rests_ns = order.at_ns - symbol.foreign_since_ns
        if symbol.foreign_since_ns and rests_ns > self._terms.second_writer_ns:
            yield self._say(Rule.ONE_TRADER, order)(f"accepted beside another installation's, {_ms(rests_ns)} old")

    def _deadline_ns(self, symbol: Symbol, token: int, before_ns: int) -> int:
        """The latest moment for an order of the token, by its renewals up to `before_ns`; 0 where it had none."""
        tenure = symbol.tenures.get(token)
        beat_ns = tenure.last_beat_ns(before_ns) if tenure is not None else 0
        return beat_ns + self._terms.usable_ns + self._terms.tolerance_ns if beat_ns else 0

    # -- 2: the account's limits -------------------------------------------------------------------

    def _account_limits(self, order: Accepted) -> Iterator[Violation]:
        """What reduces a position is left out: it may pass a limit, and another symbol's order cannot help it."""
        if self._disturbed:
            return
        net = gross = 0.0
        for symbol in self._world.symbols.values():
            held, value = symbol.exposure(), symbol.step_micro
            up, down = held.highest, held.lowest
            net += value * (up if order.side > 0 else -down)
            gross += value * max(abs(up), abs(down))
        say = self._say(Rule.LIMITS, order)
        if net > self._terms.net_micro:
            side = "long" if order.side > 0 else "short"
            yield say(f"net {side} is {_quote(net)} in the worst case, the limit {_quote(self._terms.net_micro)}")
        if gross > self._terms.gross_micro:
            yield say(f"gross is {_quote(gross)} in the worst case, the limit {_quote(self._terms.gross_micro)}")

    def _granted(self, entry: Booked) -> Iterator[Violation]:
        """What a reservation books beyond what reduces, or may rest already, fits; and is nothing without trust."""
        if not entry.token:
            return
        others = [s.entry for name, s in self._world.symbols.items() if name != entry.symbol and s.entry is not None]
        gross = sum(other.gross for other in others)
        opens_buys = entry.buys > max(-entry.size, entry.buy_floor)
        opens_sells = entry.sells > max(entry.size, entry.sell_floor)
        reached = []
        if opens_buys:
            reached.append(("net long", entry.long + sum(other.long for other in others), self._terms.net_micro))
            reached.append(("gross", gross + abs(entry.size + entry.buys), self._terms.gross_micro))
        if opens_sells:
            reached.append(("net short", entry.short + sum(other.short for other in others), self._terms.net_micro))
            reached.append(("gross", gross + abs(entry.size - entry.sells), self._terms.gross_micro))
        for name, amount, limit in reached:
            if amount > limit:
                text = f"token {entry.token} was granted {name} {_quote(amount)}, the limit is {_quote(limit)}"
                yield Violation(Rule.LIMITS, entry.at_ns, entry.symbol, text)
        if (opens_buys or opens_sells) and not self._world.trusted:
            text = f"token {entry.token} was granted what opens risk before the ledger was rebuilt"
            yield Violation(Rule.LIMITS, entry.at_ns, entry.symbol, text)

    @property
    def _disturbed(self) -> bool:
        """Another installation's orders and fills are in nobody's ledger."""
        return any(symbol.foreign for symbol in self._world.symbols.values())

    # -- 3: a stop stops ---------------------------------------------------------------------------

    def _stop(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        """Whoever was renewed after the stop has heard of it with that answer."""
        switch = self._world.switch
        if order.reduce_only or not switch.stops:
            return
        after_ns = order.at_ns - self._deadline_ns(symbol, order.token, switch.stopped_ns)
        if after_ns <= 0 or order.at_ns <= switch.stopped_ns + self._terms.tolerance_ns:
            return
        if order.token not in symbol.tenures:
            return  # judged as what it is
        waited = _ms(order.at_ns - switch.stopped_ns)
        yield self._say(Rule.STOP, order)(f"accepted {waited} after the stop, which its sender must have known")

    def _lifted(self, fact: SwitchWritten) -> Iterator[Violation]:
        switch = self._world.switch
        if switch.sticky > 0 and fact.seeded and not fact.resumed and fact.level < switch.sticky:
            text = f"the switch fell from {switch.sticky} to {fact.level} and nobody had resumed"
            yield Violation(Rule.STOP, fact.at_ns, "account", text)

    def _epochs(self, fact: SwitchWritten) -> Iterator[Violation]:
        """Whoever names an epoch lifts what it stood for: none is given twice, none comes back."""
        before, self._switch = self._switch, fact
        if before is None:
            return
        if fact.epoch < before.epoch:
            text = f"the switch's epoch fell from {before.epoch} to {fact.epoch}"
            yield Violation(Rule.STOP, fact.at_ns, "account", text)
        elif fact.epoch == before.epoch and fact.level < before.level:
            text = f"the switch fell from {before.level} to {fact.level} and kept epoch {fact.epoch}"
            yield Violation(Rule.STOP, fact.at_ns, "account", text)

    # -- 4: nothing is forgotten -------------------------------------------------------------------

    def _leftovers(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        """A quote waits until nothing older rests; what closes a position under `flatten` waits for nothing."""
        if order.reduce_only:
            return
        older = [
            other.client_id
            for other in symbol.live.values()
            if other.installation == order.installation and other.token < order.token
        ]
        if older:
            yield self._say(Rule.NOTHING_FORGOTTEN, order)(f"accepted while {older[0]} of an older token rests")

    def _uncovered_order(self, order: Accepted, symbol: Symbol) -> Iterator[Violation]:
        """Reservation comes before the order. After a loss of the ledger the old grant counts to the old deadline."""
        if self._disturbed:
            return
        lost_ns = self._world.ledger_lost_ns
        if lost_ns and order.at_ns <= self._deadline_ns(symbol, order.token, lost_ns):
            return
        if order.token in symbol.tenures and (missing := _uncovered(symbol)):
            yield self._say(Rule.NOTHING_FORGOTTEN, order)(f"the ledger does not cover it: {missing}")

    def _uncovered_entry(self, entry: Booked, symbol: Symbol) -> Iterator[Violation]:
        """An entry is lowered only by what the exchange has confirmed."""
        if not self._disturbed and entry.token and (missing := _uncovered(symbol)):
            text = f"token {entry.token} wrote an entry that does not cover what rests: {missing}"
            yield Violation(Rule.NOTHING_FORGOTTEN, entry.at_ns, entry.symbol, text)

    def _rebuilt(self, fact: LedgerRebuilt) -> Iterator[Violation]:
        """From that moment on others are granted what the entries leave: positions and orders of all are in them.

        What an emergency has closed since the exchange was read is told by the next entry: it only reduced.
        """
        if self._disturbed:
            return
        for name, symbol in self._world.symbols.items():
            held, value, entry = symbol.exposure(), symbol.step_micro, symbol.entry
            reduced = symbol.reduced_since(fact.at_ns - self._terms.reading_ns)
            long, short = (entry.long, entry.short) if entry is not None else (0, 0)
            bought, sold = max(reduced, 0), max(-reduced, 0)
            if (held.highest - bought) * value > long or (-held.lowest - sold) * value > short:
                text = (
                    f"the ledger was rebuilt with long {_quote(long)}, short {_quote(short)}; in the worst case there"
                    f" is long {_quote(held.highest * value)}, short {_quote(-held.lowest * value)}"
                )
                yield Violation(Rule.NOTHING_FORGOTTEN, fact.at_ns, name, text)

    def _position(self, fact: Told, symbol: Symbol) -> Iterator[Violation]:
        if fact.position != symbol.position:
            text = f"{fact.holder} leads and says position {fact.position} steps, the exchange {symbol.position}"
            yield Violation(Rule.NOTHING_FORGOTTEN, fact.at_ns, fact.symbol, text)

    def _resting(self, fact: AtRest) -> Iterator[Violation]:
        """An order of an older token is cancelled by who leads now; under a stop nothing rests that could open risk."""
        for name, symbol in self._world.symbols.items():
            for order in symbol.live.values():
                if not self._ours(order):
                    continue
                if order.token < symbol.current:
                    text = f"{order.client_id} rests, though token {symbol.current} leads"
                    yield Violation(Rule.NOTHING_FORGOTTEN, fact.at_ns, name, text)
                if self._world.switch.stops and not order.reduce_only:
                    text = f"{order.client_id} rests, though everybody has heard of the stop"
                    yield Violation(Rule.STOP, fact.at_ns, name, text)

    def _older_entry(self, entry: Booked) -> Iterator[Violation]:
        if self._world.ledger_lost_ns != self._lost_ns:
            self._lost_ns = self._world.ledger_lost_ns
            self._entries.clear()
        before = self._entries.get(entry.symbol)
        if not entry.token:
            return
        self._entries[entry.symbol] = entry
        if before is not None and (entry.token, entry.sequence) <= (before.token, before.sequence):
            text = (
                f"token {entry.token} sequence {entry.sequence} replaced token {before.token} sequence"
                f" {before.sequence} in the ledger"
            )
            yield Violation(Rule.NOTHING_FORGOTTEN, entry.at_ns, entry.symbol, text)

    # -- words -------------------------------------------------------------------------------------

    def _say(self, rule: Rule, order: Accepted) -> Callable[[str], Violation]:
        return lambda text: Violation(rule, order.at_ns, order.symbol, f"{order.client_id}: {text}")


def _opens_risk(order: Accepted, symbol: Symbol) -> bool:
    """Whether the symbol could end with more in the order's direction than it has, or on the other side."""
    held = symbol.exposure()
    pending = held.buys if order.side > 0 else held.sells
    position = held.position * order.side
    return not order.reduce_only and position + pending > max(0, position)


def _uncovered(symbol: Symbol) -> str:
    """What the entry lacks of position and opening orders as they are, at mark; empty where it covers them."""
    held, value, entry = symbol.exposure(), symbol.step_micro, symbol.entry
    if entry is None:
        return "there is no entry" if held.opening_buys or held.opening_sells else ""
    long, short = held.highest * value, -held.lowest * value
    if held.opening_buys and long > entry.long:
        return f"long {_quote(long)}, booked {_quote(entry.long)}"
    if held.opening_sells and short > entry.short:
        return f"short {_quote(short)}, booked {_quote(entry.short)}"
    return ""


def _ms(span_ns: int) -> str:
    return f"{span_ns / 1e6:.1f} ms"


def _quote(micro: float) -> str:
    return f"{micro / 1e6:.2f}"

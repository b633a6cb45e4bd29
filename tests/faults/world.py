"""The world as it is after each fact of a history: the exchange's book, the leases, the switch, the ledger."""

import msgspec
from history import (
    Accepted,
    AnyFact,
    AtRest,
    Booked,
    FaultBegan,
    FaultEnded,
    Filled,
    Gone,
    KeysLost,
    KeysOld,
    LeaseReleased,
    LeaseRenewed,
    LeaseTaken,
    LedgerLost,
    LedgerRebuilt,
    Marked,
    Observed,
    RedisDied,
    RedisStarted,
    SwitchWritten,
    Told,
    Unbooked,
)

A_MOMENT_NS = 1_000_000_000
"""A lease that was not renewed for so long had run out before the server died."""


class Exposure(msgspec.Struct, frozen=True):
    """One symbol in steps: the position, and all that rests. `opening_*`: without what only reduces the position."""

    position: int
    buys: int
    sells: int

    @property
    def opening_buys(self) -> int:
        return max(0, self.buys - max(0, -self.position))

    @property
    def opening_sells(self) -> int:
        return max(0, self.sells - max(0, self.position))

    @property
    def highest(self) -> int:
        """The position once every buy is filled, where that takes it to the other side; else what it is: see above."""
        return self.position + self.buys if self.opening_buys else self.position

    @property
    def lowest(self) -> int:
        return self.position - self.sells if self.opening_sells else self.position


class Tenure(msgspec.Struct):
    """One token of a symbol: who was given it, and each moment at which Redis wrote that it is held."""

    token: int
    holder: str
    beats_ns: list[int]

    def last_beat_ns(self, before_ns: int) -> int:
        """The last write up to a moment; 0 where there is none."""
        return max((beat for beat in reversed(self.beats_ns[-200:]) if beat <= before_ns), default=0)


class Symbol(msgspec.Struct):
    position: int = 0
    step_micro: float = 0.0
    live: dict[int, Accepted] = {}
    """What rests at the exchange, with what is left of it, by the exchange's number."""
    tenures: dict[int, Tenure] = {}
    released_ns: int = 0
    """When the present token was released; 0: it was not."""
    current: int = 0
    """The token that was taken last; 0 before the first, and after the record was lost."""
    highest_taken: int = 0
    highest_accepted: int = 0
    entry: Booked | None = None
    reduced: list[tuple[int, int]] = []
    """What orders that only reduce have done: when, and signed steps."""
    foreign: bool = False
    """Another installation's order was accepted: what it holds is in no entry before the next that follows a resume."""
    foreign_over: bool = False
    foreign_since_ns: int = 0
    """Since when something of another installation has rested, and nobody has resumed; 0: nothing does."""

    def reduced_since(self, since_ns: int) -> int:
        """Signed steps."""
        return sum(steps for at_ns, steps in self.reduced if at_ns >= since_ns)

    def exposure(self) -> Exposure:
        buys = sells = reducing_buys = reducing_sells = 0
        for order in self.live.values():
            if order.reduce_only and order.side > 0:
                reducing_buys += order.leaves
            elif order.reduce_only:
                reducing_sells += order.leaves
            elif order.side > 0:
                buys += order.leaves
            else:
                sells += order.leaves
        # A reduce-only order brings a position to flat at most.
        buys += min(reducing_buys, max(0, -self.position))
        sells += min(reducing_sells, max(0, self.position))
        return Exposure(self.position, buys, sells)


class Switch(msgspec.Struct):
    level: int = 0
    seeded: bool = False
    stopped_ns: int = 0
    """Since when it has said stop, without a resume in between."""
    sticky: int = 0
    """The highest level since it was resumed last."""

    @property
    def stops(self) -> bool:
        return self.level > 0 or not self.seeded


class World(msgspec.Struct):
    """As the account of one installation sees it; whatever another one does is `foreign`."""

    installation: str
    symbols: dict[str, Symbol] = {}
    switch: Switch = msgspec.field(default_factory=Switch)
    trusted: bool = False
    """The ledger was rebuilt under the present run of the server, and nothing was lost since."""
    ledger_lost_ns: int = 0
    died_ns: int = 0

    def symbol(self, name: str) -> Symbol:
        return self.symbols.setdefault(name, Symbol())

    def apply(self, fact: AnyFact) -> None:  # noqa: C901, PLR0912 - a line or two for each kind of fact
        match fact:
            case Accepted():
                self._accepted(fact)
            case Filled():
                self._filled(fact)
            case Gone():
                symbol = self.symbol(fact.symbol)
                symbol.live.pop(fact.order, None)
                self._left(symbol)
            case Marked():
                self.symbol(fact.symbol).step_micro = fact.step_micro
            case LeaseTaken():
                symbol = self.symbol(fact.symbol)
                symbol.tenures[fact.token] = Tenure(fact.token, fact.holder, [fact.at_ns])
                symbol.released_ns = 0
                symbol.current = fact.token
                symbol.highest_taken = max(symbol.highest_taken, fact.token)
            case LeaseRenewed():
                symbol = self.symbol(fact.symbol)
                if symbol.current:
                    symbol.tenures[symbol.current].beats_ns.append(fact.at_ns)
            case LeaseReleased():
                self.symbol(fact.symbol).released_ns = fact.at_ns
            case Booked():
                symbol = self.symbol(fact.symbol)
                symbol.entry = fact
                if symbol.foreign_over and not self._foreign_rests(symbol):
                    symbol.foreign = symbol.foreign_over = False
            case Unbooked():
                self.symbol(fact.symbol).entry = None
            case LedgerRebuilt():
                self.trusted = True
            case SwitchWritten():
                self._switched(fact)
            case KeysLost() | KeysOld() | LedgerLost():
                self._lost(fact)
            case RedisDied():
                self._died(fact)
            case RedisStarted():
                self.trusted = False
                self._unseed(fact.at_ns)
            case FaultBegan() | FaultEnded() | Told() | AtRest() | Observed():
                pass

    def _accepted(self, fact: Accepted) -> None:
        symbol = self.symbol(fact.symbol)
        symbol.live[fact.order] = fact
        if fact.installation == self.installation:
            symbol.highest_accepted = max(symbol.highest_accepted, fact.token)
        else:
            symbol.foreign = True
            symbol.foreign_since_ns = symbol.foreign_since_ns or fact.at_ns

    def _foreign_rests(self, symbol: Symbol) -> bool:
        return any(order.installation != self.installation for order in symbol.live.values())

    def _left(self, symbol: Symbol) -> None:
        """Something rests no more."""
        if not self._foreign_rests(symbol):
            symbol.foreign_since_ns = 0

    def _filled(self, fact: Filled) -> None:
        symbol = self.symbol(fact.symbol)
        symbol.position += fact.side * fact.steps
        order = symbol.live.get(fact.order)
        if order is not None:
            if order.reduce_only:
                symbol.reduced.append((fact.at_ns, fact.side * fact.steps))
            left = msgspec.structs.replace(order, leaves=order.leaves - fact.steps)
            symbol.live[fact.order] = left
            if not left.leaves:
                del symbol.live[fact.order]
                self._left(symbol)

    def _switched(self, fact: SwitchWritten) -> None:
        switch, stopped = self.switch, self.switch.stops
        switch.level, switch.seeded = fact.level, fact.seeded
        if fact.resumed:
            switch.sticky = 0
            for symbol in self.symbols.values():
                symbol.foreign_over = symbol.foreign
                symbol.foreign_since_ns = 0
        switch.sticky = max(switch.sticky, fact.level)
        if switch.stops and not stopped:
            switch.stopped_ns = fact.at_ns

    def _lost(self, fact: KeysLost | KeysOld | LedgerLost) -> None:
        self.trusted = False
        self.ledger_lost_ns = fact.at_ns
        for symbol in self.symbols.values():
            symbol.entry = None
            if isinstance(fact, KeysLost):
                symbol.current = 0
        if isinstance(fact, KeysLost):
            self._unseed(fact.at_ns)

    def _unseed(self, at_ns: int) -> None:
        if not self.switch.stops:
            self.switch.stopped_ns = at_ns
        self.switch.seeded = False

    def _died(self, fact: RedisDied) -> None:
        """Whoever held a lease may have renewed it in the last moment, unheard by us."""
        self.died_ns = fact.at_ns
        for symbol in self.symbols.values():
            tenure = symbol.tenures.get(symbol.current)
            if tenure is not None and fact.at_ns - tenure.beats_ns[-1] < A_MOMENT_NS:
                tenure.beats_ns.append(fact.at_ns)

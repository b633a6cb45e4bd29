"""What a history tells of speed: how long takeovers took, and how fast a stop acted. Measured, never asserted."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from checker import Terms
from history import Accepted, AnyFact, FaultBegan, FaultEnded, LeaseReleased, LeaseTaken, SwitchWritten, in_order


class Timings(msgspec.Struct):
    """Milliseconds. Only what happened with no other fault in the cell counts: a fault beside it takes its own time."""

    failovers: list[float] = []
    """From the kill of a leader to the first order of its successor."""
    handovers: list[float] = []
    """From a release to the first order of the successor."""
    stops: list[float] = []
    """From a stop that was written to the last order of anybody that was accepted after it; 0 where none was."""


_WITHIN_NS = 10_000_000_000


def timings(facts: Sequence[AnyFact], terms: Terms) -> Timings:
    ordered = in_order(facts)
    quiet = _quiet(ordered)
    told = Timings()
    accepted = [fact for fact in ordered if isinstance(fact, Accepted) and fact.installation == terms.installation]
    leaders: dict[str, str] = {}
    for fact in ordered:
        match fact:
            case LeaseTaken():
                leaders[fact.symbol] = fact.holder
            case FaultBegan(kind=kind, target=target) if kind.startswith("killed,"):
                symbol = next((name for name, holder in leaders.items() if holder.startswith(f"{target}/")), None)
                first = None if symbol is None else _first(accepted, symbol, fact.at_ns, target)
                if first is not None and quiet(fact.at_ns, first.at_ns, own=fact.number):
                    told.failovers.append((first.at_ns - fact.at_ns) / 1e6)
            case LeaseReleased():
                left = leaders.get(fact.symbol, "").partition("/")[0]
                first = _first(accepted, fact.symbol, fact.at_ns, left)
                if first is not None and quiet(fact.at_ns, first.at_ns, own=None):
                    told.handovers.append((first.at_ns - fact.at_ns) / 1e6)
            case _:
                pass
    told.stops = _stops(ordered, accepted, quiet)
    return told


def _first(accepted: Sequence[Accepted], symbol: str, after_ns: int, not_by: str) -> Accepted | None:
    """The first order of the symbol that another process has sent."""
    for order in accepted:
        if order.at_ns > after_ns and order.symbol == symbol and not order.holder.startswith(f"{not_by}/"):
            return order if order.at_ns - after_ns < _WITHIN_NS else None
    return None


def _stops(ordered: Sequence[AnyFact], accepted: Sequence[Accepted], quiet: "Quiet") -> list[float]:
    told = []
    switches = [fact for fact in ordered if isinstance(fact, SwitchWritten)]
    for before, stop in pairwise(switches):
        if before.level or not before.seeded or not stop.level or not quiet(stop.at_ns, stop.at_ns, own=None):
            continue
        resumed = next((other.at_ns for other in switches if other.at_ns > stop.at_ns and other.resumed), None)
        late = [
            order.at_ns
            for order in accepted
            if stop.at_ns < order.at_ns < (resumed or stop.at_ns + _WITHIN_NS) and not order.reduce_only
        ]
        told.append((max(late) - stop.at_ns) / 1e6 if late else 0.0)
    return told


class Quiet:
    """Whether nothing but one fault was being done to the cell, for a lease's life before and until the end."""

    def __init__(self, spans: list[tuple[int, int, int]]) -> None:
        self._spans = spans

    def __call__(self, start_ns: int, end_ns: int, *, own: int | None) -> bool:
        start_ns -= 2_000_000_000
        others = [number for begin, end, number in self._spans if begin < end_ns and end > start_ns and number != own]
        return len(others) <= (0 if own is not None else 1)


def _quiet(ordered: Sequence[AnyFact]) -> Quiet:
    """The one fault that a release or a stop comes from is not told apart: one may be under way."""
    began: dict[int, int] = {}
    spans = []
    for fact in ordered:
        if isinstance(fact, FaultBegan):
            began[fact.number] = fact.at_ns
        elif isinstance(fact, FaultEnded):
            spans.append((began.pop(fact.number, fact.at_ns), fact.at_ns, fact.number))
    return Quiet(spans)

"""What a scenario says must hold: expectations as data, and the judge that watches the exchange for them.

Each expectation has a window of the run: from `fromSeconds` after the start (or, with `after: faults`, after every
fault is over) for `withinSeconds` (absent: to the end). Some must be met at some moment of it, some at every moment;
the judge looks about every five milliseconds of real time. What the run did not live to see is not held: unknown is
not fine.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Annotated, Final

import msgspec

from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.audit.ledger import Kind as ViolationKind
from phoenix_simulator.conditions import Count, position, resting
from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.fault_schedule import Faults, Scheduled
from phoenix_simulator.faults import Seconds

_NS: Final = 1_000_000_000
_FAULT_FREE: Final = "the faults are not over"


class Origin(Enum):
    """What `fromSeconds` counts from."""

    START = "start"
    FAULTS = "faults"


class _Expectation(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", forbid_unknown_fields=True
):
    """Common to all: the window."""

    after: Origin = Origin.START
    from_seconds: Seconds = 0.0
    within_seconds: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)


class AuditClean(_Expectation, frozen=True, kw_only=True, tag="audit-clean"):
    """At every moment: no violation so far, but for the kinds in `besides`."""

    besides: tuple[ViolationKind, ...] = ()


class Quoting(_Expectation, frozen=True, kw_only=True, tag="quoting"):
    """An account has a bid and an ask in the symbol: at some moment of the window, or `throughout`."""

    symbol: str
    throughout: bool = False


class Empty(_Expectation, frozen=True, kw_only=True, tag="empty"):
    """No account's order rests (in the symbol): at some moment of the window, or `throughout`."""

    symbol: str | None = None
    throughout: bool = False

    def __post_init__(self) -> None:
        if self.after is Origin.START and not self.from_seconds and not self.throughout:
            raise ValueError("empty holds before anybody has begun: give fromSeconds, or after: faults")


class Reducing(_Expectation, frozen=True, kw_only=True, tag="reducing"):
    """No account's order in the symbol would increase its position: at some moment of the window, or `throughout`."""

    symbol: str
    throughout: bool = False

    def __post_init__(self) -> None:
        if self.after is Origin.START and not self.from_seconds and not self.throughout:
            raise ValueError("reducing holds before anybody has begun: give fromSeconds, or after: faults")


class PositionWithin(_Expectation, frozen=True, kw_only=True, tag="position-within"):
    """At every moment: no account's |net position| is larger, in base units."""

    symbol: str
    max: Decimal

    def __post_init__(self) -> None:
        if not (self.max.is_finite() and self.max >= 0):
            raise ValueError(f"max is {self.max}: write a quantity of at least 0")


class LossWithin(_Expectation, frozen=True, kw_only=True, tag="loss-within"):
    """At every moment: no account's wallet of the asset, open positions at mark included, is further below what it was
    when the window opened (or the account, if that was later). Money that came or went by a transfer is no gain and no
    loss.
    """

    asset: str
    max: Decimal

    def __post_init__(self) -> None:
        if not (self.max.is_finite() and self.max >= 0):
            raise ValueError(f"max is {self.max}: write an amount of at least 0")


class Traded(_Expectation, frozen=True, kw_only=True, tag="traded"):
    """By some moment of the window accounts have had so many fills (of the symbol) since the run began."""

    symbol: str | None = None
    fills: Count = 1


class FaultsMet(_Expectation, frozen=True, kw_only=True, tag="faults-met"):
    """By some moment of the window every fault of the scenario has struck something: one that nobody met proves
    nothing.
    """


Expectation = AuditClean | Quoting | Empty | Reducing | PositionWithin | LossWithin | Traded | FaultsMet


class State(Enum):
    HELD = "held"
    BROKEN = "broken"
    OPEN = "open"
    """Not seen yet; at the end of a run as bad as broken."""


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """One line of `GET /sim/scenario`. `reason` is empty where it holds."""

    text: str
    """The expectation in a few words."""
    expectation: Expectation
    state: State
    at_seconds: float | None
    """When it was decided."""
    reason: str


class _Sample(msgspec.Struct, frozen=True):
    """What one look at the exchange says of one expectation: whether it holds now, and what is to be seen."""

    holds: bool
    seen: str


class _Case:
    """One expectation on its way to a verdict."""

    __slots__ = ("at_s", "baseline_e8", "expectation", "opens_ns", "reason", "state")

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self.opens_ns: int | None = None
        self.state = State.OPEN
        self.at_s: float | None = None
        self.reason = _FAULT_FREE if expectation.after is Origin.FAULTS else "the run has not come so far"
        self.baseline_e8: dict[str, int] = {}

    @property
    def must_always_hold(self) -> bool:
        match self.expectation:
            case AuditClean() | PositionWithin() | LossWithin():
                return True
            case Quoting(throughout=throughout) | Empty(throughout=throughout) | Reducing(throughout=throughout):
                return throughout
            case Traded() | FaultsMet():
                return False

    def is_open(self, now_ns: int) -> bool:
        return self.state is State.OPEN and self.opens_ns is not None and now_ns >= self.opens_ns

    def closes_ns(self) -> int | None:
        within_s = self.expectation.within_seconds
        return None if within_s is None or self.opens_ns is None else self.opens_ns + int(within_s * _NS)


class Judge:
    """`look` often; `verdicts` at any time. Times are the simulated monotonic clock."""

    def __init__(
        self,
        expectations: Sequence[Expectation],
        exchange: Exchange,
        audit: Audit,
        faults: Faults,
        watched: Sequence[Scheduled],
        start_ns: int,
    ) -> None:
        """`watched`: the faults of the scenario, of which `faults-met` asks."""
        self._exchange = exchange
        self._audit = audit
        self._faults = faults
        self._start_ns = start_ns
        self._cases = [_Case(expectation) for expectation in expectations]
        self._watched = watched

    def look(self, now_ns: int) -> None:
        for case in self._cases:
            if case.opens_ns is None:
                self._open(case, now_ns)
            if case.is_open(now_ns):
                self._judge(case, now_ns)

    def verdicts(self) -> list[Verdict]:
        """What must always hold, and did so far in a window that is open, is held."""
        return [self._verdict(case) for case in self._cases]

    def _verdict(self, case: _Case) -> Verdict:
        held_so_far = case.state is State.OPEN and not case.reason and case.closes_ns() is None
        state = State.HELD if held_so_far else case.state
        reason = case.reason or ("" if state is State.HELD else "its time is not over")
        return Verdict(describe(case.expectation), case.expectation, state, case.at_s, reason)

    def _open(self, case: _Case, now_ns: int) -> None:
        if case.expectation.after is Origin.FAULTS:
            if not self._faults.are_over:
                return
            case.opens_ns = now_ns
        else:
            case.opens_ns = self._start_ns
        case.opens_ns += int(case.expectation.from_seconds * _NS)
        case.reason = "the run has not come so far"

    def _judge(self, case: _Case, now_ns: int) -> None:
        closes_ns = case.closes_ns()
        if closes_ns is not None and now_ns > closes_ns:
            held = case.must_always_hold and not case.reason
            self._decide(case, State.HELD if held else State.BROKEN, case.reason, now_ns)
            return
        sample = self._sample(case)
        if case.must_always_hold:
            case.reason = "" if sample.holds else sample.seen
            if not sample.holds:
                self._decide(case, State.BROKEN, sample.seen, now_ns)
        elif sample.holds:
            self._decide(case, State.HELD, "", now_ns)
        else:
            case.reason = sample.seen

    def _decide(self, case: _Case, state: State, reason: str, now_ns: int) -> None:
        case.state, case.reason = state, reason
        case.at_s = round((now_ns - self._start_ns) / _NS, 3)

    # ---- what is to be seen -------------------------------------------------------------------------------------

    def _sample(self, case: _Case) -> _Sample:
        accounts = self._exchange.accounts.values()
        match case.expectation:
            case AuditClean(besides=besides):
                return _violations(self._audit.report().violations, besides)
            case Quoting(symbol=symbol):
                return _quotes([account for account in accounts if symbol in account.holdings], symbol)
            case Empty(symbol=symbol):
                left = sum(resting(account, symbol or "") for account in accounts)
                return _Sample(not left, f"{left} orders rest")
            case Reducing(symbol=symbol):
                count = sum(_increasing(account, symbol) for account in accounts)
                return _Sample(not count, f"{count} orders increase a position")
            case PositionWithin(symbol=symbol, max=most):
                largest = max((position(account, symbol) for account in accounts), default=Decimal(0))
                return _Sample(largest <= most, f"a position of {largest.normalize():f}")
            case LossWithin(asset=asset, max=most):
                lost = Decimal(self._largest_loss_e8(case, asset)).scaleb(-8)
                return _Sample(lost <= most, f"a loss of {lost:.2f}")
            case Traded(symbol=symbol, fills=wanted):
                fills = sum(
                    holding.totals.fills
                    for account in accounts
                    for name, holding in account.holdings.items()
                    if symbol in {None, name}
                )
                return _Sample(fills >= wanted, f"{fills} fills")
            case FaultsMet():
                missed = [scheduled.fault.kind for scheduled in self._watched if not scheduled.acted]
                return _Sample(not missed, f"nobody met {', '.join(missed)}")

    def _largest_loss_e8(self, case: _Case, asset: str) -> int:
        worst = 0
        for account in self._exchange.accounts.values():
            result_e8 = self._result_e8(account, asset)
            worst = max(worst, case.baseline_e8.setdefault(account.account_id, result_e8) - result_e8)
        return worst

    def _result_e8(self, account: Account, asset: str) -> int:
        """What has become of the money that was brought: wallet and open positions at mark, less all transfers."""
        return (
            account.wallet_e8(asset)
            - account.transferred_e8.get(asset, 0)
            + sum(
                holding.position_of(side).unrealised_e8(self._exchange.listing(symbol).mark_e8)
                for symbol, holding in account.holdings.items()
                if holding.spec.margin_asset == asset
                for side in holding.sides
            )
        )


def _violations(found: Mapping[str, int], besides: Sequence[ViolationKind]) -> _Sample:
    counted = {kind: count for kind, count in found.items() if count and ViolationKind(kind) not in besides}
    return _Sample(not counted, ", ".join(f"{count} × {kind}" for kind, count in counted.items()))


def _increasing(account: Account, symbol: str) -> int:
    """Orders that would take the position further from zero than it is; from zero every order does."""
    holding = account.holdings.get(symbol)
    if holding is None:
        return 0
    reduces = None if not holding.net_steps else Side.SELL if holding.net_steps > 0 else Side.BUY
    return sum(order.side is not reduces for order in holding.open.values())


def _quotes(accounts: Sequence[Account], symbol: str) -> _Sample:
    sides = [{order.side for order in account.holdings[symbol].open.values()} for account in accounts]
    best = max(sides, key=len, default=set[Side]())
    missing = [name for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask")) if side not in best]
    return _Sample(not missing, f"no {' and no '.join(missing)}")


def describe(expectation: Expectation) -> str:
    """In a few words, for a report: `quoting BTCUSDT within 10 s after faults`."""
    words = [expectation.kind]
    match expectation:
        case Quoting(symbol=symbol, throughout=throughout) | Reducing(symbol=symbol, throughout=throughout):
            words += [symbol, *(["throughout"] if throughout else [])]
        case Empty(symbol=symbol, throughout=throughout):
            words += [symbol or "everywhere", *(["throughout"] if throughout else [])]
        case PositionWithin(symbol=symbol, max=most):
            words += [symbol, f"{most:f}"]
        case LossWithin(asset=asset, max=most):
            words += [f"{most:f}", asset]
        case Traded(symbol=symbol, fills=fills):
            words += [symbol or "everywhere", f"{fills} times"]
        case AuditClean() | FaultsMet():
            pass
    if expectation.within_seconds is not None:
        words.append(f"within {expectation.within_seconds:g} s")
    if expectation.after is Origin.FAULTS or expectation.from_seconds:
        origin = "the faults" if expectation.after is Origin.FAULTS else "the start"
        words.append(f"from {expectation.from_seconds:g} s after {origin}")
    return " ".join(words)

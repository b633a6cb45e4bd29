"""The rules of the audit, and the violations it found."""

import re
from collections import deque
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from phoenix_simulator.api.limits import RateLimitedError
from phoenix_simulator.audit.books import BookWatch
from phoenix_simulator.audit.declared import AccountLimit, Declaration, End, Pattern, Stop
from phoenix_simulator.audit.exposure import WorstCase, worst_case
from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.events import OrderUpdated
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import ExpiryReason, Order, Side
from phoenix_simulator.exchange.symbols import to_e8

_EXAMPLES_KEPT: Final = 20
_NS: Final = 1_000_000_000
_EVERY_ACCOUNT: Final = ""


class Kind(StrEnum):
    TWO_WRITERS = "twoWriters"
    """An order or amend was accepted whose client order id carries another installation, or a lower token, than the
    last one of that account and symbol, or the same token from another client. Without a declared pattern: a client
    writes again after another one took over the symbol. Ids that carry no mark are a person's and not judged.
    """
    SELF_CROSSING = "selfCrossing"
    """An account's own resting bid reaches its own resting ask, or self-trade prevention had to step in."""
    EXPOSURE = "exposure"
    """An order that opens risk was accepted beyond a declared limit, every open order counted as filled."""
    OPENED_AFTER_STOP = "openedAfterStop"
    """An order that opens risk arrived after a declared stop (and its grace)."""
    LEFT_BEHIND = "leftBehind"
    """An order rested when its client's end was declared, or was accepted afterwards."""
    RATE_LIMIT_ABUSE = "rateLimitAbuse"
    """A client that was answered 429 or 418 asked again before `Retry-After` (after -1015: entered orders again)."""
    BLIND_ORDER = "blindOrder"
    """An order that may open risk was sent while the client's own book of the symbol was broken (see `books`)."""


class Violation(msgspec.Struct, frozen=True, rename="camel"):
    kind: Kind
    time_ms: int
    account: str
    symbol: str
    holder: str
    detail: str


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /sim/audit`."""

    violations: dict[str, int]
    """Every kind, also those with 0."""
    total: int
    examples: list[Violation]
    """The last ones of each kind, oldest first."""
    orders_seen: int
    """Orders and amends that were judged: a clean report of nothing proves nothing."""


class _Writer(msgspec.Struct):
    """Who last wrote to one (account, symbol)."""

    holder: str
    installation: str = ""
    token: int = -1
    superseded: set[str] = msgspec.field(default_factory=set)
    """Clients that another one has taken over from."""


class _Silenced(msgspec.Struct, frozen=True):
    until_ns: int
    since_ns: int
    orders_only: bool


class Audit:
    """Times are the simulated monotonic clock in ns; violations carry the wall clock in ms."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.books = BookWatch()
        self._counts: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self._examples: dict[Kind, deque[Violation]] = {kind: deque(maxlen=_EXAMPLES_KEPT) for kind in Kind}
        self._orders_seen = 0
        self._pattern: re.Pattern[str] | None = None
        self._token_base = 36
        self._symbol_limits: dict[tuple[str, str], Decimal] = {}
        self._account_limits: dict[str, AccountLimit] = {}
        self._stops: dict[tuple[str, str | None], int] = {}
        self._ends: list[tuple[str, End]] = []
        self._writers: dict[tuple[str, str], _Writer] = {}
        self._placed_by: dict[tuple[str, int], str] = {}
        self._silenced: dict[str, _Silenced] = {}
        exchange.listeners.append_for(self.on_order, OrderUpdated)

    # ---- what is declared ---------------------------------------------------------------------------------------

    def declare(self, declaration: Declaration, account_id: str | None, now_ns: int, now_ms: int) -> None:
        """`account_id` None is every account. ValueError says what is wrong with the declaration."""
        account = account_id if account_id is not None else _EVERY_ACCOUNT
        if declaration.reset:
            self._counts = dict.fromkeys(Kind, 0)
            for examples in self._examples.values():
                examples.clear()
        if declaration.graces is not None:
            self.books.graces = declaration.graces
        if declaration.pattern is not None:
            self._declare_pattern(declaration.pattern)
        for limit in declaration.symbol_limits:
            self._symbol_limits[account, limit.symbol.upper()] = limit.max_position
        if declaration.account_limit is not None:
            self._account_limits[account] = declaration.account_limit
        if declaration.stop is not None:
            self._declare_stop(declaration.stop, account, now_ns)
        if declaration.end is not None:
            self._declare_end(declaration.end, account, now_ms)

    def report(self) -> Report:
        return Report(
            violations={kind.value: count for kind, count in self._counts.items()},
            total=sum(self._counts.values()),
            examples=[violation for examples in self._examples.values() for violation in examples],
            orders_seen=self._orders_seen,
        )

    # ---- what is seen -------------------------------------------------------------------------------------------

    def request(self, holder: str, *, enters_orders: bool, at_ns: int, now_ms: int) -> None:
        """A request arrived, whatever becomes of it."""
        silenced = self._silenced.get(holder)
        if silenced is None:
            return
        if at_ns >= silenced.until_ns:
            del self._silenced[holder]
            return
        grace_ns = int(self.books.graces.rate_limit_seconds * _NS)
        if at_ns - silenced.since_ns > grace_ns and (enters_orders or not silenced.orders_only):
            left_s = (silenced.until_ns - at_ns) / _NS
            self._add(Kind.RATE_LIMIT_ABUSE, now_ms, holder=holder, detail=f"{left_s:.1f} s before Retry-After")

    def refused(self, holder: str, error: RateLimitedError, at_ns: int, now_ms: int) -> None:
        """A request was answered with 429 or 418. Being banned for it is abuse, however quickly it came about."""
        if error.earned_ban:
            self._add(Kind.RATE_LIMIT_ABUSE, now_ms, holder=holder, detail="earned a ban")
        until_ns = at_ns + error.retry_after_s * _NS
        silenced = self._silenced.get(holder)
        if silenced is None or until_ns > silenced.until_ns:
            since_ns = at_ns if silenced is None else silenced.since_ns
            self._silenced[holder] = _Silenced(until_ns, since_ns, orders_only=error.code == -1015)

    def accepted(self, order: Order, holder: str, arrived_ns: int, now_ms: int) -> None:
        """The exchange took an order, or an amend of it; `order` is as it is now."""
        self._orders_seen += 1
        account = self._exchange.account(order.account_id)
        if order.status.is_open:
            self._placed_by[order.symbol, order.order_id] = holder
        self._judge_writer(order, holder, now_ms)
        self._judge_crossing(account, order, holder, now_ms)
        self._judge_end(order, holder, now_ms)
        worst = self._worst_case(account, order.symbol)
        if _opens_risk(order, worst):
            self._judge_exposure(account, order, worst, holder, now_ms)
            self._judge_stop(order, holder, arrived_ns, now_ms)
            why = self.books.broken(holder, order.symbol, arrived_ns)
            if why is not None:
                self._add(Kind.BLIND_ORDER, now_ms, order, holder, f"book {why.value}")

    def on_order(self, event: OrderUpdated) -> None:
        if not event.order.status.is_open:
            order = event.order
            holder = self._placed_by.pop((order.symbol, order.order_id), "")
            if order.expiry_reason in {
                ExpiryReason.SELF_TRADE_PREVENTION,
                ExpiryReason.IOC_REMAINDER_SELF_TRADE,
            }:
                self._add(Kind.SELF_CROSSING, event.time_ms, order, holder, "self-trade prevention stepped in")

    # ---- the rules ----------------------------------------------------------------------------------------------

    def _judge_writer(self, order: Order, holder: str, now_ms: int) -> None:
        key = (order.account_id, order.symbol)
        writer = self._writers.get(key)
        if self._pattern is None:
            self._judge_holder(key, writer, order, holder, now_ms)
            return
        mark = self._read_mark(self._pattern, order.client_order_id)
        if mark is None:
            return
        installation, token = mark
        if writer is None or not writer.installation:
            self._writers[key] = _Writer(holder, installation, token)
            return
        if installation != writer.installation:
            detail = f"installation {installation} after {writer.installation}"
        elif token < writer.token:
            detail = f"token {token} after {writer.token}"
        elif token == writer.token and holder != writer.holder:
            detail = f"token {token} also of {writer.holder}"
        else:
            writer.holder, writer.token = holder, token
            return
        self._add(Kind.TWO_WRITERS, now_ms, order, holder, detail)

    def _judge_holder(
        self, key: tuple[str, str], writer: _Writer | None, order: Order, holder: str, now_ms: int
    ) -> None:
        if writer is None:
            self._writers[key] = _Writer(holder)
        elif holder in writer.superseded:
            self._add(Kind.TWO_WRITERS, now_ms, order, holder, f"{writer.holder} had taken over")
        elif holder != writer.holder:
            writer.superseded.add(writer.holder)
            writer.holder = holder

    def _judge_crossing(self, account: Account, order: Order, holder: str, now_ms: int) -> None:
        holding = account.holdings.get(order.symbol)
        if holding is None or not order.status.is_open:
            return
        for other in holding.open.values():
            if other.side is not order.side and _crosses(order, other):
                detail = f"{order.side} {order.price_ticks} against own {other.side} {other.price_ticks} (ticks)"
                self._add(Kind.SELF_CROSSING, now_ms, order, holder, detail)
                return

    def _judge_exposure(self, account: Account, order: Order, worst: WorstCase, holder: str, now_ms: int) -> None:
        limit = self._find_limit(account.account_id, order.symbol)
        if limit is not None:
            spec = self._exchange.listing(order.symbol).spec
            reached = spec.quantity_to_decimal(worst.on_side(order.side)).normalize()
            if reached > limit:
                self._add(Kind.EXPOSURE, now_ms, order, holder, f"worst case {reached:f} beyond {limit}")
        bound = self._account_limits.get(account.account_id) or self._account_limits.get(_EVERY_ACCOUNT)
        if bound is not None:
            self._judge_account(account, bound, order, holder, now_ms)

    def _judge_account(self, account: Account, bound: AccountLimit, order: Order, holder: str, now_ms: int) -> None:
        gross_e8 = long_e8 = short_e8 = 0
        for symbol, holding in account.holdings.items():
            mark_e8 = self._exchange.listing(symbol).mark_e8
            worst = worst_case(holding)
            up = holding.spec.mark_notional_e8(mark_e8, worst.long_steps)
            down = holding.spec.mark_notional_e8(mark_e8, worst.short_steps)
            gross_e8 += max(abs(up), abs(down))
            long_e8 += up
            short_e8 -= down
        net_e8 = long_e8 if order.side is Side.BUY else short_e8
        for name, reached_e8, limit in (
            ("gross", gross_e8, bound.max_gross_notional),
            ("net", net_e8, bound.max_net_notional),
        ):
            if limit is not None and reached_e8 > to_e8(limit):
                self._add(
                    Kind.EXPOSURE, now_ms, order, holder, f"{name} worst case {reached_e8 / 1e8:.2f} beyond {limit}"
                )

    def _judge_stop(self, order: Order, holder: str, arrived_ns: int, now_ms: int) -> None:
        grace_ns = int(self.books.graces.stop_seconds * _NS)
        for account in (order.account_id, _EVERY_ACCOUNT):
            for symbol in (order.symbol, None):
                since_ns = self._stops.get((account, symbol))
                if since_ns is not None and arrived_ns > since_ns + grace_ns:
                    after_s = (arrived_ns - since_ns) / _NS
                    self._add(Kind.OPENED_AFTER_STOP, now_ms, order, holder, f"{after_s:.3f} s after the stop")
                    return

    def _judge_end(self, order: Order, holder: str, now_ms: int) -> None:
        for account, end in self._ends:
            if _ended(account, end, order, holder):
                self._add(Kind.LEFT_BEHIND, now_ms, order, holder, "accepted after the declared end")
                return

    # ---- helpers ------------------------------------------------------------------------------------------------

    def _declare_pattern(self, pattern: Pattern) -> None:
        try:
            compiled = re.compile(pattern.regex)
        except re.error as error:
            raise ValueError(f"pattern.regex does not compile: {error}") from None
        if not {"installation", "token"} <= compiled.groupindex.keys():
            raise ValueError("pattern.regex needs the groups (?P<installation>…) and (?P<token>…)")
        self._pattern, self._token_base = compiled, pattern.token_base

    def _declare_stop(self, stop: Stop, account: str, now_ns: int) -> None:
        key = (account, stop.symbol.upper() if stop.symbol else None)
        if stop.lift:
            self._stops.pop(key, None)
        else:
            self._stops.setdefault(key, now_ns)

    def _declare_end(self, end: End, account: str, now_ms: int) -> None:
        self._ends.append((account, end))
        for held in self._exchange.accounts.values():
            for order in self._exchange.open_orders(held.account_id):
                holder = self._placed_by.get((order.symbol, order.order_id), "")
                if _ended(account, end, order, holder):
                    self._add(Kind.LEFT_BEHIND, now_ms, order, holder, "rests after the declared end")

    def _read_mark(self, pattern: re.Pattern[str], client_order_id: str) -> tuple[str, int] | None:
        match = pattern.search(client_order_id)
        if match is None:
            return None
        try:
            return match["installation"], int(match["token"], self._token_base)
        except (TypeError, ValueError):
            # An optional group that did not match, or digits of another base: no mark of ours.
            return None

    def _find_limit(self, account_id: str, symbol: str) -> Decimal | None:
        own = self._symbol_limits.get((account_id, symbol))
        return own if own is not None else self._symbol_limits.get((_EVERY_ACCOUNT, symbol))

    def _worst_case(self, account: Account, symbol: str) -> WorstCase:
        return worst_case(account.holdings[symbol])

    def _add(self, kind: Kind, now_ms: int, order: Order | None = None, holder: str = "", detail: str = "") -> None:
        self._counts[kind] += 1
        if order is None:
            violation = Violation(kind, now_ms, "", "", holder, detail)
        else:
            detail = f"{order.client_order_id} ({order.order_id}): {detail}"
            violation = Violation(kind, now_ms, order.account_id, order.symbol, holder, detail)
        self._examples[kind].append(violation)


def _opens_risk(order: Order, worst: WorstCase) -> bool:
    """Whether the account could end with more in the order's direction than it has now, or on the other side."""
    return not order.reduce_only and worst.on_side(order.side) > max(0, worst.held_on(order.side))


def _crosses(one: Order, other: Order) -> bool:
    bid, ask = (one, other) if one.side is Side.BUY else (other, one)
    return bid.price_ticks >= ask.price_ticks


def _ended(account: str, end: End, order: Order, holder: str) -> bool:
    return (
        account in {_EVERY_ACCOUNT, order.account_id}
        and end.holder in {None, holder}
        and (end.symbol is None or end.symbol.upper() == order.symbol)
    )

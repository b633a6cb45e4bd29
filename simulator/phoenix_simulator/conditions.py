"""Conditions on which a fault begins, as data: what the accounts have done, or hold, at the exchange."""

from decimal import Decimal
from typing import Annotated, Final

import msgspec

from phoenix_simulator.exchange.accounts import Account
from phoenix_simulator.exchange.events import OrderUpdated
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import ExecutionType

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_EVERY_SYMBOL: Final = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """All that is given must hold at once. Without `symbol` counts are over all symbols.

    `orders`, `fills`: so many were accepted, or happened, since the fault was scheduled (or last ended).
    `resting`: so many orders of accounts rest. `positionAbove`: |net position| of an account in base units.
    """

    symbol: str | None = None
    orders: Count | None = None
    fills: Count | None = None
    resting: Count | None = None
    position_above: Decimal | None = None

    def __post_init__(self) -> None:
        if self.orders is None and self.fills is None and self.resting is None and self.position_above is None:
            raise ValueError("a condition needs one of orders, fills, resting, positionAbove")
        if self.position_above is not None:
            if self.symbol is None:
                raise ValueError("positionAbove is in base units: it needs a symbol")
            if not (self.position_above.is_finite() and self.position_above >= 0):
                raise ValueError(f"positionAbove is {self.position_above}: write a quantity of at least 0")


class Mark(msgspec.Struct, frozen=True):
    """How many orders and fills there had been when counting began."""

    orders: int
    fills: int


class ConditionWatch:
    """Judges conditions against the exchange. It counts from the first condition on: a run without one pays nothing."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._orders: dict[str, int] = {}
        self._fills: dict[str, int] = {}
        self._is_listening = False

    def mark(self, condition: Condition) -> Mark:
        if not self._is_listening:
            self._is_listening = True
            self._exchange.listeners.append_for(self._hear, OrderUpdated)
        symbol = _key(condition)
        return Mark(self._orders.get(symbol, 0), self._fills.get(symbol, 0))

    def holds(self, condition: Condition, since: Mark) -> bool:
        symbol = _key(condition)
        if condition.orders is not None and self._orders.get(symbol, 0) - since.orders < condition.orders:
            return False
        if condition.fills is not None and self._fills.get(symbol, 0) - since.fills < condition.fills:
            return False
        if condition.resting is not None and self._resting(symbol) < condition.resting:
            return False
        return condition.position_above is None or self._largest_position(symbol) > condition.position_above

    def _hear(self, event: OrderUpdated) -> None:
        if event.execution is ExecutionType.NEW:
            _count(self._orders, event.order.symbol)
        if event.fill is not None:
            _count(self._fills, event.order.symbol)

    def _resting(self, symbol: str) -> int:
        return sum(resting(account, symbol) for account in self._exchange.accounts.values())

    def _largest_position(self, symbol: str) -> Decimal:
        return max((position(account, symbol) for account in self._exchange.accounts.values()), default=Decimal(0))


def resting(account: Account, symbol: str = _EVERY_SYMBOL) -> int:
    """Open orders of the account in the symbol, or in all."""
    if symbol != _EVERY_SYMBOL:
        holding = account.holdings.get(symbol)
        return 0 if holding is None else len(holding.open)
    return sum(len(holding.open) for holding in account.holdings.values())


def position(account: Account, symbol: str) -> Decimal:
    """|net position| of the account in base units."""
    holding = account.holdings.get(symbol)
    return Decimal(0) if holding is None else holding.spec.quantity_to_decimal(abs(holding.net_steps))


def _key(condition: Condition) -> str:
    return _EVERY_SYMBOL if condition.symbol is None else condition.symbol.upper()


def _count(counts: dict[str, int], symbol: str) -> None:
    for key in (symbol, _EVERY_SYMBOL):
        counts[key] = counts.get(key, 0) + 1

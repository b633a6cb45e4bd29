"""What an account may ask about its past, as long as the venue keeps it."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import islice

from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.accounts import Account, Income, IncomeType
from phoenix_simulator.exchange.events import Fill
from phoenix_simulator.exchange.orders import ForcedBy, Order, OrderRef

_DAY_MS = 86_400_000
_UNFILLED_KEPT_MS = 3 * _DAY_MS
KEPT_MS = 90 * _DAY_MS


def find_order(account: Account, symbol: str, ref: OrderRef, now_ms: int) -> Order:
    """Open or past; −2013 where there is none or it is no longer kept."""
    holding = account.holdings.get(symbol)
    order = holding.find(ref) if holding is not None else None
    if order is None or not _is_kept(order, now_ms):
        raise errors.no_such_order()
    return order


def orders(
    account: Account,
    symbol: str | None,
    now_ms: int,
    *,
    from_order_id: int | None,
    start_ms: int | None,
    end_ms: int | None,
    forced: Collection[ForcedBy] | None,
    limit: int,
) -> Sequence[Order]:
    """Ascending by id: the first ones from `from_order_id` or `start_ms` on, else the latest. `forced`: only those by
    which the venue closed positions for one of these reasons.
    """
    found = [
        order
        for holding in account.holdings.values()
        if symbol is None or holding.spec.symbol == symbol
        for past in (holding.open, holding.closed, holding.unfilled)
        for order in past.values()
        if _is_kept(order, now_ms)
        and (forced is None or order.forced_by in forced)
        and (from_order_id is None or order.order_id >= from_order_id)
        and _is_within(order.created_ms, start_ms, end_ms)
    ]
    found.sort(key=lambda order: order.order_id)
    return found[:limit] if from_order_id is not None or start_ms is not None else found[-limit:]


def fills(
    account: Account,
    symbol: str,
    *,
    kept_from_ms: int,
    order_id: int | None,
    from_trade_id: int | None,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
) -> Sequence[Fill]:
    """Ascending by trade id: the first ones from `from_trade_id` or `start_ms` on, else the latest."""
    holding = account.holdings.get(symbol)
    if holding is None:
        return []
    ascending = from_trade_id is not None or start_ms is not None
    rows = holding.fills
    if from_trade_id is not None:
        rows = rows[bisect_left(rows, from_trade_id, key=lambda fill: fill.trade_id) :]
    found = (
        fill
        for fill in (rows if ascending else reversed(rows))
        if (order_id is None or fill.order_id == order_id)
        and fill.time_ms >= kept_from_ms
        and _is_within(fill.time_ms, start_ms, end_ms)
    )
    page = list(islice(found, limit))
    return page if ascending else page[::-1]


def income(
    account: Account,
    *,
    kept_from_ms: int,
    symbol: str | None,
    kind: IncomeType | None,
    start_ms: int | None,
    end_ms: int | None,
    page: int,
    limit: int,
) -> Sequence[Income]:
    """Ascending by time; page 1 is the oldest of the window, or without a window the latest rows."""
    found = [
        row
        for row in account.income
        if (symbol is None or row.symbol == symbol)
        and (kind is None or row.kind is kind)
        and row.time_ms >= kept_from_ms
        and _is_within(row.time_ms, start_ms, end_ms)
    ]
    if start_ms is None and end_ms is None:
        end = len(found) - (page - 1) * limit
        return found[max(0, end - limit) : max(0, end)]
    return found[(page - 1) * limit : page * limit]


def _is_kept(order: Order, now_ms: int) -> bool:
    if order.status.is_open:
        return True
    return now_ms - order.created_ms <= (KEPT_MS if order.executed_steps else _UNFILLED_KEPT_MS)


def _is_within(time_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or time_ms >= start_ms) and (end_ms is None or time_ms <= end_ms)

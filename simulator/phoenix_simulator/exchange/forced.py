"""Orders of the venue itself: what closes a position that its account may not keep."""

from collections.abc import Callable, Iterable

from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    ForcedBy,
    Order,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    Side,
    StpMode,
    TimeInForce,
)


def forced_order(
    order_id: int,
    account: Account,
    holding: Holding,
    position_side: PositionSide,
    why: ForcedBy,
    price_ticks: int,
    steps: int,
    now_ms: int,
) -> Order:
    """Against a position, for so many steps of it."""
    return Order(
        order_id=order_id,
        account_id=account.account_id,
        symbol=holding.spec.symbol,
        client_order_id=why.client_order_id(order_id),
        side=Side.SELL if holding.position_of(position_side).steps > 0 else Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        price_ticks=price_ticks,
        orig_steps=steps,
        reduce_only=False,
        stp_mode=StpMode.NONE,
        price_match=PriceMatch.NONE,
        good_till_ms=0,
        created_ms=now_ms,
        updated_ms=now_ms,
        position_side=position_side,
        forced_by=why,
    )


def settle_contract(
    matcher: Matcher, accounts: Iterable[Account], next_order_id: Callable[[], int], now_ms: int
) -> None:
    """The end of a contract: orders expire, positions are closed at mark, beside the book."""
    listing = matcher.listing
    symbol, mark_ticks = listing.spec.symbol, max(1, listing.mark_e8 // listing.spec.tick_e8)
    for account in accounts:
        holding = account.holdings.get(symbol)
        if holding is None:
            continue
        for order in list(holding.open.values()):
            matcher.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, ExpiryReason.DELISTING)
        for side in holding.sides:
            if steps := abs(holding.position_of(side).steps):
                order = forced_order(
                    next_order_id(), account, holding, side, ForcedBy.SETTLEMENT, mark_ticks, steps, now_ms
                )
                matcher.begin_forced(order, now_ms)
                matcher.take_over(order, mark_ticks, now_ms)
    listing.publish(now_ms)

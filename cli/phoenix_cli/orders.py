"""Open orders of the accounts of a run, as the exchange itself says: ours and anybody else's.

Signed reads with the accounts' own keys, which change nothing. After an `up` has ended its accounts can still be asked.
Where conditional orders cannot be read, the others are shown all the same, and the status is 1.
"""

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from phoenix_coordination.order_id import parse
from phoenix_worker.venue.binance.account import AccountOrder, AccountReader

from phoenix_cli.local.runfile import AccountFiles
from phoenix_cli.printing import aligned
from phoenix_cli.readings import add_arguments, answer

__all__ = ["add_arguments", "run"]


class Order(msgspec.Struct, frozen=True):
    """One open order. `token` is the lease under which a worker of this installation sent it; else None. `trigger` is
    the price at which a conditional one (a stop) becomes an order; None for one that rests in the book.
    """

    account: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    filled: Decimal
    reduce_only: bool
    kind: str
    age_s: float
    client_id: str
    token: int | None
    trigger: Decimal | None


def run(args: argparse.Namespace) -> int:
    unread: list[str] = []

    async def orders(files: AccountFiles, reader: AccountReader) -> list[Order]:
        now_ms = reader.now_ms()
        resting, waiting = await reader.open_orders(), await reader.conditional_orders()
        if waiting.problem:
            unread.append(f"account {files.account}: not all conditional orders could be read: {waiting.problem}")
        return [_order(files, order, now_ms) for order in (*resting, *waiting.orders)]

    def text(found: Sequence[Order]) -> str:
        return text_of(found) if found or not unread else ""  # nothing was seen: that is not that nothing is open

    status = answer(args, orders, text, _place)
    for problem in unread:
        print(f"phoenix orders: {problem}", file=sys.stderr)
    return 1 if unread else status


def _order(files: AccountFiles, order: AccountOrder, now_ms: int) -> Order:
    ours = parse(order.client_id)
    if ours is not None and files.installation not in {"", ours.installation}:
        ours = None  # of a run, or a cluster, whose workers are none of this account's
    return Order(
        account=files.account,
        symbol=order.symbol,
        side=order.side_name,
        price=order.price,
        quantity=order.qty,
        filled=order.filled,
        reduce_only=order.reduce_only,
        kind=order.kind,
        age_s=round((now_ms - order.placed_ms) / 1000, 1),
        client_id=order.client_id,
        token=ours.token if ours is not None else None,
        trigger=order.trigger,
    )


def _place(order: Order) -> tuple[str, str, str, Decimal]:
    """By account, symbol and side, the best price first."""
    return order.account, order.symbol, order.side, -order.price if order.side == "BUY" else order.price


def text_of(found: Sequence[Order]) -> str:
    if not found:
        return "no open orders\n"
    header = ("account", "symbol", "side", "price", "quantity", "filled", "age", "client id", "")
    rows = [
        (
            order.account,
            order.symbol,
            order.side,
            f"{order.price:f}",
            f"{order.quantity:f}",
            f"{order.filled:f}",
            f"{order.age_s:.1f}s",
            order.client_id,
            _remarks(order),
        )
        for order in found
    ]
    return aligned(header, rows)


def _remarks(order: Order) -> str:
    conditional = "" if order.trigger is None else f"{order.kind.lower().replace('_', '-')} at {order.trigger:f}"
    remarks = ("reduce-only" if order.reduce_only else "", conditional, "not ours" if order.token is None else "")
    return " ".join(remark for remark in remarks if remark)

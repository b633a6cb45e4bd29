"""Open orders of the accounts of a run, as the exchange itself says: ours and anybody else's.

Signed reads with the accounts' own keys, which change nothing. After an `up` has ended its accounts can still be asked.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from phoenix_coordination.order_id import parse
from phoenix_worker.venue.binance.account import AccountOrder

from phoenix_cli.local.signed import reader_of
from phoenix_cli.printing import aligned, as_json
from phoenix_cli.target import accounts_of, add_state_directory, last_run


class Order(msgspec.Struct, frozen=True):
    """One open order. `token` is the lease under which a worker of ours sent it; None where it is not ours."""

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="only this account (default: all of the run)")
    add_state_directory(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    found = asyncio.run(orders(args))
    if args.output == "json":
        sys.stdout.write(as_json(found))
    else:
        sys.stdout.write(text_of(found))
    return 0


async def orders(args: argparse.Namespace) -> list[Order]:
    """By account, symbol and side, the best price first."""
    run_file = last_run(args.state_dir)
    found = []
    for files in accounts_of(run_file, args.account):
        async with reader_of(run_file, files) as reader:
            now_ms = reader.now_ms()
            found += [_order(files.account, order, now_ms) for order in await reader.open_orders()]
    return sorted(found, key=_place)


def _order(account: str, order: AccountOrder, now_ms: int) -> Order:
    ours = parse(order.client_id)
    return Order(
        account=account,
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
    )


def _place(order: Order) -> tuple[str, str, str, Decimal]:
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
            " ".join(
                word for word, said in (("reduce-only", order.reduce_only), ("not ours", order.token is None)) if said
            ),
        )
        for order in found
    ]
    return aligned(header, rows)

"""Positions of the accounts of a run, as the exchange itself says: of every symbol, with a maker or without.

Signed reads with the accounts' own keys, which change nothing. After an `up` has ended its accounts can still be asked.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from phoenix_worker.venue.binance.account import AccountPosition

from phoenix_cli.local.signed import reader_of
from phoenix_cli.printing import aligned, as_json
from phoenix_cli.target import accounts_of, add_state_directory, last_run


class Position(msgspec.Struct, frozen=True):
    """One symbol's position: base units, signed; values in the margin asset. No liquidation price: no danger."""

    account: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    notional: Decimal
    unrealised: Decimal
    liquidation_price: Decimal | None
    initial_margin: Decimal
    margin_asset: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="only this account (default: all of the run)")
    add_state_directory(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    found = asyncio.run(positions(args))
    if args.output == "json":
        sys.stdout.write(as_json(found))
    else:
        sys.stdout.write(text_of(found))
    return 0


async def positions(args: argparse.Namespace) -> list[Position]:
    """What is held, by account and symbol; where only orders rest nothing is."""
    run_file = last_run(args.state_dir)
    found = []
    for files in accounts_of(run_file, args.account):
        async with reader_of(run_file, files) as reader:
            found += [_position(files.account, row) for row in await reader.positions() if row.qty]
    return sorted(found, key=lambda position: (position.account, position.symbol))


def _position(account: str, row: AccountPosition) -> Position:
    return Position(
        account=account,
        symbol=row.symbol,
        quantity=row.qty,
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        notional=row.notional,
        unrealised=row.unrealised,
        liquidation_price=row.liquidation_price or None,
        initial_margin=row.initial_margin,
        margin_asset=row.margin_asset,
    )


def text_of(found: Sequence[Position]) -> str:
    if not found:
        return "no positions\n"
    header = ("account", "symbol", "quantity", "entry", "mark", "notional", "unrealised", "liquidation", "margin", "in")
    rows = [
        (
            position.account,
            position.symbol,
            f"{position.quantity:f}",
            _price(position.entry_price),
            _price(position.mark_price),
            f"{position.notional:.2f}",
            f"{position.unrealised:+.2f}",
            "–" if position.liquidation_price is None else _price(position.liquidation_price),
            f"{position.initial_margin:.2f}",
            position.margin_asset,
        )
        for position in found
    ]
    return aligned(header, rows)


def _price(price: Decimal) -> str:
    """Without the zeros that the exchange pads with: `61836.5`."""
    return f"{price.normalize():f}"

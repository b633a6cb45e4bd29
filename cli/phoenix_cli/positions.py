"""Positions of the accounts of a run, as the exchange itself says: of every symbol, with a maker or without.

Signed reads with the accounts' own keys, which change nothing. After an `up` has ended its accounts can still be asked.
"""

import argparse
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from phoenix_worker.venue.binance.account import AccountPosition, AccountReader

from phoenix_cli.local.runfile import AccountFiles
from phoenix_cli.printing import aligned
from phoenix_cli.readings import add_arguments, answer

__all__ = ["add_arguments", "run"]


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


def run(args: argparse.Namespace) -> int:
    return answer(args, _positions, text_of, lambda position: (position.account, position.symbol))


async def _positions(files: AccountFiles, reader: AccountReader) -> list[Position]:
    """What is held; where only orders rest nothing is."""
    return [_position(files.account, row) for row in await reader.positions() if row.qty]


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

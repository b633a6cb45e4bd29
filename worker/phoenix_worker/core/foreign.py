"""What others do with our symbol, and how far it stops us: people, other programs, the exchange itself."""

from enum import StrEnum

from phoenix_worker.core.events import OpenOrder

LIQUIDATION = "autoclose-"
DELEVERAGING = "adl_autoclose"
SETTLEMENT = "settlement_autoclose-"


class Foreign(StrEnum):
    """Kinds of orders that are not of this system (client order ids: Binance USDⓈ-M documentation, ORDER_TRADE_UPDATE).

    Whoever only reduces gets out of our way: we wait. All others end what we take for granted, and a person looks.
    """

    REDUCES = "a foreign reduce-only order"  # quoting is suspended while it lives
    OPENS = "a foreign order that opens"  # halts the symbol
    DELEVERAGED = "auto-deleveraging by the exchange"  # halts the symbol
    SETTLED = "settlement by the exchange"  # halts the symbol
    LIQUIDATED = "liquidation by the exchange"  # halts the account


def kind_of(order: OpenOrder) -> Foreign:
    """Of an order that no worker placed. The exchange's own orders carry no reduce-only mark: their ids tell."""
    if order.client_id.startswith(LIQUIDATION):
        return Foreign.LIQUIDATED
    if order.client_id.startswith(DELEVERAGING):
        return Foreign.DELEVERAGED
    if order.client_id.startswith(SETTLEMENT):
        return Foreign.SETTLED
    return Foreign.REDUCES if order.reduce_only else Foreign.OPENS

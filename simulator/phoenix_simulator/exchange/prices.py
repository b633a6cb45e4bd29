"""What things are worth: the mark of each symbol and, in US dollars, the index of each asset that may be collateral.

In multi-assets mode every asset of a wallet stands behind every position. What an account has counts a little less than
its index (the bid rate), what it owes or must keep a little more (the ask rate); `AssetIndex` says by how much. Assets
that are traded here follow the index of their contract; the others, and the dollars themselves, keep their price.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.symbols import E8, divide_towards_zero, to_e8


class Collateral(msgspec.Struct, frozen=True):
    """An asset that may back positions in multi-assets mode. Buffers are fractions of its index."""

    asset: str
    price_e8: int
    """In US dollars, where no contract here says more."""
    buffer: Decimal
    """Bid and ask rate of margin: index × (1 ∓ this)."""
    auto_exchange_buffer: Decimal
    """The same of what the venue exchanges by itself."""
    auto_exchange_e8: int
    """How far the balance of the asset may fall below zero before it is exchanged; in units of the asset."""


def _collateral(asset: str, price: str, buffer: str, auto_exchange_buffer: str, auto_exchange: str) -> Collateral:
    return Collateral(
        asset,
        to_e8(Decimal(price)),
        Decimal(buffer),
        Decimal(auto_exchange_buffer),
        to_e8(Decimal(auto_exchange)),
    )


COLLATERAL: Mapping[str, Collateral] = {
    row.asset: row
    for row in (
        _collateral("USDT", "1", "0.0001", "0.0001", "10000"),
        _collateral("USDC", "1", "0.0001", "0.0001", "10000"),
        _collateral("BTC", "60000", "0.05", "0.025", "0.1"),
        _collateral("ETH", "2500", "0.05", "0.025", "5"),
        _collateral("BNB", "600", "0.05", "0.025", "10"),
    )
}
"""The venue's collateral ratios of dollars (99.99 %) and of large coins (95 %)."""


class AssetIndex(msgspec.Struct, frozen=True):
    """`assetIndex` of one asset; rates in 1e-8 US dollars per unit."""

    asset: str
    index_e8: int
    collateral: Collateral

    @property
    def symbol(self) -> str:
        """The index's name: BTCUSD."""
        return f"{self.asset}USD"

    @property
    def bid_e8(self) -> int:
        return self._rate_e8(1 - self.collateral.buffer)

    @property
    def ask_e8(self) -> int:
        return self._rate_e8(1 + self.collateral.buffer)

    @property
    def auto_exchange_bid_e8(self) -> int:
        return self._rate_e8(1 - self.collateral.auto_exchange_buffer)

    @property
    def auto_exchange_ask_e8(self) -> int:
        return self._rate_e8(1 + self.collateral.auto_exchange_buffer)

    def _rate_e8(self, factor: Decimal) -> int:
        return int(self.index_e8 * factor)


class Prices:
    """At the present moment; reads the listings, keeps nothing."""

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self._listings = listings

    def mark_e8(self, symbol: str) -> int:
        return self._listings[symbol].mark_e8

    def index(self, asset: str) -> AssetIndex | None:
        """None for an asset that is no collateral."""
        collateral = COLLATERAL.get(asset)
        if collateral is None:
            return None
        listing = self._listings.get(f"{asset}USDT") or self._listings.get(f"{asset}USDC")
        index_e8 = listing.index_e8 if listing is not None else collateral.price_e8
        return AssetIndex(asset, index_e8, collateral)

    def indices(self) -> list[AssetIndex]:
        return [index for asset in COLLATERAL if (index := self.index(asset)) is not None]

    def dollars_e8(self, asset: str, amount_e8: int) -> int:
        """What an amount counts for: a credit at the bid rate, a debt (negative) at the ask rate. An asset that is no
        collateral counts for nothing.
        """
        index = self.index(asset)
        if index is None:
            return 0
        return amount_e8 * (index.bid_e8 if amount_e8 >= 0 else index.ask_e8) // E8

    def needed_dollars_e8(self, asset: str, amount_e8: int) -> int:
        """What must be kept for a requirement in the asset."""
        return -self.dollars_e8(asset, -amount_e8)

    def units_e8(self, asset: str, dollars_e8: int) -> int:
        """How much of the asset a sum of dollars is good for (negative: what is missing, in the asset)."""
        index = self.index(asset)
        if index is None:
            return 0
        return divide_towards_zero(dollars_e8 * E8, index.ask_e8)

    def convert_e8(self, asset: str, amount_e8: int, other: str) -> int | None:
        """The amount (≥ 0) at index prices in another asset, cut to 8 decimals; None where one of them has no index."""
        index, price = self.index(asset), self.index(other)
        if index is None or price is None:
            return None
        return amount_e8 * index.index_e8 // price.index_e8

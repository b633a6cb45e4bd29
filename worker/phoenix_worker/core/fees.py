"""Fees by the asset in which they were paid, in 1e-8 of its units: paid less received."""

from phoenix_worker.core.events import Fill


def charge(fees: dict[str, int], fill: Fill) -> None:
    """Adds what the fill has cost."""
    if fill.commission:
        fees[fill.commission_asset] = fees.get(fill.commission_asset, 0) + fill.commission


def in_quote(amounts: dict[str, int], rates: dict[str, float], quote_asset: str) -> int | None:
    """These amounts in quote at `rates` (quote per unit); None where one of them cannot be converted."""
    total = 0
    for asset, amount in amounts.items():
        if asset == quote_asset:
            total += amount
        elif (rate := rates.get(asset, 0.0)) > 0:
            total += round(amount * rate)
        elif amount:
            return None
    return total

"""Numbers as the venue prints them."""

from decimal import Decimal
from typing import Final

from phoenix_simulator.exchange.symbols import SymbolSpec, format_e8

_CACHED: Final = 50_000


def plain(value: Decimal) -> str:
    """Without an exponent and without trailing zeros: 0.0400 → "0.04", 160 → "160"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_e8(value_e8: int) -> str:
    """An amount of 1e-8 units, compact: 0 → "0", 115829 → "0.00115829"."""
    return "0" if value_e8 == 0 else format_e8(value_e8).rstrip("0").rstrip(".")


class SymbolText:
    """Prices and quantities of one symbol as text, remembered: a book repeats the same few thousand of each."""

    __slots__ = ("_prices", "_quantities", "spec")

    def __init__(self, spec: SymbolSpec) -> None:
        self.spec = spec
        self._prices: dict[int, str] = {}
        self._quantities: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) >= _CACHED:
                self._prices.clear()
            text = self._prices[ticks] = self.spec.format_price(ticks)
        return text

    def quantity(self, steps: int) -> str:
        text = self._quantities.get(steps)
        if text is None:
            if len(self._quantities) >= _CACHED:
                self._quantities.clear()
            text = self._quantities[steps] = self.spec.format_quantity(steps)
        return text

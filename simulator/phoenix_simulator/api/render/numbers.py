"""Numbers as the venue prints them."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Final

from phoenix_simulator.exchange.symbols import SymbolSpec, format_e8

_CACHED: Final = 100_000


def plain(value: Decimal) -> str:
    """Without an exponent and without trailing zeros: 0.0400 → "0.04", 160 → "160"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_e8(value_e8: int) -> str:
    """An amount of 1e-8 units, compact: 0 → "0", 115829 → "0.00115829"."""
    return "0" if value_e8 == 0 else format_e8(value_e8).rstrip("0").rstrip(".")


class _Texts(dict[int, str]):
    """So many of a unit → text, made when it is first asked for."""

    def __init__(self, unit_e8: int, decimals: int) -> None:
        super().__init__()
        self._unit_e8 = unit_e8
        self._decimals = decimals

    def __missing__(self, number: int) -> str:
        if len(self) >= _CACHED:
            self.clear()
        text = self[number] = format_e8(number * self._unit_e8, self._decimals)
        return text


_texts = cache(_Texts)
"""Of one grid, whichever symbols have it: a few grids serve all symbols of a venue."""


class SymbolText:
    """Prices (by ticks) and quantities (by steps) of one symbol as text (`SymbolSpec.format_price`, `format_quantity`),
    remembered: a book repeats the same few thousand of each, and says hundreds in a frame.
    """

    __slots__ = ("price", "quantity", "spec")

    def __init__(self, spec: SymbolSpec) -> None:
        self.spec = spec
        self.price: Callable[[int], str] = _texts(spec.tick_e8, spec.price_precision).__getitem__
        self.quantity: Callable[[int], str] = _texts(spec.step_e8, spec.quantity_precision).__getitem__

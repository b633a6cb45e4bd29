"""Numbers as the venue prints them."""

from collections.abc import Callable
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


class _Texts(dict[int, str]):
    """Number → text, made when it is first asked for."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> str:
        if len(self) >= _CACHED:
            self.clear()
        text = self[number] = self._make(number)
        return text


class SymbolText:
    """Prices (by ticks) and quantities (by steps) of one symbol as text, remembered: a book repeats the same few
    thousand of each, and says hundreds in a frame.
    """

    __slots__ = ("price", "quantity", "spec")

    def __init__(self, spec: SymbolSpec) -> None:
        self.spec = spec
        self.price: Callable[[int], str] = _Texts(spec.format_price).__getitem__
        self.quantity: Callable[[int], str] = _Texts(spec.format_quantity).__getitem__

"""What the exchange says about the symbol: its grid, its limits, and exact conversions at the edge."""

from decimal import Decimal
from enum import StrEnum
from functools import cached_property

import msgspec

MONEY = 100_000_000
"""Money that was paid or received is an integer of 1e-8 quote: the exchange rounds commissions to eight decimals."""

UNBOUNDED = 2**62
"""Of a limit in money that nobody has told."""


class OffGridError(ValueError):
    """A price or quantity that is no whole number of ticks or steps."""


class SymbolStatus(StrEnum):
    """Whether the exchange takes orders for the symbol; anything unknown counts as not trading."""

    TRADING = "TRADING"
    REDUCE_ONLY = "REDUCE_ONLY"
    NOT_TRADING = "NOT_TRADING"


class Grid(msgspec.Struct, frozen=True):
    """A grid of decimals: one unit is `mantissa · 10^-scale`, for example tick 0.10 is mantissa 1, scale 1."""

    mantissa: int
    scale: int

    @classmethod
    def of(cls, unit: Decimal) -> "Grid":
        """Grid of a positive decimal step; raises `OffGridError` for zero, negative or non-finite ones."""
        if not unit.is_finite() or unit <= 0:
            raise OffGridError(f"{unit} is no usable tick or step: it must be positive")
        text = format(unit.normalize(), "f")
        whole, _, fraction = text.partition(".")
        return cls(int(whole + fraction), len(fraction))

    @property
    def unit(self) -> float:
        return float(self.mantissa / 10**self.scale)

    def count(self, value: str | Decimal) -> int:
        """Exact number of units; raises `OffGridError` where the value lies between two."""
        units = Decimal(value).scaleb(self.scale) / self.mantissa
        whole = int(units)
        if whole != units:
            raise OffGridError(f"{value} is not a multiple of {self.text(1)}")
        return whole

    def floor(self, value: Decimal) -> int:
        """Largest number of units that is not above the (non-negative) value."""
        return int(value.scaleb(self.scale) // self.mantissa)

    def text(self, units: int) -> str:
        """Plain decimal string, as the exchange wants it: never scientific."""
        value = units * self.mantissa
        if self.scale == 0:
            return str(value)
        sign = "-" if value < 0 else ""
        digits = str(abs(value)).rjust(self.scale + 1, "0")
        return f"{sign}{digits[: -self.scale]}.{digits[-self.scale :]}"


class Instrument(msgspec.Struct, frozen=True, dict=True):
    """One perpetual of the exchange. Limits are in ticks and steps; `min_notional` is in money (1e-8 quote).

    `band_up` and `band_down` are the exchange's PERCENT_PRICE multipliers: a buy above `mark · band_up` and a sell
    below `mark · band_down` is refused by it. `max_notional`, in money, is the largest position that it admits at the
    account's leverage.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    price: Grid
    quantity: Grid
    min_price_ticks: int
    max_price_ticks: int
    min_qty_steps: int
    max_qty_steps: int
    market_min_steps: int
    market_max_steps: int
    min_notional: int
    band_up: float
    band_down: float
    max_open_orders: int
    status: SymbolStatus = SymbolStatus.TRADING
    max_notional: int = UNBOUNDED

    @property
    def tick(self) -> float:
        return self.price.unit

    @property
    def step(self) -> float:
        return self.quantity.unit

    def notional(self, price_ticks: int, qty_steps: int) -> int:
        """Exact value in money (1e-8 quote), signed like the quantity.

        Exact because tick · step of every listed symbol has at most eight decimals; `venue` refuses one that has more.
        """
        mantissa, divisor = self._value_unit
        return price_ticks * qty_steps * mantissa // divisor

    @cached_property
    def _value_unit(self) -> tuple[int, int]:
        """Money of one step at one tick, as a fraction: every order is valued, and the grid does not change."""
        divisor: int = 10 ** (self.price.scale + self.quantity.scale)
        return self.price.mantissa * self.quantity.mantissa * MONEY, divisor

    def admitted_steps(self, wanted_steps: int, price: float) -> int:
        """So many steps of a position, or what the leverage bracket leaves of them at this price (0: not known)."""
        if self.max_notional >= UNBOUNDED or price <= 0:
            return wanted_steps
        return min(wanted_steps, int(self.max_notional / MONEY / (price * self.step)))

    def min_steps_at(self, price_ticks: int) -> int:
        """Smallest order that clears both the minimum quantity and the minimum notional at this price."""
        one = self.notional(price_ticks, 1)
        return max(self.min_qty_steps, -(-self.min_notional // one))

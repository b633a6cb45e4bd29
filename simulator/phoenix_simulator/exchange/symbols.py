"""What a symbol is: filters, precisions, fees and brackets, and the only place where decimals become integers.

Inside the exchange a price is an integer of ticks, a quantity an integer of steps and money an integer of 1e-8 of
the asset; `SymbolSpec` turns wire decimals into those exactly and back. Numbers of the built-in symbols: Binance
USDⓈ-M as read live in autumn 2026 where known (BTCUSDT, ETHUSDC), otherwise the venue's long-standing values.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction

import msgspec

E8 = 100_000_000


class SymbolStatus(StrEnum):
    PENDING_TRADING = "PENDING_TRADING"
    TRADING = "TRADING"
    PRE_DELIVERING = "PRE_DELIVERING"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    PRE_SETTLE = "PRE_SETTLE"
    SETTLING = "SETTLING"
    CLOSE = "CLOSE"

    @property
    def is_final(self) -> bool:
        """From here on nobody has orders or positions: they end with the change."""
        return self in {SymbolStatus.DELIVERING, SymbolStatus.DELIVERED, SymbolStatus.SETTLING, SymbolStatus.CLOSE}


class LeverageBracket(msgspec.Struct, frozen=True):
    """One row of the leverage table: up to `notional_cap_e8` at most `initial_leverage`."""

    bracket: int
    initial_leverage: int
    notional_floor_e8: int
    notional_cap_e8: int
    maintenance_ratio: Decimal
    """Maintenance margin as a fraction of the position's notional."""
    cumulative_e8: int
    """Subtracted so that maintenance margin is continuous from one bracket to the next."""

    def maintenance_e8(self, notional_e8: int) -> int:
        """|notional| × ratio − cum, rounded up: the venue never asks for less than the formula."""
        numerator, denominator = self.maintenance_ratio.as_integer_ratio()
        return -(-notional_e8 * numerator // denominator) - self.cumulative_e8


class SymbolSpec(msgspec.Struct, frozen=True):
    """A listed perpetual contract. `*_e8` fields are the decimal value × 1e8."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    price_precision: int
    """Decimals that a price may have (−1111); not the tick."""
    quantity_precision: int
    tick_e8: int
    step_e8: int
    min_price_ticks: int
    max_price_ticks: int
    min_steps: int
    max_steps: int
    market_max_steps: int
    min_notional_e8: int
    max_num_orders: int
    multiplier_up: Decimal
    """PERCENT_PRICE: a buy is at most mark × this."""
    multiplier_down: Decimal
    market_take_bound: Decimal
    """A market order executes at most this fraction away from mark."""
    liquidation_fee: Decimal
    maker_rate_e8: int
    """Commission as a fraction of notional × 1e8; negative is a rebate."""
    taker_rate_e8: int
    funding_interval_ms: int
    funding_cap: Decimal
    """The funding rate stays within ± this fraction."""
    brackets: tuple[LeverageBracket, ...]
    onboard_ms: int = 1_569_398_400_000
    max_amendments: int = 10_000

    # ---- prices -------------------------------------------------------------------------------------------------

    @property
    def tick_size(self) -> Decimal:
        return from_e8(self.tick_e8)

    @property
    def step_size(self) -> Decimal:
        return from_e8(self.step_e8)

    def price_to_decimal(self, ticks: int) -> Decimal:
        return from_e8(ticks * self.tick_e8)

    def quantity_to_decimal(self, steps: int) -> Decimal:
        return from_e8(steps * self.step_e8)

    def format_price(self, ticks: int) -> str:
        """Padded to `price_precision`, as acks, depth and bookTicker print it: 25000 ticks of 0.10 → "2500.00"."""
        return format_e8(ticks * self.tick_e8, self.price_precision)

    def format_quantity(self, steps: int) -> str:
        """Padded to `quantity_precision`: 40 steps of 0.001 → "0.040"."""
        return format_e8(steps * self.step_e8, self.quantity_precision)

    def ticks_of(self, price: Decimal) -> int | None:
        """Whole ticks of a price, or None where it is not on the grid."""
        return _whole(price, self.tick_e8)

    def steps_of(self, quantity: Decimal) -> int | None:
        """Whole steps of a quantity, or None where it is not on the grid."""
        return _whole(quantity, self.step_e8)

    # ---- money --------------------------------------------------------------------------------------------------

    @property
    def notional_unit_e8(self) -> int:
        """Money (1e-8) of one step at one tick: exact for every built-in symbol, checked on construction."""
        return self.tick_e8 * self.step_e8 // E8

    def notional_e8(self, ticks: int, steps: int) -> int:
        """Exact notional of a fill, in 1e-8 of the quote asset."""
        return ticks * steps * self.notional_unit_e8

    def mark_notional_e8(self, mark_e8: int, steps: int) -> int:
        """Notional at a mark price of 8 decimals, truncated towards zero to 1e-8."""
        return divide_towards_zero(mark_e8 * steps * self.step_e8, E8)

    def __post_init__(self) -> None:
        if self.tick_e8 * self.step_e8 % E8:
            msg = f"{self.symbol}: tick × step is finer than 1e-8 of {self.quote_asset}; fills would not be exact"
            raise ValueError(msg)

    # ---- leverage -----------------------------------------------------------------------------------------------

    @property
    def max_leverage(self) -> int:
        return self.brackets[0].initial_leverage

    def max_notional_e8(self, leverage: int) -> int:
        """The largest position notional that `leverage` admits."""
        return max(row.notional_cap_e8 for row in self.brackets if row.initial_leverage >= leverage)

    def bracket_of(self, notional_e8: int) -> LeverageBracket:
        """The row that |notional| falls into; the last one beyond the table."""
        for row in self.brackets:
            if abs(notional_e8) <= row.notional_cap_e8:
                return row
        return self.brackets[-1]

    def maintenance_e8(self, notional_e8: int) -> int:
        """Maintenance margin of a position of |notional|, 1e-8 of the margin asset."""
        return self.bracket_of(notional_e8).maintenance_e8(abs(notional_e8))


# ---- decimals and integers --------------------------------------------------------------------------------------


def to_e8(value: Decimal) -> int:
    """Exact; a value finer than 1e-8 is a ValueError."""
    scaled = value.scaleb(8)
    whole = int(scaled)
    if whole != scaled:
        msg = f"{value} is finer than 1e-8"
        raise ValueError(msg)
    return whole


def from_e8(value_e8: int) -> Decimal:
    return Decimal(value_e8).scaleb(-8)


_PLACES: tuple[tuple[int, int, str], ...] = tuple(
    (10 ** (8 - places), 10**places, f"%d.%0{places}d") for places in range(9)
)
"""By decimals: what is cut, what a whole is then, and how both are written."""


def format_e8(value_e8: int, decimals: int = 8) -> str:
    """Plain decimal with exactly `decimals` places (≤ 8); digits below them are cut, not rounded."""
    if value_e8 < 0:
        return "-" + format_e8(-value_e8, decimals)
    if decimals == 0:
        return str(value_e8 // E8)
    cut, whole, form = _PLACES[decimals]
    return form % divmod(value_e8 // cut, whole)


def divide_towards_zero(numerator: int, denominator: int) -> int:
    """Integer division that truncates: what is owed either way is cut to 8 decimals (`denominator` > 0)."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def divide_up(numerator: int, denominator: int) -> int:
    """Ceiling division: margin is never asked for too little."""
    return -(-numerator // denominator)


def decimal_ratio(numerator: int, denominator: int, places: int = 11) -> Decimal:
    """Numerator / denominator, rounded half-even to `places` decimals; for prices that are averages."""
    scaled = Fraction(numerator * 10**places, denominator)
    return Decimal(round(scaled)).scaleb(-places)


def decimals_of(value: Decimal) -> int:
    """Significant decimals: "0.0400" has 2, as the venue's −1111 check counts. `value` is finite."""
    if not value:
        return 0
    _, digits, exponent = value.as_tuple()
    decimals = -int(exponent)
    # Counted by hand: normalize() would round what has more digits than the context.
    for digit in reversed(digits):
        if decimals <= 0 or digit:
            break
        decimals -= 1
    return max(0, decimals)


def _whole(value: Decimal, unit_e8: int) -> int | None:
    scaled = value.scaleb(8)
    if scaled != scaled.to_integral_value(ROUND_HALF_EVEN):
        return None
    whole, remainder = divmod(int(scaled), unit_e8)
    return None if remainder else whole


# ---- the built-in symbols ---------------------------------------------------------------------------------------


def _brackets(*rows: tuple[int, int, str]) -> tuple[LeverageBracket, ...]:
    """Rows of (max leverage, notional cap in quote units, maintenance ratio); floors and `cum` follow from them."""
    table: list[LeverageBracket] = []
    floor, cumulative, previous = 0, Decimal(0), Decimal(0)
    for number, (leverage, cap, ratio_text) in enumerate(rows, start=1):
        ratio = Decimal(ratio_text)
        cumulative += floor * (ratio - previous)
        table.append(LeverageBracket(number, leverage, floor * E8, cap * E8, ratio, to_e8(cumulative)))
        floor, previous = cap, ratio
    return tuple(table)


_BTC_BRACKETS = _brackets(
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    (50, 12_000_000, "0.01"),
    (25, 70_000_000, "0.02"),
    (20, 100_000_000, "0.025"),
    (10, 230_000_000, "0.05"),
    (5, 480_000_000, "0.1"),
    (4, 600_000_000, "0.125"),
    (3, 800_000_000, "0.15"),
    (2, 1_200_000_000, "0.25"),
    (1, 1_800_000_000, "0.5"),
)
_ETH_BRACKETS = _brackets(
    (100, 300_000, "0.005"),
    (75, 800_000, "0.0065"),
    (50, 3_000_000, "0.01"),
    (25, 12_000_000, "0.02"),
    (20, 50_000_000, "0.025"),
    (10, 65_000_000, "0.05"),
    (5, 150_000_000, "0.1"),
    (4, 320_000_000, "0.125"),
    (2, 400_000_000, "0.25"),
    (1, 800_000_000, "0.5"),
)
_SOL_BRACKETS = _brackets(
    (75, 10_000, "0.005"),
    (50, 250_000, "0.01"),
    (25, 1_000_000, "0.02"),
    (20, 5_000_000, "0.025"),
    (10, 20_000_000, "0.05"),
    (5, 40_000_000, "0.1"),
    (4, 50_000_000, "0.125"),
    (2, 100_000_000, "0.25"),
    (1, 150_000_000, "0.5"),
)

_EIGHT_HOURS_MS = 8 * 3_600_000


def _perpetual(
    base: str,
    quote: str,
    *,
    tick: str,
    step: str,
    price: tuple[str, str],
    lot: tuple[str, str, str],
    min_notional: str,
    precision: tuple[int, int],
    brackets: tuple[LeverageBracket, ...],
) -> SymbolSpec:
    """`price` = (min, max); `lot` = (min, max, market max); `precision` = (price, quantity)."""
    tick_e8, step_e8 = to_e8(Decimal(tick)), to_e8(Decimal(step))
    usdc = quote == "USDC"
    return SymbolSpec(
        symbol=base + quote,
        base_asset=base,
        quote_asset=quote,
        margin_asset=quote,
        price_precision=precision[0],
        quantity_precision=precision[1],
        tick_e8=tick_e8,
        step_e8=step_e8,
        min_price_ticks=to_e8(Decimal(price[0])) // tick_e8,
        max_price_ticks=to_e8(Decimal(price[1])) // tick_e8,
        min_steps=to_e8(Decimal(lot[0])) // step_e8,
        max_steps=to_e8(Decimal(lot[1])) // step_e8,
        market_max_steps=to_e8(Decimal(lot[2])) // step_e8,
        min_notional_e8=to_e8(Decimal(min_notional)),
        max_num_orders=200,
        multiplier_up=Decimal("1.0500"),
        multiplier_down=Decimal("0.9500"),
        market_take_bound=Decimal("0.05"),
        liquidation_fee=Decimal("0.012500"),
        # USDC contracts: promotional maker 0 %, taker 0.04 %; USDT: maker 0.02 %, taker 0.05 % (regular user).
        maker_rate_e8=0 if usdc else 20_000,
        taker_rate_e8=40_000 if usdc else 50_000,
        funding_interval_ms=_EIGHT_HOURS_MS,
        funding_cap=Decimal("0.003"),
        brackets=brackets,
    )


BUILT_IN: dict[str, SymbolSpec] = {
    spec.symbol: spec
    for spec in (
        _perpetual(
            "BTC",
            "USDT",
            tick="0.10",
            step="0.001",
            price=("556.80", "4529764"),
            lot=("0.001", "1000", "120"),
            min_notional="50",
            precision=(2, 3),
            brackets=_BTC_BRACKETS,
        ),
        _perpetual(
            "ETH",
            "USDT",
            tick="0.01",
            step="0.001",
            price=("39.86", "306177"),
            lot=("0.001", "10000", "2000"),
            min_notional="20",
            precision=(2, 3),
            brackets=_ETH_BRACKETS,
        ),
        _perpetual(
            "SOL",
            "USDT",
            tick="0.01",
            step="0.01",
            price=("0.42", "6857"),
            lot=("0.01", "1000000", "80000"),
            min_notional="5",
            precision=(4, 2),
            brackets=_SOL_BRACKETS,
        ),
        _perpetual(
            "BTC",
            "USDC",
            tick="0.1",
            step="0.001",
            price=("556.8", "4529764"),
            lot=("0.001", "1000", "100"),
            min_notional="50",
            precision=(1, 3),
            brackets=_BTC_BRACKETS,
        ),
        _perpetual(
            "ETH",
            "USDC",
            tick="0.01",
            step="0.001",
            price=("0.01", "100000"),
            lot=("0.001", "8000", "700"),
            min_notional="20",
            precision=(2, 3),
            brackets=_ETH_BRACKETS,
        ),
        _perpetual(
            "SOL",
            "USDC",
            tick="0.01",
            step="0.01",
            price=("0.42", "6857"),
            lot=("0.01", "1000000", "80000"),
            min_notional="5",
            precision=(4, 2),
            brackets=_SOL_BRACKETS,
        ),
    )
}

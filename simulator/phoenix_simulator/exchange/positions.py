"""One position and its exact arithmetic: what was realised so far and what is still open always add up to the cash
that the fills moved, to the last 1e-8.
"""

from decimal import Decimal

import msgspec

from phoenix_simulator.exchange.symbols import E8, SymbolSpec, decimal_ratio, divide_up


class Position(msgspec.Struct):
    """Reductions leave the entry price as it is; a reversal opens the rest anew.

    The entry price is the fraction `entry_notional_e8 / entry_steps` fixed by the last increase. `cost_e8` is that
    price × the size still open, rounded to 1e-8; a reduction realises the difference between what it traded for and
    by how much the cost fell, so roundings telescope and nothing is ever lost.
    """

    spec: SymbolSpec
    steps: int = 0
    """Signed; short is negative."""
    cost_e8: int = 0
    """Of the open size, unsigned."""
    entry_notional_e8: int = 0
    entry_steps: int = 0
    entry_fee_e16: int = 0
    """Opening commission by rate, before it is cut to 8 decimals: break-even uses the rate."""
    realised_e8: int = 0
    """Accumulated, before fees."""
    updated_ms: int = 0
    margin_e8: int = 0
    """Isolated margin: the part of the account's wallet that was set aside for this position, and all it can lose."""

    def trade(self, signed_steps: int, price_ticks: int, rate_e8: int) -> int:
        """Apply a fill; returns the profit it realised, 1e-8 of the quote asset, before fees."""
        realised = 0
        if self.steps * signed_steps < 0:
            closing = min(abs(signed_steps), abs(self.steps))
            realised = self._reduce(closing, self.spec.notional_e8(price_ticks, closing))
            signed_steps -= closing if signed_steps > 0 else -closing
        if signed_steps:
            self._increase(signed_steps, self.spec.notional_e8(price_ticks, abs(signed_steps)), rate_e8)
        return realised

    def trade_isolated(self, signed_steps: int, price_ticks: int, rate_e8: int, leverage: int) -> int:
        """As `trade`; sets aside margin for what it opens and gives back that of what it closes, in proportion."""
        before = self.steps
        closing = min(abs(before), abs(signed_steps)) if before * signed_steps < 0 else 0
        realised = self.trade(signed_steps, price_ticks, rate_e8)
        if closing:
            self.margin_e8 = self.margin_e8 * (abs(before) - closing) // abs(before)
        if opened := abs(signed_steps) - closing:
            self.margin_e8 += divide_up(self.spec.notional_e8(price_ticks, opened), leverage)
        return realised

    def _reduce(self, closing: int, notional_e8: int) -> int:
        sign = 1 if self.steps > 0 else -1
        left = abs(self.steps) - closing
        cost_left = _divide_half_up(self.entry_notional_e8 * left, self.entry_steps)
        realised = sign * (notional_e8 - (self.cost_e8 - cost_left))
        self.steps = sign * left
        self.cost_e8 = cost_left
        self.realised_e8 += realised
        if not left:
            self.entry_notional_e8 = self.entry_steps = self.entry_fee_e16 = 0
        return realised

    def _increase(self, signed_steps: int, notional_e8: int, rate_e8: int) -> None:
        if self.entry_steps:
            self.entry_fee_e16 = self.entry_fee_e16 * abs(self.steps) // self.entry_steps
        self.entry_fee_e16 += notional_e8 * rate_e8
        self.cost_e8 += notional_e8
        self.steps += signed_steps
        self.entry_notional_e8 = self.cost_e8
        self.entry_steps = abs(self.steps)

    def notional_e8(self, mark_e8: int) -> int:
        """Signed, at mark."""
        return self.spec.mark_notional_e8(mark_e8, self.steps)

    def unrealised_e8(self, mark_e8: int) -> int:
        """Signed size × (mark − entry)."""
        if not self.steps:
            return 0
        return self.notional_e8(mark_e8) - (self.cost_e8 if self.steps > 0 else -self.cost_e8)

    @property
    def entry_price(self) -> Decimal:
        """0 when flat."""
        if not self.steps:
            return Decimal(0)
        return decimal_ratio(self.entry_notional_e8, self.entry_steps * self.spec.step_e8)

    @property
    def break_even_price(self) -> Decimal:
        """Entry × (1 ± opening fee rate): where closing covers what opening cost; 0 when flat."""
        if not self.steps:
            return Decimal(0)
        fee_e16 = self.entry_fee_e16 if self.steps > 0 else -self.entry_fee_e16
        return decimal_ratio(self.entry_notional_e8 * E8 + fee_e16, self.entry_steps * self.spec.step_e8 * E8)


def _divide_half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)

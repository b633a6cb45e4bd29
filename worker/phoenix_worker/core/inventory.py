"""The modes of the inventory: which side may be quoted, and how, at this |q| / netMax.

Guards are ordered (pin < block < flatten < liquidate), so the highest one entered is the strictest. Each enters at its
ratio and leaves `hysteresis` below it, so that a position on the border does not make the quotes flicker.
"""

from enum import IntEnum

import msgspec

from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from phoenix_worker.core.parameters import Guards

FLATTEN_LAYERS = 2
_BUY, _REENTRY = Side.BUY, Purpose.REENTRY  # an enum's member is looked up slowly, and every order asks


class Mode(IntEnum):
    """Ordered by strictness. LIQUIDATE is exclusive: cancels and reduce-only emergency orders alone."""

    NORMAL = 0
    PIN = 1
    BLOCK = 2
    FLATTEN = 3
    LIQUIDATE = 4


class Mask(msgspec.Struct, frozen=True):
    """What the quoting may do. `at_touch` overrides the ladder's distances for the reducing side; `reentry`: a grind's
    re-entry may be sent on a side that may not be quoted.
    """

    buys: bool
    sells: bool
    reduce_only: bool = False
    at_touch: bool = False
    max_layers: int = 64
    widen_bps: float = 0.0
    reentry: bool = False

    def allows(self, side: Side) -> bool:
        return self.buys if side is _BUY else self.sells

    def admits(self, side: Side, purpose: Purpose, reduce_only: bool) -> bool:
        """Whether an order may be sent: one of a side that is quoted, or the one that may increase under Pinning."""
        if self.buys if side is _BUY else self.sells:
            return reduce_only or not self.reduce_only
        return self.reentry and purpose is _REENTRY


NOTHING = Mask(buys=False, sells=False, reduce_only=True)
EVERYTHING = Mask(buys=True, sells=True, reentry=True)


def next_mode(mode: Mode, ratio: float, guards: Guards, pnl_stop: bool) -> Mode:
    """The mode at |q| / netMax = `ratio`; `pnl_stop`: the unrealised loss is beyond its limit."""
    if pnl_stop:
        return Mode.LIQUIDATE
    borders = (
        (Mode.LIQUIDATE, guards.liquidate_ratio),
        (Mode.FLATTEN, guards.flatten_ratio),
        (Mode.BLOCK, guards.block_ratio),
        (Mode.PIN, guards.pin_ratio),
    )
    for guard, enters in borders:
        leaves = enters - guards.hysteresis if mode >= guard else enters
        if ratio >= leaves:
            return guard
    return Mode.NORMAL


def mask_of(mode: Mode, position_steps: int, guards: Guards) -> Mask:
    """The guard's mask. A guard without a position (it fell to zero in one fill) masks nothing."""
    if mode is Mode.NORMAL or position_steps == 0:
        return EVERYTHING
    buys, sells = position_steps < 0, position_steps > 0
    match mode:
        case Mode.PIN | Mode.BLOCK:
            return Mask(buys=buys, sells=sells, reduce_only=True, at_touch=True, reentry=mode is Mode.PIN)
        case Mode.FLATTEN:
            return Mask(
                buys=buys,
                sells=sells,
                reduce_only=True,
                max_layers=FLATTEN_LAYERS,
                widen_bps=guards.flatten_widen_bps,
            )
        case Mode.LIQUIDATE:
            return NOTHING


def reducing_only(position_steps: int) -> Mask:
    """Under a risk halt or a cool-down nothing increases |q|; reducing quotes stay alive."""
    return Mask(buys=position_steps < 0, sells=position_steps > 0, reduce_only=True)


def strictest(one: Mask, other: Mask) -> Mask:
    """Both at once: what either forbids is forbidden."""
    return Mask(
        buys=one.buys and other.buys,
        sells=one.sells and other.sells,
        reduce_only=one.reduce_only or other.reduce_only,
        at_touch=one.at_touch or other.at_touch,
        max_layers=min(one.max_layers, other.max_layers),
        widen_bps=max(one.widen_bps, other.widen_bps),
        reentry=one.reentry and other.reentry,
    )

"""Adaptive market making (ASMM): reservation price, half spread, layers → the quotes that we would like to rest.

    r   = m · (1 − bps · (s + f))          s = inventorySkewBps · q / netMax,  f = funding lean
    h   = max(minSpreadBps / 2, makerFeeBps + edgeBps, 1e4 · volMultiplier · σ₁ₛ · √horizonSeconds) · toxicity
    d_i = h + i · nearStepBps              i < nearLayers
    d_j = d_lastNear · farRatio^(j+1)      j < farLayers, d_lastNear = h where nearLayers = 0
    size = baseSize · layerDecay^layer · exp(−sizeDecayK · e / netMax)

After Avellaneda & Stoikov (2008) in its shape: a reservation price that leans against the inventory, a spread that
grows with volatility; the closed forms are replaced by parameters that people can read off a chart.
"""

import math
from collections.abc import Mapping

import msgspec

from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from phoenix_worker.core.instrument import UNBOUNDED, Instrument
from phoenix_worker.core.inventory import Mask
from phoenix_worker.core.parameters import Parameters

BPS = 1e-4
HOUR_MS = 3_600_000
_BUY, _SELL = _SIDES = (Side.BUY, Side.SELL)
Slot = tuple[int, int]
"""(side, layer): at most one of our orders stands in a slot."""


class Market(msgspec.Struct, frozen=True):
    """What quoting looks at. Touch in ticks; σ per √s; `maker_fee_bps` as the exchange charges us; `most_steps` bounds
    either side if everything fills, where that is less than the parameters' own limit.
    """

    bid_ticks: int
    ask_ticks: int
    sigma_1s: float
    maker_fee_bps: float
    predicted_funding_bps: float = 0.0
    to_funding_ms: int = 0
    toxicity: float = 1.0
    most_steps: int = UNBOUNDED

    @property
    def mid_ticks(self) -> float:
        return (self.bid_ticks + self.ask_ticks) / 2


class Target(msgspec.Struct, frozen=True):
    """A quote that should rest. `keep_ticks`: a live order this near to `price_ticks` stays where it is."""

    side: Side
    layer: int
    price_ticks: int
    qty_steps: int
    keep_ticks: int
    reduce_only: bool
    purpose: Purpose


class Ladder(msgspec.Struct, frozen=True):
    """The plan of both sides, nearest layer first, and how many layers the venue's minimum dropped."""

    targets: list[Target]
    dropped: int
    reservation_ticks: float
    half_spread_bps: float
    decay: float
    """Of the next order that would increase |q|: `mm_dynamic_decay_factor`."""


def reservation_ticks(market: Market, parameters: Parameters, position_steps: int) -> float:
    skew = parameters.inventory_skew_bps * position_steps / parameters.net_max_steps
    lean = 0.0
    if market.predicted_funding_bps:
        nearness = min(1.0, HOUR_MS / market.to_funding_ms) if market.to_funding_ms > 0 else 1.0
        lean = parameters.funding_sensitivity * market.predicted_funding_bps * nearness
    return market.mid_ticks * (1.0 - BPS * (skew + lean))


def half_spread_bps(market: Market, parameters: Parameters) -> float:
    volatility = 1e4 * parameters.vol_multiplier * market.sigma_1s * math.sqrt(parameters.horizon_seconds)
    floor = max(parameters.min_spread_bps / 2, market.maker_fee_bps + parameters.edge_bps)
    return max(floor, volatility) * market.toxicity


def distances_bps(half_spread: float, parameters: Parameters) -> list[float]:
    """Distance of each layer from the reservation price, nearest first: dense near part, then a geometric far part."""
    near = [half_spread + i * parameters.near_step_bps for i in range(parameters.near_layers)]
    last_near = near[-1] if near else half_spread
    return near + [last_near * parameters.far_ratio ** (j + 1) for j in range(parameters.far_layers)]


def decay_factor(exposure_steps: int, parameters: Parameters) -> float:
    """exp(−k · e / netMax); 1 for what reduces (e = 0)."""
    return math.exp(-parameters.size_decay_k * max(0, exposure_steps) / parameters.net_max_steps)


def plan(
    instrument: Instrument,
    parameters: Parameters,
    market: Market,
    mask: Mask,
    purpose: Purpose,
    position_steps: int,
    stuck: Mapping[Side, int],
    busy: Mapping[Slot, int],
) -> Ladder:
    """Both sides of the ladder.

    `stuck`: steps per side that cannot be withdrawn and stand in no slot (cancel not confirmed, unknown). `busy`:
    exposure of
    slots whose order is in flight; they are planned around, not again. Exposure is planned from the position plus
    these, nearest layer first, never from the live orders that the plan replaces, so that the ladder settles.
    """
    reservation = reservation_ticks(market, parameters, position_steps)
    half = half_spread_bps(market, parameters)
    shape = _shape(parameters, market, mask, half)
    targets: list[Target] = []
    dropped = 0
    for side in _SIDES:
        if mask.allows(side):
            rungs, lost = _side(
                instrument, parameters, market, mask, purpose, reservation, shape, position_steps, side, stuck, busy
            )
            targets += rungs
            dropped += lost
    increasing = abs(position_steps) + stuck[_BUY if position_steps >= 0 else _SELL]
    return Ladder(targets, dropped, reservation, half, decay_factor(increasing, parameters))


def price_ticks(side: Side, reservation: float, distance_bps: float, market: Market, instrument: Instrument) -> int:
    """Bids round down, asks up; clamped behind the other side's touch, so that a skewed quote never crosses."""
    if side is _BUY:
        price = math.floor(reservation * (1.0 - BPS * distance_bps))
        return min(price, market.ask_ticks - 1, instrument.max_price_ticks)
    price = math.ceil(reservation * (1.0 + BPS * distance_bps))
    return max(price, market.bid_ticks + 1, instrument.min_price_ticks)


def _shape(parameters: Parameters, market: Market, mask: Mask, half_spread: float) -> list[tuple[float, float, int]]:
    """What both sides have in common, nearest layer first: (distance in bps, full size in steps, `keep_ticks`)."""
    distances = distances_bps(half_spread + mask.widen_bps, parameters)[: mask.max_layers]
    shape: list[tuple[float, float, int]] = []
    previous = 0.0
    for layer, distance in enumerate(distances):
        spacing = distance - previous if layer else 0.0
        keep = 0
        if not (mask.at_touch and layer == 0):
            keep = int(keep_band_bps(parameters, layer, spacing) * BPS * market.mid_ticks)
        shape.append((distance, parameters.base_size_steps * parameters.layer_decay**layer, keep))
        previous = distance
    return shape


def _side(
    instrument: Instrument,
    parameters: Parameters,
    market: Market,
    mask: Mask,
    purpose: Purpose,
    reservation: float,
    shape: list[tuple[float, float, int]],
    position_steps: int,
    side: Side,
    stuck: Mapping[Side, int],
    busy: Mapping[Slot, int],
) -> tuple[list[Target], int]:
    """One side. `reach` is the signed position, in the side's own direction, if all planned so far fills."""
    touch = market.bid_ticks if side is _BUY else market.ask_ticks
    limit = 0 if mask.reduce_only else min(parameters.worst_case_steps, market.most_steps)
    least_price, most_price, most_qty = instrument.min_price_ticks, instrument.max_price_ticks, instrument.max_qty_steps
    reach = side * position_steps + stuck[side]
    rungs: list[Target] = []
    for layer, (distance, full_size, keep) in enumerate(shape):
        occupied = busy.get((side, layer)) if busy else None
        if occupied is not None:
            reach += occupied
            continue
        qty = max(0, min(int(full_size * decay_factor(reach, parameters)), limit - reach, most_qty))
        if mask.at_touch:
            price = touch - side * round(layer * parameters.near_step_bps * BPS * market.mid_ticks)
        else:
            price = price_ticks(side, reservation, distance, market, instrument)
        if least_price <= price <= most_price:
            rungs.append(Target(side, layer, price, qty, keep, mask.reduce_only, purpose))
            reach += qty
    return _clear_minimum(rungs, instrument, limit - reach)


def within_grant(
    targets: list[Target],
    granted: Mapping[Side, int],
    stuck: Mapping[Side, int],
    busy: Mapping[Slot, int],
    instrument: Instrument,
) -> list[Target]:
    """What of the plan the account's ledger still admits, nearest layers first; reducing orders are always admitted."""
    room = {side: granted[side] - stuck[side] for side in Side}
    for (side, _), steps in busy.items():
        room[Side(side)] -= steps
    kept: list[Target] = []
    for target in targets:
        qty = target.qty_steps if target.reduce_only else min(target.qty_steps, room[target.side])
        if target.reduce_only or qty >= instrument.min_steps_at(target.price_ticks):
            kept.append(msgspec.structs.replace(target, qty_steps=qty))
            room[target.side] -= qty
    return kept


def keep_band_bps(parameters: Parameters, layer: int, spacing_bps: float) -> float:
    """Half width of the keep band. Far layers, being further apart, may be as much further off."""
    scale = 1.0
    if layer >= parameters.near_layers and parameters.near_step_bps > 0:
        scale = max(1.0, spacing_bps / parameters.near_step_bps)
    return parameters.requote_threshold_bps * scale


def _clear_minimum(rungs: list[Target], instrument: Instrument, room: int) -> tuple[list[Target], int]:
    """What the venue would refuse as too small merges inward; the nearest is raised while the limit admits it
    (`room`).
    """
    kept: list[Target] = []
    carried = dropped = 0
    for rung in reversed(rungs):
        qty = rung.qty_steps + carried
        # A reducing order is exempt from the minimum notional, not from the minimum quantity.
        least = instrument.min_qty_steps if rung.reduce_only else instrument.min_steps_at(rung.price_ticks)
        if qty >= least:
            kept.append(msgspec.structs.replace(rung, qty_steps=qty) if carried else rung)
            carried = 0
        elif rung is rungs[0] and least - qty <= room:
            kept.append(msgspec.structs.replace(rung, qty_steps=least))
            carried = 0
        else:
            dropped += 1
            carried = qty
    kept.reverse()
    return kept, dropped

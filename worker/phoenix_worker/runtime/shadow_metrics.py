"""What the shadow would do, beside what the live engine does. Every name begins with `mm_shadow_`.

Where a live metric has the same name without `shadow_`, both mean the same; the position is the account's in both.
"""

import math
from collections.abc import Callable, Iterator

from prometheus_client import Metric

from phoenix_worker.core.events import Side
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.view import View
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.families import counter, counters_by, gauge, gauges_by, histogram

Figure = Callable[[View, Instrument], float]

GAUGES: tuple[tuple[str, str, Figure], ...] = (
    ("quote_suppressed", "1 while any reason stands against its quoting.", lambda v, _: float(bool(v.reasons))),
    (
        "half_spread_bps",
        "Half spread that it wants, bps; NaN without a plan.",
        lambda v, _: math.nan if v.half_spread_bps is None else v.half_spread_bps,
    ),
    ("dynamic_decay_factor", "exp(-sizeDecayK * e / netMax) of its nearest increasing layer.", lambda v, _: v.decay),
    ("net_max", "Its position limit, base units.", lambda v, i: v.net_max_steps * i.step),
    ("pending_buy", "Buys that it would have live, base units.", lambda v, i: v.pending_buy_steps * i.step),
    ("pending_sell", "Sells that it would have live, base units.", lambda v, i: v.pending_sell_steps * i.step),
    (
        "worst_case_long",
        "|position| in base units if all its buys filled.",
        lambda v, i: abs(v.worst_long_steps) * i.step,
    ),
    (
        "worst_case_short",
        "|position| in base units if all its sells filled.",
        lambda v, i: abs(v.worst_short_steps) * i.step,
    ),
    ("toxicity", "Factor on its half spread that VPIN asks for.", lambda v, _: v.toxicity),
)


def shadow_families(beside: Beside, live: View, instrument: Instrument, symbol: str) -> Iterator[Metric]:
    """Whether there is one is always told; what it does only while there is."""
    view = beside.view()
    yield gauge("mm_shadow_active", "1 while a shadow engine runs.", symbol, float(view is not None))
    yield counter("mm_shadow_failures", "Shadow engines that ended by a defect.", symbol, beside.failures)
    if view is None:
        return
    for name, text, figure in GAUGES:
        yield gauge(f"mm_shadow_{name}", text, symbol, figure(view, instrument))
    counters = view.counters
    yield counter("mm_shadow_decisions", "Decisions of the shadow.", symbol, counters.decisions)
    asked = {"place": counters.placed, "amend": counters.amended, "cancel": counters.cancelled}
    yield counters_by("mm_shadow_orders", "Commands that it would have sent.", symbol, "request", asked)
    yield counters_by("mm_shadow_refusals", "Orders that its gate refused.", symbol, "reason", counters.denials)
    layers = {side.name.lower(): float(sum(order.side is side for order in view.orders)) for side in Side}
    yield gauges_by("mm_shadow_grid_layers", "Quotes that it would have live.", symbol, "side", layers)
    guards = {mode.name.lower(): float(view.mode is mode) for mode in Mode}
    yield gauges_by("mm_shadow_guard_active", "1 for its mode of the inventory.", symbol, "guard", guards)
    wider = {side.name.lower(): _wider_bps(side, view, live) for side in Side}
    text = "How much further from mid its nearest quote stands than the live one, bps; NaN where one of them has none."
    yield gauges_by("mm_shadow_wider_bps", text, symbol, "side", wider)
    yield histogram("mm_shadow_event_seconds", "One event through the shadow.", symbol, beside.cost)


def _wider_bps(side: Side, shadow: View, live: View) -> float:
    theirs, ours = _nearest_ticks(side, shadow), _nearest_ticks(side, live)
    mid = (live.bid_ticks + live.ask_ticks) / 2
    if theirs is None or ours is None or mid <= 0:
        return math.nan
    return side * (ours - theirs) / mid * 1e4


def _nearest_ticks(side: Side, view: View) -> int | None:
    prices = [order.price_ticks for order in view.orders if order.side is side and order.price_ticks]
    return max(prices, key=lambda ticks: side * ticks, default=None)

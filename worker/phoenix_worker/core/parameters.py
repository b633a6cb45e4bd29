"""What people set, ready for use: plain numbers in the units of the core.

The resources (`phoenix_crds`) validate and document; `runtime.parameters` turns a resolved maker and account into this.
Every field is hot: a changed set arrives as one event and is swapped between two decisions.
"""

import msgspec


class Guards(msgspec.Struct, frozen=True):
    """Ratios of |q| / netMax at which a guard enters; it leaves `hysteresis` below."""

    pin_ratio: float
    block_ratio: float
    flatten_ratio: float
    liquidate_ratio: float
    hysteresis: float
    pnl_stop_ratio: float
    emergency_slice: float
    cooldown_ns: int
    flatten_widen_bps: float


class Risk(msgspec.Struct, frozen=True):
    """`failure_ratio` of at least `failure_window` requests halts the symbol; `sane_band_bps` bounds prices around
    mid.
    """

    failure_ratio: float
    failure_window: int
    sane_band_bps: float


class Parameters(msgspec.Struct, frozen=True):
    """One resolved maker. Quantities in steps, distances in bps, durations in ns."""

    net_max_steps: int
    base_size_steps: int
    worst_case_multiplier: float
    size_decay_k: float
    layer_decay: float
    min_spread_bps: float
    edge_bps: float
    vol_multiplier: float
    horizon_seconds: float
    inventory_skew_bps: float
    near_layers: int
    near_step_bps: float
    far_layers: int
    far_ratio: float
    quote_interval_ns: int
    min_requote_interval_ns: int
    requote_threshold_bps: float
    """Half width of the keep band; where people leave it out it is half the layer spacing."""
    stale_after_ns: int
    late_after_ns: int
    ack_lag_ns: int
    give_up_after_ns: int
    handover_after_ns: int
    """How long a leader may be unready before it makes room for a warm standby."""
    funding_sensitivity: float
    funding_alpha: float
    guards: Guards
    risk: Risk
    paused: bool = False

    @property
    def worst_case_steps(self) -> int:
        """The hard limit of either side if everything fills at once: netMax · worstCaseMultiplier, rounded down."""
        return int(self.net_max_steps * self.worst_case_multiplier + 1e-9)

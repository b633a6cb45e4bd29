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


class Grinding(msgspec.Struct, frozen=True):
    """From `ratio` of |q| / netMax on, while the 30-minute deviation relative to the mean is below `deviation`: takers
    of `size` of the position (times `boost` where it pays funding), `interval_ns` apart and `per_hour` at most; then
    re-entries of `reentry` times what was taken, `offset_bps` better at least.
    """

    enabled: bool
    ratio: float
    deviation: float
    interval_ns: int
    per_hour: int
    size: float
    reentry: float
    offset_bps: float
    boost: float


class Vpin(msgspec.Struct, frozen=True):
    """Toxicity: wider from `threshold` on, by up to `max_widen` at `halt`, where nothing is quoted until below
    `resume`. It halves in `half_life_ns` of silence.
    """

    threshold: float
    resume: float
    halt: float
    max_widen: float
    buckets: int
    buckets_per_day: int
    half_life_ns: int


class Risk(msgspec.Struct, frozen=True):
    """`failure_ratio` of at least `failure_window` requests halts the symbol; `sane_band_bps` bounds prices around
    mid. The loss limits are money (1e-8 quote); None: a share, and no capital was declared of which it would be one.
    """

    failure_ratio: float
    failure_window: int
    sane_band_bps: float
    daily_loss_max: int | None = None
    stop_loss: int | None = None

    @property
    def limits_losses(self) -> bool:
        return self.daily_loss_max is not None or self.stop_loss is not None


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
    grinding: Grinding
    vpin: Vpin
    risk: Risk
    paused: bool = False

    @property
    def worst_case_steps(self) -> int:
        """The hard limit of either side if everything fills at once: netMax · worstCaseMultiplier, rounded down."""
        return int(self.net_max_steps * self.worst_case_multiplier + 1e-9)

"""Instruments and parameters as the tests of the core know them: the defaults of the resources, in the core's units."""

import msgspec
from phoenix_worker.core.instrument import MONEY, Grid, Instrument
from phoenix_worker.core.parameters import Grinding, Guards, Parameters, Risk, Vpin

MS = 1_000_000
SECOND = 1_000 * MS

BTCUSDT = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    price=Grid(1, 1),
    quantity=Grid(1, 3),
    min_price_ticks=5_561,
    max_price_ticks=8_099_999,
    min_qty_steps=1,
    max_qty_steps=1_000_000,
    market_min_steps=1,
    market_max_steps=120_000,
    min_notional=100 * MONEY,
    band_up=1.05,
    band_down=0.95,
    max_open_orders=200,
)
ETHUSDC = Instrument(
    symbol="ETHUSDC",
    base_asset="ETH",
    quote_asset="USDC",
    price=Grid(1, 2),
    quantity=Grid(1, 3),
    min_price_ticks=3_986,
    max_price_ticks=30_696_099,
    min_qty_steps=1,
    max_qty_steps=10_000_000,
    market_min_steps=1,
    market_max_steps=2_000_000,
    min_notional=20 * MONEY,
    band_up=1.05,
    band_down=0.95,
    max_open_orders=200,
)

GUARDS = Guards(
    pin_ratio=0.70,
    block_ratio=0.95,
    flatten_ratio=1.00,
    liquidate_ratio=1.10,
    hysteresis=0.03,
    pnl_stop_ratio=0.05,
    emergency_slice=1.0,
    cooldown_ns=60 * SECOND,
    flatten_widen_bps=2.0,
)
GRINDING = Grinding(
    enabled=True,
    ratio=0.87,
    deviation=0.0038,
    interval_ns=42 * SECOND,
    per_hour=18,
    size=0.075,
    reentry=2.1,
    offset_bps=4.2,
    boost=1.4,
)
NO_GRINDING = msgspec.structs.replace(GRINDING, enabled=False)
VPIN = Vpin(
    threshold=0.55,
    resume=0.70,
    halt=0.85,
    max_widen=2.5,
    buckets=50,
    buckets_per_day=1440,
    half_life_ns=60 * SECOND,
)
RISK = Risk(failure_ratio=0.05, failure_window=50, sane_band_bps=200.0)

MAKER = Parameters(
    net_max_steps=100,
    base_size_steps=8,
    worst_case_multiplier=1.15,
    size_decay_k=3.8,
    layer_decay=0.9,
    min_spread_bps=5.0,
    edge_bps=0.5,
    vol_multiplier=0.5,
    horizon_seconds=10.0,
    inventory_skew_bps=5.0,
    near_layers=3,
    near_step_bps=1.5,
    far_layers=2,
    far_ratio=1.8,
    quote_interval_ns=500 * MS,
    min_requote_interval_ns=200 * MS,
    requote_threshold_bps=0.75,
    stale_after_ns=2 * SECOND,
    late_after_ns=2 * SECOND,
    ack_lag_ns=1 * SECOND,
    give_up_after_ns=60 * SECOND,
    handover_after_ns=3 * SECOND,
    funding_sensitivity=2.2,
    funding_alpha=0.3,
    guards=GUARDS,
    grinding=NO_GRINDING,
    vpin=VPIN,
    risk=RISK,
)
"""0.1 BTC at most, 0.008 a quote: the outer layers still clear the minimum notional at 60 000. It does not grind."""

ETH_MAKER = msgspec.structs.replace(
    MAKER,
    net_max_steps=200,
    base_size_steps=24,
    min_spread_bps=3.0,
    edge_bps=1.0,
    layer_decay=1.0,
    far_layers=0,
)


def changed(parameters: Parameters, **fields: object) -> Parameters:
    """Parameters with some fields replaced; those of guards and risk, and of grinding, by their own names."""
    guards = {key: fields.pop(key) for key in list(fields) if key in Guards.__struct_fields__}
    risk = {key: fields.pop(key) for key in list(fields) if key in Risk.__struct_fields__}
    return msgspec.structs.replace(
        parameters,
        guards=msgspec.structs.replace(parameters.guards, **guards),
        risk=msgspec.structs.replace(parameters.risk, **risk),
        **fields,
    )

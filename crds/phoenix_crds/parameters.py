"""Everything that shapes quoting, inventory, risk and funding: the parameters that change without a restart.

A maker's spec is these parameters plus who and where (`maker.py`); `spec.shadow` is a second set of them. Symbols in
the texts: `h` half spread, `q` signed position, `m` mid, σ₁ₛ the EWMA volatility of 1 s log returns.
"""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from phoenix_crds.rules import Resource, Rule
from phoenix_crds.values import BaseQuantity, Between, Bps, Duration, Flag, LossLimit, QuoteAmount, Ratio, Seconds

# A side. Two sides stay far below the venue's 200 open orders a symbol, and above what an order budget carries.
MOST_LAYERS = 20


class Guards(Resource):
    """Masks on what may be quoted, by |q| / netMax; the strictest wins.

    Ordered pin < grind < block < flatten < liquidate, so that each acts before the next has to.
    """

    pin_ratio: Ratio = Field(default=Decimal("0.70"), gt=0, lt=2)
    """Pinning from here: only the reducing side is quoted, at the touch. 0.70 leaves a third of the room for what
    fills meanwhile."""
    block_ratio: Ratio = Field(default=Decimal("0.95"), gt=0, lt=2)
    """Block from here: nothing that increases |q| is sent. 0.95 acts just before the limit, so that the limit itself
    stays an exception."""
    flatten_ratio: Ratio = Field(default=Decimal("1.00"), gt=0, lt=2)
    """Flatten from here: at most two reducing layers, with widened profit. 1.00 is the limit that was set."""
    liquidate_ratio: Ratio = Field(default=Decimal("1.10"), gt=0, lt=2)
    """Liquidate from here: reduce-only market orders. 1.10 lies between the limit and worstCaseMultiplier, which all
    live orders together cannot pass."""
    hysteresis: Ratio = Field(default=Decimal("0.03"), ge=0, le=Decimal("0.5"))
    """A guard lets go this far below the ratio where it engaged. 0.03 is a few base sizes of the examples, so that
    one fill does not toggle it."""
    pnl_stop_ratio: Ratio = Field(default=Decimal("0.05"), gt=0, le=1)
    """Liquidate as well when the unrealised loss exceeds this share of the position's notional. 0.05 is beyond what
    quoting recovers and well before a liquidation at leverage 10."""
    emergency_slice: Ratio = Field(default=Decimal("1.0"), gt=0, le=1)
    """Share of the position that one emergency order closes. 1.0 closes it at once; 0.5 halves it with each order."""
    cooldown: Annotated[Duration, Between("1s", "24h")] = Duration.parse("60s")
    """After an emergency order nothing increases |q| for so long. 60 s outlasts the burst that usually follows a
    jump."""
    flatten_widen_bps: Bps = Field(default=Decimal(2), ge=0, le=500)
    """Added to h for the reducing layers of Flatten. 2 bps asks for the profit that waiting at the limit should
    earn."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Guards"](
            fields=("hysteresis", "pinRatio"),
            cel="double(self.hysteresis) < double(self.pinRatio)",
            message="hysteresis must be below pinRatio, or Pinning would never let go: lower hysteresis",
            holds=lambda guards: guards.hysteresis < guards.pin_ratio,
        ),
    )


class Grinding(Resource):
    """Lowers the cost of a stuck position in a flat market: a taker takes some off, a maker re-enters better."""

    enabled: Flag = True
    """Off is allowed, with a warning: a position stuck at the limit then waits for the market alone."""
    ratio: Ratio = Field(default=Decimal("0.87"), gt=0, lt=2)
    """Acts from this |q| / netMax. 0.87 lies above Pinning, which tries for free first."""
    deviation: Ratio = Field(default=Decimal("0.0038"), gt=0, le=Decimal("0.1"))
    """Acts only while the 30-minute standard deviation of the price, relative to its mean, is below. 0.0038 is a flat
    market; in a trend the re-entry would not fill."""
    interval: Annotated[
        Duration, Between("30s", "24h", why="faster grinding pays taker fees before the re-entry can fill")
    ] = Duration.parse("42s")
    """Least time between two grinds, at least 30 s. 42 s lets the re-entry fill first."""
    per_hour: int = Field(default=18, strict=True, ge=0, le=120)
    """Most grinds in an hour, remembered across restarts. Unit: grinds. 18 bounds the taker fees that a bad hour can
    cost."""
    size: Ratio = Field(default=Decimal("0.075"), gt=0, le=Decimal("0.5"))
    """Share of the position that the taker takes off. 0.075 moves the average visibly; 0.055 when fees eat the
    savings."""
    reentry: Ratio = Field(default=Decimal("2.1"), ge=0, le=5)
    """Re-entry size as a multiple of what the taker filled, within the room under blockRatio. 2.1 earns the taker's
    fee back on a bigger maker."""
    offset_bps: Bps = Field(default=Decimal("4.2"), gt=0, le=100)
    """The re-entry is better than the taker's average price by at least this (and by both fees plus 0.2 bps). 4.2 bps
    is a round trip that pays in a flat market."""
    boost: Ratio = Field(default=Decimal("1.4"), ge=1, le=5)
    """Multiplies the taker's size while the position pays funding. 1.4 leaves sooner what costs more to hold."""


class Funding(Resource):
    """Leaning against the side that pays funding."""

    sensitivity: Ratio = Field(default=Decimal("2.2"), ge=0, le=20)
    """Shift of the reservation price in bps for each bp of predicted funding, at full weight in the last hour before
    settlement. 2.2; 2.6 when funding costs more than 5 of the quote asset a day."""
    alpha: Ratio = Field(default=Decimal("0.3"), gt=0, le=1)
    """Weight of the newest sample in the predicted rate, sampled once a minute. 0.3 follows a change within about
    five minutes."""


class Vpin(Resource):
    """Toxicity of the order flow: the volume-synchronised probability of informed trading.

    Easley, López de Prado, O'Hara, "Flow Toxicity and Liquidity in a High-Frequency World", 2012.
    """

    threshold: Ratio = Field(default=Decimal("0.55"), gt=0, lt=1)
    """Spreads widen from this VPIN on. 0.55 is above what a two-sided market shows in buckets of a minute (a recorded
    BTCUSDT rally ends at 0.33 in buckets of 30 s, and at 0.57 only in those of 7 s, which count more of the noise)."""
    resume: Ratio = Field(default=Decimal("0.70"), gt=0, lt=1)
    """Quoting that was halted comes back below this VPIN. 0.70 keeps a noisy reading from toggling the quotes."""
    halt: Ratio = Field(default=Decimal("0.85"), gt=0, le=1)
    """Above this VPIN nothing is quoted. 0.85 means that nearly all volume has one direction: whoever is filled is
    run over."""
    max_widen: Ratio = Field(default=Decimal("2.5"), ge=1, le=10)
    """Factor on h at `halt`, growing linearly from 1 at `threshold`. 2.5 keeps a presence while the flow is
    one-sided."""
    buckets: int = Field(default=50, strict=True, ge=5, le=500)
    """Volume buckets that the average covers. Unit: buckets. 50 as in the paper."""
    buckets_per_day: int = Field(default=1440, strict=True, ge=24, le=86400)
    """A bucket holds the volume of the last 24 h divided by this. Unit: buckets a day. 1440 makes it the volume of an
    average minute, so that 50 of them react within the hour; the paper's 50 a day is too slow for a market that never
    closes."""
    half_life: Annotated[Duration, Between("1s", "24h")] = Duration.parse("1m")
    """VPIN halves in this time while no trade arrives, once a bucket's usual time has passed without one. 1 m: what
    was toxic before a silence says little after it."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Vpin"](
            fields=("threshold", "resume", "halt"),
            cel="double(self.threshold) <= double(self.resume) && double(self.resume) < double(self.halt)",
            message="vpin needs threshold <= resume < halt, so that what was halted can come back: order them so",
            holds=lambda vpin: vpin.threshold <= vpin.resume < vpin.halt,
        ),
    )


class Risk(Resource):
    """What may be lost, and what is too strange to go on."""

    capital: QuoteAmount | None = Field(default=None, gt=0)
    """Capital set aside for this symbol, the base of every share below. Required for mode Live: a loss limit that is
    a share of nothing stops nothing."""
    daily_loss_max: LossLimit = LossLimit.parse("5%")
    """Loss since 00:00 UTC at which the symbol halts until the next day. Unit: quote asset, or a share of capital. 5%
    leaves twenty such days."""
    stop_loss: LossLimit = LossLimit.parse("10%")
    """Loss at which the symbol halts until a person resumes it. Unit: quote asset, or a share of capital. 10%, two
    bad days in a row, wants a person's eyes."""
    failure_ratio: Ratio = Field(default=Decimal("0.05"), gt=0, le=1)
    """Share of requests that failed unexpectedly above which the symbol halts. 0.05: one in twenty is no accident any
    more."""
    failure_window: int = Field(default=50, strict=True, ge=50, le=10000)
    """The ratio counts over this many latest requests, and from this many on. Unit: requests. 50, at least: fewer
    would halt on three errors."""
    sane_band_bps: Bps = Field(default=Decimal(200), gt=0, le=5000)
    """No order further from m than this leaves. 200 bps is beyond any sensible ladder and inside the venue's own band
    of 500 bps around mark."""


class RampStage(Resource):
    """One stage of capital, and the gate to the next."""

    capital: QuoteAmount = Field(gt=0)
    """Capital in use at this stage; netMax is scaled by its share of risk.capital."""
    min_time: Annotated[Duration, Between("1m", "2160h")]
    """The stage lasts at least so long without an incident."""
    loss_max: LossLimit
    """A loss beyond this steps back a stage. Unit: quote asset, or a share of this stage's capital."""


class Ramp(Resource):
    """Capital in stages: each must last its time, within its loss and without an incident, before the next begins."""

    stages: tuple[RampStage, ...] = Field(min_length=1, max_length=10)
    """From small to large, for example 200, 500, 1000."""
    hold: Flag = False
    """A person holds the present stage: no step up until this is false again. Steps back still happen."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Ramp"](
            fields=("stages",),
            cel="self.stages.all(i, s, i == 0 || double(self.stages[i - 1].capital) < double(s.capital))",
            message="each stage needs more capital than the one before it: order the stages from small to large",
            holds=lambda ramp: all(a.capital < b.capital for a, b in zip(ramp.stages, ramp.stages[1:], strict=False)),
        ),
    )


class TradingParameters(Resource):
    """The parameters of one engine. All are hot: a change is in force between two decisions, without a restart."""

    # Size and inventory
    net_max: BaseQuantity = Field(gt=0)
    """Position limit of the symbol. At most the account's limits.makerNetMax of the symbol, which only who may
    `limit` raises. No default: it is the one number that says how much is at stake."""
    base_size: BaseQuantity = Field(gt=0)
    """Size of the nearest layer. No default: it depends on the symbol's minimum notional; choose one whose third
    layer still clears it."""
    worst_case_multiplier: Ratio = Field(default=Decimal("1.15"), ge=1, le=2)
    """If every live order filled at once, |q| stays within netMax times this. 1.15: the worst case of a netMax of
    0.20 is 0.23."""
    size_decay_k: Ratio = Field(default=Decimal("3.8"), ge=0, le=50)
    """Orders shrink by exp(-k · exposure / netMax) as they would add to the exposure; reducing orders never shrink.
    3.8; 4.1 when the worst case sits above 0.22 of a netMax of 0.20."""
    layer_decay: Ratio = Field(default=Decimal("0.9"), gt=0, le=1)
    """Size factor from one layer to the next outer one. 0.9 puts the most where fills are likeliest; 1 where the
    minimum notional leaves no room to shrink."""

    # Distance
    min_spread_bps: Bps = Field(default=Decimal(4), ge=0, le=1000)
    """Least full spread: h is at least half of it. 4 bps covers a maker's fee of 2 bps on each side before any
    edge."""
    edge_bps: Bps = Field(default=Decimal("0.5"), ge=-10, le=500)
    """Wanted above the maker's fee on each side: h is at least fee plus edge. 0.5 bps; below 0 only where a rebate is
    paid."""
    vol_multiplier: Ratio = Field(default=Decimal("0.5"), ge=0, le=20)
    """h is at least this many standard deviations of the price over horizonSeconds. 0.5: on a lively BTCUSDT day
    (σ₁ₛ of 1.4 bps, recorded in August 2024) 2.2 bps, just below fee plus edge, so that livelier ones widen it."""
    horizon_seconds: Seconds = Field(default=Decimal(10), gt=0, le=3600)
    """Horizon of that volatility. 10 s is about how long a quote near the touch of a major symbol rests."""
    inventory_skew_bps: Bps = Field(default=Decimal(10), ge=0, le=500)
    """Shift of the reservation price at |q| = netMax, against the position. 10 bps balances the lean against an
    ordinary funding rate (1 bp, which shifts by 2.2 before a settlement) at a fifth of netMax; 5 did at nearly half."""

    # Layers
    near_layers: int = Field(default=3, strict=True, ge=0, le=MOST_LAYERS)
    """Layers of the dense near part, a side. Unit: layers. 3 keeps a place in the queue at three prices."""
    near_step_bps: Bps = Field(default=Decimal("1.5"), gt=0, le=500)
    """Distance between two near layers. 1.5 bps is about σ₁ₛ of BTCUSDT: a layer further is a second's usual move."""
    far_layers: int = Field(default=2, strict=True, ge=0, le=MOST_LAYERS)
    """Layers of the sparse far part, a side. Unit: layers. 2 catch the sweeps that the near part is too close for."""
    far_ratio: Ratio = Field(default=Decimal("1.8"), gt=1, le=10)
    """Distance from one far layer to the next, as a factor. 1.8 reaches three times the near part with two layers."""

    # Pace
    quote_interval: Annotated[
        Duration, Between("100ms", "1h", why="faster refreshes spend the account's order budget on nothing")
    ] = Duration.parse("500ms")
    """Quotes are refreshed at latest so often, at least 100 ms. 500 ms suffices where requotes follow events."""
    min_requote_interval: Annotated[Duration, Between("10ms", "1m")] = Duration.parse("100ms")
    """Least time between two requotes of a symbol. 100 ms, the smallest quoteInterval, so that every one of those fits;
    the account's order budget bounds the rest."""
    requote_threshold: Bps | None = Field(default=None, gt=0, le=500)
    """A quote is kept while its target is within this distance. Default: half of nearStepBps; a smaller one gives up
    queue positions, a larger one quotes late."""

    guards: Guards = Guards()
    """Masks on what may be quoted, by |q| / netMax."""
    grinding: Grinding = Grinding()
    """Lowering the cost of a stuck position in a flat market."""
    funding: Funding = Funding()
    """Leaning against the side that pays funding."""
    vpin: Vpin = Vpin()
    """Toxicity of the order flow."""
    risk: Risk = Risk()
    """What may be lost, and what is too strange to go on."""

    @property
    def keep_band_bps(self) -> Decimal:
        """`requoteThreshold`, or its default."""
        return self.near_step_bps / 2 if self.requote_threshold is None else self.requote_threshold

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["TradingParameters"](
            fields=(
                "guards.pinRatio",
                "grinding.ratio",
                "guards.blockRatio",
                "guards.flattenRatio",
                "guards.liquidateRatio",
                "worstCaseMultiplier",
            ),
            cel=(
                "double(self.guards.pinRatio) < double(self.grinding.ratio)"
                " && double(self.grinding.ratio) < double(self.guards.blockRatio)"
                " && double(self.guards.blockRatio) < double(self.guards.flattenRatio)"
                " && double(self.guards.flattenRatio) < double(self.guards.liquidateRatio)"
                " && double(self.guards.liquidateRatio) < double(self.worstCaseMultiplier)"
            ),
            message=(
                "guards must rise: guards.pinRatio < grinding.ratio < guards.blockRatio < guards.flattenRatio"
                " < guards.liquidateRatio < worstCaseMultiplier; put them in this order"
            ),
            holds=lambda p: (
                p.guards.pin_ratio
                < p.grinding.ratio
                < p.guards.block_ratio
                < p.guards.flatten_ratio
                < p.guards.liquidate_ratio
                < p.worst_case_multiplier
            ),
        ),
        Rule["TradingParameters"](
            fields=("baseSize", "netMax"),
            cel="double(self.baseSize) <= double(self.netMax)",
            message="baseSize must not exceed netMax, or one fill breaks the limit: lower baseSize or raise netMax",
            holds=lambda p: p.base_size <= p.net_max,
        ),
        Rule["TradingParameters"](
            fields=("nearLayers", "farLayers"),
            cel="self.nearLayers + self.farLayers >= 1",
            message=(
                "nearLayers + farLayers must be at least 1, or nothing is quoted: set one of them (to stop quoting, "
                "set paused: true)"
            ),
            holds=lambda p: p.near_layers + p.far_layers >= 1,
        ),
        Rule["TradingParameters"](
            fields=("minRequoteInterval", "quoteInterval"),
            cel="duration(self.minRequoteInterval) <= duration(self.quoteInterval)",
            message=(
                "minRequoteInterval must not exceed quoteInterval, or the refresh would be refused: lower "
                "minRequoteInterval"
            ),
            holds=lambda p: p.min_requote_interval <= p.quote_interval,
        ),
        Rule["TradingParameters"](
            fields=("minSpreadBps", "edgeBps"),
            cel="double(self.minSpreadBps) > 0.0 || double(self.edgeBps) > 0.0",
            message=(
                "minSpreadBps or edgeBps must be above 0, or a quiet market is quoted without any spread: raise one "
                "of them"
            ),
            holds=lambda p: p.min_spread_bps > 0 or p.edge_bps > 0,
        ),
    )

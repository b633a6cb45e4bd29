"""Everything that shapes quoting, inventory, risk and funding: the parameters that change without a restart.

A maker's spec is these parameters plus who and where (`maker.py`); `spec.shadow` is a second set of them. Symbols in the
texts: `h` half spread, `q` signed position, `m` mid, σ₁ₛ the EWMA volatility of 1 s log returns.
"""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from phoenix_crds.rules import Resource, Rule
from phoenix_crds.values import BaseQuantity, Between, Bps, Duration, LossLimit, QuoteAmount, Ratio, Seconds

MOST_LAYERS = (
    20  # a side; two sides stay far below the venue's 200 open orders a symbol, and above what a budget carries
)


class Guards(Resource):
    """Masks on what may be quoted, by |q| / netMax; the strictest wins. Ordered pin < grind < block < flatten < liquidate."""

    pin_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=2,
            description=(
                "Pinning from here: only the reducing side is quoted, at the touch. 0.70 leaves a third of the room "
                "for what fills meanwhile."
            ),
        ),
    ] = Decimal("0.70")
    block_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=2,
            description=(
                "Block from here: nothing that increases |q| is sent. 0.95 acts just before the limit, so that the "
                "limit itself stays an exception."
            ),
        ),
    ] = Decimal("0.95")
    flatten_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=2,
            description=(
                "Flatten from here: at most two reducing layers, with widened profit. 1.00 is the limit that was set."
            ),
        ),
    ] = Decimal("1.00")
    liquidate_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=2,
            description=(
                "Liquidate from here: reduce-only market orders. 1.10 lies between the limit and "
                "worstCaseMultiplier, which all live orders together cannot pass."
            ),
        ),
    ] = Decimal("1.10")
    hysteresis: Annotated[
        Ratio,
        Field(
            ge=0,
            le=Decimal("0.5"),
            description=(
                "A guard lets go this far below the ratio where it engaged. 0.03 is a few base sizes of the "
                "examples, so that one fill does not toggle it."
            ),
        ),
    ] = Decimal("0.03")
    pnl_stop_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Liquidate as well when the unrealised loss exceeds this share of the position's notional. 0.05 is "
                "beyond what quoting recovers and well before a liquidation at leverage 10."
            ),
        ),
    ] = Decimal("0.05")
    emergency_slice: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Share of the position that one emergency order closes. 1.0 closes it at once; 0.5 halves it with "
                "each order."
            ),
        ),
    ] = Decimal("1.0")
    cooldown: Annotated[
        Duration,
        Between("1s", "24h"),
        Field(
            description=(
                "After an emergency order nothing increases |q| for so long. 60 s outlasts the burst that usually "
                "follows a jump."
            )
        ),
    ] = Duration.parse("60s")
    flatten_widen_bps: Annotated[
        Bps,
        Field(
            ge=0,
            le=500,
            description=(
                "Added to h for the reducing layers of Flatten. 2 bps asks for the profit that waiting at the limit "
                "should earn."
            ),
        ),
    ] = Decimal(2)

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Guards"](
            fields=("hysteresis", "pinRatio"),
            cel="double(self.hysteresis) < double(self.pinRatio)",
            message="hysteresis must be below pinRatio, or Pinning would never let go: lower hysteresis",
            holds=lambda guards: guards.hysteresis < guards.pin_ratio,
        ),
    )


class Grinding(Resource):
    """Lowers the cost of a stuck position in a flat market: a taker takes some off, a maker re-enters at a better price."""

    enabled: Annotated[
        bool,
        Field(
            description="Off is allowed, with a warning: a position stuck at the limit then waits for the market alone."
        ),
    ] = True
    ratio: Annotated[
        Ratio,
        Field(
            gt=0, lt=2, description="Acts from this |q| / netMax. 0.87 lies above Pinning, which tries for free first."
        ),
    ] = Decimal("0.87")
    deviation: Annotated[
        Ratio,
        Field(
            gt=0,
            le=Decimal("0.1"),
            description=(
                "Acts only while the 30-minute standard deviation of the price, relative to its mean, is below. "
                "0.0038 is a flat market; in a trend the re-entry would not fill."
            ),
        ),
    ] = Decimal("0.0038")
    interval: Annotated[
        Duration,
        Between("1s", "24h"),
        Field(description="Least time between two grinds, at least 30 s. 42 s lets the re-entry fill first."),
    ] = Duration.parse("42s")
    per_hour: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=120,
            description=(
                "Most grinds in an hour, remembered across restarts. Unit: grinds. 18 bounds the taker fees that a "
                "bad hour can cost."
            ),
        ),
    ] = 18
    size: Annotated[
        Ratio,
        Field(
            gt=0,
            le=Decimal("0.5"),
            description=(
                "Share of the position that the taker takes off. 0.075 moves the average visibly; 0.055 when fees "
                "eat the savings."
            ),
        ),
    ] = Decimal("0.075")
    reentry: Annotated[
        Ratio,
        Field(
            ge=0,
            le=5,
            description=(
                "Re-entry size as a multiple of what the taker filled, within the room under blockRatio. 2.1 earns "
                "the taker's fee back on a bigger maker."
            ),
        ),
    ] = Decimal("2.1")
    offset_bps: Annotated[
        Bps,
        Field(
            gt=0,
            le=100,
            description=(
                "The re-entry is better than the taker's average price by at least this (and by both fees plus 0.2 "
                "bps). 4.2 bps is a round trip that pays in a flat market."
            ),
        ),
    ] = Decimal("4.2")
    boost: Annotated[
        Ratio,
        Field(
            ge=1,
            le=5,
            description=(
                "Multiplies the taker's size while the position pays funding. 1.4 leaves sooner what costs more to "
                "hold."
            ),
        ),
    ] = Decimal("1.4")

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Grinding"](
            fields=("interval",),
            cel="duration(self.interval) >= duration('30s')",
            message=(
                "grinding faster than every 30 s pays taker fees before the re-entry can fill: set interval to 30s "
                "or more"
            ),
            holds=lambda grinding: grinding.interval >= Duration.parse("30s"),
        ),
    )


class Funding(Resource):
    """Leaning against the side that pays funding."""

    sensitivity: Annotated[
        Ratio,
        Field(
            ge=0,
            le=20,
            description=(
                "Shift of the reservation price in bps for each bp of predicted funding, at full weight in the last "
                "hour before settlement. 2.2; 2.6 when funding costs more than 5 of the quote asset a day."
            ),
        ),
    ] = Decimal("2.2")
    alpha: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Weight of the newest sample in the predicted rate, sampled once a minute. 0.3 follows a change "
                "within about five minutes."
            ),
        ),
    ] = Decimal("0.3")


class Vpin(Resource):
    """Toxicity of the order flow (volume-synchronised probability of informed trading; Easley, López de Prado, O'Hara 2012)."""

    threshold: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=1,
            description="Spreads widen from this VPIN on. 0.55 is above what an ordinary two-sided market shows.",
        ),
    ] = Decimal("0.55")
    resume: Annotated[
        Ratio,
        Field(
            gt=0,
            lt=1,
            description=(
                "Quoting that was halted comes back below this VPIN. 0.70 keeps a noisy reading from toggling the "
                "quotes."
            ),
        ),
    ] = Decimal("0.70")
    halt: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Above this VPIN nothing is quoted. 0.85 means that nearly all volume has one direction: whoever is "
                "filled is run over."
            ),
        ),
    ] = Decimal("0.85")
    max_widen: Annotated[
        Ratio,
        Field(
            ge=1,
            le=10,
            description=(
                "Factor on h at `halt`, growing linearly from 1 at `threshold`. 2.5 keeps a presence while the flow "
                "is one-sided."
            ),
        ),
    ] = Decimal("2.5")
    buckets: Annotated[
        int,
        Field(
            strict=True,
            ge=5,
            le=500,
            description="Volume buckets that the average covers. Unit: buckets. 50 as in the paper.",
        ),
    ] = 50
    buckets_per_day: Annotated[
        int,
        Field(
            strict=True,
            ge=24,
            le=86_400,
            description=(
                "A bucket holds the volume of the last 24 h divided by this. Unit: buckets a day. 1440 makes it the "
                "volume of an average minute, so that 50 of them react within the hour; the paper's 50 a day is too "
                "slow for a market that never closes."
            ),
        ),
    ] = 1440
    half_life: Annotated[
        Duration,
        Between("1s", "24h"),
        Field(
            description=(
                "VPIN halves in this time while no trade arrives. 1 m: what was toxic before a silence says little "
                "after it."
            )
        ),
    ] = Duration.parse("1m")

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

    capital: Annotated[
        QuoteAmount | None,
        Field(
            gt=0,
            description=(
                "Capital set aside for this symbol, the base of every share below. Required for mode Live: a loss "
                "limit that is a share of nothing stops nothing."
            ),
        ),
    ] = None
    daily_loss_max: Annotated[
        LossLimit,
        Field(
            description=(
                "Loss since 00:00 UTC at which the symbol halts until the next day. Unit: quote asset, or a share of "
                "capital. 5% leaves twenty such days."
            )
        ),
    ] = LossLimit.parse("5%")
    stop_loss: Annotated[
        LossLimit,
        Field(
            description=(
                "Loss at which the symbol halts until a person resumes it. Unit: quote asset, or a share of capital. "
                "10%, two bad days in a row, wants a person's eyes."
            )
        ),
    ] = LossLimit.parse("10%")
    failure_ratio: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Share of requests that failed unexpectedly above which the symbol halts. 0.05: one in twenty is no "
                "accident any more."
            ),
        ),
    ] = Decimal("0.05")
    failure_window: Annotated[
        int,
        Field(
            strict=True,
            ge=50,
            le=10_000,
            description=(
                "The ratio counts over this many latest requests, and from this many on. Unit: requests. 50, at "
                "least: fewer would halt on three errors."
            ),
        ),
    ] = 50
    sane_band_bps: Annotated[
        Bps,
        Field(
            gt=0,
            le=5_000,
            description=(
                "No order further from m than this leaves. 200 bps is beyond any sensible ladder and inside the "
                "venue's own band of 500 bps around mark."
            ),
        ),
    ] = Decimal(200)


class RampStage(Resource):
    """One stage of capital, and the gate to the next."""

    capital: Annotated[
        QuoteAmount,
        Field(gt=0, description="Capital in use at this stage; netMax is scaled by its share of risk.capital."),
    ]
    min_time: Annotated[
        Duration, Between("1m", "2160h"), Field(description="The stage lasts at least so long without an incident.")
    ]
    loss_max: Annotated[
        LossLimit,
        Field(
            description="A loss beyond this steps back a stage. Unit: quote asset, or a share of this stage's capital."
        ),
    ]


class Ramp(Resource):
    """Capital in stages: each must last its time, within its loss and without an incident, before the next begins."""

    stages: Annotated[
        tuple[RampStage, ...],
        Field(min_length=1, max_length=10, description="From small to large, for example 200, 500, 1000."),
    ]
    hold: Annotated[
        bool,
        Field(
            description="A person holds the present stage: no step up until this is false again. Steps back still happen."
        ),
    ] = False

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Ramp"](
            fields=("stages",),
            cel="self.stages.all(i, s, i == 0 || double(self.stages[i - 1].capital) < double(s.capital))",
            message="each stage needs more capital than the one before it: order the stages from small to large",
            holds=lambda ramp: all(a.capital < b.capital for a, b in zip(ramp.stages, ramp.stages[1:], strict=False)),
        ),
    )


def deepest_layer_bps(p: "TradingParameters") -> Decimal:
    """Distance of the outermost layer from the reservation price, in bps, before volatility, fees and toxicity widen it."""
    h = max(p.min_spread_bps / 2, p.edge_bps)
    last_near = h + max(p.near_layers - 1, 0) * p.near_step_bps
    return last_near * p.far_ratio**p.far_layers if p.far_layers else last_near


class TradingParameters(Resource):
    """The parameters of one engine. All are hot: a change is in force between two decisions, without a restart."""

    # Size and inventory
    net_max: Annotated[
        BaseQuantity,
        Field(
            gt=0,
            description=(
                "Position limit of the symbol. At most the account's limits.makerNetMax of the symbol, which only "
                "who may `limit` raises. No default: it is the one number that says how much is at stake."
            ),
        ),
    ]
    base_size: Annotated[
        BaseQuantity,
        Field(
            gt=0,
            description=(
                "Size of the nearest layer. No default: it depends on the symbol's minimum notional; choose one "
                "whose third layer still clears it."
            ),
        ),
    ]
    worst_case_multiplier: Annotated[
        Ratio,
        Field(
            ge=1,
            le=2,
            description=(
                "If every live order filled at once, |q| stays within netMax times this. 1.15: the worst case of a "
                "netMax of 0.20 is 0.23."
            ),
        ),
    ] = Decimal("1.15")
    size_decay_k: Annotated[
        Ratio,
        Field(
            ge=0,
            le=50,
            description=(
                "Orders shrink by exp(-k · exposure / netMax) as they would add to the exposure; reducing orders "
                "never shrink. 3.8; 4.1 when the worst case sits above 0.22 of a netMax of 0.20."
            ),
        ),
    ] = Decimal("3.8")
    layer_decay: Annotated[
        Ratio,
        Field(
            gt=0,
            le=1,
            description=(
                "Size factor from one layer to the next outer one. 0.9 puts the most where fills are likeliest; 1 "
                "where the minimum notional leaves no room to shrink."
            ),
        ),
    ] = Decimal("0.9")

    # Distance
    min_spread_bps: Annotated[
        Bps,
        Field(
            ge=0,
            le=1_000,
            description=(
                "Least full spread: h is at least half of it. 4 bps covers a maker's fee of 2 bps on each side "
                "before any edge."
            ),
        ),
    ] = Decimal(4)
    edge_bps: Annotated[
        Bps,
        Field(
            ge=-10,
            le=500,
            description=(
                "Wanted above the maker's fee on each side: h is at least fee plus edge. 0.5 bps; below 0 only where "
                "a rebate is paid."
            ),
        ),
    ] = Decimal("0.5")
    vol_multiplier: Annotated[
        Ratio,
        Field(
            ge=0,
            le=20,
            description=(
                "h is at least this many standard deviations of the price over horizonSeconds. 0.5: quotes that a "
                "usual move does not reach, yet an unusual one does."
            ),
        ),
    ] = Decimal("0.5")
    horizon_seconds: Annotated[
        Seconds,
        Field(
            gt=0,
            le=3_600,
            description="Horizon of that volatility. 10 s is about how long a quote near the touch of a major symbol rests.",
        ),
    ] = Decimal(10)
    inventory_skew_bps: Annotated[
        Bps,
        Field(
            ge=0,
            le=500,
            description=(
                "Shift of the reservation price at |q| = netMax, against the position. 5 bps, two half spreads: at "
                "the limit the reducing side stands at the touch."
            ),
        ),
    ] = Decimal(5)

    # Layers
    near_layers: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MOST_LAYERS,
            description="Layers of the dense near part, a side. Unit: layers. 3 keeps a place in the queue at three prices.",
        ),
    ] = 3
    near_step_bps: Annotated[
        Bps,
        Field(
            gt=0,
            le=500,
            description=(
                "Distance between two near layers. 1.5 bps is more than the mid of a major symbol usually moves "
                "between two decisions."
            ),
        ),
    ] = Decimal("1.5")
    far_layers: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MOST_LAYERS,
            description=(
                "Layers of the sparse far part, a side. Unit: layers. 2 catch the sweeps that the near part is too "
                "close for."
            ),
        ),
    ] = 2
    far_ratio: Annotated[
        Ratio,
        Field(
            gt=1,
            le=10,
            description=(
                "Distance from one far layer to the next, as a factor. 1.8 reaches three times the near part with "
                "two layers."
            ),
        ),
    ] = Decimal("1.8")

    # Pace
    quote_interval: Annotated[
        Duration,
        Between("1ms", "1h"),
        Field(
            description=(
                "Quotes are refreshed at latest so often, at least 100 ms. 500 ms suffices where requotes follow "
                "events."
            )
        ),
    ] = Duration.parse("500ms")
    min_requote_interval: Annotated[
        Duration,
        Between("10ms", "1m"),
        Field(
            description=(
                "Least time between two requotes of a symbol. 200 ms keeps four symbols inside an account's order "
                "budget."
            )
        ),
    ] = Duration.parse("200ms")
    requote_threshold: Annotated[
        Bps | None,
        Field(
            gt=0,
            le=500,
            description=(
                "A quote is kept while its target is within this distance. Default: half of nearStepBps; a smaller "
                "one gives up queue positions, a larger one quotes late."
            ),
        ),
    ] = None

    guards: Annotated[Guards, Field(description="Masks on what may be quoted, by |q| / netMax.")] = Guards()
    grinding: Annotated[Grinding, Field(description="Lowering the cost of a stuck position in a flat market.")] = (
        Grinding()
    )
    funding: Annotated[Funding, Field(description="Leaning against the side that pays funding.")] = Funding()
    vpin: Annotated[Vpin, Field(description="Toxicity of the order flow.")] = Vpin()
    risk: Annotated[Risk, Field(description="What may be lost, and what is too strange to go on.")] = Risk()

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
            message="baseSize must not exceed netMax, or the first fill breaks the limit: lower baseSize or raise netMax",
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
            fields=("quoteInterval",),
            cel="duration(self.quoteInterval) >= duration('100ms')",
            message="quoteInterval must be at least 100ms: faster refreshes spend the account's order budget on nothing",
            holds=lambda p: p.quote_interval >= Duration.parse("100ms"),
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
        Rule["TradingParameters"](
            fields=("risk.saneBandBps", "farRatio", "farLayers"),
            # CEL has no powers: the API server only sees that the near part fits; the far part is checked here and by the worker.
            cel=(
                "double(self.minSpreadBps) / 2.0 + double(self.nearLayers) * double(self.nearStepBps) < "
                "double(self.risk.saneBandBps)"
            ),
            message=(
                "the outermost layer lies beyond risk.saneBandBps and would always be refused: lower farRatio, "
                "farLayers or nearStepBps, or raise risk.saneBandBps"
            ),
            holds=lambda p: deepest_layer_bps(p) < p.risk.sane_band_bps,
        ),
    )

"""What kind of market a synthetic one is: regimes (how it behaves) and characters (which symbol it resembles)."""

from enum import StrEnum
from typing import Final

import msgspec

from phoenix_simulator.exchange.symbols import SymbolSpec


class RegimeName(StrEnum):
    CALM = "calm"
    TREND = "trend"
    JUMP = "jump"
    TOXIC = "toxic"
    ONE_SIDED = "one-sided"
    THIN = "thin"
    QUIET = "quiet"
    FUNDING_SQUEEZE = "funding-squeeze"


class Regime(msgspec.Struct, frozen=True):
    """Rates are those of BTCUSDT; a symbol's character scales them."""

    touch_changes_per_s: float
    """Changes of a quantity at the best prices."""
    orders_per_s: float
    """Market orders between moves of the price."""
    moves_per_s: float
    """Bursts that move the price; they bring most of the volume and all of the adverse selection."""
    move_scale: float
    """Multiplies the size of a move."""
    frame_s: float
    """Mean time between two depth frames."""
    changes_scale: float
    """Multiplies the levels changed per depth frame."""
    drift_bps_per_s: float
    """The fair price runs away at this speed; it turns round every half hour or so."""
    jumps_per_s: float
    jump_bps: tuple[float, float]
    spread_ticks: int
    """What the spread returns to. The price of a busy symbol has one tick 99 % of the time."""
    premium_bps: float
    """Mean of the perpetual's premium over the index; beyond ±6 bps it moves the funding rate."""
    informed: float = 0.5
    """How far market orders lean towards a move before it comes; from 1 on nearly all of them know."""
    momentum: float = 0.0
    """Added to the tendency of a move to continue the last one."""
    one_sided: float = 0.0
    """Mean sign of market orders, and by how much the side that they meet is thinner; along the fair price's way."""
    liquidity: float = 1.0
    """Multiplies what rests in the book."""


_CALM: Final = Regime(
    touch_changes_per_s=142.0,
    orders_per_s=13.0,
    moves_per_s=1.1,
    move_scale=1.0,
    frame_s=0.0526,
    changes_scale=1.0,
    drift_bps_per_s=0.0,
    jumps_per_s=0.0,
    jump_bps=(0.0, 0.0),
    spread_ticks=1,
    premium_bps=1.0,
)

REGIMES: Final[dict[RegimeName, Regime]] = {
    RegimeName.CALM: _CALM,
    # 7 bps a minute, 4 % an hour: a maker that does not lean against its inventory loses steadily.
    RegimeName.TREND: msgspec.structs.replace(_CALM, drift_bps_per_s=0.12, moves_per_s=1.3, premium_bps=8.0),
    # Every half minute on average the price is somewhere else within a tenth of a second.
    RegimeName.JUMP: msgspec.structs.replace(_CALM, jumps_per_s=1 / 30, jump_bps=(8.0, 40.0), move_scale=1.3),
    # Who takes knows what comes, moves come in runs: what a maker sells is worth more a second later.
    RegimeName.TOXIC: msgspec.structs.replace(_CALM, informed=1.4, momentum=0.3, moves_per_s=1.8, move_scale=1.2),
    # Between moves nine of ten takers come to one side, and it gives way slowly: inventory builds up that nobody buys.
    RegimeName.ONE_SIDED: msgspec.structs.replace(_CALM, one_sided=0.8, drift_bps_per_s=0.03),
    # A tenth of the book, and a spread of some ticks: each order is large for it.
    RegimeName.THIN: msgspec.structs.replace(
        _CALM,
        touch_changes_per_s=30.0,
        orders_per_s=4.0,
        move_scale=1.5,
        changes_scale=0.5,
        spread_ticks=4,
        liquidity=0.1,
    ),
    # A crowd that is long pays for it: the premium drives the funding rate to its cap, and at times the crowd runs.
    RegimeName.FUNDING_SQUEEZE: msgspec.structs.replace(
        _CALM, premium_bps=45.0, drift_bps_per_s=0.05, jumps_per_s=1 / 240, jump_bps=(10.0, 60.0), moves_per_s=1.3
    ),
    # A symbol that hardly trades: the touch rests for tens of seconds, and at times no frame comes at all.
    RegimeName.QUIET: Regime(
        touch_changes_per_s=0.2,
        orders_per_s=0.1,
        moves_per_s=1 / 20,
        move_scale=0.7,
        frame_s=4.0,
        changes_scale=0.05,
        drift_bps_per_s=0.0,
        jumps_per_s=0.0,
        jump_bps=(0.0, 0.0),
        spread_ticks=3,
        premium_bps=1.0,
    ),
}


class Character(msgspec.Struct, frozen=True):
    """A symbol beside BTCUSDT, which is 1 throughout and carries the recording's opening price."""

    price: float
    liquidity: float
    """Quote value resting in the book."""
    activity: float
    """Rate of everything that happens."""
    volatility: float
    """Size of moves in bps."""


CHARACTERS: Final[dict[str, Character]] = {
    "BTCUSDT": Character(price=61_800.0, liquidity=1.0, activity=1.0, volatility=1.0),
    "ETHUSDT": Character(price=4_200.0, liquidity=0.7, activity=0.9, volatility=1.3),
    "SOLUSDT": Character(price=150.0, liquidity=0.3, activity=0.6, volatility=1.6),
    "BTCUSDC": Character(price=61_800.0, liquidity=0.25, activity=0.4, volatility=1.0),
    "ETHUSDC": Character(price=4_200.0, liquidity=0.2, activity=0.35, volatility=1.3),
    "SOLUSDC": Character(price=150.0, liquidity=0.1, activity=0.25, volatility=1.6),
}

REFERENCE_PRICE: Final = 61_800.0
REFERENCE_TICK: Final = 0.1
REFERENCE_STEP: Final = 0.001
"""BTCUSDT of the recording, whose ticks and steps `shapes.py` counts."""


class Scale(msgspec.Struct, frozen=True):
    """How the recording's ticks and steps translate to a symbol's."""

    price: float
    ticks: float
    """Ticks of the symbol in one tick of the recording: the same distance in bps."""
    steps: float
    """Steps of the symbol in one step of the recording: the same quote value, times the symbol's liquidity."""
    activity: float
    volatility: float

    @property
    def bps_to_ticks(self) -> float:
        """Ticks of the symbol in one basis point."""
        return self.ticks * REFERENCE_PRICE / REFERENCE_TICK * 1e-4


def scale_of(spec: SymbolSpec) -> Scale:
    """A symbol without a character of its own is a small one around the middle of what its filters allow."""
    tick, step = float(spec.tick_size), float(spec.step_size)
    character = CHARACTERS.get(spec.symbol) or Character(
        price=tick * max(spec.min_price_ticks * 10, 10_000), liquidity=0.1, activity=0.2, volatility=1.5
    )
    return Scale(
        price=character.price,
        ticks=(character.price / tick) / (REFERENCE_PRICE / REFERENCE_TICK),
        steps=(REFERENCE_PRICE * REFERENCE_STEP) / (character.price * step) * character.liquidity,
        activity=character.activity,
        volatility=character.volatility,
    )

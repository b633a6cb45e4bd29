"""What one maker may come to hold, lose and send, at most: worst case, stress, margin, orders and weight a minute."""

import math
import re
from itertools import pairwise

import msgspec
from phoenix_coordination.exposure import PRICE_BUFFER
from phoenix_crds import MarketMaker
from phoenix_worker.core import quoting
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.resolve import quoting_of
from phoenix_worker.runtime.resolved import in_steps
from phoenix_worker.venue.binance.costs import fixed_weight_1m

from phoenix_cli.forecast.market import Market
from phoenix_cli.refusal import Refused

_SIDES = 2
_A_UNIT = 1_000_000
"""Steps, where distances are all that matters."""


class MakerForecast(msgspec.Struct, frozen=True, rename="camel"):
    """Quote units; `orders_per_minute` in the market that is assumed, `weight_per_minute` whether it quotes or not.

    `worst_case`: netMax times worstCaseMultiplier, valued as the account's ledger does; `loss_ratio`: of that, lost
    when the price jumps by `move` and takers then close everything; `needs`: initial margin and stressed loss together,
    which after the jump still leaves twice the maintenance margin.
    """

    maker: str
    symbol: str
    margin_asset: str
    mode: str
    price: float
    price_from: str
    net_max: float
    worst_case: float
    move: float
    loss_ratio: float
    stressed_loss: float
    initial_margin: float
    needs: float
    capital: float | None
    daily_loss_max: float | None
    stop_loss: float | None
    orders_per_minute: float
    resting_orders: int
    weight_per_minute: int


def forecast_maker(name: str, maker: MarketMaker, market: Market, leverage: int) -> MakerForecast:
    """`leverage`: of the account."""
    spec = maker.spec
    risk = spec.risk
    worst = float(spec.net_max * spec.worst_case_multiplier) * market.price * (1 + PRICE_BUFFER)
    loss_ratio = market.move + market.taker_bps * quoting.BPS
    loss = worst * loss_ratio
    margin = worst / leverage
    parameters = in_steps(quoting_of(spec, spec), _A_UNIT, _A_UNIT)
    bands = _keep_bands_bps(parameters, market)
    capital, day, stop = risk.capital, risk.daily_loss_max.of(risk.capital), risk.stop_loss.of(risk.capital)
    return MakerForecast(
        maker=name,
        symbol=spec.symbol,
        margin_asset=margin_asset(spec.symbol),
        mode=spec.mode.value,
        price=market.price,
        price_from=market.source,
        net_max=float(spec.net_max),
        worst_case=round(worst, 2),
        move=market.move,
        loss_ratio=round(loss_ratio, 6),
        stressed_loss=round(loss, 2),
        initial_margin=round(margin, 2),
        needs=round(margin + loss, 2),
        capital=None if capital is None else float(capital),
        daily_loss_max=None if day is None else float(day),
        stop_loss=None if stop is None else float(stop),
        orders_per_minute=round(60 * _SIDES * sum(requotes_per_s(band, parameters, market) for band in bands), 1),
        resting_orders=_SIDES * len(bands),
        weight_per_minute=fixed_weight_1m(),
    )


def margin_asset(symbol: str) -> str:
    """`USDC` of `ETHUSDC`; raises `Refused` for what is not quoted in dollars, as the account's limits are."""
    found = re.fullmatch(r".+?(FDUSD|BUSD|USD[A-Z0-9])", symbol)
    if found is None:
        raise Refused(f"{symbol} is not quoted in dollars: it cannot be held against the account's limits; take it out")
    return found[1]


def requotes_per_s(band_bps: float, parameters: Parameters, market: Market) -> float:
    """How often a quote that is kept within ± `band_bps` of its target is moved.

    A random walk leaves the band after (band / σ)² seconds on average; but the price moves in bursts, and of those none
    moves a quote twice, so one of them is waited for in any case.
    """
    if market.sigma_bps <= 0:
        return 0.0
    rests_s = (band_bps / market.sigma_bps) ** 2 + 1 / market.moves_per_s
    return 1 / max(rests_s, parameters.min_requote_interval_ns / 1e9)


def _keep_bands_bps(parameters: Parameters, market: Market) -> list[float]:
    """Of each layer of a side, nearest first, as the engine keeps them."""
    half = quoting.half_spread_bps(quoting.Market(1, 1, market.sigma_bps * quoting.BPS, market.maker_bps), parameters)
    distances = quoting.distances_bps(half, parameters)
    spacings = [0.0, *(outer - inner for inner, outer in pairwise(distances))]
    return [quoting.keep_band_bps(parameters, layer, spacing) for layer, spacing in enumerate(spacings)]


def netmax_for(forecast: MakerForecast) -> float:
    """The netMax that the maker's capital carries, to three digits, rounded down; 0 where it has none."""
    if not forecast.capital or not forecast.needs:
        return 0.0
    carried = forecast.net_max * forecast.capital / forecast.needs
    digit = 10.0 ** (math.floor(math.log10(carried)) - 2)
    return math.floor(carried / digit) * digit

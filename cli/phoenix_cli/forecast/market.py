"""What an estimate takes for granted of each symbol's market, and where from: price, liveliness, fees, brackets.

A price that was typed counts first. On the simulated exchange the listing has it, with the fees and brackets; of
testnet and production the public mark price is asked, which needs no key. What cannot be known without a key is
assumed, and said.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import aiohttp
import msgspec
from phoenix_crds.account import Environment
from phoenix_worker.venue.binance import replies
from phoenix_worker.venue.binance.endpoints import PRODUCTION, TESTNET
from phoenix_worker.venue.binance.messages import DecodeError

from phoenix_cli.refusal import Refused

MOVE = 0.10
"""Against every position before any guard acts: twice the loss at which Liquidate closes (guards.pnlStopRatio, 5 %)."""
SIGMA_BPS = 1.3
"""Of BTCUSDT's mid over 1 s in a recorded lively quarter of an hour of August 2024 (docs/market-model.md)."""
MOVES_PER_S = 1.0
"""Bursts that move the price, as recorded there: what does not move the price moves no quote."""
MAKER_BPS = 2.0
TAKER_BPS = 5.0
"""A regular user's fees, in USDT."""
_ANSWER_SECONDS = 10.0
_PATH = "/fapi/v1/premiumIndex"
_REST = {Environment.TESTNET: TESTNET.rest, Environment.PRODUCTION: PRODUCTION.rest}
T = TypeVar("T")

Room = Callable[[int], float]
"""The largest position's notional that a leverage admits."""


class Assumptions(msgspec.Struct, frozen=True):
    """As typed: a value for all symbols, and those that have their own. Shares, and bps for `sigma`."""

    prices: dict[str, float] = {}
    moves: dict[str, float] = {}
    move: float = MOVE
    sigmas: dict[str, float] = {}
    sigma: float | None = None


class Market(msgspec.Struct, frozen=True):
    """One symbol's. `sigma_bps`: standard deviation of the mid over 1 s; `moves_per_s`: bursts that move it; `move`:
    the jump that is to be survived. `room`: None where only the key's owner could be told.
    """

    price: float
    source: str
    move: float
    sigma_bps: float
    moves_per_s: float = MOVES_PER_S
    maker_bps: float = MAKER_BPS
    taker_bps: float = TAKER_BPS
    room: Room | None = None


class _Mark(msgspec.Struct, frozen=True):
    symbol: str
    mark: float = msgspec.field(name="markPrice")


def market_of(
    symbol: str, environment: Environment, assumed: Assumptions, marks: Mapping[Environment, Mapping[str, float]]
) -> Market:
    """Raises `Refused` where nobody knows the price. `marks`: what the venue's worlds have told."""
    move = assumed.moves.get(symbol, assumed.move)
    sigma = assumed.sigmas.get(symbol, assumed.sigma)
    price = assumed.prices.get(symbol)
    if environment is Environment.SIMULATOR:
        return _simulated(symbol, price, move, sigma)
    source = "given"
    if price is None:
        source, price = "mark price", marks[environment].get(symbol)
    if price is None:
        raise Refused(f"{symbol}: {environment} lists no such symbol: correct spec.symbol, or give --price {symbol}=…")
    return Market(price, source, move, SIGMA_BPS if sigma is None else sigma)


def _simulated(symbol: str, price: float | None, move: float, sigma: float | None) -> Market:
    """As the simulated exchange lists it, and as lively as its synthetic market makes it."""
    # The simulator is imported where it is needed: an account elsewhere is estimated without it.
    from phoenix_simulator.exchange.symbols import BUILT_IN, E8  # noqa: PLC0415 - see above
    from phoenix_simulator.market.regimes import scale_of  # noqa: PLC0415 - see above

    spec = BUILT_IN.get(symbol)
    if spec is None:
        if price is None:
            raise Refused(
                f"{symbol} is not on the simulated exchange, which lists {', '.join(BUILT_IN)}: choose one of them,"
                f" or give --price {symbol}=… for a simulator that replays another market"
            )
        return Market(price, "given", move, SIGMA_BPS if sigma is None else sigma)
    listed = spec
    scale = scale_of(listed)

    def room(leverage: int) -> float:
        return listed.max_notional_e8(leverage) / E8 if leverage <= listed.max_leverage else 0.0

    return Market(
        price=scale.price if price is None else price,
        source="simulator's listing" if price is None else "given",
        move=move,
        sigma_bps=SIGMA_BPS * scale.volatility * math.sqrt(scale.activity) if sigma is None else sigma,
        moves_per_s=MOVES_PER_S * scale.activity,
        maker_bps=listed.maker_rate_e8 / E8 * 1e4,
        taker_bps=listed.taker_rate_e8 / E8 * 1e4,
        room=room,
    )


async def ask_marks(environments: Collection[Environment]) -> dict[Environment, dict[str, float]]:
    """Mark prices of all symbols, one public request to each of these worlds; raises `Refused`."""
    return {environment: await marks_at(_REST[environment]) for environment in environments}


async def marks_at(base_url: str) -> dict[str, float]:
    """By symbol; raises `Refused` with the way to do without."""
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(base_url + _PATH) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise Refused(_unasked(base_url, f"HTTP status {reply.status}"))
        rows = replies.decode(list[_Mark], body)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Refused(_unasked(base_url, str(error) or f"no answer within {_ANSWER_SECONDS:.0f} s")) from None
    except DecodeError as error:
        raise Refused(_unasked(base_url, str(error))) from None
    return {row.symbol: row.mark for row in rows if 0 < row.mark < math.inf}


def _unasked(base_url: str, why: str) -> str:
    return f"the mark prices could not be asked of {base_url}: {why}: give --price SYMBOL=PRICE for each symbol"

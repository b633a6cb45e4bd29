"""What the makers of these manifests need and may lose, by account, before anything runs; and what does not fit.

Capital, margin and loss are those of the worst case: every position at netMax times worstCaseMultiplier, and then a
jump against each. Orders and request weight are held against what the exchange admits, as the workers themselves will
be. A simulated account is estimated at the simulator's listing; for testnet and production the venue's public mark
prices are asked, unless --price gives them all. Every maker is taken to be Live. Ends with 1 where a maker would be
refused.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence

from phoenix_crds.account import Environment

from phoenix_cli.forecast.fleet import Fleet, Forecast, fleets, forecast
from phoenix_cli.forecast.market import MOVE, MOVES_PER_S, SIGMA_BPS, Assumptions, Market, ask_marks, market_of
from phoenix_cli.forecast.text import text_of
from phoenix_cli.manifests import add_filename, load_valid
from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused

__all__ = ["add_arguments", "run"]

Given = tuple[str, float]
"""A symbol, empty for all, and its value."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filename(parser)
    add = parser.add_argument
    add(
        "--price",
        metavar="SYMBOL=PRICE",
        action="append",
        default=[],
        type=_price,
        help="instead of asking; repeatable",
    )
    add(
        "--jump",
        metavar="[SYMBOL=]PERCENT",
        action="append",
        default=[],
        type=_jump,
        help=f"against every position, before any guard acts (default {MOVE * 100:.0f}%%); repeatable",
    )
    add(
        "--volatility",
        metavar="[SYMBOL=]BPS",
        action="append",
        default=[],
        type=_volatility,
        help=f"standard deviation of the price over 1 s, which moves quotes (default {SIGMA_BPS}, a lively BTCUSDT; on"
        " the simulator as lively as the symbol is there); repeatable",
    )
    add("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    found = fleets(load_valid(args.paths))
    assumed = Assumptions(
        prices=dict(args.price),
        moves={symbol: value for symbol, value in args.jump if symbol},
        move=next((value for symbol, value in reversed(args.jump) if not symbol), MOVE),
        sigmas={symbol: value for symbol, value in args.volatility if symbol},
        sigma=next((value for symbol, value in reversed(args.volatility) if not symbol), None),
    )
    _refuse_strangers(found, assumed)
    result = asyncio.run(_estimate(found, assumed))
    sys.stdout.write(as_json(result) if args.output == "json" else text_of(result))
    if result.refused:
        raise Refused(f"{len(result.refused)} of what does not fit would be refused: {result.refused[0].what} first")
    return 0


def _refuse_strangers(found: Sequence[Fleet], assumed: Assumptions) -> None:
    """A value for a symbol that nobody trades is a mistyped one of a symbol that somebody does."""
    symbols = sorted({maker.spec.symbol for fleet in found for maker in fleet.makers.values()})
    for option, given in (("--price", assumed.prices), ("--jump", assumed.moves), ("--volatility", assumed.sigmas)):
        for symbol in given:
            if symbol not in symbols:
                raise Refused(
                    f"{option} {symbol}=…: no maker of these files trades it; there are: {', '.join(symbols)}"
                )


async def _estimate(found: Sequence[Fleet], assumed: Assumptions) -> Forecast:
    traded = [
        (fleet.name, maker.spec.symbol, fleet.account.spec.environment)
        for fleet in found
        for maker in fleet.makers.values()
    ]
    unpriced = dict.fromkeys(
        environment
        for _, symbol, environment in traded
        if environment is not Environment.SIMULATOR and symbol not in assumed.prices
    )
    marks = await ask_marks(list(unpriced))
    markets = {
        (account, symbol): market_of(symbol, environment, assumed, marks) for account, symbol, environment in traded
    }
    repeated = [f"{line}, which is the last" for fleet in found for line in fleet.repeated]
    return forecast(found, markets, [*repeated, *_said(markets, assumed)])


def _said(markets: dict[tuple[str, str], Market], assumed: Assumptions) -> list[str]:
    """Everything that the figures rest on and nobody wrote."""
    sources: dict[str, list[str]] = {}
    for (_, symbol), market in markets.items():
        sources.setdefault(market.source, []).append(symbol)
    prices = "; ".join(f"{source} ({', '.join(dict.fromkeys(symbols))})" for source, symbols in sources.items())
    sigmas = dict.fromkeys(f"{symbol} {market.sigma_bps:.2g}" for (_, symbol), market in markets.items())
    lines = [
        f"prices: {prices}; others with --price SYMBOL=PRICE",
        (
            "every maker Live with all its capital, its position at netMax times worstCaseMultiplier, and valued 1 %"
            " worse than mark, as the account's ledger does"
        ),
        (
            f"a jump of {assumed.move:.0%} against every position before any guard acts, then out at the taker's fee;"
            " another with --jump"
        ),
        (
            f"orders: a market that moves by {', '.join(sigmas)} bps (standard deviation over 1 s), in bursts, of"
            f" which BTCUSDT has {MOVES_PER_S:g} a second; another with --volatility. What fills is placed anew, on top"
        ),
    ]
    if any(market.room is None for market in markets.values()):
        lines.append(
            "a regular user's fees, and leverage brackets that admit the position: both are the key's to tell, and the"
            " worker looks before it quotes"
        )
    return lines


# -- what is typed -----------------------------------------------------------------------------------


def _price(text: str) -> Given:
    symbol, _, value = text.rpartition("=")
    if not symbol:
        raise argparse.ArgumentTypeError(f"{text!r}: write SYMBOL=PRICE, for example BTCUSDT=61800")
    return symbol, _number(text, value)


def _volatility(text: str) -> Given:
    symbol, _, value = text.rpartition("=")
    return symbol, _number(text, value)


def _jump(text: str) -> Given:
    symbol, _, value = text.rpartition("=")
    if not value.endswith("%") or _number(text, value[:-1]) > 100:
        raise argparse.ArgumentTypeError(f"{text!r}: write a share up to 100%, for example 15% or SOLUSDT=30%")
    return symbol, _number(text, value[:-1]) / 100


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < 1e15:
        raise argparse.ArgumentTypeError(f"{text!r}: {value or 'nothing'} is no number above 0")
    return number

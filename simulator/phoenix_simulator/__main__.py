"""`python -m phoenix_simulator`, and `phoenix exchange`: a simulated Binance USDⓈ-M venue on one port.

Prints one line of JSON, {"url": …}, when it listens. SIGTERM and SIGINT end it in order; where a scenario says what
must hold, the verdicts are then printed on stderr, and the exit status is 1 unless all of it held. How a live market
fares is logged on stderr.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import orjson
import uvloop

from phoenix_simulator.clock import ENVIRONMENT_VARIABLE, Clock
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.expectations import State
from phoenix_simulator.given_accounts import DEFAULT_BALANCES, GivenAccountError, parse_balances, read_accounts
from phoenix_simulator.latency import parse_latencies
from phoenix_simulator.market.capture import CaptureError
from phoenix_simulator.market.upstream.questions import UpstreamError
from phoenix_simulator.scenario import Scenario, ScenarioError, load_scenario
from phoenix_simulator.server import CANARY_SYMBOL, DEFAULT_SYMBOLS, ServerConfig, run_server, spare_the_collector

_REFUSED = 1
_LOST = 1
_NOT_HELD = 1


_HOW_TO: Final = """\
example: phoenix exchange --port 9000 --symbols BTCUSDT,ETHUSDC --speed 5

point a client at it:
  REST           http://127.0.0.1:9000
  streams        ws://127.0.0.1:9000 with /public, /market and /private, as at the venue
  WebSocket API  ws://127.0.0.1:9000/ws-fapi/v1
  keys           curl -d '{"balances": {"USDT": "10000"}}' http://127.0.0.1:9000/sim/account
docs/exchange.md has a bot of twenty lines, for the venue's SDK and for ccxt.
"""


class RefusedError(Exception):
    """What a person asked for cannot be done; the text says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with what is wrong on stderr."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="phoenix exchange: %(message)s")
    logging.getLogger("phoenix_simulator").setLevel(logging.INFO)
    try:
        config = _config(arguments)
        clock = _clock(arguments.speed)
        if config.upstream is not None:
            _check_live(config, clock)
        return uvloop.run(_run(config, clock))
    except (RefusedError, GivenAccountError, ScenarioError, CaptureError, UpstreamError) as error:
        print(f"phoenix exchange: {error}", file=sys.stderr)
        return _REFUSED
    except ExceptionGroup as failures:
        lost, others = failures.split(UpstreamError)
        if lost is None or others is not None:
            raise
        # One sentence is enough: every market of a run is of the same upstream.
        print(f"phoenix exchange: {_first(lost)}", file=sys.stderr)
        return _LOST
    except OSError as error:
        print(f"phoenix exchange: {error.strerror or error}: {error.filename or 'socket'}", file=sys.stderr)
        return _REFUSED


def _first(failure: BaseException) -> BaseException:
    return _first(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure


async def _run(config: ServerConfig, clock: Clock) -> int:
    loop = asyncio.get_running_loop()
    async with run_server(config, clock) as (url, server):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop.set)
        spare_the_collector()
        print(orjson.dumps({"url": url}).decode(), flush=True)
        await server.stop.wait()
        verdicts = server.judge.verdicts()
    for verdict in verdicts:
        print(f"phoenix exchange: expected: {verdict.text}: {verdict.reason or 'held'}", file=sys.stderr)
    return 0 if all(verdict.state is State.HELD for verdict in verdicts) else _NOT_HELD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="phoenix exchange",
        description="A simulated Binance USDⓈ-M exchange: REST, streams and WebSocket API at one base URL.",
        epilog=_HOW_TO,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=int, default=9000, metavar="P", help="0 takes a free one (default %(default)s)")
    add("--symbols", metavar="A,B", help=f"synthetic markets (default {','.join(DEFAULT_SYMBOLS)}; BTCUSDT always is)")
    add(
        "--replay",
        type=Path,
        action="append",
        default=[],
        metavar="CAPTURE",
        help="replay a recording, exactly; may be given several times, in order",
    )
    add(
        "--upstream",
        metavar="URL",
        help="paper trading: the live market of another venue, as https://fapi.binance.com, with our matching on top",
    )
    add("--scenario", type=Path, metavar="FILE", help="regimes and faults, as YAML or JSON")
    add(
        "--latency",
        action="append",
        default=[],
        metavar="PART=MS",
        help="how long the way takes, in ms: 5, 3..8, lognormal:8:0.5 or quantiles:0.5=4,0.99=30; PART is order-entry, "
        "acknowledgement, market-data, user-data or all; may be given several times",
    )
    add(
        "--queue-model",
        choices=[model.value for model in QueueModel],
        help="where in a queue others cancel: behind us (pessimistic, the default), evenly, or ahead of us",
    )
    add(
        "--account",
        type=Path,
        action="append",
        default=[],
        metavar="DIRECTORY",
        help="open an account under the key that lies there: apiKey, and apiSecret or publicKey; may be given several "
        "times",
    )
    add(
        "--balance",
        action="append",
        default=[],
        metavar="ASSET=AMOUNT",
        help="what each --account begins with; may be given several times "
        f"(default {', '.join(f'{asset}={amount}' for asset, amount in DEFAULT_BALANCES.items())})",
    )
    add("--speed", type=float, metavar="N", help="how much faster than life (default 1)")
    add("--seed", type=int, default=1, metavar="N", help="of the synthetic markets (default %(default)s)")
    return parser


def _config(arguments: argparse.Namespace) -> ServerConfig:
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS
    if arguments.symbols is not None:
        symbols = tuple(symbol.strip().upper() for symbol in arguments.symbols.split(",") if symbol.strip())
        if not symbols:
            raise RefusedError(f"--symbols: none given; choose from {', '.join(BUILT_IN)}")
    elif arguments.upstream:
        symbols = (CANARY_SYMBOL,)
    elif arguments.replay:
        # A replay alone shows what was recorded, and nothing beside it.
        symbols = ()
    # What an upstream lists it says itself.
    unknown = [symbol for symbol in symbols if symbol not in BUILT_IN] if not arguments.upstream else []
    if unknown:
        raise RefusedError(f"--symbols: {', '.join(unknown)} not known; choose from {', '.join(BUILT_IN)}")
    if not 0 <= arguments.port <= 65_535:
        raise RefusedError(f"--port: {arguments.port} is no port")
    if arguments.seed < 0:
        raise RefusedError(f"--seed: {arguments.seed} is negative")
    scenario = load_scenario(arguments.scenario) if arguments.scenario else Scenario()
    try:
        latency = parse_latencies(arguments.latency, scenario.latency)
    except ValueError as error:
        raise RefusedError(f"--latency {error}") from None
    venue = scenario.venue
    if arguments.queue_model is not None:
        venue = msgspec.structs.replace(venue, queue_model=QueueModel(arguments.queue_model))
    return ServerConfig(
        host=arguments.host,
        port=arguments.port,
        symbols=symbols,
        captures=tuple(arguments.replay),
        upstream=arguments.upstream,
        accounts=read_accounts(arguments.account),
        balances_e8=parse_balances(arguments.balance),
        seed=arguments.seed,
        scenario=msgspec.structs.replace(scenario, latency=latency, venue=venue),
    )


def _check_live(config: ServerConfig, clock: Clock) -> None:
    """A live market is nobody's to choose."""
    if config.captures:
        raise RefusedError("--upstream and --replay are two markets; give one of them")
    if config.scenario.markets:
        raise RefusedError("--upstream: the scenario's markets are synthetic ones; leave `markets` out")
    if clock.rate != 1.0:
        raise RefusedError(f"--upstream: a live market passes at life's rate, not {clock.rate:g} times as fast")


def _clock(speed: float | None) -> Clock:
    """The run's clock where the environment gives one, else one of its own."""
    text = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        if text:
            clock = Clock.from_text(text)
            if speed is not None and speed != clock.rate:
                raise RefusedError(f"--speed {speed} contradicts {ENVIRONMENT_VARIABLE}; give one of them")
            return clock
        return Clock(1.0 if speed is None else speed)
    except ValueError as error:
        raise RefusedError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())

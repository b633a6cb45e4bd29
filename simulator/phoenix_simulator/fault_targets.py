"""Whether a fault can strike anything: what it matches, against the names that there are.

A misspelt pattern is no error of its own, it merely never matches; a rehearsal would then prove nothing. So whoever
takes a fault in refuses one that no request and no frame of this exchange could ever meet.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache

from phoenix_simulator.api.account_data import AccountData
from phoenix_simulator.api.algo_orders import AlgoOrders
from phoenix_simulator.api.hub import USER, Hub
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.api.market_data import MarketData
from phoenix_simulator.api.operations import Operations
from phoenix_simulator.api.stream_names import delivers, every_stream
from phoenix_simulator.api.trading import Trading
from phoenix_simulator.api.user_stream import UserStreams
from phoenix_simulator.api.ws_api import SESSION_METHODS
from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.clock import Clock
from phoenix_simulator.conditions import ConditionWatch
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.fault_schedule import Faults, with_defaults
from phoenix_simulator.faults import Fault, ForeignOrder, FrameFault, RequestFault, Route


def unreachable(fault: Fault) -> tuple[str, str] | None:
    """The field because of which nothing can be struck, and why; None where something can."""
    meant = with_defaults(fault)
    match meant:
        case RequestFault(endpoint=str(pattern)) if not _any_match(pattern, known_endpoints()):
            operations = ", ".join(name for name in known_endpoints() if " " not in name)
            return "endpoint", f"{pattern} matches no operation; there are {operations}, and METHOD /path of REST"
        case FrameFault():
            return _unreachable_frame(meant)
        case ForeignOrder(symbol=symbol, quantity=quantity) if symbol.upper() in BUILT_IN:
            spec = BUILT_IN[symbol.upper()]
            if spec.steps_of(quantity) is None:
                return "quantity", f"{quantity} is refused by the exchange: write a multiple of {spec.step_size}"
            if quantity > (most := spec.quantity_to_decimal(spec.market_max_steps)):
                return "quantity", f"{quantity} is refused by the exchange: market orders end at {most.normalize():f}"
            return None
        case _:
            return None


@cache
def known_endpoints() -> Sequence[str]:
    """Everything that `endpoint` may name: operations, `METHOD /path` of REST, and what the WebSocket API has alone."""
    exchange, clock = Exchange(), Clock()
    audit = Audit(exchange)
    users = UserStreams(exchange, Hub(clock, Faults(ConditionWatch(exchange)), audit.books), clock)
    limits = LimitSettings()
    operations = Operations(
        MarketData(exchange, clock, {}, {}, audit.books, limits),
        Trading(exchange, clock, audit),
        AlgoOrders(exchange, ConditionalOrders(exchange), clock),
        AccountData(exchange, clock, users, limits),
    ).rest()
    names = sorted({operation.name for operation in operations.values()} | set(SESSION_METHODS))
    return (*names, *(f"{method} {path}" for method, path in operations))


def _unreachable_frame(fault: FrameFault) -> tuple[str, str] | None:
    pattern = "*" if fault.stream is None else fault.stream
    streams = [stream for stream in every_stream() if _any_match(pattern, [stream.suffix])]
    meets_user = _any_match(pattern, [USER])
    if not streams and not meets_user:
        names = ", ".join(dict.fromkeys(stream.suffix for stream in every_stream()))
        return "stream", f"{pattern} matches no stream; there are {names}, {USER}"
    streams = [stream for stream in streams if fault.route is None or delivers(fault.route, stream)]
    meets_user = meets_user and fault.route in {None, Route.PRIVATE}
    if not streams and not meets_user:
        route = "every route" if fault.route is None else fault.route.value
        return "route", f"nothing that {pattern} matches is delivered on {route}"
    # The symbol of what has none is the empty text, which `*` matches.
    if fault.symbol is not None and fault.symbol.strip("*") and not any(stream.symbol for stream in streams):
        return "symbol", f"what {pattern} matches is of no symbol: leave it out"
    return None


def _any_match(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names)

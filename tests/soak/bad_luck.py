"""What goes wrong in a soak, how often, and what kind of market it is: as data, drawn from the seed as it goes.

The exchange's own faults come again and again at random (`everySeconds`): every kind that it has, but trading by hand,
after which a maker's books are not the account's any more. Ours are drawn here.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from random import Random

import msgspec
from phoenix_simulator.exchange.symbols import SymbolStatus
from phoenix_simulator.faults import (
    AnswerLost,
    ClockSkew,
    Delay,
    Deleverage,
    Disconnect,
    Duplicate,
    Fault,
    Gap,
    Late,
    ListenKeyExpiry,
    Outage,
    Outcome,
    Page,
    PartialFill,
    PriceJump,
    RateLimit,
    Refuse,
    Reject,
    Reorder,
    Route,
    ServerShutdown,
    Silence,
    SymbolStatusChange,
    Transfer,
    Unavailable,
)
from phoenix_simulator.market.regimes import RegimeName

HOUR_S = 3600.0
_ROUTES = (Route.PUBLIC, Route.MARKET, Route.PRIVATE, Route.WS_API)


def of_exchange(symbols: Sequence[str]) -> tuple[Fault, ...]:
    """About fifty an hour for four symbols."""
    return (
        *(fault for symbol in symbols for fault in _of_symbol(symbol)),
        *(Disconnect(route=route, every_seconds=2 * HOUR_S) for route in _ROUTES),
        *(Refuse(route=route, every_seconds=12 * HOUR_S, duration_seconds=15) for route in _ROUTES),
        *(
            AnswerLost(endpoint=endpoint, executed=executed, count=2, every_seconds=3 * HOUR_S)
            for endpoint in ("order.place", "order.modify", "order.cancel")
            for executed in (True, False)
        ),
        *(Unavailable(endpoint="order.*", outcome=outcome, count=2, every_seconds=6 * HOUR_S) for outcome in Outcome),
        Silence(stream="user", duration_seconds=10, every_seconds=6 * HOUR_S),
        Duplicate(stream="user", duration_seconds=20, every_seconds=3 * HOUR_S),
        Reorder(every_seconds=HOUR_S),
        Outage(duration_seconds=10, every_seconds=6 * HOUR_S),
        RateLimit(endpoint="order.*", count=1, every_seconds=6 * HOUR_S),
        RateLimit(status=418, retry_after_seconds=30, count=1, every_seconds=12 * HOUR_S),
        Reject(code=-2010, message="NEW_ORDER_REJECTED", count=2, every_seconds=4 * HOUR_S),
        Delay(endpoint="order.*", after_seconds=0.4, duration_seconds=20, every_seconds=3 * HOUR_S),
        Delay(endpoint="order.*", before_seconds=0.4, duration_seconds=20, every_seconds=3 * HOUR_S),
        Page(count=1, every_seconds=12 * HOUR_S),
        Page(status=502, executed=True, count=1, every_seconds=6 * HOUR_S),
        ClockSkew(skew_ms=1500, duration_seconds=60, every_seconds=8 * HOUR_S),
        ListenKeyExpiry(every_seconds=4 * HOUR_S),
        ServerShutdown(grace_seconds=60, every_seconds=12 * HOUR_S),
        Transfer(asset="USDT", amount=Decimal(-50), every_seconds=24 * HOUR_S),
    )


def _of_symbol(symbol: str) -> tuple[Fault, ...]:
    return (
        Silence(symbol=symbol, route=Route.PUBLIC, duration_seconds=8, every_seconds=2 * HOUR_S),
        Gap(symbol=symbol, every_seconds=HOUR_S),
        Late(symbol=symbol, delay_seconds=1.5, duration_seconds=10, every_seconds=4 * HOUR_S),
        Disconnect(symbol=symbol, every_seconds=3 * HOUR_S),
        PartialFill(symbol=symbol, every_seconds=HOUR_S / 6),
        PriceJump(symbol=symbol, bps=25, every_seconds=4 * HOUR_S),
        PriceJump(symbol=symbol, bps=-25, every_seconds=4 * HOUR_S),
        Deleverage(symbol=symbol, fraction=0.5, every_seconds=24 * HOUR_S),
        SymbolStatusChange(
            symbol=symbol, status=SymbolStatus.PENDING_TRADING, duration_seconds=60, every_seconds=24 * HOUR_S
        ),
    )


class Misfortune(StrEnum):
    """What happens on our side."""

    WORKER_RESTARTS = "a worker is told to end, and another one starts"
    REDIS_RESTARTS = "Redis is killed, and comes back with what it had"
    REDIS_AWAY = "Redis hangs up, and takes no calls for a while"


class Event(msgspec.Struct, frozen=True):
    """`misfortune` or a market that becomes `regime` for `lasts_s`; `after_s` the one before it began."""

    after_s: float
    symbol: str
    misfortune: Misfortune | None
    regime: RegimeName | None
    lasts_s: float


_OFTEN_S = {
    Misfortune.WORKER_RESTARTS: 2 * HOUR_S,
    Misfortune.REDIS_RESTARTS: 8 * HOUR_S,
    Misfortune.REDIS_AWAY: 4 * HOUR_S,
}
_LIVELY_S = HOUR_S / 2
"""A busy market costs fifty times as much to play as a slow one: each is busy for half a minute in two hours."""
_LIVELY = [regime for regime in RegimeName if regime is not RegimeName.QUIET]


def of_ours(symbols: Sequence[str], seed: int) -> Iterator[Event]:
    """Without end."""
    random = Random(f"soak {seed}")  # noqa: S311 - bad luck, not a secret
    causes: list[Misfortune | None] = [*_OFTEN_S, None]
    rates = [1 / _OFTEN_S[cause] if cause is not None else 1 / _LIVELY_S for cause in causes]
    while True:
        (cause,) = random.choices(causes, rates)
        regime = random.choice(_LIVELY) if cause is None else None
        yield Event(random.expovariate(sum(rates)), random.choice(list(symbols)), cause, regime, random.uniform(10, 40))

"""What a worker costs of the request weight when it starts, when its streams are cut, and even when it does not quote:
so many fit behind one IP.

Tests hold both against what the simulated exchange counts.
"""

import math

from phoenix_worker.core.day import DAY_MS
from phoenix_worker.core.funding import HOUR_MS
from phoenix_worker.core.reconcile import IDLE_COMPARE_NS
from phoenix_worker.core.session import DEAD_MAN_REFRESH_NS
from phoenix_worker.core.upkeep import MINUTES_EVERY_NS
from phoenix_worker.venue.binance.income import INCOME_WEIGHT
from phoenix_worker.venue.binance.preflight import CLOCK_SAMPLES
from phoenix_worker.venue.binance.reads import MINUTES_WEIGHT, SNAPSHOT_WEIGHT
from phoenix_worker.venue.binance.reference import CLOCK_EVERY_S, JITTER, RELOAD_EVERY_S
from phoenix_worker.venue.binance.user_stream import EXTEND_EVERY_S
from phoenix_worker.venue.clock import NS_PER_S

DEAD_MAN = 10
TRUTH = 5 + 1 + 5
"""Position, open orders and trades: a comparison that finds no difference."""
CLOCK = CLOCK_SAMPLES
REFERENCE = 1 + 1 + 20
"""Filters, leverage bracket and fees."""
LISTEN_KEY = 1
PREFLIGHT = CLOCK + REFERENCE + 5 + 5 + (5 + 1 + 1 + 1) + 1 + 5
"""With it account, the symbol's settings and their change while it is flat, mark price and balance."""
FUNDING = 2 * INCOME_WEIGHT
"""Regular and special."""
FIRST_TRUTH = 5 + 5 + 5 + 1 + 5 + 5
"""Trades of the day, or else the last one; position, open orders, position again, and trades since."""
DAY = 1 + 5 + 5
"""Mark price of 00:00 and the trades since; a thousand trades more cost five more, each other asset of fees one."""
START = PREFLIGHT + CLOCK + LISTEN_KEY + SNAPSHOT_WEIGHT + MINUTES_WEIGHT + DEAD_MAN + FIRST_TRUTH + FUNDING + DAY
"""Until a worker that leads at once may quote."""

RECONNECT = LISTEN_KEY + SNAPSHOT_WEIGHT + FIRST_TRUTH
"""Once all streams of a worker were cut, until it may quote again, a snapshot that was too old aside."""


def fixed_weight_1m() -> int:
    """Weight a minute of a leader without orders, rounded up; what is jittered counts at its most frequent."""
    every_s = (
        (DEAD_MAN, DEAD_MAN_REFRESH_NS / NS_PER_S),
        (TRUTH, IDLE_COMPARE_NS / NS_PER_S),
        (CLOCK, CLOCK_EVERY_S * (1 - JITTER)),
        (REFERENCE, RELOAD_EVERY_S * (1 - JITTER)),
        (LISTEN_KEY, EXTEND_EVERY_S),
        (MINUTES_WEIGHT, MINUTES_EVERY_NS / NS_PER_S),
        (FUNDING, HOUR_MS / 1000),
        (DAY, DAY_MS / 1000),
    )
    return math.ceil(sum(weight * 60 / seconds for weight, seconds in every_s))

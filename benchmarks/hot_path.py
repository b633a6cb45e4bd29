"""The hot path per market message: bytes → decoded → sequence-checked → book → statistics → decision.

Run over a capture, recorded or synthetic, with an engine that quotes: it holds a lease, its orders are acknowledged at
once, and every decision that the market asks for is made and paid for here.
The floor is `orjson.loads` of the same bytes; the reference is what a careful reader would write by hand with msgspec,
a dict and a sorted key list, without statistics or decisions.
"""

import gc
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import orjson
from capture import Frame, Kind
from phoenix_worker.venue.binance import messages
from quoting_engine import QuotingEngine


def _timed(frames: list[Frame], step: Callable[[Frame], object]) -> float:
    gc.collect()
    began = time.perf_counter_ns()
    for frame in frames:
        step(frame)
    return (time.perf_counter_ns() - began) / len(frames) / 1_000


def floor(frames: list[Frame]) -> float:
    """µs a message of one pass over these frames."""
    loads = orjson.loads
    return _timed(frames, lambda frame: loads(frame.raw))


class _Levels(msgspec.Struct, gc=False):
    pu: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class _Enveloped(msgspec.Struct, gc=False):
    data: _Levels


def reference_depth(frames: list[Frame]) -> float:
    """Typed decode, sequence check, dict and sorted keys: the usual fast Python book. µs a message of one pass."""
    decode = msgspec.json.Decoder(_Enveloped, strict=False).decode
    sides: list[tuple[dict[float, float], list[float]]] = [({}, []), ({}, [])]
    last = 0

    def step(frame: Frame) -> None:
        nonlocal last
        message = decode(frame.raw).data
        if last and message.pu != last:
            raise ValueError("the capture has a gap")
        last = message.u
        for levels, (quantities, keys) in zip((message.b, message.a), sides, strict=True):
            for price, quantity in levels:
                if quantity:
                    if price not in quantities:
                        keys.insert(bisect_left(keys, price), price)
                    quantities[price] = quantity
                elif quantities.pop(price, None) is not None:
                    del keys[bisect_left(keys, price)]

    return _timed(frames, step)


@dataclass(frozen=True)
class Phoenix:
    """µs a message of one pass, and what was decided and sent meanwhile."""

    microseconds: dict[Kind, float]
    decisions: int
    orders: int


def phoenix(frames: list[Frame], symbol: str) -> Phoenix:
    """One engine over the whole capture in its own order; each message is paid for by its kind.

    The clock is read once around every message, and what reading costs is measured and taken off.
    """
    decoders = {Kind.DEPTH: messages.depth, Kind.TICKER: messages.touch, Kind.TRADE: messages.trade}
    counter = time.perf_counter_ns
    clock_cost = min(_clock_cost() for _ in range(5))
    rig = QuotingEngine.of_capture(frames)
    engine_on = rig.engine.on
    spent, count = dict.fromkeys(decoders, 0), dict.fromkeys(decoders, 0)
    gc.collect()
    for frame in frames:
        rig.let_time_pass(frame.at_ns)
        decode = decoders.get(frame.kind)
        if decode is None:
            continue
        began = counter()
        event = decode(frame.raw, frame.at_ns, symbol)
        actions = engine_on(event) if event is not None else []
        spent[frame.kind] += counter() - began - clock_cost
        count[frame.kind] += 1
        if actions:
            rig.acknowledge(actions, frame.at_ns)
    counters = rig.engine.account.counters
    if not counters.placed:
        raise SystemExit("the engine of the benchmark never quoted: what was measured is not a maker's work")
    return Phoenix(
        {kind: spent[kind] / max(1, count[kind]) / 1_000 for kind in decoders},
        counters.decisions,
        counters.placed + counters.amended,
    )


def _clock_cost() -> int:
    began = time.perf_counter_ns()
    for _ in range(10_000):
        time.perf_counter_ns()
    return (time.perf_counter_ns() - began) // 10_000

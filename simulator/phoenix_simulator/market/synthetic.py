"""A seeded market that looks like the recording: order flow at the touch, moves of the price, a ladder behind it.

What happens, each a point process whose rate breathes with a common activity (busy and slow minutes):

* *touch changes*: the quantity at a best price grows or shrinks towards what the price gathers when left alone;
* *market orders* of one side for a while (signs persist), printed in the small pieces that they meet;
* *moves*: within some tens of milliseconds takers sweep one side, the rest of it is cancelled, and the other side
  follows until the spread is what it was. Direction: the fair price pulls, small moves continue, large ones revert.
  Before a move the side that will give way drains and orders lean towards it: this, with the follow-through after it,
  is what makes the resting orders that are filled the wrong ones, as on the venue;
* *depth frames* change the ladder behind the touch; *marks* come every second.

The source keeps no book. It reads the exchange's between two updates, so what accounts took is gone, and what is said
next starts from there. Everything else depends on the seed alone, never on the clock of the wall.

Nobody reacts to accounts' quotes unless there are `agents`. What it cannot be: a market that knows other symbols, or
one with news before its price. Figures beside the recording's: `docs/market-model.md`.
"""

import math
from collections.abc import Iterator
from random import Random

from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.agents import Agent, Agents
from phoenix_simulator.market.fair_value import FairValue
from phoenix_simulator.market.ladder import Ladder
from phoenix_simulator.market.regimes import REGIMES, Regime, RegimeName, scale_of
from phoenix_simulator.market.shapes import (
    MOVE_SIZE,
    ORDER_SIZE,
    PRINT_SIZE,
    SIZE_AHEAD,
    SIZE_BEHIND,
    TOUCH_CHANGE,
    TOUCH_SIZE,
    Shape,
)
from phoenix_simulator.market.source import (
    BackgroundView,
    DepthUpdate,
    Level,
    MarketKind,
    MarketStart,
    MarketUpdate,
    TakerUpdate,
)

_MARK_S = 1.0
_CLUSTERED = 0.8
"""Share of touch changes that answer another one within about a millisecond."""
_CLUSTER_S = 0.0008
_ACTIVITY_SIGMA = 0.6
_ACTIVITY_MEMORY_S = 8.0
"""Log activity is an Ornstein–Uhlenbeck process; 90 % of the recording's seconds have 47 to 480 touch changes."""
_SIGN_MEMORY_ORDERS = 30.0
_SIGN_SIGMA = 0.35
"""Order signs of the recording correlate by 0.20 from one to the next and still by 0.03 fifty orders later."""
_DRAIN_S = 0.4
"""A best price that is about to give way is left by most of its queue during this time."""
_MAX_PIECES = 150
"""Prints of one sweep; the recording's largest order met 315 others."""
_MOST_STAGES = 100
"""Of one move, each some 5 ms: half a second. Nothing else happens meanwhile, marks least of all, and however far a
price jumps, nobody shall have time to leave before the mark has followed.
"""
_LONG_PATH_TICKS = 200
"""Beyond this a move is mostly cancellation: nobody waits in the way of a jump."""


class SyntheticSource:
    """A `MarketSource` without end. `updates` can be consumed once: it is one life of the market."""

    def __init__(
        self, spec: SymbolSpec, seed: int, regime: RegimeName | Regime = RegimeName.CALM, agents: tuple[Agent, ...] = ()
    ) -> None:
        self._spec = spec
        # A text seeds Random by its digest: the same on every machine, and other for every symbol of a run.
        self._random = Random(f"phoenix market {spec.symbol} {seed}")  # noqa: S311 - a market, not a secret
        self._regime = regime if isinstance(regime, Regime) else REGIMES[regime]
        self._scale = scale_of(spec)
        self._ladder = Ladder(self._scale, self._random)
        self._ladder.liquidity = self._regime.liquidity
        bid = round(self._scale.price / float(spec.tick_size))
        ask = bid + self._regime.spread_ticks
        self._fair = FairValue(spec, self._scale, self._regime, (bid + ask) / 2, self._random)
        agents_random = Random(f"phoenix agents {spec.symbol} {seed}")  # noqa: S311 - as above
        self._agents = Agents(agents, self._scale, self, agents_random)
        self._now_s = 0.0
        self._log_activity = 0.0
        self._activity = self._activity_now()
        self._lean = 0.0
        """Of order signs, −1 (all sell) to 1 (all buy)."""
        self._direction = 1
        self._last_move = 0.0
        """Signed, in ticks of the recording."""
        self._move_at_s = 0.0
        self._jump_ticks = 0
        """Of a move that was asked for; signed."""
        self._bid_target = self._resting(TOUCH_SIZE)
        self._ask_target = self._resting(TOUCH_SIZE)
        bids, asks = self._ladder.opening(bid, ask)
        mark = self._fair.mark(0)
        self._start = MarketStart(
            MarketKind.SYNTHETIC,
            ((bid, self._bid_target), *bids),
            ((ask, self._ask_target), *asks),
            mark.mark_e8,
            mark.index_e8,
            mark.funding_rate_e8,
        )

    @property
    def symbol(self) -> str:
        return self._spec.symbol

    def start(self) -> MarketStart:
        return self._start

    def set_regime(self, regime: RegimeName) -> None:
        """From the next event on; what is already due still comes, and the book changes level by level."""
        self._regime = REGIMES[regime]
        self._ladder.liquidity = self._regime.liquidity

    def jump(self, bps: float) -> None:
        """The next event is a move of so much (negative: down)."""
        self._jump_ticks = round(bps * self._scale.bps_to_ticks)
        self._direction = 1 if bps > 0 else -1
        self._move_at_s = self._now_s

    @property
    def fair_ticks(self) -> float:
        """What the symbol is worth, which nobody sees but agents."""
        return self._fair.ticks

    # ---- the loop -----------------------------------------------------------------------------------------------

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:
        touch_s, order_s, frame_s, mark_s = self._touch_wait(), self._order_wait(), self._frame_wait(), _MARK_S
        agents_s = self._agents.due_s
        self._plan_move(background)
        while True:
            due_s = min(touch_s, order_s, frame_s, mark_s, self._move_at_s, agents_s)
            self._now_s = max(self._now_s, due_s)
            if due_s == touch_s:
                if (update := self._change_touch(background)) is not None:
                    yield update
                touch_s = self._now_s + self._touch_wait()
            elif due_s == order_s:
                yield from self._order(background)
                order_s = self._now_s + self._order_wait()
            elif due_s == frame_s:
                if (update := self._frame(background)) is not None:
                    yield update
                frame_s = self._now_s + self._frame_wait()
            elif due_s == mark_s:
                yield self._fair.advance(_MARK_S, self._regime, self._mid(background), self._time_ns())
                mark_s += _MARK_S
            elif due_s == agents_s:
                yield from self._agents.act(background, self._now_s)
                agents_s = self._agents.due_s
            else:
                yield from self._move(background)
                self._plan_move(background)

    def _time_ns(self) -> int:
        return int(self._now_s * 1e9)

    def _wait(self, mean_s: float) -> float:
        return -math.log(1.0 - self._random.random()) * mean_s

    def _activity_now(self) -> float:
        """Of everything that happens, beside the regime's rates; until the next frame."""
        return self._scale.activity * math.exp(_ACTIVITY_SIGMA * self._log_activity - _ACTIVITY_SIGMA**2 / 2)

    def _touch_wait(self) -> float:
        mean_s = 1 / (self._regime.touch_changes_per_s * self._activity)
        pause_s = (mean_s - _CLUSTERED * _CLUSTER_S) / (1 - _CLUSTERED)
        if self._random.random() < _CLUSTERED and pause_s > 0:
            return self._wait(_CLUSTER_S)
        return self._wait(max(pause_s, _CLUSTER_S))

    def _order_wait(self) -> float:
        return self._wait(1 / (self._regime.orders_per_s * self._activity))

    def _frame_wait(self) -> float:
        """About constant where frames are timed (as `@0ms` is), random where a frame needs something to report."""
        mean_s = self._regime.frame_s
        wait_s = mean_s * (0.93 + 0.14 * self._random.random()) if mean_s < 1 else self._wait(mean_s)
        keep = math.exp(-wait_s / _ACTIVITY_MEMORY_S)
        self._log_activity = self._log_activity * keep + self._random.gauss(0.0, math.sqrt(1 - keep * keep))
        self._activity = self._activity_now()
        return wait_s

    def _steps(self, shape: Shape) -> int:
        """Of an order."""
        return max(1, round(shape.draw(self._random) * self._scale.steps))

    def _resting(self, shape: Shape) -> int:
        """Of what rests in the book."""
        return max(1, round(shape.draw(self._random) * self._scale.steps * self._regime.liquidity))

    # ---- between moves ------------------------------------------------------------------------------------------

    def _touch(self, view: BackgroundView) -> tuple[Level, Level]:
        """Best background bid and ask; where accounts have emptied a side, (price it would have, 0)."""
        bid, ask = view.best_bid(), view.best_ask()
        spread = self._regime.spread_ticks
        if bid is None:
            bid = ((ask[0] if ask is not None else round(self._fair.ticks)) - spread, 0)
        if ask is None:
            ask = (bid[0] + spread, 0)
        return bid, ask

    def _mid(self, view: BackgroundView) -> float:
        bid, ask = self._touch(view)
        return (bid[0] + ask[0]) / 2

    def _level(self, *, is_bid: bool, price: int, steps: int) -> DepthUpdate:
        level = ((price, steps),)
        return DepthUpdate(self._time_ns(), level, ()) if is_bid else DepthUpdate(self._time_ns(), (), level)

    def _levels(self, bids: list[Level], asks: list[Level]) -> DepthUpdate:
        return DepthUpdate(self._time_ns(), tuple(bids), tuple(asks))

    def _change_touch(self, view: BackgroundView) -> DepthUpdate | None:
        bid, ask = self._touch(view)
        if ask[0] - bid[0] > self._regime.spread_ticks:
            return self._close_spread(bid[0], ask[0])
        is_bid = self._random.random() < 0.5
        price, steps = bid if is_bid else ask
        target = self._target(is_bid=is_bid)
        grow = 0.5 + 0.4 * max(-1.0, min(1.0, (target - steps) / target))
        size = self._resting(TOUCH_CHANGE)
        changed = steps + size if self._random.random() < grow else max(steps - size, 1)
        return self._level(is_bid=is_bid, price=price, steps=changed) if changed != steps else None

    def _target(self, *, is_bid: bool) -> float:
        """What the queue at a best price tends to: little, once it is about to give way."""
        target: float = self._bid_target if is_bid else self._ask_target
        if self._regime.one_sided:
            met = is_bid == (self._fair.direction < 0)
            target *= 1 - self._regime.one_sided / 2 if met else 1 + self._regime.one_sided / 2
        pressure = 1 - (self._move_at_s - self._now_s) / _DRAIN_S
        if pressure <= 0:
            return target
        gives_way = is_bid == (self._direction < 0)
        return max(1.0, target * (1 - pressure)) if gives_way else target * (1 + 0.4 * pressure)

    def _close_spread(self, bid: int, ask: int) -> DepthUpdate:
        """Somebody quotes inside a spread that is wider than usual, rather on the side of the fair price."""
        pull = math.tanh((self._fair.ticks - (bid + ask) / 2) / (10 * self._scale.ticks + 1))
        is_bid = self._random.random() < 0.5 + 0.4 * pull
        price = ask - self._regime.spread_ticks if is_bid else bid + self._regime.spread_ticks
        return self._level(is_bid=is_bid, price=price, steps=self._resting(SIZE_BEHIND))

    def _order(self, view: BackgroundView) -> Iterator[MarketUpdate]:
        """A market order that the best price withstands."""
        keep = math.exp(-1 / _SIGN_MEMORY_ORDERS)
        self._lean = self._lean * keep + self._random.gauss(0.0, _SIGN_SIGMA * math.sqrt(1 - keep * keep))
        pressure = max(0.0, 1 - (self._move_at_s - self._now_s) / _DRAIN_S)
        lean = self._lean + self._regime.informed * self._direction * pressure
        lean += self._regime.one_sided * self._fair.direction
        is_buy = self._random.random() < 0.5 * (1 + lean)
        bid, ask = self._touch(view)
        price, available = ask if is_buy else bid
        yield from self._take(is_buy=is_buy, steps=min(self._steps(ORDER_SIZE), available * 4 // 5), limit_ticks=price)

    def _take(self, *, is_buy: bool, steps: int, limit_ticks: int) -> Iterator[MarketUpdate]:
        """One order, in the pieces that it is printed in."""
        piece_floor = steps // _MAX_PIECES
        while steps > 0:
            piece = min(steps, max(self._steps(PRINT_SIZE), piece_floor))
            steps -= piece
            yield TakerUpdate(self._time_ns(), is_buy, piece, limit_ticks)

    def _frame(self, view: BackgroundView) -> DepthUpdate | None:
        bid, ask = self._touch(view)
        usual = self._scale.activity
        changes = self._regime.changes_scale * usual * (0.5 + 0.5 * min(2.0, self._activity / usual))
        bids, asks = self._ladder.churn(view, bid[0], ask[0], changes)
        return DepthUpdate(self._time_ns(), bids, asks) if bids or asks else None

    # ---- moves --------------------------------------------------------------------------------------------------

    def _plan_move(self, view: BackgroundView) -> None:
        """When the price moves next and where to; how far is decided when it does."""
        self._move_at_s = self._now_s + self._wait(1 / (self._regime.moves_per_s * self._activity))
        size = abs(self._last_move)
        persistence = (0.5 if size < 20 else 0.25 if size < 60 else -0.2) + self._regime.momentum
        gap = (self._fair.ticks - self._mid(view)) / self._scale.ticks
        bias = math.copysign(persistence, self._last_move) + 0.8 * math.tanh(gap / 60)
        self._direction = 1 if self._random.random() < 0.5 * (1 + max(-0.9, min(0.9, bias))) else -1

    def _move_ticks(self) -> int:
        if self._jump_ticks:
            asked, self._jump_ticks = abs(self._jump_ticks), 0
            return asked
        regime, scale, random = self._regime, self._scale, self._random.random
        if random() < regime.jumps_per_s / regime.moves_per_s:
            low, high = regime.jump_bps
            ticks = (low + (high - low) * random()) * scale.volatility * scale.bps_to_ticks
        else:
            ticks = MOVE_SIZE.draw(self._random) * regime.move_scale * scale.volatility * scale.ticks
        # Where one tick is a large move, most of them are none and a few are one.
        return int(ticks + random())

    def _move(self, view: BackgroundView) -> Iterator[MarketUpdate]:
        direction, is_up = self._direction, self._direction > 0
        bid, ask = self._touch(view)
        start, mid = ask[0] if is_up else bid[0], (bid[0] + ask[0]) / 2
        ticks = self._move_ticks() if is_up else min(self._move_ticks(), start - 2 * self._regime.spread_ticks)
        stages = min(_MOST_STAGES, 1 + int(self._wait(ticks / (32 * self._scale.ticks))))
        reached = 0
        for stage in range(1, stages + 1):
            goal = round(ticks * stage / stages)
            if goal <= reached:
                continue
            reached = goal
            yield from self._sweep(view, is_up=is_up, target=start + direction * reached)
            self._pause()
            if stage == stages or self._random.random() < 0.7:
                yield self._follow(view, is_up=is_up)
                self._pause()
        self._bid_target, self._ask_target = self._resting(TOUCH_SIZE), self._resting(TOUCH_SIZE)
        self._fair.moved(mid, direction * ticks)
        self._last_move = direction * ticks / self._scale.ticks
        self._lean = max(-1.0, min(1.0, self._lean + 0.1 * direction))

    def _pause(self) -> None:
        self._now_s += self._wait(0.012 if self._random.random() < 0.2 else 0.001)

    def _sweep(self, view: BackgroundView, *, is_up: bool, target: int) -> Iterator[MarketUpdate]:
        """The side in the way goes, by trade or by cancellation, up to `target`, the new best price."""
        bid, ask = self._touch(view)
        path = range(ask[0], target) if is_up else range(bid[0], target, -1)
        if not path:
            return
        total = sum(view.quantity(is_bid=not is_up, price_ticks=price) for price in path)
        share = 1.0 if self._random.random() < 0.5 else 0.5 * self._random.random()
        if len(path) > _LONG_PATH_TICKS * max(1.0, self._scale.ticks):
            share *= 0.3
        swept = int(total * share)
        at_touch = min(swept, view.quantity(is_bid=not is_up, price_ticks=path[0]))
        yield from self._take(is_buy=is_up, steps=at_touch, limit_ticks=path[0])
        if swept > at_touch:
            yield TakerUpdate(self._time_ns(), is_up, swept - at_touch, path[-1])
        left = [(price, 0) for price in path if view.quantity(is_bid=not is_up, price_ticks=price)]
        if not view.quantity(is_bid=not is_up, price_ticks=target):
            left.append((target, self._resting(SIZE_AHEAD)))
        if left:
            yield self._levels([] if is_up else left, left if is_up else [])

    def _follow(self, view: BackgroundView, *, is_up: bool) -> DepthUpdate:
        """The other side closes the spread; of its old best price little remains."""
        bid, ask = self._touch(view)
        spread = self._regime.spread_ticks
        (old, steps), best = (bid, ask[0] - spread) if is_up else (ask, bid[0] + spread)
        levels = [(best, self._resting(SIZE_BEHIND))]
        if old != best and steps:
            levels.append((old, min(steps, self._ladder.next_size())))
        return self._levels(levels if is_up else [], [] if is_up else levels)

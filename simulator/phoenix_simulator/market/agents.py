"""Agents of a synthetic market that react to accounts' quotes. Nobody in a recording does, and in life somebody does.

* **pick-off**: takes a quote that the fair price has left behind by more than `edgeBps`. He sees the fair price (other
  venues trade first) and is as quick as the recording's takers are within a move of the price.
* **queue-jump**: bids a tick more than an account that leads its side alone, where the spread has room, as quickly as
  the recording's wide spreads close; after `holdSeconds`, or once that quote is gone, he leaves.

They look fifty times a second and act a reaction time later on what they saw: an account that is quicker escapes.
What is random is drawn from a generator of their own, so that agents who find nothing to do change nothing.
"""

import heapq
from collections.abc import Iterator
from random import Random
from typing import Annotated, Final, Protocol

import msgspec

from phoenix_simulator.market.regimes import Scale
from phoenix_simulator.market.shapes import SIZE_BEHIND, Shape
from phoenix_simulator.market.source import BackgroundView, DepthUpdate, Level, MarketUpdate, TakerUpdate

LOOK_S: Final = 0.02

PICK_OFF_S: Final = Shape((0, 0.001), (0.5, 0.005), (0.75, 0.030), (0.9, 0.068), (0.95, 0.089), (1, 0.150))
"""How long a move of the price takes in the recording (first to last change of the touch, changes 50 ms apart)."""
JUMP_S: Final = Shape((0, 0.0005), (0.5, 0.001), (0.75, 0.003), (0.9, 0.012), (0.95, 0.028), (0.99, 0.093), (1, 0.2))
"""How long a spread of more than a tick stays open in the recording."""


class _Agent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", forbid_unknown_fields=True):
    """`slowness` multiplies the reaction times."""

    slowness: Annotated[float, msgspec.Meta(gt=0, le=1_000)] = 1.0


class PickOff(_Agent, frozen=True, kw_only=True, tag="pick-off"):
    edge_bps: Annotated[float, msgspec.Meta(gt=0, le=1_000)] = 1.0


class QueueJump(_Agent, frozen=True, kw_only=True, tag="queue-jump"):
    hold_seconds: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 3.0


Agent = PickOff | QueueJump


class Market(Protocol):
    """What agents know of the market beside the book."""

    @property
    def fair_ticks(self) -> float: ...


class _Jump(msgspec.Struct, frozen=True):
    """A level that a queue jumper has, or will have, before an account's quote."""

    price_ticks: int
    behind_ticks: int
    """The quote that was jumped."""


class _Act(msgspec.Struct, frozen=True, order=True):
    due_s: float
    number: int
    agent: int
    is_bid: bool
    quote: Level
    """As it was seen: (price, steps)."""


class Agents:
    """All agents of one market. `due_s` is when they next look or act; `act` then says what they do."""

    def __init__(self, agents: tuple[Agent, ...], scale: Scale, market: Market, random: Random) -> None:
        self._agents = agents
        self._scale = scale
        self._market = market
        self._random = random
        self._acts: list[_Act] = []
        self._pending: set[tuple[int, bool]] = set()
        """(agent, side) with an act under way: each does one thing a side at a time."""
        self._jumps: dict[tuple[int, bool], _Jump] = {}
        self._leave_s: dict[tuple[int, bool], float] = {}
        self._look_s = LOOK_S if agents else float("inf")
        self._number = 0

    @property
    def due_s(self) -> float:
        return min(self._look_s, self._acts[0].due_s) if self._acts else self._look_s

    def act(self, view: BackgroundView, now_s: float) -> Iterator[MarketUpdate]:
        """At `due_s`. Each update is applied before the next one is decided, so that two agents never cross. There is
        one at least, or a market that stands still would be looked at ahead of its time.
        """
        has_acted = False
        for update in self._all_due(view, now_s):
            has_acted = True
            yield update
        if not has_acted:
            yield DepthUpdate(int(now_s * 1e9), (), ())

    def _all_due(self, view: BackgroundView, now_s: float) -> Iterator[MarketUpdate]:
        while self._acts and self._acts[0].due_s <= now_s:
            yield from self._perform(view, heapq.heappop(self._acts), now_s)
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            yield from self._look(view, now_s)

    # ---- looking ------------------------------------------------------------------------------------------------

    def _look(self, view: BackgroundView, now_s: float) -> Iterator[MarketUpdate]:
        for number, agent in enumerate(self._agents):
            for is_bid in (True, False):
                key = (number, is_bid)
                quote = view.best_quote(is_bid=is_bid)
                if key in self._jumps:
                    yield from self._leave(view, key, quote, now_s)
                elif quote is not None and key not in self._pending and self._is_worth_it(agent, view, is_bid, quote):
                    self._plan(agent, key, quote, now_s)

    def _is_worth_it(self, agent: Agent, view: BackgroundView, is_bid: bool, quote: Level) -> bool:
        sign, price = (1 if is_bid else -1), quote[0]
        match agent:
            case PickOff(edge_bps=edge_bps):
                return sign * (price - self._market.fair_ticks) > edge_bps * self._scale.bps_to_ticks
            case QueueJump():
                best = view.best_bid() if is_bid else view.best_ask()
                leads = best is None or sign * (price - best[0]) > 0
                return leads and self._has_room(view, is_bid=is_bid, price=price + sign)

    def _plan(self, agent: Agent, key: tuple[int, bool], quote: Level, now_s: float) -> None:
        shape = PICK_OFF_S if isinstance(agent, PickOff) else JUMP_S
        self._number += 1
        due_s = now_s + shape.draw(self._random) * agent.slowness
        heapq.heappush(self._acts, _Act(due_s, self._number, *key, quote))
        self._pending.add(key)

    @staticmethod
    def _has_room(view: BackgroundView, *, is_bid: bool, price: int) -> bool:
        """Whether a level at `price` meets nobody on the other side."""
        others = (
            (view.best_ask(), view.best_quote(is_bid=False))
            if is_bid
            else (
                view.best_bid(),
                view.best_quote(is_bid=True),
            )
        )
        sign = 1 if is_bid else -1
        return price > 0 and all(level is None or sign * (level[0] - price) > 0 for level in others)

    # ---- acting -------------------------------------------------------------------------------------------------

    def _perform(self, view: BackgroundView, act: _Act, now_s: float) -> Iterator[MarketUpdate]:
        key = (act.agent, act.is_bid)
        self._pending.discard(key)
        time_ns, sign = int(now_s * 1e9), (1 if act.is_bid else -1)
        price, steps = act.quote
        match self._agents[act.agent]:
            case PickOff():
                # Sent for what was seen: where the quote has gone, so has the price that was worth taking.
                ahead = view.quantity(is_bid=act.is_bid, price_ticks=price)
                yield TakerUpdate(time_ns, not act.is_bid, steps + ahead, price)
            case QueueJump(hold_seconds=hold_s):
                jumped = price + sign
                if not self._has_room(view, is_bid=act.is_bid, price=jumped):
                    return
                self._jumps[key] = _Jump(jumped, price)
                self._leave_s[key] = now_s + hold_s
                size = max(1, round(SIZE_BEHIND.draw(self._random) * self._scale.steps))
                yield _level(time_ns, is_bid=act.is_bid, price=jumped, steps=size)

    def _leave(
        self, view: BackgroundView, key: tuple[int, bool], quote: Level | None, now_s: float
    ) -> Iterator[MarketUpdate]:
        jump = self._jumps[key]
        if quote is not None and quote[0] == jump.behind_ticks and now_s < self._leave_s[key]:
            return
        del self._jumps[key], self._leave_s[key]
        if view.quantity(is_bid=key[1], price_ticks=jump.price_ticks):
            yield _level(int(now_s * 1e9), is_bid=key[1], price=jump.price_ticks, steps=0)


def _level(time_ns: int, *, is_bid: bool, price: int, steps: int) -> DepthUpdate:
    level = ((price, steps),)
    return DepthUpdate(time_ns, level if is_bid else (), () if is_bid else level)

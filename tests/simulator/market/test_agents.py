"""Agents that react to accounts' quotes, on a book that a test states."""

from random import Random

import msgspec
import pytest
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.agents import LOOK_S, Agent, Agents, PickOff, QueueJump
from phoenix_simulator.market.regimes import scale_of
from phoenix_simulator.market.source import DepthUpdate, TakerUpdate
from phoenix_simulator.market.synthetic import SyntheticSource

BTC = BUILT_IN["BTCUSDT"]
EDGE_TICKS = 61.8
"""One basis point of BTCUSDT."""


class View:
    """Background at 10 000 / 10 004, and the quotes of an account."""

    def __init__(self) -> None:
        self.fair_ticks = 10_002.0
        self.background = {True: {10_000: 500}, False: {10_004: 500}}
        self.quotes: dict[bool, tuple[int, int] | None] = {True: None, False: None}

    def best_bid(self):
        return max(self.background[True].items())

    def best_ask(self):
        return min(self.background[False].items())

    def best_quote(self, *, is_bid):
        return self.quotes[is_bid]

    def quantity(self, *, is_bid, price_ticks):
        return self.background[is_bid].get(price_ticks, 0)


class Play:
    def __init__(self, *agents: Agent) -> None:
        self.view = View()
        self.now_s = 0.0
        self.agents = Agents(agents, scale_of(BTC), self.view, Random(1))  # noqa: S311 - a market, not a secret

    def until(self, seconds: float) -> list[TakerUpdate | DepthUpdate]:
        """What the agents did, each update applied to the background; looks that found nothing left out."""
        done = []
        while self.agents.due_s <= seconds:
            self.now_s = max(self.now_s, self.agents.due_s)
            for update in self.agents.act(self.view, self.now_s):
                match update:
                    case DepthUpdate(bids=bids, asks=asks):
                        for is_bid, levels in ((True, bids), (False, asks)):
                            for price, steps in levels:
                                self.view.background[is_bid][price] = steps
                                if not steps:
                                    del self.view.background[is_bid][price]
                        if bids or asks:
                            done.append(update)
                    case _:
                        done.append(update)
        return done


def test_without_agents_nothing_is_ever_due():
    assert Play().agents.due_s == float("inf")


def test_an_agent_who_finds_nothing_still_keeps_the_time_of_the_market():
    play = Play(PickOff())
    (update,) = play.agents.act(play.view, LOOK_S)
    assert update == DepthUpdate(int(LOOK_S * 1e9), (), ())


# ---- pick-off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_bid", "fair_ticks"), [(True, 10_000 - EDGE_TICKS - 1), (False, 10_004 + EDGE_TICKS + 1)], ids=["bid", "ask"]
)
def test_a_quote_that_the_fair_price_left_behind_is_taken_with_what_stands_ahead_of_it(is_bid, fair_ticks):
    play = Play(PickOff(edge_bps=1.0))
    price = 10_000 if is_bid else 10_004
    play.view.quotes[is_bid] = (price, 50)
    play.view.fair_ticks = fair_ticks
    first = play.until(1.0)[0]
    assert isinstance(first, TakerUpdate)
    assert (first.is_buy, first.qty_steps, first.limit_ticks) == (not is_bid, 550, price)
    assert LOOK_S * 1e9 < first.time_ns <= (LOOK_S + 0.15) * 1e9


def test_a_quote_within_the_edge_is_left_alone():
    play = Play(PickOff(edge_bps=1.0))
    play.view.quotes = {True: (10_000, 50), False: (10_004, 50)}
    play.view.fair_ticks = 10_000 - EDGE_TICKS + 1
    assert play.until(5.0) == []


def test_who_is_quicker_than_the_agent_escapes_with_another_price():
    """The order that was sent for the old price is sent all the same: at that price, and no further."""
    play = Play(PickOff(slowness=100.0))
    play.view.quotes[True] = (10_000, 50)
    play.view.fair_ticks = 9_900.0
    play.until(LOOK_S)
    play.view.quotes[True] = (9_800, 50)
    assert [update.limit_ticks for update in play.until(20.0)] == [10_000]


# ---- queue-jump -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_bid", "quote", "jumped"), [(True, 10_001, 10_002), (False, 10_003, 10_002)], ids=["bid", "ask"]
)
def test_who_leads_alone_is_bid_over_by_a_tick_for_a_while(is_bid, quote, jumped):
    play = Play(QueueJump(hold_seconds=1.0))
    play.view.quotes[is_bid] = (quote, 50)
    play.until(0.5)
    assert jumped in play.view.background[is_bid]
    play.view.quotes[is_bid] = None
    play.until(0.6)
    assert jumped not in play.view.background[is_bid]


def test_two_jumpers_who_come_at_once_do_not_meet():
    play = Play(QueueJump())
    play.view.quotes = {True: (10_001, 50), False: (10_003, 50)}
    play.until(LOOK_S)
    play.now_s = 0.5  # the market was busy meanwhile: both are overdue
    play.until(0.5)
    assert play.view.best_bid()[0] < play.view.best_ask()[0]


def test_the_jumper_leaves_after_a_while_although_the_quote_stays():
    play = Play(QueueJump(hold_seconds=1.0))
    play.view.quotes[True] = (10_001, 50)
    levels = [update.bids for update in play.until(3.0)]
    # In, out, and in again: the quote leads once more.
    assert [bool(level[0][1]) for level in levels[:3]] == [True, False, True]


@pytest.mark.parametrize(
    "quotes",
    [
        pytest.param({True: (10_000, 50), False: None}, id="a quote among others"),
        pytest.param({True: (9_990, 50), False: None}, id="a quote behind others"),
        pytest.param({True: (10_003, 50), False: None}, id="no room before the best ask"),
        pytest.param({True: (10_001, 50), False: (10_002, 50)}, id="no room before the account's own ask"),
    ],
)
def test_nobody_is_jumped_where_there_is_nothing_to_jump_or_no_room(quotes):
    play = Play(QueueJump())
    play.view.quotes = quotes
    play.until(2.0)
    assert play.view.background[True] == {10_000: 500}


# ---- in a market ------------------------------------------------------------------------------------------------


def test_agents_without_a_quote_to_react_to_change_nothing(stage):
    alone = stage(SyntheticSource(BTC, 7))
    watched = stage(SyntheticSource(BTC, 7, agents=(PickOff(), QueueJump())))
    heard = []
    for market in (alone, watched):
        market.run(until_s=5)
        heard.append([event for event in market.events if event.time_ms < 5_000])
    assert heard[0] == heard[1]


@pytest.mark.parametrize("body", [{"kind": "herd"}, {"kind": "pick-off", "edgeBps": 0}, {"kind": "queue-jump", "x": 1}])
def test_an_agent_that_makes_no_sense_is_refused(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, type=Agent)

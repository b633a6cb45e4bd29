"""Who hears of which events, and what the streams of a book's changes have to tell."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_simulator.exchange.depth_diff import DepthDiff
from phoenix_simulator.exchange.events import (
    DepthChanged,
    ExchangeEvent,
    OrderUpdated,
    PrivateEvent,
    StatusChanged,
    TouchChanged,
    TradePrinted,
)
from phoenix_simulator.exchange.listeners import Listeners
from phoenix_simulator.exchange.orders import Side, TimeInForce
from phoenix_simulator.exchange.symbols import SymbolStatus
from phoenix_simulator.market.source import MarketKind

BUY, SELL = Side.BUY, Side.SELL
STATUS = StatusChanged("BTCUSDT", 1, SymbolStatus.TRADING)
TRADE = TradePrinted("BTCUSDT", 1, 2, 600_000, 3, False)


class TestListeners:
    def test_an_event_goes_to_those_who_asked_for_its_kind_in_the_order_in_which_they_came(self):
        listeners, heard = Listeners(), []
        listeners.append_for(lambda event: heard.append(("trades", event)), TradePrinted)
        listeners.append(lambda event: heard.append(("all", event)))
        listeners.append_for(lambda event: heard.append(("both", event)), StatusChanged, TradePrinted)
        listeners.tell(TRADE)
        listeners.tell(STATUS)
        assert heard == [("trades", TRADE), ("all", TRADE), ("both", TRADE), ("all", STATUS), ("both", STATUS)]
        assert len(listeners) == 3

    @pytest.mark.parametrize("kind", get_args(ExchangeEvent))
    def test_whether_anybody_hears_of_a_kind_is_known(self, kind):
        listeners = Listeners()
        assert not listeners.hear(kind)
        listeners.append_for(print, *get_args(PrivateEvent))
        assert listeners.hear(kind) is (kind in get_args(PrivateEvent))
        listeners.append(print)
        assert listeners.hear(kind)

    def test_a_book_that_nobody_hears_of_changes_all_the_same(self, open_venue):
        """Without a listener no event is made of it; ids, touch and streams are those of a book that is heard."""
        heard, unheard = open_venue(), open_venue(is_heard=False)
        diffs = []
        for venue in (heard, unheard):
            venue.listing.diffs.append(DepthDiff(venue.listing.last_update_id))
            venue.account()
            venue.limit(BUY, "0.010", "60000")
            venue.market(SELL, "1.500")
            (diff,) = venue.listing.diffs
            diffs.append((diff.first_id, diff.last_id, venue.listing.changed(diff), venue.listing.touch))
        assert diffs[0] == diffs[1]
        assert heard.public_book() == unheard.public_book()
        assert heard.heard(DepthChanged, TouchChanged, OrderUpdated)


class Client:
    """Applies the frames of a diff-depth stream to the book that it began with."""

    def __init__(self, venue):
        self.listing = venue.listing
        self.diff = DepthDiff(self.listing.last_update_id)
        self.listing.diffs.append(self.diff)
        self.sides = [dict(levels) for levels in venue.public_book()]
        self.last_id = self.listing.last_update_id

    def frame(self):
        """Reads what is due; nothing where nothing changed."""
        diff = self.diff
        if not diff.first_id:
            return
        assert diff.previous_id == self.last_id, "each frame continues the one before"
        assert diff.previous_id < diff.first_id <= diff.last_id == self.listing.last_update_id
        for side, levels in zip(self.sides, self.listing.changed(diff), strict=True):
            for ticks, steps in levels:
                if steps:
                    side[ticks] = steps
                else:
                    side.pop(ticks, None)
        self.last_id = diff.last_id
        diff.turn()

    def book(self):
        return tuple(sorted(self.sides[0].items(), reverse=True)), tuple(sorted(self.sides[1].items()))


ACTS = st.one_of(
    st.tuples(st.just("depth"), st.booleans(), st.integers(0, 6), st.sampled_from([0, 1, 700])),
    st.tuples(st.just("take"), st.booleans(), st.integers(1, 2500)),
    st.tuples(st.just("rest"), st.booleans(), st.integers(0, 5)),
    st.tuples(st.just("frame"), st.integers(0, 1)),
)


class TestDepthDiff:
    @settings(max_examples=150, deadline=None)
    @given(acts=st.lists(ACTS, max_size=40))
    def test_who_applies_every_frame_holds_the_public_book_whatever_the_rhythm(self, open_venue, acts):
        venue = open_venue()
        venue.account(usdt=100_000_000)
        clients = [Client(venue), Client(venue)]
        for act in acts:
            match act:
                case ("depth", is_bid, distance, steps):
                    level = ((600_000 - distance if is_bid else 600_001 + distance, steps),)
                    venue.depth(bids=level if is_bid else (), asks=() if is_bid else level)
                case ("take", True, steps):
                    venue.background_buys(steps, 600_003)
                case ("take", False, steps):
                    venue.background_sells(steps, 599_998)
                case ("rest", is_bid, distance):
                    price = venue.spec.price_to_decimal(600_000 - distance if is_bid else 600_001 + distance)
                    venue.limit(BUY if is_bid else SELL, "0.010", price, TimeInForce.GTC)
                case ("frame", number):
                    clients[number].frame()
        for client in clients:
            client.frame()
            assert client.book() == venue.public_book()

    def test_of_many_changes_at_a_price_only_the_last_is_told(self, open_venue):
        venue = open_venue()
        client = Client(venue)
        for steps in (5, 0, 7):
            venue.depth(bids=[(599_990, steps)])
        venue.depth(asks=[(600_009, 3)])
        venue.depth(asks=[(600_009, 0)])
        assert venue.listing.changed(client.diff) == (((599_990, 7),), ((600_009, 0),))

    def test_a_recording_is_told_as_it_states_the_book_without_our_orders(self, open_venue):
        replay = open_venue(kind=MarketKind.REPLAY)
        replay.account()
        client = Client(replay)
        replay.limit(BUY, "0.010", "60000")
        assert not client.diff.first_id
        replay.depth(bids=[(599_998, 7), (600_000, 5)], asks=[(600_005, 0)], first_id=1001, last_id=1005)
        replay.market(BUY, "0.500")
        assert replay.listing.changed(client.diff) == (((600_000, 5), (599_998, 7)), ((600_005, 0),))
        assert (client.diff.first_id, client.diff.last_id) == (1001, 1005)

"""The local book: the venue's rule of continuity, fail closed, and always what a naive book would hold."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.book import MAX_BUFFERED, Applied, Book, BookState
from phoenix_worker.core.events import Depth, Snapshot, Touch

BIDS = [(99.0, 1.0), (98.0, 2.0)]
ASKS = [(101.0, 1.5), (102.0, 2.5)]


def diff(first, last, prev, bids=(), asks=()):
    return Depth(0, 0, first, last, prev, list(bids), list(asks))


def snapshot(last_id=100, bids=None, asks=None):
    return Snapshot(0, last_id, BIDS if bids is None else bids, ASKS if asks is None else asks)


@pytest.fixture
def book():
    book = Book(1.0)
    assert book.on_snapshot(snapshot()) is Applied.APPLIED
    return book


# -- synchronising -------------------------------------------------------------------------------------


def test_without_a_snapshot_there_is_no_touch():
    book = Book(1.0)
    assert book.on_depth(diff(1, 2, 0, BIDS, ASKS)) is Applied.BUFFERED
    assert (book.state, book.touch_bid, book.touch_ask) == (BookState.RESYNCING, 0, 0)


def test_a_snapshot_gives_the_touch(book):
    assert (book.touch_bid, book.touch_ask, book.touch_bid_qty, book.touch_ask_qty) == (99, 101, 1.0, 1.5)
    assert (book.mid_half_ticks, book.touch_id) == (200, 100)
    assert book.imbalance == pytest.approx(-0.2)


def test_imbalance_of_nothing_is_zero():
    assert Book(1.0).imbalance == 0.0


@pytest.mark.parametrize(
    ("buffered", "applied"),
    [
        ([], Applied.APPLIED),
        ([diff(95, 99, 94)], Applied.APPLIED),
        ([diff(95, 99, 94), diff(100, 105, 99)], Applied.APPLIED),
        ([diff(98, 103, 97)], Applied.APPLIED),
        ([diff(101, 105, 100)], Applied.APPLIED),
        ([diff(103, 105, 102)], Applied.TOO_OLD),
        ([diff(98, 103, 97), diff(107, 109, 106)], Applied.GAP),
    ],
    ids=[
        "no diffs",
        "older ones dropped",
        "one begins with it",
        "one bridges",
        "one follows exactly",
        "too old",
        "gap",
    ],
)
def test_the_first_diff_must_bridge_the_snapshot_and_each_later_one_follow(buffered, applied):
    book = Book(1.0)
    for waiting in buffered:
        book.on_depth(waiting)
    assert book.on_snapshot(snapshot()) is applied
    assert book.synced is (applied is Applied.APPLIED)


def test_a_snapshot_that_is_too_old_keeps_the_buffer_for_the_next():
    book = Book(1.0)
    book.on_depth(diff(103, 105, 102, [(99.0, 7.0)]))
    assert book.on_snapshot(snapshot(100)) is Applied.TOO_OLD
    assert book.on_snapshot(snapshot(104)) is Applied.APPLIED
    assert (book.touch_bid_qty, book.last_id) == (7.0, 105)


def test_after_a_gap_inside_the_buffer_what_followed_it_is_kept():
    book = Book(1.0)
    for waiting in (diff(98, 103, 97), diff(107, 109, 106, [(99.0, 7.0)]), diff(110, 111, 109)):
        book.on_depth(waiting)
    assert book.on_snapshot(snapshot()) is Applied.GAP
    assert book.on_snapshot(snapshot(108)) is Applied.APPLIED
    assert (book.last_id, book.touch_bid_qty) == (111, 7.0)


def test_a_buffer_that_no_snapshot_can_bridge_any_more_is_a_gap():
    book = Book(1.0)
    for number in range(MAX_BUFFERED):
        assert book.on_depth(diff(number, number, number - 1)) is Applied.BUFFERED
    assert book.on_depth(diff(MAX_BUFFERED, MAX_BUFFERED, MAX_BUFFERED - 1)) is Applied.GAP
    assert len(book.buffered) == 1


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([], ASKS), (BIDS, []), ([(101.0, 1.0)], ASKS), ([(99.0, 0.0)], ASKS)],
    ids=["no bids", "no asks", "crossed", "only empty levels"],
)
def test_a_snapshot_without_two_sides_is_no_book(bids, asks):
    book = Book(1.0)
    assert book.on_snapshot(snapshot(bids=bids, asks=asks)) is Applied.GAP
    assert not book.synced


# -- diffs ---------------------------------------------------------------------------------------------


def test_a_missing_diff_is_a_gap_and_the_touch_is_gone(book):
    assert book.on_depth(diff(101, 105, 100)) is Applied.APPLIED
    assert book.on_depth(diff(110, 112, 109)) is Applied.GAP
    assert (book.synced, book.touch_bid, book.touch_ask, book.touch_id) == (False, 0, 0, 0)


def test_a_first_diff_that_does_not_bridge_is_a_gap(book):
    assert book.on_depth(diff(103, 105, 102)) is Applied.GAP


def test_the_diff_that_broke_the_book_is_not_lost(book):
    """A snapshot from before it would otherwise lead to a book without it."""
    book.on_depth(diff(103, 105, 102))
    assert book.on_snapshot(snapshot(101)) is Applied.TOO_OLD
    assert book.on_snapshot(snapshot(104)) is Applied.APPLIED


def test_diffs_from_before_the_snapshot_are_dropped(book):
    assert book.on_depth(diff(90, 95, 89, [(99.0, 0.0)])) is Applied.OLD
    assert book.touch_bid == 99


def test_an_exact_copy_of_the_diff_just_applied_changes_nothing(book):
    same = diff(101, 105, 100, [(99.0, 7.0)], [(101.0, 0.0)])
    assert book.on_depth(same) is Applied.APPLIED
    held = copy.deepcopy(book)
    for _ in range(3):
        assert book.on_depth(copy.deepcopy(same)) is Applied.REPEATED
    assert book == held
    assert book.on_depth(diff(106, 109, 105)) is Applied.APPLIED


@pytest.mark.parametrize(
    "other",
    [
        diff(101, 105, 99, [(99.0, 7.0)]),
        diff(100, 105, 100, [(99.0, 7.0)]),
        diff(101, 105, 100, [(99.0, 8.0)]),
        diff(101, 105, 100, [(99.0, 7.0)], [(101.0, 1.0)]),
        diff(101, 104, 100, [(99.0, 7.0)]),
    ],
    ids=["follows another", "begins elsewhere", "another bid", "another ask", "ends elsewhere"],
)
def test_what_is_no_exact_copy_is_a_gap(book, other):
    book.on_depth(diff(101, 105, 100, [(99.0, 7.0)]))
    assert book.on_depth(other) is Applied.GAP
    assert not book.synced


def test_a_copy_of_an_older_diff_is_a_gap(book):
    """A stream that has begun anew with lower ids would otherwise never be seen as such."""
    older = diff(101, 105, 100)
    book.on_depth(older)
    book.on_depth(diff(106, 109, 105))
    assert book.on_depth(older) is Applied.GAP


def test_copies_among_the_buffered_diffs_change_nothing():
    book = Book(1.0)
    for waiting in (diff(98, 103, 97), diff(98, 103, 97), diff(104, 109, 103, [(99.0, 7.0)])):
        book.on_depth(waiting)
        book.on_depth(waiting)
    assert book.on_snapshot(snapshot()) is Applied.APPLIED
    assert (book.last_id, book.touch_bid_qty) == (109, 7.0)


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([(101.0, 1.0)], []), ([], [(99.0, 1.0)]), ([(99.0, 0.0), (98.0, 0.0)], []), ([], [(101.0, 0.0), (102.0, 0.0)])],
    ids=["bid crosses", "ask crosses", "no bid left", "no ask left"],
)
def test_a_crossed_or_one_sided_book_is_lost(book, bids, asks):
    assert book.on_depth(diff(101, 105, 100, bids, asks)) is Applied.GAP
    assert not book.synced


def test_a_book_that_crosses_behind_a_newer_touch_is_lost_too(book):
    book.on_touch(Touch(0, 0, 500, 99.0, 1.0, 101.0, 1.0))
    assert book.on_depth(diff(101, 105, 100, [(101.0, 1.0)])) is Applied.GAP


@pytest.mark.parametrize("far", [1, 63, 64, 65, 300], ids=lambda far: f"next best {far} away")
def test_when_the_best_level_goes_the_next_is_found_however_far_it_is(far):
    book = Book(1.0)
    book.on_snapshot(snapshot(bids=[(1000.0, 1.0), (1000.0 - far, 2.0)], asks=[(1001.0, 1.0), (1001.0 + far, 2.0)]))
    book.on_depth(diff(101, 105, 100, [(1000.0, 0.0)], [(1001.0, 0.0)]))
    assert (book.touch_bid, book.touch_ask) == (1000 - far, 1001 + far)


# -- touch ---------------------------------------------------------------------------------------------


def test_the_newer_of_touch_and_depth_wins(book):
    assert book.on_touch(Touch(0, 0, 120, 100.0, 9.0, 101.0, 1.0)) is True
    assert book.on_depth(diff(101, 110, 100, [(98.5, 1.0)])) is Applied.APPLIED
    assert (book.touch_bid, book.touch_bid_qty) == (100, 9.0), "older than the touch"
    book.on_depth(diff(111, 125, 110, [(99.0, 3.0)]))
    assert (book.touch_bid, book.touch_bid_qty, book.touch_id) == (99, 3.0, 125)


def test_an_older_touch_is_ignored(book):
    assert book.on_touch(Touch(0, 0, 100, 90.0, 1.0, 110.0, 1.0)) is False
    assert book.touch_bid == 99


def test_a_touch_of_the_same_prices_tells_quantities_only(book):
    assert book.on_touch(Touch(0, 0, 101, 99.0, 5.0, 101.0, 6.0)) is False
    assert (book.touch_bid_qty, book.touch_ask_qty) == (5.0, 6.0)


def test_without_a_book_a_touch_is_ignored():
    book = Book(1.0)
    assert book.on_touch(Touch(0, 0, 1, 99.0, 1.0, 101.0, 1.0)) is False
    assert book.touch_bid == 0


@pytest.mark.parametrize(("bid", "ask"), [(101.0, 99.0), (100.0, 100.0), (0.0, 101.0), (99.0, 0.0)])
def test_a_touch_that_cannot_be_means_that_the_book_is_gone(book, bid, ask):
    assert book.on_touch(Touch(0, 0, 101, bid, 1.0, ask, 1.0)) is True
    assert not book.synced


@pytest.mark.parametrize(
    ("inverse", "price", "ticks"),
    [(10.0, 60_000.1, 600_001), (100.0, 2_512.34, 251_234), (10_000.0, 0.3127, 3_127), (1e5, 0.07, 7_000)],
)
def test_prices_become_whole_ticks(inverse, price, ticks):
    book = Book(inverse)
    book.on_snapshot(snapshot(bids=[(price, 1.0)], asks=[(price * 2, 1.0)]))
    assert book.best_bid == ticks


# -- against a naive book ------------------------------------------------------------------------------


class Naive:
    """Two dictionaries and the venue's rule, as one would write it on paper."""

    def __init__(self):
        self.bids, self.asks, self.last, self.first = (
            dict.fromkeys(range(1, 21), 1),
            dict.fromkeys(range(41, 61), 1),
            100,
            True,
        )

    def apply(self, event):
        follows = event.first_id <= self.last <= event.last_id or event.prev_id == self.last
        if self.first and event.last_id < self.last:
            return True
        if not (follows if self.first else event.prev_id == self.last):
            return False
        self.first, self.last = False, event.last_id
        for side, levels in ((self.bids, event.bids), (self.asks, event.asks)):
            for price, qty in levels:
                side.pop(int(price), None)
                if qty:
                    side[int(price)] = qty
        return bool(self.bids and self.asks and max(self.bids) < min(self.asks))


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(1, 45), st.integers(0, 3)), max_size=5),
            st.lists(st.tuples(st.integers(18, 60), st.integers(0, 3)), max_size=5),
            st.sampled_from(["follows"] * 12 + ["lost", "again", "old"]),
            st.integers(1, 4),
        ),
        max_size=25,
    )
)
def test_the_book_is_what_a_naive_book_holds_under_any_diffs(steps):
    naive, book = Naive(), Book(1.0)
    book.on_snapshot(snapshot(bids=[(float(n), 1.0) for n in naive.bids], asks=[(float(n), 1.0) for n in naive.asks]))
    last, before = 100, None
    for bids, asks, fate, length in steps:
        event = diff(last + 1, last + length, last, _levels(bids), _levels(asks))
        if fate == "lost":
            last += length
            continue
        if fate == "again" and before is not None:
            event = before
        elif fate == "old":
            event = diff(1, 5, 0, [(59.0, 1.0)])
        before, last = event, max(last, event.last_id)
        holds, applied = naive.apply(event), book.on_depth(event)
        assert (applied is not Applied.GAP) is holds
        if not holds:
            assert not book.synced
            return
        assert book.bids == naive.bids
        assert book.asks == naive.asks
        assert (book.touch_bid, book.touch_ask) == (max(naive.bids), min(naive.asks))


def _levels(levels):
    """One level of a diff a price, as the venue sends them."""
    return [(float(price), float(qty)) for price, qty in dict(levels).items()]

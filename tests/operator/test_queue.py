"""Each resource at most once at a time, failures ever later, appointments kept; by a clock that a test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manual_clock import ManualClock
from phoenix_operator.queue import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, Key, Kind, WorkQueue

A, B, C = (Key(Kind.MAKER, "trading", name) for name in ("a", "b", "c"))


@pytest.fixture
def queue(clock: ManualClock) -> WorkQueue:
    return WorkQueue(clock, seed=7)


def taken(queue: WorkQueue) -> list[Key]:
    found = []
    while (key := queue.take()) is not None:
        found.append(key)
    return found


def test_who_has_waited_longest_is_first(queue):
    for key in (B, A, C):
        queue.mark(key)
    assert taken(queue) == [B, A, C]


def test_an_account_goes_before_makers_that_have_waited_longer(queue, clock):
    account = Key(Kind.ACCOUNT, "trading", "main")
    queue.mark(B)
    clock.now += 5
    for key in (A, account):
        queue.mark(key)
    assert (queue.age_s, queue.depth) == (5, 3)
    assert taken(queue) == [account, B, A]


def test_marks_of_one_that_waits_collapse(queue):
    for _ in range(3):
        queue.mark(A)
    assert taken(queue) == [A]


def test_one_that_is_marked_while_it_is_worked_on_comes_again_afterwards_and_not_before(queue):
    queue.mark(A)
    assert queue.take() == A
    queue.mark(A)
    assert queue.take() is None
    queue.done(A)
    assert queue.take() == A


def test_an_appointment_is_kept_and_an_earlier_one_stands(queue, clock):
    queue.mark_after(A, 10)
    queue.mark_after(A, 20)
    assert queue.next_due_s() == 10
    queue.mark_after(A, 5)
    assert queue.next_due_s() == 5
    clock.now += 4.9
    assert queue.take() is None
    clock.now += 0.1
    assert queue.take() == A
    queue.done(A)
    clock.now += 100
    assert queue.take() is None


def test_a_mark_makes_an_appointment_needless(queue):
    queue.mark_after(A, 10)
    queue.mark(A)
    assert queue.take() == A
    queue.done(A)
    assert queue.next_due_s() is None


def test_failures_come_again_ever_later_and_a_success_forgets_them(queue):
    waits = []
    for _ in range(12):
        queue.mark(A)
        assert queue.take() == A
        waits.append(queue.failed(A))
    assert all(0.5 <= wait / (FIRST_BACK_OFF_S * 2**at) <= 1.5 for at, wait in enumerate(waits[:7]))
    assert max(waits) <= 1.5 * LONGEST_BACK_OFF_S
    queue.mark(A)
    assert queue.take() == A
    queue.done(A)
    queue.mark(A)
    assert queue.take() == A
    assert queue.failed(A) <= 1.5 * FIRST_BACK_OFF_S


def test_what_the_server_asks_for_is_waited_at_least(queue):
    queue.mark(A)
    queue.take()
    assert queue.failed(A, at_least_s=30) == 30


def test_news_hurry_one_that_has_failed(queue):
    queue.mark(A)
    queue.take()
    queue.failed(A, at_least_s=30)
    queue.mark(A)
    assert queue.take() == A


def test_depth_and_age_tell_of_what_waits(queue, clock):
    queue.mark(A)
    clock.now += 3
    queue.mark(B)
    assert (queue.depth, queue.age_s, queue.working) == (2, 3.0, 0)
    queue.take()
    assert (queue.depth, queue.age_s, queue.working) == (1, 0.0, 1)


def test_who_waits_for_work_is_woken(clock):
    woken = []
    queue = WorkQueue(clock, lambda: woken.append(clock.now))
    queue.mark(A)
    queue.mark_after(B, 1)
    assert len(woken) == 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("mark"), st.sampled_from([A, B, C])),
        st.tuples(st.just("after"), st.sampled_from([A, B, C])),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("done"), st.none()),
        st.tuples(st.just("failed"), st.none()),
        st.tuples(st.just("tick"), st.none()),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_no_mark_is_lost_and_nobody_is_worked_on_twice_at_once(story):
    clock = ManualClock()
    queue = WorkQueue(clock, seed=1)
    working: list[Key] = []
    owed: set[Key] = set()
    for what, key in story:
        if what == "mark":
            queue.mark(key)
            owed.add(key)
        elif what == "after":
            queue.mark_after(key, 5)
            owed.add(key)
        elif what == "take":
            if (found := queue.take()) is not None:
                assert found not in working
                working.append(found)
                owed.discard(found)
        elif what == "tick":
            clock.now += 3
        elif working:
            one = working.pop()
            queue.done(one) if what == "done" else queue.failed(one)
    for one in working:
        queue.done(one)
    clock.now += 1000
    assert owed <= set(taken(queue))

"""Fresh and stale: evidence from the present stream, silence, the canary, and the touch of a quiet symbol."""

import pytest
from phoenix_worker.core.freshness import Freshness, Phase, Staleness
from samples import MS, SECOND

STALE_AFTER = 2 * SECOND


@pytest.fixture
def fresh():
    freshness = Freshness()
    freshness.opened(0)
    freshness.frame(0)
    return freshness


def judged(freshness, at, *, canary_at=None, touch_known=True):
    if canary_at is not None:
        freshness.canary(canary_at)
    return freshness.judge(at, STALE_AFTER, touch_known=touch_known)


def test_a_stream_that_was_just_opened_proves_nothing():
    freshness = Freshness()
    freshness.opened(0)
    assert not freshness.fresh
    freshness.frame(1)
    assert freshness.fresh
    assert freshness.fresh_since_ns == 1


def test_a_new_stream_of_a_quiet_symbol_is_proved_by_an_equal_touch_while_the_canary_lives():
    freshness = Freshness()
    freshness.opened(0)
    assert not judged(freshness, 600 * MS), "no canary yet: the connection may be dead"
    assert judged(freshness, 700 * MS, canary_at=650 * MS)
    freshness.answered(equal=True, now_ns=750 * MS)
    assert freshness.fresh


def test_without_a_book_there_is_no_touch_to_compare():
    freshness = Freshness()
    freshness.opened(0)
    assert not judged(freshness, 700 * MS, canary_at=650 * MS, touch_known=False)
    assert freshness.phase is Phase.UNPROVEN


def test_silence_up_to_its_limit_is_fresh(fresh):
    assert not judged(fresh, STALE_AFTER)
    assert fresh.fresh


def test_silence_of_symbol_and_canary_is_a_dead_connection(fresh):
    assert not judged(fresh, STALE_AFTER + 1)
    assert (fresh.phase, fresh.why, fresh.stale_since_ns) == (Phase.STALE, Staleness.CONNECTION, STALE_AFTER + 1)
    assert fresh.stale_seconds(STALE_AFTER + 1 + SECOND) == 1.0


def test_a_quiet_symbol_is_asked_at_once_then_after_5_and_10_and_every_30_s(fresh):
    asked = []
    for at in range(0, 110 * SECOND, 50 * MS):
        if judged(fresh, at, canary_at=at):
            asked.append((at - STALE_AFTER) / SECOND)
            fresh.answered(equal=True, now_ns=at)
    assert asked == pytest.approx([0, 5, 10, 40, 70, 100], abs=0.06)
    assert fresh.fresh


def test_a_frame_begins_the_questions_anew(fresh):
    assert judged(fresh, STALE_AFTER + 1, canary_at=STALE_AFTER)
    fresh.frame(STALE_AFTER + 2)
    assert (fresh.probes, fresh.probe_sent_ns) == (0, 0)
    fresh.answered(equal=False, now_ns=STALE_AFTER + 3)
    assert fresh.fresh, "the answer is to a question that is answered already"


@pytest.mark.parametrize(
    ("equal", "why"), [(False, Staleness.QUIET_DIFFERENT), (None, Staleness.QUIET_UNANSWERED)], ids=["other", "none"]
)
def test_another_touch_or_none_is_stale(fresh, equal, why):
    judged(fresh, STALE_AFTER + 1, canary_at=STALE_AFTER)
    fresh.answered(equal, STALE_AFTER + 2)
    assert fresh.why is why


def test_a_question_that_stays_open_is_stale(fresh):
    judged(fresh, STALE_AFTER + 1, canary_at=STALE_AFTER)
    assert not judged(fresh, STALE_AFTER + 1 + 500 * MS)
    assert fresh.fresh
    judged(fresh, STALE_AFTER + 2 + 500 * MS)
    assert fresh.why is Staleness.QUIET_UNANSWERED


def test_what_is_stale_is_not_judged_again_and_no_answer_heals_it(fresh):
    fresh.declare(Staleness.LATE, 5)
    assert not judged(fresh, 100 * SECOND)
    fresh.probe_sent_ns = 1
    fresh.answered(equal=True, now_ns=6)
    fresh.frame(7)
    assert fresh.why is Staleness.LATE


def test_an_episode_lasts_until_there_is_evidence_again(fresh):
    fresh.declare(Staleness.LATE, 5)
    fresh.opened(10)
    fresh.declare(Staleness.CONNECTION, 20)
    assert (fresh.episodes, fresh.stale_since_ns) == (1, 5)
    fresh.opened(30)
    fresh.frame(40)
    assert fresh.stale_seconds(50) == pytest.approx(35e-9)
    fresh.declare(Staleness.LATE, 60)
    assert fresh.episodes == 2


def test_the_time_of_all_episodes_is_counted_and_never_falls(fresh):
    """A counter that falls back to 0 when all is well again shows no episode that is over."""
    told = []
    for at in range(0, 60, 20):
        fresh.opened(at * SECOND)
        fresh.declare(Staleness.LATE, (at + 2) * SECOND)
        told += [fresh.stale_seconds((at + 5) * SECOND)]
        fresh.opened((at + 6) * SECOND)
        fresh.frame((at + 7) * SECOND)
        told += [fresh.stale_seconds((at + later) * SECOND) for later in (7, 15)]
    assert told == [3, 5, 5, 8, 10, 10, 13, 15, 15]


def test_a_touch_that_runs_ahead_of_the_diffs_for_too_long_is_stale(fresh):
    fresh.ahead_since_ns = SECOND
    fresh.frame(3 * SECOND, diff=False)
    assert not judged(fresh, 3 * SECOND)
    assert fresh.fresh
    judged(fresh, 3 * SECOND + 1)
    assert fresh.why is Staleness.DIFFS


@pytest.mark.parametrize(
    ("why", "touch_frame", "equal_touch"),
    [
        (Staleness.CONNECTION, True, True),
        (Staleness.QUIET_UNANSWERED, True, True),
        (Staleness.QUIET_DIFFERENT, True, False),
        (Staleness.LATE, True, False),
        (Staleness.DIFFS, False, False),
    ],
    ids=str,
)
def test_what_acquits_the_next_stream_of_one_that_was_stale(fresh, why, touch_frame, equal_touch):
    """By why it was stale: whether a touch frame in time, or an equal touch over REST, is evidence enough."""
    for told in ("touch frame", "equal touch", "diff"):
        fresh.declare(why, SECOND)
        fresh.opened(2 * SECOND)
        match told:
            case "touch frame":
                fresh.frame(3 * SECOND, diff=False)
                assert fresh.fresh is touch_frame
            case "equal touch":
                fresh.probe_sent_ns = 3 * SECOND
                fresh.answered(equal=True, now_ns=3 * SECOND)
                assert fresh.fresh is equal_touch
            case _:
                fresh.frame(3 * SECOND, diff=True)
                assert fresh.fresh


def test_a_stream_that_an_equal_touch_does_not_acquit_is_asked_about_no_more_often_than_a_quiet_one(fresh):
    fresh.declare(Staleness.QUIET_DIFFERENT, 0)
    fresh.opened(0)
    asked = []
    for tenth in range(1, 160):
        now_ns = tenth * SECOND // 10
        fresh.canary(now_ns)
        if judged(fresh, now_ns):
            asked.append(tenth / 10)
            fresh.answered(equal=True, now_ns=now_ns)
    assert asked == [0.6, 5.5, 10.5]
    assert not fresh.fresh

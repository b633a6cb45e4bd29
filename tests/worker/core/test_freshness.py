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
    assert fresh.stale_seconds(50) == 0.0
    fresh.declare(Staleness.LATE, 60)
    assert fresh.episodes == 2

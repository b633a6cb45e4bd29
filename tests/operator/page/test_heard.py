"""Who still tells something is seen by our own clock alone."""

import msgspec
import pytest
from phoenix_coordination.state import Activity
from phoenix_operator.page.heard import Heard
from state_records import leading_record


def told(published_ms: int, fills: int = 0):
    return leading_record(published_ms=published_ms, activity=Activity(fills=fills))


@pytest.mark.parametrize(
    ("looks", "age_ms"),
    [
        pytest.param([(0.0, 7)], None, id="seen-once: the worker may be long dead"),
        pytest.param([(0.0, 7), (1.0, 8)], 0, id="told-something-new"),
        pytest.param([(0.0, 7), (1.0, 8), (3.5, 8)], 2500, id="silent-since-it-did"),
        pytest.param([(0.0, 7), (4.0, 7)], None, id="nothing-new-yet"),
        pytest.param([(0.0, 7), (3.0, 7), (5.1, 7)], 5100, id="nothing-new-for-too-long"),
        pytest.param([(0.0, 7), (1.0, 8), (6.1, 9)], None, id="we-have-not-looked-ourselves-for-a-while"),
        pytest.param([(0.0, 99), (1.0, 8)], 0, id="a-clock-that-went-back-is-news-all-the-same"),
    ],
)
def test_what_counts_is_when_a_record_last_changed_before_our_eyes(looks, age_ms):
    heard = Heard()
    for now_s, published_ms in looks:
        heard.take([told(published_ms)], now_s)
    assert heard.age_ms(told(looks[-1][1])) == age_ms


@pytest.mark.parametrize(
    ("looks", "rate"),
    [
        pytest.param([3, 9], None, id="too-short-to-tell"),
        pytest.param([3, 4, 5], 12.0, id="what-was-seen-of-the-minute"),
        pytest.param([0, 90, *range(100, 113)], 12.0, id="the-last-minute-alone"),
        pytest.param([50, 2, 4, 7], 30.0, id="accounts-that-began-anew"),
    ],
)
def test_fills_are_counted_over_the_last_minute(looks, rate):
    heard = Heard()
    for number, fills in enumerate(looks):
        heard.take([told(number, fills)], 5.0 * number)
    assert heard.fills_per_minute(told(0)) == rate


def test_who_has_gone_and_comes_again_is_seen_for_the_first_time():
    heard = Heard()
    heard.take([told(1)], 0.0)
    heard.take([], 1.0)
    heard.take([told(2)], 2.0)
    assert heard.age_ms(told(2)) is None


def test_two_workers_of_a_symbol_are_told_apart():
    heard = Heard()
    other = msgspec.structs.replace(told(1), holder="pod-2/1")
    heard.take([told(1), other], 0.0)
    heard.take([told(2), other], 1.0)
    assert (heard.age_ms(told(2)), heard.age_ms(other)) == (0, None)

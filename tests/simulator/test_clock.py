import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.clock import Clock


@pytest.fixture
def monotonic(monkeypatch):
    """CLOCK_MONOTONIC under the test's hand, in a list of one."""
    now = [1_000_000_000]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    return now


@pytest.mark.parametrize(("rate", "elapsed_ns"), [(1.0, 250), (20.0, 5000), (0.5, 125)])
def test_time_passes_at_the_rate(monotonic, rate, elapsed_ns):
    clock = Clock(rate, origin_wall_ns=5_000, origin_monotonic_ns=1_000_000_000)
    monotonic[0] += 250
    assert clock.elapsed_ns() == elapsed_ns
    assert clock.now_ns() == 5_000 + elapsed_ns
    assert clock.monotonic_ns() == 1_000_000_000 + elapsed_ns


def test_at_lifes_rate_no_nanosecond_is_lost_after_a_year(monotonic):
    clock = Clock(1.0, origin_wall_ns=0, origin_monotonic_ns=1_000_000_000)
    monotonic[0] += 365 * 86_400 * 10**9 + 1
    assert clock.now_ns() == 365 * 86_400 * 10**9 + 1


def test_two_processes_of_a_run_agree(monotonic):
    one = Clock(20.0)
    other = Clock.from_text(one.to_text())
    monotonic[0] += 123_456_789
    assert one.now_ns() == other.now_ns()
    assert one.monotonic_ns() == other.monotonic_ns()


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.floats(0.001, 1e6))
def test_the_text_form_loses_nothing(wall, monotonic_ns, rate):
    clock = Clock.from_text(Clock(rate, wall, monotonic_ns).to_text())
    assert (clock.origin_wall_ns, clock.origin_monotonic_ns, clock.rate) == (wall, monotonic_ns, rate)


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:2:1", "1:2:0", "1:2:-1", "1:2:nan", "1:2:inf"])
def test_a_bad_text_says_what_is_expected(text):
    with pytest.raises(ValueError, match=r"PHOENIX_CLOCK is .* expected <origin_wall_ns>:<origin_monotonic_ns>:<rate>"):
        Clock.from_text(text)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_must_be_positive_and_finite(rate):
    with pytest.raises(ValueError, match="positive number"):
        Clock(rate)


def test_skew_changes_what_the_venue_says_and_nothing_else(monotonic):
    clock = Clock(1.0, origin_wall_ns=10_000_000_000, origin_monotonic_ns=monotonic[0])
    clock.skew_ms = -2500
    assert clock.reported_ms() == 7500
    assert clock.now_ms() == 10_000


async def test_sleeping_is_scaled(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    await Clock(20.0).sleep(10)
    assert slept == [0.5]

import asyncio
import time

import pytest
from phoenix_worker.runtime.clock import VARIABLE, Clock, ClockError

SECOND = 1_000_000_000


def test_without_the_variable_the_clock_is_the_machines():
    clock = Clock.from_env({})
    before = (time.monotonic_ns(), time.time_ns())
    shown = (clock.monotonic_ns(), clock.wall_ns())
    after = (time.monotonic_ns(), time.time_ns())
    assert before[0] <= shown[0] <= after[0]
    assert before[1] <= shown[1] <= after[1]
    assert not clock.is_scaled


def test_wall_and_monotonic_time_scale_alike_from_the_runs_origin():
    origin = time.monotonic_ns() - 3 * SECOND
    clock = Clock.from_env({VARIABLE: f"1700000000000000000:{origin}:5"})
    monotonic, wall = clock.monotonic_ns(), clock.wall_ns()
    assert monotonic - origin >= 15 * SECOND
    assert wall - 1_700_000_000 * SECOND >= monotonic - origin
    assert clock.is_scaled


def test_two_processes_of_a_run_show_the_same_time():
    text = {VARIABLE: f"1700000000000000000:{time.monotonic_ns()}:50"}
    one, other = Clock.from_env(text), Clock.from_env(text)
    first = one.wall_ns()
    second = other.wall_ns()
    third = one.wall_ns()
    assert first <= second <= third


async def test_sleeps_and_timers_end_when_the_clock_has_advanced():
    clock = Clock.scaled(0, time.monotonic_ns(), 100.0)
    began = clock.monotonic_ns()
    await clock.sleep(1.0)
    assert clock.monotonic_ns() - began >= 0.99 * SECOND
    fired = asyncio.Event()
    handle = clock.call_later(0.5, fired.set)
    await fired.wait()
    assert not handle.cancelled()


@pytest.mark.parametrize("text", ["1", "1:2", "1:2:3:4", "a:2:3", "1:2:0", "1:2:-1", "1:2:inf", "1:2:nan", "::"])
def test_a_clock_that_does_not_parse_is_refused_with_what_it_should_be(text):
    with pytest.raises(ClockError, match=VARIABLE):
        Clock.from_env({VARIABLE: text})

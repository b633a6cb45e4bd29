import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phoenix_worker.venue.binance.clock_sync import ExchangeTime, Sample, estimate

MS = 1_000_000


@given(
    st.integers(-(10**18), 10**18),
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 50 * MS)), min_size=1, max_size=8),
)
def test_the_true_offset_is_always_within_the_error(offset_ns, delays):
    now, samples = 10**19, []
    for there, back in delays:
        samples.append(Sample(now, now + there + back, (now + there + offset_ns) // MS))
        now += there + back + 1000
    told, error_ns = estimate(samples)
    assert abs(told - offset_ns) <= error_ns


def test_more_samples_know_it_better():
    one = Sample(0, 10 * MS, 1000)
    other = Sample(20 * MS, 21 * MS, 1016)
    assert estimate([one, other]).error_ns < estimate([one]).error_ns


def test_a_jump_between_samples_leaves_the_narrowest():
    before = [Sample(0, MS, 1_000), Sample(2 * MS, 4 * MS, 1_003)]
    after = Sample(5 * MS, 6 * MS, 9_000)
    offset_ns, error_ns = estimate([*before, after])
    assert abs(offset_ns - (9_000 * MS - 5 * MS - 500_000)) <= error_ns


def test_no_sample_is_no_offset():
    with pytest.raises(ValueError, match="at least one sample"):
        estimate([])


class TestReceiveWindow:
    @pytest.fixture
    def time(self, hand_clock):
        return ExchangeTime(hand_clock)

    def test_an_unmeasured_clock_leaves_no_window(self, time, hand_clock):
        now = hand_clock.monotonic_ns()
        assert time.receive_window(now, now + 10**12, 2000)[1] <= 0

    @given(
        left_ns=st.integers(-100 * MS, 10_000 * MS),
        fraction_ns=st.integers(0, MS - 1),
        true_offset_ns=st.integers(-(10**15), 10**15),
        delay_ns=st.integers(0, 5 * MS),
    )
    @example(left_ns=1000 * MS + MS // 2, fraction_ns=1000, true_offset_ns=0, delay_ns=0)  # told as its ms begins
    def test_the_exchange_never_accepts_after_the_deadline(self, left_ns, fraction_ns, true_offset_ns, delay_ns):
        """The exchange accepts while its millisecond is at most timestamp + window."""

        class Still:
            rate = 1.0

            def monotonic_ns(self) -> int:
                return 10**19 + fraction_ns

        time = ExchangeTime(Still())  # type: ignore[arg-type]
        now = time.clock.monotonic_ns()
        sent = now - 2 * delay_ns - 1000
        time.measured([Sample(sent, now, (sent + delay_ns + true_offset_ns) // MS)])
        deadline_ns = now + left_ns
        timestamp_ms, window_ms = time.receive_window(now, deadline_ns, 5000)
        assert window_ms <= 5000
        if window_ms > 0:
            refused_from_ns = (timestamp_ms + window_ms + 1) * MS - true_offset_ns
            assert refused_from_ns <= deadline_ns

    def test_a_cancel_has_the_configured_window(self, time, hand_clock):
        now = hand_clock.monotonic_ns()
        time.measured([Sample(now, now + 1000, 1_760_000_000_000)])
        assert time.receive_window(now, None, 2000)[1] == 2000

    def test_an_old_measurement_counts_for_less(self, time, hand_clock):
        now = hand_clock.monotonic_ns()
        time.measured([Sample(now, now + 1000, 1_760_000_000_000)])
        fresh = time.receive_window(now, now + 10**9, 2000)[1]
        later = now + 600 * 10**9
        assert time.receive_window(later, later + 10**9, 2000)[1] < fresh

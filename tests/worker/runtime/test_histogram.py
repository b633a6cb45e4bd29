import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.runtime.histogram import BOUNDS_US, Histogram

durations = st.lists(st.integers(0, 10**10), max_size=200)


@given(durations)
def test_every_sample_is_in_exactly_one_bucket_and_buckets_accumulate(samples):
    histogram = Histogram()
    for sample in samples:
        histogram.observe(sample)
    cumulative = histogram.cumulative()
    assert histogram.count == len(samples) == cumulative[-1][1]
    assert histogram.sum_ns == sum(samples)
    counts = [count for _, count in cumulative]
    assert counts == sorted(counts)
    for bound, count in cumulative[:-1]:
        assert count == sum(sample <= round(float(bound) * 1e9) for sample in samples)


@given(durations.filter(bool), st.sampled_from([0.5, 0.99]))
def test_a_quantile_is_the_bound_of_the_bucket_that_holds_it(samples, share):
    histogram = Histogram()
    for sample in samples:
        histogram.observe(sample)
    quantile = histogram.quantile_us(share)
    at_most = sum(sample <= quantile * 1000 for sample in samples)
    assert at_most >= share * len(samples) or quantile == BOUNDS_US[-1]


def test_an_empty_histogram_has_no_quantile():
    assert Histogram().quantile_us(0.5) is None


@pytest.mark.parametrize(("duration_ns", "quantile_us"), [(0, 5), (5_000, 5), (5_001, 7), (10**12, 5_000_000)])
def test_a_bound_belongs_to_its_own_bucket(duration_ns, quantile_us):
    histogram = Histogram()
    histogram.observe(duration_ns)
    assert histogram.quantile_us(0.5) == quantile_us

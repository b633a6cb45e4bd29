from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.exposure import PRICE_BUFFER, step_micro


@given(st.floats(1e-6, 1e6))
def test_a_step_counts_for_at_least_its_value_with_the_buffer(value):
    assert step_micro(value) >= value * (1 + PRICE_BUFFER) * 1_000_000


def test_a_step_never_counts_for_nothing():
    assert step_micro(1e-12) == 1


def test_a_step_counts_for_its_value_and_one_percent_in_micro_quote():
    assert step_micro(50.0) == 50_500_000
    assert step_micro(0.0) == 1

from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.exposure import PRICE_BUFFER, step_micro


@given(st.floats(1e-6, 1e6))
def test_a_step_counts_for_at_least_its_value_with_the_buffer(value):
    assert step_micro(value) >= value * (1 + PRICE_BUFFER) * 1_000_000


def test_a_step_never_counts_for_nothing():
    assert step_micro(1e-12) == 1

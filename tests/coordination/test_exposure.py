import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.exposure import PRICE_BUFFER, grant, step_micro
from phoenix_coordination.port import AccountTerms, EmergencyLevel, Reservation

NET = 10_000 * 10**6


def terms(net_micro=NET, gross_micro=2 * NET):
    return AccountTerms(net_micro, gross_micro, EmergencyLevel.NONE)


def asked(position=0, buy=0, sell=0, step_value=100.0):
    return Reservation(1, position, buy, sell, step_value)


@pytest.mark.parametrize(
    ("reservation", "limits", "granted"),
    [
        pytest.param(asked(0, 10, 10), terms(), (10, 10), id="what fits is granted whole"),
        pytest.param(asked(0, 200, 5), terms(), (99, 5), id="as much of it as fits: 100 quote a step, 1 % worse"),
        pytest.param(asked(90, 200, 5), terms(), (9, 5), id="the position uses room of its own side"),
        pytest.param(asked(-90, 500, 500), terms(), (189, 9), id="and gives room to the other"),
        pytest.param(asked(0, 200, 0), terms(net_micro=2 * NET, gross_micro=NET), (99, 0), id="the gross limit binds"),
        pytest.param(asked(150, 10, 400), terms(), (0, 249), id="beyond the limit nothing increases"),
        pytest.param(asked(-150, 150, 10), terms(net_micro=0), (150, 0), id="what reduces is always granted"),
        pytest.param(asked(-150, 151, 0), terms(net_micro=0), (150, 0), id="but only up to the position's whole"),
        pytest.param(asked(0, 1, 1, step_value=math.nan), terms(), (0, 0), id="no value, no grant"),
        pytest.param(asked(5, 1, 9, step_value=math.nan), terms(), (0, 5), id="no value, but what reduces"),
        pytest.param(asked(0, 1, 1, step_value=0.0), terms(), (0, 0), id="a value of zero is no value"),
        pytest.param(asked(0, 1, 1, step_value=-3.0), terms(), (0, 0), id="nor is a negative one"),
        pytest.param(asked(0, 1, 1, step_value=math.inf), terms(), (0, 0), id="nor infinity"),
        pytest.param(asked(0, 1, 1, step_value=1e300), terms(), (0, 0), id="nor what the ledger could not hold"),
    ],
)
def test_a_grant_keeps_the_accounts_limits(reservation, limits, granted):
    assert grant(reservation, limits) == granted


steps = st.integers(0, 10**7)
values = st.floats(1e-6, 1e6)


@given(st.integers(-(10**7), 10**7), steps, steps, values, st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)))
def test_no_grant_takes_the_worst_case_beyond_a_limit_unless_it_only_reduces(position, buy, sell, value, limits):
    granted_buy, granted_sell = grant(asked(position, buy, sell, value), terms(*limits))
    assert 0 <= granted_buy <= buy
    assert 0 <= granted_sell <= sell
    unit = step_micro(value)
    limit = min(limits)
    assert (position + granted_buy) * unit <= limit or granted_buy <= -position or granted_buy == 0
    assert -(position - granted_sell) * unit <= limit or granted_sell <= position or granted_sell == 0


@given(values)
def test_a_step_counts_for_at_least_its_value_with_the_buffer(value):
    assert step_micro(value) >= value * (1 + PRICE_BUFFER) * 1_000_000

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.events import Outcome, Refusal
from phoenix_worker.venue.binance.outcomes import VERDICTS, Retry, verdict

CONFIRMED_BY = {
    # sheet of codes: what the documentation says that a maker does about each
    "unknown": (-1000, -1006, -1007, -4083),
    "again later": (-1001, -1008, -1016, -2012, -1125, -4105, -4106, -4107, -4131, -4400, -4401),
    "after the window": (-1003, -1015),
    "after measuring the clock": (-1021, -5028),
    "another one": (
        *(-1111, -2010, -2011, -2013, -2018, -2019, -2020, -2021, -2022, -2024, -2025, -2027, -2028),
        *(-4001, -4002, -4003, -4004, -4005, -4013, -4014, -4016, -4023, -4024, -4118, -4164),
        *(-5021, -5022, -5025, -5026, -5027, -5029, -5037, -5038, -5039, -5040, -5041, -5043, -5047),
    ),
    "after a look": (-4116,),
    "never": (
        *(-1002, -1011, -1013, -1014, -1020, -1022, -1099, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1109),
        *(
            -1114,
            -1115,
            -1116,
            -1117,
            -1120,
            -1121,
            -1122,
            -1127,
            -1130,
            -1131,
            -1136,
            -2014,
            -2015,
            -2017,
            -2023,
            -2026,
        ),
        *(
            -4015,
            -4021,
            -4028,
            -4032,
            -4046,
            -4047,
            -4048,
            -4059,
            -4060,
            -4061,
            -4062,
            -4067,
            -4068,
            -4082,
            -4087,
            -4088,
        ),
        *(-4109, -4120, -4140, -4141, -4161, -4165, -4166, -4167, -4168, -4169, -4170, -4171, -4172, -4189, -4192),
        *(-4202, -4203, -4204, -4205, -4206, -4207, -4208, -4209, -4402, -4403, -4531, -5024),
    ),
}
RETRY = {
    "unknown": Retry.LOOK,
    "again later": Retry.LATER,
    "after the window": Retry.WINDOW,
    "after measuring the clock": Retry.RESYNC,
    "another one": Retry.ADJUST,
    "after a look": Retry.LOOK,
    "never": Retry.NEVER,
}


@pytest.mark.parametrize(
    ("code", "retry"), [(code, RETRY[group]) for group, codes in CONFIRMED_BY.items() for code in codes]
)
def test_each_documented_code_has_its_verdict_on_sending_again(code, retry):
    assert verdict(400, code, "text").retry is retry


def test_the_table_of_this_test_is_complete():
    assert {code for codes in CONFIRMED_BY.values() for code in codes} == set(VERDICTS)


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (-5022, Refusal.WOULD_TAKE),
        (-2011, Refusal.GONE),
        (-2013, Refusal.GONE),
        (-5027, Refusal.UNCHANGED),
        (-2022, Refusal.REDUCE_ONLY),
        (-4118, Refusal.REDUCE_ONLY),
        (-4116, Refusal.DUPLICATE),
        (-1003, Refusal.RATE_LIMIT),
        (-1015, Refusal.RATE_LIMIT),
        (-1008, Refusal.RATE_LIMIT),
        (-1021, Refusal.CLOCK),
        (-5028, Refusal.CLOCK),
        (-2019, Refusal.MARGIN),
        (-2027, Refusal.MARGIN),
        (-4105, Refusal.SYMBOL_REDUCES),
        (-4400, Refusal.SYMBOL_REDUCES),
        (-1122, Refusal.SYMBOL_CLOSED),
        (-4140, Refusal.SYMBOL_CLOSED),
        (-1111, Refusal.FILTER),
        (-4014, Refusal.FILTER),
        (-4016, Refusal.FILTER),
        (-4164, Refusal.FILTER),
        (-5029, Refusal.FILTER),
        (-2015, Refusal.DENIED),
        (-1022, Refusal.DENIED),
        (-4088, Refusal.DENIED),
        (-2023, Refusal.DENIED),
        (-1102, Refusal.OTHER),
    ],
)
def test_each_refusal_that_the_core_acts_on_has_its_codes(code, refusal):
    ruling = verdict(400, code, "text")
    assert (ruling.outcome, ruling.refusal) == (Outcome.REFUSED, refusal)


@pytest.mark.parametrize(
    ("status", "code", "text", "outcome", "refusal"),
    [
        (503, 0, "Unknown error, please check your request or try again later.", Outcome.UNKNOWN, None),
        (503, -1000, "Unknown error, please check your request or try again later.", Outcome.UNKNOWN, None),
        (503, 0, "Service Unavailable.", Outcome.REFUSED, Refusal.OTHER),
        (
            503,
            -1001,
            "Internal error; unable to process your request. Please try again.",
            Outcome.REFUSED,
            Refusal.OTHER,
        ),
        (503, -1008, "Request throttled by system-level protection.", Outcome.REFUSED, Refusal.RATE_LIMIT),
        (503, 0, "<html>", Outcome.UNKNOWN, None),
        (500, 0, "", Outcome.UNKNOWN, None),
        (502, 0, "Bad Gateway", Outcome.UNKNOWN, None),
        (504, -1007, "Timeout waiting for response from backend server.", Outcome.UNKNOWN, None),
        (408, 0, "", Outcome.UNKNOWN, None),
        (408, -2010, "backend timeout", Outcome.UNKNOWN, None),
        (429, -1003, "Too many requests", Outcome.REFUSED, Refusal.RATE_LIMIT),
        (429, -1015, "Too many new orders", Outcome.REFUSED, Refusal.RATE_LIMIT),
        (429, 0, "", Outcome.REFUSED, Refusal.RATE_LIMIT),
        (418, -1003, "Way too many requests; IP(1.2.3.4) banned until 1760000000000.", Outcome.REFUSED, Refusal.BANNED),
        (418, 0, "", Outcome.REFUSED, Refusal.BANNED),
        (429, -1003, "IP banned until 1760000000000", Outcome.REFUSED, Refusal.BANNED),
        (403, 0, "<html>WAF", Outcome.REFUSED, Refusal.RATE_LIMIT),
        (401, 0, "", Outcome.REFUSED, Refusal.DENIED),
        (404, 0, "", Outcome.REFUSED, Refusal.OTHER),
        (400, -9999, "something new", Outcome.REFUSED, Refusal.OTHER),
        (503, -9999, "something new", Outcome.UNKNOWN, None),
    ],
)
def test_statuses_are_told_apart(status, code, text, outcome, refusal):
    ruling = verdict(status, code, text)
    assert (ruling.outcome, ruling.refusal) == (outcome, refusal)


@given(st.integers(300, 599), st.integers(-10_000, 0), st.text(max_size=40))
def test_nothing_is_ever_confirmed_by_an_error_and_every_refusal_has_its_reason(status, code, text):
    ruling = verdict(status, code, text)
    assert ruling.outcome in (Outcome.REFUSED, Outcome.UNKNOWN)
    assert (ruling.refusal is None) == (ruling.outcome is Outcome.UNKNOWN)


@given(st.integers(500, 599), st.integers(-10_000, 0).filter(lambda code: code not in VERDICTS))
def test_an_unknown_server_error_leaves_the_order_unknown(status, code):
    assert verdict(status, code, "x").outcome is Outcome.UNKNOWN

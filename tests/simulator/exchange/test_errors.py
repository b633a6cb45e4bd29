import inspect

import pytest
from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.errors import VenueError

MAKERS = {
    name: make
    for name, make in vars(errors).items()
    if callable(make) and not name.startswith("_") and not inspect.isclass(make) and inspect.isfunction(make)
}


@pytest.mark.parametrize(
    ("make", "values", "code", "msg"),
    [
        (errors.mandatory_missing, {"name": "price"}, -1102, "Mandatory parameter 'price' was not sent"),
        (errors.not_required, {"name": "reduceOnly"}, -1106, "Parameter 'reduceOnly' sent when not required."),
        (errors.bad_symbol, {}, -1121, "Invalid symbol."),
        (errors.cancel_rejected, {}, -2011, "Unknown order sent."),
        (errors.notional_too_small, {"notional": "20"}, -4164, "must be no smaller than 20 (unless"),
        (errors.price_above_bound, {"bound": "63000.00"}, -4016, "can't be higher than 63000.00."),
        (errors.post_only_rejected, {}, -5022, "The order will not be recorded in the order history"),
    ],
)
def test_an_error_carries_the_venues_code_and_text(make, values, code, msg):
    error = make(**values)
    assert isinstance(error, VenueError)
    assert (error.code, error.http_status) == (code, 400)
    assert msg in error.msg


def test_every_code_has_one_constructor():
    codes = [make.__name__ for make in MAKERS.values()]
    assert len(codes) > 40
    assert len(codes) == len(set(codes))

"""How parameters are read: as leniently as the venue reads them, and judged as strictly."""

from decimal import Decimal

import pytest
from phoenix_simulator.api.params import Params, parse_pairs
from phoenix_simulator.exchange.errors import VenueError


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        pytest.param("a=1&b=2", {"a": "1", "b": "2"}, id="plain"),
        pytest.param("a=%5B1%2C2%5D", {"a": "[1,2]"}, id="escapes"),
        pytest.param("a=x+y", {"a": "x y"}, id="plus is a blank"),
        pytest.param("a=b=c", {"a": "b=c"}, id="only the first sign of equality parts"),
        pytest.param('batchOrders=[{"symbol":"X"}]', {"batchOrders": '[{"symbol":"X"}]'}, id="unencoded JSON"),
        pytest.param("orderidlist=1", {"orderIdList": "1"}, id="list names in any case"),
        pytest.param("SYMBOL=1", {"SYMBOL": "1"}, id="other names as they are"),
        pytest.param("a=1&a=2", {"a": "1"}, id="the first of two counts"),
        pytest.param("&&a=&", {"a": ""}, id="empty parts"),
        pytest.param("a", {"a": ""}, id="a name alone"),
    ],
)
def test_pairs_are_split_as_sent(raw, pairs):
    assert parse_pairs(raw) == pairs


def test_the_query_string_wins_over_the_body():
    params = Params.of_request("a=1", "a=2&b=3")
    assert (params.text("a"), params.text("b")) == ("1", "3")


@pytest.mark.parametrize(
    ("read", "value", "code"),
    [
        pytest.param(lambda params: params.text("x"), None, -1102, id="missing text"),
        pytest.param(lambda params: params.text("x"), "", -1102, id="empty text that is required"),
        pytest.param(lambda params: params.raw("x"), "", -1105, id="empty text that is not"),
        pytest.param(lambda params: params.integer("x"), None, -1102, id="missing integer"),
        pytest.param(lambda params: params.integer("x"), "1.0", -1100, id="integer with a point"),
        pytest.param(lambda params: params.integer("x"), "9223372036854775808", -1100, id="integer beyond 64 bits"),
        pytest.param(lambda params: params.integer("x"), "٣", -1100, id="digits of another script"),
        pytest.param(lambda params: params.decimal("x"), "1e3", -1100, id="scientific notation"),
        pytest.param(lambda params: params.decimal("x"), "NaN", -1100, id="not a number"),
        pytest.param(lambda params: params.decimal("x"), ".5", -1100, id="no digit before the point"),
        pytest.param(lambda params: params.boolean("x"), "yes", -1130, id="no boolean"),
        pytest.param(lambda params: params.json_list("x"), "{}", -1130, id="no array"),
    ],
)
def test_what_cannot_be_read_has_its_code(read, value, code):
    params = Params({} if value is None else {"x": value})
    with pytest.raises(VenueError) as caught:
        read(params)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (5, "5"), ("a", "a"), (0.01, "0.01"), ([1, 2], "[1,2]"), (1e-05, "1e-05")],
    ids=str,
)
def test_json_values_mean_what_their_text_means(value, text):
    assert Params.of_json({"x": value}).text("x") == text


def test_a_null_is_absent():
    assert "x" not in Params.of_json({"x": None})
    assert Params.of_json({"x": None}).optional_decimal("x") is None
    assert Params({"x": "0.10"}).decimal("x") == Decimal("0.1")

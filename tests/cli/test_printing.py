import json
from decimal import Decimal

import pytest
from phoenix_cli.printing import aligned, as_json, one_line


def test_columns_are_as_wide_as_what_is_in_them_and_numbers_stand_at_the_right():
    assert aligned(("maker", "qty", ""), [("btcusdt", "-0.004", ""), ("eth", "12", "not ours")]) == (
        "MAKER       QTY\nbtcusdt  -0.004\neth          12  not ours\n"
    )


def test_without_rows_only_the_header_is_there():
    assert aligned(("maker", "qty"), []) == "MAKER  QTY\n"


def test_decimals_are_exact_numbers_of_json():
    assert as_json({"qty": Decimal("0.10000000000000000001")}) == '{\n  "qty": 0.10000000000000000001\n}\n'


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        pytest.param("odd – спред ✓", "odd – спред ✓", id="text stays as it is"),
        pytest.param("a\nb\r\tc", r"a\nb\r\tc", id="line ends"),
        pytest.param("\x1b[31mred\x9b0m\x7f", r"\x1b[31mred\x9b0m\x7f", id="control sequences"),
        pytest.param("a\u2028\u202eb\ud800", r"a\u2028\u202eb\ud800", id="separators, directions, surrogates"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(told, printed):
    assert one_line(told) == printed
    assert aligned(("x",), [(told,)]) == f"X\n{printed}\n"


def test_json_escapes_what_it_would_let_stand():
    told = as_json({"reason": "\x1b\n\x9b\x7f\u2028é"})
    assert told.strip("{}\n ").isprintable()
    assert json.loads(told) == {"reason": "\x1b\n\x9b\x7f\u2028é"}

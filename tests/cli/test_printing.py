from decimal import Decimal

from phoenix_cli.printing import aligned, as_json


def test_columns_are_as_wide_as_what_is_in_them_and_numbers_stand_at_the_right():
    assert aligned(("maker", "qty", ""), [("btcusdt", "-0.004", ""), ("eth", "12", "not ours")]) == (
        "MAKER       QTY\nbtcusdt  -0.004\neth          12  not ours\n"
    )


def test_without_rows_only_the_header_is_there():
    assert aligned(("maker", "qty"), []) == "MAKER  QTY\n"


def test_decimals_are_exact_numbers_of_json():
    assert as_json({"qty": Decimal("0.10000000000000000001")}) == '{\n  "qty": 0.10000000000000000001\n}\n'

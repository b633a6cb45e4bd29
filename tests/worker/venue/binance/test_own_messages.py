import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.instrument import Grid, Instrument
from phoenix_worker.venue.binance import own_messages
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.own_messages import AccountUpdate, OrderTradeUpdate, money, profit

GRID = Instrument(
    *("ETHUSDC", "ETH", "USDC", Grid.of(Decimal("0.01")), Grid.of(Decimal("0.001"))),
    *(1, 10**9, 1, 10**9, 1, 10**9, 0, 1.05, 0.95, 200),
)


def encoded(frame: object) -> bytes:
    return json.dumps(frame).encode()


def test_order_reports_are_exact(frames, instrument):
    rows = frames("orders")
    assert len(rows) >= 8
    for row in rows:
        message = own_messages.user_message(encoded(row["frame"]))
        assert isinstance(message, OrderTradeUpdate)
        report = own_messages.order_report(message, 17, instrument)
        assert report.at == 17
        assert report.execution.value == row["execution"], row["name"]
        told = {name: getattr(report.order, name) for name in report.order.__struct_fields__}
        assert {**told, "state": told["state"].value, "side": int(told["side"])} == row["order"], row["name"]
        assert (msgspec.to_builtins(report.fill) if report.fill else None) == row["fill"], row["name"]
        assert report.expiry_reason == row["expiry_reason"]


def test_account_updates_tell_position_and_funding_of_our_symbol(frames, instrument):
    for row in frames("account"):
        message = own_messages.user_message(encoded(row["frame"]))
        assert isinstance(message, AccountUpdate)
        events = own_messages.account_events(message, 17, instrument)
        assert [msgspec.to_builtins(e) for e in events] == [[e[0], 17, *e[1:]] for e in row["events"]], row["name"]


def test_events_that_we_do_not_act_on_are_named():
    assert own_messages.user_message(b'{"e":"TRADE_LITE","E":1}') == "TRADE_LITE"
    assert own_messages.user_message(b'{"e":"SOMETHING_NEW"}') == "SOMETHING_NEW"


def test_enveloped_and_bare_events_are_the_same():
    bare = b'{"e":"listenKeyExpired","E":1,"listenKey":"x"}'
    assert own_messages.user_message(b'{"stream":"k","data":' + bare + b"}") == own_messages.user_message(bare)


CHANGES = {
    "price off the tick": {"p": "2512.345"},
    "quantity off the step": {"q": "0.0401"},
    "quantity no number": {"q": "x"},
    "quantity infinite": {"q": "Infinity"},
    "quantity nan": {"z": "NaN"},
    "hedge mode": {"ps": "LONG"},
    "side unknown": {"S": "BOTH"},
    "state unknown": {"X": "PERHAPS"},
    "execution unknown": {"x": "PERHAPS"},
    "commission with nine decimals": {"n": "0.000000001"},
    "profit no number": {"rp": "x"},
    "fill price off the tick": {"L": "0.001"},
    "id a string": {"i": "x"},
    "maker missing": {"m": None},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_order_that_cannot_be_exact_is_a_decode_error(frames, instrument, change):
    row = frames("orders")[1]
    frame = {**row["frame"], "o": {**row["frame"]["o"], **change}}
    with pytest.raises(DecodeError):
        own_messages.order_report(own_messages.user_message(encoded(frame)), 0, instrument)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "units"),
    [("0", 0), ("0.00000000", 0), ("0.00115829", 115829), ("-0.00000001", -1), ("12", 1_200_000_000), ("1E-8", 1)],
)
def test_money_is_exact(text, units):
    assert money(text) == units


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "0.000000001"])
def test_money_that_is_none_raises(text):
    with pytest.raises((ValueError, ArithmeticError)):
        money(text)


def test_profit_with_more_decimals_is_rounded_to_even():
    assert [profit(t) for t in ("0.000000005", "0.000000015", "-0.1234567891")] == [0, 2, -12345679]


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_bytes_ever_raise_anything_but_a_decode_error(data):
    readers = (
        own_messages.user_message,
        own_messages.order_ack,
        lambda body: own_messages.order_reply(body, GRID),
        lambda body: own_messages.open_orders(body, GRID),
        lambda body: own_messages.user_trades(body, GRID),
        lambda body: own_messages.position(body, GRID),
    )
    for frame in (data, b'{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":' + data + b"}", b"[" + data + b"]"):
        for read in readers:
            try:
                read(frame)
            except DecodeError:
                continue


@given(st.data())
def test_an_order_report_with_changed_fields_is_exact_or_refused(data):
    junk = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=8), st.floats())
    fields = data.draw(
        st.dictionaries(st.sampled_from(sorted(SAMPLE)), st.one_of(junk, st.sampled_from(["0", "1", "0.01", "BUY"])))
    )
    frame = {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": {**SAMPLE, **fields}}
    try:
        message = own_messages.user_message(json.dumps(frame).encode())
        assert isinstance(message, OrderTradeUpdate)
        report = own_messages.order_report(message, 0, GRID)
    except DecodeError:
        return
    assert report.order.qty_steps == Decimal(message.order.qty) * 1000


SAMPLE = {
    "s": "ETHUSDC",
    "c": "px",
    "S": "BUY",
    "q": "0.04",
    "p": "2512.34",
    "x": "TRADE",
    "X": "FILLED",
    "i": 1,
    "l": "0.01",
    "z": "0.01",
    "L": "2512.34",
    "N": "USDC",
    "n": "0",
    "T": 1,
    "t": 5,
    "m": True,
    "R": False,
    "ps": "BOTH",
    "rp": "0",
    "er": "0",
}


class TestReplies:
    def test_no_row_is_no_position(self, instrument):
        assert own_messages.position(b"[]", instrument) == (0, 0.0)

    def test_a_short_is_negative(self, instrument):
        body = encoded([{"symbol": "ETHUSDC", "positionSide": "BOTH", "positionAmt": "-0.015", "entryPrice": "2500.1"}])
        assert own_messages.position(body, instrument) == (-15, 2500.1)

    @pytest.mark.parametrize("entry", ["nan", "inf", "-1", "x"])
    def test_an_entry_price_that_is_none_is_refused(self, instrument, entry):
        body = encoded([{"symbol": "ETHUSDC", "positionAmt": "0.015", "entryPrice": entry}])
        with pytest.raises(DecodeError):
            own_messages.position(body, instrument)

    def test_hedge_mode_is_refused(self, instrument):
        body = encoded([{"symbol": "ETHUSDC", "positionSide": "LONG", "positionAmt": "0", "entryPrice": "0"}])
        with pytest.raises(DecodeError, match="one-way"):
            own_messages.position(body, instrument)

    def test_fills_come_by_ascending_id_and_of_our_symbol(self, instrument):
        row = {
            "symbol": "ETHUSDC",
            "id": 9,
            "orderId": 4,
            "side": "SELL",
            "positionSide": "BOTH",
            "price": "2512.34",
            "qty": "0.040",
            "commission": "-0.00100000",
            "commissionAsset": "USDC",
            "realizedPnl": "1.5",
            "maker": True,
            "buyer": False,
            "time": 17,
        }
        fills = own_messages.user_trades(
            encoded([row, {**row, "id": 8}, {**row, "symbol": "BTCUSDC", "id": 7}]), instrument
        )
        assert [f.trade_id for f in fills] == [8, 9]
        assert msgspec.to_builtins(fills[0]) == [8, 4, -1, 251234, 40, -100000, "USDC", 150000000, True, 17]

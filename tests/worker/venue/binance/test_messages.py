import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.events import Mark, Minutes
from phoenix_worker.venue.binance import messages
from phoenix_worker.venue.binance.messages import DecodeError

SYMBOL = "ETHUSDC"
READERS = {
    "depthUpdate": messages.depth,
    "bookTicker": messages.touch,
    "trade": messages.trade,
    "markPriceUpdate": messages.market,
    "contractInfo": messages.market,
}


def compact(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def plain(event: object) -> object:
    return json.loads(msgspec.json.encode(event))


@pytest.fixture
def cases(frames):
    rows = [*frames("book"), *frames("market")]
    return [row for row in rows if isinstance(row["frame"].get("data"), dict) and row["frame"]["data"]["e"] in READERS]


def test_documented_frames_become_the_events_that_they_mean(cases):
    told = 0
    for row in cases:
        if row["frame"]["stream"].startswith("btcusdt@depth5"):
            continue
        event = READERS[row["frame"]["data"]["e"]](compact(row["frame"]), 17, SYMBOL)
        assert (plain(event) if event else None) == (
            [row["event"][0], 17, *row["event"][1:]] if row["event"] else None
        ), row["name"]
        told += event is not None
    assert told >= 8


BROKEN = {
    "bid not a number": ("bookTicker", {"b": "x"}),
    "bid is nan": ("bookTicker", {"b": "nan"}),
    "ask infinite": ("bookTicker", {"a": "inf"}),
    "ask beyond a double": ("bookTicker", {"a": "1e999"}),
    "bid zero": ("bookTicker", {"b": "0"}),
    "bid negative": ("bookTicker", {"b": "-1"}),
    "quantity negative": ("bookTicker", {"B": "-1"}),
    "id a fraction": ("bookTicker", {"u": 1.5}),
    "no id": ("bookTicker", {"u": None}),
    "level of three": ("depthUpdate", {"b": [["1", "2", "3"]]}),
    "level with a nan": ("depthUpdate", {"b": [["nan", "1"]]}),
    "levels an object": ("depthUpdate", {"a": {}}),
    "no previous id": ("depthUpdate", {"pu": "x"}),
    "maker flag a string": ("trade", {"m": "perhaps"}),
    "rate beyond sense": ("markPriceUpdate", {"r": "17"}),
    "mark empty": ("markPriceUpdate", {"p": ""}),
}


@pytest.mark.parametrize(("kind", "change"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_what_it_should_be_is_a_decode_error(cases, kind, change):
    row = next(r for r in cases if r["frame"]["data"]["e"] == kind and r["event"])
    frame = {**row["frame"], "data": {**row["frame"]["data"], **change}}
    with pytest.raises(DecodeError):
        READERS[kind](compact(frame), 0, SYMBOL)


@given(
    kind=st.sampled_from(sorted(READERS)),
    data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
)
def test_no_bytes_ever_raise_anything_but_a_decode_error(kind, data):
    for frame in (data, bytearray(data), b'{"stream":"ethusdc@depth@100ms","data":' + data + b"}"):
        try:
            READERS[kind](frame, 0, SYMBOL)
        except DecodeError:
            continue


@given(st.data())
def test_a_real_frame_with_one_byte_changed_is_read_or_refused_whole(data):
    kind, frame = data.draw(st.sampled_from(list(SAMPLES.items())))
    at = data.draw(st.integers(0, len(frame) - 1))
    changed = bytearray(frame)
    changed[at] = data.draw(st.integers(0, 255))
    try:
        event = READERS[kind](changed, 0, SYMBOL)
    except DecodeError:
        return
    if isinstance(event, Mark):
        assert 0 < event.mark < 1e16


SAMPLES = {
    "bookTicker": compact(
        {
            "stream": "ethusdc@bookTicker",
            "data": {
                "e": "bookTicker",
                "u": 7,
                "s": SYMBOL,
                "b": "2.34",
                "B": "1",
                "a": "2.35",
                "A": "3",
                "T": 1,
                "E": 1,
            },
        }
    ),
    "markPriceUpdate": compact(
        {
            "stream": "ethusdc@markPrice@1s",
            "data": {"e": "markPriceUpdate", "E": 1, "s": SYMBOL, "p": "2.3", "i": "2.3", "r": "0.0001", "T": 1},
        }
    ),
}


@pytest.mark.parametrize(
    ("body", "is_reply"),
    [
        (b'{"result":null,"id":1}', True),
        (b'{"error":{"code":3,"msg":"Invalid JSON"}}', True),
        (b'{"e":"x"}', False),
        (b"[]", False),
        (b"\xff", False),
    ],
)
def test_control_replies_are_known(body, is_reply):
    assert messages.is_control_reply(body) is is_reply


def kline(close_ms: int, close: str, volume: str, taker_buys: str) -> list[object]:
    return [close_ms - 59_999, "1", "1", "1", close, volume, close_ms, "0", 1, taker_buys, "0", "0"]


def test_minutes_are_those_klines_that_are_over():
    rows = [kline(59_999, "10.5", "4", "1"), kline(119_999, "11", "0", "0"), kline(179_999, "12", "1", "1")]
    assert messages.minutes(compact(rows), 7, 120_000) == Minutes(7, 119_999, [10.5, 11.0], [4.0, 0.0], [1.0, 0.0])
    assert messages.minutes(b"[]", 7, 120_000) == Minutes(7, 0, [], [], [])


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[[1,2]]",
        compact([kline(1, "nan", "0", "0")]),
        compact([kline(1, "1", "nan", "0")]),
        compact([kline(1, "1", "2", "2.5")]),
        compact([kline(1, "1", "-2", "-3")]),
        b"nonsense",
    ],
    ids=["no list", "cut", "no price", "no volume", "more bought than traded", "negative", "nonsense"],
)
def test_klines_that_are_none_are_a_decode_error(body):
    with pytest.raises(DecodeError):
        messages.minutes(body, 7, 10)


def test_the_touch_of_a_one_sided_book_is_a_decode_error():
    with pytest.raises(DecodeError, match="empty"):
        messages.touch_of_book(b'{"lastUpdateId":1,"bids":[],"asks":[["1","1"]]}', 0, 0)

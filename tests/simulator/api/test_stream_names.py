import pytest
from phoenix_simulator.api.stream_names import StreamKind, delivers, parse_stream_name
from phoenix_simulator.faults import Route


@pytest.mark.parametrize(
    ("name", "kind", "route", "interval_ms", "suffix"),
    [
        ("btcusdt@bookTicker", StreamKind.BOOK_TICKER, Route.PUBLIC, 0, "bookTicker"),
        ("!bookTicker", StreamKind.BOOK_TICKER, Route.PUBLIC, 5000, "!bookTicker"),
        ("btcusdt@trade", StreamKind.TRADE, Route.PUBLIC, 0, "trade"),
        ("btcusdt@depth", StreamKind.DEPTH, Route.PUBLIC, 250, "depth@250ms"),
        ("btcusdt@depth@0ms", StreamKind.DEPTH, Route.PUBLIC, 0, "depth@0ms"),
        ("btcusdt@depth@100ms", StreamKind.DEPTH, Route.PUBLIC, 100, "depth@100ms"),
        ("btcusdt@depth@500ms", StreamKind.DEPTH, Route.PUBLIC, 500, "depth@500ms"),
        ("btcusdt@depth5@500ms", StreamKind.PARTIAL_DEPTH, Route.PUBLIC, 500, "depth5@500ms"),
        ("btcusdt@depth20", StreamKind.PARTIAL_DEPTH, Route.PUBLIC, 250, "depth20@250ms"),
        ("btcusdt@aggTrade", StreamKind.AGGREGATE_TRADE, Route.MARKET, 0, "aggTrade"),
        ("btcusdt@markPrice", StreamKind.MARK_PRICE, Route.MARKET, 3000, "markPrice"),
        ("btcusdt@markPrice@1s", StreamKind.MARK_PRICE, Route.MARKET, 1000, "markPrice@1s"),
        ("!markPrice@arr@1s", StreamKind.MARK_PRICE, Route.MARKET, 1000, "!markPrice@arr@1s"),
        ("btcusdt@kline_1m", StreamKind.KLINE, Route.MARKET, 250, "kline_1m"),
        ("btcusdt_perpetual@continuousKline_1m", StreamKind.CONTINUOUS_KLINE, Route.MARKET, 250, "continuousKline_1m"),
        ("btcusdt@rpiDepth@500ms", StreamKind.RPI_DEPTH, Route.PUBLIC, 500, "rpiDepth@500ms"),
        ("btcusdt@miniTicker", StreamKind.MINI_TICKER, Route.MARKET, 500, "miniTicker"),
        ("btcusdt@ticker", StreamKind.TICKER, Route.MARKET, 500, "ticker"),
        ("btcusdt@forceOrder", StreamKind.FORCE_ORDER, Route.MARKET, 1000, "forceOrder"),
        ("btcusd@assetIndex", StreamKind.ASSET_INDEX, Route.MARKET, 1000, "assetIndex"),
        ("!assetIndex@arr", StreamKind.ASSET_INDEX, Route.MARKET, 1000, "!assetIndex@arr"),
        ("!contractInfo", StreamKind.CONTRACT_INFO, Route.MARKET, 0, "!contractInfo"),
    ],
)
def test_a_name_says_what_is_sent_where_and_how_often(name, kind, route, interval_ms, suffix):
    stream = parse_stream_name(name)
    assert stream is not None
    assert (stream.kind, stream.route, stream.interval_ms, stream.suffix) == (kind, route, interval_ms, suffix)
    assert delivers(route, stream)
    assert delivers(Route.UNROUTED, stream) is (route is Route.PUBLIC)
    assert not delivers(Route.PRIVATE, stream)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1",
        "BTCUSDT@bookTicker",
        "btcusdt@bookticker",
        "btcusdt@depth7",
        "btcusdt@depth@33ms",
        "btcusdt@kline_2m",
        "btcusdt_perpetual@continuousKline_2m",
        "btcusdt_current_quarter@continuousKline_1m",
        "btcusdt@continuousKline_1m",
        "btcusdt@rpiDepth",
        "@depth",
        "btcusdt",
        "btcusdt@",
        "!everything",
    ],
)
def test_other_names_never_deliver(name):
    assert parse_stream_name(name) is None

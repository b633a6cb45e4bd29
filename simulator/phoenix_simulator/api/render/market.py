"""Market data of REST and of the streams that leave with a rhythm."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Final

import orjson

from phoenix_simulator.api import intervals
from phoenix_simulator.api.render import frames
from phoenix_simulator.api.render.numbers import SymbolText, plain, plain_e8
from phoenix_simulator.api.tape import AggregateTrade, Candle, Tape, since_day
from phoenix_simulator.exchange.book import DepthSnapshot
from phoenix_simulator.exchange.events import OrderForced, TradePrinted
from phoenix_simulator.exchange.listing import FundingRecord, Listing
from phoenix_simulator.exchange.prices import COLLATERAL, AssetIndex
from phoenix_simulator.exchange.symbols import E8, SymbolSpec, decimal_ratio, format_e8, from_e8

Json = dict[str, object]

_DELIVERY_MS: Final = 4_133_404_800_000
"""The venue's far future: a perpetual never settles."""
_INTEREST_RATE: Final = "0.00010000"
_ORDER_TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_TIME_IN_FORCE: Final = ("GTC", "IOC", "FOK", "GTX", "GTD")


# ---- exchangeInfo -----------------------------------------------------------------------------------------------


def exchange_info(listings: Iterable[Listing], rate_limits: list[Json], server_ms: int) -> Json:
    symbols = list(listings)
    return {
        "timezone": "UTC",
        "serverTime": server_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": rate_limits,
        "exchangeFilters": [],
        "assets": [
            {"asset": row.asset, "marginAvailable": True, "autoAssetExchange": plain_e8(-row.auto_exchange_e8)}
            for row in COLLATERAL.values()
        ],
        "symbols": [symbol_info(listing) for listing in symbols],
    }


def symbol_info(listing: Listing) -> Json:
    spec = listing.spec
    return {
        "symbol": spec.symbol,
        "pair": spec.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _DELIVERY_MS,
        "onboardDate": spec.onboard_ms,
        "status": listing.status.value,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base_asset,
        "quoteAsset": spec.quote_asset,
        "marginAsset": spec.margin_asset,
        "pricePrecision": spec.price_precision,
        "quantityPrecision": spec.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["USDC"] if spec.margin_asset == "USDC" else ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": format(spec.liquidation_fee, "f"),
        "marketTakeBound": plain(spec.market_take_bound),
        "maxMoveOrderLimit": spec.max_amendments,
        "filters": filters(spec),
        "orderTypes": list(_ORDER_TYPES),
        "timeInForce": list(_TIME_IN_FORCE),
        "permissionSets": ["GRID", "COPY"],
    }


def filters(spec: SymbolSpec) -> list[Json]:
    step = format_e8(spec.step_e8, spec.quantity_precision)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(spec.price_to_decimal(spec.min_price_ticks)),
            "maxPrice": plain(spec.price_to_decimal(spec.max_price_ticks)),
            "tickSize": format_e8(spec.tick_e8, spec.price_precision),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": spec.format_quantity(spec.min_steps),
            "maxQty": plain(spec.quantity_to_decimal(spec.max_steps)),
            "stepSize": step,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": spec.format_quantity(spec.min_steps),
            "maxQty": plain(spec.quantity_to_decimal(spec.market_max_steps)),
            "stepSize": step,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": spec.max_num_orders},
        {"filterType": "MIN_NOTIONAL", "notional": plain(from_e8(spec.min_notional_e8))},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": format(spec.multiplier_up, ".4f"),
            "multiplierDown": format(spec.multiplier_down, ".4f"),
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


# ---- book and trades --------------------------------------------------------------------------------------------


def depth(text: SymbolText, snapshot: DepthSnapshot, event_ms: int, skew_ms: int) -> Json:
    return {
        "lastUpdateId": snapshot.last_update_id,
        "E": event_ms,
        "T": snapshot.time_ms + skew_ms,
        "bids": [(text.price(ticks), text.quantity(steps)) for ticks, steps in snapshot.bids],
        "asks": [(text.price(ticks), text.quantity(steps)) for ticks, steps in snapshot.asks],
    }


def book_ticker(text: SymbolText, listing: Listing, skew_ms: int) -> Json:
    touch = listing.touch
    return {
        "symbol": text.spec.symbol,
        "bidPrice": text.price(touch.bid_ticks),
        "bidQty": text.quantity(touch.bid_steps),
        "askPrice": text.price(touch.ask_ticks),
        "askQty": text.quantity(touch.ask_steps),
        "time": touch.time_ms + skew_ms,
        "lastUpdateId": touch.update_id,
    }


def trade(text: SymbolText, row: TradePrinted) -> Json:
    return {
        "id": row.trade_id,
        "price": text.price(row.price_ticks),
        "qty": text.quantity(row.qty_steps),
        "quoteQty": _quote(text.spec.notional_e8(row.price_ticks, row.qty_steps)),
        "time": row.time_ms,
        "isBuyerMaker": row.buyer_is_maker,
        "isRPITrade": row.is_retail,
    }


def aggregate_trade(text: SymbolText, row: AggregateTrade) -> Json:
    return {
        "a": row.aggregate_id,
        "p": text.price(row.price_ticks),
        "q": text.quantity(row.qty_steps),
        "nq": text.quantity(row.qty_steps - row.retail_steps),
        "f": row.first_trade_id,
        "l": row.last_trade_id,
        "T": row.time_ms,
        "m": row.buyer_is_maker,
    }


# ---- candles ----------------------------------------------------------------------------------------------------


def kline(text: SymbolText, interval: str, candle: Candle) -> list[object]:
    return [
        candle.open_ms,
        text.price(candle.open),
        text.price(candle.high),
        text.price(candle.low),
        text.price(candle.close),
        text.quantity(candle.volume_steps),
        intervals.next_open(interval, candle.open_ms) - 1,
        _quote(candle.quote_e8),
        candle.trades,
        text.quantity(candle.taker_buy_steps),
        _quote(candle.taker_buy_quote_e8),
        "0",
    ]


def mark_kline(interval: str, candle: Candle) -> list[object]:
    prices = [format_e8(price) for price in (candle.open, candle.high, candle.low, candle.close)]
    close_ms = intervals.next_open(interval, candle.open_ms) - 1
    return [candle.open_ms, *prices, "0", close_ms, "0", candle.trades, "0", "0", "0"]


def kline_event(text: SymbolText, interval: str, candle: Candle, event_ms: int, *, is_closed: bool) -> bytes:
    symbol = text.spec.symbol
    body = {"s": symbol, **_candle(text, interval, candle, is_closed=is_closed)}
    return orjson.dumps({"e": "kline", "E": event_ms, "s": symbol, "k": body})


def continuous_kline_event(text: SymbolText, interval: str, candle: Candle, event_ms: int, *, is_closed: bool) -> bytes:
    """The same candle under the name of its pair and contract type."""
    body = _candle(text, interval, candle, is_closed=is_closed)
    return orjson.dumps({"e": "continuous_kline", "E": event_ms, "ps": text.spec.symbol, "ct": "PERPETUAL", "k": body})


def _candle(text: SymbolText, interval: str, candle: Candle, *, is_closed: bool) -> Json:
    return {
        "t": candle.open_ms,
        "T": intervals.next_open(interval, candle.open_ms) - 1,
        "i": interval,
        "f": candle.first_trade_id,
        "L": candle.last_trade_id,
        "o": text.price(candle.open),
        "c": text.price(candle.close),
        "h": text.price(candle.high),
        "l": text.price(candle.low),
        "v": text.quantity(candle.volume_steps),
        "n": candle.trades,
        "x": is_closed,
        "q": _quote(candle.quote_e8),
        "V": text.quantity(candle.taker_buy_steps),
        "Q": _quote(candle.taker_buy_quote_e8),
        "B": "0",
    }


# ---- mark price and funding -------------------------------------------------------------------------------------


def mark_price(listing: Listing, tape: Tape, event_ms: int, skew_ms: int) -> bytes:
    return frames.mark_price(
        listing.spec.symbol,
        event_ms,
        mark_e8=listing.mark_e8,
        average_mark_e8=tape.average_mark_e8,
        index_e8=listing.index_e8,
        funding_rate_e8=listing.funding_rate_e8,
        next_funding_ms=listing.next_funding_ms + skew_ms,
    )


def premium_index(listing: Listing, server_ms: int, skew_ms: int) -> Json:
    return {
        "symbol": listing.spec.symbol,
        "markPrice": format_e8(listing.mark_e8),
        "indexPrice": format_e8(listing.index_e8),
        "estimatedSettlePrice": format_e8(listing.index_e8),
        "lastFundingRate": format_e8(listing.funding_rate_e8),
        "interestRate": _INTEREST_RATE,
        "nextFundingTime": listing.next_funding_ms + skew_ms,
        "time": server_ms,
    }


def funding_rate(symbol: str, record: FundingRecord) -> Json:
    return {
        "symbol": symbol,
        "fundingRate": format_e8(record.rate_e8),
        "fundingTime": record.time_ms,
        "markPrice": format_e8(record.mark_e8),
        "rateType": "Regular",
    }


def funding_info(listing: Listing, updated_ms: int) -> Json:
    spec = listing.spec
    return {
        "symbol": spec.symbol,
        "adjustedFundingRateCap": format(spec.funding_cap, ".8f"),
        "adjustedFundingRateFloor": format(-spec.funding_cap, ".8f"),
        "fundingIntervalHours": listing.funding_interval_ms // 3_600_000,
        "disclaimer": False,
        "updateTime": updated_ms,
    }


# ---- tickers ----------------------------------------------------------------------------------------------------


def price_ticker(text: SymbolText, tape: Tape, server_ms: int) -> Json:
    return {"symbol": text.spec.symbol, "price": text.price(tape.last_ticks), "time": server_ms}


def ticker_24h(text: SymbolText, tape: Tape, now_ms: int, server_ms: int) -> Json:
    day = tape.minutes.since(since_day(now_ms), now_ms)
    last_steps = tape.trades[-1].qty_steps if tape.trades else 0
    return {
        "symbol": text.spec.symbol,
        "priceChange": _difference(text.spec, day),
        "priceChangePercent": _percent(day),
        "weightedAvgPrice": _average(text.spec, day),
        "lastPrice": text.price(tape.last_ticks),
        "lastQty": text.quantity(last_steps),
        "openPrice": text.price(day.open),
        "highPrice": text.price(day.high),
        "lowPrice": text.price(day.low),
        "volume": text.quantity(day.volume_steps),
        "quoteVolume": _quote(day.quote_e8),
        "openTime": since_day(server_ms),
        "closeTime": server_ms,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def mini_ticker_event(text: SymbolText, tape: Tape, now_ms: int, event_ms: int) -> bytes:
    day = tape.minutes.since(since_day(now_ms), now_ms)
    return orjson.dumps({"e": "24hrMiniTicker", "E": event_ms, "s": text.spec.symbol, **_short_day(text, day)})


def ticker_event(text: SymbolText, tape: Tape, now_ms: int, event_ms: int) -> bytes:
    day = tape.minutes.since(since_day(now_ms), now_ms)
    last_steps = tape.trades[-1].qty_steps if tape.trades else 0
    return orjson.dumps(
        {
            "e": "24hrTicker",
            "E": event_ms,
            "s": text.spec.symbol,
            "p": _difference(text.spec, day),
            "P": _percent(day),
            "w": _average(text.spec, day),
            "Q": text.quantity(last_steps),
            **_short_day(text, day),
            "O": since_day(event_ms),
            "C": event_ms,
            "F": day.first_trade_id,
            "L": day.last_trade_id,
            "n": day.trades,
        }
    )


def _short_day(text: SymbolText, day: Candle) -> Json:
    return {
        "c": text.price(day.close),
        "o": text.price(day.open),
        "h": text.price(day.high),
        "l": text.price(day.low),
        "v": text.quantity(day.volume_steps),
        "q": _quote(day.quote_e8),
        "ps": text.spec.symbol,
        "st": frames.USD_M,
    }


# ---- rarities ---------------------------------------------------------------------------------------------------


def force_order(text: SymbolText, event: OrderForced, event_ms: int) -> bytes:
    order = event.order
    average = _average_fill(text.spec, order.cum_quote_e8, order.executed_steps)
    return orjson.dumps(
        {
            "e": "forceOrder",
            "E": event_ms,
            "ps": event.symbol,
            "st": frames.USD_M,
            "o": {
                "s": event.symbol,
                "S": order.side.value,
                "o": order.type.value,
                "f": order.time_in_force.value,
                "q": text.quantity(order.orig_steps),
                "p": text.price(order.price_ticks),
                "ap": average,
                "X": order.status.value,
                "l": text.quantity(event.last_steps),
                "z": text.quantity(order.executed_steps),
                "T": event.time_ms,
            },
        }
    )


def asset_index(index: AssetIndex, time_ms: int) -> Json:
    """What an asset counts for in multi-assets mode, in US dollars."""
    margin, exchange = f"{index.collateral.buffer:.8f}", f"{index.collateral.auto_exchange_buffer:.8f}"
    return {
        "symbol": index.symbol,
        "time": time_ms,
        "index": format_e8(index.index_e8),
        "bidBuffer": margin,
        "askBuffer": margin,
        "bidRate": format_e8(index.bid_e8),
        "askRate": format_e8(index.ask_e8),
        "autoExchangeBidBuffer": exchange,
        "autoExchangeAskBuffer": exchange,
        "autoExchangeBidRate": format_e8(index.auto_exchange_bid_e8),
        "autoExchangeAskRate": format_e8(index.auto_exchange_ask_e8),
    }


def asset_index_event(index: AssetIndex, event_ms: int) -> bytes:
    margin, exchange = f"{index.collateral.buffer:.8f}", f"{index.collateral.auto_exchange_buffer:.8f}"
    return orjson.dumps(
        {
            "e": "assetIndexUpdate",
            "E": event_ms,
            "s": index.symbol,
            "i": format_e8(index.index_e8),
            "b": margin,
            "a": margin,
            "B": format_e8(index.bid_e8),
            "A": format_e8(index.ask_e8),
            "q": exchange,
            "g": exchange,
            "Q": format_e8(index.auto_exchange_bid_e8),
            "G": format_e8(index.auto_exchange_ask_e8),
        }
    )


def contract_info(listing: Listing, event_ms: int) -> bytes:
    spec = listing.spec
    return orjson.dumps(
        {
            "e": "contractInfo",
            "E": event_ms,
            "s": spec.symbol,
            "ps": spec.symbol,
            "st": frames.USD_M,
            "ct": "PERPETUAL",
            "dt": _DELIVERY_MS,
            "ot": spec.onboard_ms,
            "cs": listing.status.value,
            "bks": [
                {
                    "bs": row.bracket,
                    "bnf": row.notional_floor_e8 // E8,
                    "bnc": row.notional_cap_e8 // E8,
                    "mmr": float(row.maintenance_ratio),
                    "cf": row.cumulative_e8 // E8,
                    # A bracket is for the leverages that the next one no longer allows.
                    "mi": above.initial_leverage + 1 if above is not None else 1,
                    "ma": row.initial_leverage,
                }
                for row, above in zip_longest(spec.brackets, spec.brackets[1:])
            ],
        }
    )


# ---- arithmetic -------------------------------------------------------------------------------------------------


def _quote(amount_e8: int) -> str:
    """Quote volumes carry five decimals; no built-in symbol's fill needs more."""
    return format_e8(amount_e8, 5)


def _difference(spec: SymbolSpec, day: Candle) -> str:
    return format_e8((day.close - day.open) * spec.tick_e8, spec.price_precision)


def _percent(day: Candle) -> str:
    return format(Decimal(100 * (day.close - day.open)) / Decimal(day.open or 1), ".3f")


def _average(spec: SymbolSpec, day: Candle) -> str:
    return _average_fill(spec, day.quote_e8, day.volume_steps)


def _average_fill(spec: SymbolSpec, quote_e8: int, steps: int) -> str:
    if not steps:
        return format_e8(0, spec.price_precision)
    return plain(round(decimal_ratio(quote_e8, steps * spec.step_e8), 5))


def rate_limits(rows: Sequence[tuple[str, str, int, int]]) -> list[Json]:
    """Rows of (type, interval, number of intervals, limit)."""
    return [
        {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
        for kind, interval, number, limit in rows
    ]

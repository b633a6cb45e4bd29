"""Every REST method of the venue's official SDK: called, understood by its models without a warning, or not claimed."""

import inspect
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from binance_common.errors import BadRequestError, NotFoundError
from binance_sdk_derivatives_trading_usds_futures.rest_api.rest_api import DerivativesTradingUsdsFuturesRestAPI
from sdk_world import PATIENCE_S, SYMBOL, Parameters, Trader, absent_fields


def nothing(_: Trader) -> Parameters:
    return {}


def symbol(_: Trader) -> Parameters:
    return {"symbol": SYMBOL}


def candles(_: Trader) -> Parameters:
    return {"symbol": SYMBOL, "interval": "1m", "limit": 5}


CLAIMED: dict[str, Callable[[Trader], Parameters]] = {
    # the market
    "test_connectivity": nothing,
    "check_server_time": nothing,
    "exchange_information": nothing,
    "order_book": symbol,
    "rpi_order_book": symbol,
    "recent_trades_list": symbol,
    "old_trades_lookup": symbol,
    "compressed_aggregate_trades_list": Trader.filled,
    "kline_candlestick_data": candles,
    "mark_price_kline_candlestick_data": candles,
    "mark_price": symbol,
    "get_funding_rate_history": symbol,
    "get_funding_rate_info": nothing,
    "symbol_order_book_ticker": symbol,
    "symbol_price_ticker": symbol,
    "symbol_price_ticker_v2": symbol,
    "ticker24hr_price_change_statistics": symbol,
    "asset_index": nothing,
    # orders
    "new_order": Trader.quote,
    "test_order": Trader.quote,
    "modify_order": Trader.amendment,
    "get_order_modify_history": Trader.amended,
    "cancel_order": Trader.reference,
    "cancel_all_open_orders": symbol,
    "cancel_multiple_orders": lambda trader: {
        "symbol": SYMBOL,
        "order_id_list": [trader.resting(), trader.resting()],
    },
    "place_multiple_orders": Trader.batch,
    "modify_multiple_orders": Trader.amendments,
    "auto_cancel_all_open_orders": lambda _: {"symbol": SYMBOL, "countdown_time": 30_000},
    "query_order": Trader.reference,
    "query_current_open_order": Trader.reference,
    "current_all_open_orders": lambda trader: {"symbol": trader.reference()["symbol"]},
    "all_orders": lambda trader: {"symbol": trader.reference()["symbol"]},
    "account_trade_list": Trader.filled,
    "users_force_orders": symbol,
    # conditional orders
    "new_algo_order": Trader.stop,
    "cancel_algo_order": Trader.waiting,
    "cancel_all_algo_open_orders": lambda trader: trader.waiting() and {"symbol": SYMBOL},
    "query_algo_order": Trader.waiting,
    "current_all_algo_open_orders": lambda trader: trader.waiting() and {"symbol": SYMBOL},
    "query_all_algo_orders": lambda trader: trader.waiting() and {"symbol": SYMBOL},
    # the account
    "account_information_v2": Trader.in_position,
    "account_information_v3": Trader.in_position,
    "futures_account_balance_v2": nothing,
    "futures_account_balance_v3": nothing,
    "futures_account_configuration": nothing,
    "position_information_v2": Trader.filled,
    "position_information_v3": Trader.filled,
    "position_adl_quantile_estimation": Trader.filled,
    "get_income_history": Trader.filled,
    "user_commission_rate": symbol,
    "notional_and_leverage_brackets": symbol,
    "query_user_rate_limit": nothing,
    "symbol_configuration": symbol,
    # its settings
    "change_initial_leverage": lambda _: {"symbol": SYMBOL, "leverage": 5},
    "change_margin_type": lambda _: {"symbol": SYMBOL, "margin_type": "ISOLATED"},
    "modify_isolated_position_margin": Trader.isolated,
    "get_current_position_mode": nothing,
    "change_position_mode": lambda _: {"dual_side_position": "true"},
    "get_current_multi_assets_mode": nothing,
    "change_multi_assets_mode": lambda _: {"multi_assets_margin": "true"},
    "get_bnb_burn_status": nothing,
    "toggle_bnb_burn_on_futures_trade": lambda _: {"fee_burn": "true"},
    # the user stream
    "start_user_data_stream": nothing,
    "keepalive_user_data_stream": Trader.listening,
    "close_user_data_stream": Trader.listening,
}

NOT_CLAIMED = {
    # what a market maker does not ask a venue for
    "accept_the_offered_quote": "conversion of assets",
    "list_all_convert_pairs": "conversion of assets",
    "order_status": "conversion of assets",
    "send_quote_request": "conversion of assets",
    "classic_portfolio_margin_account_information": "portfolio margin is another product",
    "futures_tradfi_perps_contract": "an agreement that a person signs",
    "futures_trading_quantitative_rules_indicators": "the venue does not say how it judges",
    "get_download_id_for_futures_order_history": "files to download",
    "get_download_id_for_futures_trade_history": "files to download",
    "get_download_id_for_futures_transaction_history": "files to download",
    "get_futures_order_history_download_link_by_id": "files to download",
    "get_futures_trade_download_link_by_id": "files to download",
    "get_futures_transaction_history_download_link_by_id": "files to download",
    "get_position_margin_change_history": "history of isolated margin",
    # statistics of a market with other people in it
    "adl_risk": "statistics",
    "basis": "statistics",
    "long_short_ratio": "statistics",
    "open_interest": "statistics",
    "open_interest_statistics": "statistics",
    "query_insurance_fund_balance_snapshot": "statistics",
    "taker_buy_sell_volume": "statistics",
    "top_trader_long_short_ratio_accounts": "statistics",
    "top_trader_long_short_ratio_positions": "statistics",
    # other contracts and indices
    "composite_index_symbol_information": "composite indices",
    "query_index_price_constituents": "what an index is made of",
    "index_price_kline_candlestick_data": "candles of an index",
    "premium_index_kline_data": "candles of an index",
    "continuous_contract_kline_candlestick_data": "delivery contracts",
    "quarterly_contract_settlement_price": "delivery contracts",
    "trading_schedule": "contracts that do not trade around the clock",
}

SENDS_ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ANYTHING = {"send_request", "send_signed_request"}
"""The two methods that ask for what the caller names."""

MAY_BE_EMPTY = {
    "get_funding_rate_history": "the first settlement is hours away",
    "users_force_orders": "nobody is liquidated here",
}

MAY_BE_ABSENT = {
    # of trailing orders alone
    "activatePrice",
    "priceRate",
    # of a batch's item that failed
    "code",
    "msg",
    # deprecated by the venue: neither sends it
    "avgPrice",
    "cumQuote",
    "settlePlan",
    "icebergQuantity",
    # of a conditional order that has been triggered
    "actualQty",
    "actualType",
    # of the other position mode
    "LONG",
    "SHORT",
    "HEDGE",
}
"""Fields that a model knows and an answer may leave out, as the venue's own does."""

ONE_OF_MANY = {"ExchangeInformationResponseSymbolsInnerFiltersInner"}
"""Models with the fields of every kind of filter: one filter has its own."""

ANYTHING = {
    "amount": 1.0,
    "asset": "USDT",
    "contract_type": "PERPETUAL",
    "download_id": "1",
    "end_time": 2,
    "fee_burn": "true",
    "from_asset": "USDT",
    "interval": "1m",
    "pair": SYMBOL,
    "period": "5m",
    "quote_id": "1",
    "start_time": 1,
    "symbol": SYMBOL,
    "to_asset": "USDC",
}
"""Something to say for each parameter that a method insists on."""


def methods_of(api: type) -> set[str]:
    return {name for name, value in vars(api).items() if inspect.isfunction(value) and not name.startswith("_")}


def required_of(method: Callable[..., Any]) -> Parameters:
    parameters = inspect.signature(method).parameters.values()
    return {each.name: ANYTHING[each.name] for each in parameters if each.default is inspect.Parameter.empty}


def test_the_tables_hold_every_method_that_the_sdk_has() -> None:
    assert CLAIMED.keys() | NOT_CLAIMED.keys() | SENDS_ANYTHING == methods_of(DerivativesTradingUsdsFuturesRestAPI)
    assert not CLAIMED.keys() & NOT_CLAIMED.keys()


@pytest.mark.parametrize("method", CLAIMED)
def test_is_answered_as_the_sdk_expects(trader: Trader, method: str, no_warning: Callable[[], None]) -> None:
    parameters = CLAIMED[method](trader)
    ask = getattr(trader.rest, method)
    response = ask(**parameters)
    deadline = time.monotonic() + PATIENCE_S
    while response.data() == [] and method not in MAY_BE_EMPTY and time.monotonic() < deadline:
        time.sleep(0.05)
        response = ask(**parameters)
    assert response.data() != [] or method in MAY_BE_EMPTY
    assert absent_fields(response.data()) <= MAY_BE_ABSENT
    assert {limit.rateLimitType for limit in response.rate_limits} <= {"REQUEST_WEIGHT", "ORDERS"}
    no_warning()


@pytest.mark.parametrize("method", NOT_CLAIMED)
def test_is_refused_like_anything_that_the_venue_does_not_have(trader: Trader, method: str) -> None:
    """What fails here is served now: its method belongs among those that are claimed."""
    ask = getattr(trader.rest, method)
    with pytest.raises((NotFoundError, BadRequestError)) as refused:
        ask(**required_of(ask))
    assert refused.value.status_code in {-5000, -1020}


def test_a_refusal_is_the_sdks_own_exception_with_the_venues_code(trader: Trader) -> None:
    crossing = {**trader.quote(), "price": float((trader.touch()[1] * Decimal("1.01")).quantize(Decimal("0.01")))}
    with pytest.raises(BadRequestError) as refused:
        trader.rest.new_order(**crossing)
    assert refused.value.status_code == -5022
    with pytest.raises(BadRequestError) as refused:
        trader.rest.cancel_order(symbol=SYMBOL, order_id=1)
    assert refused.value.status_code == -2011

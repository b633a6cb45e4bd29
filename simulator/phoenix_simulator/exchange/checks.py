"""What a request must satisfy before it reaches the matching engine, in one order.

The order of checks is not documented by the venue; this is the sensible one: presence, symbol, client id, decimals,
price, quantity, notional, percent price, position side, reduce-only, number of orders, leverage and margin.
"""

import re
from decimal import Decimal

import msgspec

from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.algo_orders import ConditionalType, NewAlgoOrder
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.margin import in_asset_e8, standing_margin, worst_notional_e8
from phoenix_simulator.exchange.orders import (
    AmendOrder,
    NewOrder,
    Order,
    OrderType,
    PositionSide,
    PriceMatch,
    Side,
    TimeInForce,
)
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.settings import ExchangeSettings, ReduceOnlyExcess, StrayTimeInForceCode
from phoenix_simulator.exchange.symbols import SymbolSpec, SymbolStatus, decimals_of, divide_up, format_e8

_CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")

_GTD_LEAST_MS = 600_000
_GTD_LATEST_MS = 253_402_300_799_000
_LEAST_CALLBACK, _MOST_CALLBACK = Decimal("0.1"), Decimal(10)
"""Percent, in tenths."""


class Terms(msgspec.Struct, frozen=True):
    """A request on the symbol's grid. `price_ticks` is 0 for market orders."""

    price_ticks: int
    steps: int


def check_new(
    listing: Listing,
    account: Account,
    holding: Holding,
    request: NewOrder,
    *,
    now_ms: int,
    prices: Prices,
    settings: ExchangeSettings,
) -> Terms:
    """The whole chain for a new order; the matching engine's own refusals come after it."""
    check_presence(
        request.type,
        request.time_in_force,
        has_price=request.price is not None,
        has_price_match=request.price_match is not PriceMatch.NONE,
        has_good_till=request.good_till_ms != 0,
        stray_code=settings.stray_time_in_force,
    )
    check_symbol(listing)
    _check_good_till(request.time_in_force, request.good_till_ms, now_ms)
    _check_client_id(holding, request.client_order_id)
    spec = listing.spec
    price = _price_of(listing, request.side, request.price, request.price_match)
    terms = _check_grid(spec, price, request.quantity, is_market=request.type is OrderType.MARKET)
    if request.type is OrderType.MARKET:
        notional_e8 = spec.mark_notional_e8(listing.mark_e8, terms.steps)
        _check_counter_price(listing, request.side)
    else:
        notional_e8 = spec.notional_e8(terms.price_ticks, terms.steps)
    if notional_e8 < spec.min_notional_e8 and not request.only_reduces:
        raise errors.notional_too_small(notional=_plain(spec.min_notional_e8))
    if request.type is OrderType.LIMIT:
        _check_percent_price(listing, request.side, terms.price_ticks)
    _check_modes(account, request.position_side, reduce_only=request.reduce_only)
    if request.only_reduces:
        terms = _reducing(terms, holding, request.side, settings.reduce_only_excess)
    if len(holding.open) >= spec.max_num_orders:
        raise errors.max_open_orders()
    if not request.only_reduces:
        reserved_e8 = _reserved_notional_e8(listing, request.side, terms)
        _check_margin(listing, account, holding, request.side, reserved_e8, prices=prices)
    return terms


def check_amendment(
    listing: Listing, account: Account, holding: Holding, order: Order, request: AmendOrder, *, prices: Prices
) -> Terms:
    """The chain for an amendment; what the amendment does to the order is the matching engine's business."""
    spec = listing.spec
    if listing.status is not SymbolStatus.TRADING:
        raise errors.amend_symbol_not_trading()
    if order.type is not OrderType.LIMIT:
        raise errors.amend_only_limit()
    if request.side is not order.side:
        raise errors.bad_side()
    if request.reduce_only and not order.reduce_only:
        raise errors.amend_not_reduce_only()
    if order.amend_count >= spec.max_amendments:
        raise errors.amend_too_many()
    _check_price_presence(
        has_price=request.price is not None, has_price_match=request.price_match is not PriceMatch.NONE
    )
    price = _price_of(listing, request.side, request.price, request.price_match)
    terms = _check_grid(spec, price, request.quantity, is_market=False)
    notional_e8 = spec.notional_e8(terms.price_ticks, terms.steps)
    if notional_e8 < spec.min_notional_e8 and not order.reduce_only:
        raise errors.amend_notional_too_small(notional=_plain(spec.min_notional_e8))
    _check_percent_price(listing, order.side, terms.price_ticks)
    if (terms.price_ticks, terms.steps) == (order.price_ticks, order.orig_steps):
        raise errors.amend_unchanged()
    leaves = max(0, terms.steps - order.executed_steps)
    if order.reduce_only:
        _check_reduce_only(holding, order.side, leaves - order.leaves_steps)
    else:
        added_e8 = spec.notional_e8(terms.price_ticks, leaves) - spec.notional_e8(order.price_ticks, order.leaves_steps)
        _check_margin(listing, account, holding, order.side, added_e8, prices=prices)
    return terms


def check_conditional(listing: Listing, account: Account, request: NewAlgoOrder, *, now_ms: int) -> None:
    """What can be judged before the condition is met: form, filters and modes. Margin and the rest are the matching
    engine's business then.
    """
    _check_conditional_size(request)
    _check_conditional_price(request)
    _check_condition(request)
    _check_good_till_presence(request.time_in_force, has_good_till=request.good_till_ms != 0)
    check_symbol(listing)
    _check_good_till(request.time_in_force, request.good_till_ms, now_ms)
    if request.client_algo_id is not None and not _CLIENT_ORDER_ID.fullmatch(request.client_algo_id):
        raise errors.bad_client_order_id()
    spec, is_market = listing.spec, not request.type.becomes_limit
    for price in (request.price, request.trigger_price, request.activate_price):
        if price is not None:
            _check_precision(price, spec.price_precision)
            _ticks(spec, price)
    if request.quantity is not None:
        _check_precision(request.quantity, spec.quantity_precision)
        _steps(spec, request.quantity, spec.market_max_steps if is_market else spec.max_steps)
    _check_modes(account, request.position_side, reduce_only=request.reduce_only)


def _check_conditional_size(request: NewAlgoOrder) -> None:
    if not request.close_position:
        if request.quantity is None:
            raise errors.mandatory_missing(name="quantity")
        return
    if not request.type.may_close_position:
        raise errors.close_position_type(type=request.type.value)
    if request.quantity is not None:
        raise errors.close_position_quantity()
    if request.reduce_only:
        raise errors.not_required(name="reduceOnly")


def _check_conditional_price(request: NewAlgoOrder) -> None:
    if request.type.becomes_limit:
        _check_price_presence(
            has_price=request.price is not None, has_price_match=request.price_match is not PriceMatch.NONE
        )
    elif request.price is not None:
        raise errors.not_required(name="price")
    elif request.price_match is not PriceMatch.NONE:
        raise errors.price_match_wrong_type()


def _check_condition(request: NewAlgoOrder) -> None:
    """A trailing stop follows by its callback rate; all others wait for their trigger."""
    if request.type is not ConditionalType.TRAILING_STOP_MARKET:
        if request.trigger_price is None:
            raise errors.mandatory_missing(name="triggerPrice")
        for name, value in (("callbackRate", request.callback_rate), ("activatePrice", request.activate_price)):
            if value is not None:
                raise errors.not_required(name=name)
        return
    if request.trigger_price is not None:
        raise errors.not_required(name="triggerPrice")
    if request.callback_rate is None:
        raise errors.mandatory_missing(name="callbackRate")
    if not _LEAST_CALLBACK <= request.callback_rate <= _MOST_CALLBACK or decimals_of(request.callback_rate) > 1:
        raise errors.bad_callback_rate()


def check_symbol(listing: Listing) -> None:
    """−4140 or −4141 where the symbol takes no orders."""
    if listing.status in {SymbolStatus.CLOSE, SymbolStatus.DELIVERED}:
        raise errors.symbol_closed()
    if listing.status is not SymbolStatus.TRADING:
        raise errors.symbol_not_open()


# ---- the links of the chain -------------------------------------------------------------------------------------


def check_presence(
    order_type: str,
    time_in_force: str | None,
    *,
    has_price: bool,
    has_price_match: bool,
    has_good_till: bool,
    stray_code: StrayTimeInForceCode,
) -> None:
    """What an order of its type must have, and must not (the wire asks before it knows whether the words exist)."""
    match order_type:
        case OrderType.MARKET:
            if has_price:
                raise errors.not_required(name="price")
            if time_in_force is not None:
                raise errors.stray_time_in_force(stray_code)
            if has_price_match:
                raise errors.price_match_wrong_type()
        case OrderType.LIMIT:
            if time_in_force is None:
                raise errors.mandatory_missing(name="timeInForce")
            _check_price_presence(has_price=has_price, has_price_match=has_price_match)
        case _:
            return
    _check_good_till_presence(time_in_force, has_good_till=has_good_till)


def _check_price_presence(*, has_price: bool, has_price_match: bool) -> None:
    if not has_price and not has_price_match:
        raise errors.mandatory_missing(name="price")
    if has_price and has_price_match:
        raise errors.not_required(name="price")


def _check_good_till_presence(time_in_force: str | None, *, has_good_till: bool) -> None:
    if has_good_till and time_in_force != TimeInForce.GTD:
        raise errors.not_required(name="goodTillDate")
    if not has_good_till and time_in_force == TimeInForce.GTD:
        raise errors.mandatory_missing(name="goodTillDate")


def _check_good_till(time_in_force: TimeInForce | None, good_till_ms: int, now_ms: int) -> None:
    if time_in_force is TimeInForce.GTD and not now_ms + _GTD_LEAST_MS < good_till_ms < _GTD_LATEST_MS:
        raise errors.bad_good_till_date()


def _check_client_id(holding: Holding, client_order_id: str | None) -> None:
    if client_order_id is None:
        return
    if not _CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise errors.bad_client_order_id()
    if client_order_id in holding.open_by_client_id:
        raise errors.duplicate_client_order_id()


def _price_of(listing: Listing, side: Side, price: Decimal | None, match: PriceMatch) -> Decimal | None:
    """The given price, or the one that `priceMatch` finds in the book."""
    if match is PriceMatch.NONE:
        return price
    depth = listing.depth(match.level)
    takes_bids = (side is Side.SELL) == match.is_opponent
    levels = depth.bids if takes_bids else depth.asks
    if len(levels) < match.level:
        raise errors.no_level_for_price_match()
    return listing.spec.price_to_decimal(levels[match.level - 1][0])


def _check_grid(spec: SymbolSpec, price: Decimal | None, quantity: Decimal, *, is_market: bool) -> Terms:
    """Decimals of both first, then the price's bounds and tick, then the quantity's bounds and step."""
    if price is not None:
        _check_precision(price, spec.price_precision)
    _check_precision(quantity, spec.quantity_precision)
    price_ticks = 0 if price is None else _ticks(spec, price)
    return Terms(price_ticks, _steps(spec, quantity, spec.market_max_steps if is_market else spec.max_steps))


def _check_precision(value: Decimal, decimals: int) -> None:
    if decimals_of(value) > decimals:
        raise errors.bad_precision()


def _ticks(spec: SymbolSpec, price: Decimal) -> int:
    if price <= 0:
        raise errors.price_not_positive()
    if price > spec.price_to_decimal(spec.max_price_ticks):
        raise errors.price_above_max()
    if price < spec.price_to_decimal(spec.min_price_ticks):
        raise errors.price_below_min()
    ticks = spec.ticks_of(price)
    if ticks is None:
        raise errors.off_tick()
    return ticks


def _steps(spec: SymbolSpec, quantity: Decimal, max_steps: int) -> int:
    if quantity <= 0:
        raise errors.quantity_not_positive()
    if quantity < spec.quantity_to_decimal(spec.min_steps):
        raise errors.quantity_below_min()
    if quantity > spec.quantity_to_decimal(max_steps):
        raise errors.quantity_above_max()
    steps = spec.steps_of(quantity)
    if steps is None:
        raise errors.off_step()
    return steps


def _check_percent_price(listing: Listing, side: Side, price_ticks: int) -> None:
    """One-sided: quoting far away from mark is allowed."""
    spec = listing.spec
    if side is Side.BUY:
        bound = int(listing.mark_e8 * spec.multiplier_up)
        if price_ticks * spec.tick_e8 > bound:
            raise errors.price_above_bound(bound=format_e8(bound, spec.price_precision))
    else:
        bound = int(listing.mark_e8 * spec.multiplier_down)
        if price_ticks * spec.tick_e8 < bound:
            raise errors.price_below_bound(bound=format_e8(bound, spec.price_precision))


def _check_counter_price(listing: Listing, side: Side) -> None:
    """A market order whose best counterpart is beyond the percent-price bound is refused; none at all is not."""
    key = listing.book.against(side).best()
    if key is None:
        return
    price_e8 = abs(key) * listing.spec.tick_e8
    if side is Side.BUY:
        beyond = price_e8 > listing.mark_e8 * listing.spec.multiplier_up
    else:
        beyond = price_e8 < listing.mark_e8 * listing.spec.multiplier_down
    if beyond:
        raise errors.counter_price_out_of_bound()


def _check_modes(account: Account, position_side: PositionSide, *, reduce_only: bool | None) -> None:
    if account.hedge_mode == (position_side is PositionSide.BOTH):
        raise errors.position_side_mismatch()
    if reduce_only is None:
        raise errors.bad_reduce_only()
    if account.hedge_mode and reduce_only:
        raise errors.not_required(name="reduceOnly")


def _reducing(terms: Terms, holding: Holding, side: Side, excess: ReduceOnlyExcess) -> Terms:
    room = holding.reducible_steps(side) - holding.reducing_steps(side)
    if excess is ReduceOnlyExcess.REDUCE and 0 < room < terms.steps:
        return msgspec.structs.replace(terms, steps=room)
    _check_reduce_only(holding, side, terms.steps)
    return terms


def _check_reduce_only(holding: Holding, side: Side, added_steps: int) -> None:
    """Together with the reduce-only orders already open it must not exceed the position that it reduces."""
    reducible = holding.reducible_steps(side)
    if not reducible or holding.reducing_steps(side) + added_steps > reducible:
        raise errors.reduce_only_rejected()


def _reserved_notional_e8(listing: Listing, side: Side, terms: Terms) -> int:
    """What an order may come to cost: its limit, or for a market order the worse of mark and the opposite touch."""
    spec = listing.spec
    if terms.price_ticks:
        return spec.notional_e8(terms.price_ticks, terms.steps)
    key = listing.book.against(side).best()
    touch_e8 = abs(key) * spec.tick_e8 if key is not None else 0
    return spec.mark_notional_e8(max(listing.mark_e8, touch_e8), terms.steps)


def _check_margin(
    listing: Listing, account: Account, holding: Holding, side: Side, added_e8: int, *, prices: Prices
) -> None:
    """An order that does not add to the worst case needs nothing; one that does needs leverage and margin for it."""
    spec = listing.spec
    before = worst_notional_e8(holding, listing.mark_e8)
    if side is Side.BUY:
        after = worst_notional_e8(holding, listing.mark_e8, added_bid_e8=added_e8)
    else:
        after = worst_notional_e8(holding, listing.mark_e8, added_ask_e8=added_e8)
    if after <= before:
        return
    if after > spec.max_notional_e8(holding.leverage):
        raise errors.max_leverage_position()
    needed_e8 = divide_up(after, holding.leverage) - divide_up(before, holding.leverage)
    margin = standing_margin(account, spec.margin_asset, prices)
    if margin.must_liquidate:
        raise errors.in_liquidation()
    if needed_e8 > in_asset_e8(margin, spec.margin_asset, margin.free_e8, prices):
        raise errors.margin_insufficient()


def _plain(value_e8: int) -> str:
    """50 rather than 50.00000000, as the venue's messages have it."""
    return format_e8(value_e8).rstrip("0").rstrip(".")

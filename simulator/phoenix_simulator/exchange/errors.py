"""Every refusal a maker can meet, as code, text and HTTP status (Binance USDⓈ-M documentation, error codes)."""

from collections.abc import Callable
from typing import Final


class VenueError(Exception):
    """A request the venue refuses; the state of the exchange is as before the request."""

    def __init__(self, code: int, msg: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {msg}")
        self.code: Final = code
        self.msg: Final = msg
        self.http_status: Final = http_status


def _refusal(code: int, text: str, http_status: int = 400) -> Callable[..., VenueError]:
    """A constructor for one code; `{name}` places in the text are filled by keyword."""

    def make(**values: object) -> VenueError:
        return VenueError(code, text.format(**values), http_status)

    make.__name__ = f"error_{-code}"
    return make


# 10xx: server and network
book_unknown = _refusal(-1016, "Service Unavailable.", 503)

# 11xx: request
bad_callback_rate = _refusal(-1130, "Data sent for parameter 'callbackRate' is not valid.")
mandatory_missing = _refusal(-1102, "Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
not_required = _refusal(-1106, "Parameter '{name}' sent when not required.")
bad_precision = _refusal(-1111, "Precision is over the maximum defined for this asset.")
bad_side = _refusal(-1117, "Invalid side.")
bad_symbol = _refusal(-1121, "Invalid symbol.")

# 20xx: processing
cancel_rejected = _refusal(-2011, "Unknown order sent.")
no_such_order = _refusal(-2013, "Order does not exist.")
margin_insufficient = _refusal(-2019, "Margin is insufficient.")
would_trigger = _refusal(-2021, "Order would immediately trigger.")
reduce_only_rejected = _refusal(-2022, "ReduceOnly Order is rejected.")
in_liquidation = _refusal(-2023, "User in liquidation mode now.")
max_open_orders = _refusal(-2025, "Reach max open order limit.")
max_leverage_position = _refusal(-2027, "Exceeded the maximum allowable position at current leverage.")
leverage_too_low = _refusal(-2028, "Leverage is smaller than permitted: insufficient margin balance.")

# 40xx: filters and settings
price_not_positive = _refusal(-4001, "Price less than 0.")
price_above_max = _refusal(-4002, "Price greater than max price.")
quantity_not_positive = _refusal(-4003, "Quantity less than or equal to zero.")
quantity_below_min = _refusal(-4004, "Quantity less than min quantity.")
quantity_above_max = _refusal(-4005, "Quantity greater than max quantity.")
price_below_min = _refusal(-4013, "Price less than min price.")
off_tick = _refusal(-4014, "Price not increased by tick size.")
bad_client_order_id = _refusal(-4015, "Client order id is not valid.")
price_above_bound = _refusal(-4016, "Limit price can't be higher than {bound}.")
off_step = _refusal(-4023, "Qty not increased by step size.")
price_below_bound = _refusal(-4024, "Limit price can't be lower than {bound}.")
bad_leverage = _refusal(-4028, "Leverage {leverage} is not valid")
max_stop_orders = _refusal(-4045, "Reach max stop order limit.")
same_margin_type = _refusal(-4046, "No need to change margin type.")
margin_type_open_orders = _refusal(-4047, "Margin type cannot be changed if there exists open orders.")
margin_type_position = _refusal(-4048, "Margin type cannot be changed if there exists position.")
not_isolated = _refusal(-4049, "Add margin only support for isolated position.")
cross_balance_insufficient = _refusal(-4050, "Cross balance insufficient.")
isolated_balance_insufficient = _refusal(-4051, "Isolated balance insufficient.")
no_position_for_margin = _refusal(-4054, "Cannot add position margin: position is 0.")
amount_not_positive = _refusal(-4055, "Amount must be positive.")
same_position_mode = _refusal(-4059, "No need to change position side.")
position_side_mismatch = _refusal(-4061, "Order's position side does not match user's setting.")
bad_reduce_only = _refusal(-4062, "Invalid or improper reduceOnly value.")
position_mode_open_orders = _refusal(-4067, "Position side cannot be changed if there exists open orders.")
position_mode_position = _refusal(-4068, "Position side cannot be changed if there exists position.")
duplicate_client_order_id = _refusal(-4116, "ClientOrderId is duplicated.")
counter_price_out_of_bound = _refusal(
    -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
)
close_position_type = _refusal(-4136, "Target strategy invalid for orderType {type}, closePosition true")
close_position_quantity = _refusal(-4137, "Quantity must be zero with closePosition equals true")
symbol_not_open = _refusal(-4140, "Invalid symbol status for opening position.")
symbol_closed = _refusal(-4141, "Symbol is closed.")
isolated_leverage_reduction = _refusal(
    -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions."
)
notional_too_small = _refusal(
    -4164, "Order's notional must be no smaller than {notional} (unless you choose reduce only)."
)
assets_mode_isolated = _refusal(
    -4167, "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under isolated-margin mode."
)
isolated_in_assets_mode = _refusal(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
assets_mode_open_orders = _refusal(
    -4170, "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures account."
)
same_assets_mode = _refusal(-4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.")
assets_mode_negative_wallet = _refusal(
    -4172,
    "Unable to adjust Multi-Assets Mode with a negative wallet balance of margin available asset in USDⓈ-M Futures "
    "account.",
)

# 50xx: matching engine
fok_rejected = _refusal(-5021, "Due to the order could not be filled immediately, the FOK order has been rejected.")
post_only_rejected = _refusal(
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
)
amend_symbol_not_trading = _refusal(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
amend_only_limit = _refusal(-5025, "Only limit order is supported.")
amend_too_many = _refusal(-5026, "Exceed maximum modify order limit.")
amend_unchanged = _refusal(-5027, "No need to modify the order.")
amend_notional_too_small = _refusal(-5029, "Order's notional must be no smaller than {notional}.")
price_match_wrong_type = _refusal(-5038, "Order type does not support price match")
bad_good_till_date = _refusal(
    -5040,
    "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than "
    "253402300799000",
)
no_level_for_price_match = _refusal(-5041, "No depth matches this BBO order")
amend_not_reduce_only = _refusal(-5047, "The original order is not reduce only.")


# what the documentation leaves open
def stray_time_in_force(code: int) -> VenueError:
    """Of a market order; the documentation has a code for this alone, and one for all parameters."""
    if code == -1106:
        return not_required(name="timeInForce")
    return VenueError(code, "TimeInForce parameter sent when not required.")

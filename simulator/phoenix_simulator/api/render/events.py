"""User data events: compact numbers, every key of the sheet. `event_ms` is `E`; `T` is the engine's own time."""

import orjson

from phoenix_simulator.api.render import algo_orders
from phoenix_simulator.api.render.numbers import plain, plain_e8
from phoenix_simulator.api.render.orders import compact_average
from phoenix_simulator.exchange.events import (
    AccountUpdated,
    AlgoUpdated,
    AssetsModeChanged,
    Balance,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
    PositionState,
    PrivateEvent,
    TradeLite,
)
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import ExecutionType
from phoenix_simulator.exchange.symbols import SymbolSpec, format_e8

Json = dict[str, object]


class EventRenderer:
    """Private events as (event type, payload)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def render(self, event: PrivateEvent, event_ms: int) -> tuple[str, bytes]:
        name: str
        body: Json
        match event:
            case OrderUpdated():
                name, body = "ORDER_TRADE_UPDATE", {"o": self._order(event)}
            case AccountUpdated():
                name, body = "ACCOUNT_UPDATE", {"a": self._account(event)}
            case TradeLite():
                name, body = "TRADE_LITE", self._trade_lite(event)
            case MarginCalled():
                name, body = "MARGIN_CALL", self._margin_call(event)
            case AlgoUpdated():
                name, body = "ALGO_UPDATE", {"o": algo_orders.updated(self._spec(event.algo.symbol), event)}
            case LeverageChanged():
                name, body = "ACCOUNT_CONFIG_UPDATE", {"ac": {"s": event.symbol, "l": event.leverage}}
            case AssetsModeChanged():
                name, body = "ACCOUNT_CONFIG_UPDATE", {"ai": {"j": event.multi_assets}}
        head: Json = {"e": name, "E": event_ms}
        if not isinstance(event, MarginCalled):
            head["T"] = event.time_ms
        return name, orjson.dumps({**head, **body})

    def _spec(self, symbol: str) -> SymbolSpec:
        return self._exchange.listing(symbol).spec

    def _order(self, event: OrderUpdated) -> Json:
        order, fill = event.order, event.fill
        spec = self._spec(order.symbol)
        body: Json = {
            "s": order.symbol,
            "c": order.client_order_id,
            "S": order.side.value,
            "o": order.type.value,
            "f": order.time_in_force.value,
            "q": _quantity(spec, order.orig_steps),
            "p": _price(spec, order.price_ticks),
            "ap": compact_average(spec, order),
            "sp": "0",
            "x": event.execution.value,
            "X": order.status.value,
            "i": order.order_id,
            "l": "0" if fill is None else _quantity(spec, fill.qty_steps),
            "z": _quantity(spec, order.executed_steps),
            "L": "0" if fill is None else _price(spec, fill.price_ticks),
            "N": spec.margin_asset if fill is None else fill.commission_asset,
            "n": "0" if fill is None else plain_e8(fill.commission_e8),
            "T": event.time_ms,
            "t": 0 if fill is None else fill.trade_id,
            "b": plain_e8(event.bid_notional_e8),
            "a": plain_e8(event.ask_notional_e8),
            "m": False if fill is None else fill.is_maker,
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": order.type.value,
            "ps": order.position_side.value,
            "cp": False,
            "rp": "0" if fill is None else plain_e8(fill.realised_e8),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": order.stp_mode.value,
            "pm": order.price_match.value,
            "gtd": order.good_till_ms,
            "er": str(order.expiry_reason.value),
        }
        if event.execution is ExecutionType.AMENDMENT and event.modify_id is not None:
            body["M"] = str(event.modify_id)
        return body

    def _account(self, event: AccountUpdated) -> Json:
        body: Json = {
            "m": event.reason.value,
            "B": [_balance(balance) for balance in event.balances],
            "P": [self._position(position) for position in event.positions],
        }
        if event.symbol:
            body["S"] = event.symbol
        return body

    def _position(self, state: PositionState) -> Json:
        spec = self._spec(state.symbol)
        return {
            "s": state.symbol,
            "pa": spec.format_quantity(state.qty_steps) if state.qty_steps else "0",
            "ep": plain(state.entry_price),
            "bep": plain(state.break_even_price),
            "cr": plain_e8(state.realised_e8),
            "up": plain_e8(state.unrealised_e8),
            "mt": "cross" if state.isolated_e8 is None else "isolated",
            "iw": plain_e8(state.isolated_e8 or 0),
            "ps": state.side.value,
            "ma": state.margin_asset,
        }

    def _trade_lite(self, event: TradeLite) -> Json:
        order, fill = event.order, event.fill
        spec = self._spec(order.symbol)
        return {
            "s": order.symbol,
            "q": spec.format_quantity(order.orig_steps),
            "p": spec.format_price(order.price_ticks),
            "m": fill.is_maker,
            "c": order.client_order_id,
            "S": order.side.value,
            "L": spec.format_price(fill.price_ticks),
            "l": spec.format_quantity(fill.qty_steps),
            "t": fill.trade_id,
            "i": order.order_id,
        }

    def _margin_call(self, event: MarginCalled) -> Json:
        rows: list[Json] = []
        for state, mark_e8, maintenance_e8 in event.positions:
            spec = self._spec(state.symbol)
            rows.append(
                {
                    "s": state.symbol,
                    "ps": state.side.value,
                    "pa": spec.format_quantity(state.qty_steps),
                    "mt": "CROSSED" if state.isolated_e8 is None else "ISOLATED",
                    "iw": plain_e8(state.isolated_e8 or 0),
                    "mp": format_e8(mark_e8),
                    "up": plain_e8(state.unrealised_e8),
                    "mm": plain_e8(maintenance_e8),
                }
            )
        cross: Json = {} if event.cross_wallet_e8 is None else {"cw": format_e8(event.cross_wallet_e8)}
        return {**cross, "p": rows}


def listen_key_expired(listen_key: str, event_ms: int) -> bytes:
    return orjson.dumps({"e": "listenKeyExpired", "E": event_ms, "listenKey": listen_key})


def _balance(balance: Balance) -> Json:
    return {
        "a": balance.asset,
        "wb": format_e8(balance.wallet_e8),
        "cw": format_e8(balance.wallet_e8 - balance.isolated_e8),
        "bc": plain_e8(balance.change_e8),
    }


def _price(spec: SymbolSpec, ticks: int) -> str:
    return plain(spec.price_to_decimal(ticks))


def _quantity(spec: SymbolSpec, steps: int) -> str:
    return plain(spec.quantity_to_decimal(steps))

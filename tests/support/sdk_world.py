"""What the tests of the venue's official SDK share: the exchange in another thread, an account that is brought to where
a question has an answer, and what an answer left out.
"""

import asyncio
from decimal import Decimal
from typing import Any

import requests
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    ModifyMultipleOrdersBatchOrdersParameterInner,
    PlaceMultipleOrdersBatchOrdersParameterInner,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.rest_api import DerivativesTradingUsdsFuturesRestAPI
from phoenix_simulator.exchange.symbols import E8
from phoenix_simulator.market.source import MarkUpdate
from phoenix_simulator.server import Server
from pydantic import BaseModel

SYMBOL = "ETHUSDC"
PATIENCE_S = 20.0
"""Real seconds that a test waits for something that must come."""

Parameters = dict[str, Any]

ONE_OF_MANY = {"ExchangeInformationResponseSymbolsInnerFiltersInner"}
"""Models with the fields of every kind of filter: one filter has its own."""


class Venue:
    """The exchange as a person at its control sees it; every other word with it goes through the SDK."""

    def __init__(self, url: str, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._server = server
        self.loop = loop

    def control(self, method: str, path: str, body: object = None) -> dict[str, object]:
        response = requests.request(method, f"{self.url}/sim/{path}", json=body, timeout=PATIENCE_S)
        assert response.status_code == 200, response.text
        answer: dict[str, object] = response.json()
        return answer

    def new_keys(self, **options: object) -> dict[str, str]:
        """An account with money: `apiKey` and `apiSecret`."""
        options.setdefault("balances", {"USDT": "100000", "USDC": "100000"})
        return {name: str(value) for name, value in self.control("POST", "account", options).items()}

    def mark(self, symbol: str, price: Decimal) -> None:
        """Moves the mark price once; the market's own next one follows within a second."""
        mark_e8 = int(price * E8)
        update = MarkUpdate(0, mark_e8, mark_e8, 10_000)

        async def move() -> None:
            self._server.exchange.apply(symbol, update, self._server.clock.now_ms())

        asyncio.run_coroutine_threadsafe(move(), self.loop).result(PATIENCE_S)


class Trader:
    """Brings an account where a question has an answer. Quantities are what the SDK takes: floats."""

    def __init__(self, rest: DerivativesTradingUsdsFuturesRestAPI) -> None:
        self.rest = rest

    def touch(self) -> tuple[Decimal, Decimal]:
        """(bid, ask)."""
        best = self.rest.symbol_order_book_ticker(symbol=SYMBOL).data().actual_instance
        return Decimal(best.bid_price), Decimal(best.ask_price)

    def quote(self) -> Parameters:
        """A post-only bid that nobody reaches: 1 % below the market."""
        price = (self.touch()[0] * Decimal("0.99")).quantize(Decimal("0.01"))
        return {
            "symbol": SYMBOL,
            "side": "BUY",
            "type": "LIMIT",
            "time_in_force": "GTX",
            "quantity": 0.1,
            "price": float(price),
        }

    def resting(self) -> int:
        order_id: int = self.rest.new_order(**self.quote()).data().order_id
        return order_id

    def reference(self) -> Parameters:
        return {"symbol": SYMBOL, "order_id": self.resting()}

    def amendment(self) -> Parameters:
        order_id = self.resting()
        quote = self.quote()
        return {
            "symbol": SYMBOL,
            "side": "BUY",
            "quantity": 0.2,
            "price": quote["price"] - 1,
            "order_id": order_id,
            "modify_id": 77,
        }

    def amended(self) -> Parameters:
        amendment = self.amendment()
        self.rest.modify_order(**amendment)
        return {"symbol": SYMBOL, "order_id": amendment["order_id"]}

    def filled(self) -> Parameters:
        self.buy()
        return {"symbol": SYMBOL}

    def in_position(self) -> Parameters:
        self.buy()
        return {}

    def buy(self, quantity: float = 0.1) -> None:
        done = self.rest.new_order(
            symbol=SYMBOL, side="BUY", type="MARKET", quantity=quantity, new_order_resp_type="RESULT"
        ).data()
        assert (done.status, Decimal(done.executed_qty)) == ("FILLED", Decimal(str(quantity)))

    def stop(self) -> Parameters:
        """A conditional order far from triggering."""
        trigger = (self.touch()[1] * Decimal("1.04")).quantize(Decimal("0.01"))
        return {
            "algo_type": "CONDITIONAL",
            "symbol": SYMBOL,
            "side": "BUY",
            "type": "STOP_MARKET",
            "quantity": 0.1,
            "trigger_price": float(trigger),
        }

    def waiting(self) -> Parameters:
        return {"algo_id": self.rest.new_algo_order(**self.stop()).data().algo_id}

    def isolated(self) -> Parameters:
        self.rest.change_margin_type(symbol=SYMBOL, margin_type="ISOLATED")
        self.buy()
        return {"symbol": SYMBOL, "amount": 10.0, "type": 1}

    def batch(self) -> Parameters:
        quote = {**self.quote(), "time_in_force": "GTC"}
        return {"batch_orders": [PlaceMultipleOrdersBatchOrdersParameterInner(**quote) for _ in range(2)]}

    def amendments(self) -> Parameters:
        several = [self.amendment(), self.amendment()]
        return {"batch_orders": [ModifyMultipleOrdersBatchOrdersParameterInner(**one) for one in several]}

    def listening(self) -> Parameters:
        self.rest.start_user_data_stream()
        return {}


def absent_fields(answer: object) -> set[str]:
    """Fields of the SDK's models that the answer left out, by their names on the wire."""
    match answer:
        case BaseModel() if hasattr(answer, "actual_instance"):
            return absent_fields(answer.actual_instance)
        case BaseModel():
            values = {name: getattr(answer, name) for name in type(answer).model_fields}
            absent = {type(answer).model_fields[name].alias or name for name, value in values.items() if value is None}
            own = set() if type(answer).__name__ in ONE_OF_MANY else absent
            return own.union(*map(absent_fields, values.values()))
        case list():
            return set().union(*map(absent_fields, answer))
        case _:
            return set()

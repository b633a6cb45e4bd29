"""The tables: what can be asked, by which method and path or WebSocket method, at what price, with what security."""

from collections.abc import Mapping
from typing import Final

from phoenix_simulator.api.account_data import AccountData
from phoenix_simulator.api.algo_orders import AlgoOrders
from phoenix_simulator.api.auth import Security
from phoenix_simulator.api.gateway import Operation, Pool
from phoenix_simulator.api.market_data import MarketData, by_symbol, depth_weight, kline_weight
from phoenix_simulator.api.trading import Trading

_NONE: Final = Security.NONE
_MARKET_DATA: Final = Security.MARKET_DATA
_TRADE: Final = Security.TRADE
_USER_DATA: Final = Security.USER_DATA
_USER_STREAM: Final = Security.USER_STREAM


class Operations:
    """Built once per exchange. Operation names are the same for both transports: faults match them."""

    def __init__(self, market: MarketData, trading: Trading, algo: AlgoOrders, account: AccountData) -> None:
        self._market = market
        self._algo = algo
        self._trading = trading
        self._account = account

    def rest(self) -> Mapping[tuple[str, str], Operation]:
        """(method, path) → operation."""
        return {
            **self._public(),
            **self._orders(),
            **self._conditional_orders(),
            **self._accounts(),
            **self._settings(),
        }

    def _public(self) -> dict[tuple[str, str], Operation]:
        m = self._market
        price_weight, ticker_weight = by_symbol(1, 2), by_symbol(2, 5)
        return {
            ("GET", "/fapi/v1/ping"): Operation("ping", _NONE, m.ping),
            ("GET", "/fapi/v1/time"): Operation("time", _NONE, m.time),
            ("GET", "/fapi/v1/exchangeInfo"): Operation("exchangeInfo", _NONE, m.exchange_info),
            ("GET", "/fapi/v1/depth"): Operation("depth", _NONE, m.depth, depth_weight),
            ("GET", "/fapi/v1/rpiDepth"): Operation("rpiDepth", _NONE, m.retail_depth, 20),
            ("GET", "/fapi/v1/trades"): Operation("trades", _NONE, m.trades, 5),
            ("GET", "/fapi/v1/historicalTrades"): Operation("historicalTrades", _MARKET_DATA, m.historical_trades, 200),
            ("GET", "/fapi/v1/aggTrades"): Operation("aggTrades", _NONE, m.aggregate_trades, 20),
            ("GET", "/fapi/v1/klines"): Operation("klines", _NONE, m.klines, kline_weight),
            ("GET", "/fapi/v1/markPriceKlines"): Operation("markPriceKlines", _NONE, m.mark_klines, kline_weight),
            ("GET", "/fapi/v1/premiumIndex"): Operation("premiumIndex", _NONE, m.premium_index, by_symbol(1, 10)),
            ("GET", "/fapi/v1/assetIndex"): Operation("assetIndex", _NONE, m.asset_index, by_symbol(1, 10)),
            ("GET", "/fapi/v1/fundingRate"): Operation("fundingRate", _NONE, m.funding_rate, 0, pool=Pool.FUNDING),
            ("GET", "/fapi/v1/fundingInfo"): Operation("fundingInfo", _NONE, m.funding_info, 0, pool=Pool.FUNDING),
            ("GET", "/fapi/v1/ticker/bookTicker"): Operation("ticker.book", _NONE, m.book_ticker, ticker_weight),
            ("GET", "/fapi/v1/ticker/price"): Operation("ticker.price", _NONE, m.price, price_weight),
            ("GET", "/fapi/v2/ticker/price"): Operation("ticker.price", _NONE, m.price, price_weight),
            ("GET", "/fapi/v1/ticker/24hr"): Operation("ticker.24hr", _NONE, m.ticker_24h, by_symbol(1, 40)),
        }

    def _orders(self) -> dict[tuple[str, str], Operation]:
        t = self._trading
        a = self._account
        return {
            ("POST", "/fapi/v1/order"): Operation("order.place", _TRADE, t.place, 0, 1, 1),
            ("PUT", "/fapi/v1/order"): Operation("order.modify", _TRADE, t.modify, 0, 1, 1),
            ("DELETE", "/fapi/v1/order"): Operation("order.cancel", _TRADE, t.cancel),
            ("GET", "/fapi/v1/order"): Operation("order.status", _USER_DATA, t.order),
            ("POST", "/fapi/v1/order/test"): Operation("order.test", _TRADE, t.test, 0, 1, 1),
            ("POST", "/fapi/v1/batchOrders"): Operation("orders.place", _TRADE, t.place_batch, 5, 5, 1),
            ("PUT", "/fapi/v1/batchOrders"): Operation("orders.modify", _TRADE, t.modify_batch, 5, 5, 1),
            ("DELETE", "/fapi/v1/batchOrders"): Operation("orders.cancel", _TRADE, t.cancel_batch),
            ("DELETE", "/fapi/v1/allOpenOrders"): Operation("orders.cancelAll", _TRADE, t.cancel_all),
            ("POST", "/fapi/v1/countdownCancelAll"): Operation("countdown", _TRADE, t.countdown, 10),
            ("GET", "/fapi/v1/openOrder"): Operation("openOrder", _USER_DATA, t.open_order),
            ("GET", "/fapi/v1/openOrders"): Operation("openOrders", _USER_DATA, t.open_orders, by_symbol(1, 40)),
            ("GET", "/fapi/v1/allOrders"): Operation("allOrders", _USER_DATA, a.all_orders, 5),
            ("GET", "/fapi/v1/userTrades"): Operation("userTrades", _USER_DATA, a.user_trades, 5),
            ("GET", "/fapi/v1/forceOrders"): Operation("forceOrders", _USER_DATA, a.forced_orders, by_symbol(20, 50)),
            ("GET", "/fapi/v1/orderAmendment"): Operation("orderAmendment", _USER_DATA, a.amendments),
        }

    def _conditional_orders(self) -> dict[tuple[str, str], Operation]:
        c = self._algo
        return {
            ("POST", "/fapi/v1/algoOrder"): Operation("algoOrder.place", _TRADE, c.place, 0, 1, 1),
            ("DELETE", "/fapi/v1/algoOrder"): Operation("algoOrder.cancel", _TRADE, c.cancel),
            ("GET", "/fapi/v1/algoOrder"): Operation("algoOrder", _USER_DATA, c.find),
            ("DELETE", "/fapi/v1/algoOpenOrders"): Operation("algoOrders.cancelAll", _TRADE, c.cancel_all),
            ("GET", "/fapi/v1/openAlgoOrders"): Operation("openAlgoOrders", _USER_DATA, c.open, by_symbol(1, 40)),
            ("GET", "/fapi/v1/allAlgoOrders"): Operation("allAlgoOrders", _USER_DATA, c.all, 5),
        }

    def _accounts(self) -> dict[tuple[str, str], Operation]:
        a = self._account
        return {
            ("GET", "/fapi/v2/account"): Operation("account", _USER_DATA, a.account_v2, 5),
            ("GET", "/fapi/v3/account"): Operation("account", _USER_DATA, a.account_v3, 5),
            ("GET", "/fapi/v2/balance"): Operation("balance", _USER_DATA, a.balance, 5),
            ("GET", "/fapi/v3/balance"): Operation("balance", _USER_DATA, a.balance, 5),
            ("GET", "/fapi/v2/positionRisk"): Operation("positionRisk", _USER_DATA, a.position_risk_v2, 5),
            ("GET", "/fapi/v3/positionRisk"): Operation("positionRisk", _USER_DATA, a.position_risk_v3, 5),
            ("GET", "/fapi/v1/income"): Operation("income", _USER_DATA, a.income, 30),
            ("GET", "/fapi/v1/commissionRate"): Operation("commissionRate", _USER_DATA, a.commission_rate, 20),
            ("GET", "/fapi/v1/adlQuantile"): Operation("adlQuantile", _USER_DATA, a.adl_quantile, 5),
            ("POST", "/fapi/v1/listenKey"): Operation("listenKey.start", _USER_STREAM, a.start_stream),
            ("PUT", "/fapi/v1/listenKey"): Operation("listenKey.keep", _USER_STREAM, a.keep_stream),
            ("DELETE", "/fapi/v1/listenKey"): Operation("listenKey.stop", _USER_STREAM, a.stop_stream),
        }

    def _settings(self) -> dict[tuple[str, str], Operation]:
        a = self._account
        return {
            ("GET", "/fapi/v1/accountConfig"): Operation("accountConfig", _USER_DATA, a.account_config, 5),
            ("GET", "/fapi/v1/symbolConfig"): Operation("symbolConfig", _USER_DATA, a.symbol_config, 5),
            ("GET", "/fapi/v1/leverageBracket"): Operation("leverageBracket", _USER_DATA, a.leverage_brackets),
            ("GET", "/fapi/v1/rateLimit/order"): Operation("rateLimit", _USER_DATA, a.order_limits),
            ("POST", "/fapi/v1/leverage"): Operation("leverage.set", _TRADE, a.set_leverage),
            ("POST", "/fapi/v1/marginType"): Operation("marginType.set", _TRADE, a.set_margin_type),
            ("POST", "/fapi/v1/positionMargin"): Operation("positionMargin", _TRADE, a.move_margin),
            ("GET", "/fapi/v1/positionSide/dual"): Operation("positionMode", _USER_DATA, a.position_mode, 30),
            ("POST", "/fapi/v1/positionSide/dual"): Operation("positionMode.set", _TRADE, a.set_position_mode),
            ("GET", "/fapi/v1/multiAssetsMargin"): Operation("assetsMode", _USER_DATA, a.assets_mode, 30),
            ("POST", "/fapi/v1/multiAssetsMargin"): Operation("assetsMode.set", _TRADE, a.set_assets_mode),
            ("GET", "/fapi/v1/feeBurn"): Operation("feeBurn", _USER_DATA, a.fee_burn, 30),
            ("POST", "/fapi/v1/feeBurn"): Operation("feeBurn.set", _TRADE, a.set_fee_burn),
            # The venue serves this one on its spot host; one base URL has to do here.
            ("GET", "/sapi/v1/account/apiRestrictions"): Operation("apiRestrictions", _USER_DATA, a.api_restrictions),
        }

    def websocket(self) -> Mapping[str, Operation]:
        """WebSocket API method → operation."""
        rest = self.rest()
        account_v2, account_v3 = rest["GET", "/fapi/v2/account"], rest["GET", "/fapi/v3/account"]
        risk_v2, risk_v3 = rest["GET", "/fapi/v2/positionRisk"], rest["GET", "/fapi/v3/positionRisk"]
        balance = rest["GET", "/fapi/v3/balance"]
        return {
            "order.place": rest["POST", "/fapi/v1/order"],
            "order.modify": rest["PUT", "/fapi/v1/order"],
            "order.cancel": rest["DELETE", "/fapi/v1/order"],
            "algoOrder.place": rest["POST", "/fapi/v1/algoOrder"],
            "algoOrder.cancel": rest["DELETE", "/fapi/v1/algoOrder"],
            "order.status": rest["GET", "/fapi/v1/order"],
            "account.status": account_v2,
            "v2/account.status": account_v3,
            "account.balance": balance,
            "v2/account.balance": balance,
            "account.position": risk_v2,
            "v2/account.position": risk_v3,
            "depth": rest["GET", "/fapi/v1/depth"],
            "ticker.price": rest["GET", "/fapi/v1/ticker/price"],
            "ticker.book": rest["GET", "/fapi/v1/ticker/bookTicker"],
            "userDataStream.start": rest["POST", "/fapi/v1/listenKey"],
            "userDataStream.ping": rest["PUT", "/fapi/v1/listenKey"],
            "userDataStream.stop": rest["DELETE", "/fapi/v1/listenKey"],
            "time": rest["GET", "/fapi/v1/time"],
            "ping": rest["GET", "/fapi/v1/ping"],
        }

"""Faults that are a moment: what happens to the exchange itself when one begins, and ends."""

import logging
from fnmatch import fnmatchcase
from math import ceil, floor

import msgspec
import orjson

from phoenix_simulator.api.auth import KeyRing
from phoenix_simulator.api.connection import Connection
from phoenix_simulator.api.hub import Hub
from phoenix_simulator.api.user_stream import UserStreams
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.orders import NewOrder, Order, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import SymbolStatus, to_e8
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import (
    ClockSkew,
    Deleverage,
    Disconnect,
    Fault,
    ForeignCancel,
    ForeignOrder,
    ListenKeyExpiry,
    PartialFill,
    PriceJump,
    Route,
    ServerShutdown,
    SymbolStatusChange,
    Transfer,
)
from phoenix_simulator.market.player import MarketPlayer
from phoenix_simulator.market.source import PrintUpdate, TakerUpdate

_log = logging.getLogger(__name__)


class Moments:
    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        keys: KeyRing,
        faults: Faults,
        hub: Hub,
        users: UserStreams,
        player: MarketPlayer,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._keys = keys
        self._hub = hub
        self._users = users
        self._player = player
        faults.begin = self._begin
        faults.end = self._end

    def _begin(self, fault: Fault) -> int:
        """How much it struck; faults of other seams strike later."""
        match fault:
            case Disconnect():
                return self._disconnect(fault)
            case ClockSkew(skew_ms=skew_ms):
                self._clock.skew_ms = skew_ms
                return 1
            case PartialFill():
                return self._fill_partly(fault)
            case ListenKeyExpiry(api_key=api_key):
                return self._expire(api_key)
            case Deleverage():
                return self._deleverage(fault)
            case ServerShutdown():
                return self._announce_shutdown(fault)
            case PriceJump(symbol=symbol, bps=bps):
                return int(self._player.jump(symbol.upper(), bps))
            case SymbolStatusChange(symbol=symbol, status=status):
                return self._set_status(symbol.upper(), status)
            case ForeignOrder() | ForeignCancel() | Transfer():
                return sum(self._act_by_hand(fault, account_id) for account_id in self._accounts_of(fault.api_key))
            case _:
                return 0

    def _end(self, fault: Fault) -> None:
        match fault:
            case ClockSkew():
                self._clock.skew_ms = 0
            case SymbolStatusChange(symbol=symbol):
                self._set_status(symbol.upper(), SymbolStatus.TRADING)
            case _:
                pass

    def _set_status(self, symbol: str, status: SymbolStatus) -> int:
        if symbol not in self._exchange.listings:
            return 0
        self._exchange.set_status(symbol, status, self._clock.now_ms())
        return 1

    def _accounts_of(self, api_key: str | None) -> list[str]:
        if api_key is None:
            return list(self._exchange.accounts)
        credentials = self._keys.find(api_key)
        return [] if credentials is None else [credentials.account]

    def _act_by_hand(self, fault: ForeignOrder | ForeignCancel | Transfer, account_id: str) -> int:
        """What the exchange refuses does not happen, as it would not to a person."""
        now_ms = self._clock.now_ms()
        try:
            match fault:
                case ForeignOrder(symbol=symbol):
                    symbol = symbol.upper()
                    if fault.api_key is None and symbol not in self._exchange.account(account_id).holdings:
                        return 0
                    self._exchange.place(account_id, self._order_by_hand(symbol, fault), now_ms)
                    return 1
                case ForeignCancel(symbol=symbol):
                    return self._exchange.cancel_all(account_id, symbol.upper(), now_ms)
                case Transfer(asset=asset, amount=amount):
                    self._exchange.transfer(account_id, asset, to_e8(amount), now_ms)
                    return 1
        except VenueError as refusal:
            _log.warning("the exchange refuses %s: %s", fault.__struct_config__.tag, refusal)
            return 0

    def _order_by_hand(self, symbol: str, fault: ForeignOrder) -> NewOrder:
        order = NewOrder(
            symbol=symbol,
            side=fault.side,
            type=OrderType.MARKET,
            quantity=fault.quantity,
            reduce_only=fault.reduce_only,
        )
        if fault.away_bps is None:
            return order
        listing = self._exchange.listing(symbol)
        away = fault.away_bps / 10_000
        if fault.side is Side.BUY:
            ticks = floor(listing.touch.bid_ticks * (1 - away))
        else:
            ticks = ceil(listing.touch.ask_ticks * (1 + away))
        price = listing.spec.price_to_decimal(ticks)
        return msgspec.structs.replace(order, type=OrderType.LIMIT, price=price, time_in_force=TimeInForce.GTC)

    def _announce_shutdown(self, fault: ServerShutdown) -> int:
        payload = orjson.dumps({"e": "serverShutdown", "E": self._clock.reported_ms()})
        # The documentation knows the event for streams only.
        connections = [each for each in self._matching(fault) if each.route is not Route.WS_API]
        for connection in connections:
            connection.reply(payload)
            connection.retire(fault.grace_seconds)
        return len(connections)

    def _matching(self, fault: Disconnect | ServerShutdown) -> list[Connection]:
        """Connections of the fault's route and holder."""
        return [
            connection
            for connection in self._hub.connections
            if fault.route in {None, connection.route}
            and (fault.holder is None or fnmatchcase(connection.holder.lower(), fault.holder.lower()))
        ]

    def _disconnect(self, fault: Disconnect) -> int:
        connections = [
            connection
            for connection in self._matching(fault)
            if fault.symbol is None or self._hub.listens_to(connection, fault.symbol.upper())
        ]
        for connection in connections:
            connection.cut()
        return len(connections)

    def _expire(self, api_key: str | None) -> int:
        if api_key is None:
            return self._users.expire(None)
        credentials = self._keys.find(api_key)
        return 0 if credentials is None else self._users.expire(credentials.account)

    def _deleverage(self, fault: Deleverage) -> int:
        """Nothing happens where there is no such symbol, account or position."""
        credentials = None if fault.api_key is None else self._keys.find(fault.api_key)
        symbol = fault.symbol.upper()
        if symbol not in self._exchange.listings or (fault.api_key is not None and credentials is None):
            return 0
        account_id = None if credentials is None else credentials.account
        return int(self._exchange.deleverage(symbol, fault.fraction, self._clock.now_ms(), account_id))

    def _fill_partly(self, fault: PartialFill) -> int:
        """A taker comes for the order nearest to the touch; nothing happens where none can be filled in part."""
        symbol = fault.symbol.upper()
        listing = self._exchange.listings.get(symbol)
        order = None if listing is None else self._nearest(symbol, fault.side)
        if listing is None or order is None:
            return 0
        ahead = listing.book.side(order.side).ahead_of(order)
        steps = min(max(1, int(order.leaves_steps * fault.fraction)), order.leaves_steps - 1)
        now_ms = self._clock.now_ms()
        buyer_is_maker = order.side is Side.BUY
        if listing.is_replay:
            update = PrintUpdate(0, listing.last_print_id, order.price_ticks, ahead + steps, buyer_is_maker)
            self._exchange.apply(symbol, update, now_ms)
            return 1
        better = _better_steps(listing, order)
        taker = TakerUpdate(0, not buyer_is_maker, better + ahead + steps, order.price_ticks)
        self._exchange.apply(symbol, taker, now_ms)
        return 1

    def _nearest(self, symbol: str, side: Side | None) -> Order | None:
        """The resting order (of the side) of more than one step whose price is closest to the touch."""
        listing = self._exchange.listings[symbol]
        candidates = [
            order
            for account in self._exchange.accounts.values()
            for order in self._exchange.open_orders(account.account_id, symbol)
            if side in {None, order.side} and order.leaves_steps > 1 and order.time_in_force is not TimeInForce.RPI
        ]
        touch = {Side.BUY: listing.touch.bid_ticks, Side.SELL: listing.touch.ask_ticks}
        return min(candidates, key=lambda order: abs(order.price_ticks - touch[order.side]), default=None)


def _better_steps(listing: Listing, order: Order) -> int:
    """Everything that a taker meets before the order's price, and accounts' orders before it in its queue."""
    side = listing.book.side(order.side)
    key = side.key_of(order.price_ticks)
    better = sum(side.displayed(other) for other in side.keys if other > key)
    better += sum(
        side.queues[other].leaves_steps() for other in side.queue_keys if other > key and other not in side.levels
    )
    for entry in side.queues[key].resting:
        if entry.order.order_id == order.order_id:
            break
        better += entry.order.leaves_steps
    return better

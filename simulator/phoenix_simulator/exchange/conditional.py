"""Conditional orders: kept outside the book until a price meets their condition, then placed like any other order.

They listen to the exchange and act only when it is done with what it was doing: a stop that a sweep runs over is sent
after that sweep, never into the middle of it. No margin is reserved before; an order that the matching engine then
refuses is REJECTED with its reason.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Sequence

from phoenix_simulator.exchange import checks, errors
from phoenix_simulator.exchange.algo_orders import AlgoOrder, AlgoRef, AlgoStatus, NewAlgoOrder, WorkingType
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.events import (
    AlgoUpdated,
    MarkChanged,
    OrderUpdated,
    StatusChanged,
    TradePrinted,
)
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, Order, OrderRef, OrderType, PositionSide
from phoenix_simulator.exchange.symbols import to_e8

_FIRST_ALGO_ID = 3_000_000_000
_CLOSED_KEPT = 10_000
"""Conditional orders that are over, kept per account."""
_PROTECTION_DIVISOR = 20
"""triggerProtect: with priceProtect the two prices may be 5 % apart at most."""


class ConditionalOrders:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._last_id = _FIRST_ALGO_ID
        self._armed: dict[str, dict[int, AlgoOrder]] = {}
        """By symbol, those whose condition is looked at."""
        self._working: dict[tuple[str, int], AlgoOrder] = {}
        """Those whose order (symbol, order id) is in the matching engine."""
        self._closed: dict[str, OrderedDict[int, AlgoOrder]] = {}
        self._met: deque[AlgoOrder] = deque()
        self._ended: deque[AlgoOrder] = deque()
        self._delisted: deque[str] = deque()
        self._is_acting = False
        listeners = exchange.listeners
        listeners.append_for(self._on_trade, TradePrinted)
        listeners.append_for(self._on_mark, MarkChanged)
        listeners.append_for(self._on_order, OrderUpdated)
        listeners.append_for(self._on_status, StatusChanged)
        exchange.followers.append(self.follow)

    # ---- requests -----------------------------------------------------------------------------------------------

    def place(self, account_id: str, request: NewAlgoOrder, now_ms: int) -> AlgoOrder:
        """Raises `VenueError` and changes nothing, or the condition is looked at from now on."""
        listing = self._exchange.listing(request.symbol)
        account = self._exchange.account(account_id)
        checks.check_conditional(listing, account, request, now_ms=now_ms)
        own = [algo for algo in self._armed.get(request.symbol, {}).values() if algo.account_id == account_id]
        if request.client_algo_id in {algo.client_algo_id for algo in own}:
            raise errors.duplicate_client_order_id()
        if len(own) >= listing.spec.max_num_orders:
            raise errors.max_stop_orders()
        algo = AlgoOrder(
            algo_id=self._last_id + 1,
            account_id=account_id,
            client_algo_id=request.client_algo_id or _generated_id(account_id, self._last_id + 1),
            request=request,
            trigger_e8=to_e8(request.trigger_price) if request.trigger_price is not None else 0,
            activate_e8=to_e8(request.activate_price) if request.activate_price is not None else 0,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        price_e8 = self._price_e8(request.symbol, request.working_type)
        if request.callback_rate is None:
            if algo.is_met_at(price_e8):
                raise errors.would_trigger()
        elif algo.activate_e8 and (algo.activate_e8 - price_e8) * request.side.sign >= 0:
            # A buy follows the price down, so it is activated below the market; a sell above it.
            raise errors.would_trigger()
        self._last_id = algo.algo_id
        self._armed.setdefault(request.symbol, {})[algo.algo_id] = algo
        if request.callback_rate is not None:
            algo.is_met_at(price_e8)
        self._tell(algo, AlgoStatus.NEW, now_ms)
        return algo.snapshot()

    def cancel(self, account_id: str, ref: AlgoRef, now_ms: int) -> AlgoOrder:
        """−2011 unless its condition is still looked at."""
        for algo in self._open_of(account_id):
            if _is(algo, ref):
                self._close(algo, AlgoStatus.CANCELED, now_ms)
                return algo.snapshot()
        raise errors.cancel_rejected()

    def cancel_all(self, account_id: str, symbol: str, now_ms: int) -> int:
        """Returns how many."""
        self._exchange.listing(symbol)
        own = [algo for algo in self._open_of(account_id) if algo.symbol == symbol]
        for algo in own:
            self._close(algo, AlgoStatus.CANCELED, now_ms)
        return len(own)

    # ---- questions ----------------------------------------------------------------------------------------------

    def find(self, account_id: str, ref: AlgoRef) -> AlgoOrder:
        """−2013 where unknown. By client id the latest that carried it."""
        for algo in reversed(self.all(account_id)):
            if _is(algo, ref):
                return algo
        raise errors.no_such_order()

    def open(self, account_id: str, symbol: str | None = None) -> Sequence[AlgoOrder]:
        if symbol is not None:
            self._exchange.listing(symbol)
        return [algo.snapshot() for algo in self._open_of(account_id) if symbol in {None, algo.symbol}]

    def all(self, account_id: str, symbol: str | None = None) -> Sequence[AlgoOrder]:
        """Ascending by id."""
        if symbol is not None:
            self._exchange.listing(symbol)
        own = [
            *self._open_of(account_id),
            *(algo for algo in self._working.values() if algo.account_id == account_id),
            *self._closed.get(account_id, {}).values(),
        ]
        own.sort(key=lambda algo: algo.algo_id)
        return [algo.snapshot() for algo in own if symbol in {None, algo.symbol}]

    def order_of(self, algo: AlgoOrder, now_ms: int) -> Order | None:
        """The order that it became, as far as the exchange still keeps it."""
        if not algo.order_id:
            return None
        try:
            return self._exchange.order(algo.account_id, algo.symbol, OrderRef(algo.order_id), now_ms)
        except VenueError:
            return None

    # ---- conditions ---------------------------------------------------------------------------------------------

    # What was met is remembered only: nothing of the exchange is touched while it is busy.

    def _on_trade(self, event: TradePrinted) -> None:
        if armed := self._armed.get(event.symbol):
            price_e8 = event.price_ticks * self._exchange.listing(event.symbol).spec.tick_e8
            self._look(armed, WorkingType.CONTRACT_PRICE, price_e8)

    def _on_mark(self, event: MarkChanged) -> None:
        if armed := self._armed.get(event.symbol):
            self._look(armed, WorkingType.MARK_PRICE, event.mark_e8)

    def _on_order(self, event: OrderUpdated) -> None:
        if self._working and not event.order.status.is_open:
            algo = self._working.get((event.order.symbol, event.order.order_id))
            if algo is not None:
                self._ended.append(algo)

    def _on_status(self, event: StatusChanged) -> None:
        if event.status.is_final:
            self._delisted.append(event.symbol)

    def follow(self, now_ms: int) -> None:
        """The exchange is done: send what was met, and say what ended. What that causes is seen to in the same turn."""
        if self._is_acting or not (self._met or self._ended or self._delisted):
            return
        self._is_acting = True
        try:
            while self._delisted:
                for algo in list(self._armed.get(self._delisted.popleft(), {}).values()):
                    self._close(algo, AlgoStatus.EXPIRED, now_ms)
            while self._met or self._ended:
                if self._ended:
                    self._finish(self._ended.popleft(), now_ms)
                else:
                    self._send(self._met.popleft(), now_ms)
        finally:
            self._is_acting = False

    def _look(self, armed: dict[int, AlgoOrder], kind: WorkingType, price_e8: int) -> None:
        for algo in armed.values():
            if algo.request.working_type is kind and algo.is_met_at(price_e8) and algo not in self._met:
                self._met.append(algo)

    def _send(self, algo: AlgoOrder, now_ms: int) -> None:
        request = algo.request
        if algo.status is not AlgoStatus.NEW or (request.price_protect and self._is_protected(request.symbol)):
            return
        algo.triggered_ms = now_ms
        self._tell(algo, AlgoStatus.TRIGGERING, now_ms)
        order_request = self._order_request(algo)
        if order_request is None:
            # Close-all with nothing to close.
            self._close(algo, AlgoStatus.EXPIRED, now_ms)
            return
        try:
            order = self._exchange.place(algo.account_id, order_request, now_ms)
        except VenueError as error:
            algo.reject_reason = error.msg
            self._close(algo, AlgoStatus.REJECTED, now_ms)
            return
        self._disarm(algo)
        algo.order_id = order.order_id
        self._working[algo.symbol, order.order_id] = algo
        self._tell(algo, AlgoStatus.TRIGGERED, now_ms)
        if not order.status.is_open:
            self._finish(algo, now_ms)

    def _order_request(self, algo: AlgoOrder) -> NewOrder | None:
        request = algo.request
        holding = self._exchange.account(algo.account_id).holding(self._exchange.listing(algo.symbol).spec)
        quantity = request.quantity
        if request.close_position:
            quantity = holding.spec.quantity_to_decimal(holding.reducible_steps(request.side))
        if not quantity:
            return None
        is_limit = request.type.becomes_limit
        reduces = request.reduce_only or (request.close_position and request.position_side is PositionSide.BOTH)
        return NewOrder(
            symbol=request.symbol,
            side=request.side,
            type=OrderType.LIMIT if is_limit else OrderType.MARKET,
            quantity=quantity,
            price=request.price,
            time_in_force=request.time_in_force if is_limit else None,
            reduce_only=reduces,
            client_order_id=None if algo.client_algo_id in holding.open_by_client_id else algo.client_algo_id,
            position_side=request.position_side,
            stp_mode=request.stp_mode,
            price_match=request.price_match,
            good_till_ms=request.good_till_ms,
        )

    def _is_protected(self, symbol: str) -> bool:
        mark_e8, last_e8 = (
            self._price_e8(symbol, kind) for kind in (WorkingType.MARK_PRICE, WorkingType.CONTRACT_PRICE)
        )
        return abs(mark_e8 - last_e8) * _PROTECTION_DIVISOR > mark_e8

    def _price_e8(self, symbol: str, kind: WorkingType) -> int:
        """Before the first trade the mark stands for the contract's price."""
        listing = self._exchange.listing(symbol)
        if kind is WorkingType.MARK_PRICE or not listing.last_price_ticks:
            return listing.mark_e8
        return listing.last_price_ticks * listing.spec.tick_e8

    # ---- books --------------------------------------------------------------------------------------------------

    def _open_of(self, account_id: str) -> list[AlgoOrder]:
        return [algo for armed in self._armed.values() for algo in armed.values() if algo.account_id == account_id]

    def _disarm(self, algo: AlgoOrder) -> None:
        armed = self._armed[algo.symbol]
        del armed[algo.algo_id]
        if not armed:
            del self._armed[algo.symbol]

    def _finish(self, algo: AlgoOrder, now_ms: int) -> None:
        if self._working.pop((algo.symbol, algo.order_id), None) is not None:
            self._remember(algo, AlgoStatus.FINISHED, now_ms)

    def _close(self, algo: AlgoOrder, status: AlgoStatus, now_ms: int) -> None:
        self._disarm(algo)
        self._remember(algo, status, now_ms)

    def _remember(self, algo: AlgoOrder, status: AlgoStatus, now_ms: int) -> None:
        closed = self._closed.setdefault(algo.account_id, OrderedDict())
        closed[algo.algo_id] = algo
        if len(closed) > _CLOSED_KEPT:
            closed.popitem(last=False)
        self._tell(algo, status, now_ms)

    def _tell(self, algo: AlgoOrder, status: AlgoStatus, now_ms: int) -> None:
        algo.status, algo.updated_ms = status, now_ms
        event = AlgoUpdated(algo.account_id, now_ms, algo.snapshot(), self.order_of(algo, now_ms))
        self._exchange.tell(event)


def _is(algo: AlgoOrder, ref: AlgoRef) -> bool:
    if ref.algo_id is not None:
        return algo.algo_id == ref.algo_id
    return algo.client_algo_id == ref.client_algo_id


def _generated_id(account_id: str, algo_id: int) -> str:
    """22 characters, the same in every run of the same seed."""
    return hashlib.sha256(f"{account_id}/algo/{algo_id}".encode()).hexdigest()[:22]

"""What the exchange says about our orders and position, read until it agrees with itself.

Order of questions (one round):

    1  trades (first round)    4  trades since the last ones
    2  position                5  position again
    3  open orders             6  orders that were in flight and are not open: their final state

A round counts when both positions are equal, question 4 brought nothing new, and the trades of all rounds explain by
how much the position changed since the first. Otherwise the next round starts. Orders in flight are resolved before
the first round: one that the exchange does not know may still be on its way, so it is asked again once the receive
window of any request of ours has passed; what it does not know even then never existed. An order in flight that is
neither in `open_orders` nor in `resolved` of the result is such a one.

Last it is asked whose orders made the fills of which the user stream has not told (see `owners`).

A comparison of what is held asks 2, 3 and 4 once. Where that is the position and the newest trade that are held,
nothing was filled from before the position was read until after the orders were: they belong together, and to what is
held. Otherwise the rounds decide.

Reads of the exchange may lag behind its user stream; a truth that has not settled within `ROUNDS` is a problem, not a
guess.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_worker.core.actions import FetchTruth
from phoenix_worker.core.events import Fill, OpenOrder, OrderAnswer, Truth
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import own_messages
from phoenix_worker.venue.binance.asking import while_it_may_heal
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.owners import NO_SUCH_ORDER, owners_of
from phoenix_worker.venue.binance.rest import Parameters, Reply, Rest, RestError, Security

ROUNDS = 8
ROUND_PAUSE_S = 0.1
PAGE = 1000
DAY_MS = 24 * 3600 * 1000
WINDOW_MS = 7 * DAY_MS - 1
KEPT_MS = 90 * DAY_MS
"""The exchange answers at most seven days of trades at once, and keeps three months."""


class TruthError(Exception):
    """The truth could not be read; the text says why."""


@dataclass(frozen=True, slots=True)
class _Trades:
    fills: list[Fill]
    last_id: int


def explains(fills: Sequence[Fill], change_steps: int) -> bool:
    """Whether the newest of these fills (any number of them, none too) add up to the change of the position."""
    total = 0
    if total == change_steps:
        return True
    for fill in reversed(fills):
        total += fill.side * fill.qty_steps
        if total == change_steps:
            return True
    return False


class TruthReader:
    """Reads over HTTP; nothing here raises for what the exchange does."""

    def __init__(self, rest: Rest, time: ExchangeTime, recv_window_ms: int) -> None:
        self._rest = rest
        self._time = time
        self._recv_window_ms = recv_window_ms

    async def read(self, action: FetchTruth, instrument: Instrument) -> Truth:
        """One `Truth` in any case; `problem` says why it could not be read."""
        clock = self._time.clock
        try:
            known = await self._resolve(action.in_flight, instrument)
            return await self._read(action, instrument, known)
        except (RestError, DecodeError, TruthError) as error:
            return Truth(clock.monotonic_ns(), action.request_id, problem=str(error))

    async def query(self, client_id: str, instrument: Instrument) -> OrderAnswer:
        """One order by its client id, asked once: absent may also mean "not yet visible" (see `read`)."""
        try:
            order = await self._order(client_id, instrument)
        except (RestError, DecodeError):
            return OrderAnswer(self._time.clock.monotonic_ns(), client_id, answered=False, order=None)
        return OrderAnswer(self._time.clock.monotonic_ns(), client_id, answered=True, order=order)

    async def fills_since(self, since_ms: int, instrument: Instrument) -> list[Fill]:
        """By ascending id; raises `RestError`, `DecodeError`."""
        return (await self._since(instrument, since_ms)).fills

    # -- orders in flight --------------------------------------------------------------------------

    async def _resolve(self, client_ids: Sequence[str], instrument: Instrument) -> dict[str, OpenOrder]:
        """The orders in flight that exist or existed."""
        known = await self._orders(client_ids, instrument)
        missing = [client_id for client_id in client_ids if client_id not in known]
        if missing:
            await self._time.clock.sleep(self._recv_window_ms / 1000 + 0.5)
            known |= await self._orders(missing, instrument)
        return known

    async def _orders(self, client_ids: Sequence[str], instrument: Instrument) -> dict[str, OpenOrder]:
        orders = await asyncio.gather(*(self._order(client_id, instrument) for client_id in client_ids))
        return {client_id: order for client_id, order in zip(client_ids, orders, strict=True) if order is not None}

    async def _order(self, client_id: str, instrument: Instrument) -> OpenOrder | None:
        parameters: Parameters = [("symbol", instrument.symbol), ("origClientOrderId", client_id)]
        try:
            reply = await self._get("/fapi/v1/order", parameters, weight=1)
        except RestError as error:
            if error.code == NO_SUCH_ORDER:
                return None
            raise
        return own_messages.order_reply(reply.body, instrument)

    # -- rounds ------------------------------------------------------------------------------------

    async def _read(self, action: FetchTruth, instrument: Instrument, known: dict[str, OpenOrder]) -> Truth:
        if action.held_steps is not None and (truth := await self._unchanged(action, instrument, known)) is not None:
            return truth
        read_ms = self._time.now_ms()
        trades = await self._trades(instrument, action)
        before = await self._position(instrument)
        first_steps = before[0]
        for attempt in range(ROUNDS):
            if attempt:
                await self._time.clock.sleep(ROUND_PAUSE_S * attempt)
            orders = await self._open_orders(instrument)
            newer = await self._pages(instrument, trades)
            after = await self._position(instrument)
            quiet = after == before and newer.last_id == trades.last_id
            trades, before = newer, after
            if not quiet or not explains(trades.fills, after[0] - first_steps):
                read_ms = self._time.now_ms()
                continue
            resolved = await self._final(known, orders, instrument)
            if resolved is None:
                read_ms = self._time.now_ms()
                continue
            steps, entry = after
            known_trades = set(action.known_trades)
            unheard = [fill for fill in trades.fills if fill.trade_id not in known_trades]
            judged = [] if action.held_steps is not None else unheard  # what differs is read again, and judged then
            owners = await owners_of(judged, instrument, self._get, self._time.clock.sleep)
            return Truth(
                at=self._time.clock.monotonic_ns(),
                request_id=action.request_id,
                read_ms=read_ms,
                position_steps=steps,
                entry_price=entry,
                open_orders=orders,
                fills=trades.fills,
                last_trade_id=trades.last_id,
                resolved=resolved,
                owners=owners,
            )
        raise TruthError(f"position, trades and open orders did not agree within {ROUNDS} readings")

    async def _unchanged(self, action: FetchTruth, instrument: Instrument, known: dict[str, OpenOrder]) -> Truth | None:
        """What a comparison finds where nothing differs in position and trades; `None` where something does."""
        read_ms = self._time.now_ms()
        steps, entry = await self._position(instrument)
        if steps != action.held_steps:
            return None
        orders = await self._open_orders(instrument)
        trades = await self._trades_since(instrument, action)
        if trades is None or trades.last_id != action.held_trade_id:
            return None
        resolved = await self._final(known, orders, instrument)
        if resolved is None:
            return None
        return Truth(
            at=self._time.clock.monotonic_ns(),
            request_id=action.request_id,
            read_ms=read_ms,
            position_steps=steps,
            entry_price=entry,
            open_orders=orders,
            fills=trades.fills,
            last_trade_id=trades.last_id,
            resolved=resolved,
        )

    async def _final(
        self, known: dict[str, OpenOrder], orders: list[OpenOrder], instrument: Instrument
    ) -> list[OpenOrder] | None:
        """Final states of the orders in flight that are not open; `None` where one still says that it is open."""
        open_ids = {order.venue_id for order in orders}
        closed = [client_id for client_id, order in known.items() if order.venue_id not in open_ids]
        final = await self._orders(closed, instrument)
        if any(client_id not in final or final[client_id].state.is_open for client_id in closed):
            return None
        return list(final.values())

    async def _position(self, instrument: Instrument) -> tuple[int, float]:
        reply = await self._get("/fapi/v3/positionRisk", [("symbol", instrument.symbol)], weight=5)
        return own_messages.position(reply.body, instrument)

    async def _open_orders(self, instrument: Instrument) -> list[OpenOrder]:
        reply = await self._get("/fapi/v1/openOrders", [("symbol", instrument.symbol)], weight=1)
        return own_messages.open_orders(reply.body, instrument)

    # -- trades ------------------------------------------------------------------------------------

    async def _trades(self, instrument: Instrument, action: FetchTruth) -> _Trades:
        """All fills from `from_trade_id` (itself included: fills are told apart by id), or since `since_ms`; with
        neither, none but the id of the last one.
        """
        trades = await self._trades_since(instrument, action)
        if trades is not None and trades.last_id:
            return trades
        latest = await self._page(instrument, [("limit", 1)])
        return _Trades([], latest[-1].trade_id if latest else 0)

    async def _trades_since(self, instrument: Instrument, action: FetchTruth) -> _Trades | None:
        """Without the id of the last one where none is found; `None` where there is nothing to start from."""
        if action.from_trade_id:
            return await self._pages(instrument, _Trades([], action.from_trade_id - 1))
        return await self._since(instrument, action.since_ms) if action.since_ms else None

    async def _since(self, instrument: Instrument, since_ms: int) -> _Trades:
        now_ms = self._time.now_ms()
        start_ms = max(since_ms, now_ms - KEPT_MS)
        while start_ms <= now_ms:
            end_ms = min(start_ms + WINDOW_MS, now_ms + 1000)
            fills = await self._page(instrument, [("startTime", start_ms), ("endTime", end_ms), ("limit", PAGE)])
            if fills:
                return await self._pages(instrument, _Trades(fills, fills[-1].trade_id))
            start_ms = end_ms + 1
        return _Trades([], 0)

    async def _pages(self, instrument: Instrument, trades: _Trades) -> _Trades:
        """Everything after `trades.last_id`, page by page."""
        fills, last_id = list(trades.fills), trades.last_id
        while True:
            page = await self._page(instrument, [("fromId", last_id + 1), ("limit", PAGE)])
            new = [fill for fill in page if fill.trade_id > last_id]
            if new:
                fills += new
                last_id = new[-1].trade_id
            if len(page) < PAGE or not new:
                return _Trades(fills, last_id)

    async def _page(self, instrument: Instrument, parameters: Parameters) -> list[Fill]:
        reply = await self._get("/fapi/v1/userTrades", [("symbol", instrument.symbol), *parameters], weight=5)
        return own_messages.user_trades(reply.body, instrument)

    # -- asking ------------------------------------------------------------------------------------

    async def _get(self, path: str, parameters: Parameters, *, weight: int) -> Reply:
        return await while_it_may_heal(
            lambda: self._rest.get(path, parameters, weight=weight, security=Security.SIGNED, urgency=Urgency.REDUCE),
            self._time.clock,
        )

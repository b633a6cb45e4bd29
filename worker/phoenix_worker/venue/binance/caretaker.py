"""One symbol of the account that is not this worker's own, reached over HTTP in place of its missing leader.

Whoever calls holds that symbol's lease: everything that changes something carries its deadline, so that what a pause
delays is refused by the exchange and never meets the next leader's orders. Reads raise `AccountUnreadableError`.
"""

import asyncio
from collections.abc import Callable, Sequence

from phoenix_worker.core.actions import ApprovedOrder, FetchTruth, Place
from phoenix_worker.core.events import Answer, Outcome, Truth
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import replies
from phoenix_worker.venue.binance.account import AccountOrder, AccountUnreadableError
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.messages import DecodeError, touch_of_ticker
from phoenix_worker.venue.binance.orders import Orders
from phoenix_worker.venue.binance.outcomes import Verdict
from phoenix_worker.venue.binance.preflight import instrument_of, read_exchange_info
from phoenix_worker.venue.binance.rest import Parameters, Rest, RestError
from phoenix_worker.venue.binance.truth import TruthReader


class Caretaker:
    """`prepare` comes first. One order at a time."""

    def __init__(
        self,
        symbol: str,
        rest: Rest,
        time: ExchangeTime,
        budget: RequestBudget,
        recv_window_ms: int,
        on_error: Callable[[int, Verdict], None],
    ) -> None:
        self.symbol = symbol
        self._rest = rest
        self._time = time
        self._truth = TruthReader(rest, time, recv_window_ms)
        self._instrument: Instrument | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._unanswered = 0
        self._orders = Orders(
            None, rest, time, budget, self._known, recv_window_ms, self._answered, on_error, _measure_nothing
        )

    async def prepare(self) -> Instrument:
        """The symbol's filters, as they are now."""
        try:
            row = (await read_exchange_info(self._rest)).symbol(self.symbol)
            if row is None:
                raise AccountUnreadableError(f"{self.symbol}: the exchange lists no such symbol any more")
            self._instrument = instrument_of(row)
        except (RestError, DecodeError) as error:
            raise AccountUnreadableError(f"{self.symbol}: {error}") from error
        return self._instrument

    @property
    def quiescent(self) -> bool:
        """Whether every request that was sent has its answer: only then may the symbol's lease be released."""
        return not self._unanswered and not self._orders.in_flight

    # -- withdrawing -------------------------------------------------------------------------------

    async def withdraw(self, orders: Sequence[AccountOrder], deadline_ns: int) -> None:
        """Cancels these, conditional ones too; what is gone already, or could not be reached, shows in what is read
        after it.
        """
        await asyncio.gather(*(self._delete(*self._named(order), deadline_ns) for order in orders))

    async def clear(self, deadline_ns: int) -> None:
        """Cancels everything of the symbol that rests, whoever placed it."""
        await self._delete("/fapi/v1/allOpenOrders", [("symbol", self.symbol)], deadline_ns)

    def _named(self, order: AccountOrder) -> tuple[str, Parameters]:
        if order.trigger is not None:
            return "/fapi/v1/algoOrder", [("algoId", order.venue_id)]
        return "/fapi/v1/order", [("symbol", self.symbol), ("orderId", order.venue_id)]

    async def _delete(self, path: str, parameters: Parameters, deadline_ns: int) -> None:
        self._unanswered += 1
        try:
            await self._rest.change(
                "DELETE", path, parameters, weight=1, urgency=Urgency.CANCEL, deadline_ns=deadline_ns
            )
        except RestError as error:
            if error.verdict.outcome is Outcome.UNKNOWN:
                return  # perhaps on its way still: it stays unanswered, and so the lease is not given up
        self._unanswered -= 1

    # -- closing -----------------------------------------------------------------------------------

    async def truth(self, in_flight: Sequence[str]) -> Truth:
        """Position and open orders until they agree, and what became of the orders in flight."""
        return await self._truth.read(FetchTruth(0, 0, 0, list(in_flight)), self._known())

    async def prices(self) -> tuple[tuple[int, int], float]:
        """Best bid and ask, and the mark price, in ticks."""
        parameters: Parameters = [("symbol", self.symbol)]
        ticks = self._known().price
        try:
            ticker = await self._rest.get("/fapi/v1/ticker/bookTicker", parameters, weight=2, urgency=Urgency.REDUCE)
            touch = touch_of_ticker(ticker.body, ticker.received_ns, ticker.sent_ns)
            index = await self._rest.get("/fapi/v1/premiumIndex", parameters, weight=1, urgency=Urgency.REDUCE)
            mark = replies.decode(replies.MarkPrice, index.body).mark
        except (RestError, DecodeError) as error:
            raise AccountUnreadableError(f"{self.symbol}: {error}") from error
        bid, ask = touch.bid or 0.0, touch.ask or 0.0
        return (round(bid / ticks.unit), round(ask / ticks.unit)), mark / ticks.unit

    async def place(self, approved: ApprovedOrder) -> Answer:
        """How the order's command ended; unknown where nobody can say."""
        self._answer = asyncio.get_running_loop().create_future()
        self._orders.place(Place(approved))
        return await self._answer

    def _answered(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _known(self) -> Instrument:
        if self._instrument is None:
            raise RuntimeError("prepare() comes first")
        return self._instrument


def _measure_nothing(_: int) -> None:
    """The worker's own order latency is not measured on somebody else's symbol."""

"""What the exchange lists of a symbol's UTC day: its trades, the mark price of 00:00, and what fees in other assets are
worth.
"""

import asyncio

from phoenix_worker.core.actions import FetchDay
from phoenix_worker.core.events import DayRead, Fill
from phoenix_worker.core.fees import charge
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import messages, replies
from phoenix_worker.venue.binance.account import is_dollar
from phoenix_worker.venue.binance.asking import while_it_may_heal
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.rest import Parameters, Reply, Rest, RestError
from phoenix_worker.venue.binance.truth import TruthReader

NO_SUCH_SYMBOL = -1121
DOLLAR = "USDT"
"""Dollar tokens count as equal, as in the account's limits: what has no price in one has it in this."""


class DayReader:
    """Reads over HTTP; nothing here raises for what the exchange does."""

    def __init__(self, rest: Rest, time: ExchangeTime, truth: TruthReader) -> None:
        self._rest = rest
        self._time = time
        self._truth = truth

    async def read(self, action: FetchDay, instrument: Instrument) -> DayRead:
        """One `DayRead` in any case; `problem` says why it could not be read."""
        try:
            open_mark, fills = await asyncio.gather(
                self._open_mark(action.start_ms, instrument), self._truth.fills_since(action.start_ms, instrument)
            )
            of_day = [f for f in fills if f.time_ms >= action.start_ms and f.trade_id <= action.until_trade_id]
            fees = _fees(of_day)
            rates = await self._rates({*fees, *action.fee_assets} - {instrument.quote_asset}, instrument)
        except (RestError, DecodeError) as error:
            return DayRead(self._time.clock.monotonic_ns(), action.request_id, problem=str(error))
        return DayRead(
            at=self._time.clock.monotonic_ns(),
            request_id=action.request_id,
            open_mark=open_mark,
            steps=sum(fill.side * fill.qty_steps for fill in of_day),
            notional=sum(fill.side * instrument.notional(fill.price_ticks, fill.qty_steps) for fill in of_day),
            fees=fees,
            rates=rates,
        )

    async def _open_mark(self, start_ms: int, instrument: Instrument) -> float:
        parameters: Parameters = [
            ("symbol", instrument.symbol),
            ("interval", "1m"),
            ("startTime", start_ms),
            ("limit", 1),
        ]
        reply = await self._get("/fapi/v1/markPriceKlines", parameters)
        return messages.opening_price(reply.body, start_ms)

    async def _rates(self, assets: set[str], instrument: Instrument) -> dict[str, float]:
        """Quote per unit, by mark; without those that have no price."""
        found = {}
        for asset in sorted(assets):
            if rate := await self._rate(asset, instrument.quote_asset):
                found[asset] = rate
        return found

    async def _rate(self, asset: str, quote: str) -> float:
        """0 where there is none."""
        if is_dollar(asset) and is_dollar(quote):
            return 1.0
        rate = await self._mark(asset + quote)
        return rate or (await self._mark(asset + DOLLAR) if is_dollar(quote) and quote != DOLLAR else 0.0)

    async def _mark(self, symbol: str) -> float:
        """0 where the exchange lists no such symbol."""
        try:
            reply = await self._get("/fapi/v1/premiumIndex", [("symbol", symbol)])
        except RestError as error:
            if error.code == NO_SUCH_SYMBOL:
                return 0.0
            raise
        return replies.decode(replies.MarkPrice, reply.body).mark

    async def _get(self, path: str, parameters: Parameters) -> Reply:
        return await while_it_may_heal(
            lambda: self._rest.get(path, parameters, weight=1, urgency=Urgency.REDUCE), self._time.clock
        )


def _fees(fills: list[Fill]) -> dict[str, int]:
    fees: dict[str, int] = {}
    for fill in fills:
        charge(fees, fill)
    return fees

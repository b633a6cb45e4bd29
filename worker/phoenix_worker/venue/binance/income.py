"""The symbol's funding as the exchange booked it: income records, which have ids where the user stream has none.

Two questions, one for each kind: asked without a kind the exchange would tell of each fill, too. Records in another
asset than the quote asset (an account whose settlements are paid in credits) are not of this money, and left out.
"""

from functools import partial

from phoenix_worker.core.actions import FetchFunding
from phoenix_worker.core.events import FundingKind, FundingRead, FundingRow
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import own_messages
from phoenix_worker.venue.binance.asking import when_granted
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.rest import Parameters, Reply, Rest, RestError, Security

INCOME_WEIGHT = 30
PAGE = 1000
UNKNOWN_VALUE = -1130


class IncomeReader:
    """Reads over HTTP; nothing here raises for what the exchange does."""

    def __init__(self, rest: Rest, time: ExchangeTime) -> None:
        self._rest = rest
        self._time = time

    async def read(self, action: FetchFunding, instrument: Instrument) -> FundingRead:
        """One `FundingRead` in any case; `problem` says why it could not be read."""
        asked_ms = self._time.now_ms()
        try:
            rows = await self._all(FundingKind.REGULAR, action.since_ms, asked_ms, instrument)
            rows += await self._special(action.since_ms, asked_ms, instrument)
        except (RestError, DecodeError) as error:
            return FundingRead(self._time.clock.monotonic_ns(), action.since_ms, problem=str(error))
        rows.sort(key=lambda row: row.time_ms)
        return FundingRead(self._time.clock.monotonic_ns(), action.since_ms, asked_ms, rows)

    async def _special(self, since_ms: int, until_ms: int, instrument: Instrument) -> list[FundingRow]:
        """None where the exchange does not know this kind (it came in September 2026): then there are none."""
        try:
            return await self._all(FundingKind.SPECIAL, since_ms, until_ms, instrument)
        except RestError as error:
            if error.code == UNKNOWN_VALUE:
                return []
            raise

    async def _all(self, kind: FundingKind, since_ms: int, until_ms: int, instrument: Instrument) -> list[FundingRow]:
        """Page by page; both ends of the window are inclusive."""
        rows: list[FundingRow] = []
        number = 1
        while True:
            parameters: Parameters = [
                ("symbol", instrument.symbol),
                ("incomeType", kind.value),
                ("startTime", since_ms),
                ("endTime", until_ms),
                ("page", number),
                ("limit", PAGE),
            ]
            reply = await when_granted(partial(self._page, parameters), self._time.clock)
            page, told = own_messages.funding_rows(reply.body, kind, instrument)
            rows += page
            if told < PAGE:
                return rows
            number += 1

    async def _page(self, parameters: Parameters) -> Reply:
        return await self._rest.get(
            "/fapi/v1/income", parameters, weight=INCOME_WEIGHT, security=Security.SIGNED, urgency=Urgency.REDUCE
        )

"""What the exchange may change while we trade: filters, status, leverage bracket, fees, and where its clock stands.

All of it changes without notice, so it is read hourly, and when the exchange announces a change of the contract; what
did not change is not told again.
"""

import asyncio
from random import Random

from msgspec.structs import replace

from phoenix_worker.core.events import ClockSynced, FeesSet, InstrumentSet, StatusSet
from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.venue.binance import messages
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import RequestBudget
from phoenix_worker.venue.binance.messages import ContractInfo, DecodeError
from phoenix_worker.venue.binance.preflight import (
    instrument_of,
    measure_clock,
    read_exchange_info,
    read_fees,
    read_room,
)
from phoenix_worker.venue.binance.rest import Rest, RestError
from phoenix_worker.venue.port import Sink

RELOAD_EVERY_S = 3600.0
RELOAD_RETRY_S = 60.0
CLOCK_EVERY_S = 60.0
CLOCK_RETRY_S = 5.0
CLOCK_AGAIN_S = 3.0
"""However many requests are refused for their timestamp: five questions in so many seconds are enough."""
JITTER = 0.1


class Reference:
    """`instrument` and fees as they are now; changes are told to `emit` in the moment in which they take effect."""

    def __init__(
        self,
        instrument: Instrument,
        fees_bps: tuple[float, float],
        emit: Sink,
        *,
        leverage: int,
        rest: Rest,
        time: ExchangeTime,
        budget: RequestBudget,
        random: Random,
    ) -> None:
        self.instrument = instrument
        self._fees_bps = fees_bps
        self._emit = emit
        self._leverage = leverage
        self._rest = rest
        self._time = time
        self._budget = budget
        self._random = random
        self._reload_now = asyncio.Event()
        self._measure_now = asyncio.Event()

    # -- asked by others ---------------------------------------------------------------------------

    def contract_changed(self, info: ContractInfo) -> None:
        """Heard on the MARKET stream: the status counts at once, the rest is read anew."""
        if info.status is not None:
            self._set_status(messages.symbol_status(info.status))
        self._reload_now.set()

    def reload_soon(self) -> None:
        """Something did not fit the filters that we know."""
        self._reload_now.set()

    def clock_is_off(self) -> None:
        """The exchange refused a request for its timestamp."""
        self._measure_now.set()

    # -- tasks -------------------------------------------------------------------------------------

    async def keep_reference(self) -> None:
        delay_s = RELOAD_EVERY_S
        while True:
            await self._wait(self._reload_now, delay_s)
            try:
                await self._reload()
                delay_s = RELOAD_EVERY_S
            except (RestError, DecodeError):
                delay_s = RELOAD_RETRY_S

    async def keep_clock(self) -> None:
        while True:
            try:
                offset = await measure_clock(self._rest, self._time)
            except (RestError, DecodeError):
                await self._wait(self._measure_now, CLOCK_RETRY_S)
                continue
            self._budget.offset_ns = offset.offset_ns
            self._emit(ClockSynced(self._time.clock.monotonic_ns(), offset.offset_ns, offset.error_ns))
            await self._time.clock.sleep(CLOCK_AGAIN_S)
            await self._wait(self._measure_now, CLOCK_EVERY_S)

    async def _wait(self, signal: asyncio.Event, seconds: float) -> None:
        seconds *= 1 + self._random.uniform(-JITTER, JITTER)
        try:
            async with asyncio.timeout(seconds / self._time.clock.rate):
                await signal.wait()
        except TimeoutError:
            return
        signal.clear()

    async def _reload(self) -> None:
        info = await read_exchange_info(self._rest)
        self._budget.limits = info.request_limits(self._budget.limits)
        row = info.symbol(self.instrument.symbol)
        if row is None:
            self._set_status(SymbolStatus.NOT_TRADING)
            return
        room = await read_room(self._rest, self.instrument.symbol, self._leverage)
        instrument = replace(instrument_of(row), max_notional=room)
        if instrument != self.instrument:
            status_changed = instrument.status is not self.instrument.status
            self.instrument = instrument
            now_ns = self._time.clock.monotonic_ns()
            self._emit(InstrumentSet(now_ns, instrument))
            if status_changed:
                self._emit(StatusSet(now_ns, instrument.status))
        fees_bps = await read_fees(self._rest, self.instrument.symbol)
        if fees_bps != self._fees_bps:
            self._fees_bps = fees_bps
            self._emit(FeesSet(self._time.clock.monotonic_ns(), *fees_bps))

    def _set_status(self, status: SymbolStatus) -> None:
        if status is not self.instrument.status:
            self.instrument = replace(self.instrument, status=status)
            self._emit(StatusSet(self._time.clock.monotonic_ns(), status))

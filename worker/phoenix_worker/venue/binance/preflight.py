"""Everything that must hold before the first quote, read from the exchange; each refusal says what to do.

Nothing is changed but leverage and margin type, and these only where the account's declaration says so and the
symbol is flat without orders.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from phoenix_worker.core.events import Refusal
from phoenix_worker.core.instrument import MONEY, UNBOUNDED, Instrument, SymbolStatus
from phoenix_worker.venue.binance import own_messages, replies
from phoenix_worker.venue.binance.clock_sync import USABLE_ERROR_NS, ClockOffset, ExchangeTime, Sample
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.rest import Parameters, Reply, Rest, RestError, Security
from phoenix_worker.venue.binance.settings import Settings
from phoenix_worker.venue.clock import NS_PER_MS
from phoenix_worker.venue.port import Preflight, Refused

CLOCK_SAMPLES = 5
ROOM_FACTOR = Decimal("1.15")
"""The bracket must hold the worst case, not only the limit."""
NO_CHANGE_NEEDED = -4046


async def measure_clock(rest: Rest, time: ExchangeTime) -> ClockOffset:
    """Asks the exchange for its time `CLOCK_SAMPLES` times; raises `RestError` or `DecodeError`."""
    samples = []
    for _ in range(CLOCK_SAMPLES):
        reply = await rest.get("/fapi/v1/time", weight=1, urgency=Urgency.REDUCE)
        server_ms = replies.decode(replies.ServerTime, reply.body).server_ms
        samples.append(Sample(reply.sent_ns, reply.received_ns, server_ms))
    return time.measured(samples)


async def read_fees(rest: Rest, symbol: str) -> tuple[float, float]:
    """Maker and taker fee in bps; raises `RestError` or `DecodeError`."""
    reply = await rest.get(
        "/fapi/v1/commissionRate",
        [("symbol", symbol)],
        weight=20,
        security=Security.SIGNED,
        urgency=Urgency.REDUCE,
    )
    rate = replies.decode(replies.CommissionRate, reply.body)
    return rate.maker * 1e4, rate.taker * 1e4


async def read_room(rest: Rest, symbol: str, leverage: int) -> int:
    """The largest position that the exchange admits at this leverage, in money; 0 where none. Raises `RestError` or
    `DecodeError`.
    """
    reply = await rest.get(
        "/fapi/v1/leverageBracket",
        [("symbol", symbol)],
        weight=1,
        security=Security.SIGNED,
        urgency=Urgency.REDUCE,
    )
    rows = replies.decode(list[replies.SymbolBrackets], reply.body)
    room = max((row.room(leverage) for row in rows if row.symbol == symbol), default=0.0)
    return min(int(room * MONEY), UNBOUNDED)


async def read_exchange_info(rest: Rest) -> replies.ExchangeInfo:
    """Raises `RestError` or `DecodeError`."""
    reply = await rest.get("/fapi/v1/exchangeInfo", weight=1, urgency=Urgency.REDUCE)
    return replies.decode(replies.ExchangeInfo, reply.body)


async def read_identity(rest: Rest, endpoints: Endpoints) -> str:
    """The exchange's own name of the account, empty where it has no balance to read it from; raises `RestError` or
    `DecodeError`.
    """
    reply = await rest.get("/fapi/v3/balance", weight=5, security=Security.SIGNED, urgency=Urgency.REDUCE)
    rows = replies.decode(list[replies.BalanceRow], reply.body)
    return account_identity(endpoints, rows[0].alias) if rows else ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whose account it is, and whether the exchange lists the symbol."""

    identity: str
    listed: bool


async def look_up(
    symbol: str, endpoints: Endpoints, *, rest: Rest, time: ExchangeTime, budget: RequestBudget
) -> Whereabouts:
    """What somebody needs to know who quotes nothing, with clock and limits; raises `RestError` or `DecodeError`."""
    budget.offset_ns = (await measure_clock(rest, time)).offset_ns
    info = await read_exchange_info(rest)
    budget.limits = info.request_limits(budget.limits)
    return Whereabouts(await read_identity(rest, endpoints), info.symbol(symbol) is not None)


def instrument_of(info: replies.SymbolInfo) -> Instrument:
    """Raises `DecodeError` for filters that no whole tick and step can meet."""
    try:
        return info.instrument()
    except (ValueError, ArithmeticError) as error:
        raise DecodeError(f"filters of {info.symbol}", error, b"exchangeInfo") from error


_Check = Callable[[], Coroutine[None, None, None]]


class _StopError(Exception):
    """What was refused leaves nothing for the checks after it to ask."""


class Checks:
    """One run of the checks; `run` returns what is known, refusals included."""

    def __init__(
        self,
        symbol: str,
        settings: Settings,
        endpoints: Endpoints,
        *,
        rest: Rest,
        time: ExchangeTime,
        budget: RequestBudget,
    ) -> None:
        self._symbol = symbol
        self._settings = settings
        self._endpoints = endpoints
        self._rest = rest
        self._time = time
        self._budget = budget
        self._instrument: Instrument | None = None
        self._maker_bps = 0.0
        self._taker_bps = 0.0
        self._identity = ""
        self._refused: list[Refused] = []
        self._skipped: list[str] = []

    async def run(self) -> Preflight:
        """Everything. Never raises for the exchange's faults."""
        needed = (self._clock, self._exchange_info)
        others = (self._account, self._symbol_settings, self._bracket, self._fees, self._alias, self._key)
        return await self._made(needed, others)

    async def of_key(self) -> Preflight:
        """Only what another key of the account might change: whether it may trade, and whose it is."""
        return await self._made((), (self._account, self._alias, self._key))

    async def _made(self, needed: Sequence[_Check], others: Sequence[_Check]) -> Preflight:
        for check in (*needed, *others):
            try:
                await check()
            except _StopError:
                break
            except RestError as error:
                self._refused.append(_unanswered(check.__name__.strip("_").replace("_", " "), error))
                if error.verdict.refusal is Refusal.DENIED or check in needed:
                    break  # the others would fail the same way
            except DecodeError as error:
                self._refuse(f"unreadable reply: {error}", "report this: the exchange has changed a reply")
        return Preflight(
            instrument=self._instrument,
            maker_bps=self._maker_bps,
            taker_bps=self._taker_bps,
            identity=self._identity,
            offset_ns=self._time.offset.offset_ns,
            offset_error_ns=self._time.offset.error_ns,
            refused=tuple(self._refused),
            skipped=tuple(self._skipped),
        )

    def _refuse(self, what: str, todo: str, *, retryable: bool = False, of_key: bool = False) -> None:
        self._refused.append(Refused(what, todo, retryable, of_key))

    async def _signed(self, path: str, parameters: Parameters | None = None, *, weight: int) -> Reply:
        return await self._rest.get(path, parameters, weight=weight, security=Security.SIGNED, urgency=Urgency.REDUCE)

    # -- the checks, in order ----------------------------------------------------------------------

    async def _clock(self) -> None:
        offset = await measure_clock(self._rest, self._time)
        self._budget.offset_ns = offset.offset_ns
        if offset.error_ns >= USABLE_ERROR_NS:
            self._refuse(
                f"the exchange's clock is only known to {offset.error_ns / NS_PER_MS:.0f} ms",
                "the line to the exchange is too slow to trade on: check the network",
                retryable=True,
            )

    async def _exchange_info(self) -> None:
        info = await read_exchange_info(self._rest)
        self._budget.limits = info.request_limits(self._budget.limits)
        row = info.symbol(self._symbol)
        if row is None:
            self._refuse(f"the exchange has no symbol {self._symbol}", "correct spec.symbol of the maker")
            raise _StopError
        self._instrument = instrument_of(row)
        if row.contract_type not in ("PERPETUAL", "TRADIFI_PERPETUAL"):
            self._refuse(f"{self._symbol} is a {row.contract_type or 'pending'} contract", "choose a perpetual")
        if self._instrument.status is not SymbolStatus.TRADING:
            self._refuse(
                f"{self._symbol} is {row.status}, not TRADING", "wait until the exchange opens it", retryable=True
            )

    async def _account(self) -> None:
        config = replies.decode(replies.AccountConfig, (await self._signed("/fapi/v1/accountConfig", weight=5)).body)
        if not config.can_trade:
            self._refuse("the account may not trade", "lift the restriction at the exchange")
        if config.hedge_mode:
            self._refuse(
                "the account is in hedge mode",
                "set one-way position mode at the exchange (all symbols must be flat, COIN-M too)",
            )

    async def _symbol_settings(self) -> None:
        parameters: Parameters = [("symbol", self._symbol)]
        reply = await self._signed("/fapi/v1/symbolConfig", parameters, weight=5)
        rows = replies.decode(list[replies.SymbolConfig], reply.body)
        config = next((row for row in rows if row.symbol == self._symbol), None)
        if config is None:
            raise DecodeError("symbolConfig", f"no row of {self._symbol}", reply.body)
        settings = self._settings
        wrong = []
        if config.margin_type != settings.margin_type:
            wrong.append(f"margin type is {config.margin_type}, the account declares {settings.margin_type}")
        if config.leverage != settings.leverage:
            wrong.append(f"leverage is {config.leverage}, the account declares {settings.leverage}")
        if not wrong:
            return
        what = f"{self._symbol}: {'; '.join(wrong)}"
        if not settings.apply:
            self._refuse(what, "set it at the exchange, or let spec.settings.apply of the account do it while flat")
        elif self._rest.read_only:
            self._skipped.append(f"{what}: a live worker sets it while flat, a rehearsal leaves it")
        elif not await self._is_flat():
            self._refuse(what, "close the position and the orders of the symbol: settings are applied only while flat")
        else:
            await self._apply(config)

    async def _is_flat(self) -> bool:
        if self._instrument is None:
            raise _StopError
        parameters: Parameters = [("symbol", self._symbol)]
        position = await self._signed("/fapi/v3/positionRisk", parameters, weight=5)
        orders = await self._signed("/fapi/v1/openOrders", parameters, weight=1)
        held, _ = own_messages.position(position.body, self._instrument)
        return not held and not own_messages.open_orders(orders.body, self._instrument)

    async def _apply(self, present: replies.SymbolConfig) -> None:
        settings = self._settings
        if present.margin_type != settings.margin_type:
            parameters: Parameters = [("symbol", self._symbol), ("marginType", settings.margin_type.value)]
            try:
                await self._rest.change("POST", "/fapi/v1/marginType", parameters, weight=1, urgency=Urgency.REDUCE)
            except RestError as error:
                if error.code != NO_CHANGE_NEEDED:
                    raise
        if present.leverage != settings.leverage:
            parameters = [("symbol", self._symbol), ("leverage", settings.leverage)]
            await self._rest.change("POST", "/fapi/v1/leverage", parameters, weight=1, urgency=Urgency.REDUCE)

    async def _bracket(self) -> None:
        admitted = await read_room(self._rest, self._symbol, self._settings.leverage)
        if self._instrument is not None:
            self._instrument = replace(self._instrument, max_notional=admitted)
        parameters: Parameters = [("symbol", self._symbol)]
        reply = await self._rest.get("/fapi/v1/premiumIndex", parameters, weight=1, urgency=Urgency.REDUCE)
        mark = replies.decode(replies.MarkPrice, reply.body).mark
        room = admitted / MONEY
        needed = float(ROOM_FACTOR * self._settings.net_max) * mark
        if not room >= needed:
            self._refuse(
                f"at leverage {self._settings.leverage} the exchange admits a position of {room:g}, "
                f"{ROOM_FACTOR} times netMax at the mark price is {needed:.0f}",
                "lower leverage or netMax",
            )

    async def _fees(self) -> None:
        self._maker_bps, self._taker_bps = await read_fees(self._rest, self._symbol)

    async def _alias(self) -> None:
        self._identity = await read_identity(self._rest, self._endpoints)
        if not self._identity:
            self._refuse("the account has no balance at all", "transfer margin to the futures account")

    async def _key(self) -> None:
        if self._endpoints.spot is None:
            self._skipped.append(f"key permissions: {self._endpoints.environment} has no endpoint that tells them")
            return
        reply = await self._rest.get(
            "/sapi/v1/account/apiRestrictions",
            weight=1,
            security=Security.SIGNED,
            urgency=Urgency.REDUCE,
            base_url=self._endpoints.spot,
        )
        restrictions = replies.decode(replies.KeyRestrictions, reply.body)
        if restrictions.withdrawals:
            self._refuse("the API key may withdraw", "use a key that may trade futures and nothing else", of_key=True)
        if not restrictions.futures:
            self._refuse("the API key may not trade futures", "enable futures for the key at the exchange", of_key=True)


def _unanswered(what: str, error: RestError) -> Refused:
    if error.verdict.refusal is Refusal.DENIED:
        return Refused(
            f"{what}: the exchange refuses the key: {error}",
            "check apiKey and apiSecret (or privateKey), the key's permissions and the addresses that it admits",
            of_key=True,
        )
    return Refused(
        f"{what}: {error}", "wait, or check the exchange's status and the network", retryable=_may_heal(error)
    )


def _may_heal(error: RestError) -> bool:
    return error.retryable or error.verdict.refusal in (Refusal.RATE_LIMIT, Refusal.BANNED, Refusal.CLOCK)

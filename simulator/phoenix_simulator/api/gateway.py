"""The one pipeline through which every request goes, whichever transport brought it.

Order of checks, as the venue's: IP weight → key → signature → time window → order count → parameters and business.
Faults of requests act here and nowhere else.
"""

from collections.abc import Callable
from enum import Enum
from http import HTTPStatus

import msgspec

from phoenix_simulator.api.auth import Credentials, KeyRing, Security, Timing
from phoenix_simulator.api.limits import RateLimitedError, RateLimits
from phoenix_simulator.api.params import Params
from phoenix_simulator.api.request_faults import RequestPlan, plan_request
from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.fault_schedule import Faults, Scheduled
from phoenix_simulator.faults import RateLimit


class Pool(Enum):
    """What a request is counted against, beside the orders of an account."""

    WEIGHT = "weight"
    FUNDING = "funding"
    """fundingRate and fundingInfo: 500 requests in 5 minutes per IP, and no weight header."""


class Call(msgspec.Struct, frozen=True):
    """An admitted request, as its handler sees it."""

    params: Params
    holder: str
    ip: str
    arrived_ns: int
    """Simulated monotonic clock."""
    credentials: Credentials | None
    timing: Timing | None

    @property
    def account_id(self) -> str:
        if self.credentials is None:
            raise LookupError("the operation is declared without a key, but its handler asks for an account")
        return self.credentials.account


Weight = int | Callable[[Params], int]


class Operation(msgspec.Struct, frozen=True):
    """Something that can be asked for: the same for REST and the WebSocket API."""

    name: str
    security: Security
    handler: Callable[[Call], object]
    weight: Weight = 1
    orders_10s: int = 0
    orders_1m: int = 0
    pool: Pool = Pool.WEIGHT

    def weight_of(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


class Arrival(msgspec.Struct, frozen=True):
    """A request as it came in. `verify` checks the signature in the way of its transport."""

    rest_name: str
    """`METHOD /path`; empty for the WebSocket API."""
    params: Params
    api_key: str | None
    holder: str
    ip: str
    verify: Callable[[Credentials], None]


class Answer(msgspec.Struct, frozen=True):
    """`weight` is None where no weight is reported, `orders` (10 s, 1 m) only for operations that enter orders."""

    status: int
    body: object
    weight: int | None = None
    orders: tuple[int, int] | None = None
    retry_after_s: int | None = None
    lost: bool = False
    """The client never gets it."""
    is_page: bool = False
    """HTML of somebody in front of the venue (REST only)."""

    @property
    def is_error(self) -> bool:
        return self.status != HTTPStatus.OK


class Gateway:
    def __init__(self, clock: Clock, keys: KeyRing, limits: RateLimits, faults: Faults, audit: Audit) -> None:
        self._clock = clock
        self._keys = keys
        self._faults = faults
        self._audit = audit
        self.limits = limits

    async def perform(self, operation: Operation, arrival: Arrival) -> Answer:
        """Never raises for what a client did."""
        arrived_ns = self._clock.monotonic_ns()
        self._audit.request(
            arrival.holder,
            enters_orders=operation.orders_10s > 0,
            at_ns=arrived_ns,
            now_ms=self._clock.now_ms(),
        )
        account_id: str | None = None
        try:
            self._charge_ip(operation, arrival)
            faults = list(self._active_faults(operation, arrival)) if self._faults else []
            self._refuse_by_fault(faults, arrival)
            call = self._admit(operation, arrival, arrived_ns)
            account_id = _account_of(call)
            if operation.orders_10s and account_id is not None:
                now_ms = self._clock.reported_ms()
                self.limits.charge_orders(account_id, operation.orders_10s, operation.orders_1m, now_ms)
            if faults:
                return await self._execute_with_faults(operation, call, arrival, faults)
            return self._answer(operation, arrival, HTTPStatus.OK, self._execute(operation, call), account_id)
        except RateLimitedError as error:
            self._audit.refused(arrival.holder, error, self._clock.monotonic_ns(), self._clock.now_ms())
            return self._error(operation, arrival, error, account_id, error.retry_after_s)
        except VenueError as error:
            return self._error(operation, arrival, error, account_id)

    def authorise(self, api_key: str | None) -> Credentials:
        """The credentials behind a key, or -2014 / -2015."""
        return self._keys.authorise(api_key)

    # ---- admission ----------------------------------------------------------------------------------------------

    def _charge_ip(self, operation: Operation, arrival: Arrival) -> None:
        now_ms = self._clock.reported_ms()
        if operation.pool is Pool.FUNDING:
            self.limits.charge_funding_pool(arrival.ip, now_ms)
        else:
            self.limits.charge_weight(arrival.ip, operation.weight_of(arrival.params), now_ms)

    def _admit(self, operation: Operation, arrival: Arrival, arrived_ns: int) -> Call:
        credentials: Credentials | None = None
        timing: Timing | None = None
        if operation.security is not Security.NONE:
            credentials = self.authorise(arrival.api_key)
        if credentials is not None and operation.security.signed:
            if "timestamp" not in arrival.params:
                raise VenueError(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
            arrival.verify(credentials)
            timing = Timing(arrival.params)
            timing.check_arrival(self._clock.reported_ms())
        return Call(arrival.params, arrival.holder, arrival.ip, arrived_ns, credentials, timing)

    def _execute(self, operation: Operation, call: Call) -> object:
        if call.timing is not None and operation.security is Security.TRADE:
            call.timing.check_engine(self._clock.reported_ms())
        return operation.handler(call)

    # ---- answers ------------------------------------------------------------------------------------------------

    def _answer(
        self, operation: Operation, arrival: Arrival, status: int, body: object, account_id: str | None
    ) -> Answer:
        now_ms = self._clock.reported_ms()
        weight: int | None = None
        if operation.pool is Pool.WEIGHT:
            # What costs no weight does not say how much is used: the venue answers -1.
            free = operation.weight == 0
            weight = -1 if free else self.limits.used_weight(arrival.ip, now_ms)
        orders: tuple[int, int] | None = None
        if operation.orders_10s and account_id is not None:
            orders = self.limits.used_orders(account_id, now_ms)
        return Answer(status, body, weight, orders)

    def _error(
        self,
        operation: Operation,
        arrival: Arrival,
        error: VenueError,
        account_id: str | None,
        retry_after_s: int | None = None,
    ) -> Answer:
        answer = self._answer(operation, arrival, error.http_status, error_body(error), account_id)
        return msgspec.structs.replace(answer, retry_after_s=retry_after_s)

    # ---- faults -------------------------------------------------------------------------------------------------

    def _active_faults(self, operation: Operation, arrival: Arrival) -> list[Scheduled]:
        symbol = arrival.params.peek("symbol").upper()
        return list(self._faults.for_request(operation.name, arrival.rest_name, symbol, arrival.holder))

    def _refuse_by_fault(self, faults: list[Scheduled], arrival: Arrival) -> None:
        """Rate limits stand before everything else."""
        for scheduled in faults:
            fault = scheduled.fault
            if isinstance(fault, RateLimit):
                scheduled.use()
                now_ms = self._clock.reported_ms()
                if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
                    raise RateLimitedError(-1003, "Too many requests.", fault.status, fault.retry_after_seconds)
                self.limits.ban(arrival.ip, now_ms, fault.retry_after_seconds * 1_000)
                self.limits.check_ban(arrival.ip, now_ms)

    async def _execute_with_faults(
        self, operation: Operation, call: Call, arrival: Arrival, faults: list[Scheduled]
    ) -> Answer:
        plan = plan_request(operation.name, call.params, faults, is_rest=bool(arrival.rest_name))
        account_id = _account_of(call)
        if plan.before_s:
            await self._clock.sleep(plan.before_s)
        if plan.refusal is not None:
            raise plan.refusal
        if plan.skipped:
            return _spoilt(Answer(HTTPStatus.OK, None), plan)
        try:
            body = self._execute(operation, call)
            answer = self._answer(operation, arrival, HTTPStatus.OK, body, account_id)
        except VenueError as error:
            answer = self._error(operation, arrival, error, account_id)
        if plan.answered_instead is not None:
            answer = self._error(operation, arrival, plan.answered_instead, account_id)
        if plan.after_s:
            await self._clock.sleep(plan.after_s)
        return _spoilt(answer, plan)


def _spoilt(answer: Answer, plan: RequestPlan) -> Answer:
    """What reaches the client of it. A page comes from in front of the venue: nothing of the venue's is on it."""
    if plan.lost:
        return msgspec.structs.replace(answer, lost=True)
    return answer if plan.page_status is None else Answer(plan.page_status, None, is_page=True)


def error_body(error: VenueError) -> dict[str, object]:
    return {"code": error.code, "msg": error.msg}


def _account_of(call: Call) -> str | None:
    return call.credentials.account if call.credentials is not None else None

"""Requests over HTTP: one session, bounded time-outs, signed over the exact bytes that are sent.

A request that fails raises `RestError` with the verdict of the one table; who calls decides what to do. Nothing is
sent again by itself: aiohttp's own silent retry of PUT and DELETE is switched off, because a request whose connection
broke may have been executed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from phoenix_worker.core.events import Outcome, Refusal
from phoenix_worker.venue.binance import outcomes
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.outcomes import Retry, Verdict, verdict
from phoenix_worker.venue.binance.signing import Credentials

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
OVERLOADED = -1008
FIREWALL = 403
FIREWALL_BACK_OFF_S = 120.0
"""The exchange's firewall takes us for an attacker: stop for minutes (documentation: HTTP return codes)."""

Parameters = list[tuple[str, str | int]]


class Security(Enum):
    """What a request must carry (documentation: endpoint security type)."""

    NONE = 0
    KEY = 1
    SIGNED = 2


class RestError(Exception):
    """A request that did not work. `sent_ns` is 0 where it never left."""

    def __init__(self, verdict: Verdict, status: int, code: int, message: str, sent_ns: int) -> None:
        super().__init__(f"{message} (HTTP {status}, code {code})" if status else message)
        self.verdict = verdict
        self.status = status
        self.code = code
        self.message = message
        self.sent_ns = sent_ns

    @property
    def retryable(self) -> bool:
        """Whether a request that changes nothing may be tried again soon."""
        return self.verdict.retry in (Retry.LATER, Retry.RESYNC, Retry.LOOK)


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    sent_ns: int
    received_ns: int


class _Error(msgspec.Struct):
    code: int = 0
    message: str = msgspec.field(name="msg", default="")


_error = msgspec.json.Decoder(_Error).decode
_BANNED_UNTIL = re.compile(r"banned until (\d{12,14})")

Errors = Callable[[int, Verdict], None]
"""Told of every error: its code (0: none, the HTTP status stands for it) and verdict."""


def query_of(parameters: Parameters) -> str:
    """`k=v&…`, percent-encoded where a value needs it (symbols may be non-ASCII since 2025)."""
    return "&".join(
        f"{name}={value if isinstance(value, int) else quote(value, safe='')}" for name, value in parameters
    )


class Rest:
    """`read_only`: refuses everything that changes the account but the listen key's life (dry run)."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        time: ExchangeTime,
        budget: RequestBudget,
        user_agent: str,
        on_error: Errors,
        recv_window_ms: int,
        *,
        read_only: bool,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._time = time
        self._budget = budget
        self._on_error = on_error
        self._recv_window_ms = recv_window_ms
        self.read_only = read_only
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    def use(self, credentials: Credentials) -> None:
        """Requests from now on are signed with these."""
        self._credentials = credentials

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self,
        path: str,
        parameters: Parameters | None = None,
        *,
        weight: int,
        security: Security = Security.NONE,
        urgency: Urgency = Urgency.QUOTE,
        timeout_s: float = TIMEOUT_S,
        base_url: str | None = None,
    ) -> Reply:
        """Reads; raises `RestError`."""
        return await self._request(
            "GET", path, parameters or [], weight, security, urgency, None, timeout_s, base_url or self._base_url
        )

    async def keep_listen_key(self, method: str) -> Reply:
        """POST or PUT of the listen key: the one thing that a dry run changes, too."""
        path = "/fapi/v1/listenKey"
        return await self._request(method, path, [], 1, Security.KEY, Urgency.REDUCE, None, TIMEOUT_S, self._base_url)

    async def change(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        *,
        weight: int,
        urgency: Urgency,
        deadline_ns: int | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Reply:
        """Changes something at the exchange, signed; raises `RestError`. With a deadline nothing leaves after it, and
        the exchange refuses what arrives after it.
        """
        if self.read_only:
            raise RestError(outcomes.NOT_SENT, 0, 0, "dry run: nothing is changed at the exchange", 0)
        return await self._request(
            method, path, parameters, weight, Security.SIGNED, urgency, deadline_ns, timeout_s, self._base_url
        )

    async def _request(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        weight: int,
        security: Security,
        urgency: Urgency,
        deadline_ns: int | None,
        timeout_s: float,
        base_url: str,
    ) -> Reply:
        clock = self._time.clock
        sent_ns = clock.monotonic_ns()
        if not self._budget.admits_weight(sent_ns, weight, urgency):
            raise RestError(outcomes.RATE_LIMITED, 0, 0, "not sent: the request budget is used up", 0)
        query = query_of(parameters)
        if security is Security.SIGNED:
            timestamp_ms, window_ms = self._time.receive_window(sent_ns, deadline_ns, self._recv_window_ms)
            if window_ms <= 0:
                expired = Verdict(Outcome.REFUSED, Refusal.EXPIRED_DEADLINE, Retry.NEVER)
                raise RestError(expired, 0, 0, "not sent: the lease's deadline leaves no time", 0)
            query += f"{'&' if query else ''}recvWindow={window_ms}&timestamp={timestamp_ms}"
            query += f"&signature={quote(self._credentials.signer.sign(query.encode()), safe='')}"
        headers = {"X-MBX-APIKEY": self._credentials.api_key} if security is not Security.NONE else {}
        url = URL(f"{base_url}{path}?{query}" if query else f"{base_url}{path}", encoded=True)
        self._budget.weight_sent(sent_ns, weight, urgency)
        timeout = aiohttp.ClientTimeout(
            total=timeout_s / clock.rate, sock_connect=min(timeout_s, CONNECT_TIMEOUT_S) / clock.rate
        )
        try:
            async with self._open_session().request(
                method, url, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.read()
                status = response.status
                self._read_limits(response.headers)
                retry_after = response.headers.get("Retry-After")
        except aiohttp.ClientConnectorError as error:
            raise self._failed(outcomes.NOT_SENT, f"cannot connect: {error.os_error or error}", 0) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise self._failed(outcomes.NOT_SENT, "cannot connect: timed out", 0) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The type alone: a message may repeat the address, which carries a signature.
            raise self._failed(outcomes.UNKNOWN, f"no answer: {type(error).__name__}", sent_ns) from error
        if status == 200:
            return Reply(body, sent_ns, clock.monotonic_ns())
        raise self._refused(status, body, retry_after, sent_ns)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": self._user_agent},
                connector=aiohttp.TCPConnector(limit=16, keepalive_timeout=60, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
            # There is no public switch, and an amend or cancel that was perhaps executed must not be repeated blindly.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session

    def _failed(self, verdict: Verdict, message: str, sent_ns: int) -> RestError:
        self._on_error(0, verdict)
        return RestError(verdict, 0, 0, message, sent_ns)

    def _refused(self, status: int, body: bytes, retry_after: str | None, sent_ns: int) -> RestError:
        try:
            error = _error(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            error = _Error(0, body[:200].decode(errors="replace"))
        ruling = verdict(status, error.code, error.message)
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        self.note_limit(ruling, status, error.code, error.message, seconds)
        self._on_error(error.code or status, ruling)
        return RestError(ruling, status, error.code, error.message or f"HTTP {status}", sent_ns)

    def note_limit(self, ruling: Verdict, status: int, code: int, message: str, seconds: float | None) -> None:
        """Lets the budget know of a refusal that says that too much was sent (the WebSocket API's refusals, too).

        `seconds` to wait, where the exchange told them.
        """
        now_ns = self._time.clock.monotonic_ns()
        if ruling.refusal is Refusal.BANNED:
            until = _BANNED_UNTIL.search(message)
            if until is not None:
                seconds = _precisely((int(until[1]) - self._time.now_ms()) / 1000, seconds)
            self._budget.banned(now_ns, seconds)
        elif code == -1015:
            self._budget.orders_limited(now_ns, seconds)
        elif code == OVERLOADED:
            self._budget.overloaded(now_ns)
        elif status == FIREWALL:
            self._budget.rate_limited(now_ns, FIREWALL_BACK_OFF_S)
        elif status == 429 or code == -1003:
            self._budget.rate_limited(now_ns, seconds)

    def _read_limits(self, headers: Mapping[str, str]) -> None:
        now_ns = self._time.clock.monotonic_ns()
        for name, interval_s in _ORDER_COUNTS:
            count = _counter(headers.get(name))
            if count is not None:
                self._budget.orders_reported(now_ns, interval_s, count)
        weight = _counter(headers.get("X-MBX-USED-WEIGHT-1M"))
        if weight is not None:
            self._budget.weight_reported(now_ns, weight)


_ORDER_COUNTS = (("X-MBX-ORDER-COUNT-10S", 10), ("X-MBX-ORDER-COUNT-1M", 60))


def _counter(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _precisely(by_its_clock_s: float, told_s: float | None) -> float:
    """How long to wait: `Retry-After` in whole seconds, which the end of the ban by the exchange's clock makes exact.

    No more than that: a start that has not measured that clock yet would else hold everybody of its egress by whatever
    its own is wrong.
    """
    if told_s is None:
        return max(by_its_clock_s, 0.0)
    return min(max(by_its_clock_s, told_s), told_s + 1.0)

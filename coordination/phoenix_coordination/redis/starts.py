"""The weight of a start: what a worker reads before it may quote, booked with those who share its public IP.

Twenty workers that start at once would spend the minute of all of them, and with it the cancels of those that quote. So
would four that are replaced twice in a minute, one after the other (an upgrade, then a rollback). So who follows one
that still leads has time: successors have a part of the minute, and beyond it only what quotes leave. Nothing here
needs the exchange's name of the account, which a start only learns by reading, unless somebody has registered it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from phoenix_coordination.port import Admission, BudgetTerms, Clock
from phoenix_coordination.redis.budgets import Scope, Window, quoting_cap
from phoenix_coordination.redis.client import FAULTS, Credentials, connect, fault_of
from phoenix_coordination.redis.keys import AccountKeys, EgressKeys, identity_of
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end

LIVES_MS = 30_000
"""How long a start may take; then what it has booked counts as sent."""
OVER_AFTER_S = 5.0
"""What a worker reads when it begins to work is read, and told as sent, by then."""
OWN_PART = 1 / 4
"""Of a minute's weight what successors may use however much is quoted, so that a busy egress can replace its workers.
At least one may.
"""
QUOTES_KEEP = 1 / 4
"""Of what quoting may use of a minute, what successors beyond their own part leave."""
ALL_OR_NOTHING = 0
"""The least that a start may hold, for the script."""
_ANSWER_SECONDS = 2.0
_LEAVE_SECONDS = 0.5
_SILENT_MS = 1_000
_NS_PER_S = 1_000_000_000


class Spent(msgspec.Struct, frozen=True):
    """Request weight that this process has ever sent, and that of its last minute; the exchange's own figure of its
    minute that runs at `exchange_ms` (-1: none); and how much longer it wants to hear nothing (429 and 418).
    """

    weight: int
    weight_1m: int
    exchange_ms: int = 0
    weight_1m_reported: int = -1
    blocked_ns: int = 0


class Seat(msgspec.Struct, frozen=True):
    """What a worker starts for: a symbol of the account that a resource (`namespace/name`) names. Who leads it renews
    its lease at least every `ttl_s`.
    """

    resource: str
    symbol: str
    dry_run: bool
    ttl_s: float


class Start:
    """One worker's. `ask` may be repeated: each tells what was sent since the last one, and books anew. `stop` comes at
    the end.
    """

    def __init__(
        self,
        url: str,
        seat: Seat,
        holder: str,
        clock: Clock,
        spent: Callable[[], Spent],
        credentials: Credentials | None = None,
    ) -> None:
        self._client = connect(url, _ANSWER_SECONDS, credentials)
        self._seat = seat
        self._seen: tuple[bytes | None, ...] = ()
        """The lease of the symbol as it was seen last, and since when it is so."""
        self._seen_ns = 0
        self._holder = f"{holder}/start"
        self._clock = clock
        self._spent = spent
        self._terms: BudgetTerms | None = None
        self._asked = 0
        self._booked_until = 0
        """The total of weight up to which what is sent has been booked."""
        self._counted = 0
        """Of the weight that was ever sent or booked, what the others count as read by starts."""
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.told = 0
        """Of the weight that was ever sent, what the others have been told of for certain."""

    async def ask(self, terms: BudgetTerms, weight: int) -> Admission:
        """Books the whole of it, up to `weight_share` of the exchange's limit, or says why that cannot be now. Where
        somebody leads the symbol, within the part of successors or what quotes leave.
        """
        self._terms = terms
        begun_at = self._spent().weight
        try:
            has_time = await self._is_led()
            granted, is_blocked = await self._book(terms, weight, has_time=has_time)
        except FAULTS as error:
            return Admission(fault_of(error), reachable=False)
        if is_blocked:
            return Admission(
                f"the exchange wants to hear nothing from egress {terms.egress} for a while (429 or 418), as it told "
                "one of those who share it: a start begins when that is over"
            )
        if granted < weight:
            among = (
                f"among the {own_part(terms, weight)} of this minute for successors, and quotes leave none of "
                f"{unhurried_cap(terms)}"
                if has_time
                else f"among the {starting_cap(terms)} of this minute"
            )
            return Admission(
                f"a start reads {weight} of request weight, for which egress {terms.egress} has no room {among}: "
                "it begins as soon as there is"
            )
        self._booked_until = begun_at + weight
        return Admission()

    def tell(self) -> None:
        """Tells the others now what has been sent, and that the exchange wants to hear nothing: what is booked stays.

        Nobody waits for it: where it fails the next `ask` tells it.
        """
        if self._terms is not None and not self._over:
            self._begin(self._tell(self._terms))

    def is_over_soon(self) -> None:
        """From now on somebody else tells what is sent, from `told` on; what was booked is given back when that has
        been told.
        """
        self._over = True
        self._begin(self._give_back_later())

    async def stop(self) -> None:
        await end(list(self._tasks))
        await self._leave()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = begin(work, "start")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, terms: BudgetTerms) -> None:
        left = max(0, self._booked_until - self._spent().weight)
        with contextlib.suppress(*FAULTS):
            await self._book(terms, left, held=left)

    async def _give_back_later(self) -> None:
        await asyncio.sleep(OVER_AFTER_S / self._clock.rate)
        await self._leave()

    async def _leave(self) -> None:
        """Gives back what was booked and not sent, where that works at once; else it lapses by itself."""
        terms, self._terms = self._terms, None
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(_LEAVE_SECONDS):
                if terms is not None:
                    await self._book(terms, 0)
        with contextlib.suppress(*FAULTS):
            await self._client.aclose()

    async def _is_led(self) -> bool:
        """Whether the lease of the symbol is held and lives. One that has been seen only once may."""
        seat, now_ns = self._seat, self._clock.monotonic_ns()
        identity = await self._client.execute_command("GET", identity_of(seat.resource))
        try:
            lease = AccountKeys((identity or b"").decode(errors="replace"), seat.dry_run).lease(seat.symbol)
        except ValueError:  # nobody has registered one, or what is there is none
            return False
        seen = tuple(await self._client.execute_command("HMGET", lease, "holder", "beat", "released"))
        if seen != self._seen:
            self._seen, self._seen_ns = seen, now_ns
        holder, _, released = seen
        return bool(holder) and not released and now_ns - self._seen_ns < seat.ttl_s * _NS_PER_S

    async def _book(
        self, terms: BudgetTerms, weight: int, held: int = 0, *, has_time: bool = False
    ) -> tuple[int, bool]:
        """What was granted, and whether the exchange has told anybody of the egress to wait."""
        keys, spent = EgressKeys(terms.egress), self._spent()
        sent = self.told if self._over else spent.weight
        counted = max(self._counted, self._booked_until) if self._over else spent.weight
        self._asked += 1
        part = Scope(
            sequence=self._asked,
            sent=counted,
            acknowledged=self._counted,
            recent=spent.weight_1m + max(0, counted - spent.weight),
            wanted=weight,
            unused=held,
            channel=keys.back_off,
            least=ALL_OR_NOTHING,
            windows=(Window(60, own_part(terms, weight)),),
        )
        told = Scope(
            sequence=self._asked,
            sent=sent,
            acknowledged=self.told,
            recent=spent.weight_1m,
            wanted=weight,
            unused=held,
            blocked_ns=spent.blocked_ns,
            channel=keys.back_off,
            least=ALL_OR_NOTHING,
            windows=(Window(60, starting_cap(terms), spent.weight_1m_reported),),
        )
        answer = await call(
            self._client,
            Script.SPEND,
            [
                *(keys.starts, keys.starts_speakers, keys.starts_short),
                *(keys.weight, keys.weight_speakers, keys.weight_short, keys.makers),
            ],
            [
                *(self._holder, repr(self._clock.rate), LIVES_MS, _SILENT_MS, spent.exchange_ms, 0, "", "", 0),
                starting_cap(terms) - unhurried_cap(terms) if has_time else 0,
                *part.arguments,
                *told.arguments,
            ],
        )
        self.told, self._counted = max(self.told, sent), counted
        return int(answer[4]), answer[5] != b"0"


def starting_cap(terms: BudgetTerms) -> int:
    """Of a minute's weight what all may have sent when a start begins: what quoting may use and its reserve."""
    return int(terms.weight_1m * terms.weight_share)


def own_part(terms: BudgetTerms, weight: int) -> int:
    """Of that what successors that read so much may use, whatever is quoted."""
    return max(weight, int(starting_cap(terms) * OWN_PART))


def unhurried_cap(terms: BudgetTerms) -> int:
    """Of a minute's weight what all may have sent when a successor begins beyond that part."""
    quoting = quoting_cap(terms.weight_1m, terms.weight_share, terms.reserve_share)
    return min(starting_cap(terms), int(quoting * (1.0 - QUOTES_KEEP)))

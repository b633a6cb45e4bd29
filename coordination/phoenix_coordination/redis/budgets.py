"""One worker's part of the budgets that many share: what it tells, what it is granted, who must wait.

Nothing here counts: the script does, at the server, in one instant for everybody. A call that fails is not repeated:
totals only grow, so the next one tells all, and what was granted before lapses by itself.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from phoenix_coordination.port import Admission, BudgetGranted, BudgetNeed, BudgetTerms, Clock, LeaseTimes
from phoenix_coordination.redis.client import FAULTS, Redis, fault_of
from phoenix_coordination.redis.keys import AccountKeys, EgressKeys
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end

GRANT_RENEWALS = 2.0
"""How long a grant lives: what is renewed each second survives one renewal that comes late."""
FORGET_RENEWALS = 3.0
"""A worker that has been silent for so long has no part in what is divided."""
MAKER_LIVES_MS = 60_000
"""How long the fixed cost of a maker counts after the last of its workers spoke."""
FIXED_COST_PART = 2 / 3
"""Of what quoting may use of an egress's weight, what makers may cost without quoting. The same window pays for both:
the rest leaves each of those who fill it at least half of its fixed cost for the cancels that its orders will want.
"""
FIXED_COST_REMEDY = "run fewer from this IP, name another egress, or raise budgets.requestWeightShare of the account"
LEAST_ORDERS = 2
LEAST_WEIGHT = 5
"""What anybody may hold, however many share: enough to begin with, from which a need grows."""
LONGEST_WINDOW_S = 60
_LEAVE_SECONDS = 0.5
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class Window(msgspec.Struct, frozen=True):
    """One of the exchange's windows: what may be granted of it, and its own figure of it (-1: none)."""

    seconds: int
    cap: int
    reported: int = -1


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, and wanted, of what many share: see spend.lua. Totals only grow, and of what is told for the first
    time no more counts than `recent`: what was sent in the longest window. `windows`: the shortest first.
    """

    sequence: int
    sent: int = 0
    acknowledged: int = 0
    recent: int = 0
    wanted: int
    unused: int = 0
    blocked_ns: int = 0
    channel: str
    least: int
    windows: tuple[Window, ...]

    @property
    def arguments(self) -> list[str | int]:
        told = (self.sequence, self.sent, self.acknowledged, self.recent)
        asked = (self.wanted, self.unused, _ms(self.blocked_ns), self.channel, self.least)
        limits = [number for each in self.windows for number in (each.seconds, each.cap, each.reported)]
        return [*told, *asked, len(self.windows), *limits]


UNTOLD = Scope(sequence=0, wanted=0, channel="", least=0, windows=(Window(60, 0),))
"""A scope that is left alone."""


class Budgets:
    """`tell` hears each grant; `ended` hears how each call went. Nothing is asked before `admit`.

    The fixed cost is the symbol's, not the worker's: see admit.lua. A rehearsal (`keys.dry_run`) reads, but sends no
    orders: the account's window is not its own, and what it reads counts beside what the live maker does.
    """

    def __init__(
        self,
        client: Redis,
        keys: AccountKeys,
        symbol: str,
        holder: str,
        clock: Clock,
        times: LeaseTimes,
        tell: Callable[[BudgetGranted], None],
        ended: Callable[[Exception | None], None],
    ) -> None:
        self._client = client
        self._keys = keys
        self._maker_line = keys.maker(symbol)
        self._holder = holder
        self._clock = clock
        self._renew_ms = int(times.renew_s * 1000)
        self._tell = tell
        self._ended = ended
        self._terms: BudgetTerms | None = None
        self._fixed_weight = self._account_weight = 0
        self._need: BudgetNeed | None = None
        self._orders = _Total()
        self._weight = _Total()
        self._calls = 0
        self._asked = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    async def admit(self, terms: BudgetTerms, fixed_weight_1m: int, account_weight_1m: int) -> Admission:
        """May be asked again while it refuses."""
        cap = quoting_cap(terms.weight_1m, terms.weight_share, terms.reserve_share)
        room = fixed_cost_room(terms)
        makers = EgressKeys(terms.egress).makers
        maker = (self._holder, self._maker_line, fixed_weight_1m, room, MAKER_LIVES_MS, repr(self._clock.rate))
        account = (self._account_line, account_weight_1m)
        try:
            admitted, taken, others, added = await call(self._client, Script.ADMIT, [makers], [*maker, *account])
        except FAULTS as error:
            return Admission(fault_of(error), reachable=False)
        if admitted:
            self._terms, self._fixed_weight, self._account_weight = terms, fixed_weight_1m, account_weight_1m
            return Admission()
        account_too = " (with what its account costs once)" if int(added) > fixed_weight_1m else ""
        return Admission(
            f"this maker needs {int(added)}{account_too} of request weight a minute even when it does not quote; "
            f"{int(taken)} of the {room} that such costs may take of egress {terms.egress} are taken by {others} other "
            f"makers (of its {cap} the rest is for quoting): {FIXED_COST_REMEDY}"
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Where a back-off is announced: `again` should follow at once. Known once admitted."""
        return () if self._terms is None else (self._keys.back_off, EgressKeys(self._terms.egress).back_off)

    def start(self) -> None:
        self._asking = begin(self._ask_whenever_needed(), "budgets")

    def spend(self, need: BudgetNeed) -> None:
        """Of needs that wait the newest counts, and what all of them have sent."""
        now_ns = self._clock.monotonic_ns()
        self._orders.add(now_ns, need.orders_sent)
        self._weight.add(now_ns, need.weight_sent)
        self._need = need
        self._asked.set()

    def again(self) -> None:
        """Somebody has announced a back-off: the last need is asked again."""
        if self._need is not None:
            self._asked.set()

    async def stop(self) -> None:
        """Gives back what is not used and gives up its place, if that works at once; else both lapse."""
        if self._asking is not None:
            await end([self._asking])
        if self._terms is None:
            return
        makers = EgressKeys(self._terms.egress).makers
        self._need, self._fixed_weight = _last(self._need), 0
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(_LEAVE_SECONDS):
                if self._need is not None:
                    await self._ask(self._need, self._terms)
                await self._client.execute_command("HDEL", makers, self._holder)

    # -- asking ------------------------------------------------------------------------------------

    async def _ask_whenever_needed(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            need, terms = self._need, self._terms
            if need is None or terms is None:
                continue
            try:
                granted = await self._ask(need, terms)
            except FAULTS as error:
                self._ended(error)
            else:
                self._ended(None)
                if granted is not None:
                    self._tell(granted)

    async def _ask(self, need: BudgetNeed, terms: BudgetTerms) -> BudgetGranted | None:
        """`None` where a later call has overtaken this one at the server."""
        keys = EgressKeys(terms.egress)
        self._calls += 1
        sent_ns = self._clock.monotonic_ns()
        orders, weight = self._orders_scope(need, terms, sent_ns), self._weight_scope(need, terms, keys, sent_ns)
        orders_scope = [self._keys.orders, self._keys.orders_speakers, self._keys.orders_short]
        weight_scope = [keys.weight, keys.weight_speakers, keys.weight_short]
        answer = await call(
            self._client,
            Script.SPEND,
            [*orders_scope, *weight_scope, keys.makers],
            [
                *(self._holder, repr(self._clock.rate), self._lives_ms, int(self._renew_ms * FORGET_RENEWALS)),
                *(need.exchange_ms, self._fixed_weight, self._maker_line, self._account_line, self._account_weight, 0),
                *(UNTOLD if self._keys.dry_run else orders).arguments,
                *weight.arguments,
            ],
        )
        self._orders.acknowledged, self._weight.acknowledged = orders.sent, weight.sent
        if b"stale" in (answer[0], answer[3]):
            return None
        return BudgetGranted(
            sequence=need.sequence,
            orders=int(answer[1]),
            weight=int(answer[4]),
            until_ns=sent_ns + self._lives_ms * _NS_PER_MS,
            account_blocked_until_ns=self._until_ns(int(answer[2])),
            egress_blocked_until_ns=self._until_ns(int(answer[5])),
        )

    def _orders_scope(self, need: BudgetNeed, terms: BudgetTerms, now_ns: int) -> Scope:
        share, reserve = terms.order_share, terms.reserve_share
        return Scope(
            sequence=self._calls,
            sent=self._orders.sent,
            acknowledged=self._orders.acknowledged,
            recent=self._orders.recent(now_ns),
            wanted=need.orders_wanted,
            unused=need.orders_unused,
            blocked_ns=need.account_blocked_ns,
            channel=self._keys.back_off,
            least=LEAST_ORDERS,
            windows=(
                Window(10, quoting_cap(terms.orders_10s, share, reserve), need.orders_10s_reported),
                Window(60, quoting_cap(terms.orders_1m, share, reserve), need.orders_1m_reported),
            ),
        )

    def _weight_scope(self, need: BudgetNeed, terms: BudgetTerms, keys: EgressKeys, now_ns: int) -> Scope:
        cap = quoting_cap(terms.weight_1m, terms.weight_share, terms.reserve_share)
        return Scope(
            sequence=self._calls,
            sent=self._weight.sent,
            acknowledged=self._weight.acknowledged,
            recent=self._weight.recent(now_ns),
            wanted=need.weight_wanted,
            unused=need.weight_unused,
            blocked_ns=need.egress_blocked_ns,
            channel=keys.back_off,
            least=LEAST_WEIGHT,
            windows=(Window(60, cap, need.weight_1m_reported),),
        )

    @property
    def _account_line(self) -> str:
        return f"account:{self._keys.account}"

    @property
    def _lives_ms(self) -> int:
        return int(self._renew_ms * GRANT_RENEWALS)

    def _until_ns(self, left_ms: int) -> int:
        return self._clock.monotonic_ns() + left_ms * _NS_PER_MS if left_ms else 0


class _Total:
    """What was ever sent, and how much of it the server has acknowledged.

    A server that is away for an hour does not count the hour as sent in the second in which it is back.
    """

    def __init__(self) -> None:
        self.sent = self.acknowledged = 0
        self._seconds: dict[int, int] = {}

    def add(self, now_ns: int, units: int) -> None:
        if units:
            second = now_ns // _NS_PER_S
            self.sent += units
            self._seconds[second] = self._seconds.get(second, 0) + units
            self._forget(second)

    def recent(self, now_ns: int) -> int:
        """What a window of the exchange may still hold."""
        self._forget(now_ns // _NS_PER_S)
        return sum(self._seconds.values())

    def _forget(self, present: int) -> None:
        for second in [each for each in self._seconds if each < present - LONGEST_WINDOW_S - 1]:
            del self._seconds[second]


def quoting_cap(limit: int, share: float, reserve_share: float) -> int:
    """What quoting of all workers together may use of one of the exchange's windows."""
    return int(limit * share * (1.0 - reserve_share))


def fixed_cost_room(terms: BudgetTerms) -> int:
    """What the makers of an egress may cost together, in weight a minute, even when they do not quote."""
    return int(quoting_cap(terms.weight_1m, terms.weight_share, terms.reserve_share) * FIXED_COST_PART)


def _last(need: BudgetNeed | None) -> BudgetNeed | None:
    """A need that wants nothing and holds nothing."""
    if need is None:
        return None
    return msgspec.structs.replace(need, orders_wanted=0, orders_unused=0, weight_wanted=0, weight_unused=0)


def _ms(duration_ns: int) -> int:
    """Rounded up: a back-off never becomes shorter."""
    return -(-max(0, duration_ns) // _NS_PER_MS)

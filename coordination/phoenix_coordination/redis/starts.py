"""The weight of a start: what a worker reads before it may quote, booked with those who share its public IP.

Twenty workers that start at once would spend the minute of all of them, and with it the cancels of those that quote.
Nothing here needs the exchange's name of the account, which a start only learns by reading.
"""

import asyncio
import contextlib

from phoenix_coordination.port import Admission, BudgetTerms, Clock
from phoenix_coordination.redis.budgets import UNTOLD, Scope, Window
from phoenix_coordination.redis.client import FAULTS, Credentials, connect, fault_of
from phoenix_coordination.redis.keys import EgressKeys
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.tasks import begin, end

LIVES_MS = 30_000
"""How long a start may take; then what it has booked counts as sent."""
OVER_AFTER_S = 5.0
"""What a worker reads when it begins to work is read, and told as sent, by then."""
ALL_OR_NOTHING = 0
"""The least that a start may hold, for the script."""
_ANSWER_SECONDS = 2.0
_LEAVE_SECONDS = 0.5
_SILENT_MS = 1_000


class Start:
    """One worker's; `ask` may be repeated, and each answer replaces the last one. `stop` comes at the end."""

    def __init__(self, url: str, holder: str, clock: Clock, credentials: Credentials | None = None) -> None:
        self._client = connect(url, _ANSWER_SECONDS, credentials)
        self._holder = f"{holder}/start"
        self._clock = clock
        self._terms: BudgetTerms | None = None
        self._asked = 0
        self._ending: asyncio.Task[None] | None = None

    async def ask(self, terms: BudgetTerms, weight: int) -> Admission:
        """Books the whole of it, up to `weight_share` of the exchange's limit, or says why that cannot be now."""
        self._terms = terms
        try:
            granted = await self._book(terms, weight)
        except FAULTS as error:
            return Admission(fault_of(error), reachable=False)
        if granted:
            return Admission()
        return Admission(
            f"a start reads {weight} of request weight, for which egress {terms.egress} has no room among the "
            f"{starting_cap(terms)} of this minute: it begins as soon as there is"
        )

    def is_over_soon(self) -> None:
        """What was booked is given back once what was sent has been told as such."""
        self._ending = begin(self._give_back_later(), "start")

    async def stop(self) -> None:
        if self._ending is not None:
            await end([self._ending])
        await self._leave()

    async def _give_back_later(self) -> None:
        await asyncio.sleep(OVER_AFTER_S / self._clock.rate)
        await self._leave()

    async def _leave(self) -> None:
        """Gives back what was booked, where that works at once; else it lapses by itself."""
        terms, self._terms = self._terms, None
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(_LEAVE_SECONDS):
                if terms is not None:
                    await self._book(terms, 0)
        with contextlib.suppress(*FAULTS):
            await self._client.aclose()

    async def _book(self, terms: BudgetTerms, weight: int) -> bool:
        keys = EgressKeys(terms.egress)
        self._asked += 1
        weight_scope = [keys.weight, keys.weight_speakers, keys.weight_short]
        told = Scope(
            sequence=self._asked,
            wanted=weight,
            channel=keys.back_off,
            least=ALL_OR_NOTHING,
            windows=(Window(60, starting_cap(terms)),),
        )
        answer = await call(
            self._client,
            Script.SPEND,
            [*weight_scope, *weight_scope, keys.makers],
            [
                *(self._holder, repr(self._clock.rate), LIVES_MS, _SILENT_MS, 0, 0, "", "", 0),
                *UNTOLD.arguments,
                *told.arguments,
            ],
        )
        return int(answer[4]) >= weight


def starting_cap(terms: BudgetTerms) -> int:
    """Of a minute's weight: what quoting may use and its reserve, so that a busy egress can replace its workers."""
    return int(terms.weight_1m * terms.weight_share)

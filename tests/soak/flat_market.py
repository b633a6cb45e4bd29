"""A position stuck at nine tenths of its limit while the market does not move, for hours: what grinding costs and
saves, as its maker tells it and as the exchange's own list of fills does, to the last digit.

The market quotes, and nearly nobody trades. Sellers come for the maker's re-entries, of which each takes a part or all,
now and then a buyer for what it offers; the worker is told to end, and the next one knows what was saved before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from random import Random
from typing import Any, NamedTuple

import aiohttp
from msgspec.structs import replace
from phoenix_coordination import order_id
from phoenix_simulator.exchange.accounts import Holding
from phoenix_simulator.exchange.events import Fill
from phoenix_simulator.exchange.orders import NewOrder, Order, OrderType, Side
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.faults import Fault
from phoenix_simulator.market.source import TakerUpdate
from soak_world import SLOW, World

_STUCK = Decimal("0.9")
_SYMBOL = "ETHUSDT"
_TAKER, _REENTRY = "g", "r"
_ONE_COMES_S, _WORKER_ENDS_S = 15.0, 1200.0
"""On average: somebody who trades, and the end of a worker."""
_BUYERS = 0.02
_MOST_BOUGHT_STEPS = 20
_BEGINS_S, _LOOKS_S, _RESTS_S = 60.0, 0.5, 30.0
_TRIES = 50
_EVERYTHING_STEPS = 10**9


class StuckMaker(World):
    """Of one maker."""

    symbols = (_SYMBOL,)
    market = replace(SLOW, orders_per_s=1e-6, moves_per_s=1e-6)
    traded_before = Decimal(1)  # or nobody could tell that it is flat
    forgets = False  # all fills are counted in the end
    probes = ("127.0.0.1", 9_100)

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._ratios: list[float] = []

    @classmethod
    def faults_of_exchange(cls) -> tuple[Fault, ...]:
        return ()

    @property
    def _account_id(self) -> str:
        credentials = self.server.keys.find(self._key.api_key)
        if credentials is None:
            raise LookupError("the exchange does not know the key that it has given")
        return credentials.account

    @property
    def _holding(self) -> Holding:
        return self.server.exchange.account(self._account_id).holding(BUILT_IN[_SYMBOL])

    def _ratio(self) -> float:
        return float(self._holding.position.steps * self._holding.spec.step_size / self._fleet[0].maker.spec.net_max)

    # -- what happens ------------------------------------------------------------------------------

    async def _happen(self, seed: int) -> None:
        random = Random(f"flat {seed}")  # noqa: S311 - a market, not a secret
        await self._get_stuck()
        ends_s = random.expovariate(1 / _WORKER_ENDS_S)
        while True:
            comes_s = random.expovariate(1 / _ONE_COMES_S)
            await self.clock.sleep(comes_s)
            self._ratios.append(self._ratio())
            ends_s -= comes_s
            if ends_s < 0:
                ends_s = random.expovariate(1 / _WORKER_ENDS_S)
                self._tell_to_end(_SYMBOL)
                self.done["workers told to end"] += 1
            elif random.random() < _BUYERS:
                self._take(random.randint(1, _MOST_BOUGHT_STEPS), is_buy=True)
            else:
                self._sell_to_reentry(random)

    async def _get_stuck(self) -> None:
        """By hand, while no worker is there. It is not the first: who knows of no leader before it grinds nothing for
        an hour.
        """
        await self.clock.sleep(_BEGINS_S)
        self._tell_to_end(_SYMBOL)
        while _SYMBOL in self._running:
            await self.clock.sleep(_LOOKS_S)
        held = _STUCK * self._fleet[0].maker.spec.net_max - self._holding.position.steps * self._holding.spec.step_size
        bought = NewOrder(symbol=_SYMBOL, side=Side.BUY, type=OrderType.MARKET, quantity=held)
        self.server.exchange.place(self._account_id, bought, self.server.clock.now_ms())

    def _sell_to_reentry(self, random: Random) -> None:
        """Somebody takes all that is better, and then a part of the re-entry or all of it."""
        reentry = next((order for order in self._holding.open.values() if _purpose(order) == _REENTRY), None)
        if reentry is None:
            return
        self._take(_EVERYTHING_STEPS, is_buy=False, limit_ticks=reentry.price_ticks + 1)
        before = reentry.executed_steps
        wanted = max(1, round(random.uniform(0.1, 1.5) * (reentry.orig_steps - before)))
        for _ in range(_TRIES):  # others may stand before it
            self._take(wanted, is_buy=False, limit_ticks=reentry.price_ticks)
            if reentry.executed_steps > before:
                break

    def _take(self, steps: int, *, is_buy: bool, limit_ticks: int | None = None) -> None:
        clock = self.server.clock
        taker = TakerUpdate(clock.now_ns(), is_buy, steps, limit_ticks)
        self.server.exchange.apply(_SYMBOL, taker, clock.now_ms())

    # -- what came of it ---------------------------------------------------------------------------

    def figures(self) -> list[str]:
        by_exchange = ground(self._holding)
        held = sorted(self._ratios)
        at = f"{_SYMBOL} at {held[0]:.3f} to {held[-1]:.3f} of its limit, {held[len(held) // 2]:.3f} in the median"
        saved = f"{Decimal(by_exchange.saved).scaleb(-8):f} USDT saved"
        what = f"{by_exchange.grinds} grinds, {saved}, {by_exchange.returned} fills of re-entries"
        return [f"{at}: {what}, {self.done['workers told to end']} workers told to end"]

    async def end(self) -> list[str]:
        self._chores[-1].cancel()
        await self.clock.sleep(_RESTS_S)
        found = list(differences(await self._metrics(), ground(self._holding)))
        return found + await super().end()

    async def _metrics(self) -> Mapping[str, float]:
        host, port = self.probes
        async with aiohttp.ClientSession() as http, http.get(f"http://{host}:{port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name.partition("{")[0]: float(value) for name, _, value in samples}


class Ground(NamedTuple):
    """`saved` in 1e-8 quote: what came back at a better price than the average at which the taker before it had traded,
    less the fees of both.
    """

    grinds: int
    saved: int
    returned: int
    """Fills of re-entries."""


def ground(holding: Holding) -> Ground:
    """By the exchange's own list of fills."""
    runs: dict[int, tuple[list[Fill], list[Fill]]] = {}
    fees = 0
    for fill in holding.fills:
        purpose = _purpose(holding.open.get(fill.order_id) or holding.closed[fill.order_id])
        if purpose == _TAKER:
            runs.setdefault(fill.order_id, ([], []))[0].append(fill)
        elif purpose == _REENTRY:
            runs[next(reversed(runs))][1].append(fill)
        else:
            continue
        fees += fill.commission_e8
    earned = sum(_earned(taken, returned) for taken, returned in runs.values())
    return Ground(len(runs), earned - fees, sum(len(returned) for _, returned in runs.values()))


def differences(told: Mapping[str, float], by_exchange: Ground) -> Iterator[str]:
    """A sentence for each figure of the worker's metrics that the exchange does not confirm, to the last digit."""
    for name, ours, theirs in (
        ("grinds", round(told["mm_grind_count_total"]), by_exchange.grinds),
        ("saved by grinding, in 1e-8 quote", round(told["mm_grind_cost_saved"] * 1e8), by_exchange.saved),
    ):
        if ours != theirs:
            yield f"{_SYMBOL} {name}: the worker says {ours}, the exchange {theirs}"
    if not by_exchange.returned:
        yield "no re-entry was filled: nothing is shown"


def _earned(taken: Sequence[Fill], returned: Sequence[Fill]) -> int:
    average = Fraction(sum(fill.quote_e8 for fill in taken), sum(fill.qty_steps for fill in taken))
    sign = 1 if taken[0].side is Side.SELL else -1
    return floor(sign * sum(average * fill.qty_steps - fill.quote_e8 for fill in returned))


def _purpose(order: Order) -> str:
    known = order_id.parse(order.client_order_id)
    return known.purpose if known is not None else ""

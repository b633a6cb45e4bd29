"""One visit, step by step: what changes under it, and what it leaves alone then."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from phoenix_coordination import order_id
from phoenix_coordination.redis.ledger import Holding
from phoenix_worker.core.actions import ApprovedOrder
from phoenix_worker.core.events import (
    Answer,
    EmergencyLevel,
    OpenOrder,
    OrderState,
    Outcome,
    Refusal,
    Request,
    Side,
    Truth,
)
from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.runtime.attendance import Attendance
from phoenix_worker.runtime.clearance import MOST_ORDERS
from phoenix_worker.venue.binance.account import AccountOrder, AccountUnreadableError, ConditionalOrders
from samples import ETHUSDC

NONE, HALT, FLATTEN = EmergencyLevel
OURS, TOKEN = "k3f9a0", 1_760_000_000_000
FAR_NS = 1 << 60


def an_order(client_id: str, venue_id: int) -> AccountOrder:
    return AccountOrder("ETHUSDC", client_id, venue_id, "BUY", "LIMIT", Decimal(2000), Decimal(1), Decimal(0), "NEW")


def a_stop(venue_id: int, *, reduce_only: bool) -> AccountOrder:
    return structs.replace(an_order("web_stop", venue_id), trigger=Decimal(1900), reduce_only=reduce_only)


GETS_OUT, OPENS = a_stop(21, reduce_only=True), a_stop(22, reduce_only=False)
MARKED, FOREIGN = an_order(order_id.format(OURS, 7, "q", 1), 11), an_order("web_person", 12)


@dataclass
class Symbol:
    """The symbol at the exchange, its lease, and what was done to it, in order."""

    orders: list[AccountOrder] = field(default_factory=list)
    position: int = 0
    level: EmergencyLevel = NONE
    conditional: list[AccountOrder] = field(default_factory=list)
    unread: str = ""
    """Why not all conditional orders can be read."""
    token: int = TOKEN
    deadline_ns: int = FAR_NS
    takes: bool = True
    quiescent: bool = True
    instrument: Instrument = ETHUSDC
    answers: list[Outcome] = field(default_factory=list)
    stubborn: bool = False
    """Cancels are taken, and nothing goes."""
    done: list[str] = field(default_factory=list)
    placed: list[ApprovedOrder] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    symbol: str = "ETHUSDC"
    on_read: Any = None

    # -- its lease

    async def take(self) -> bool:
        return self.takes

    async def settle(self, holdings: list[Holding]) -> bool:
        self.done.append("settle")
        return bool(self.token) or bool(holdings)

    async def end(self, *, quiescent: bool) -> None:
        self.done.append("give back" if quiescent else "let run out")

    # -- the account

    async def open_orders(self, _: str) -> list[AccountOrder]:
        if self.on_read is not None:
            self.on_read(self)
        return list(self.orders)

    async def conditional_orders(self, _: str) -> ConditionalOrders:
        if self.unread:
            self.done.append("in vain")
        return ConditionalOrders(list(self.conditional), self.unread)

    async def holdings(self, _: str) -> list[Holding]:
        return [Holding("ETHUSDC", float(self.position), 0.0, 0.0)]

    # -- hands

    async def prepare(self) -> Instrument:
        return self.instrument

    async def withdraw(self, orders: list[AccountOrder], _: int) -> None:
        self.done.append("withdraw")
        if not self.stubborn:
            self.orders = [order for order in self.orders if order not in orders]
            self.conditional = [order for order in self.conditional if order not in orders]

    async def clear(self, _: int) -> None:
        self.done.append("clear")
        if not self.stubborn:
            self.orders = []

    async def truth(self, in_flight: list[str]) -> Truth:
        self.done.append(f"truth of {len(in_flight)}")
        resting = [OpenOrder(i, 1, Side.SELL, 0, 1, 0, True, OrderState.NEW, 1) for i in in_flight if i in self.unknown]
        if in_flight:
            self.unknown = []
        return Truth(0, 0, position_steps=self.position, open_orders=resting)

    async def prices(self) -> tuple[tuple[int, int], float]:
        return (250_000, 250_001), 250_000.5

    async def place(self, approved: ApprovedOrder) -> Answer:
        self.placed.append(approved)
        self.done.append("place")
        outcome = self.answers.pop(0) if self.answers else Outcome.CONFIRMED
        order = approved.order
        if outcome is Outcome.CONFIRMED:
            self.position += order.side * order.qty_steps
        refusal = Refusal.FILTER if outcome is Outcome.REFUSED else None
        return Answer(1, Request.PLACE, order.client_id, outcome, 1, refusal, closed=outcome is Outcome.CONFIRMED)

    # -- a clock and a log

    def monotonic_ns(self) -> int:
        return 1

    async def sleep(self, _: float) -> None:
        pass

    def info(self, *_: object, **__: object) -> None: ...

    warning = error = info

    async def visited(self) -> bool:
        return await Attendance(self, self, self, OURS, lambda: self.level, self, self).run()


@pytest.mark.parametrize(
    ("symbol", "done"),
    [
        pytest.param(Symbol([FOREIGN]), ["settle", "give back"], id="nothing of ours rests"),
        pytest.param(Symbol([MARKED, FOREIGN]), ["withdraw", "settle", "give back"], id="ours rest"),
        pytest.param(Symbol([MARKED], level=HALT), ["clear", "settle", "give back"], id="halt"),
        pytest.param(Symbol([FOREIGN], level=HALT), ["clear", "settle", "give back"], id="halt, foreign orders"),
        pytest.param(
            Symbol([MARKED], 10, FLATTEN),
            ["clear", "truth of 0", "place", "truth of 0", "settle", "give back"],
            id="flatten",
        ),
    ],
)
async def test_a_visit_does_what_the_symbol_needs_and_gives_the_lease_back(symbol, done) -> None:
    before = list(symbol.orders)
    symbol = replace(symbol, done=[])
    assert await symbol.visited()
    assert symbol.done == done
    assert MARKED not in symbol.orders
    assert (FOREIGN in symbol.orders) == (FOREIGN in before and symbol.level is NONE)


@pytest.mark.parametrize(
    ("symbol", "stays", "done"),
    [
        pytest.param(Symbol([FOREIGN]), [GETS_OUT, OPENS], ["settle"], id="no emergency"),
        pytest.param(Symbol([MARKED]), [GETS_OUT, OPENS], ["withdraw", "settle"], id="no emergency, ours rest"),
        pytest.param(Symbol([FOREIGN], level=HALT), [GETS_OUT], ["clear", "withdraw", "settle"], id="halt"),
        pytest.param(Symbol(level=HALT), [GETS_OUT], ["withdraw", "settle"], id="halt, and nothing else rests"),
        pytest.param(Symbol(level=FLATTEN), [], ["withdraw", "settle"], id="flatten, and nothing is open"),
        pytest.param(
            Symbol([], 10, FLATTEN), [], ["withdraw", "truth of 0", "place", "truth of 0", "settle"], id="flatten"
        ),
    ],
)
async def test_of_a_persons_conditional_orders_those_go_that_could_open_something(symbol, stays, done) -> None:
    symbol = replace(symbol, done=[], conditional=[GETS_OUT, OPENS])
    assert await symbol.visited()
    assert symbol.conditional == stays
    assert symbol.done == [*done, "give back"]


@pytest.mark.parametrize("seen", [True, False], ids=["it was still seen waiting", "it was not seen waiting"])
async def test_a_stop_that_becomes_an_order_after_the_book_was_cleared_is_cleared_all_the_same(seen) -> None:
    symbol = Symbol([FOREIGN], level=HALT, conditional=[OPENS])

    async def tells_and_becomes_an_order(_: str) -> ConditionalOrders:
        told, symbol.conditional = symbol.conditional, []
        symbol.orders += [an_order("web_stop", 31) for _ in told]
        return ConditionalOrders(told if seen else [])

    symbol.conditional_orders = tells_and_becomes_an_order
    assert await symbol.visited()
    assert symbol.orders == []


@pytest.mark.parametrize(
    ("symbol", "done"),
    [
        pytest.param(Symbol([MARKED], level=HALT), ["clear", "in vain", "settle"], id="halt"),
        pytest.param(
            Symbol([MARKED, FOREIGN], 10, FLATTEN),
            ["clear", "in vain", "truth of 0", "place", "truth of 0", "settle"],
            id="flatten",
        ),
        pytest.param(
            Symbol([MARKED], 10, FLATTEN, [OPENS]),
            ["clear", "in vain", "withdraw", "in vain", "truth of 0", "place", "truth of 0", "settle"],
            id="flatten, and some can be read",
        ),
    ],
)
async def test_conditional_orders_that_cannot_be_read_hold_up_nothing_else_and_the_visit_is_not_over(
    symbol, done
) -> None:
    symbol = replace(symbol, done=[], unread="/fapi/v1/openAlgoOrders: away")
    assert not await symbol.visited()
    assert symbol.done == [*done, "give back"]
    assert (symbol.orders, symbol.conditional) == ([], [])
    assert symbol.level is HALT or symbol.position == 0


async def test_without_an_emergency_conditional_orders_need_not_be_to_be_read() -> None:
    assert await Symbol([MARKED], unread="away").visited()


async def test_a_resume_while_conditional_orders_are_withdrawn_spares_what_is_placed_after_it() -> None:
    symbol = Symbol(level=HALT, conditional=[OPENS])
    withdraw = symbol.withdraw

    async def withdraws_and_resumes(orders: list[AccountOrder], deadline_ns: int) -> None:
        await withdraw(orders, deadline_ns)
        symbol.level, symbol.orders = NONE, [FOREIGN]

    symbol.withdraw = withdraws_and_resumes
    assert await symbol.visited()
    assert symbol.orders == [FOREIGN]


async def test_a_conditional_order_that_stays_is_told_and_the_symbol_is_not_in_order() -> None:
    symbol = Symbol(level=HALT, conditional=[OPENS], stubborn=True)
    assert not await symbol.visited()


async def test_a_lease_that_is_not_to_be_had_leaves_everything_as_it_is() -> None:
    symbol = Symbol([MARKED], takes=False)
    assert not await symbol.visited()
    assert symbol.done == ["give back"]


@pytest.mark.parametrize("token", [0, TOKEN + 1], ids=["lost", "lost and taken again"])
@pytest.mark.parametrize("symbol", [Symbol([MARKED]), Symbol([MARKED], level=HALT)], ids=["withdraw", "clear"])
async def test_once_the_lease_was_lost_nothing_is_sent(symbol, token) -> None:
    def lose(symbol: Symbol) -> None:
        symbol.token = token

    symbol = replace(symbol, done=[], on_read=lose)
    assert not await symbol.visited()
    assert symbol.done == ["give back"]


async def test_a_lease_that_is_lost_while_closing_ends_it_before_the_next_order() -> None:
    symbol = Symbol([], 10, FLATTEN)

    async def prices() -> tuple[tuple[int, int], float]:
        symbol.token = 0
        return (250_000, 250_001), 250_000.5

    symbol.prices = prices
    assert not await symbol.visited()
    assert symbol.placed == []


async def test_a_resume_while_closing_leaves_the_rest_to_the_next_leader() -> None:
    symbol = Symbol([], 10, FLATTEN)

    async def prices() -> tuple[tuple[int, int], float]:
        symbol.level = NONE
        return (250_000, 250_001), 250_000.5

    symbol.prices = prices
    assert not await symbol.visited()
    assert symbol.placed == []
    assert symbol.done[-2:] == ["settle", "give back"], "the position still counts"


async def test_an_emergency_that_came_while_the_lease_was_watched_counts() -> None:
    symbol = Symbol([FOREIGN, MARKED], 10)

    async def take() -> bool:
        symbol.level = FLATTEN
        return True

    symbol.take = take
    assert await symbol.visited()
    assert symbol.orders == []
    assert symbol.position == 0


async def test_orders_that_stay_are_not_called_gone() -> None:
    symbol = Symbol([MARKED], stubborn=True)
    assert not await symbol.visited()
    assert symbol.done == ["withdraw"] * 3 + ["give back"]


async def test_an_order_of_which_nobody_knows_is_looked_up_before_the_next() -> None:
    symbol = Symbol([], 10, FLATTEN, answers=[Outcome.UNKNOWN])
    assert await symbol.visited()
    assert symbol.done == [
        *("truth of 0", "place", "truth of 1", "place"),
        *("truth of 0", "settle", "give back"),
    ]
    assert len({approved.order.client_id for approved in symbol.placed}) == 2


async def test_an_order_that_still_rests_is_withdrawn_before_the_next() -> None:
    symbol = Symbol([], 10, FLATTEN, answers=[Outcome.UNKNOWN])
    symbol.unknown = [order_id.format(OURS, TOKEN, "l", 1)]
    assert await symbol.visited()
    assert symbol.done[:5] == ["truth of 0", "place", "truth of 1", "clear", "truth of 1"]


async def test_after_a_refusal_it_goes_on_with_a_limit_order() -> None:
    symbol = Symbol([], 10, FLATTEN, answers=[Outcome.REFUSED])
    assert await symbol.visited()
    assert [approved.order.price_ticks == 0 for approved in symbol.placed] == [True, False]


async def test_a_symbol_that_never_takes_an_order_is_given_up_for_this_visit() -> None:
    symbol = Symbol([], 10, FLATTEN, answers=[Outcome.REFUSED] * (MOST_ORDERS + 5))
    assert not await symbol.visited()
    assert len(symbol.placed) == MOST_ORDERS
    assert symbol.done[-2:] == ["settle", "give back"]


async def test_where_the_gate_refuses_nothing_is_sent() -> None:
    symbol = Symbol([], 10, FLATTEN, instrument=structs.replace(ETHUSDC, status=SymbolStatus.NOT_TRADING))
    assert not await symbol.visited()
    assert symbol.placed == []


async def test_where_something_may_be_on_its_way_the_lease_runs_out() -> None:
    symbol = Symbol([MARKED], quiescent=False)
    await symbol.visited()
    assert symbol.done[-1] == "let run out"


async def test_what_cannot_be_read_ends_the_visit() -> None:
    symbol = Symbol([MARKED])

    async def fail(_: str) -> list[AccountOrder]:
        raise AccountUnreadableError("away")

    symbol.open_orders = fail
    assert not await symbol.visited()
    assert symbol.done == ["give back"]


async def test_a_position_that_cannot_be_read_is_not_called_closed() -> None:
    symbol = Symbol([], 10, FLATTEN)

    async def fail(_: list[str]) -> Truth:
        return Truth(0, 0, problem="position, trades and open orders did not agree")

    symbol.truth = fail
    assert not await symbol.visited()
    assert symbol.done == ["give back"]

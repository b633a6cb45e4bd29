"""A maker leaves the exchange for good: a simulated exchange, a real Redis, leaders that live and that have died."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from account_world import ACCOUNT_UID, OURS, PATIENT_S, World, dead_maker, open_world, ours
from msgspec import structs
from phoenix_coordination import order_id
from phoenix_coordination.port import LeaseGranted, LeaseTimes
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.steward import BORROWER
from phoenix_coordination.state import Mode
from phoenix_worker.core import liquidation
from phoenix_worker.runtime import clearance
from phoenix_worker.runtime import withdrawal as module
from phoenix_worker.runtime.entrance import RefusedError
from phoenix_worker.runtime.redaction import Redactor
from phoenix_worker.runtime.withdrawal import Left, Terms, Withdrawal
from phoenix_worker.runtime.worker import Options
from phoenix_worker.venue.binance import rest as rest_module

pytestmark = pytest.mark.scenario

SYMBOL = "ETHUSDT"
TIMES = LeaseTimes(ttl_s=16.0, renew_s=1.0, margin_s=2.0)
"""Two of life's seconds: a busy machine loses none between two steps."""
PATIENT = 60.0
"""Life's seconds for what succeeds; what fails is given as little as it needs."""


@dataclass
class Maker:
    """A maker of the account, and what it takes to withdraw it."""

    world: World
    files: Any
    directory: Path

    def __post_init__(self) -> None:
        self.credentials = self.directory / "credentials"
        self.credentials.mkdir()
        (self.credentials / "apiKey").write_text(self.world.api_key)
        (self.credentials / "apiSecret").write_text(self.world.api_secret)
        self.resolved = structs.replace(
            self.files.resolve(), symbol=SYMBOL, base_url=self.world.url, account_uid=ACCOUNT_UID
        )

    def withdrawal(self, *, flatten: bool = False, within_s: float = PATIENT, **changes: Any) -> Withdrawal:
        """`changes`: what is resolved otherwise."""
        redis = self.world.redis.url
        state = self.directory / "state"
        return Withdrawal(
            Options(self.files.maker, self.files.account, self.credentials, redis, state, ("127.0.0.1", 0)),
            Terms(flatten, within_s),
            structs.replace(self.resolved, **changes),
            redis,
            self.world.clock,
            self.world.log,
            Redactor(),
            times=TIMES,
        )

    async def withdraw(self, **how: Any) -> tuple[int, str]:
        withdrawal = self.withdrawal(**how)
        return await withdrawal.run(), withdrawal.ending

    async def told(self, text: str) -> None:
        """Until a withdrawal has said that it is not done yet, and why."""
        await self.world.until(
            lambda: any(event == "not withdrawn yet" and text in more["text"] for event, more in self.world.log.said)
        )

    async def ended_once_told(self, text: str, **how: Any) -> tuple[int, str]:
        """As `withdraw`, ended by a signal as soon as it has said that."""
        running = asyncio.create_task(self.withdraw(**how))
        await self.told(text)
        os.kill(os.getpid(), module.signal.SIGTERM)
        return await running


@pytest.fixture
async def world(monkeypatch) -> AsyncIterator[World]:
    monkeypatch.setattr(rest_module, "CONNECT_TIMEOUT_S", PATIENT_S)
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    async with open_world() as world:
        yield world


@pytest.fixture
def maker(world, files, tmp_path) -> Maker:
    return Maker(world, files, tmp_path)


def closing_orders(world: World) -> list[order_id.OrderId]:
    return [it for name in world.orders(SYMBOL) if (it := order_id.parse(name)) is not None and it.purpose == "l"]


# -- what succeeds -----------------------------------------------------------------------------------


async def test_what_a_dead_maker_left_goes_and_its_position_and_a_persons_order_stay_and_are_named(world, maker):
    token = await dead_maker(world)
    await world.buy(SYMBOL, "1.5")
    status, said = await maker.withdraw()
    assert (status, said) == (
        0,
        "ETHUSDT is withdrawn: no order of ours and 1 of others (web_person), a position of 1.5",
    )
    assert world.ids(SYMBOL) == ["web_person"]
    lease = await world.lease(SYMBOL)
    assert int(lease["token"]) > token
    assert lease["released"]
    assert lease["holder"].endswith(BORROWER)
    (entry,) = (await world.ledger()).entries
    mark = world.server.exchange.listing(SYMBOL).mark_e8 / 1e8
    assert entry.gross_micro / 1e6 == pytest.approx((1.5 + 0.5) * mark * 1.01, rel=0.02), "what is left counts"


async def test_with_flatten_the_position_is_closed_whatever_the_emergency_switch_says(world, maker):
    """Here nobody has even seeded it: to workers that is a halt."""
    await dead_maker(world)
    await world.buy(SYMBOL, "1.5")
    status, said = await maker.withdraw(flatten=True)
    assert (status, said) == (0, "ETHUSDT is withdrawn: no order of ours and 1 of others (web_person), no position")
    assert world.ids(SYMBOL) == ["web_person"]
    assert world.position(SYMBOL) == 0
    assert {it.token for it in closing_orders(world)} == {int((await world.lease(SYMBOL))["token"])}


async def test_a_flatten_that_fills_in_part_goes_on_until_nothing_is_left(world, maker, monkeypatch):
    """The market order is refused, and the limit orders in its place take no more than what is best."""
    monkeypatch.setattr(liquidation, "LIMIT_REACH", 1e-7)
    listing = world.server.exchange.listing(SYMBOL)
    _, best = listing.depth(1).bids[0]
    await world.buy(SYMBOL, listing.spec.format_quantity(3 * best))
    await world.fault({"kind": "reject", "count": 1, "code": -4131, "message": "thin", "endpoint": "order.place"})
    status, said = await maker.withdraw(flatten=True)
    assert (status, said) == (0, "ETHUSDT is withdrawn: no order of ours, no position")
    assert world.position(SYMBOL) == 0
    assert len(closing_orders(world)) > 1
    assert (await world.ledger()).entries == ()


async def test_a_leader_that_is_leaving_is_waited_for(world, maker):
    leader = await world.leader(SYMBOL)
    token = (await leader.hears(LeaseGranted)).token
    await world.order(SYMBOL, ours(token, 1), "0.5")
    running = asyncio.create_task(maker.withdraw())
    await maker.told("holds its lease, and lives")
    assert world.ids(SYMBOL) == [ours(token, 1)], "whose leader lives is not touched"
    leader.coordinator.release()
    assert (await running)[0] == 0
    assert world.ids(SYMBOL) == []
    assert int((await world.lease(SYMBOL))["token"]) > token


async def test_done_twice_it_succeeds_twice(world, maker):
    await dead_maker(world)
    assert (await maker.withdraw())[0] == 0
    assert (await maker.withdraw())[0] == 0


async def test_a_rehearsal_gives_up_its_own_keys_and_touches_nothing_at_the_exchange(world, maker):
    await dead_maker(world)
    await world.buy(SYMBOL, "1.5")
    left = world.ids(SYMBOL)
    status, said = await maker.withdraw(flatten=True, mode=Mode.DRY_RUN)
    assert (status, said) == (0, "ETHUSDT is withdrawn: it was a rehearsal, of which nothing rests")
    assert world.ids(SYMBOL) == left
    assert world.position(SYMBOL) > 0
    keys = AccountKeys(world.identity, dry_run=True)
    assert await world.redis.command("HGET", keys.lease(SYMBOL), "released")
    assert not (await world.lease(SYMBOL))["released"], "the live maker's is its own"


async def test_of_a_symbol_that_the_exchange_does_not_list_nothing_can_be_left(maker):
    assert await maker.withdraw(symbol="NOSUCHUSDT") == (
        0,
        "NOSUCHUSDT is withdrawn: no order of ours, no position",
    )


# -- what fails --------------------------------------------------------------------------------------


async def test_a_symbol_is_never_taken_from_a_leader_that_lives(world, maker):
    leader = await world.leader(SYMBOL)
    token = (await leader.hears(LeaseGranted)).token
    await world.order(SYMBOL, ours(token, 1), "0.5")
    await world.buy(SYMBOL, "1.5")
    status, said = await maker.ended_once_told("holds its lease, and lives", flatten=True)
    assert status == 1
    assert said == (
        f"ETHUSDT is not withdrawn: SIGTERM: maker-{SYMBOL} holds its lease, and lives: stop that worker first; "
        "left: 1 order of ours, a position of 1.5"
    )
    assert world.ids(SYMBOL) == [ours(token, 1)]
    assert world.position(SYMBOL) > 0
    assert int((await world.lease(SYMBOL))["token"]) in leader.tokens


async def test_an_exchange_that_cannot_be_reached_is_a_failure_that_says_what_may_be_left(maker):
    status, said = await maker.withdraw(within_s=3, base_url="http://127.0.0.1:9")
    assert status == 1
    assert said.startswith("ETHUSDT is not withdrawn: not done within 3 s: the account: cannot connect")
    assert said.endswith(module.UNKNOWN)
    assert said.count("\n") == 0


async def test_orders_that_cannot_be_cancelled_are_a_failure_with_their_number(world, maker):
    await dead_maker(world)
    await world.fault({"kind": "reject", "code": -1000, "message": "no", "endpoint": "order.cancel"})
    status, said = await maker.ended_once_told("orders of ours were cancelled, and stay")
    assert status == 1
    assert "orders of ours were cancelled, and stay" in said
    assert said.endswith("left: 2 orders of ours and 1 of others (web_person), no position")


async def test_a_position_that_the_exchange_does_not_let_go_is_a_failure_with_its_words(world, maker, monkeypatch):
    monkeypatch.setattr(clearance, "MOST_ORDERS", 1)
    await world.buy(SYMBOL, "1.5")
    await world.fault(
        {"kind": "reject", "code": -2022, "message": "ReduceOnly Order is rejected.", "endpoint": "order.place"}
    )
    status, said = await maker.ended_once_told("the position is not closed yet", flatten=True)
    assert status == 1
    assert "the exchange refused its closing order: ReduceOnly Order is rejected. (-2022)" in said
    assert said.endswith("left: no order of ours, a position of 1.5")


async def test_without_redis_nothing_is_touched_and_what_rests_is_told(world, maker):
    await dead_maker(world)
    left = world.ids(SYMBOL)
    await world.redis.kill()
    status, said = await maker.ended_once_told("Redis cannot be reached")
    assert status == 1
    assert "Redis cannot be reached" in said
    assert said.endswith("left: 2 orders of ours and 1 of others (web_person), no position")
    assert world.ids(SYMBOL) == left


async def test_a_key_that_is_missing_is_named_and_nobody_knows_what_is_left(maker, monkeypatch):
    monkeypatch.setattr(module, "KEY_S", 0.2)
    (maker.credentials / "apiSecret").unlink()
    status, said = await maker.withdraw()
    assert status == 1
    assert "apiSecret (or privateKey) missing" in said
    assert said.endswith(module.UNKNOWN)


async def test_a_key_that_the_exchange_refuses_is_no_reason_to_go_on_asking(world, maker):
    (maker.credentials / "apiSecret").write_text("another-secret")
    status, said = await maker.withdraw()
    assert status == 1
    assert "-1022" in said
    assert world.api_key not in said
    assert "another-secret" not in said


async def test_a_cancellation_that_a_client_swallows_does_not_outlive_the_deadline(maker, monkeypatch):
    monkeypatch.setattr(module, "GIVE_BACK_S", 0.05)
    withdrawal = maker.withdrawal(within_s=0.1)
    swallowed = 0

    async def stubborn() -> Left:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(PATIENT)
            except asyncio.CancelledError:
                swallowed += 1
        return await asyncio.sleep(PATIENT, Left(0, [], "0"))

    monkeypatch.setattr(withdrawal, "_withdraw", stubborn)
    assert await withdrawal.run() == 1
    assert swallowed == 2
    assert withdrawal.ending.endswith(module.UNKNOWN)


async def test_where_nobody_could_tell_our_orders_from_others_nothing_is_done(world, maker):
    await dead_maker(world)
    with pytest.raises(RefusedError, match=r"holds no installation, and the account has no metadata\.uid"):
        await maker.withdrawal(account_uid="").run()
    assert len(world.ids(SYMBOL)) == 3


@pytest.mark.parametrize(
    ("left", "text"),
    [
        pytest.param(Left(0, [], "0"), "no order of ours, no position", id="nothing"),
        pytest.param(Left(1, [], "-0.5"), "1 order of ours, a position of -0.5", id="an order, and short"),
        pytest.param(
            Left(2, [f"web_{n}" for n in range(7)], "0"),
            "2 orders of ours and 7 of others (web_0, web_1, web_2, web_3, web_4, …), no position",
            id="many",
        ),
    ],
)
def test_what_is_left_reads_as_a_sentence(left, text):
    assert str(left) == text


def test_the_worlds_orders_are_ours() -> None:
    assert order_id.installation_of(ACCOUNT_UID) == OURS

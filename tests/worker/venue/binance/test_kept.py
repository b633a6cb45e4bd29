"""Back-off and succession by a clock that the test moves; sockets are real."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.venue.binance import kept
from phoenix_worker.venue.binance.kept import KeptConnection, backoff_s
from phoenix_worker.venue.binance.transport import ConnectError

PATH = "/public/stream"


class Ear:
    def __init__(self, url: str) -> None:
        self.address = url
        self.heard: list[str] = []
        self.frames: list[bytes] = []
        self.refusals = 0
        self.caught_up = True
        self.knows_address = True

    async def url(self) -> str:
        if not self.knows_address:
            raise ConnectError("nobody knows where")
        return self.address

    def on_open(self) -> None:
        self.heard.append("open")

    def on_batch(self, frames: list[bytearray]) -> None:
        self.frames += [bytes(f) for f in frames]

    def on_closed(self, reason: str) -> None:
        self.heard.append(f"closed: {reason}")

    def on_refused(self) -> None:
        self.refusals += 1

    def on_successor(self) -> None:
        self.heard.append("successor")

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:
        return held if self.caught_up and waited_s >= 0 else None


@pytest.fixture
async def ear(exchange, hand_clock, dice):
    listening = Ear(exchange.url.replace("http", "ws") + PATH)
    listening.kept = KeptConnection(listening, "phoenix/test", hand_clock, dice)
    yield listening
    closing = asyncio.ensure_future(listening.kept.close())
    while not closing.done():
        await asyncio.sleep(0.002)
        hand_clock.advance(1)
    await closing


async def settle(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0.005)


@given(st.integers(1, 1000), st.integers())
def test_the_back_off_stays_within_its_bounds_and_grows_to_the_last(failures, seed):
    delay = backoff_s(failures, Random(seed))  # noqa: S311 - jitter, not a secret
    assert 0.5 <= delay <= min(48.0, 0.5 * 2 ** min(failures, 16))


async def test_failures_in_a_row_wait_longer_each_time_and_end_when_the_exchange_is_back(exchange, ear, hand_clock):
    exchange.refuse_sockets = True
    ear.kept.start()
    for failure in range(1, 13):
        await exchange.until(lambda failure=failure: len(hand_clock.sleeps) == failure)
        assert 0.5 <= hand_clock.sleeps[-1] <= min(48.0, 0.5 * 2**failure)
        if failure == 12:
            exchange.refuse_sockets = False
        hand_clock.advance(hand_clock.sleeps[-1])
    assert max(hand_clock.sleeps) > 5
    assert ear.refusals == 12
    assert ear.kept.attempts_failed == 12, "told by a metric: a stream that never opens must be seen"
    await exchange.socket(PATH)
    await exchange.until(lambda: ear.heard == ["open"])


async def test_an_address_that_cannot_be_known_now_is_asked_for_again(exchange, ear, hand_clock):
    ear.knows_address = False
    ear.kept.start()
    await exchange.until(lambda: hand_clock.sleeps)
    ear.knows_address = True
    hand_clock.advance(1)
    await exchange.until(lambda: ear.heard == ["open"])


async def test_a_loss_is_told_once_and_repaired(exchange, ear, hand_clock):
    ear.kept.start()
    (await exchange.socket(PATH)).drop()
    await exchange.until(lambda: hand_clock.sleeps)
    assert len(ear.heard) == 2
    assert ear.heard[1].startswith("closed: connection lost")
    hand_clock.advance(hand_clock.sleeps[-1])
    await exchange.socket(PATH, count=2)
    await exchange.until(lambda: ear.heard[2:] == ["open"])
    assert ear.kept.reconnects == 1


async def test_losses_of_young_connections_back_off_and_a_settled_one_starts_over(exchange, ear, hand_clock):
    ear.kept.start()
    for loss in range(1, 8):
        socket = await exchange.socket(PATH, count=loss)
        await exchange.until(lambda: ear.kept.is_open)
        if loss == 7:
            for sign in range(4):
                await socket.send("alive")
                await exchange.until(lambda sign=sign: len(ear.frames) > sign)
                hand_clock.advance(kept.SETTLED_AFTER_S / 4 + 0.1)
        socket.drop()
        await exchange.until(lambda loss=loss: len(hand_clock.sleeps) == loss)
        hand_clock.advance(48)
    assert max(hand_clock.sleeps) > 2
    assert hand_clock.sleeps[-1] <= 1.0


async def test_reopening_as_asked_waits_as_asked(exchange, ear, hand_clock):
    ear.kept.start()
    await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    ear.kept.reopen("stale", 7.5)
    assert ear.heard == ["open", "closed: stale"]
    ear.kept.reopen("again", 1.0)
    await exchange.until(lambda: hand_clock.sleeps == [7.5])
    assert ear.heard == ["open", "closed: stale"]
    hand_clock.advance(7.5)
    await exchange.socket(PATH, count=2)
    await exchange.until(lambda: ear.heard[2:] == ["open"])


async def test_the_successor_takes_over_before_24_hours_and_nobody_hears_a_closing(exchange, ear, hand_clock):
    ear.kept.start()
    first = await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    ear.kept.succeed()
    second = await exchange.socket(PATH, count=2)
    await exchange.until(lambda: ear.kept.successions == 1)
    hand_clock.advance(0)
    await second.send("new")
    await exchange.until(lambda: b"new" in ear.frames)
    await exchange.until(lambda: first.ws.closed)
    assert ear.heard == ["open", "successor"]


async def test_it_is_planned_for_23_hours_give_or_take(hand_clock, exchange, ear):
    ear.kept.start()
    await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    longest = max(due.at_ns for due in hand_clock._due) - hand_clock.now_ns
    assert 22.5 * 3600e9 < longest < 23.5 * 3600e9


async def test_until_the_successor_has_caught_up_the_old_connection_delivers(exchange, ear, hand_clock):
    ear.caught_up = False
    ear.kept.start()
    first = await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    ear.kept.succeed()
    second = await exchange.socket(PATH, count=2)
    await exchange.until(lambda: "successor" in ear.heard)
    await second.send("held")
    await first.send("delivered")
    await exchange.until(lambda: ear.frames == [b"delivered"])
    ear.caught_up = True
    while not ear.kept.successions:
        hand_clock.advance(kept.MERGE_POLL_S)
        await settle(1)
    assert ear.frames == [b"delivered", b"held"]


async def test_a_successor_that_never_catches_up_takes_over_all_the_same(exchange, ear, hand_clock):
    ear.caught_up = False
    ear.kept.start()
    await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    ear.kept.succeed()
    await exchange.socket(PATH, count=2)
    await exchange.until(lambda: "successor" in ear.heard)
    for _ in range(400):
        hand_clock.advance(kept.MERGE_POLL_S)
        await asyncio.sleep(0)
        if ear.kept.successions:
            break
    assert ear.kept.successions == 1


async def test_a_successor_that_cannot_be_opened_changes_nothing(exchange, ear, hand_clock):
    ear.kept.start()
    first = await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    exchange.refuse_sockets = True
    ear.kept.succeed()
    await exchange.until(lambda: ear.kept._succession is None)
    await first.send("still here")
    await exchange.until(lambda: ear.frames == [b"still here"])
    assert ear.heard == ["open"]
    exchange.refuse_sockets = False
    for _ in range(5):  # a sign of life between two pings, until the retry is due
        hand_clock.advance(15)
        await settle(2)
        hand_clock.advance(15)
        await settle(2)
    await exchange.socket(PATH, count=2)
    await exchange.until(lambda: ear.kept.successions == 1)


async def test_the_old_connection_lost_in_the_middle_is_an_ordinary_loss(exchange, ear, hand_clock):
    ear.caught_up = False
    ear.kept.start()
    first = await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    ear.kept.succeed()
    await exchange.socket(PATH, count=2)
    await exchange.until(lambda: "successor" in ear.heard)
    first.drop()
    await exchange.until(lambda: len(ear.heard) == 3)
    assert ear.heard[2].startswith("closed")
    await exchange.until(lambda: hand_clock.sleeps[-1] >= kept.BACKOFF_FIRST_S)
    hand_clock.advance(48)
    await exchange.until(lambda: ear.heard[3:] == ["open"])


async def test_after_closing_nothing_is_told(exchange, ear):
    ear.kept.start()
    socket = await exchange.socket(PATH)
    await exchange.until(lambda: ear.kept.is_open)
    await ear.kept.close()
    assert socket.ws.closed or socket.ws.close_code is not None
    assert ear.heard == ["open"]

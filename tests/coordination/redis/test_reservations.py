"""The ledger's client of one worker: what is told at once, before any answer, and when the ledger is rebuilt."""

import asyncio

import pytest
from phoenix_coordination.exposure import step_micro
from phoenix_coordination.port import AccountTerms, EmergencyLevel, LeaseTimes, Reservation, Reserved
from phoenix_coordination.redis.reservations import REBUILD_PAUSE_TTLS, Reservations
from phoenix_coordination.redis.scripts import call

TIMES = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)
TERMS = AccountTerms(net_micro=10_000 * 10**6, gross_micro=20_000 * 10**6, emergency=EmergencyLevel.NONE)
TOKEN = 7
SECOND_NS = 1_000_000_000
REBUILDING = "rebuilding the ledger"


@pytest.fixture
def outranked():
    """The tokens under which another has asked."""
    return []


@pytest.fixture
async def granted(redis_world, outranked):
    """A leader that was granted 5 and 4 steps under generation `<run>:first`, and what it was told."""
    client, keys = redis_world.client, redis_world.keys
    run = (await client.execute_command("INFO", "server"))["run_id"]
    await client.execute_command(
        "HSET", keys.lease("BTCUSDT"), "holder", "pod/1", "token", TOKEN, "released", "", "run", run, "beat", 0
    )
    await client.execute_command("HSET", keys.ledger, "rebuilt", f"{run}:first")
    told = []
    heard = asyncio.Event()

    def tell(message):
        told.append(message)
        heard.set()

    reservations = Reservations(
        client,
        keys,
        "BTCUSDT",
        "pod/1",
        redis_world.clock,
        TIMES,
        redis_world.read_holdings,
        tell,
        lambda: TERMS,
        lambda _: None,
        outranked.append,
        lambda: None,
    )
    reservations.start()
    reservations.saw(f"{run}:first", rebuilt=True, epoch=0)
    reservations.leads(TOKEN)
    reservations.ask(Reservation(1, 0, 5, 4, 1.0, 0, 0))
    async with asyncio.timeout(20):
        await heard.wait()
    yield reservations, told, run, heard
    await reservations.stop()


@pytest.mark.parametrize(
    ("generation", "rebuilt"),
    [("vacant:n", False), ("second", True)],
    ids=["the ledger is lost", "lost, and rebuilt by another meanwhile"],
)
async def test_with_the_trust_in_the_ledger_a_grant_is_void_before_anything_is_asked(granted, generation, rebuilt):
    """Whoever rebuilds the ledger counts on that nobody's renewed lease comes with a grant from before."""
    reservations, told, run, _ = granted
    assert told == [Reserved(1, 5, 4)]
    reservations.saw(f"{run}:{generation}" if rebuilt else generation, rebuilt=rebuilt, epoch=0)
    assert told[1:] == [Reserved(1, 0, 0)]


async def test_the_same_generation_voids_nothing(granted):
    reservations, told, run, _ = granted
    reservations.saw(f"{run}:first", rebuilt=True, epoch=0)
    assert told == [Reserved(1, 5, 4)]


async def test_an_answer_from_before_the_loss_is_no_grant(granted, redis_world, monkeypatch):
    reservations, told, run, heard = granted
    answered, go_on = asyncio.Event(), asyncio.Event()

    async def call_and_wait(*arguments):
        answer = await call(*arguments)
        answered.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr("phoenix_coordination.redis.reservations.call", call_and_wait)
    reservations.ask(Reservation(2, 0, 6, 6, 1.0, 0, 0))
    async with asyncio.timeout(20):
        await answered.wait()
        await redis_world.client.execute_command("HDEL", redis_world.keys.ledger, "rebuilt")
        reservations.saw(f"vacant:{run}:n", rebuilt=False, epoch=0)
        go_on.set()
        while len(told) < 3:  # it asks again
            heard.clear()
            await heard.wait()
    assert [(message.buy_steps, message.sell_steps) for message in told] == [(5, 4), (0, 0), (0, 0)]


# -- an entry is lowered only by what the exchange has confirmed ---------------------------------------


@pytest.fixture
def booked(granted, redis_world):
    """Asks, waits for the answer, and gives the steps (buys, sells) that the ledger's entry counts."""
    reservations, told, _, heard = granted

    async def ask(sequence, buys, sells, *live):
        reservations.ask(Reservation(sequence, 0, buys, sells, 1.0, *live))
        async with asyncio.timeout(20):
            while told[-1].sequence != sequence:
                heard.clear()
                await heard.wait()
        entry = (await redis_world.client.execute_command("HGET", redis_world.keys.ledger, "e:BTCUSDT")).split()
        return tuple(int(amount) // step_micro(1.0) for amount in entry[6:])

    return ask


async def test_what_was_granted_counts_until_the_answer_that_takes_it_back_was_heard(booked):
    assert await booked(2, 1, 1, 0, 0) == (5, 4), "until then orders under the old grant may be sent"
    assert await booked(3, 1, 1, 0, 0) == (1, 1)


async def test_what_may_rest_counts_though_less_is_asked(booked):
    await booked(2, 1, 1, 3, 2)
    assert await booked(3, 1, 1, 3, 2) == (3, 2)
    assert await booked(4, 1, 1, 0, 0) == (1, 1), "the exchange has confirmed that nothing of it is left"


async def test_while_it_is_not_known_what_rests_the_entry_stays_though_nothing_is_granted_any_more(
    booked, granted, redis_world
):
    _, _, run, _ = granted
    whole = TERMS.gross_micro
    others = f"{run} 1 1 {whole} {whole} {whole} {whole} {whole}"
    await redis_world.client.execute_command("HSET", redis_world.keys.ledger, "e:ETHUSDT", others)
    assert await booked(2, 5, 4) == (5, 4)
    assert await booked(3, 5, 4) == (5, 4), "of what may rest nobody has heard; the grant itself is long taken back"
    assert await booked(4, 5, 4, 0, 0) == (0, 0)


# -- an entry of somebody else -------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [0, 5], ids=["under this token", "under a newer one"])
async def test_who_finds_that_another_has_asked_has_no_grant_and_says_so(
    granted, redis_world, outranked, caplog, ahead
):
    reservations, told, run, heard = granted
    entry = f"{run} {TOKEN + ahead} 99 1 1 1 1 1"
    await redis_world.client.execute_command("HSET", redis_world.keys.ledger, "e:BTCUSDT", entry)
    reservations.ask(Reservation(2, 0, 6, 6, 1.0, 0, 0))
    async with asyncio.timeout(20):
        while told[-1].sequence != 2:
            heard.clear()
            await heard.wait()
    assert told[-1] == Reserved(2, 0, 0)
    assert outranked == [TOKEN + ahead]
    assert f"token {TOKEN + ahead}, this lease has {TOKEN}" in caplog.text


# -- a ledger that was lost ----------------------------------------------------------------------------


class HandClock:
    """Time that moves when the test says so; at the server it is life's."""

    rate = 1.0

    def __init__(self):
        self.now_ns = 1_000 * SECOND_NS

    def monotonic_ns(self):
        return self.now_ns


class Vacant:
    """A leader of an account whose ledger was lost; it asks for nothing."""

    def __init__(self, world):
        self.world, self.clock, self.readings = world, HandClock(), 0
        self.reservations = Reservations(
            world.client,
            world.keys,
            "BTCUSDT",
            "pod/1",
            self.clock,
            TIMES,
            self.read_holdings,
            lambda _: None,
            lambda: TERMS,
            lambda _: None,
            lambda _: None,
            lambda: None,
        )

    async def read_holdings(self):
        self.readings += 1
        raise OSError("positions and orders did not agree")

    def beats(self, after_s):
        """One more heartbeat sees that the ledger is vacant. Whether it begins to rebuild it."""
        self.clock.now_ns += int(after_s * SECOND_NS)
        self.reservations.saw("vacant:run:nonce", rebuilt=False, epoch=0)
        self.reservations.leads(TOKEN)
        return bool(self.rebuilding())

    def rebuilding(self):
        return [task for task in asyncio.all_tasks() if task.get_name() == REBUILDING]


@pytest.fixture
async def vacant(redis_world):
    vacant = Vacant(redis_world)
    yield vacant
    await vacant.reservations.stop()


async def test_a_vacancy_is_watched_for_a_whole_ttl_without_a_gap_before_the_ledger_is_rebuilt(vacant):
    """Until then somebody may trade on a grant that the ledger has forgotten."""
    assert not vacant.beats(after_s=0)
    assert not vacant.beats(after_s=TIMES.ttl_s - 0.5)
    vacant.reservations.unseen()
    assert not vacant.beats(after_s=0.5), "a heartbeat failed: it may have been another vacancy meanwhile"
    assert not vacant.beats(after_s=TIMES.ttl_s - 0.1)
    assert vacant.beats(after_s=0.1)


async def test_an_account_that_could_not_be_read_is_read_again_after_the_pause_and_no_later(vacant, redis_world):
    """The lock for a reading lives longer than the pause after one that failed."""
    vacant.beats(after_s=0)
    vacant.beats(after_s=TIMES.ttl_s)
    await asyncio.wait(vacant.rebuilding(), timeout=20)
    assert vacant.readings == 1
    left_ms = await redis_world.client.execute_command("PTTL", redis_world.keys.rebuilding)
    assert 0 < left_ms <= REBUILD_PAUSE_TTLS * TIMES.ttl_s * 1_000

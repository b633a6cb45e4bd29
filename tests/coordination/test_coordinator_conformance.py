"""What a coordinator promises, whatever is behind it."""

import pytest
from phoenix_coordination.port import (
    AccountTerms,
    EmergencyChanged,
    EmergencyLevel,
    HaltChanged,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    Reachable,
    Reservation,
    Reserved,
    Unreachable,
)
from phoenix_coordination.redis.account import account_tools

ACCOUNT = "binance-usdm:simulator:abc"


async def leading(world, symbol="BTCUSDT", **kwargs):
    member = world.member(symbol, **kwargs)
    await member.coordinator.join(ACCOUNT)
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    return member


async def test_a_lone_worker_is_granted_the_lease_after_hearing_of_the_switch(redis_world):
    member = await leading(redis_world)
    kinds = [type(message) for message in member.told]
    assert kinds.index(Reachable) < kinds.index(EmergencyChanged) < kinds.index(LeaseGranted)
    assert member.told[kinds.index(EmergencyChanged)].level is EmergencyLevel.NONE


async def test_a_renewal_keeps_the_token_and_moves_the_deadline(redis_world):
    member = await leading(redis_world)
    granted = await member.hears(LeaseGranted)
    renewed = await member.hears(LeaseRenewed)
    assert renewed.token == granted.token
    assert renewed.deadline_ns > granted.deadline_ns
    assert granted.token >= 1_000_000_000_000, "a token is at least the wall clock in ms"


async def test_two_workers_of_one_symbol_never_hold_the_lease_together(redis_world):
    first = await leading(redis_world)
    second = redis_world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    await second.hears(EmergencyChanged)
    await first.hears(LeaseRenewed, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    assert not any(isinstance(message, LeaseGranted) for message in second.told)


async def test_a_released_lease_goes_to_the_standby_under_a_higher_token(redis_world):
    first = await leading(redis_world)
    second = redis_world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    await second.hears(EmergencyChanged)
    first.coordinator.release()
    lost = await first.hears(LeaseLost)
    granted = await second.hears(LeaseGranted)
    assert granted.token > lost.token
    assert lost.reason == "released"


@pytest.mark.parametrize("way", ["release", "hand_over"])
async def test_a_tenure_ends_here_before_anybody_else_can_hear_of_it(redis_world, way):
    """Once the server knows it another may hold the lease, long before its answer is here."""
    first = await leading(redis_world)
    second = redis_world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    second.coordinator.warm(warm=True)
    await second.hears(EmergencyChanged)
    await first.hears(LeaseRenewed, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    getattr(first.coordinator, way)()
    assert isinstance(first.told[-1], LeaseLost)
    assert not any(isinstance(message, LeaseGranted) for message in second.told)
    await second.hears(LeaseGranted)


async def test_who_releases_before_it_leads_is_never_granted_the_lease(redis_world):
    first = redis_world.member()
    await first.coordinator.join(ACCOUNT)
    await first.coordinator.start(first.sink)
    await first.hears(EmergencyChanged)
    first.coordinator.release()
    await first.coordinator.stop()
    assert not any(isinstance(message, LeaseGranted) for message in first.told)


async def test_who_released_campaigns_no_more(redis_world):
    first = await leading(redis_world)
    first.coordinator.release()
    await first.hears(LeaseLost)
    heard = first.count
    second = await leading(redis_world)
    await second.hears(LeaseRenewed)
    assert first.count == heard


async def test_workers_of_two_symbols_lead_side_by_side(redis_world):
    await leading(redis_world, "BTCUSDT")
    await leading(redis_world, "ETHUSDT")


async def test_a_rehearsal_does_not_hold_what_a_live_maker_needs(redis_world):
    await leading(redis_world, dry_run=True)
    await leading(redis_world, dry_run=False)


async def test_what_cannot_be_reached_is_said_and_the_lease_is_lost_by_its_deadline(redis_world):
    member = await leading(redis_world)
    granted = await member.hears(LeaseGranted)
    redis_world.cut()
    assert (await member.hears(Unreachable)).reason
    lost = await member.hears(LeaseLost)
    assert lost.token == granted.token
    heard = member.count
    redis_world.heal()
    await member.hears(Reachable, after=heard)
    again = await member.hears(LeaseGranted, after=heard)
    assert again.token > granted.token


async def test_a_process_that_slept_past_its_deadline_comes_back_under_a_new_token(redis_world):
    member = await leading(redis_world)
    granted = await member.hears(LeaseGranted)
    heard = member.count
    redis_world.clock.jump(seconds=20)
    await member.hears(LeaseLost, after=heard)
    again = await member.hears(LeaseGranted, after=heard)
    assert again.token > granted.token


@pytest.mark.parametrize("level", [EmergencyLevel.HALT, EmergencyLevel.FLATTEN])
async def test_an_emergency_reaches_every_worker_of_the_account(redis_world, level):
    first = await leading(redis_world, "BTCUSDT")
    second = await leading(redis_world, "ETHUSDT")
    heard = (first.count, second.count)
    first.coordinator.raise_emergency(level, "account drawdown")
    mine = await first.hears(EmergencyChanged, after=heard[0])
    theirs = await second.hears(EmergencyChanged, after=heard[1])
    assert mine.level == theirs.level == level
    assert "account drawdown" in theirs.reason
    assert mine.epoch == theirs.epoch > 0


async def test_a_lower_emergency_never_replaces_a_higher(redis_world):
    member = await leading(redis_world)
    heard = member.count
    member.coordinator.raise_emergency(EmergencyLevel.FLATTEN, "first")
    await member.hears(EmergencyChanged, after=heard)
    heard = member.count
    member.coordinator.raise_emergency(EmergencyLevel.HALT, "second")
    await member.hears(LeaseRenewed, after=heard)
    await member.hears(LeaseRenewed, after=member.count)
    assert not any(isinstance(message, EmergencyChanged) for message in member.told[heard:])


async def test_an_emergency_outlives_the_worker_that_raised_it(redis_world):
    first = await leading(redis_world)
    first.coordinator.raise_emergency(EmergencyLevel.HALT, "second writer")
    await first.hears(EmergencyChanged, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    await first.coordinator.stop()
    second = await leading(redis_world)
    assert (await second.hears(EmergencyChanged)).level is EmergencyLevel.HALT


async def test_the_accounts_own_switch_is_in_force_as_long_as_it_says_so(redis_world):
    member = await leading(redis_world)
    heard = member.count
    member.coordinator.configure(AccountTerms(10**12, 10**12, EmergencyLevel.FLATTEN))
    assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.FLATTEN
    heard = member.count
    member.coordinator.configure(AccountTerms(10**12, 10**12, EmergencyLevel.NONE))
    assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.NONE


async def test_what_the_resource_declares_reaches_a_worker_that_its_own_files_do_not_tell(redis_world):
    member = await leading(redis_world)
    async with account_tools(redis_world.server.url) as tools:
        for level in (EmergencyLevel.HALT, EmergencyLevel.FLATTEN, EmergencyLevel.NONE):
            heard = member.count
            await tools.account(ACCOUNT).declare(level)
            assert (await member.hears(EmergencyChanged, after=heard)).level is level


async def test_of_what_a_file_and_redis_declare_the_higher_is_in_force(redis_world):
    member = await leading(redis_world)
    async with account_tools(redis_world.server.url) as tools:
        heard = member.count
        await tools.account(ACCOUNT).declare(EmergencyLevel.FLATTEN)
        assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.FLATTEN
        heard = member.count
        member.coordinator.configure(AccountTerms(10**12, 10**12, EmergencyLevel.HALT))
        await member.hears(LeaseRenewed, after=heard)
        assert not any(isinstance(message, EmergencyChanged) for message in member.told[heard:])
        await tools.account(ACCOUNT).declare(EmergencyLevel.NONE)
        assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.HALT


async def test_what_was_declared_is_in_force_while_redis_is_away(redis_world):
    member = await leading(redis_world)
    async with account_tools(redis_world.server.url) as tools:
        heard = member.count
        await tools.account(ACCOUNT).declare(EmergencyLevel.HALT)
        await member.hears(EmergencyChanged, after=heard)
    heard = member.count
    redis_world.cut()
    await member.hears(LeaseLost, after=heard)
    assert not any(isinstance(message, EmergencyChanged) for message in member.told[heard:])


async def test_a_reservation_is_answered_with_its_sequence_and_never_more_than_asked(redis_world):
    member = await leading(redis_world)
    heard = member.count
    member.coordinator.reserve(Reservation(1, 0, 5, 7, step_value=60.0))
    assert await member.hears(Reserved, after=heard) == Reserved(1, 5, 7)


async def test_the_answer_is_not_given_inside_the_request(redis_world):
    member = await leading(redis_world)
    heard = member.count
    member.coordinator.reserve(Reservation(1, 0, 5, 7, step_value=60.0))
    assert not any(isinstance(message, Reserved) for message in member.told[heard:])
    await member.hears(Reserved, after=heard)


async def test_an_older_reservation_is_ignored(redis_world):
    member = await leading(redis_world)
    heard = member.count
    member.coordinator.reserve(Reservation(2, 0, 5, 5, step_value=60.0))
    member.coordinator.reserve(Reservation(1, 0, 9, 9, step_value=60.0))
    await member.hears(Reserved, after=heard)
    await member.hears(LeaseRenewed, after=member.count)
    assert [message.sequence for message in member.told if isinstance(message, Reserved)] == [2]


async def test_the_first_leader_of_a_symbol_has_no_memory_to_begin_with(redis_world):
    member = await leading(redis_world)
    assert (await member.hears(LeaseGranted)).memory is None


async def test_the_newest_memory_comes_with_the_lease(redis_world):
    first = await leading(redis_world)
    token = (await first.hears(LeaseGranted)).token
    first.coordinator.save_snapshot(token, b"grind counts")
    await first.hears(LeaseRenewed, after=first.count)
    await first.coordinator.stop()
    second = await leading(redis_world)
    memory = (await second.hears(LeaseGranted)).memory
    assert memory is not None
    assert (memory.token, memory.memory) == (token, b"grind counts")
    assert memory.saved_wall_ns > 0


async def test_a_memory_of_another_token_than_the_leases_is_not_kept(redis_world):
    member = await leading(redis_world)
    token = (await member.hears(LeaseGranted)).token
    member.coordinator.save_snapshot(token - 1, b"from the past")
    member.coordinator.save_snapshot(0, b"without a lease")
    await member.hears(LeaseRenewed, after=member.count)
    member.coordinator.release()
    await member.hears(LeaseLost)
    other = await leading(redis_world)
    assert (await other.hears(LeaseGranted)).memory is None


async def test_a_symbol_that_was_never_halted_is_said_to_be_free(redis_world):
    member = await leading(redis_world)
    assert await member.hears(HaltChanged) == HaltChanged(0, "")
    kinds = [type(message) for message in member.told]
    assert kinds.index(HaltChanged) < kinds.index(LeaseGranted)


async def test_a_halt_is_told_to_the_symbols_workers_alone_and_outlives_them(redis_world):
    first, standby = await leading(redis_world, "BTCUSDT"), redis_world.member("BTCUSDT")
    other = await leading(redis_world, "ETHUSDT")
    await standby.coordinator.join(ACCOUNT)
    await standby.coordinator.start(standby.sink)
    await standby.hears(HaltChanged)
    heard, seen = standby.count, other.count
    first.coordinator.halt_symbol("stop loss")
    assert await standby.hears(HaltChanged, after=heard) == HaltChanged(1, "stop loss")
    await other.hears(LeaseRenewed, after=seen)
    assert not any(isinstance(message, HaltChanged) for message in other.told[seen:])
    for member in (first, standby):
        member.coordinator.release()
        await member.coordinator.stop()
    later = await leading(redis_world, "BTCUSDT")
    assert await later.hears(HaltChanged) == HaltChanged(1, "stop loss")


async def test_a_second_reason_does_not_replace_the_first(redis_world):
    member = await leading(redis_world)
    member.coordinator.halt_symbol("stop loss")
    member.coordinator.halt_symbol("daily loss")
    await member.hears(LeaseRenewed, after=member.count)
    await member.hears(LeaseRenewed, after=member.count)
    assert [told for told in member.told if isinstance(told, HaltChanged)] == [
        HaltChanged(0, ""),
        HaltChanged(1, "stop loss"),
    ]


async def test_a_lease_is_handed_over_to_a_warm_standby_which_begins_with_the_memory(redis_world):
    first = await leading(redis_world)
    token = (await first.hears(LeaseGranted)).token
    second = redis_world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    await second.hears(EmergencyChanged)
    second.coordinator.warm(warm=True)
    await first.hears(LeaseRenewed, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    first.coordinator.save_snapshot(token, b"what the first knew")
    first.coordinator.hand_over()
    assert "handed over" in (await first.hears(LeaseLost)).reason
    granted = await second.hears(LeaseGranted)
    assert granted.token > token
    assert granted.memory.memory == b"what the first knew"


@pytest.mark.parametrize("standby", ["none", "cold"])
async def test_a_lease_stays_where_nobody_could_do_better(redis_world, standby):
    first = await leading(redis_world)
    if standby == "cold":
        second = redis_world.member()
        await second.coordinator.join(ACCOUNT)
        await second.coordinator.start(second.sink)
        await second.hears(EmergencyChanged)
    await first.hears(LeaseRenewed, after=first.count)
    heard = first.count
    first.coordinator.hand_over()
    await first.hears(LeaseRenewed, after=heard)
    assert not any(isinstance(message, LeaseLost) for message in first.told)

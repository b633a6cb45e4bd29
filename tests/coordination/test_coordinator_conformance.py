"""What every coordinator promises, whatever is behind it (the `world` fixture runs this for each implementation)."""

import pytest
from phoenix_coordination.port import (
    AccountTerms,
    EmergencyChanged,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    Reachable,
    Reservation,
    Reserved,
    Unreachable,
)

ACCOUNT = "binance-usdm:simulator:abc"


async def leading(world, symbol="BTCUSDT", **kwargs):
    member = world.member(symbol, **kwargs)
    await member.coordinator.join(ACCOUNT)
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    return member


async def test_a_lone_worker_is_granted_the_lease_after_hearing_of_the_switch(world):
    member = await leading(world)
    kinds = [type(message) for message in member.told]
    assert kinds.index(Reachable) < kinds.index(EmergencyChanged) < kinds.index(LeaseGranted)
    assert member.told[kinds.index(EmergencyChanged)].level is EmergencyLevel.NONE


async def test_a_renewal_keeps_the_token_and_moves_the_deadline(world):
    member = await leading(world)
    granted = await member.hears(LeaseGranted)
    renewed = await member.hears(LeaseRenewed)
    assert renewed.token == granted.token
    assert renewed.deadline_ns > granted.deadline_ns
    assert granted.token >= 1_000_000_000_000, "a token is at least the wall clock in ms"


async def test_two_workers_of_one_symbol_never_hold_the_lease_together(world):
    first = await leading(world)
    second = world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    await second.hears(EmergencyChanged)
    await first.hears(LeaseRenewed, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    assert not any(isinstance(message, LeaseGranted) for message in second.told)


async def test_a_released_lease_goes_to_the_standby_under_a_higher_token(world):
    first = await leading(world)
    second = world.member()
    await second.coordinator.join(ACCOUNT)
    await second.coordinator.start(second.sink)
    await second.hears(EmergencyChanged)
    first.coordinator.release()
    lost = await first.hears(LeaseLost)
    granted = await second.hears(LeaseGranted)
    assert granted.token > lost.token
    assert lost.reason == "released"


async def test_who_released_campaigns_no_more(world):
    first = await leading(world)
    first.coordinator.release()
    await first.hears(LeaseLost)
    heard = first.count
    second = await leading(world)
    await second.hears(LeaseRenewed)
    assert first.count == heard


async def test_workers_of_two_symbols_lead_side_by_side(world):
    await leading(world, "BTCUSDT")
    await leading(world, "ETHUSDT")


async def test_a_rehearsal_does_not_hold_what_a_live_maker_needs(world):
    await leading(world, dry_run=True)
    await leading(world, dry_run=False)


async def test_what_cannot_be_reached_is_said_and_the_lease_is_lost_by_its_deadline(world):
    member = await leading(world)
    granted = await member.hears(LeaseGranted)
    world.cut()
    assert (await member.hears(Unreachable)).reason
    lost = await member.hears(LeaseLost)
    assert lost.token == granted.token
    heard = member.count
    world.heal()
    await member.hears(Reachable, after=heard)
    again = await member.hears(LeaseGranted, after=heard)
    assert again.token > granted.token


async def test_a_process_that_slept_past_its_deadline_comes_back_under_a_new_token(world):
    member = await leading(world)
    granted = await member.hears(LeaseGranted)
    heard = member.count
    world.clock.jump(seconds=20)
    await member.hears(LeaseLost, after=heard)
    again = await member.hears(LeaseGranted, after=heard)
    assert again.token > granted.token


@pytest.mark.parametrize("level", [EmergencyLevel.HALT, EmergencyLevel.FLATTEN])
async def test_an_emergency_reaches_every_worker_of_the_account(world, level):
    first = await leading(world, "BTCUSDT")
    second = await leading(world, "ETHUSDT")
    heard = (first.count, second.count)
    first.coordinator.raise_emergency(level, "account drawdown")
    mine = await first.hears(EmergencyChanged, after=heard[0])
    theirs = await second.hears(EmergencyChanged, after=heard[1])
    assert mine.level == theirs.level == level
    assert "account drawdown" in theirs.reason
    assert mine.epoch == theirs.epoch > 0


async def test_a_lower_emergency_never_replaces_a_higher(world):
    member = await leading(world)
    heard = member.count
    member.coordinator.raise_emergency(EmergencyLevel.FLATTEN, "first")
    await member.hears(EmergencyChanged, after=heard)
    heard = member.count
    member.coordinator.raise_emergency(EmergencyLevel.HALT, "second")
    await member.hears(LeaseRenewed, after=heard)
    await member.hears(LeaseRenewed, after=member.count)
    assert not any(isinstance(message, EmergencyChanged) for message in member.told[heard:])


async def test_an_emergency_outlives_the_worker_that_raised_it(world):
    first = await leading(world)
    first.coordinator.raise_emergency(EmergencyLevel.HALT, "second writer")
    await first.hears(EmergencyChanged, after=first.count)
    await first.hears(LeaseRenewed, after=first.count)
    await first.coordinator.stop()
    second = await leading(world)
    assert (await second.hears(EmergencyChanged)).level is EmergencyLevel.HALT


async def test_the_accounts_own_switch_is_in_force_as_long_as_it_says_so(world):
    member = await leading(world)
    heard = member.count
    member.coordinator.configure(AccountTerms(10**12, 10**12, EmergencyLevel.FLATTEN))
    assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.FLATTEN
    heard = member.count
    member.coordinator.configure(AccountTerms(10**12, 10**12, EmergencyLevel.NONE))
    assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.NONE


async def test_a_reservation_is_answered_with_its_sequence_and_never_more_than_asked(world):
    member = await leading(world)
    heard = member.count
    member.coordinator.reserve(Reservation(1, 0, 5, 7, step_value=60.0))
    assert await member.hears(Reserved, after=heard) == Reserved(1, 5, 7)


async def test_the_answer_is_not_given_inside_the_request(world):
    member = await leading(world)
    heard = member.count
    member.coordinator.reserve(Reservation(1, 0, 5, 7, step_value=60.0))
    assert not any(isinstance(message, Reserved) for message in member.told[heard:])
    await member.hears(Reserved, after=heard)


async def test_an_older_reservation_is_ignored(world):
    member = await leading(world)
    heard = member.count
    member.coordinator.reserve(Reservation(2, 0, 5, 5, step_value=60.0))
    member.coordinator.reserve(Reservation(1, 0, 9, 9, step_value=60.0))
    await member.hears(Reserved, after=heard)
    await member.hears(LeaseRenewed, after=member.count)
    assert [message.sequence for message in member.told if isinstance(message, Reserved)] == [2]


async def test_a_snapshot_is_read_by_the_next_holder(world):
    first = await leading(world)
    token = (await first.hears(LeaseGranted)).token
    first.coordinator.save_snapshot(token, b"grind counts")
    await first.hears(LeaseRenewed, after=first.count)
    await first.coordinator.stop()
    second = await leading(world)
    snapshot = await second.coordinator.load_snapshot()
    assert snapshot is not None
    assert (snapshot.token, snapshot.memory) == (token, b"grind counts")
    assert snapshot.saved_wall_ns > 0


async def test_a_snapshot_of_another_token_than_the_leases_is_not_kept(world):
    member = await leading(world)
    token = (await member.hears(LeaseGranted)).token
    member.coordinator.save_snapshot(token - 1, b"from the past")
    member.coordinator.save_snapshot(0, b"without a lease")
    await member.hears(LeaseRenewed, after=member.count)
    assert await member.coordinator.load_snapshot() is None

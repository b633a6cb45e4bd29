import asyncio

import pytest
from phoenix_coordination.port import EmergencyChanged, EmergencyLevel, LeaseGranted, LeaseRenewed, Unreachable


async def test_it_is_joined_before_it_is_started(file_world):
    member = file_world.member()
    with pytest.raises(RuntimeError, match="join"):
        await member.coordinator.start(member.sink)


async def test_a_defect_in_the_campaign_is_told_and_not_kept(file_world, monkeypatch):
    def broken(_self, _now_ms):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("phoenix_coordination.state_directory.StateDirectory.hold", broken)
    told = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.set_result(context["exception"]))
    member = file_world.member()
    await member.coordinator.join("account")
    await member.coordinator.start(member.sink)
    async with asyncio.timeout(10):
        assert isinstance(await told, ZeroDivisionError)


async def test_a_stop_is_in_force_here_before_the_disk_has_taken_it(file_world):
    member = file_world.member()
    await member.coordinator.join("account")
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    file_world.cut()
    heard = member.count
    member.coordinator.raise_emergency(EmergencyLevel.HALT, "drawdown")
    told = await member.hears(EmergencyChanged, after=heard)
    assert told.level is EmergencyLevel.HALT
    assert "remove" in told.reason, "the reason says how a person resumes"
    await member.hears(Unreachable, after=heard)
    file_world.heal()
    await member.hears(LeaseGranted, after=member.count)
    successor = file_world.member("ETHUSDT")
    await successor.coordinator.join("account")
    await successor.coordinator.start(successor.sink)
    assert (await successor.hears(EmergencyChanged)).level is EmergencyLevel.HALT, "written once it could be"


async def test_a_switch_that_is_removed_while_it_is_known_comes_back(file_world):
    member = file_world.member()
    await member.coordinator.join("account")
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    member.coordinator.raise_emergency(EmergencyLevel.HALT, "drawdown")
    await member.hears(LeaseRenewed, after=member.count)
    path = file_world.directory / "account" / "emergency.json"
    path.unlink()
    await member.hears(LeaseRenewed, after=member.count)
    await member.hears(LeaseRenewed, after=member.count)
    assert "drawdown" in path.read_text()

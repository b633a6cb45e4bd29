"""When a foreign Lease may be taken, and until when an own one lets act; by a clock that a test moves."""

import asyncio

import pytest
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.lease import LeaseRecord
from phoenix_operator.leader import Leadership, LeadershipLostError, Patience
from phoenix_operator.settings import LeaderElection

SETTINGS = LeaderElection.model_validate({"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "100ms"})
THEIRS = LeaseRecord(holder="them", duration_s=15, version="1")


def test_a_lease_of_nobody_is_free():
    assert Patience().is_free(LeaseRecord(version="1"), "us", 15, now_s=0)
    assert Patience().is_free(LeaseRecord(), "us", 15, now_s=0)


def test_a_foreign_lease_is_free_after_it_was_watched_unchanged_for_its_duration():
    patience = Patience()
    assert [patience.is_free(THEIRS, "us", 15, now_s) for now_s in (100, 114.9, 115)] == [False, False, True]


def test_a_renewal_starts_the_wait_again():
    patience = Patience()
    renewed = LeaseRecord(holder="them", duration_s=15, version="2")
    assert not patience.is_free(THEIRS, "us", 15, now_s=0)
    assert not patience.is_free(renewed, "us", 15, now_s=14)
    assert not patience.is_free(renewed, "us", 15, now_s=28)
    assert patience.is_free(renewed, "us", 15, now_s=29)


def test_the_longer_of_both_durations_counts():
    patience = Patience()
    short = LeaseRecord(holder="them", duration_s=1, version="1")
    assert not patience.is_free(short, "us", 15, now_s=0)
    assert not patience.is_free(short, "us", 15, now_s=14)


class PlayedLease:
    """A Lease without an API server: `fault` is raised, `taken_by` is somebody faster."""

    name = "phoenix-operator"

    def __init__(self) -> None:
        self.record = LeaseRecord()
        self.fault: ClusterFault | None = None
        self.writes = 0
        self.on_take = lambda: None
        self.asked = asyncio.Event()

    async def read(self) -> LeaseRecord:
        self.asked.set()
        if self.fault is not None:
            raise self.fault
        return self.record

    async def take(self, before: LeaseRecord, holder: str, duration_s: float) -> LeaseRecord | None:
        self.on_take()
        if self.fault is not None:
            raise self.fault
        if before.version != self.record.version:
            return None
        self.writes += 1
        if self.writes == 2:
            self.asked.set()
        self.record = LeaseRecord(holder, duration_s, version=str(self.writes))
        return self.record

    async def release(self, before: LeaseRecord) -> None:
        assert before.version == self.record.version
        self.record = LeaseRecord(version="released")


@pytest.fixture
def lease() -> PlayedLease:
    return PlayedLease()


@pytest.fixture
def leadership(lease, clock) -> Leadership:
    return Leadership(lease, "us", SETTINGS, clock)


async def test_nobody_may_act_before_it_has_the_lease(leadership):
    assert not leadership.may_act()
    await leadership.campaign()
    assert leadership.may_act()


async def test_the_deadline_counts_from_when_the_renewal_was_sent(leadership, lease, clock):
    def answer_takes_a_while() -> None:
        clock.now += 4

    lease.on_take = answer_takes_a_while
    await leadership.campaign()
    clock.now += 5.9
    assert leadership.may_act()
    clock.now += 0.2
    assert not leadership.may_act()


async def test_who_cannot_renew_until_the_deadline_is_lost(leadership, lease, clock):
    await leadership.campaign()
    lease.fault = ClusterFault(Fault.UNREACHABLE, "the API server cannot be reached")

    def time_passes() -> None:
        clock.now += 3

    lease.on_take = time_passes
    with pytest.raises(LeadershipLostError, match="cannot be reached"):
        await leadership.keep()
    assert not leadership.may_act()


async def test_who_finds_another_holder_is_lost_at_once(leadership, lease):
    await leadership.campaign()
    lease.record = LeaseRecord("them", 15, version="theirs")
    with pytest.raises(LeadershipLostError, match="them"):
        await leadership.keep()
    assert not leadership.may_act()


async def test_a_lease_that_a_person_has_touched_is_kept(leadership, lease):
    await leadership.campaign()
    lease.record = LeaseRecord("us", 15, version="edited")
    lease.asked.clear()
    keeping = asyncio.create_task(leadership.keep())
    await lease.asked.wait()  # the edit is read
    lease.asked.clear()
    await lease.asked.wait()  # and written over
    keeping.cancel()
    await asyncio.wait({keeping})
    assert leadership.may_act()


async def test_after_a_release_nobody_acts_and_the_next_may_begin(leadership, lease):
    await leadership.campaign()
    await leadership.release()
    assert not leadership.may_act()
    assert lease.record.holder == ""


async def test_a_server_that_answers_again_is_told(lease, clock):
    recovered = []
    leadership = Leadership(lease, "us", SETTINGS, clock, lambda: recovered.append(True))
    lease.fault = ClusterFault(Fault.UNREACHABLE, "away")
    campaign = asyncio.create_task(leadership.campaign())
    await lease.asked.wait()
    lease.asked.clear()
    await lease.asked.wait()  # the first refusal is behind it
    lease.fault = None
    await campaign
    assert recovered == [True]
    assert leadership.problem == ""

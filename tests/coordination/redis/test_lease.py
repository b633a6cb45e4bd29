"""The lease as one process knows it: what an answer means, and until when."""

import time

import pytest
from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.port import LeaseTimes
from phoenix_coordination.redis.lease import Asked, Change, Lease, suspended_ns
from phoenix_coordination.redis.scripts import Script

TIMES = LeaseTimes(ttl_s=5.0, renew_s=1.0, margin_s=1.0)
S = 1_000_000_000


@pytest.mark.parametrize("status", ["taken", "held"])
@pytest.mark.parametrize(
    ("heard_ns", "holds"), [(0, True), (4 * S - 1, True), (4 * S, False)], ids=["at once", "just", "too late"]
)
def test_it_ends_a_margin_before_anybody_could_take_what_was_asked_for_then(status, heard_ns, holds):
    token = 7 if status == "held" else 0
    lease = Lease(TIMES, token=token)
    change = lease.heed(Asked(token, "", 10 * S, suspended_ns()), status, 7, "x", 10 * S + heard_ns)
    assert (change is not Change.TOO_LATE) is holds
    if holds:
        assert (lease.token, lease.deadline_ns) == (7, 14 * S)


def test_a_renewal_of_what_was_given_up_while_it_was_asked_for_does_not_bring_it_back():
    lease = Lease(TIMES, token=7, deadline_ns=14 * S)
    asked = lease.ask(10 * S)
    lease.lose()
    assert lease.heed(asked, "held", 7, "x", 10 * S + 1) is Change.NONE
    assert lease.token == 0


def test_a_new_token_is_above_all_that_the_candidate_has_seen_also_of_an_empty_server_whose_clock_is_behind(lua):
    lease, keys = Lease(TIMES), lua.keys

    def beats(watched):
        status, token, fingerprint, *_ = lua.call(
            Script.BEAT,
            [
                *(keys.lease("BTCUSDT"), keys.emergency, keys.halt("BTCUSDT"), keys.ledger),
                *(keys.warm("BTCUSDT"), keys.snapshot("BTCUSDT")),
            ],
            ["pod/1", 0, watched, lease.highest, "nonce", MAX_TOKEN, 0, 400, "BTCUSDT"],
        )
        lease.heed(Asked(0, watched, 0, suspended_ns()), status.decode(), int(token), fingerprint.decode(), 0)
        lease.lose()
        return int(token), fingerprint

    first, _ = beats(beats("")[1])
    lua.client.flushall()
    lua.now_ms -= 3_600_000
    assert beats(beats("")[1])[0] == first + 1


@pytest.mark.parametrize("left", ["ledger", "snapshot"])
def test_a_new_token_is_above_what_the_ledger_and_the_memory_know_where_the_record_alone_was_lost(lua, left):
    """A new process has seen no token, and the server's clock has gone back."""
    keys, older = lua.keys, lua.now_ms + 3_600_000
    if left == "ledger":
        lua.client.hset(keys.ledger, "e:BTCUSDT", f"{lua.run:040x} {older} 9 1 1 1 1 1")
    else:
        lua.client.hset(keys.snapshot("BTCUSDT"), mapping={"schema": 1, "token": older, "saved_wall_ns": 1})

    def beats(watched):
        names = [keys.lease("BTCUSDT"), keys.emergency, keys.halt("BTCUSDT"), keys.ledger]
        names += [keys.warm("BTCUSDT"), keys.snapshot("BTCUSDT")]
        return lua.call(Script.BEAT, names, ["pod/1", 0, watched, 0, "nonce", MAX_TOKEN, 0, 400, "BTCUSDT"])

    status, token, *_ = beats(beats("")[2])
    assert (status, int(token)) == (b"taken", older + 1)


def test_a_lease_ends_when_the_machine_was_suspended_though_the_monotonic_clock_stood_still(monkeypatch):
    slept_ns = 0
    monkeypatch.setattr("phoenix_coordination.redis.lease.suspended_ns", lambda: slept_ns)
    lease = Lease(TIMES)
    lease.heed(lease.ask(10 * S), "taken", 7, "x", 10 * S + 1)
    assert not lease.expired(10 * S + 2)
    slept_ns = S
    assert lease.expired(10 * S + 2)
    assert lease.lose() == 7
    lease.heed(lease.ask(10 * S + 3), "taken", 8, "x", 10 * S + 4)
    assert not lease.expired(10 * S + 5), "what was asked for afterwards counts"


def test_an_answer_for_which_the_machine_slept_comes_too_late(monkeypatch):
    slept_ns = 0
    monkeypatch.setattr("phoenix_coordination.redis.lease.suspended_ns", lambda: slept_ns)
    lease = Lease(TIMES)
    asked = lease.ask(10 * S)
    slept_ns = S
    assert lease.heed(asked, "taken", 7, "x", 10 * S + 1) is Change.TOO_LATE
    assert lease.token == 0


def test_the_time_that_this_machine_was_suspended_does_not_grow_while_it_runs():
    before_ns = suspended_ns()
    time.sleep(0.05)
    assert abs(suspended_ns() - before_ns) < 40_000_000


def test_who_is_preempted_between_two_clocks_reads_no_suspension(monkeypatch):
    """Another process has the core for a second, in the first of the readings, before or after the second clock."""
    for preempted_at in range(1, 3):
        now_ns, readings = 0, 0

        def read(*_, at=preempted_at):
            nonlocal now_ns, readings
            readings += 1
            now_ns += S if readings == at + 1 else 50
            return now_ns

        monkeypatch.setattr("phoenix_coordination.redis.lease.time.monotonic_ns", read)
        monkeypatch.setattr("phoenix_coordination.redis.lease.time.clock_gettime_ns", read)
        assert abs(suspended_ns()) < 1000


@pytest.mark.parametrize(
    ("holder", "token", "released"),
    [("pod/1", 8, 1), ("pod/1", 7, 0), ("pod/2", 8, 0)],
    ids=["who leads", "itself, under an earlier token", "another"],
)
def test_a_release_that_comes_late_does_not_free_the_lease_that_followed(lua, holder, token, released):
    lease, warm = lua.keys.lease("BTCUSDT"), lua.keys.warm("BTCUSDT")
    lua.client.hset(lease, mapping={"holder": "pod/1", "token": 8, "released": ""})
    assert lua.call(Script.RELEASE, [lease, warm], [holder, token, "freed", 0]) == released
    assert bool(lua.client.hget(lease, "released")) is bool(released)


@pytest.mark.parametrize(
    ("holder", "token", "kept"),
    [("pod/1", 8, 1), ("pod/1", 7, 0), ("pod/2", 8, 0)],
    ids=["who leads", "itself, under an earlier token", "another"],
)
def test_only_the_present_token_keeps_a_memory(lua, holder, token, kept):
    lease, snapshot = lua.keys.lease("BTCUSDT"), lua.keys.snapshot("BTCUSDT")
    lua.client.hset(lease, mapping={"holder": "pod/1", "token": 8, "released": ""})
    assert lua.call(Script.SNAPSHOT, [snapshot, lease], [holder, token, 1, 0, b"memory"]) == kept
    assert lua.client.exists(snapshot) == kept

"""Who gets a lease that was given away: a warm candidate first, and never nobody."""

import pytest
from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.redis.scripts import Script

COURTESY_MS = 400


@pytest.fixture
def lease(lua):
    class Calls:
        """`pod/1` holds the lease; the others watch it."""

        token = 0

        def beats(self, holder, *, warm=False, token=0, watched=""):
            keys = lua.keys
            status, granted, fingerprint, standby, *_ = lua.call(
                Script.BEAT,
                [
                    *(keys.lease("BTCUSDT"), keys.emergency, keys.halt("BTCUSDT"), keys.ledger),
                    *(keys.warm("BTCUSDT"), keys.snapshot("BTCUSDT")),
                ],
                [holder, token, watched, 0, "nonce", MAX_TOKEN, int(warm), COURTESY_MS, "BTCUSDT"],
            )
            self.fingerprint = fingerprint
            self.standby = bool(standby)
            if status == b"taken":
                self.token = int(granted)
            return status.decode()

        def releases(self, holder, courtesy_ms=0):
            keys = [lua.keys.lease("BTCUSDT"), lua.keys.warm("BTCUSDT")]
            return bool(lua.call(Script.RELEASE, keys, [holder, self.token, "freed", courtesy_ms]))

        def wait(self, ms):
            lua.now_ms += ms

    calls = Calls()
    calls.beats("pod/1")
    assert calls.beats("pod/1", watched=calls.fingerprint) == "taken"
    return calls


def test_a_cold_candidate_leaves_what_was_released_to_a_warm_one(lease):
    lease.beats("pod/2", warm=True)
    assert lease.releases("pod/1")
    assert lease.beats("pod/3") == "watch"
    assert lease.beats("pod/1") == "watch", "and so does who gave it away"
    assert lease.beats("pod/2", warm=True) == "taken"


@pytest.mark.parametrize("wait_ms", [COURTESY_MS + 1, -3_600_000], ids=["silent", "the server's clock went back"])
def test_it_is_taken_where_the_warm_one_is_not_there_any_more(lease, wait_ms):
    lease.beats("pod/2", warm=True)
    lease.releases("pod/1")
    lease.wait(wait_ms)
    assert lease.beats("pod/3") == "taken"


def test_it_is_taken_at_once_where_nobody_is_warm(lease):
    lease.beats("pod/2")
    lease.releases("pod/1")
    assert lease.beats("pod/2") == "taken"


def test_it_is_taken_where_the_warm_one_has_cooled_down(lease):
    lease.beats("pod/2", warm=True)
    lease.beats("pod/2", warm=False)
    lease.releases("pod/1")
    assert lease.beats("pod/3") == "taken"


@pytest.mark.parametrize("released", [True, False], ids=["released", "run out"])
def test_what_has_been_watched_for_a_ttl_is_taken_by_whoever_comes(lease, released):
    lease.beats("pod/2", warm=True)
    if released:
        lease.releases("pod/1")
    assert lease.beats("pod/3") == "watch"
    assert lease.beats("pod/3", watched=lease.fingerprint) == "taken"


def test_who_was_warm_itself_waits_for_nobody(lease):
    lease.beats("pod/2", warm=True)
    lease.releases("pod/1")
    assert lease.beats("pod/2", warm=False) == "taken"


def test_who_leads_does_not_count_as_its_own_standby(lease):
    lease.beats("pod/2", warm=True)
    lease.releases("pod/1")
    lease.beats("pod/2", warm=True)
    lease.beats("pod/2", token=lease.token)
    assert not lease.standby
    assert not lease.releases("pod/2", COURTESY_MS)


@pytest.mark.parametrize(
    ("warm", "wait_ms", "handed_over"),
    [(True, 0, True), (True, COURTESY_MS + 1, False), (False, 0, False)],
    ids=["warm", "warm once", "cold"],
)
def test_a_lease_is_handed_over_to_a_warm_candidate_alone(lease, warm, wait_ms, handed_over):
    lease.beats("pod/2", warm=warm)
    lease.wait(wait_ms)
    lease.beats("pod/1", token=lease.token)
    assert lease.standby is handed_over
    assert lease.releases("pod/1", COURTESY_MS) is handed_over
    assert lease.beats("pod/1") == ("watch" if handed_over else "taken"), "where it was not, it is still its own"


def test_candidates_that_are_gone_leave_nothing_behind(lua, lease):
    for number in range(100):
        lease.beats(f"pod/{number + 10}", warm=True)
        lease.wait(50)
    assert lua.client.zcard(lua.keys.warm("BTCUSDT")) <= COURTESY_MS // 50 + 1
    assert 0 < lua.client.pttl(lua.keys.warm("BTCUSDT")) <= COURTESY_MS

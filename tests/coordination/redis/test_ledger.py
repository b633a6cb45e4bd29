"""What one step counts, and what a reservation is answered: tables."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given
from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.port import Reservation
from phoenix_coordination.redis.ledger import Grant, Grants, Holding, amounts_of, rebuilt_entry
from phoenix_coordination.redis.scripts import Script

MICRO = 1_000_000
HOLDER, TOKEN = "pod/1", 50
LARGEST = 2**53 - 1


@pytest.fixture
def reserve(lua):
    """One symbol's request, with a lease that is held and a ledger that is rebuilt."""
    lua.client.hset(lua.keys.lease("BTCUSDT"), mapping={"holder": HOLDER, "token": TOKEN, "released": ""})
    lua.client.hset(lua.keys.ledger, "rebuilt", f"{lua.run:040x}:nonce")

    def call(
        *,
        sequence=1,
        token=TOKEN,
        net=100,
        gross=200,
        position=0,
        buys=0,
        sells=0,
        floor=(0, 0),
        known=1,
        holder=HOLDER,
    ):
        arguments = ["BTCUSDT", holder, token, sequence, net, gross, position, -position, position, buys, sells]
        return lua.call(Script.RESERVE, [lua.keys.ledger, lua.keys.lease("BTCUSDT")], [*arguments, *floor, known])

    return call


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ({"buys": 40, "sells": 60}, (40, 60)),
        ({"buys": 140, "sells": 60}, (100, 60)),
        ({"buys": 140, "sells": 140, "gross": 50}, (50, 50)),
        ({"position": 90, "buys": 40, "sells": 40}, (10, 40)),
        ({"position": 150, "buys": 40, "sells": 400}, (0, 250)),
        ({"position": -150, "buys": 400, "sells": 40}, (250, 0)),
        ({"position": 150, "net": 0, "gross": 0, "buys": 1, "sells": 200}, (0, 150)),
        ({"position": -150, "net": 0, "gross": 0, "buys": 200, "sells": 1}, (150, 0)),
    ],
    ids=["all", "net", "gross", "beside a position", "over: short", "over: long", "only what reduces", "a short, too"],
)
def test_as_much_is_granted_as_keeps_the_limits(reserve, asked, granted):
    assert reserve(**asked)[:3] == [b"granted", *(str(value).encode() for value in granted)]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ({"buys": 140, "sells": 140}, (70, 110)),
        ({"buys": 140, "sells": 140, "gross": 90}, (50, 50)),
        ({"position": 20, "buys": 140, "sells": 140}, (50, 130)),
        ({"position": 20, "buys": 140, "sells": 140, "gross": 100}, (40, 80)),
        ({"position": -20, "buys": 140, "sells": 140, "gross": 100}, (80, 40)),
        ({"position": 150, "net": 0, "gross": 0, "buys": 1, "sells": 200}, (0, 150)),
        ({"position": -150, "net": 0, "gross": 0, "buys": 200, "sells": 1}, (150, 0)),
    ],
    ids=[
        "net",
        "gross",
        "net beside a position",
        "gross beside a long",
        "gross beside a short",
        "a long may be closed",
        "a short, too",
    ],
)
def test_what_another_symbol_has_booked_is_off_the_limits(lua, reserve, asked, granted):
    lua.client.hset(lua.keys.ledger, "e:ETHUSDT", f"{lua.run:040x} 1 1 30 -10 40 0 0")
    assert reserve(**asked)[:3] == [b"granted", *(str(value).encode() for value in granted)]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"token": TOKEN - 1}, b"fenced"),
        ({"token": TOKEN + 1}, b"fenced"),
        ({"holder": "pod/2"}, b"fenced"),
        ({"buys": 2**53}, b"overflow"),
        (
            {"buys": 2**53 - 1, "net": 2**53 - 1, "gross": 2**53 - 1, "position": 2**53 - 1, "floor": (2**53 - 1, 0)},
            b"overflow",
        ),
        ({"position": -(2**53)}, b"overflow"),
    ],
    ids=["older token", "newer token", "another holder", "amount", "sum", "position"],
)
def test_what_may_not_be_changes_nothing(lua, reserve, asked, answer):
    before = lua.client.hgetall(lua.keys.ledger)
    assert reserve(buys=asked.pop("buys", 1), **asked) == [answer]
    assert lua.client.hgetall(lua.keys.ledger) == before


def test_an_older_or_repeated_sequence_is_refused(reserve):
    assert reserve(sequence=5, buys=10)[0] == b"granted"
    told = [b"stale", str(TOKEN).encode()]
    assert reserve(sequence=5, buys=20) == told
    assert reserve(sequence=4, buys=20) == told


def test_a_released_lease_reserves_nothing(lua, reserve):
    lua.client.hset(lua.keys.lease("BTCUSDT"), "released", f"{lua.run:040x}")
    assert reserve(buys=1) == [b"fenced"]


def test_without_the_mark_of_this_run_only_what_reduces_is_granted(lua, reserve):
    lua.run += 1
    assert reserve(position=30, buys=10, sells=50)[1:3] == [b"0", b"30"]


def test_the_entry_stays_at_what_may_rest_until_it_is_known_to_be_less(lua, reserve):
    reserve(sequence=1, buys=80)
    reserve(sequence=2, buys=80, net=20, floor=(80, 0))
    assert lua.client.hget(lua.keys.ledger, "e:BTCUSDT").split()[6] == b"80"
    reserve(sequence=3, buys=80, net=20, floor=(0, 0), known=0)
    assert lua.client.hget(lua.keys.ledger, "e:BTCUSDT").split()[6] == b"80", "unknown: all that is asked may rest"
    reserve(sequence=4, buys=80, net=20, floor=(20, 0))
    assert lua.client.hget(lua.keys.ledger, "e:BTCUSDT").split()[6] == b"20"


@pytest.mark.parametrize(
    ("entry", "floor", "known", "booked"),
    [
        ((80, 60), (0, 0), 1, (0, 0)),
        ((80, 60), (55, 5), 1, (55, 5)),
        ((80, 60), (0, 0), 0, (50, 60)),
        ((80, 60), (55, 5), 0, (55, 60)),
        ((80, 60), (5, 65), 0, (50, 65)),
        ((20, 90), (5, 65), 0, (20, 70)),
        (None, (7, 9), 0, (7, 9)),
    ],
    ids=["gone", "known", "unknown", "more buys than asked", "more sells", "of both the smaller", "no entry before"],
)
def test_what_may_rest_is_booked_of_each_side_where_nothing_is_granted(lua, reserve, entry, floor, known, booked):
    if entry is not None:
        assert reserve(sequence=1, buys=entry[0], sells=entry[1])[1:3] == [str(steps).encode() for steps in entry]
    assert reserve(sequence=2, net=0, gross=0, buys=50, sells=70, floor=floor, known=known)[1:3] == [b"0", b"0"]
    told = lua.client.hget(lua.keys.ledger, "e:BTCUSDT").split()
    assert tuple(map(int, told[6:])) == booked
    assert tuple(map(int, told[3:6])) == (*booked, max(booked)), "long, short and gross of a flat symbol"


@pytest.mark.parametrize(
    ("position", "entry"), [(30, (80, -10, 80)), (-30, (20, 50, 50)), (0, (50, 20, 50))], ids=["long", "short", "flat"]
)
def test_an_entry_is_the_worst_of_both_sides_beside_its_position(lua, reserve, position, entry):
    assert reserve(position=position, buys=50, sells=20)[1:3] == [b"50", b"20"]
    assert tuple(map(int, lua.client.hget(lua.keys.ledger, "e:BTCUSDT").split()[3:6])) == entry


def test_the_epoch_grows_where_what_reduces_puts_the_account_over_and_not_again_for_the_same(lua, reserve):
    lua.client.hset(lua.keys.ledger, "e:ETHUSDT", f"{lua.run:040x} 1 1 -150 150 150 0 0")
    assert reserve(sequence=1, position=100, gross=400)[3] == b"0"
    assert reserve(sequence=2, position=100, gross=400, sells=100)[1:] == [b"0", b"100", b"1"]
    assert reserve(sequence=3, position=100, gross=400, sells=100)[1:] == [b"0", b"100", b"1"]


@pytest.mark.parametrize(
    ("others", "asked", "epoch"),
    [
        ("90 -90 90", {"position": -50, "floor": (60, 0)}, b"0"),
        ("95 -95 95", {"position": -50, "floor": (60, 0)}, b"1"),
        ("-90 90 90", {"position": 50, "floor": (0, 60)}, b"0"),
        ("-95 95 95", {"position": 50, "floor": (0, 60)}, b"1"),
        ("0 0 390", {"position": 5, "floor": (5, 0)}, b"0"),
        ("0 0 390", {"position": 5, "floor": (6, 0)}, b"1"),
    ],
    ids=["at net long", "over net long", "at net short", "over net short", "at gross", "over gross"],
)
def test_the_epoch_grows_where_a_sum_passes_its_limit_and_not_where_it_reaches_it(lua, reserve, others, asked, epoch):
    lua.client.hset(lua.keys.ledger, "e:ETHUSDT", f"{lua.run:040x} 1 1 {others} 0 0")
    assert reserve(gross=400, **asked)[3] == epoch


@pytest.mark.parametrize(
    ("others", "position"),
    [
        (f"{LARGEST} 0 0", 1),
        (f"0 {LARGEST} 0", -1),
        (f"{-LARGEST} 0 0", -1),
        (f"0 {-LARGEST} 0", 1),
        (f"0 0 {LARGEST}", 1),
    ],
    ids=["long", "short", "far below: long", "far below: short", "gross"],
)
def test_a_sum_that_cannot_be_counted_any_more_changes_nothing(lua, reserve, others, position):
    lua.client.hset(lua.keys.ledger, "e:ETHUSDT", f"{lua.run:040x} 1 1 {others} 0 0")
    before = lua.client.hgetall(lua.keys.ledger)
    assert reserve(position=position) == [b"overflow"]
    assert lua.client.hgetall(lua.keys.ledger) == before


def test_the_limits_that_were_heeded_can_be_read_beside_the_entries(lua, reserve):
    reserve(net=70, gross=90)
    assert lua.client.hmget(lua.keys.ledger, "net_limit", "gross_limit") == [b"70", b"90"]


@pytest.mark.parametrize("text", ["gone mad", "", "1 2 3", f"{1:040x} 1 1 x 0 0 0 0"])
def test_a_foreign_entry_is_an_error_and_grants_nothing(lua, reserve, text):
    lua.client.hset(lua.keys.ledger, "e:ETHUSDT", text)
    with pytest.raises(Exception, match="is no entry of a ledger"):
        reserve(buys=1)
    assert lua.client.hget(lua.keys.ledger, "e:BTCUSDT") is None


@given(value=st.floats(1e-6, 1e6), position=st.integers(-1000, 1000), buys=st.integers(0, 1000))
def test_amounts_are_never_less_than_at_mark_and_whole_steps(value, position, buys):
    amounts = amounts_of(Reservation(1, position, buys, buys, value))
    exact = value * MICRO
    assert amounts.long + amounts.buys >= (position + buys) * exact - 1e-6 * abs(exact)
    assert amounts.short + amounts.sells >= (buys - position) * exact - 1e-6 * abs(exact)
    assert amounts.buys == buys * amounts.step
    assert abs(amounts.size) >= abs(position) * exact


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 1e10])
def test_what_has_no_value_that_can_be_counted_is_not_asked_for(value):
    assert amounts_of(Reservation(1, 1, 1, 1, value)) is None


def test_an_amount_beyond_the_ledger_is_not_asked_for():
    assert amounts_of(Reservation(1, 0, 10**9, 0, 1_000_000.0)) is None


def test_a_holding_of_the_exchange_counts_against_the_account():
    assert rebuilt_entry(Holding("BTCUSDT", -100.0, 10.0, 0.0)) == [
        "BTCUSDT",
        *map(str, (-99 * MICRO + 10_100_000, 101 * MICRO, 101 * MICRO, 10_100_000, 0)),
    ]
    with pytest.raises(ValueError, match="BTCUSDT"):
        rebuilt_entry(Holding("BTCUSDT", math.nan, 0.0, 0.0))


def test_a_grant_that_was_void_still_counts_until_the_next_request():
    grants = Grants()
    grants.granted(Grant(0, 10, 5))
    grants.asked()
    grants.granted(Grant(0, 0, 0))
    assert grants.floors(Reservation(1, 0, 0, 0, 1.0, 3, 7)) == (10, 7)
    grants.asked()
    assert grants.floors(Reservation(2, 0, 0, 0, 1.0, 3, 7)) == (3, 7)


@pytest.mark.parametrize(
    ("position", "floors"),
    [
        pytest.param(0, (10, 5), id="as it was"),
        pytest.param(4, (6, 9), id="bought: what is left of the buys, and sells that may come back"),
        pytest.param(-4, (14, 1), id="sold"),
        pytest.param(30, (0, 35), id="bought more than was granted"),
    ],
)
def test_a_grant_reaches_as_far_as_from_the_position_that_it_was_given_for(position, floors):
    grants = Grants()
    grants.granted(Grant(0, 10, 5))
    grants.asked()
    assert grants.floors(Reservation(1, position, 0, 0, 1.0, 0, 0)) == floors


# -- the rebuild -----------------------------------------------------------------------------------


@pytest.fixture
def rebuild(lua):
    lua.client.hset(lua.keys.lease("BTCUSDT"), mapping={"holder": HOLDER, "token": TOKEN, "released": ""})
    lua.client.hset(lua.keys.ledger, "vacant", f"{lua.run:040x}:n1")
    lua.client.set(lua.keys.rebuilding, HOLDER)

    def call(*entries, generation=f"vacant:{1:040x}:n1"):
        keys = [lua.keys.ledger, lua.keys.rebuilding, lua.keys.lease("BTCUSDT")]
        return lua.call(Script.REBUILD, keys, [HOLDER, TOKEN, generation, "new", *entries])

    return call


def test_a_rebuild_writes_what_the_exchange_says_and_keeps_what_leaders_have_reserved_since(lua, rebuild):
    fresh = f"{lua.run:040x} 7 1 5 5 5 5 5"
    lua.client.hset(lua.keys.ledger, mapping={"e:ETHUSDT": fresh, "e:SOLUSDT": f"{99:040x} 7 1 9 9 9 9 9"})
    assert rebuild("ETHUSDT", 1, 1, 1, 1, 1, "XRPUSDT", 2, 3, 4, 5, 6) == f"{1:040x}:new".encode()
    assert lua.client.hgetall(lua.keys.ledger) == {
        b"rebuilt": f"{1:040x}:new".encode(),
        b"e:ETHUSDT": fresh.encode(),
        b"e:XRPUSDT": f"{1:040x} 0 0 2 3 4 5 6".encode(),
    }
    assert lua.client.get(lua.keys.rebuilding) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lua: lua.client.set(lua.keys.rebuilding, "pod/2"),
        lambda lua: lua.client.delete(lua.keys.rebuilding),
        lambda lua: lua.client.hset(lua.keys.lease("BTCUSDT"), "token", TOKEN + 1),
        lambda lua: lua.client.hset(lua.keys.ledger, "vacant", f"{1:040x}:n2"),
        lambda lua: lua.client.hdel(lua.keys.ledger, "vacant"),
        lambda lua: setattr(lua, "run", 2),
    ],
    ids=["lock of another", "lock gone", "lease lost", "another vacancy", "done by another", "restarted"],
)
def test_a_rebuild_that_does_not_hold_any_more_writes_nothing(lua, rebuild, spoil):
    spoil(lua)
    before = lua.client.hgetall(lua.keys.ledger)
    assert rebuild("XRPUSDT", 2, 3, 4, 5, 6) == b""
    assert lua.client.hgetall(lua.keys.ledger) == before


# -- a symbol whose maker is gone ------------------------------------------------------------------


@pytest.fixture
def settle(lua):
    lua.client.hset(lua.keys.lease("BTCUSDT"), mapping={"holder": HOLDER, "token": TOKEN, "released": ""})

    def call(*amounts, holder=HOLDER, token=TOKEN):
        keys = [lua.keys.ledger, lua.keys.lease("BTCUSDT")]
        return lua.call(Script.SETTLE, keys, ["BTCUSDT", holder, token, *amounts])

    return call


def entry_of(lua):
    return lua.client.hget(lua.keys.ledger, "e:BTCUSDT")


def epoch_of(lua):
    return int(lua.client.hget(lua.keys.ledger, "epoch") or 0)


def test_what_a_maker_left_is_settled_to_what_the_exchange_holds(lua, reserve, settle):
    reserve(sequence=9, buys=80, sells=80)
    assert settle(30, -30, 30, 0, 0) == 1
    assert entry_of(lua) == f"{lua.run:040x} {TOKEN} 0 30 -30 30 0 0".encode()
    assert epoch_of(lua) == 0, "it counts less than before: nobody has to ask again"


def test_a_flat_symbol_has_no_entry_any_more(lua, reserve, settle):
    reserve(sequence=9, buys=80, sells=80)
    assert settle(0, 0, 0, 0, 0) == 1
    assert entry_of(lua) is None


def test_everybody_asks_again_where_more_was_found_than_was_counted(lua, settle):
    settle(30, -30, 30, 0, 0)
    assert epoch_of(lua) == 1
    settle(30, -30, 30, 0, 0)
    assert epoch_of(lua) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lua: lua.client.hset(lua.keys.lease("BTCUSDT"), "token", TOKEN + 1),
        lambda lua: lua.client.hset(lua.keys.lease("BTCUSDT"), "holder", "pod/2"),
        lambda lua: lua.client.hset(lua.keys.lease("BTCUSDT"), "released", f"{lua.run:040x}"),
        lambda lua: lua.client.delete(lua.keys.lease("BTCUSDT")),
    ],
    ids=["newer token", "another holder", "released", "gone"],
)
def test_who_has_lost_the_lease_settles_nothing(lua, reserve, settle, spoil):
    reserve(sequence=9, buys=80)
    before = lua.client.hgetall(lua.keys.ledger)
    spoil(lua)
    assert settle(0, 0, 0, 0, 0) == 0
    assert lua.client.hgetall(lua.keys.ledger) == before


def test_the_next_leader_reserves_over_what_was_settled(lua, reserve, settle):
    settle(30, -30, 30, 0, 0)
    lua.client.hset(lua.keys.lease("BTCUSDT"), "token", TOKEN + 1)
    assert reserve(token=TOKEN + 1, sequence=1, position=30, buys=50)[:2] == [b"granted", b"50"]


def test_an_amount_that_the_ledger_cannot_count_is_refused(lua, settle):
    with pytest.raises(Exception, match="2\\^53"):
        settle(2**53, 0, 0, 0, 0)
    assert entry_of(lua) is None


def test_a_mark_that_was_doubted_once_is_gone_also_for_the_run_that_had_set_it(lua, reserve):
    """Two servers that fail over to each other: what the first still knows may lack what the second took last."""
    keys = lua.keys
    lua.run = 2
    lua.call(
        Script.BEAT,
        [
            *(keys.lease("ETHUSDT"), keys.emergency, keys.halt("ETHUSDT"), keys.ledger),
            *(keys.warm("ETHUSDT"), keys.snapshot("ETHUSDT")),
        ],
        [HOLDER, 0, "", 0, "nonce", MAX_TOKEN, 0, 400, "ETHUSDT"],
    )
    lua.run = 1
    assert reserve(buys=40)[:2] == [b"granted", b"0"]

"""The entry in the account's ledger: asked for before orders go out, asked again when it no longer fits."""

import pytest
from phoenix_worker.core.reservation import RENEW_NS, RETRY_NS, Need, Reservation
from samples import SECOND

AT = 100 * SECOND


@pytest.fixture
def granted():
    reservation = Reservation()
    asked = reservation.ask(AT, Need(0, 20, 20, 12, 0), 8, 60_000.0)
    assert (asked.buy_steps, asked.sell_steps, asked.position_steps, asked.mark) == (28, 28, 0, 60_000.0)
    assert (asked.buy_live_steps, asked.sell_live_steps) == (12, 0), "what is live is told apart, without the headroom"
    assert reservation.on_granted(asked.sequence, 28, 28)
    return reservation


def needs(reservation, after_ns=1, position=0, buys=20, sells=20, mark=60_000.0):
    return reservation.ask(AT + after_ns, Need(position, buys, sells, 0, 0), 8, mark)


@pytest.mark.parametrize(
    ("situation", "asks"),
    [
        ({}, False),
        ({"buys": 28, "sells": 28}, False),
        ({"buys": 29}, True),
        ({"sells": 29}, True),
        ({"position": 5}, False),
        ({"position": 8, "sells": 28}, False),
        ({"position": 9}, True),
        ({"position": -9}, True),
        ({"position": 5, "after_ns": RETRY_NS}, True),
        ({"mark": 60_400.0, "after_ns": RETRY_NS}, True),
        ({"mark": 60_200.0, "after_ns": RETRY_NS}, False),
        ({"after_ns": RENEW_NS - 1}, False),
        ({"after_ns": RENEW_NS}, True),
    ],
    ids=[
        "it fits",
        "it just fits",
        "more buys",
        "more sells",
        "the position moved just now",
        "what was bought since still fits",
        "what was bought since no longer fits",
        "what was sold since no longer fits",
        "the position moved",
        "the mark moved by half the buffer",
        "the mark moved less",
        "not yet old",
        "old",
    ],
)
def test_it_is_asked_again_when_it_no_longer_fits_or_is_old(granted, situation, asks):
    assert (needs(granted, **situation) is not None) is asks


def test_a_grant_below_what_was_asked_is_not_asked_again_at_once(granted):
    asked = needs(granted, buys=40)
    granted.on_granted(asked.sequence, 30, 28)
    assert needs(granted, after_ns=2, buys=40) is None
    assert needs(granted, after_ns=2 + RETRY_NS, buys=40) is not None


def test_while_an_answer_is_awaited_only_more_is_asked(granted):
    assert needs(granted, buys=40) is not None
    assert needs(granted, after_ns=2, buys=48) is None
    assert needs(granted, after_ns=3, buys=49) is not None
    assert needs(granted, after_ns=3 + RETRY_NS) is not None, "nobody answered"


@pytest.mark.parametrize(
    ("position", "room"),
    [
        pytest.param(0, (28, 28), id="as it was"),
        pytest.param(5, (23, 28), id="bought"),
        pytest.param(-5, (28, 23), id="sold"),
        pytest.param(40, (0, 28), id="bought more than was granted"),
        pytest.param(-40, (28, 0), id="sold more than was granted"),
    ],
)
def test_what_was_filled_since_is_off_the_room_of_its_side(granted, position, room):
    assert granted.room(position) == room


def test_the_room_is_beside_the_position_of_the_grant_until_the_next_one_is_heard(granted):
    asked = needs(granted, position=20)
    assert granted.room(20) == (8, 28)
    granted.on_granted(asked.sequence, 28, 28)
    assert granted.room(20) == (28, 28)


@pytest.mark.parametrize(
    ("grant", "lowered"), [((28, 28), False), ((27, 28), True), ((28, 27), True), ((40, 40), False), ((40, 27), True)]
)
def test_after_a_lower_grant_it_is_asked_again_so_that_the_ledger_lets_go_of_the_higher(granted, grant, lowered):
    asked = needs(granted, buys=40, sells=40)
    granted.on_granted(asked.sequence, *grant)
    assert granted.lowered is lowered
    assert (needs(granted, after_ns=2 + RETRY_NS) is not None) is lowered


def test_only_the_newest_answer_counts(granted):
    first = needs(granted, buys=40)
    second = needs(granted, after_ns=2, buys=60)
    assert not granted.on_granted(first.sequence, 99, 99)
    assert granted.on_granted(second.sequence, 1, 2)
    assert (granted.buy_granted, granted.sell_granted) == (1, 2)


def test_what_belonged_to_a_lost_lease_is_forgotten_and_its_late_answers_too(granted):
    asked = needs(granted, buys=40)
    granted.forget()
    assert (granted.buy_granted, granted.sell_granted) == (0, 0)
    assert not granted.on_granted(asked.sequence, 48, 28)
    assert needs(granted, after_ns=2) is not None


def test_what_was_not_granted_is_not_asked_for_again_at_once_beside_the_same_position():
    reservation = Reservation()
    asked = reservation.ask(AT, Need(30, 20, 20, 0, 0), 8, 60_000.0)
    assert reservation.on_granted(asked.sequence, 10, 10)
    assert needs(reservation, position=30) is None
    assert needs(reservation, position=30, buys=28, sells=28) is None, "as much as was asked for"
    assert needs(reservation, position=39) is not None, "what was bought since no longer fits"

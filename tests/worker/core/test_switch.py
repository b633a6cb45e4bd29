"""The switch (coordination): every state against everything that can be told of it."""

import pytest
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.switch import Switch

NONE, HALT, FLATTEN = EmergencyLevel.NONE, EmergencyLevel.HALT, EmergencyLevel.FLATTEN


def switch(level, epoch=5):
    return Switch(level, epoch, "before")


@pytest.mark.parametrize(
    ("level", "raised", "after"),
    [
        (NONE, NONE, None),
        (NONE, HALT, Switch(HALT, 6, "now")),
        (NONE, FLATTEN, Switch(FLATTEN, 6, "now")),
        (HALT, NONE, None),
        (HALT, HALT, None),
        (HALT, FLATTEN, Switch(FLATTEN, 6, "now")),
        (FLATTEN, NONE, None),
        (FLATTEN, HALT, None),
        (FLATTEN, FLATTEN, None),
    ],
)
def test_it_is_raised_only_higher_and_under_the_next_epoch(level, raised, after):
    told = switch(level)
    assert told.raise_to(raised, "now") is (after is not None)
    assert told == (after or switch(level))


@pytest.mark.parametrize(
    ("level", "heard", "epoch", "after"),
    [
        (HALT, NONE, 4, Switch(HALT, 5, "before")),
        (FLATTEN, HALT, 2, Switch(FLATTEN, 3, "before")),
        (HALT, NONE, 5, Switch(NONE, 5, "now")),
        (HALT, NONE, 6, Switch(NONE, 6, "now")),
        (FLATTEN, HALT, 5, Switch(HALT, 5, "now")),
        (HALT, HALT, 4, Switch(HALT, 4, "now")),
        (HALT, FLATTEN, 4, Switch(FLATTEN, 4, "now")),
        (NONE, HALT, 6, Switch(HALT, 6, "now")),
        (NONE, NONE, 4, Switch(NONE, 4, "now")),
    ],
    ids=[
        "forgotten there",
        "forgotten long ago",
        "resumed under its epoch",
        "resumed later",
        "lowered by a person",
        "the same, known earlier",
        "higher, known earlier",
        "raised",
        "nothing new",
    ],
)
def test_what_is_shared_counts_unless_it_has_forgotten_what_is_in_force(level, heard, epoch, after):
    told = switch(level)
    forgotten = after.reason == "before"
    assert told.hear(heard, epoch, "now") is not forgotten
    assert told == after


@pytest.mark.parametrize(
    ("level", "remembered", "in_force", "higher"),
    [
        (NONE, Switch(HALT, 6, "now"), True, True),
        (HALT, Switch(HALT, 6, "now"), True, False),
        (HALT, Switch(FLATTEN, 6, "now"), True, True),
        (FLATTEN, Switch(HALT, 6, "now"), False, False),
        (HALT, Switch(NONE, 6, "now"), False, False),
        (NONE, Switch(NONE, 6, "now"), True, False),
        (NONE, Switch(HALT, 5, "now"), False, False),
        (NONE, Switch(FLATTEN, 4, "now"), False, False),
    ],
    ids=[
        "forgotten",
        "a later one",
        "a higher one",
        "a lower one",
        "a resume lowers nothing",
        "a later resume",
        "resumed since, under its epoch",
        "resumed since",
    ],
)
def test_what_an_earlier_leader_knew_counts_where_it_is_later_and_no_lower(level, remembered, in_force, higher):
    told = switch(level)
    assert told.recall(remembered) is higher
    assert told == (remembered if in_force else switch(level))

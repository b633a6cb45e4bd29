"""The judge judged: real workers without one of their safeguards, and what it finds; with it, it finds nothing."""

import pytest
import stories
from cell import open_cell
from checker import Rule
from ending import finish
from mutations import Mutation
from plots import two_makers

STORIES = {
    "an order has no deadline, frozen before its bytes": (
        stories.frozen_before_the_bytes,
        Mutation.NO_FENCE,
        Rule.ONE_TRADER,
    ),
    "an order has no deadline, frozen after the gate": (
        stories.frozen_after_the_gate,
        Mutation.NO_FENCE,
        Rule.ONE_TRADER,
    ),
    "an amend has no deadline, frozen before its bytes": (
        stories.frozen_before_an_amend,
        Mutation.NO_FENCE,
        Rule.ONE_TRADER,
    ),
    "a reservation has no token and sequence": (
        stories.frozen_before_it_reserves,
        Mutation.NO_TOKEN_CHECK,
        Rule.NOTHING_FORGOTTEN,
    ),
    "a ledger need not be rebuilt": (
        stories.deleted_while_one_is_away,
        Mutation.NO_REBUILT_CHECK,
        Rule.LIMITS,
    ),
}

pytestmark = pytest.mark.timeout(600)

TOLD_AT_MOST = 3
"""An order that wakes too late may be refused for its price, and nothing has happened then: the story is told again."""


async def told(tmp_path, story, mutation):
    async with open_cell("m", tmp_path / "m", two_makers(tmp_path / "makers", mutation), seed=1) as cell:
        assert await cell.quoting(150), "the cell never quoted"
        await story(cell)
        return await finish(cell)


@pytest.fixture
def short_path(tmp_path_factory):
    """A socket's name must be short."""
    return tmp_path_factory.mktemp("f")


@pytest.mark.parametrize(("story", "mutation", "rule"), STORIES.values(), ids=STORIES.keys())
async def test_without_its_safeguard_the_story_ends_in_a_violation(short_path, story, mutation, rule):
    found = []
    for time in range(TOLD_AT_MOST):
        found += await told(short_path / str(time), story, mutation)
        if found:
            break
    assert rule in {violation.rule for violation in found}, found


@pytest.mark.parametrize(
    "story", dict.fromkeys(story for story, _, _ in STORIES.values()), ids=lambda story: story.__name__
)
async def test_with_it_the_same_story_ends_well(short_path, story):
    assert await told(short_path, story, Mutation.NONE) == []

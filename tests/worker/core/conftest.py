"""Worlds for the engine: see `tests/support/core_world.py`."""

import pytest
from core_world import World
from hypothesis import HealthCheck, settings

settings.register_profile(
    "core",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("core")


@pytest.fixture
def world():
    """Everything is up and the ladder rests."""
    world = World().start()
    world.wait(1.0)
    return world

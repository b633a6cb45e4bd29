"""A real API server for what the chart renders, and Helm where it is."""

from collections.abc import Iterator

import pytest
from api_server import ApiServer
from chart import find_helm


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """Into which nobody installs a release: that would own what it brings."""
    with ApiServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def helm_program() -> str:
    program = find_helm()
    if program is None:
        pytest.skip("no helm here: `make helm` brings it")
    return program

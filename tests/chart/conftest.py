"""A real API server for what the chart renders, and Helm where it is."""

from collections.abc import Iterator

import pytest
from api_server import ApiServer
from chart import find_helm


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    """One of each module's own, because a release owns what it installs."""
    with ApiServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def helm_program() -> str:
    program = find_helm()
    if program is None:
        pytest.skip("no helm here: `make helm` brings it")
    return program

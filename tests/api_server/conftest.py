"""One real API server for all tests of a process, with our definitions in it; a namespace of its own for each test."""

from collections.abc import Iterator

import pytest
from api_server import ApiServer


@pytest.fixture(scope="session")
def bare_api_server() -> Iterator[ApiServer]:
    """Without anything of ours yet. Skips by name where the programs are not to be had."""
    with ApiServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def api_server(bare_api_server: ApiServer) -> ApiServer:
    """With both kinds of ours served."""
    bare_api_server.install_crds()
    return bare_api_server


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    return api_server.namespace()

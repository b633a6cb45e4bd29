"""What every test of this folder stands on. `make test-cluster` runs them; by themselves they touch no cluster."""

import os
import random
from collections.abc import Callable, Iterator

import pytest
from installation import (
    TRADING,
    ExchangeInCluster,
    Makers,
    Meanwhile,
    Observer,
    Operators,
    install,
    manifests,
    redis_image_of,
    uninstall,
)
from kubectl import Kubectl
from phoenix_coordination import order_id

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    if "PHOENIX_TEST_CLUSTER" not in os.environ:
        pytest.skip("installs Phoenix into a cluster: run `make test-cluster`")
    return Kubectl(os.environ["PHOENIX_TEST_CLUSTER"])


@pytest.fixture(scope="session")
def installed(cluster: Kubectl) -> Iterator[Kubectl]:
    """An installation with an account, and without makers. Removed at the end, whatever came."""
    try:
        install(cluster, redis_image_of())
        trading = cluster.within(TRADING)
        trading.apply(*manifests("configs/cluster/account.yaml"))
        Observer(trading).start()
        yield trading
    finally:
        if not os.environ.get("PHOENIX_TEST_CLUSTER_KEEP"):
            uninstall(cluster)


@pytest.fixture
def kubectl(installed: Kubectl) -> Kubectl:
    """In the namespace of the makers."""
    return installed


@pytest.fixture
def exchange(kubectl: Kubectl) -> Iterator[ExchangeInCluster]:
    """Judges two writers by our marks in order ids. Without faults at the end."""
    exchange = ExchangeInCluster(kubectl)
    exchange.declare(pattern={"regex": order_id.PATTERN, "tokenBase": 36})
    yield exchange
    exchange.heal()


@pytest.fixture
def observer(kubectl: Kubectl) -> Observer:
    return Observer(kubectl)


@pytest.fixture
def operators(kubectl: Kubectl) -> Operators:
    return Operators(kubectl)


@pytest.fixture
def makers(kubectl: Kubectl, exchange: ExchangeInCluster) -> Iterator[Makers]:
    """No maker is left behind."""
    yield Makers(kubectl, exchange)
    exchange.heal()
    kubectl("delete", "marketmakers", "--all", "--timeout=180s", timeout_s=200)


@pytest.fixture
def account(kubectl: Kubectl) -> Iterator[Callable[..., None]]:
    """Changes fields of the account's spec, which is as it was at the end."""

    before = kubectl.read("tradingaccount", "default")

    def change(**spec: object) -> None:
        kubectl.patch("tradingaccount", "default", {"spec": spec})

    yield change
    kubectl.put_back(before)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run: what was measured, beside what was aimed at."""
    lines: list[str] = request.config.stash.setdefault(FIGURES, [])
    return lines


@pytest.fixture(params=["while the operator lives", "while the operator is killed"])
def meanwhile(request: pytest.FixtureRequest, operators: Operators) -> Meanwhile:
    """A block in which the operator lives on, or dies again and again."""
    if request.param == "while the operator lives":
        return Meanwhile.living()
    return Meanwhile.dying(operators, random.SystemRandom().randrange(10_000))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)

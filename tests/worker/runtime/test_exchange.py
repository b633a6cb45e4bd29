import time

import msgspec
import pytest
from phoenix_coordination.state import Mode
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.credentials import Key
from phoenix_worker.runtime.exchange import ForbiddenError, client, endpoints_of

LIFE = Clock()


@pytest.fixture
def resolved(files):
    def make(**changes):
        return msgspec.structs.replace(files.resolve(), **changes)

    return make


@pytest.mark.parametrize(
    ("environment", "base_url", "host"),
    [
        ("Simulator", "http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("Simulator", "http://exchange.local:80/", "http://exchange.local:80"),
        ("Testnet", "", "https://demo-fapi.binance.com"),
        ("Production", "", "https://fapi.binance.com"),
    ],
)
def test_the_account_s_environment_decides_where_orders_go(resolved, environment, base_url, host):
    endpoints = endpoints_of(resolved(environment=environment, base_url=base_url, mode=Mode.LIVE), LIFE)
    assert endpoints.rest == host


@pytest.mark.parametrize(
    ("environment", "base_url", "says"),
    [
        pytest.param("Simulator", "", "needs endpoints", id="a simulator without an address"),
        pytest.param("Simulator", "https://fapi.binance.com", "is the real exchange's", id="a simulator that is none"),
        pytest.param("Simulator", "https://FAPI.Binance.com.", "is the real exchange's", id="however it is spelt"),
        pytest.param("Simulator", "https://demo-fapi.binance.com", "is the real exchange's", id="nor the testnet"),
        pytest.param("Simulator", "ftp://host:1", "http://host:port", id="no address of an exchange"),
        pytest.param("Simulator", "http://host:1/path", "http://host:port", id="an address with a path"),
        pytest.param("Production", "http://127.0.0.1:1", "has fixed addresses", id="production elsewhere"),
        pytest.param("Testnet", "http://127.0.0.1:1", "has fixed addresses", id="testnet elsewhere"),
        pytest.param("production", "", "is not known", id="a world that nobody knows"),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_a_contradiction_between_environment_and_address_is_refused(resolved, environment, base_url, says, mode):
    with pytest.raises(ForbiddenError, match=says):
        endpoints_of(resolved(environment=environment, base_url=base_url, mode=mode), LIFE)


@pytest.mark.parametrize("environment", ["Testnet", "Production"])
@pytest.mark.parametrize("rate", [1.0, 5.0])
def test_a_clock_of_our_own_is_refused_outside_a_simulator(resolved, environment, rate):
    clock = Clock.scaled(1_700_000_000_000_000_000, time.monotonic_ns(), rate)
    with pytest.raises(ForbiddenError, match="PHOENIX_CLOCK"):
        endpoints_of(resolved(environment=environment, base_url=""), clock)
    assert endpoints_of(resolved(), clock)


def test_the_client_declares_what_the_account_declares_and_names_its_holder(resolved):
    resolved = resolved()
    made = client(endpoints_of(resolved, LIFE), resolved, Key("k", "s"), LIFE, "pod/1")
    assert made._settings.leverage == 10
    assert made._settings.apply is True
    assert made._settings.margin_type.value == "CROSSED"
    assert made._settings.limits.weight_share == 0.8
    assert made._user_agent == "phoenix/pod/1"
    assert "s" not in repr(made._credentials).replace("Credentials", "")


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_only_live_has_a_client_that_changes_anything(resolved, mode):
    """The second fence of a rehearsal: whatever got past its stand-in would be refused here."""
    resolved = resolved(mode=mode)
    made = client(endpoints_of(resolved, LIFE), resolved, Key("k", "s"), LIFE, "pod/1")
    assert made._rest.read_only is (mode is not Mode.LIVE)

import json
import sys
from pathlib import Path

import pytest
from phoenix_cli.demo import Options, find_configs
from phoenix_coordination import state
from redis_process import redis_client

STANDINS = Path(__file__).parent / "local" / "standins"

AGREED_BOOKS = {
    "BTCUSDT": {"position": "0.004", "fills": 3, "filled": "0.012", "fees": "0.12345678", "openOrders": 0},
}


@pytest.fixture(autouse=True)
def _house_path(monkeypatch) -> None:
    """Child processes find our packages where this one finds them."""
    monkeypatch.setenv("PYTHONPATH", ":".join(entry for entry in sys.path if entry))


@pytest.fixture(autouse=True)
def _no_cluster(tmp_path, monkeypatch) -> None:
    """A machine on which no cluster is configured, whoever runs the tests."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture(scope="session")
def _redis_server():
    with redis_client() as client:
        yield client


@pytest.fixture
def shared_redis(_redis_server):
    """An empty Redis: a client of it."""
    _redis_server.flushall()
    return _redis_server


@pytest.fixture
def redis_url(shared_redis) -> str:
    return f"unix://{shared_redis.connection_pool.connection_kwargs['path']}"


@pytest.fixture
def standin_worker() -> tuple[str, ...]:
    return (sys.executable, str(STANDINS / "worker.py"))


@pytest.fixture
def standin_exchange(tmp_path, monkeypatch) -> tuple[str, ...]:
    """The program; its books agree with what the stand-in worker says."""
    monkeypatch.setenv("STANDIN_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("STANDIN_BOOKS", json.dumps(AGREED_BOOKS))
    return (sys.executable, str(STANDINS / "exchange.py"))


@pytest.fixture
def options(tmp_path, standin_worker, standin_exchange) -> Options:
    """A demo of one symbol, of stand-ins for the programs, until it is told to end."""
    return Options(
        symbols=("BTCUSDT",),
        length_s=None,
        replay=None,
        scenario=None,
        speed=1.0,
        seed=7,
        faults=(),
        report=None,
        state_directory=tmp_path / "state",
        configs=find_configs(),
        worker=standin_worker,
        exchange=standin_exchange,
    )


@pytest.fixture
def journal(tmp_path):
    """What the stand-in exchange was told: (path, body)."""

    def read() -> list[tuple[str, dict]]:
        lines = (tmp_path / "journal").read_text().splitlines()
        return [(entry["path"], entry["body"]) for entry in map(json.loads, lines)]

    return read


@pytest.fixture
def record():
    """Makes state records; `activity`, `position`, `pnl` and `emergency` take the fields of those parts."""

    def make(**changes) -> state.StateRecord:
        parts = {
            "activity": state.Activity(**changes.pop("activity", {})),
            "position": state.Position(**{"net_max": "0.1", **changes.pop("position", {})}),
            "pnl": state.Pnl(**changes.pop("pnl", {})),
            "emergency": state.EmergencyState(**changes.pop("emergency", {})),
            "configuration": state.Configuration(**changes.pop("configuration", {})),
        }
        fields = {
            "schema": state.SCHEMA,
            "symbol": "BTCUSDT",
            "holder": "here",
            "namespace": "local",
            "maker": "btcusdt",
            "account": "local/default",
            "installation": "abcdef",
            "role": state.Role.LEADING,
            "mode": state.Mode.LIVE,
            "ready": True,
            "reason": state.Reason.QUOTING,
            "reasons_not_ready": [],
            "detail": "",
            "guard": "",
            "token": 1,
            "build": "b",
            "fresh_connection_silent": False,
            "published_ms": 0,
        }
        return state.StateRecord(**{**fields, **parts, **changes})

    return make

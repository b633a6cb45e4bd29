import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import redis
from phoenix_coordination import state
from phoenix_coordination.redis.server import find_server, server_arguments, server_socket

STANDINS = Path(__file__).parent / "local" / "standins"

AGREED_BOOKS = {
    "BTCUSDT": {"position": "0.004", "fills": 3, "filled": "0.012", "fees": "0.12345678", "openOrders": 0},
}


@pytest.fixture(autouse=True)
def _house_path(monkeypatch) -> None:
    """Child processes find our packages where this one finds them."""
    monkeypatch.setenv("PYTHONPATH", ":".join(entry for entry in sys.path if entry))


@pytest.fixture(scope="session")
def _redis_server():
    """A client of a real server, in a directory whose name is short enough for a socket."""
    program = find_server()
    if program is None:
        pytest.skip("no redis-server here")
    directory = Path(tempfile.mkdtemp(prefix="px-cli-"))
    process = subprocess.Popen(server_arguments(program, directory), stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(server_socket(directory)))
    try:
        until = time.monotonic() + 20
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < until, "redis-server does not answer"
                time.sleep(0.02)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


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

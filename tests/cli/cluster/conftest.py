import pytest
from phoenix_cli.cluster.place import Place
from phoenix_crds import Instant

NOW_MS = Instant.parse("2026-01-31T08:00:00Z").ms


def ago(seconds: int) -> str:
    return str(Instant(NOW_MS - seconds * 1000))


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def account():
    """Makes accounts as the API server sends them; `status` and `spec` take fields of those parts."""

    def make(name: str = "default", spec: dict | None = None, **status) -> dict:
        return {
            "metadata": {"name": name, "namespace": "trading", "creationTimestamp": ago(7200)},
            "spec": {"environment": "Simulator", **(spec or {})},
            "status": {
                "identity": "binance-usdm:simulator:abc",
                "emergency": {"level": "None", "epoch": 4},
                "conditions": [condition("Ready", "True", "Identified", for_s=7000)],
                **status,
            },
        }

    return make


@pytest.fixture
def maker():
    """Makes makers as the API server sends them: one that quotes, but for the fields of `status`."""

    def make(name: str = "btcusdt", spec: dict | None = None, metadata: dict | None = None, **status) -> dict:
        return {
            "metadata": {
                "name": name,
                "namespace": "trading",
                "generation": 3,
                "creationTimestamp": ago(7200),
                **(metadata or {}),
            },
            "spec": {"symbol": name.upper(), "accountRef": "default", "mode": "Live", "netMax": "0.2", **(spec or {})},
            "status": {
                "observedGeneration": 3,
                "appliedGeneration": 3,
                "reason": "Quoting",
                "pod": f"{name}-6f7d-abcde",
                "conditions": [
                    condition("Ready", "True", "InForce", for_s=7000),
                    condition("Quoting", "True", "Quoting", for_s=42),
                ],
                "figures": {"position": "0.012", "mid": "61234.5", "pnl": "1.234", "worstCase": "0.1", "at": ago(30)},
                **status,
            },
        }

    return make


def condition(kind: str, status: str, reason: str, message: str = "", *, for_s: int = 60) -> dict:
    told = {"type": kind, "status": status, "reason": reason, "lastTransitionTime": ago(for_s)}
    return told | ({"message": message} if message else {})


@pytest.fixture(name="condition")
def condition_fixture():
    return condition


@pytest.fixture(name="ago")
def ago_fixture():
    return ago

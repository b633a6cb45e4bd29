"""A state record as a worker publishes it that leads and quotes."""

from phoenix_coordination.state import SCHEMA, Mode, Reason, Role, StateRecord


def leading_record(**changes: object) -> StateRecord:
    fields: dict[str, object] = {
        "schema": SCHEMA,
        "symbol": "BTCUSDT",
        "holder": "pod-1/7f3a",
        "namespace": "default",
        "maker": "btcusdt",
        "account": "default/main",
        "installation": "k3f9a0",
        "role": Role.LEADING,
        "mode": Mode.LIVE,
        "ready": True,
        "reason": Reason.QUOTING,
        "reasons_not_ready": [],
        "detail": "",
        "guard": "normal",
        "token": 17,
        "build": "0.1.0+abc",
        "fresh_connection_silent": False,
        "published_ms": 1_700_000_000_000,
    }
    return StateRecord(**(fields | changes))

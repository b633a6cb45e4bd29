import pytest
from phoenix_coordination import state
from phoenix_coordination.state import Mode, Reason, Role, StateRecord


@pytest.fixture(scope="session")
def record():
    """A ready worker of a maker, or an unready one: `record("btc", stale=True)`."""

    def make(maker, *, stale=False, reasons=None, pod=1, account="default/main", symbol=None, role=None, silent=False):
        unready = reasons if reasons is not None else ([Reason.PRICE_STALE] if stale else [])
        return StateRecord(
            schema=state.SCHEMA,
            symbol=symbol or f"{maker.upper()}USDT",
            holder=f"{maker}-{pod}",
            namespace="default",
            maker=maker,
            account=account,
            installation="k3f9a0",
            role=role or Role.LEADING,
            mode=Mode.LIVE,
            ready=not unready,
            reason=state.first_of(unready),
            reasons_not_ready=unready,
            detail="",
            guard="normal",
            token=1,
            build="0",
            fresh_connection_silent=silent,
            published_ms=0,
        )

    return make

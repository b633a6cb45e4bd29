import msgspec
import pytest
from phoenix_coordination import state
from phoenix_coordination.state import ForeignSchemaError, Mode, Reason, Role, StateRecord, first_of


def record(**changes) -> StateRecord:
    fields = {
        "schema": state.SCHEMA,
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


def test_a_record_is_read_as_it_was_published():
    assert state.decode(state.encode(record())) == record()


def test_the_published_json_speaks_camel_case_and_enum_values():
    published = msgspec.json.decode(state.encode(record(fresh_connection_silent=True)))
    assert published["freshConnectionSilent"] is True
    assert published["role"] == "leading"
    assert published["reason"] == "Quoting"
    assert published["mode"] == "Live"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"not json", b"\xff\xfe", b'{"schema": 2}', b'{"schema": 1}', b'{"schema": "1"}'],
    ids=["empty", "no fields", "list", "text", "bytes", "newer schema", "schema alone", "schema of another type"],
)
def test_a_foreign_record_is_one_clear_error(data):
    with pytest.raises(ForeignSchemaError, match=r"schema|state record"):
        state.decode(data)


def test_a_newer_record_with_more_fields_is_read_by_this_build():
    published = msgspec.json.decode(state.encode(record())) | {"somethingNew": 1}
    assert state.decode(msgspec.json.encode(published)) == record()


def test_the_reason_that_must_heal_first_is_told():
    assert first_of([Reason.GUARD, Reason.PRICE_STALE, Reason.EMERGENCY]) is Reason.PRICE_STALE
    assert first_of([]) is Reason.QUOTING
    assert [reason.severity for reason in Reason] == list(range(len(Reason)))

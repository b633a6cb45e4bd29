import msgspec
import pytest
from phoenix_coordination import state
from phoenix_coordination.state import ForeignSchemaError, Reason, first_of
from state_records import leading_record


def test_a_record_is_read_as_it_was_published():
    assert state.decode(state.encode(leading_record())) == leading_record()


def test_the_published_json_speaks_camel_case_and_enum_values():
    published = msgspec.json.decode(state.encode(leading_record(fresh_connection_silent=True)))
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
    published = msgspec.json.decode(state.encode(leading_record())) | {"somethingNew": 1}
    assert state.decode(msgspec.json.encode(published)) == leading_record()


def test_the_reason_that_must_heal_first_is_told():
    assert first_of([Reason.GUARD, Reason.PRICE_STALE, Reason.EMERGENCY]) is Reason.PRICE_STALE
    assert first_of([]) is Reason.QUOTING
    assert [reason.severity for reason in Reason] == list(range(len(Reason)))

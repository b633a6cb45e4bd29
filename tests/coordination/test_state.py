import msgspec
import pytest
from phoenix_coordination import state
from phoenix_coordination.state import ForeignSchemaError, Reason, first_of, pod_uid_of
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


UID = "3f1c9d52-8a07-4e1b-9c44-0d6f5b1a2e37"


@pytest.mark.parametrize(
    ("holder", "uid"),
    [
        pytest.param(f"{UID}/0a1b2c3d", UID, id="a worker in a pod"),
        pytest.param(f"{UID}/0a1b2c3d/steward", UID, id="under a borrowed lease"),
        pytest.param("laptop-4711/0a1b2c3d", "", id="a process of a machine"),
        pytest.param(f"host-{UID}/0a1b2c3d", "", id="a machine that is called like a pod"),
        pytest.param(f"{UID}-4711/0a1b2c3d", "", id="a longer name"),
        pytest.param(UID.upper() + "/0a1b2c3d", "", id="no UID as the API server writes them"),
        pytest.param("", "", id="nobody"),
    ],
)
def test_a_holder_names_its_pod_and_nothing_else_does(holder, uid):
    assert pod_uid_of(holder) == uid

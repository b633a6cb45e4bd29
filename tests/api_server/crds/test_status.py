"""The status subresource: whose it is, and what may be asked of an account through it."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from api_client import JSON_PATCH, Answer
from api_server import ApiServer
from bad_manifests import ACCOUNT, MAKER
from phoenix_crds import AccountStatus, MakerStatus
from phoenix_crds.status import MOST_REQUESTS

STOP = {"id": "a1", "action": "Stop", "level": "Halt", "source": "anna", "at": "2026-01-31T08:00:00Z"}
RESUME = {"id": "a2", "action": "Resume", "epoch": 3, "source": "anna"}


@pytest.fixture
def account(create: Callable[[dict[str, Any]], Any], path: Callable[[str], str]) -> str:
    """Where the status of an account is."""
    create(yaml.safe_load(ACCOUNT))
    return f"{path('TradingAccount')}/default/status"


@pytest.fixture
def ask(api_server: ApiServer, account: str) -> Callable[..., Answer]:
    """Requests are appended as `phoenix stop` does it: to the list, or to one that is made."""

    def asker(*requests: dict[str, Any]) -> Answer:
        there = api_server.admin.get(account).expect().get("status", {})
        patch: list[dict[str, Any]] = []
        if not there:
            patch.append({"op": "add", "path": "/status", "value": {}})
        if "requests" not in there:
            patch.append({"op": "add", "path": "/status/requests", "value": []})
        patch += [{"op": "add", "path": "/status/requests/-", "value": request} for request in requests]
        return api_server.admin.request("PATCH", account, patch, JSON_PATCH)

    return asker


def test_a_request_is_kept_as_it_was_asked(ask: Callable[..., Answer]) -> None:
    assert ask(STOP).expect()["status"] == {"requests": [STOP]}
    assert AccountStatus.model_validate(ask(RESUME).expect()["status"]).requests[1].epoch == 3


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        pytest.param({"id": "x", "action": "Stop"}, "Stop needs level Halt or Flatten", id="stop-without-level"),
        pytest.param(STOP | {"level": "None"}, "Stop needs level Halt or Flatten", id="stop-at-none"),
        pytest.param(STOP | {"epoch": 3}, "Stop has none", id="stop-with-epoch"),
        pytest.param(STOP | {"symbol": "BTCUSDT"}, "Stop is for the whole account", id="stop-of-a-symbol"),
        pytest.param({"id": "x", "action": "Resume"}, "Resume needs the epoch", id="resume-unseen"),
        pytest.param(RESUME | {"level": "Halt"}, "Resume has no level", id="resume-with-level"),
        pytest.param(RESUME | {"id": "a b"}, "should match", id="id"),
        pytest.param(RESUME | {"action": "Sell"}, "supported values", id="action"),
        pytest.param(RESUME | {"at": "yesterday"}, "date-time", id="time"),
    ],
)
def test_a_request_that_says_nothing_clear_is_refused(
    ask: Callable[..., Answer], request_: dict[str, Any], said: str
) -> None:
    refused = ask(request_)
    assert refused.status == 422
    assert said in refused.message


def test_two_requests_of_one_name_and_endless_ones_are_refused(ask: Callable[..., Answer]) -> None:
    assert "Duplicate value" in ask(STOP, STOP).message
    many = [STOP | {"id": f"r{number}"} for number in range(MOST_REQUESTS + 1)]
    assert f"must have at most {MOST_REQUESTS} items" in ask(*many).message


def test_the_operator_applies_its_fields_and_leaves_the_requests_alone(
    api_server: ApiServer, ask: Callable[..., Answer], account: str
) -> None:
    ask(STOP).expect()
    body = yaml.safe_load(ACCOUNT)
    del body["spec"]
    told = {"makers": 1, "emergency": {"level": "Halt", "epoch": 3}}
    after = api_server.admin.apply(account, body | {"status": told}, "phoenix-operator").expect()["status"]
    assert after == told | {"requests": [STOP]}


def test_conditions_are_merged_by_their_type(api_server: ApiServer, account: str) -> None:
    body = yaml.safe_load(ACCOUNT)
    del body["spec"]
    ours, theirs = {"type": "Ready", "status": "True"}, {"type": "Audited", "status": "True"}
    api_server.admin.apply(account, body | {"status": {"conditions": [theirs]}}, "auditor").expect()
    after = api_server.admin.apply(account, body | {"status": {"conditions": [ours]}}, "phoenix-operator").expect()
    assert {each["type"] for each in after["status"]["conditions"]} == {"Ready", "Audited"}


def test_who_writes_the_spec_does_not_write_the_status_nor_the_other_way_round(
    api_server: ApiServer, create: Callable[[dict[str, Any]], Any], path: Callable[[str], str]
) -> None:
    stored = create(yaml.safe_load(MAKER) | {"status": {"reason": "Quoting"}})
    assert "status" not in stored
    where = f"{path('MarketMaker')}/ethusdc"
    both = {"spec": {"paused": True}, "status": {"reason": "Paused"}}
    assert "status" not in api_server.admin.merge(where, both).expect()
    after = api_server.admin.merge(f"{where}/status", both | {"spec": {"paused": False}}).expect()
    assert (after["spec"]["paused"], after["status"]) == (True, {"reason": "Paused"})
    assert after["metadata"]["generation"] == 2, "a status makes no generation"


def test_the_server_adds_nothing_to_a_status(
    api_server: ApiServer, create: Callable[[dict[str, Any]], Any], path: Callable[[str], str]
) -> None:
    create(yaml.safe_load(MAKER))
    whole = MakerStatus(applied_generation=1, reason="Quoting", pod="ethusdc-1").model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    status = api_server.admin.merge(f"{path('MarketMaker')}/ethusdc/status", {"status": whole}).expect()["status"]
    assert status == whole
    assert MakerStatus.model_validate(status) == MakerStatus(applied_generation=1, reason="Quoting", pod="ethusdc-1")

"""The status as the operator reads it: strict about what it knows, silent about what it does not."""

from typing import Any

import pytest
from phoenix_crds import AccountStatus, Action, Emergency, MakerStatus, SwitchRequest
from pydantic import ValidationError

WRITTEN: dict[str, Any] = {
    "observedGeneration": 3,
    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-31T08:00:00Z"}],
    "restarts": {"count": 1, "total": 4, "lastTime": "2026-01-31T08:00:00.250Z", "awaitingReady": True},
    "figures": {"position": "-0.5", "mid": "3200.10"},
    "ramp": {"stage": 1, "pnlAtStart": "-2"},
}


def test_what_is_written_is_read_back_equal() -> None:
    status = MakerStatus.model_validate(WRITTEN)
    again = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert MakerStatus.model_validate(again) == status
    assert again["restarts"]["lastTime"] == "2026-01-31T08:00:00.250Z"
    assert again["figures"] == {"position": "-0.5", "mid": "3200.1"}


@pytest.mark.parametrize("path", [(), ("conditions", 0), ("restarts",), ("figures",), ("ramp",)])
def test_what_a_newer_operator_wrote_is_left_aside(path: tuple[str | int, ...]) -> None:
    newer: Any = MakerStatus.model_validate(WRITTEN).model_dump(mode="json", by_alias=True)
    block = newer
    for step in path:
        block = block[step]
    block["ofTheNextVersion"] = {"a": 1}
    assert MakerStatus.model_validate(newer) == MakerStatus.model_validate(WRITTEN)


@pytest.mark.parametrize(
    "emergency",
    [
        pytest.param({}, id="no level"),
        pytest.param({"level": "Panic"}, id="a level of the next version"),
        pytest.param({"level": "Halt", "epoch": -1}, id="negative epoch"),
        pytest.param({"level": "Halt", "epoch": "3"}, id="epoch as text"),
    ],
)
def test_a_switch_that_cannot_be_understood_is_never_read_as_none(emergency: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccountStatus.model_validate({"emergency": emergency})


def test_a_switch_that_nobody_has_read_is_absent_not_none() -> None:
    assert AccountStatus.model_validate({}).emergency is None
    assert AccountStatus.model_validate({"emergency": {"level": "None"}}).emergency is not None


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        pytest.param({"action": "Stop", "level": "Halt"}, "", id="stop"),
        pytest.param({"action": "Resume", "epoch": 3}, "", id="resume"),
        pytest.param({"action": "Resume", "epoch": 3, "symbol": "BTCUSDT", "dryRun": True}, "", id="resume-symbol"),
        pytest.param({"action": "Stop"}, "Stop needs level", id="stop-without-level"),
        pytest.param({"action": "Stop", "level": "None"}, "Stop needs level", id="stop-at-none"),
        pytest.param({"action": "Stop", "level": "Halt", "epoch": 1}, "Stop has none", id="stop-with-epoch"),
        pytest.param({"action": "Stop", "level": "Halt", "symbol": "BTCUSDT"}, "whole account", id="stop-symbol"),
        pytest.param({"action": "Resume"}, "Resume needs the epoch", id="resume-unseen"),
        pytest.param({"action": "Resume", "epoch": 3, "level": "Halt"}, "no level", id="resume-with-level"),
    ],
)
def test_a_request_says_one_clear_thing(request_: dict[str, Any], said: str) -> None:
    if not said:
        read = SwitchRequest.model_validate({"id": "a"} | request_)
        assert (read.action is Action.STOP) == (read.level is Emergency.HALT)
        return
    with pytest.raises(ValidationError, match=said):
        SwitchRequest.model_validate({"id": "a"} | request_)

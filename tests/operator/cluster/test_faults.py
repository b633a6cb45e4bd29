"""What the API server refuses, as one sentence that says what to do."""

import json

import pytest
from phoenix_operator.cluster.faults import Fault, fault_of, unreachable
from phoenix_operator.cluster.resources import DEPLOYMENTS, MARKET_MAKERS, PODS

WHAT = "patch deployments.apps btcusdt in namespace trading"
MISSING = (
    'deployments.apps "btcusdt" is forbidden: User "operator" cannot create resource "deployments" in API group "apps"'
    ' in the namespace "trading"'
)


def _status(message: str, reason: str = "", **details: object) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": details}).encode()


@pytest.mark.parametrize(
    ("resource", "code", "body", "fault", "told"),
    [
        (DEPLOYMENTS, 403, _status(MISSING), Fault.FORBIDDEN, "grant the verb create on deployments.apps there to ann"),
        (PODS, 403, _status("exceeded quota: pods"), Fault.FORBIDDEN, f"refuses to {WHAT}: exceeded quota: pods"),
        (
            DEPLOYMENTS,
            403,
            _status("is forbidden", causes=[{"reason": "NamespaceTerminating"}]),
            Fault.TERMINATING,
            "the namespace is being deleted",
        ),
        (
            DEPLOYMENTS,
            403,
            _status("unable to create new content in namespace x because it is being terminated"),
            Fault.TERMINATING,
            "the namespace is being deleted",
        ),
        (
            DEPLOYMENTS,
            422,
            _status("invalid", causes=[{"field": "spec.replicas", "message": "must be positive"}]),
            Fault.INVALID,
            "spec.replicas: must be positive",
        ),
        (DEPLOYMENTS, 409, _status("exists", "AlreadyExists"), Fault.EXISTS, "exists"),
        (DEPLOYMENTS, 409, _status("changed", "Conflict"), Fault.CONFLICT, "changed"),
        (
            MARKET_MAKERS,
            404,
            _status("the server could not find the requested resource"),
            Fault.NOT_FOUND,
            "kubectl apply -f crds/",
        ),
        (DEPLOYMENTS, 404, _status('deployments.apps "x" not found'), Fault.NOT_FOUND, "not found"),
        (DEPLOYMENTS, 401, _status("Unauthorized"), Fault.UNAUTHORIZED, "renew the token or certificate"),
        (DEPLOYMENTS, 429, _status("too many", retryAfterSeconds=3), Fault.THROTTLED, "too busy"),
        (DEPLOYMENTS, 503, b"<html>bad gateway</html>", Fault.UNAVAILABLE, "bad gateway"),
        (DEPLOYMENTS, 418, b"", Fault.OTHER, "it gives no reason"),
    ],
    ids=[
        "a verb that is missing",
        "admission",
        "terminating",
        "terminating, an older server",
        "a field",
        "there already",
        "changed meanwhile",
        "our kinds are unknown",
        "not there",
        "who we are",
        "too many",
        "a proxy",
        "nothing said",
    ],
)
def test_a_refusal_is_a_sentence(resource, code, body, fault, told):
    found = fault_of(resource, WHAT, "ann", code, body)
    assert (found.fault, found.code) == (fault, code)
    assert told in str(found)
    assert "\n" not in str(found)


def test_a_server_that_asks_to_wait_is_heard():
    assert fault_of(PODS, WHAT, "ann", 429, _status("too many", retryAfterSeconds=3)).retry_after_s == 3


def test_no_answer_names_the_server_and_the_time():
    assert str(unreachable("tests", TimeoutError(), 10.0)) == "the API server (tests) does not answer within 10 s"
    refused = unreachable("tests", ConnectionRefusedError("refused"), 10.0)
    assert (refused.fault, refused.code) == (Fault.UNREACHABLE, None)
    assert "cannot be reached: refused" in str(refused)


def test_a_flood_of_words_is_cut():
    assert len(str(fault_of(PODS, WHAT, "ann", 500, _status("x" * 10_000)))) < 1000

"""The page for people, served by real operators: by whoever is asked, and never in the way of what they are for."""

import json
import socket
import urllib.request

import pytest
from operator_process import until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def test_a_replica_that_does_not_act_shows_the_fleet_and_one_that_cannot_listen_goes_on(
    place, shared_operator, operator
):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    standby = operator([place.namespace], lease=shared_operator.lease, page=address).start()
    until("it follows the leader", lambda: standby.get("/readyz")[0] == 200)
    assert standby.state()["leading"] is False

    def fleet() -> dict:
        with urllib.request.urlopen(f"http://{address}/api/fleet", timeout=20) as answer:
            return json.loads(answer.read())

    told = until("a maker that quotes", lambda: (found := fleet())["totals"]["quoting"] == 1 and found)
    assert (told["problem"], "tests" in told["place"]) == ("", True)
    maker = told["makers"][0]
    assert (maker["namespace"], maker["name"], maker["symbol"]) == (place.namespace, "btcusdt", "BTCUSDT")
    assert (maker["mode"], maker["word"], maker["restarts"], maker["heardMs"] < 5000) == ("Live", "Quoting", 0, True)
    assert told["accounts"][0]["environment"] == "Simulator"

    other = operator([place.namespace], lease=shared_operator.lease, page=address).start()
    until("it follows the leader", lambda: other.get("/readyz")[0] == 200)
    (why,) = [line["reason"] for line in other.said() if line["event"] == "no page"]
    assert "address already in use" in why
    assert "phoenix_operator_page_failures_total 1.0" in other.get("/metrics")[1]
    assert "phoenix_operator_page_failures_total 0.0" in standby.get("/metrics")[1]
    assert standby.end() == other.end() == 0

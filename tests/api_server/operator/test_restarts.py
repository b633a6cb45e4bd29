"""Stale workers are replaced, one at a time an account, and not where the venue is the cause."""

import time

import pytest
from operator_process import until
from phoenix_coordination.state import Reason

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server

STALE = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}
RESTART_AFTER_S = 10


@pytest.fixture
def three(place):
    """Makers of three symbols, so that one of them is no outage."""
    place.apply_account()
    for maker in ("btcusdt", "ethusdt", "solusdt"):
        place.apply_maker(maker, restartAfter=f"{RESTART_AFTER_S}s")
    for maker in ("btcusdt", "ethusdt", "solusdt"):
        place.until_ready(maker)
    return place


def test_a_worker_that_stays_stale_is_replaced_once_and_it_is_kept_in_the_status(three):
    (before,) = three.pods()
    three.cluster.told["btcusdt"] = STALE

    until("another pod", lambda: three.pods() and before not in three.pods())

    three.cluster.told.clear()
    restarts = three.get("maker", "btcusdt")["status"]["restarts"]
    assert (restarts["count"], restarts["total"]) == (1, 1)
    until("an Event says why", lambda: three.events("btcusdt", "Restarted"))
    three.until_ready()
    time.sleep(3)
    assert three.get("maker", "btcusdt")["status"]["restarts"]["total"] == 1
    assert three.condition("maker", "btcusdt", "Ready")["status"] == "True"


def test_where_the_venue_is_silent_nobody_is_replaced_and_everybody_stays_ready(three):
    before = sorted(pod for maker in ("btcusdt", "ethusdt", "solusdt") for pod in three.pods(maker))
    for maker in ("btcusdt", "ethusdt"):
        three.cluster.told[maker] = STALE

    three.until_condition("maker", "btcusdt", "VenueOutage", "Silent", "True")
    three.until_condition("account", "default", "VenueOutage", "Silent", "True")
    time.sleep(RESTART_AFTER_S + 3)

    assert sorted(pod for maker in ("btcusdt", "ethusdt", "solusdt") for pod in three.pods(maker)) == before
    for maker in ("btcusdt", "ethusdt", "solusdt"):
        assert three.condition("maker", maker, "Ready")["status"] == "True"
    three.cluster.told.clear()
    three.until_condition("maker", "btcusdt", "VenueOutage", "Serving", "False")

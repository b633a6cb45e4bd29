"""Of two operators one acts. A leader that was paused, cut off or killed is followed, and never acts again."""

import signal
import time

import pytest
from operator_process import OperatorProcess, until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


@pytest.fixture
def two(own_place, operator):
    """A leader and a standby."""
    place = own_place
    first = operator([place.namespace], short_lease=True).start().until_leading()
    second = operator([place.namespace], lease=first.lease, short_lease=True).start()
    until("the standby is ready", lambda: second.get("/readyz")[0] == 200)
    return place, first, second


def _leads(one: OperatorProcess) -> bool:
    return one.state().get("leading") is True


def test_the_standby_acts_at_once_after_a_clean_end(two):
    place, first, second = two
    assert not _leads(second)
    assert second.state()["leader"] == first.state()["leader"] != ""
    place.apply_account()

    assert first.end() == 0

    until("the standby leads", lambda: _leads(second), 5)
    place.apply_maker()
    place.until_ready()


def test_the_standby_acts_after_a_kill(two):
    place, first, second = two
    place.apply_account()
    place.apply_maker()
    first.kill()

    until("the standby leads", lambda: _leads(second), 20)

    place.until_ready()


def test_a_leader_that_was_paused_ends_itself_without_a_write(two):
    place, first, second = two
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    time.sleep(2)

    first.signal(signal.SIGSTOP)
    until("the standby leads", lambda: _leads(second), 20)
    place.patch("maker", "btcusdt", {"spec": {"minSpreadBps": 11}}).expect()
    place.until_ready()
    time.sleep(2)
    before = place.writes()
    first.signal(signal.SIGCONT)

    assert first.wait() == 1
    assert place.writes() == before
    assert any("not leading any more" in line["event"] for line in first.said())
    assert _leads(second)

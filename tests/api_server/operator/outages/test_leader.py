"""Of two operators one acts. A leader that was paused, cut off or killed is followed, and never acts again."""

import signal
import time
from pathlib import Path

import pytest
import yaml
from operator_process import OWN_NAMESPACE, OperatorProcess, until

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


def test_one_that_runs_elsewhere_follows_where_it_is_told_of_the_lease(own_place, operator, tmp_path: Path):
    """As from a laptop whose kubeconfig is at the makers' namespace, beside those in the cluster."""
    first = operator([own_place.namespace]).start().until_leading()
    config = yaml.safe_load(own_place.server.kubeconfig_for(first.user).read_text())
    config["contexts"][0]["context"]["namespace"] = own_place.namespace
    elsewhere = tmp_path / "elsewhere.kubeconfig"
    elsewhere.write_text(yaml.safe_dump(config))
    election = {"leaseName": first.lease, "leaseNamespace": OWN_NAMESPACE}

    second = operator([own_place.namespace], kubeconfig=elsewhere, leaderElection=election).start()

    until("it is ready", lambda: second.get("/readyz")[0] == 200)
    assert second.state()["leader"] == first.state()["leader"] != ""
    assert not _leads(second)

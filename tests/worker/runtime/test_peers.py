"""What a worker hands on to those that it shares the account with."""

from types import SimpleNamespace

from msgspec.structs import replace
from phoenix_coordination.port import EmergencyLevel, LeaseTimes
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.runtime import peers as peers_module
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.peers import Peers
from phoenix_worker.venue.binance.limits import RequestBudget


async def test_a_changed_account_is_in_force_for_ledger_switch_and_steward_at_once(files, monkeypatch):
    watched = []
    monkeypatch.setattr(peers_module, "Steward", lambda *_, **given: watched.append(given["daily_loss"]))
    monkeypatch.setattr(peers_module, "StewardOffice", lambda *_, **__: "office")
    resolved = files.resolve()
    exchange = SimpleNamespace(
        budget=RequestBudget(), holdings=None, tell_budget=None, account="reader", caretaker="caretaker"
    )
    peers = Peers("redis://127.0.0.1:1", None, resolved, "k3f9a0", "pod/1", exchange, Clock(), LeaseTimes(), None)
    configured = []
    monkeypatch.setattr(peers.coordinator, "configure", configured.append)
    peers._new_steward(SimpleNamespace())
    (daily_loss,) = watched
    assert daily_loss() == 500 * MONEY
    terms = replace(resolved.terms, emergency=EmergencyLevel.HALT)
    peers.configure(replace(resolved, daily_loss=40 * MONEY, terms=terms))
    assert daily_loss() == 40 * MONEY
    assert configured == [terms]
    await peers.stop()

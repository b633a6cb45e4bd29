"""What the page is told of a cluster, from the resources as every replica sees them."""

from phoenix_operator.page.roster import KnownMaker
from phoenix_operator.shown import roster_of

LIMITS = {"netNotional": "25000", "grossNotional": "50000", "dailyLoss": "500", "makerNetMax": {"BTCUSDT": "0.2"}}


def condition(kind: str, status: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Said", "message": message}


def test_makers_and_accounts_are_told_as_their_resources_stand(put_maker, put_account, census):
    put_account(
        "main",
        spec={"emergency": "Halt", "limits": LIMITS},
        status={"conditions": [condition("VenueOutage", "True", "3 of 4 symbols are stale")]},
    )
    put_maker(
        "btc",
        spec={"accountRef": "main", "symbol": "BTCUSDT", "mode": "DryRun", "netMax": "0.1", "paused": True},
        status={
            "reason": "PodsRefused",
            "conditions": [condition("Ready", "True", "ready"), condition("Quoting", "False", "a quota refuses it")],
            "restarts": {"count": 1, "total": 7},
            "figures": {"position": "-0.02"},
        },
    )
    roster = roster_of(census, "kind", "a watch is dead")
    assert (roster.place, roster.problem) == ("kind", "a watch is dead")
    account = roster.accounts[0]
    assert account.problem == ""
    assert (account.name, account.environment, account.declared) == ("trading/main", "Simulator", "Halt")
    assert (account.net_limit, account.gross_limit, account.outage) == ("25000", "50000", "3 of 4 symbols are stale")
    assert roster.makers == (
        KnownMaker(
            namespace="trading",
            name="btc",
            account="main",
            symbol="BTCUSDT",
            mode="DryRun",
            net_max="0.1",
            paused=True,
            reason="PodsRefused",
            message="a quota refuses it",
            restarts=7,
            position="-0.02",
        ),
    )
    assert roster.makers_of("trading/main") == list(roster.makers)
    assert roster.makers[0].rehearses


def test_who_cannot_be_read_is_there_with_what_is_wrong(put_maker, put_account, census):
    put_account("main", spec={"limits": LIMITS | {"netNotional": "no number"}})
    put_maker("btc", spec={"accountRef": "main", "symbol": "BTCUSDT", "netMax": "-1"})
    roster = roster_of(census, "kind", "")
    assert "netNotional" in roster.accounts[0].problem
    assert roster.accounts[0].net_limit is None
    assert (roster.makers[0].symbol, roster.makers[0].mode) == ("BTCUSDT", "")
    assert "netMax" in roster.makers[0].message


def test_an_outage_that_is_over_is_none(put_account, census):
    put_account("main", status={"conditions": [condition("VenueOutage", "False", "serves")]})
    assert roster_of(census, "kind", "").accounts[0].outage == ""

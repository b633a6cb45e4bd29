"""What a person reads of a cluster."""

import msgspec
import pytest
from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.reading import of_maker, with_records
from phoenix_cli.cluster.resources import event_views, fleet_of, pod_views
from phoenix_cli.cluster.text import age, fleet_text, maker_text
from phoenix_cli.cluster.view import FleetView
from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused


@pytest.fixture
def fleet(now_ms):
    def of(accounts, makers, namespace: str = "trading") -> FleetView:
        return FleetView(cluster="kind-phoenix", namespace=namespace, accounts=fleet_of(accounts, makers, now_ms))

    return of


@pytest.fixture
def one(fleet, account, place):
    """The text of one maker of an account."""

    def text(resource, of_account=None, **details) -> str:
        (found,) = fleet([of_account or account()], [resource]).accounts
        return maker_text(msgspec.structs.replace(found.makers[0], **details), found, place)

    return text


def test_a_fleet_reads_like_kubectls_tables(fleet, account, maker, condition, place):
    stale = maker(
        "ethusdt",
        reason="PriceStale",
        conditions=[
            condition("Ready", "True", "InForce"),
            condition("Quoting", "False", "PriceStale", "no frame for 2 s", for_s=75),
        ],
        restarts={"total": 2},
        figures=None,
    )
    assert fleet_text(fleet([account()], [maker(), stale]), place) == (
        "account trading/default (Simulator, binance-usdm:simulator:abc)\n"
        "  emergency none, epoch 4\n"
        "MAKER    SYMBOL   MODE  READY  QUOTING  POSITION      MID    PNL  FIGURES  RESTARTS  AGE\n"
        "btcusdt  BTCUSDT  Live  True   True        0.012  61234.5  +1.23      30s         0   2h\n"
        "ethusdt  ETHUSDT  Live  True   False           –        –      –        –         2   2h  "
        "PriceStale: no frame for 2 s\n"
    )


def test_nothing_at_all_says_where_it_was_looked_for(fleet, place):
    assert fleet_text(fleet([], []), place) == (
        "no account and no maker in namespace trading of kind-phoenix (-A looks in all of them)\n"
    )
    assert fleet_text(fleet([], [], ""), place) == "no account and no maker in any namespace of kind-phoenix\n"


STOPPED = {"level": "Halt", "epoch": 5, "reason": "looked odd", "source": "anna@here"}


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        pytest.param(
            {},
            {"emergency": STOPPED},
            "  emergency Halt, epoch 5, by anna@here: looked odd; to lift it: "
            "phoenix resume trading/default --epoch 5 --context x",
            id="stopped",
        ),
        pytest.param(
            {"emergency": "Flatten"},
            {},
            "  spec.emergency is Flatten: in force until the resource says None",
            id="declared",
        ),
        pytest.param(
            {},
            {"emergency": None},
            "  emergency not known: the operator has not told how the switch stands",
            id="nobody-said",
        ),
        pytest.param(
            {},
            {
                "emergency": {
                    "level": "None",
                    "epoch": 4,
                    "halts": [{"symbol": "BTCUSDT", "epoch": 2, "reason": "daily loss"}],
                }
            },
            "  BTCUSDT is halted, epoch 2: daily loss; to lift it: "
            "phoenix resume trading/default --symbol BTCUSDT --epoch 2 --context x",
            id="symbol-halted",
        ),
        pytest.param(
            {},
            {"requests": [{"id": "a", "action": "Stop", "level": "Halt"}]},
            "  the operator has not answered 1 request yet",
            id="nobody-answers",
        ),
    ],
)
def test_what_stops_an_account_is_told_with_what_to_do(fleet, account, maker, spec, status, said):
    found = fleet([account(spec=spec, **status)], [maker()])
    place = Place(context="x")
    assert said in fleet_text(found, place).splitlines()
    (told,) = found.accounts
    assert said in maker_text(told.makers[0], told, place).splitlines(), "of one maker it is told as well"


def test_of_one_maker_no_halt_of_another_symbol_is_told(one, account, maker):
    halts = [{"symbol": "ETHUSDT", "epoch": 2, "reason": "daily loss"}]
    assert "ETHUSDT" not in one(maker(), account(emergency={"level": "None", "epoch": 4, "halts": halts}))


def test_conditions_of_an_account_are_told_where_they_are_bad(fleet, account, maker, condition, place):
    conditions = [
        condition("Ready", "False", "AccountConflict", "elsewhere/default is older", for_s=300),
        condition("VenueOutage", "False", "Serving"),
        condition("Emergency", "True", "Sticky"),
    ]
    lines = fleet_text(fleet([account(conditions=conditions)], [maker()]), place).splitlines()
    assert lines[2] == "  not Ready (for 5m): AccountConflict: elsewhere/default is older"
    assert not any("VenueOutage" in line or "Sticky" in line for line in lines)


def test_an_account_that_is_not_there_is_told_above_its_makers(fleet, maker, place):
    lines = fleet_text(fleet([], [maker()]), place).splitlines()
    assert lines[:2] == [
        "account trading/default",
        "  there is no TradingAccount of this name: apply one, or no maker of it trades",
    ]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (("True", "Quoting", ""), "quotes (for 42s)"),
        (("False", "PriceStale", "no frame"), "does not quote: PriceStale: no frame (for 42s)"),
        (
            ("Unknown", "NoRecord", "its worker tells nothing"),
            "may quote or not: NoRecord: its worker tells nothing (for 42s)",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_one_maker_begins_with_whether_it_quotes(one, maker, condition, status, said):
    value, reason, message = status
    resource = maker(reason=reason, conditions=[condition("Quoting", value, reason, message, for_s=42)])
    assert one(resource).splitlines()[0] == f"trading/btcusdt (BTCUSDT, account default, Live) {said}"


def test_a_maker_that_no_operator_has_seen_says_so(one, maker):
    resource = maker()
    del resource["status"]
    assert "has not been seen by the operator yet" in one(resource).splitlines()[0]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "  generation 3, in force"),
        ({"appliedGeneration": 2}, "  generation 3, but 2 is in force"),
        (
            {"appliedGeneration": 2, "observedGeneration": 2},
            "  generation 3, but 2 is in force, and the operator has not seen it yet",
        ),
        ({"appliedGeneration": None}, "  generation 3, but none is in force"),
    ],
    ids=["in-force", "applied-behind", "operator-behind", "none"],
)
def test_whether_a_change_is_in_force_is_told(one, maker, status, said):
    assert said in one(maker(**status)).splitlines()


def test_figures_tell_their_age(one, maker):
    expected = "  position 0.012 of 0.2, worst case 0.1, mid 61234.5, pnl +1.23 (30s old)"
    assert expected in one(maker()).splitlines()
    assert "  position not told yet" in one(maker(figures=None)).splitlines()


def test_live_figures_take_the_place_of_those_in_the_status(fleet, account, maker, record, place):
    (found,) = fleet([account()], [maker()]).accounts
    live = with_records(found, [record(namespace="trading", maker="btcusdt", position={"qty": "-0.5"})])
    assert "position -0.5 of 0.2, worst case 0, mid –, pnl +0.00 (live)" in maker_text(live.makers[0], live, place)
    others = with_records(found, [record(namespace="local", maker="btcusdt", position={"qty": "-0.5"})])
    assert others == found, "a maker of the same name elsewhere is another one"


def test_pods_and_events_are_told_below(one, maker, ago, now_ms):
    waiting = {"name": "worker", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pods = [
        {
            "metadata": {"name": "btcusdt-6f7d-abcde", "creationTimestamp": ago(50)},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "containerStatuses": [waiting]},
        }
    ]
    events = [{"metadata": {}, "eventTime": ago(9), "type": "Warning", "reason": "NotReady", "message": "it crashes"}]
    lines = one(maker(), pods=pod_views(pods, now_ms), events=event_views(events, 9, now_ms)).splitlines()
    assert lines[-5:] == [
        "POD                 PHASE    READY  RESTARTS  AGE  NODE",
        "btcusdt-6f7d-abcde  Running  False         4  50s  node-1  CrashLoopBackOff",
        "",
        "AGO  EVENT    REASON    MESSAGE",
        " 9s  Warning  NotReady  it crashes",
    ]
    assert "no pod" in one(maker(), pods=[]).splitlines()


def test_what_others_say_neither_breaks_a_table_nor_moves_the_cursor(one, fleet, account, maker, condition, place):
    words = "it\nfails \x1b[2J\tbadly"
    resource = maker(reason="PriceStale", conditions=[condition("Quoting", "False", "PriceStale", words)])
    told = fleet_text(fleet([account()], [resource]), place) + one(resource)
    assert told.count("it fails \\x1b[2J badly") == 3
    assert "\x1b" not in told


def test_a_long_reason_is_cut_in_the_list_and_whole_below(one, fleet, account, maker, condition, place):
    words = "x" * 1000
    resource = maker(reason="PriceStale", conditions=[condition("Quoting", "False", "PriceStale", words)])
    assert words not in fleet_text(fleet([account()], [resource]), place)
    assert words in one(resource)


@pytest.mark.parametrize("name", ["btcusdt", "BTCUSDT", "trading/btcusdt"])
def test_one_maker_is_found_by_name_or_symbol(fleet, account, maker, name):
    found = of_maker(fleet([account()], [maker(), maker("ethusdt")]), name)
    assert [each.name for each in found.makers] == ["btcusdt"]


def test_a_maker_that_is_not_there_is_refused_with_those_that_are(fleet, account, maker):
    with pytest.raises(Refused, match="no maker doge in namespace trading of kind-phoenix; there are: trading/btcusdt"):
        of_maker(fleet([account()], [maker()]), "doge")


def test_a_maker_that_may_be_among_what_cannot_be_read_is_not_said_to_be_away(fleet, account):
    unread = msgspec.structs.replace(fleet([account()], []), unread=["RBAC forbids to list marketmakers"])
    with pytest.raises(Refused, match=r"^RBAC forbids to list marketmakers$"):
        of_maker(unread, "btcusdt")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0, "0s"), (119.9, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (200_000, "2d")],
)
def test_ages_are_written_as_kubectl_writes_them(seconds, said):
    assert age(seconds) == said


def test_numbers_of_the_json_are_exact(fleet, account, maker):
    written = as_json(fleet([account()], [maker(spec={"netMax": "0.100000000000000001"})]))
    assert '"net_max": 0.100000000000000001' in written
    assert '"position": 0.012' in written

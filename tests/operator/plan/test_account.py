import msgspec
import pytest
from phoenix_coordination.state import EmergencyState, Mode, Position, Quote, Quotes
from phoenix_crds import AccountStatus, Action, Emergency, SwitchRequest
from phoenix_crds.status import MOST_REQUESTS
from phoenix_operator.names import EventReason, Finalizer
from phoenix_operator.plan.account import STALE_REQUEST_MS, answered, plan_account
from phoenix_operator.plan.facts import AccountFacts, AccountShared, Halted, Switch
from phoenix_operator.plan.outcome import CarryOut, Forget, Refuse
from state_records import leading_record

NOW_MS = 1_790_000_000_000
NOW = "2026-09-21T14:13:20Z"
HALT = {"level": "Halt", "epoch": 5, "reason": "looked odd", "source": "anna"}
SEEDED = Switch(Emergency.NONE, 0, seeded=True)


@pytest.fixture
def facts(account):
    """An account with a registered identity and a seeded switch; changes by name."""

    def make(status=None, switch=SEEDED, identity="usdm/sim/x", **changes):
        shared = changes.pop("shared", AccountShared(identity, switch))
        of_account = changes.pop("spec", {})
        given = {"_finalizers": [Finalizer.IN_USE.value]} | of_account
        return AccountFacts(account(status, **given), NOW_MS, **({"makers": ("btc",), "shared": shared} | changes))

    return make


def carried_out(plan, facts):
    """The same facts once a plan was carried out."""
    status = plan.status or facts.account.status
    return msgspec.structs.replace(facts, account=msgspec.structs.replace(facts.account, status=status))


def condition(plan, facts, type_):
    held = (plan.status or facts.account.status).conditions
    return next(((each.status, each.reason) for each in held if each.type == type_), None)


# -- the switch both ways ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "in_redis", "seeds"),
    [
        pytest.param(None, Switch(Emergency.NONE, 0), (Emergency.NONE, 0), id="nobody remembers a stop"),
        pytest.param(HALT, Switch(Emergency.NONE, 0), (Emergency.HALT, 5), id="Redis came back empty"),
        pytest.param(HALT, Switch(Emergency.HALT, 5), (Emergency.HALT, 5), id="Redis came back with its data"),
        pytest.param(HALT, Switch(Emergency.NONE, 4, seeded=True), (Emergency.HALT, 5), id="Redis is behind"),
        pytest.param(HALT, Switch(Emergency.NONE, 5, seeded=True), (Emergency.HALT, 5), id="one epoch, two levels"),
        pytest.param(HALT, Switch(Emergency.HALT, 5, seeded=True), None, id="both know the same"),
        pytest.param(HALT, Switch(Emergency.NONE, 6, seeded=True), None, id="it was resumed since"),
        pytest.param(HALT, Switch(Emergency.FLATTEN, 6, seeded=True), None, id="it was raised since"),
        pytest.param(None, Switch(Emergency.HALT, 3, seeded=True), None, id="a worker has raised it"),
    ],
)
def test_redis_is_told_of_what_it_does_not_know_and_of_nothing_else(facts, kept, in_redis, seeds):
    given = facts({"emergency": kept} if kept else None, in_redis)
    seed = plan_account(given).seed
    assert (None if seed is None else (seed.level, seed.epoch)) == seeds


@pytest.mark.parametrize(
    ("kept", "in_redis", "remembers"),
    [
        pytest.param(None, Switch(Emergency.HALT, 3, "ban", "pod-1", seeded=True), ("Halt", 3), id="a worker's stop"),
        pytest.param(HALT, Switch(Emergency.NONE, 6, seeded=True), ("None", 6), id="a resume"),
        pytest.param(HALT, Switch(Emergency.NONE, 0), ("Halt", 5), id="not what an empty Redis says"),
        pytest.param(HALT, Switch(Emergency.NONE, 4, seeded=True), ("Halt", 5), id="not what an older Redis says"),
        pytest.param(HALT, Switch(Emergency.NONE, 5, seeded=True), ("Halt", 5), id="the higher level of one epoch"),
    ],
)
def test_the_status_remembers_the_later_of_both(facts, kept, in_redis, remembers):
    given = facts({"emergency": kept} if kept else None, in_redis)
    plan = plan_account(given)
    kept_now = (plan.status or given.account.status).emergency
    assert (kept_now.level.value, kept_now.epoch) == remembers


def test_a_redis_that_cannot_be_read_changes_nothing_that_is_remembered(facts):
    given = facts({"emergency": HALT, "identity": "usdm/sim/x"}, shared=None, fleet_problem="no answer from Redis")
    plan = plan_account(given)
    assert plan.seed is None
    assert plan.status.emergency.epoch == 5
    assert plan.status.identity == "usdm/sim/x"
    assert condition(plan, given, "Emergency") == ("True", "Sticky")
    assert condition(plan, given, "Ready") == ("Unknown", "RedisUnreachable")


def test_a_redis_that_nobody_reaches_is_one_event_of_the_account_that_names_its_makers(facts):
    """The makers' own conditions say so, too; an Event of each would be a thousand of one cause."""
    away = {"shared": None, "fleet_problem": "Redis at redis:6379 refuses connections", "makers": ("eth", "btc")}
    given = facts(**away)
    (event,) = plan_account(given).events
    assert (event.type, event.reason) == ("Warning", "NotReady")
    assert event.message == "Redis at redis:6379 refuses connections; what its makers do is not known: btc, eth"
    assert plan_account(carried_out(plan_account(given), given)).events == ()


def test_nothing_is_seeded_from_a_status_that_cannot_be_read(facts):
    given = facts({"emergency": {"level": "Perhaps"}}, Switch(Emergency.NONE, 0))
    plan = plan_account(given)
    assert plan.seed is None
    assert condition(plan, given, "Ready") == ("False", "StatusUnreadable")


@pytest.mark.parametrize(
    ("declared", "switch", "told"),
    [
        ("None", SEEDED, ("False", "NotStopped")),
        ("Halt", SEEDED, ("True", "Declared")),
        ("None", Switch(Emergency.HALT, 1, seeded=True), ("True", "Sticky")),
        ("Halt", Switch(Emergency.FLATTEN, 1, seeded=True), ("True", "Sticky")),
        ("Flatten", Switch(Emergency.HALT, 1, seeded=True), ("True", "Declared")),
    ],
)
def test_of_the_declared_and_the_sticky_stop_the_higher_is_told(facts, declared, switch, told):
    given = facts(None, switch, spec={"emergency": declared})
    assert condition(plan_account(given), given, "Emergency") == told


TOLD_HALT = msgspec.structs.replace(SEEDED, declared=Emergency.HALT)


@pytest.mark.parametrize(
    ("declared", "changes", "tells"),
    [
        pytest.param("None", {"switch": SEEDED}, None, id="nothing declared, nothing told"),
        pytest.param("Halt", {"switch": SEEDED}, Emergency.HALT, id="a stop"),
        pytest.param("Halt", {"switch": TOLD_HALT}, None, id="Redis knows"),
        pytest.param("Flatten", {"switch": TOLD_HALT}, Emergency.FLATTEN, id="more"),
        pytest.param("None", {"switch": TOLD_HALT}, Emergency.NONE, id="taken back"),
        pytest.param("Halt", {"switch": Switch(Emergency.NONE, 0)}, Emergency.HALT, id="a Redis that came back empty"),
        pytest.param("Halt", {"switch": SEEDED, "older_twin": "desk/main"}, None, id="the older account has the say"),
        pytest.param("Halt", {"shared": AccountShared()}, None, id="no worker has named the account"),
        pytest.param("Halt", {"shared": None, "fleet_problem": "no Redis"}, None, id="Redis is away"),
        pytest.param("often", {"switch": TOLD_HALT}, None, id="a resource that does not validate leaves what it said"),
    ],
)
def test_redis_is_told_what_the_resource_declares(facts, declared, changes, tells):
    declare = plan_account(facts(spec={"emergency": declared}, **changes)).declare
    assert (None if declare is None else (declare.identity, declare.level)) == (tells and ("usdm/sim/x", tells))


def test_live_makers_that_have_not_heard_a_declared_stop_are_named(facts):
    records = tuple(
        leading_record(maker=maker, mode=Mode.LIVE, emergency=EmergencyState(level))
        for maker, level in (("btc", "Flatten"), ("eth", "Halt"), ("xrp", "None"))
    )
    given = facts(records=records, live_makers=("btc", "eth", "sol", "xrp"), spec={"emergency": "Flatten"})
    message = plan_account(given).status.conditions[1].message
    assert message == "spec.emergency is Flatten; not heard yet by eth, sol, xrp"
    many = tuple(f"maker-{number:02}" for number in range(13))
    told = plan_account(facts(live_makers=many, spec={"emergency": "Halt"})).status.conditions[1].message
    assert told.endswith("maker-09 and 3 more")


def test_what_still_rests_under_a_stop_is_told_as_far_as_the_makers_say(facts):
    stopped = EmergencyState("Flatten", 3, "odd")
    rests = Quotes(bids=[Quote("100", "1", "q")], asks=[])
    records = (
        leading_record(maker="btc", mode=Mode.LIVE, emergency=stopped, quotes=rests, position=Position(qty="0.5")),
        leading_record(maker="eth", symbol="ETHUSDT", mode=Mode.LIVE, emergency=EmergencyState("Halt", 2)),
    )
    switch = Switch(Emergency.FLATTEN, 3, "odd", "anna", seeded=True)
    plan = plan_account(facts(None, switch, records=records, live_makers=("btc", "eth", "sol")))
    left = plan.status.emergency.left
    assert (left.orders, left.unheard) == (1, ("eth", "sol"))
    assert [(each.symbol, str(each.position)) for each in left.open] == [("BTCUSDT", "0.5")]


def test_what_was_left_under_an_earlier_stop_is_not_what_is_left_now(facts):
    left = {"orders": 7, "at": "2026-01-31T08:00:00Z"}
    kept = HALT | {"left": left}
    switch = Switch(Emergency.HALT, 6, "again", "anna", seeded=True)
    assert plan_account(facts({"emergency": kept}, switch)).status.emergency.left.orders == 0


def test_a_stop_that_was_raised_before_anybody_had_seeded_the_switch_is_in_the_status(facts):
    plan = plan_account(facts(None, Switch(Emergency.HALT, 1, "second writer", "pod-1")))
    assert (plan.status.emergency.level, plan.status.emergency.epoch) == ("Halt", 1)


def test_a_plan_that_was_carried_out_leaves_nothing_to_do(facts):
    switch = Switch(Emergency.FLATTEN, 3, "odd", "anna", 1, seeded=True)
    halts = (Halted("ETHUSDT", False, 2, "daily loss"),)
    given = facts(None, shared=AccountShared("usdm/sim/x", switch, halts), live_makers=("btc",))
    plan = plan_account(given)
    again = plan_account(msgspec.structs.replace(carried_out(plan, given), now_ms=NOW_MS + 1_000))
    assert (again.status, again.events, again.seed, again.requests) == (None, (), None, ())


# -- requests ----------------------------------------------------------------------------------------

STOP = {"id": "a1", "action": "Stop", "level": "Halt", "reason": "odd", "source": "anna", "at": NOW}
RESUME = {"id": "a2", "action": "Resume", "epoch": 3, "source": "anna", "at": NOW}


@pytest.mark.parametrize(
    ("request_", "age_ms", "identity", "what"),
    [
        pytest.param(STOP, 0, "x", CarryOut, id="a stop"),
        pytest.param(STOP, 86_400_000, "x", CarryOut, id="a stop, however old"),
        pytest.param(RESUME, 1_000, "x", CarryOut, id="a resume"),
        pytest.param(RESUME, STALE_REQUEST_MS + 1, "x", Refuse, id="not a resume that nobody waits for any more"),
        pytest.param(RESUME, -STALE_REQUEST_MS, "x", CarryOut, id="a resume by a clock that is a little ahead"),
        pytest.param(RESUME, -STALE_REQUEST_MS - 1, "x", Refuse, id="not a resume of the future"),
        pytest.param(RESUME | {"at": None}, 0, "x", Refuse, id="not a resume of nobody knows when"),
        pytest.param(STOP | {"at": None}, 0, "x", CarryOut, id="a stop of whenever"),
        pytest.param(STOP, -86_400_000, "x", CarryOut, id="a stop of tomorrow"),
        pytest.param(RESUME, 0, "", Refuse, id="not a resume of an account that no worker knows"),
        pytest.param(STOP, 0, "", None, id="a stop waits until its account is known"),
    ],
)
def test_what_people_ask_is_carried_out_once(facts, request_, age_ms, identity, what):
    given = facts({"requests": [request_]}, identity=identity)
    plan = plan_account(msgspec.structs.replace(given, now_ms=NOW_MS + age_ms))
    assert [type(each) for each in plan.requests] == ([] if what is None else [what])


@pytest.mark.parametrize("request_", [STOP, RESUME], ids=["a stop", "a resume"])
def test_what_has_to_wait_for_redis_is_looked_at_again(facts, request_):
    given = facts({"requests": [request_]}, shared=None, fleet_problem="Redis is away")
    plan = plan_account(given)
    assert plan.requests == ()
    assert plan.again_ms is not None


def test_a_request_that_was_answered_is_only_removed(facts):
    given = facts({"requests": [STOP, RESUME], "answers": [{"id": "a1", "ok": True}]})
    first, second = plan_account(given).requests
    assert first == Forget("a1")
    assert isinstance(second, CarryOut)


def test_as_many_answers_are_kept_as_requests_may_wait_and_they_say_what_is_so_now():
    status = AccountStatus()
    for at in range(MOST_REQUESTS + 2):
        asked = SwitchRequest(id=f"r{at}", action=Action.RESUME, epoch=1)
        after = Switch(Emergency.NONE, at, seeded=True)
        status = answered(status, asked, ok=True, message="done", now_ms=NOW_MS, switch=after)
    assert [each.id for each in status.answers] == [f"r{at}" for at in range(2, MOST_REQUESTS + 2)]
    assert (status.answers[-1].level, status.answers[-1].epoch) == (Emergency.NONE, MOST_REQUESTS + 1)


# -- identity, conflict, life ------------------------------------------------------------------------


def test_an_identity_is_taken_over_and_told_and_a_change_of_it_is_a_warning(facts):
    plan = plan_account(facts())
    assert plan.status.identity == "usdm/sim/x"
    assert EventReason.IDENTIFIED in {event.reason for event in plan.events}
    (event,) = [
        event for event in plan_account(facts({"identity": "other"})).events if event.reason is EventReason.IDENTIFIED
    ]
    assert (event.type, event.message) == ("Warning", "the exchange calls it usdm/sim/x, until now other")


def test_of_two_accounts_with_one_identity_the_younger_says_so(facts):
    given = facts(older_twin="desk/main")
    plan = plan_account(given)
    assert condition(plan, given, "AccountConflict") == ("True", "AccountConflict")
    assert condition(plan, given, "Ready") == ("False", "AccountConflict")
    assert condition(plan, given, "Stalled") == ("True", "AccountConflict")


@pytest.mark.parametrize(
    ("deleting", "makers", "finalizers", "adds", "removes"),
    [
        pytest.param(False, (), [], False, False, id="nobody uses it"),
        pytest.param(False, ("btc",), [], True, False, id="a maker uses it"),
        pytest.param(False, (), ["phoenix.trading/in-use"], False, False, id="nobody uses it any more"),
        pytest.param(True, ("btc",), ["phoenix.trading/in-use"], False, False, id="deleted while it is needed"),
        pytest.param(True, (), ["phoenix.trading/in-use"], False, True, id="deleted, and nobody needs it"),
        pytest.param(True, (), ["example.com/theirs"], False, False, id="somebody else's finalizer is theirs"),
    ],
)
def test_an_account_is_kept_while_makers_need_it(facts, deleting, makers, finalizers, adds, removes):
    meta = {"_finalizers": finalizers} | ({"_deletionTimestamp": NOW} if deleting else {})
    plan = plan_account(facts(spec=meta, makers=makers, needed_by=makers))
    assert (plan.add_finalizer is not None, plan.remove_finalizer is not None) == (adds, removes)


def test_a_maker_that_was_never_started_does_not_hold_a_deleted_account(facts):
    deleted = {"_finalizers": ["phoenix.trading/in-use"], "_deletionTimestamp": NOW}
    assert plan_account(facts(spec=deleted, makers=("btc",))).remove_finalizer is not None


def test_an_outage_is_a_condition_and_does_not_change_ready(facts):
    given = facts(outage="3 of 4 symbols are stale")
    plan = plan_account(given)
    assert condition(plan, given, "VenueOutage") == ("True", "Silent")
    assert condition(plan, given, "Ready") == ("True", "Identified")

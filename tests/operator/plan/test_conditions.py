import pytest
from phoenix_operator.names import ConditionType
from phoenix_operator.plan.conditions import LONGEST_MESSAGE, Wish, conditions, transitions

NOW_MS = 1_790_000_000_000
READY = ConditionType.READY


def held(*wishes, before=(), generation=1, now_ms=NOW_MS):
    return conditions(before, wishes, generation, now_ms)


def test_a_transition_time_moves_only_with_the_status():
    first = held(Wish(READY, "False", "Starting", "no pod"))
    other_reason = held(Wish(READY, "False", "Crashing", "ended"), before=first, generation=2, now_ms=NOW_MS + 9_000)
    ready = held(Wish(READY, "True", "InForce"), before=other_reason, now_ms=NOW_MS + 20_500)
    assert other_reason[0].last_transition_time == first[0].last_transition_time
    assert (other_reason[0].reason, other_reason[0].observed_generation) == ("Crashing", 2)
    assert ready[0].last_transition_time.ms == NOW_MS + 20_000


def test_a_condition_that_is_no_longer_wished_is_gone():
    before = held(Wish(READY, "False", "Starting"), Wish(ConditionType.RECONCILING, "True", "Starting"))
    assert [each.type for each in held(Wish(READY, "True", "InForce"), before=before)] == ["Ready"]


def test_a_message_that_no_event_could_carry_is_cut():
    assert len(held(Wish(READY, "False", "Crashing", "x" * 5000))[0].message) == LONGEST_MESSAGE


def test_what_is_expected_is_no_warning():
    before = held(Wish(READY, "True", "InForce"), Wish(ConditionType.QUOTING, "True", "Quoting"))
    after = held(
        Wish(READY, "False", "Applying"),
        Wish(ConditionType.QUOTING, "False", "Paused"),
        Wish(ConditionType.RECONCILING, "True", "Applying"),
    )
    assert [(event.type, event.reason) for event in transitions(before, after)] == [
        ("Normal", "NotReady"),
        ("Normal", "NotQuoting"),
    ]


def test_a_maker_that_was_just_made_and_is_on_its_way_is_no_news():
    """A thousand new makers are a thousand Events, not two thousand."""
    first = held(Wish(READY, "False", "Applying"), Wish(ConditionType.RECONCILING, "True", "Applying"))
    crashing = held(Wish(READY, "False", "Crashing", "ended"), before=first)
    assert transitions((), first) == ()
    assert [event.reason for event in transitions(first, crashing)] == ["NotReady"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(None, ("Ready", "True", "InForce"), ("Normal", "Ready"), id="ready"),
        pytest.param(None, ("Ready", "False", "Starting"), ("Warning", "NotReady"), id="not ready yet"),
        pytest.param(
            ("Ready", "True", "InForce"), ("Ready", "False", "Crashing"), ("Warning", "NotReady"), id="not ready"
        ),
        pytest.param(
            ("Ready", "False", "A"), ("Ready", "False", "B"), ("Warning", "NotReady"), id="for another reason"
        ),
        pytest.param(("Ready", "False", "A"), ("Ready", "False", "A"), None, id="for the same reason: nothing new"),
        pytest.param(("Ready", "True", "InForce"), ("Ready", "True", "HeldByPolicy"), None, id="ready is ready"),
        pytest.param(("Quoting", "True", "Quoting"), ("Quoting", "Unknown", "NoRecord"), None, id="unknown is no news"),
        pytest.param(
            ("Ready", "True", "Identified"),
            ("Ready", "Unknown", "RedisUnreachable"),
            ("Warning", "NotReady"),
            id="that nobody reaches Redis is news",
        ),
        pytest.param(
            ("Ready", "Unknown", "RedisUnreachable"),
            ("Ready", "Unknown", "RedisUnreachable"),
            None,
            id="which is told once",
        ),
        pytest.param(
            ("Ready", "Unknown", "RedisUnreachable", "refused"),
            ("Ready", "Unknown", "RedisUnreachable", "a wrong password"),
            ("Warning", "NotReady"),
            id="but anew where it is another trouble",
        ),
        pytest.param(
            ("Emergency", "False", "NotStopped"),
            ("Emergency", "Unknown", "RedisUnreachable"),
            None,
            id="and by Ready alone",
        ),
        pytest.param(None, ("RiskHalted", "False", "NotHalted"), None, id="nothing has happened yet"),
        pytest.param(("RiskHalted", "False", "N"), ("RiskHalted", "True", "R"), ("Warning", "RiskHalted"), id="halted"),
        pytest.param(
            ("RiskHalted", "True", "R"), ("RiskHalted", "False", "N"), ("Normal", "RiskResumed"), id="resumed"
        ),
        pytest.param(("SymbolConflict", "True", "S"), None, ("Normal", "SymbolFree"), id="a conflict that is over"),
        pytest.param(None, ("Reconciling", "True", "Starting"), None, id="what Ready says already"),
    ],
)
def test_each_transition_is_an_event_once(before, after, told):
    def of(one):
        return held(Wish(ConditionType(one[0]), *one[1:])) if one else ()

    events = transitions(of(before), of(after))
    assert [(event.type, event.reason) for event in events] == ([told] if told else [])


@pytest.mark.parametrize(
    ("unready", "reasons"),
    [
        pytest.param("the older one has it", ["SymbolConflict"], id="one text"),
        pytest.param("another trouble", ["NotReady", "SymbolConflict"], id="two"),
    ],
)
def test_a_conflict_that_is_why_it_is_not_ready_is_told_once(unready, reasons):
    present = held(
        Wish(ConditionType.READY, "False", "SymbolConflict", unready),
        Wish(ConditionType.SYMBOL_CONFLICT, "True", "SymbolConflict", "the older one has it"),
    )
    assert [event.reason for event in transitions((), present)] == reasons

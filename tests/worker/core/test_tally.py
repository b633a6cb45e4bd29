"""Time by mode and by reason: nothing is lost, nothing counts twice, and an emergency that was never read is none."""

import pytest
from core_world import World
from phoenix_coordination.state import SWITCH_NOT_SEEDED, Reason
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.tally import Stance, Tally, stance_of
from samples import SECOND


@pytest.mark.parametrize(
    ("mode", "grinding", "emergency", "stance"),
    [
        *((mode, False, False, Stance(mode.name.lower())) for mode in Mode),
        (Mode.PIN, True, False, Stance.GRIND),
        (Mode.NORMAL, True, False, Stance.NORMAL),
        (Mode.BLOCK, True, False, Stance.BLOCK),
        *((mode, True, True, Stance.EMERGENCY) for mode in Mode),
    ],
)
def test_the_strictest_is_told(mode, grinding, emergency, stance):
    assert stance_of(mode, grinding=grinding, emergency=emergency) is stance


def test_each_duration_counts_for_what_held_in_it():
    tally = Tally()
    tally.note(5, Stance.NORMAL, Reason.QUOTING)
    tally.note(12, Stance.PIN, Reason.QUOTING)
    tally.note(20, Stance.NORMAL, Reason.COOLDOWN)
    tally.note(21, Stance.NORMAL, Reason.QUOTING)
    assert tally.stances == {Stance.NORMAL: 8, Stance.PIN: 8}
    assert tally.reasons == {Reason.QUOTING: 15, Reason.COOLDOWN: 1}


def test_an_emergency_counts_from_when_it_is_told_and_not_while_nothing_is_known():
    world = World()
    world.tick(20)
    assert world.engine.view().stance is Stance.NORMAL
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 0, SWITCH_NOT_SEEDED))
    world.tick(20)
    assert world.engine.view().stance is Stance.NORMAL
    world.switch = EmergencyLevel.NONE
    world.start()
    world.wait(2.0)
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 5, "by hand"))
    world.wait(3.0)
    view = world.engine.view()
    assert view.stance is Stance.EMERGENCY
    assert view.tally.stances[Stance.EMERGENCY] == pytest.approx(3 * SECOND, abs=SECOND // 4)
    assert view.tally.reasons[Reason.EMERGENCY] == view.tally.stances[Stance.EMERGENCY]
    assert view.tally.reasons[Reason.QUOTING] == pytest.approx(2 * SECOND, abs=SECOND // 4)
    world.replay()

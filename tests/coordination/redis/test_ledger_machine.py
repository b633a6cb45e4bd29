"""The account's ledger against a plain model: nobody is granted what would break a limit, whatever is lost."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from phoenix_coordination.port import AccountTerms, EmergencyLevel, Reservation
from phoenix_coordination.redis.ledger import Grant, Grants, Holding, amounts_of, limits_of, rebuilt_entry
from phoenix_coordination.redis.scripts import Script

TERMS = AccountTerms(net_micro=1_000 * 10**6, gross_micro=1_500 * 10**6, emergency=EmergencyLevel.NONE)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
INDEXES = st.integers(0, 2)
QUANTITIES = st.integers(0, 400)


class Maker:
    """One leader: what it has been granted, what of it rests, and its position; a step is worth 1 to 3 quote units."""

    def __init__(self, index: int) -> None:
        self.symbol = SYMBOLS[index]
        self.value = float(1 + index)
        self.token = 10 + index
        self.sequence = 0
        self.position = 0
        self.grants = Grants()
        self.buys = self.sells = 0

    def worst(self) -> tuple[float, float, float]:
        """What fills of all that rests of one side would make of it, at mark: long, short, gross."""
        long, short = self.position + self.buys, self.position - self.sells
        return long * self.value, -short * self.value, max(abs(long), abs(short)) * self.value


class LedgerMachine(RuleBasedStateMachine):
    """Makers reserve, place within what is granted, are filled and cancel; an answer may be heard late, or never."""

    def __init__(self, server) -> None:
        super().__init__()
        self.server = server
        server.begin()
        self.makers = [Maker(index) for index in range(3)]
        self.answers: list[tuple[Maker, int, int, list[bytes]]] = []
        """(whose, sequence, the position that was told, the answer), not heard yet."""
        for maker in self.makers:
            self.lead(maker)
        self.server.client.hset(self.server.keys.ledger, "rebuilt", f"{server.run:040x}:nonce")
        self.was = (0.0, 0.0, 0.0)

    def lead(self, maker: Maker) -> None:
        fields = {"holder": "pod/" + maker.symbol, "token": maker.token, "beat": 0, "released": "", "run": "x"}
        self.server.client.hset(self.server.keys.lease(maker.symbol), mapping=fields)

    def reserve(self, maker: Maker, buys: int, sells: int) -> list[bytes]:
        """As a worker does: at least what rests is asked for, and what may be sent meanwhile is the floor."""
        asked = Reservation(
            maker.sequence + 1,
            maker.position,
            max(buys, maker.buys),
            max(sells, maker.sells),
            maker.value,
            maker.buys,
            maker.sells,
        )
        maker.sequence += 1
        maker.grants.asked()
        amounts = amounts_of(asked)
        assert amounts is not None
        floors = maker.grants.floors(asked)
        return self.server.call(
            Script.RESERVE,
            [self.server.keys.ledger, self.server.keys.lease(maker.symbol)],
            [
                *(maker.symbol, "pod/" + maker.symbol, maker.token, maker.sequence, *limits_of(TERMS)),
                *(amounts.long, amounts.short, amounts.size, amounts.buys, amounts.sells),
                *(floors[0] * amounts.step, floors[1] * amounts.step, 1),
            ],
        )

    def hear(self, maker: Maker, position: int, answer: list[bytes]) -> None:
        step = amounts_of(Reservation(0, 0, 0, 0, maker.value)).step
        maker.grants.granted(Grant(position, int(answer[1]) // step, int(answer[2]) // step))

    @rule(index=INDEXES, buys=QUANTITIES, sells=QUANTITIES, late=st.booleans())
    def reserves(self, index, buys, sells, late):
        maker = self.makers[index]
        answer = self.reserve(maker, buys, sells)
        assert answer[0] == b"granted"
        self.answers.append((maker, maker.sequence, maker.position, answer))
        if not late:
            self.an_answer_is_heard()

    @rule()
    def an_answer_is_heard(self):
        if self.answers:
            maker, sequence, position, answer = self.answers.pop(0)
            if sequence == maker.sequence:
                self.hear(maker, position, answer)

    @rule(index=INDEXES, buys=QUANTITIES, sells=QUANTITIES)
    def places_what_is_granted(self, index, buys, sells):
        """Nothing beyond the grant, less what was filled of it: as the engine does. What only reduces needs none, and
        is not looked at here.
        """
        maker = self.makers[index]
        told = maker.grants.told
        moved = maker.position - told.position
        maker.buys = max(maker.buys, min(buys, told.buys - max(0, moved)))
        maker.sells = max(maker.sells, min(sells, told.sells - max(0, -moved)))

    @rule(index=INDEXES, share=st.floats(0, 1), buying=st.booleans())
    def is_filled(self, index, share, buying):
        maker = self.makers[index]
        steps = int((maker.buys if buying else maker.sells) * share)
        maker.position += steps if buying else -steps
        maker.buys -= steps if buying else 0
        maker.sells -= 0 if buying else steps

    @rule(index=INDEXES)
    def cancels_everything(self, index):
        self.makers[index].buys = self.makers[index].sells = 0

    @rule(index=INDEXES)
    def is_replaced_by_another(self, index):
        """The next leader reads what rests and where it stands, and then asks under a newer token."""
        maker = self.makers[index]
        self.answers = [waiting for waiting in self.answers if waiting[0] is not maker]
        stale = (maker.token, maker.sequence)
        maker.token += 10
        maker.sequence, maker.grants = 0, Grants()
        self.lead(maker)
        before = self.server.client.hgetall(self.server.keys.ledger)
        late = Maker(SYMBOLS.index(maker.symbol))
        late.token, late.sequence = stale
        assert self.reserve(late, 0, 0) == [b"fenced"], "a paused leader changes nothing"
        assert self.server.client.hgetall(self.server.keys.ledger) == before

    @rule(index=INDEXES)
    def loses_its_maker_and_is_settled(self, index):
        """Whoever takes its lease has cancelled what rested, and sets the entry to what the exchange holds."""
        maker = self.makers[index]
        self.answers = [waiting for waiting in self.answers if waiting[0] is not maker]
        maker.buys = maker.sells = 0
        maker.token += 10
        maker.sequence, maker.grants = 0, Grants()
        self.lead(maker)
        words = rebuilt_entry(Holding(maker.symbol, maker.position * maker.value, 0.0, 0.0))
        keys = [self.server.keys.ledger, self.server.keys.lease(maker.symbol)]
        settled = [maker.symbol, "pod/" + maker.symbol, maker.token, *words[1:]]
        assert self.server.call(Script.SETTLE, keys, settled) == 1

    @rule()
    def the_mark_is_lost(self):
        """An empty or older ledger: every grant is void when the heartbeat sees it, before anybody may rebuild."""
        self.server.run += 1
        self.server.client.delete(self.server.keys.ledger)
        self.answers.clear()
        for maker in self.makers:
            maker.grants = Grants()
        sums = [sum(values) for values in zip(*(maker.worst() for maker in self.makers), strict=True)]
        for maker in self.makers:
            answer = self.reserve(maker, 300, 300)
            self.hear(maker, maker.position, answer)
            assert maker.grants.told.buys <= max(0, -maker.position)
            assert maker.grants.told.sells <= max(0, maker.position)
            maker.grants = Grants()
        self.server.client.hset(self.server.keys.ledger, "rebuilt", f"{self.server.run:040x}:nonce")
        self.was = tuple(max(a, b) for a, b in zip(self.was, sums, strict=True))

    @invariant()
    def no_more_than_the_limits_can_come_of_what_rests(self):
        """Beyond a limit only by what reduces a symbol's own position, whose fills the other symbols do not know."""
        reducing_buys = sum(max(0, -maker.position) * maker.value for maker in self.makers)
        reducing_sells = sum(max(0, maker.position) * maker.value for maker in self.makers)
        long, short, gross = (sum(values) for values in zip(*(m.worst() for m in self.makers), strict=True))
        assert long <= TERMS.net_micro / 1e6 + reducing_buys
        assert short <= TERMS.net_micro / 1e6 + reducing_sells
        assert gross <= TERMS.gross_micro / 1e6

    @invariant()
    def the_ledger_counts_at_least_what_rests(self):
        for maker in self.makers:
            text = self.server.client.hget(self.server.keys.ledger, "e:" + maker.symbol)
            words = [int(word) for word in text.split()[1:]] if text else [0] * 7
            long, short, gross = (value * 1e6 for value in maker.worst())
            assert words[2] >= long - abs(maker.position) * maker.value * 2e4
            assert words[3] >= short - abs(maker.position) * maker.value * 2e4
            assert words[4] >= gross


SETTINGS = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def test_whoever_reserves_fills_dies_or_forgets_the_limits_hold(lua):
    run_state_machine_as_test(lambda: LedgerMachine(lua), settings=SETTINGS)


def _everybody_buys(machine):
    for index in range(3):
        machine.reserves(index, 400, 0, late=False)
        machine.places_what_is_granted(index, 400, 0)
    machine.no_more_than_the_limits_can_come_of_what_rests()


def _search(machine):
    thorough = settings(SETTINGS, max_examples=500, derandomize=True, phases=[Phase.generate], print_blob=False)
    run_state_machine_as_test(lambda: LedgerMachine(machine.server), settings=thorough)


@pytest.mark.parametrize(
    ("story", "rule_of_the_script", "without"),
    [
        (_search, "math.max(buy_granted, buy_floor)", "buy_granted"),
        (_everybody_buys, "net_limit - sum_long - long", "net_limit - long"),
        (_search, "string.sub(mark, 1, #run + 1) == run .. ':'", "true"),
        (_search, "lease[2] ~= ARGV[3]", "false"),
    ],
    ids=["floor", "the others", "rebuilt mark", "fence"],
)
def test_the_judge_sees_a_script_that_lacks_a_rule(lua, monkeypatch, story, rule_of_the_script, without):
    source = Script.RESERVE.source
    assert rule_of_the_script in source
    monkeypatch.setattr(Script.RESERVE, "source", source.replace(rule_of_the_script, without))
    with pytest.raises(AssertionError):
        story(LedgerMachine(lua))


def test_what_the_judge_is_shown_is_allowed_with_every_rule_in_place(lua):
    _everybody_buys(LedgerMachine(lua))


def _is_filled_on_both_sides_while_it_asks(machine):
    """What was bought when it asked is sold again under the old grant, before it hears the answer."""
    machine.reserves(0, 170, 170, late=False)
    machine.places_what_is_granted(0, 170, 170)
    machine.is_filled(0, 0.25, buying=True)
    machine.reserves(0, 170, 170, late=True)
    machine.is_filled(0, 0.6, buying=False)
    machine.places_what_is_granted(0, 170, 170)
    machine.the_ledger_counts_at_least_what_rests()


def test_a_position_that_comes_back_while_it_asks_is_counted(lua):
    _is_filled_on_both_sides_while_it_asks(LedgerMachine(lua))


def test_the_judge_sees_a_floor_that_does_not_look_at_the_position(lua, monkeypatch):
    monkeypatch.setattr(Grant, "beside", lambda grant, _: (grant.buys, grant.sells))
    with pytest.raises(AssertionError):
        _is_filled_on_both_sides_while_it_asks(LedgerMachine(lua))

"""What many share of the exchange's windows, by the script itself: never more than the cap, and nobody starved."""

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from phoenix_coordination.redis.keys import AccountKeys, EgressKeys
from phoenix_coordination.redis.scripts import Script

ACCOUNT, EGRESS = AccountKeys("binance-usdm:simulator:abc"), EgressKeys("default")
LIVES_MS, FORGET_MS = 2_000, 3_000
CAP_10S, CAP_1M, CAP_WEIGHT = 192, 768, 1_536


class Worker:
    """One holder of grants, as faithful as a worker is: it sends only what it holds, while that lives."""

    def __init__(self, server, name="pod/1", *, line="", caps=(CAP_10S, CAP_1M, CAP_WEIGHT), counts_orders=True):
        self.server, self.name, self.line, self.caps = server, name, line, caps
        self.counts_orders = counts_orders
        self.sequence = self.total = self.acknowledged = self.left = self.until_ms = 0
        self.weight = self.weight_total = self.weight_acknowledged = 0
        self.account_blocked_ms = self.egress_blocked_ms = 0
        self.sent: list[int] = []
        self.log: list[tuple[int, int, int]] = []  # at, orders, weight

    def ask(
        self,
        wanted=64,
        *,
        weight=0,
        reported=(-1, -1, -1),
        exchange_ms=None,
        blocked=(0, 0),
        fixed=0,
        account_weight=0,
        lost=False,
    ):
        """One call, answered at once; with `lost` the answer never comes."""
        now_ms = self.server.now_ms
        self.sequence += 1
        held = self.held()
        arguments = [
            *(self.name, "1.0", LIVES_MS, FORGET_MS, now_ms if exchange_ms is None else exchange_ms),
            *(fixed, self.line or f"line of {self.name}", "account:abc", account_weight, 0),
            *(self.sequence if self.counts_orders else 0, self.total, self.acknowledged, self.recent(1), wanted, held),
            *(blocked[0], ACCOUNT.back_off, 2, 2, 10, self.caps[0], reported[0], 60, self.caps[1], reported[1]),
            *(self.sequence, self.weight_total, self.weight_acknowledged, self.recent(2), weight, self.weight),
            *(blocked[1], EGRESS.back_off, 5, 1, 60, self.caps[2], reported[2]),
        ]
        answer = self.server.call(Script.SPEND, keys(), arguments)
        if lost:
            return answer
        assert answer[0] in (b"told", b"stale", b"none")
        self.acknowledged, self.weight_acknowledged = self.total, self.weight_total
        self.left, self.weight, self.until_ms = int(answer[1]), int(answer[4]), now_ms + LIVES_MS
        self.account_blocked_ms, self.egress_blocked_ms = int(answer[2]), int(answer[5])
        return answer

    def held(self):
        return self.left if self.server.now_ms < self.until_ms else 0

    def send(self, orders):
        """As many as it may."""
        count = min(orders, self.held())
        self.left -= count
        self.total += count
        self.sent += [self.server.now_ms] * count
        self.log.append((self.server.now_ms, count, 0))
        return count

    def send_without_grant(self, orders=0, weight=0):
        self.total += orders
        self.weight_total += weight
        self.log.append((self.server.now_ms, orders, weight))

    def recent(self, what):
        """Of orders (1) or weight (2), those of the longest window and the second that they are on their way."""
        return sum(entry[what] for entry in self.log if entry[0] >= self.server.now_ms - 61_000)


def keys():
    return [
        *(ACCOUNT.orders, ACCOUNT.orders_speakers, ACCOUNT.orders_short),
        *(EGRESS.weight, EGRESS.weight_speakers, EGRESS.weight_short, EGRESS.makers),
    ]


def most_in(sent, window_ms):
    """Of all windows of that length the fullest."""
    sent, most, first = sorted(sent), 0, 0
    for last, at_ms in enumerate(sent):
        while sent[first] <= at_ms - window_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture
def told(lua):
    """A server on which somebody has spoken long enough for grants to be made."""

    opener = Worker(lua, "opener")
    opener.ask(0)
    lua.now_ms += LIVES_MS
    opener.ask(0)
    return lua


def time_passes(server, ms):
    """While somebody goes on speaking: a long silence is a loss of memory."""
    keeper = Worker(server, f"keeper/{server.now_ms}")
    while ms > 0:
        server.now_ms += min(ms, 1_000)
        ms -= 1_000
        keeper.ask(0)


# -- one worker --------------------------------------------------------------------------------------


def test_a_lone_worker_grows_into_the_whole_window(told):
    worker, most = Worker(told), 0
    for _ in range(12):
        worker.ask(1_000)
        most = max(most, worker.send(1_000))
        told.now_ms += 100
    assert 0.75 * CAP_10S <= len(worker.sent) <= CAP_10S
    assert most > CAP_10S / 8


def test_who_sends_nothing_holds_little_and_gives_the_rest_back(told):
    idle, busy = Worker(told, "idle"), Worker(told, "busy")
    for _ in range(20):
        idle.ask(1_000)
        busy.ask(1_000)
        busy.send(1_000)
        told.now_ms += 100
    assert 0 < idle.left <= CAP_10S / 8 + 1
    assert len(busy.sent) >= 0.7 * CAP_10S


def test_what_is_not_used_is_given_back(told):
    worker = Worker(told)
    for _ in range(50):
        worker.ask(100)
        told.now_ms += 1_000
    assert worker.left > 0, "nothing was sent, so nothing is used up"


def test_a_dead_worker_has_used_what_it_was_granted(told):
    dead = [Worker(told, f"dead/{number}", caps=(100, 600, 1_000)) for number in range(8)]
    for worker in dead:
        worker.ask(100)
    held = sum(worker.left for worker in dead)
    assert held > 25
    late = Worker(told, "late", caps=(100, 600, 1_000))
    for _ in range(20):
        late.ask(1_000)
        late.send(1_000)
        told.now_ms += 100
    assert len(late.sent) <= 100 - held
    for _ in range(130):
        late.ask(1_000)
        late.send(1_000)
        told.now_ms += 100
    assert len(late.sent) > 100 - held


def test_a_grant_is_void_after_its_time_so_late_orders_meet_no_other_window(told):
    worker = Worker(told)
    worker.ask(50)
    assert worker.left
    told.now_ms += LIVES_MS
    assert worker.send(1) == 0


def test_reducing_orders_are_counted_though_nobody_asked(told):
    worker = Worker(told)
    worker.send_without_grant(CAP_10S)
    worker.ask(10)
    assert worker.left == 0
    time_passes(told, 13_000)
    worker.ask(10)
    assert worker.left == 10


def test_what_is_told_twice_counts_once(told):
    worker = Worker(told, caps=(100, 400, 1_000))
    worker.ask(20)
    worker.send_without_grant(50)
    worker.ask(20, lost=True)
    worker.ask(20)
    assert worker.left == 20, "50 of 100 are used, not 100"


def test_of_what_is_told_for_the_first_time_no_more_counts_than_its_last_minute_holds(told):
    """Who joins after hours of attempts, or was not heard for hours, silences nobody."""
    worker, other = Worker(told), Worker(told, "pod/2")
    for _ in range(60):
        worker.send_without_grant(orders=20, weight=150)
        told.now_ms += 60_000
    worker.ask(0)
    time_passes(told, LIVES_MS)
    other.ask(50, weight=50)
    assert 0 < other.weight <= CAP_WEIGHT - 150
    assert other.left > 0


def test_what_a_grant_was_used_for_counts_though_it_is_told_late(told):
    """One second more is for the way to the exchange, and its clock: it may count what is just older than a window."""
    caps = (10, 10, 1_000)
    worker, other = Worker(told, caps=caps), Worker(told, "pod/2", caps=caps)
    told.now_ms += 1_000 - told.now_ms % 1_000
    worker.send_without_grant(orders=10)
    worker.ask(0)
    time_passes(told, 61_000)
    other.ask(10)
    assert other.left == 0, "61 s after the second in which it was sent the exchange may still count it"
    time_passes(told, 1_000)
    other.ask(10)
    assert other.left > 0


def test_a_call_that_another_has_overtaken_changes_nothing(told):
    worker = Worker(told, caps=(100, 400, 1_000))
    worker.ask(20)
    worker.sequence = 0
    before = told.client.hget(ACCOUNT.orders, "h:pod/1")
    assert worker.ask(50)[0] == b"stale"
    assert told.client.hget(ACCOUNT.orders, "h:pod/1") == before


def test_a_rehearsal_counts_its_weight_and_no_orders(told):
    rehearsal = Worker(told, "rehearsal", counts_orders=False)
    rehearsal.send_without_grant(500, weight=1_500)
    assert rehearsal.ask(50)[0] == b"none"
    assert rehearsal.left == 0
    live = Worker(told)
    live.ask(50, weight=50)
    assert 0 < live.weight <= CAP_WEIGHT - 1_500
    assert live.left == CAP_WEIGHT - 1_500 - live.weight, "of the account's orders all are left; the weight is not"


# -- what the exchange reports -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "after_ms", "granted"),
    [
        pytest.param((100, -1, -1), 0, False, id="ten seconds, used up by others"),
        pytest.param((100, -1, -1), 9_999, False, id="until its window ends"),
        pytest.param((100, -1, -1), 10_000, True, id="after its window"),
        pytest.param((-1, 400, -1), 59_000, False, id="the minute, used up by others"),
        pytest.param((-1, 400, -1), 60_000, True, id="after the minute"),
        pytest.param((10, 10, 10), 0, True, id="room is left"),
    ],
)
def test_what_others_use_counts_while_the_exchange_s_window_lasts(told, reported, after_ms, granted):
    time_passes(told, 60_000 - told.now_ms % 60_000)
    worker = Worker(told, caps=(100, 400, 1_000))
    worker.ask(10, reported=reported)
    for _ in range(after_ms // 1_000):
        told.now_ms += 1_000
        worker.ask(0)
    worker.ask(10)
    assert bool(worker.left) is granted


def test_of_the_figures_of_one_window_the_highest_stays_and_an_older_window_s_says_nothing(told):
    time_passes(told, 60_000 - told.now_ms % 60_000)
    worker = Worker(told, caps=(100, 400, 1_000))
    worker.ask(10, reported=(95, -1, -1))
    worker.ask(10, reported=(20, -1, -1))
    assert worker.left <= 5
    worker.ask(10, reported=(0, -1, -1), exchange_ms=told.now_ms - 10_000)
    assert worker.left <= 5


# -- many ----------------------------------------------------------------------------------------------

STEP = st.tuples(
    st.integers(0, 4),
    st.sampled_from(["ask", "ask", "send", "send", "lost", "reduce", "die"]),
    st.integers(1, 80),
    st.sampled_from([0, 0, 1, 50, 300, 1_000, 2_500]),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEP, min_size=20, max_size=80))
def test_whatever_the_workers_do_no_window_holds_more_than_its_cap(lua, steps):
    """Bursts, lost answers, deaths and reducing orders in between."""
    lua.begin()
    caps = (30, 60, 500)
    workers = [Worker(lua, f"pod/{number}", caps=caps) for number in range(5)]
    everybody = list(workers)
    workers[0].ask(0)
    lua.now_ms += LIVES_MS
    for number, what, count, pause_ms in steps:
        lua.now_ms += pause_ms
        worker = workers[number]
        match what:
            case "ask":
                worker.ask(count)
            case "send":
                worker.send(count)
            case "lost":
                worker.ask(count, lost=True)
            case "reduce":
                worker.send_without_grant(1)
            case "die":
                workers[number] = Worker(lua, f"pod/{len(everybody)}", caps=caps)
                everybody.append(workers[number])
    sent = [at_ms for worker in everybody for at_ms in worker.sent]
    assert most_in(sent, 10_000) <= caps[0]
    assert most_in(sent, 60_000) <= caps[1]


def test_the_judge_sees_an_overrun_where_grants_do_not_count_until_they_are_told(told, monkeypatch):
    source = Script.SPEND.source
    for counted in ("scope.seconds[index + 1] + granted end", "outstanding + granted"):
        assert counted in source
        source = source.replace(counted, counted.replace(" + granted", ""))
    monkeypatch.setattr(Script.SPEND, "source", source)
    workers = [Worker(told, f"pod/{number}", caps=(30, 60, 500)) for number in range(20)]
    for worker in workers:
        worker.ask(80)
    for worker in workers:
        worker.send(80)
    assert most_in([at_ms for worker in workers for at_ms in worker.sent], 10_000) > 30


def test_twenty_who_all_want_everything_get_about_the_same_and_use_it_up(told):
    workers = [Worker(told, f"pod/{number}") for number in range(20)]
    for _ in range(140):
        for number, worker in enumerate(workers):
            told.now_ms += 50
            for _ in range(1 + (number == 0) * 3):  # one of them asks four times as often
                worker.ask(1_000)
                worker.send(1_000)
    everything = [at_ms for worker in workers for at_ms in worker.sent]
    assert most_in(everything, 10_000) <= CAP_10S
    assert most_in(everything, 60_000) <= CAP_1M
    # Who came first had the window for itself; what counts is how it goes on.
    counts = [sum(at_ms > told.now_ms - 60_000 for at_ms in worker.sent) for worker in workers]
    assert sum(counts) >= 0.7 * CAP_1M, "what may be used is used"
    assert min(counts) >= sum(counts) / 20 * 0.6, f"the least gets more than half of an equal part: {sorted(counts)}"
    assert max(counts) <= sum(counts) / 20 * 1.5, f"the greediest gets half more than an equal part: {sorted(counts)}"


def test_who_begins_late_finds_room_within_a_window_though_others_have_used_all(told):
    greedy = [Worker(told, f"greedy/{number}") for number in range(3)]
    for _ in range(300):
        for worker in greedy:
            worker.ask(1_000)
            worker.send(1_000)
        told.now_ms += 100
    late = Worker(told, "late")
    waited_ms = 0
    while not late.sent and waited_ms < 60_000:
        for worker in greedy:
            worker.ask(1_000)
            worker.send(1_000)
        late.ask(1_000)
        late.send(1_000)
        told.now_ms += 100
        waited_ms += 100
    assert waited_ms <= 10_000


# -- weight --------------------------------------------------------------------------------------------


def test_nobody_quotes_where_the_egress_s_weight_is_used_up_because_each_order_wants_a_cancel(told):
    worker = Worker(told)
    worker.send_without_grant(weight=CAP_WEIGHT - 3)
    worker.ask(50)
    assert worker.left == 3
    worker.send_without_grant(weight=3)
    worker.ask(50)
    assert worker.left == 0


def test_accounts_of_one_egress_share_its_weight(told):
    worker = Worker(told)
    worker.send_without_grant(weight=CAP_WEIGHT)
    worker.ask(10)
    other = Worker(told, "pod/of-another-account", counts_orders=False)
    other.ask(0, weight=20)
    assert other.weight == 0


# -- back-off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "blocked"), [("account", (5_000, 0)), ("egress", (0, 5_000))])
def test_a_back_off_of_one_holds_everybody_and_ends(told, scope, blocked):
    first, second = Worker(told, "pod/1"), Worker(told, "pod/2")
    first.ask(10, blocked=blocked)
    second.ask(10, weight=10)
    assert second.account_blocked_ms == blocked[0]
    assert second.egress_blocked_ms == blocked[1]
    assert (second.left if scope == "account" else second.weight) == 0
    told.now_ms += 5_000
    second.ask(10, weight=10)
    assert second.left == second.weight == 10
    assert second.account_blocked_ms == second.egress_blocked_ms == 0


def test_while_the_egress_waits_nobody_quotes_either(told):
    Worker(told, "pod/1").ask(10, blocked=(0, 5_000))
    second = Worker(told, "pod/2")
    second.ask(10)
    assert second.egress_blocked_ms == 5_000


def test_a_shorter_back_off_does_not_end_a_longer_one(told):
    worker = Worker(told)
    worker.ask(10, blocked=(50_000, 0))
    worker.ask(10, blocked=(1_000, 0))
    assert worker.account_blocked_ms == 50_000


def test_a_back_off_is_announced_where_it_is_news(told):
    with told.client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(ACCOUNT.back_off, EGRESS.back_off)
        for _ in range(2):
            heard.get_message(timeout=5)  # what confirms them
        worker = Worker(told)
        for blocked in ((4_000, 0), (4_000, 0), (0, 9_000)):
            worker.ask(10, blocked=blocked)
        messages = []
        while (message := heard.get_message(timeout=0.5)) is not None:
            messages.append((message["channel"].decode(), message["data"]))
    assert messages == [(ACCOUNT.back_off, b"4000"), (EGRESS.back_off, b"9000")]


# -- clocks and losses ---------------------------------------------------------------------------------


def test_before_everybody_could_tell_what_the_exchange_reports_nothing_is_granted(lua):
    worker = Worker(lua)
    worker.ask(10, weight=10)
    assert worker.left == worker.weight == 0
    lua.now_ms += LIVES_MS - 1
    worker.ask(10)
    assert worker.left == 0
    lua.now_ms += 1
    worker.ask(10, weight=10)
    assert worker.left == worker.weight == 10


def test_after_a_loss_the_figures_of_the_exchange_count_before_anything_is_granted(told):
    time_passes(told, 60_000 - told.now_ms % 60_000)
    workers = [Worker(told, f"pod/{number}", caps=(100, 400, 1_000)) for number in range(2)]
    told.client.flushall()
    workers[0].ask(50, reported=(-1, -1, -1))
    workers[1].ask(50, reported=(100, -1, -1))
    assert workers[0].left == workers[1].left == 0
    told.now_ms += LIVES_MS
    workers[0].ask(50)
    assert workers[0].left == 0
    told.now_ms += 10_000
    workers[0].ask(50)
    told.now_ms += LIVES_MS
    workers[0].ask(50)
    assert workers[0].left


def test_a_server_clock_that_goes_back_neither_empties_a_window_nor_holds_it_for_ever(told):
    worker = Worker(told, caps=(30, 180, 500))
    worker.send_without_grant(30)
    worker.ask(100)
    told.now_ms -= 3_600_000
    worker.until_ms = 0
    worker.ask(100)
    assert worker.left == 0, "what was sent is still in the window"
    time_passes(told, 13_000)
    worker.ask(100)
    assert worker.left, "an hour back costs no hour"


def test_a_back_off_survives_a_clock_that_goes_back_with_its_length(told):
    worker = Worker(told)
    worker.ask(10, blocked=(20_000, 0))
    told.now_ms -= 3_600_000
    worker.ask(10)
    assert worker.account_blocked_ms == 20_000


def test_a_clock_that_jumped_ahead_grants_nothing_until_everybody_has_told(told):
    worker = Worker(told)
    worker.ask(10)
    told.now_ms += 3_600_000
    worker.ask(10)
    assert worker.left == 0
    told.now_ms += LIVES_MS
    worker.ask(10)
    assert worker.left == 10


# -- memory and foreign values -------------------------------------------------------------------------


def test_memory_is_bounded_however_many_workers_come_and_go(told):
    for number in range(200):
        Worker(told, f"pod/{number}").ask(1)
        told.now_ms += 1_000
    assert told.client.hlen(ACCOUNT.orders) <= 125
    assert told.client.hstrlen(ACCOUNT.orders, "window") <= 1_500
    assert told.client.zcard(ACCOUNT.orders_speakers) <= 125
    assert told.client.zcard(ACCOUNT.orders_short) <= 3
    assert 0 < told.client.pttl(ACCOUNT.orders) <= 180_000


@pytest.mark.parametrize("key", [ACCOUNT.orders, EGRESS.weight])
@pytest.mark.parametrize("field", ["window", "h:pod/1", "something"])
def test_a_foreign_value_is_refused_by_name(told, key, field):
    if field == "something":
        told.client.delete(key)
    told.client.hset(key, field, "who wrote this?")
    with pytest.raises(redis.exceptions.ResponseError, match=f"FOREIGN {key} holds no budget"):
        Worker(told).ask(1)


@pytest.mark.parametrize("key", [ACCOUNT.orders, EGRESS.weight])
@pytest.mark.parametrize(
    "window",
    [
        "{0/0, 0, 1, 0, {}, {}}",
        "{1, 1/0, 1, 0, {}, {}}",
        "{1, 0, 'x', 0, {}, {}}",
        "{1, 0, 1, 0, {1, 2, 0/0}, {}}",
        "{1, 0, 1, 0, {1, 2}, {}}",
        "{1, 0, 1, 0, {}, 1}",
    ],
)
def test_a_window_of_what_is_no_number_is_refused_by_name(told, key, window):
    told.client.eval(f"return redis.call('HSET', KEYS[1], 'window', cmsgpack.pack({window}))", 1, key)
    with pytest.raises(redis.exceptions.ResponseError, match=f"FOREIGN {key} holds no budget"):
        Worker(told).ask(1)


# -- admission -----------------------------------------------------------------------------------------


def admit(server, name, fixed, *, line="", cap=1_536, account="abc", account_weight=0):
    arguments = [name, line or f"line of {name}", fixed, cap, 60_000, "1.0", f"account:{account}", account_weight]
    return server.call(Script.ADMIT, [EGRESS.makers], arguments)


def test_makers_are_admitted_while_what_they_cost_fits(lua):
    for number in range(16):
        assert admit(lua, f"pod/{number}", 94)[0] == 1
    assert admit(lua, "pod/16", 94) == [0, b"1504", 16, b"94"]
    assert lua.client.hlen(EGRESS.makers) == 16


def test_what_an_account_costs_counts_once_for_all_its_makers(lua):
    assert admit(lua, "pod/1", 100, account_weight=80) == [1, b"0", 0, b"180"]
    assert admit(lua, "pod/2", 100, account_weight=80) == [1, b"180", 1, b"100"]
    assert admit(lua, "pod/3", 100, account="other", account_weight=80) == [1, b"280", 2, b"180"]
    assert admit(lua, "pod/4", 100, cap=460, account_weight=80) == [0, b"460", 3, b"100"]
    assert admit(lua, "pod/4", 100, cap=560, account_weight=80)[0] == 1
    assert admit(lua, "pod/5", 100, cap=660, account="third", account_weight=80) == [0, b"560", 4, b"180"]


def test_a_maker_that_asks_again_does_not_count_twice(lua):
    assert admit(lua, "pod/1", 1_000)[0] == 1
    assert admit(lua, "pod/1", 1_536) == [1, b"0", 0, b"1536"]


def test_a_worker_that_is_refused_leaves_nothing_behind(lua):
    assert admit(lua, "pod/1", 1_000)[0] == 1
    assert admit(lua, "pod/2", 400)[0] == 1
    assert admit(lua, "pod/2", 600)[0] == 0, "it asks for more than it has, and has nothing then"
    assert lua.client.hkeys(EGRESS.makers) == [b"pod/1"]
    assert admit(lua, "pod/3", 536)[0] == 1


def test_a_maker_that_no_longer_speaks_makes_room_after_its_minute(lua):
    assert admit(lua, "pod/1", 1_500)[0] == 1
    lua.now_ms += 60_000
    assert admit(lua, "pod/2", 94)[0] == 0
    lua.now_ms += 1
    assert admit(lua, "pod/2", 94) == [1, b"0", 0, b"94"]


def test_a_maker_that_spends_keeps_its_place_and_has_it_again_after_a_loss(told):
    worker = Worker(told)
    admit(told, "pod/1", 1_400, account_weight=80)
    for _ in range(3):
        told.now_ms += 50_000
        worker.ask(1, fixed=1_400, account_weight=80)
    assert admit(told, "pod/2", 94)[0] == 0
    told.client.flushall()
    worker.ask(1, fixed=1_400, account_weight=80)
    assert admit(told, "pod/2", 94) == [0, b"1480", 1, b"94"]


def test_all_workers_of_a_symbol_share_one_line(lua):
    """A standby, the new pod of a roll-out, the successor of a killed worker: a full egress admits them."""
    assert admit(lua, "pod/leader", 1_500, line="BTCUSDT")[0] == 1
    assert admit(lua, "pod/standby", 1_500, line="BTCUSDT") == [1, b"0", 0, b"1500"]
    lua.now_ms += 30_000  # the leader has been killed
    assert admit(lua, "pod/successor", 1_500, line="BTCUSDT")[0] == 1
    assert admit(lua, "pod/of-another", 94, line="ETHUSDT") == [0, b"1500", 1, b"94"]


def test_who_raises_nothing_is_admitted_though_less_fits_than_did(lua):
    """A roll-out that lowers the share: the new worker takes the old one's place."""
    assert admit(lua, "pod/old", 1_500, line="BTCUSDT", account_weight=80)[0] == 0
    assert admit(lua, "pod/old", 1_400, line="BTCUSDT", account_weight=80)[0] == 1
    assert admit(lua, "pod/new", 1_400, line="BTCUSDT", account_weight=80, cap=700)[0] == 1
    assert admit(lua, "pod/other", 1_401, line="BTCUSDT", account_weight=80, cap=700) == [0, b"80", 0, b"1401"]


def test_a_line_counts_at_the_most_that_any_of_its_workers_named(lua):
    assert admit(lua, "pod/old", 100, line="BTCUSDT")[0] == 1
    assert admit(lua, "pod/new", 60, line="BTCUSDT")[0] == 1
    assert admit(lua, "pod/other", 10, line="ETHUSDT", cap=109) == [0, b"100", 1, b"10"]


def test_a_line_lives_as_long_as_any_of_its_workers_speaks(told):
    leader, standby = Worker(told, "pod/leader", line="BTCUSDT"), Worker(told, "pod/standby", line="BTCUSDT")
    for worker in (leader, standby):
        assert admit(told, worker.name, 1_500, line="BTCUSDT")[0] == 1
    for _ in range(3):
        told.now_ms += 50_000
        standby.ask(0, fixed=1_500)
    assert admit(told, "pod/of-another", 94, line="ETHUSDT")[0] == 0
    assert told.client.hkeys(EGRESS.makers) == [b"pod/standby"]
    assert admit(told, "pod/new", 1_500, line="BTCUSDT")[0] == 1, "what spends speaks for its symbol"
    told.now_ms += 60_001
    assert admit(told, "pod/of-another", 94, line="ETHUSDT")[0] == 1


def test_a_line_that_a_clock_wrote_in_the_future_is_not_for_ever(lua):
    admit(lua, "pod/1", 1_500)
    lua.now_ms -= 3_600_000
    assert admit(lua, "pod/2", 94)[0] == 0
    lua.now_ms += 60_001
    assert admit(lua, "pod/2", 94)[0] == 1


def test_a_foreign_line_among_the_makers_is_refused_by_name(lua):
    lua.client.hset(EGRESS.makers, "who", "knows")
    with pytest.raises(redis.exceptions.ResponseError, match=f"FOREIGN {EGRESS.makers} who is no maker"):
        admit(lua, "pod/1", 94)

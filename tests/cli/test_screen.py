import io
from decimal import Decimal

import pytest
from phoenix_cli.local.view import (
    AccountView,
    Exposure,
    HaltView,
    MakerView,
    Mood,
    QuoteView,
    RunEvent,
    RunView,
    clock_text,
)
from phoenix_cli.plain import PlainOutput, account_line
from phoenix_cli.screen import Screen, ScreenOutput, limit_bar, position_bar
from rich.console import Console

SYMBOLS = ("BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT")


def maker(symbol="BTCUSDT", **changes) -> MakerView:
    fields = {
        "health": "Quoting",
        "mood": Mood.GOOD,
        "bid": Decimal("61234.5"),
        "ask": Decimal("61234.6"),
        "bids": tuple(QuoteView(Decimal(61230 - step), Decimal("0.004")) for step in range(4)),
        "asks": tuple(QuoteView(Decimal(61240 + step), Decimal("0.004")) for step in range(4)),
        "position": Decimal("0.05"),
        "net_max": Decimal("0.1"),
        "worst_case_ratio": 0.8,
        "pnl": Decimal("12.346"),
        "fees": Decimal("-1.5"),
        "fills": 34,
    }
    return MakerView(name=symbol.lower(), symbol=symbol, **{**fields, **changes})


def account(**changes) -> AccountView:
    fields = {
        "level": "None",
        "steward": "btcusdt",
        "exposure": Exposure(Decimal(12500), Decimal(-300), Decimal(26000)),
        "net_limit": Decimal(25000),
        "gross_limit": Decimal(50000),
    }
    return AccountView(name="default", **{**fields, **changes})


def run_view(makers, **changes) -> RunView:
    events = tuple(RunEvent(float(second), "BTCUSDT", f"event {second}") for second in range(40))
    fields = {"title": "demo", "elapsed_s": 23.4, "length_s": 60.0, "violations": 0, "events": events}
    return RunView(makers=tuple(makers), **{**fields, **changes})


def drawn(view: RunView, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(Screen(view))
    return console.file.getvalue().splitlines()


def test_what_is_no_longer_so_is_called_stale_before_all_else():
    head = drawn(run_view([maker()], stale="12 s old: the runner (pid 7) hangs"), 80, 24)[0]
    assert "STALE, 12 s old: the runner (pid 7) hangs" in head
    assert "STALE" not in drawn(run_view([maker()]), 80, 24)[0]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 45), (200, 60), (60, 15), (40, 10)])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_screen_fits_every_terminal(width, height, count):
    accounts = (account(level="Halt", reason="a long story " * 20),)
    lines = drawn(run_view([maker(symbol) for symbol in SYMBOLS[:count]], accounts=accounts), width, height)
    assert len([line for line in lines if line]) <= height
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("count", [1, 4])
def test_at_80_by_24_everything_that_matters_is_there(count):
    view = run_view([maker(symbol) for symbol in SYMBOLS[:count]], accounts=(account(),))
    text = "\n".join(drawn(view, 80, 24))
    for expected in ("emergency none", "redis ok", "steward btcusdt", "12,500/25,000", "0/25,000", "26,000/50,000"):
        assert expected in text
    for expected in ("00:23 of 01:00", "audit clean", "61234.5 ─ 61234.6", "61230", "61240", "+12.35", "event 39"):
        assert expected in text
    for expected in ("Quoting", *SYMBOLS[:count]):
        assert expected in text


def test_a_wide_terminal_shows_more_columns_and_the_distance_of_each_quote():
    sums = Exposure(Decimal(700), Decimal(600), Decimal(1234))
    text = "\n".join(drawn(run_view([maker()], accounts=(account(symbols={"BTCUSDT": sums}),)), 140, 40))
    assert "spread" in text
    assert "exposure" in text
    assert "1,234" in text, "what the symbol counts in the account's sums"
    assert "worst" in text
    assert "-0.7 bps" in text


def test_the_mode_and_the_result_of_the_day_stand_in_the_row_of_the_maker():
    row = maker(health="RiskHalted, block: daily loss of 51.91 USDT", mood=Mood.WARNING, day=Decimal("-51.912"))
    assert "RiskHalted, block: daily" in "\n".join(drawn(run_view([row]), 100, 24))
    wide = "\n".join(drawn(run_view([row]), 140, 40))
    assert "RiskHalted, block: daily loss" in wide
    assert "-51.91 " in wide
    assert drawn(run_view([maker(health="Quoting, grind")]), 80, 24)[2].split()[:3] == ["BTCUSDT", "Quoting,", "grind"]


def test_violations_are_said():
    assert "2 violations" in "\n".join(drawn(run_view([maker()], violations=2), 80, 24))


def test_what_is_not_known_is_not_invented():
    unknown = maker(bid=None, ask=None, position=None, pnl=None, fees=None, bids=(), asks=(), health="starting")
    text = "\n".join(drawn(run_view([unknown], violations=None), 120, 30))
    assert "no price" in text
    assert "audit" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"level": "Halt", "epoch": 3, "reason": "odd"}, "HALT epoch 3: odd", id="stopped"),
        pytest.param({"level": "", "trouble": "Redis does not answer"}, "not known", id="not-known"),
        pytest.param({"trouble": "Redis does not answer"}, "Redis does not answer", id="redis-lost"),
        pytest.param(
            {"halts": (HaltView("ETHUSDT", 2, "daily loss"),)}, "ETHUSDT halted, epoch 2: daily loss", id="halt"
        ),
        pytest.param({"exposure": None}, "exposure –", id="no-exposure"),
    ],
)
def test_what_stands_against_an_account_is_said(changes, said):
    view = run_view([maker()], accounts=(account(**changes),))
    assert said in "\n".join(drawn(view, 140, 30))
    with PlainOutput(io.StringIO()) as output:
        output.update(view)


def test_what_others_wrote_is_drawn_as_text(capsys):
    evil = "line1\nline2 \x1b[31mred\x9b"
    view = run_view(
        [maker(health=f"Emergency: {evil}")],
        accounts=(account(level="Halt", reason=evil, trouble=evil, halts=(HaltView("ETHUSDT", 2, evil),)),),
        events=(RunEvent(1.0, "default", evil),),
        stale=evil,
    )
    screen = "\n".join(drawn(view, 400, 30))
    assert screen.count(r"line1\nline2 \x1b[31mred\x9b") == 6
    assert "\x1b[31m" not in screen
    assert "\x9b" not in screen
    with PlainOutput() as output:
        output.update(view)
        output.event(view.events[0])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("value", "bar"),
    [
        pytest.param("-5", "·····", id="below-zero"),
        pytest.param("0", "·····", id="none"),
        pytest.param("50", "██···", id="half"),
        pytest.param("100", "█████", id="at-the-limit"),
        pytest.param("250", "█████", id="beyond"),
    ],
)
def test_a_sum_is_drawn_against_its_limit(value, bar):
    assert limit_bar(Decimal(value), Decimal(100)).plain == bar


def test_the_plain_line_of_an_account_tells_its_sums_and_what_stops_it():
    stopped = account(level="Halt", epoch=3, reason="odd", halts=(HaltView("ETHUSDT", 2, "daily loss"),))
    assert account_line(stopped) == (
        "account default emergency Halt epoch 3 (odd) long 12500/25000 short 0/25000 gross 26000/50000"
        " halted ETHUSDT epoch 2 (daily loss) steward btcusdt"
    )
    assert account_line(account(level="", trouble="Redis does not answer", exposure=None, steward="")) == (
        "account default emergency not known Redis does not answer"
    )


@pytest.mark.parametrize(
    ("position", "bar"),
    [
        pytest.param("0", "·····│·····", id="flat"),
        pytest.param("0.001", "·····│█····", id="little-is-seen"),
        pytest.param("0.05", "·····│██···", id="half-long"),
        pytest.param("-0.05", "···██│·····", id="half-short"),
        pytest.param("0.1", "·····│█████", id="at-netMax"),
        pytest.param("-0.2", "█████│·····", id="beyond"),
    ],
)
def test_the_position_is_drawn_against_net_max(position, bar):
    assert position_bar(Decimal(position), Decimal("0.1")).plain == bar


def test_the_live_screen_draws_the_newest_view_and_leaves_the_terminal_as_it_was():
    terminal = io.StringIO()
    with ScreenOutput(Console(width=80, height=24, file=terminal, force_terminal=True)) as screen:
        screen.event(RunEvent(1.0, "run", "x"))
        screen.update(run_view([maker(health="PriceStale")]))
    assert "PriceStale" in terminal.getvalue()
    alternate_on, alternate_off = "\x1b[?1049h", "\x1b[?1049l"
    assert terminal.getvalue().index(alternate_on) < terminal.getvalue().index(alternate_off)


def test_plain_lines_tell_each_event_and_the_makers_now_and_then():
    stream = io.StringIO()
    with PlainOutput(stream) as output:
        output.event(RunEvent(65.0, "BTCUSDT", "ready, leading", Mood.GOOD))
        output.update(run_view([maker(restarts=1)]))
        output.update(run_view([maker()]))  # too soon for another line
    event, maker_line = stream.getvalue().splitlines()
    assert event == "01:05 BTCUSDT ready, leading"
    assert maker_line.startswith("00:23 BTCUSDT Quoting 61234.5/61234.6 quotes 4×4 position 0.05 of 0.1 worst 0.80")
    assert maker_line.endswith("pnl +12.35 fills 34 restarts 1")


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (65.9, "01:05"), (3605, "1:00:05")])
def test_the_clock(seconds, text):
    assert clock_text(seconds) == text

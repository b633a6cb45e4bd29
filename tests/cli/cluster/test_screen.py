"""The live screen of a cluster at any size: what needs a person is what is seen first."""

import io

import msgspec
import pytest
from phoenix_cli.cluster.resources import fleet_of
from phoenix_cli.cluster.screen import FleetScreen
from phoenix_cli.cluster.view import FleetView
from rich.console import Console


@pytest.fixture
def draw(account, now_ms):
    def drawn(makers, *, columns: int = 100, rows: int = 24, namespace: str = "trading", stale: str = "", **changes):
        fleet = FleetView(cluster="kind-phoenix", namespace=namespace, accounts=fleet_of([account()], makers, now_ms))
        out = io.StringIO()
        console = Console(file=out, width=columns, height=rows, color_system=None, force_terminal=True)
        console.print(FleetScreen(msgspec.structs.replace(fleet, **changes), stale), end="")
        return out.getvalue().splitlines()

    return drawn


@pytest.fixture
def stale(maker, condition):
    """A maker that does not quote."""

    def of(name: str):
        unready = [condition("Ready", "True", "InForce"), condition("Quoting", "False", "PriceStale", "no frame")]
        return maker(name, reason="PriceStale", conditions=unready)

    return of


def test_what_does_not_quote_stands_first(draw, maker, stale):
    lines = draw([maker("aaa"), maker("bbb"), stale("zzz")])
    assert "quoting 2 of 3" in lines[0]
    assert [line.split()[0] for line in lines[3:]] == ["zzz", "aaa", "bbb"]
    assert "PriceStale: no frame" in lines[3]


@pytest.mark.parametrize("rows", [8, 24, 50])
def test_what_does_not_fit_is_counted(draw, maker, stale, rows):
    makers = [*(maker(f"maker-{index:03}") for index in range(100)), *(stale(f"stale-{index}") for index in range(3))]
    lines = draw(makers, rows=rows)
    assert len(lines) <= rows
    shown = [line for line in lines if line.split()[0].startswith(("maker-", "stale-"))]
    assert [line.split()[0] for line in shown[:3]] == ["stale-0", "stale-1", "stale-2"]
    left = 103 - len(shown)
    assert lines[-1] == f" and {left} more, of which {left} quote"


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_no_line_is_wider_than_the_terminal(draw, maker, stale, columns):
    assert max(map(len, draw([maker(), stale("ethusdt")], columns=columns))) <= columns


def test_of_all_namespaces_a_maker_is_told_with_its_own(draw, maker):
    assert any("trading/btcusdt" in line for line in draw([maker()], namespace="", columns=120))


def test_what_is_not_how_things_are_now_is_marked(draw, maker):
    assert (
        "STALE, 12s old: the API server does not answer"
        in draw([maker()], stale="12s old: the API server does not answer")[0]
    )


def test_what_could_not_be_read_is_told(draw, maker):
    assert "RBAC forbids to list tradingaccounts" in draw([maker()], unread=["RBAC forbids to list tradingaccounts"])[2]

"""The live screen of a cluster: what does not quote stands first, and what does not fit is counted."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from phoenix_cli.cluster.text import age, figures_age, money, number, remark
from phoenix_cli.cluster.view import NOT_TOLD, AccountView, FleetView, MakerView
from phoenix_cli.screen import position_bar

_NONE = "None"
_WIDE = 110
_FEWEST_ROWS = 3


class FleetScreen:
    """A `FleetView` as something that rich can draw at whatever size the terminal has.

    `stale`: why it is not how things are now; empty where it is.
    """

    def __init__(self, fleet: FleetView, stale: str = "") -> None:
        self._fleet = fleet
        self._stale = stale

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fleet, height = self._fleet, options.height or console.height
        lines = [self._header(), *map(_account, fleet.accounts)]
        lines += [Text(problem, style="yellow", no_wrap=True, overflow="ellipsis") for problem in fleet.unread]
        lines = lines[: max(1, height - _FEWEST_ROWS - 1)]
        makers = sorted(fleet.makers, key=lambda maker: (maker.quoting == "True", maker.key))
        rows = max(0, height - len(lines) - 1)  # below the table's own header
        shown = makers if len(makers) <= rows else makers[: max(0, rows - 1)]
        yield Group(*lines, _table(shown, options.max_width, everywhere=not fleet.namespace))
        if left := makers[len(shown) :]:
            quoting = sum(maker.quoting == "True" for maker in left)
            yield Text(f" and {len(left)} more, of which {quoting} quote", style="dim")

    def _header(self) -> Text:
        fleet = self._fleet
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f" phoenix {fleet.cluster} ", style="bold reverse")
        text.append(f" {fleet.namespace or 'all namespaces'}", style="bold")
        if self._stale:
            text.append(f"  STALE, {self._stale}", style="bold red")
        makers = fleet.makers
        quoting = sum(maker.quoting == "True" for maker in makers)
        style = "green" if quoting == len(makers) else "yellow"
        return text.append("  quoting ", style="dim").append(f"{quoting} of {len(makers)}", style=style)


def _account(account: AccountView) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" account ", style="dim").append(account.account, style="bold")
    if not account.there:
        return text.append("  is not there", style="bold red")
    text.append("  emergency ", style="dim")
    if account.emergency == _NONE:
        text.append("none", style="green")
    elif account.emergency:
        text.append(f"{account.emergency.upper()} epoch {account.epoch}: {account.reason}", style="bold red")
    else:
        text.append("not known", style="bold red")
    if account.declared != _NONE:
        text.append(f"  declared {account.declared.upper()}", style="bold red")
    if account.waiting:
        text.append(f"  {account.waiting} requests wait", style="yellow")
    for halt in account.halts:
        text.append(f"  {halt.symbol} halted, epoch {halt.epoch}: {halt.reason}", style="yellow")
    return text


def _table(makers: Sequence[MakerView], width: int, *, everywhere: bool) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=True)
    wide = width >= _WIDE
    table.add_column("maker", no_wrap=True, style="bold")
    if wide:
        table.add_column("symbol", no_wrap=True)
        table.add_column("mode", no_wrap=True)
    table.add_column("quoting", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("position", justify="right", no_wrap=True)
    table.add_column("of netMax", no_wrap=True)
    table.add_column("mid", justify="right", no_wrap=True)
    table.add_column("pnl", justify="right", no_wrap=True)
    table.add_column("told", justify="right", no_wrap=True)
    table.add_column("rst", justify="right", no_wrap=True)
    if wide:
        table.add_column("age", justify="right", no_wrap=True)
    for maker in makers:
        figures = maker.figures or NOT_TOLD
        table.add_row(
            maker.full_name if everywhere else maker.name,
            *((maker.symbol, maker.mode) if wide else ()),
            _quoting(maker),
            number(figures.position),
            position_bar(figures.position, maker.net_max) if maker.net_max else Text("–"),
            number(figures.mid),
            money(figures.pnl),
            figures_age(figures),
            Text(str(maker.restarts.total), style="yellow" if maker.restarts.total else "dim"),
            *((age(maker.age_s),) if wide else ()),
        )
    return table


def _quoting(maker: MakerView) -> Text:
    told = remark(maker)
    match maker.quoting:
        case "True":
            return Text(told or "yes", style="yellow" if told else "green")
        case "False":
            return Text(told, style="yellow" if maker.ready == "True" else "bold red")
        case _:
            return Text(told, style="bold red")

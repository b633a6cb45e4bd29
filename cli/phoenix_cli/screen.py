"""The live screen: what is quoted, held, earned and broken, at a glance. Fits 80×24, and uses a larger terminal."""

from decimal import Decimal
from typing import Self

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from phoenix_cli.local.view import AccountView, MakerView, Mood, QuoteView, RunEvent, RunView, clock_text
from phoenix_cli.printing import one_line

_STYLES = {Mood.PLAIN: "", Mood.GOOD: "green", Mood.WARNING: "yellow", Mood.BAD: "bold red"}

_BAR_HALF = 5
_LADDER_WIDTH = 32
_NARROWEST_EVENTS = 44
_FEWEST_EVENT_ROWS = 5
_FRAME_ROWS = 2
_ACCOUNT_ROWS = 2
_LIMIT_BAR = 5
_FRAME_COLUMNS = 4


class Screen:
    """A `RunView` as something that rich can draw at whatever size the terminal has right now."""

    def __init__(self, view: RunView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view, width, height = self._view, options.max_width, options.height or console.height
        layout = Layout()
        body = Layout()
        table_rows, account_rows = len(view.makers) + 2, _ACCOUNT_ROWS * len(view.accounts)
        layout.split_column(
            Layout(_header(view), size=1),
            *((Layout(_accounts(view), size=account_rows),) if account_rows else ()),
            Layout(_makers(view, width), size=table_rows),
            body,
        )
        rows = height - 1 - account_rows - table_rows
        ladders_width = len(view.makers) * _LADDER_WIDTH
        beside = 0 < ladders_width <= width - _NARROWEST_EVENTS
        ladder_rows = min(_ladder_rows(view), rows - _FEWEST_EVENT_ROWS - _FRAME_ROWS)
        if beside:
            ladders = Layout(_ladders(view, ladders_width, rows), size=ladders_width)
            events = _events(console, view, width - ladders_width - _FRAME_COLUMNS, rows - _FRAME_ROWS)
            body.split_row(ladders, Layout(events))
        elif view.makers and ladder_rows >= _FRAME_ROWS + 3:
            ladders = Layout(_ladders(view, width, ladder_rows), size=ladder_rows)
            events = _events(console, view, width - _FRAME_COLUMNS, rows - ladder_rows - _FRAME_ROWS)
            body.split_column(ladders, Layout(events))
        else:
            body.update(_events(console, view, width - _FRAME_COLUMNS, rows - _FRAME_ROWS))
        yield layout


def _ladder_rows(view: RunView) -> int:
    return max((len(maker.bids) + len(maker.asks) + 1 for maker in view.makers), default=1) + _FRAME_ROWS


def _header(view: RunView) -> Text:
    length = f" of {clock_text(view.length_s)}" if view.length_s is not None else ""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" phoenix {view.title} ", style="bold reverse")
    text.append(f" {clock_text(view.elapsed_s)}{length}", style="bold")
    if view.speed != 1:
        text.append(f" ×{view.speed:g}")
    if view.stale:
        text.append(one_line(f"  STALE, {view.stale}"), style="bold red")
    if view.violations is not None:
        clean = view.violations == 0
        text.append("  audit ", style="dim")
        text.append("clean" if clean else f"{view.violations} violations", style="green" if clean else "bold red")
    for label, value in (("page", view.page), ("market", view.market), ("exchange", view.exchange)):
        if value:
            text.append(f"  {label} ", style="dim")
            text.append(value)
    return text


def _accounts(view: RunView) -> Text:
    """Two lines for each: the switch and who looks after it; what all its makers together may come to hold."""
    return Text("\n", no_wrap=True, overflow="ellipsis").join(
        line for account in view.accounts for line in (_switch(account), _exposure(account))
    )


def _switch(account: AccountView) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" account ", style="dim").append(account.name, style="bold")
    text.append("  emergency ", style="dim")
    if account.level == "None":
        text.append("none", style="green")
    else:
        told = f"{account.level.upper()} epoch {account.epoch}: {account.reason}" if account.level else "not known"
        text.append(one_line(told), style="bold red")
    text.append("  redis ", style="dim")
    text.append(one_line(account.trouble) or "ok", style="bold red" if account.trouble else "green")
    text.append("  steward ", style="dim").append(account.steward or "–")
    for halt in account.halts:
        text.append(one_line(f"  {halt.symbol} halted, epoch {halt.epoch}: {halt.reason}"), style="yellow")
    return text


def _exposure(account: AccountView) -> Text:
    text, shared = Text(no_wrap=True, overflow="ellipsis"), account.exposure
    if shared is None:
        return text.append(" exposure –", style="dim")
    sums = ((" long ", shared.net_long, account.net_limit), ("  short ", shared.net_short, account.net_limit))
    for label, value, limit in (*sums, ("  gross ", shared.gross, account.gross_limit)):
        text.append(label, style="dim")
        text.append_text(limit_bar(value, limit))
        text.append(f" {max(value, Decimal(0)):,.0f}")
        if limit is not None:
            text.append(f"/{limit:,.0f}", style="dim")
    return text


def limit_bar(value: Decimal, limit: Decimal | None) -> Text:
    """How much of a limit is used; full at the limit, red beyond it. Below zero nothing is used."""
    ratio = float(value / limit) if limit else 0.0
    filled = max(0, min(_LIMIT_BAR, round(ratio * _LIMIT_BAR)))
    style = "bold red" if ratio > 1 else "yellow" if ratio >= 0.7 else "cyan"
    return Text.assemble(("█" * filled, style), ("·" * (_LIMIT_BAR - filled), "dim"))


def _makers(view: RunView, width: int) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=True)
    table.add_column("symbol", no_wrap=True, style="bold")
    table.add_column("health", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("bid", justify="right", no_wrap=True)
    table.add_column("ask", justify="right", no_wrap=True)
    if width >= 110:
        table.add_column("spread", justify="right", no_wrap=True)
    table.add_column("position", justify="right", no_wrap=True)
    table.add_column("of netMax", no_wrap=True, width=2 * _BAR_HALF + 1)
    if width >= 100:
        table.add_column("worst", justify="right", no_wrap=True)
        table.add_column("fees", justify="right", no_wrap=True)
    shared = {symbol: sums.gross for account in view.accounts for symbol, sums in account.symbols.items()}
    if width >= 110 and shared:
        table.add_column("exposure", justify="right", no_wrap=True)
    if width >= 110:
        table.add_column("day", justify="right", no_wrap=True)
    table.add_column("pnl", justify="right", no_wrap=True)
    table.add_column("fills", justify="right", no_wrap=True)
    table.add_column("rst", justify="right", no_wrap=True)
    for maker in view.makers:
        worst = "–" if maker.worst_case_ratio is None else f"{maker.worst_case_ratio:.2f}"
        table.add_row(
            maker.symbol,
            Text(one_line(maker.health), style=_STYLES[maker.mood]),
            _number(maker.bid),
            _number(maker.ask),
            *((_spread(maker),) if width >= 110 else ()),
            _number(maker.position),
            position_bar(maker.position, maker.net_max),
            *((worst, _money(maker.fees)) if width >= 100 else ()),
            *((f"{shared.get(maker.symbol, Decimal(0)):,.0f}",) if width >= 110 and shared else ()),
            *((_money(maker.day),) if width >= 110 else ()),
            _money(maker.pnl),
            str(maker.fills),
            Text(str(maker.restarts), style="yellow" if maker.restarts else "dim"),
        )
    return table


def position_bar(position: Decimal | None, net_max: Decimal) -> Text:
    """Short to the left, long to the right of the middle; full at netMax, and red beyond it."""
    if position is None:
        return Text("–", style="dim")
    ratio = float(position / net_max)
    filled = min(_BAR_HALF, round(abs(ratio) * _BAR_HALF))
    if position != 0:
        filled = max(filled, 1)  # a position is never drawn as none
    style = "bold red" if abs(ratio) > 1 else "yellow" if abs(ratio) >= 0.7 else "cyan"
    empty = "·" * (_BAR_HALF - filled)
    bar = Text()
    bar.append("·" * _BAR_HALF if ratio >= 0 else empty, style="dim")
    if ratio < 0:
        bar.append("█" * filled, style=style)
    bar.append("│", style="dim")
    if ratio > 0:
        bar.append("█" * filled, style=style)
    bar.append("·" * _BAR_HALF if ratio <= 0 else empty, style="dim")
    return bar


def _ladders(view: RunView, width: int, rows: int) -> RenderableType:
    """Our quotes around the touch, a panel for each maker that fits side by side."""
    shown = view.makers[: max(1, width // (_LADDER_WIDTH - 6))]
    roomy = width // len(shown) >= _LADDER_WIDTH
    layout = Layout()
    layout.split_row(
        *(
            Layout(Panel(_ladder(maker, rows - _FRAME_ROWS, roomy), title=maker.symbol, border_style="dim"))
            for maker in shown
        )
    )
    return layout


def _ladder(maker: MakerView, rows: int, roomy: bool) -> RenderableType:
    a_side = max(1, (rows - 1) // 2)
    asks = sorted(maker.asks, key=lambda quote: quote.price)[:a_side]
    bids = sorted(maker.bids, key=lambda quote: quote.price, reverse=True)[:a_side]
    largest = max((quote.quantity for quote in (*asks, *bids)), default=Decimal(1))
    mid = None if maker.bid is None or maker.ask is None else (maker.bid + maker.ask) / 2
    if maker.bid is None or maker.ask is None:
        touch = Text("no price", style="yellow", justify="center")
    else:
        touch = Text(f"{maker.bid:f} ─ {maker.ask:f}", style="bold", justify="center", no_wrap=True)
    distance_from = mid if roomy else None
    return Group(
        _ladder_side(asks[::-1], distance_from, largest, "red"),
        touch,
        _ladder_side(bids, distance_from, largest, "green"),
    )


def _ladder_side(quotes: list[QuoteView], mid: Decimal | None, largest: Decimal, color: str) -> Table:
    """A row for each quote: price, quantity, size among the others and, where there is room, the distance from mid."""
    side = Table.grid(expand=True, padding=(0, 1, 0, 0))
    side.add_column(justify="right", no_wrap=True, style=color)
    side.add_column(justify="right", no_wrap=True)
    side.add_column(no_wrap=True, style=color, width=4)
    side.add_column(justify="right", no_wrap=True, style="dim", ratio=1, overflow="crop")
    for quote in quotes:
        size = max(1, round(float(quote.quantity / largest) * 4))
        distance = "" if not mid else f"{float((quote.price - mid) / mid) * 1e4:+.1f} bps"
        side.add_row(f"{quote.price:f}", f"{quote.quantity:f}", "▪" * size, distance)
    return side


def _events(console: Console, view: RunView, width: int, rows: int) -> Panel:
    """The newest events that fit, the newest last; long ones go on in the next line."""
    lines: list[Text] = []
    for event in reversed(view.events):
        text = Text.assemble(
            (clock_text(event.at_s), "dim"),
            (one_line(f" {event.subject} "), "bold"),
            (one_line(event.text), _STYLES[event.mood]),
        )
        lines = [*text.wrap(console, max(width, 1)), *lines]
        if len(lines) >= rows:
            break
    return Panel(Group(*lines[-max(rows, 1) :]), title="what happened", title_align="left", border_style="dim")


def _number(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:f}"


def _money(value: Decimal | None) -> Text:
    if value is None:
        return Text("–", style="dim")
    return Text(f"{value:+.2f}", style="green" if value > 0 else "red" if value < 0 else "")


def _spread(maker: MakerView) -> str:
    if maker.bid is None or maker.ask is None:
        return "–"
    return f"{float((maker.ask - maker.bid) / (maker.ask + maker.bid)) * 2e4:.2f} bps"


class ScreenOutput:
    """The live screen on a terminal; what was there before comes back afterwards."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def event(self, event: RunEvent) -> None:
        """Events are part of the next view."""

    def update(self, view: RunView) -> None:
        self.show(Screen(view))

    def show(self, drawn: ConsoleRenderable) -> None:
        """At once, in place of what was there."""
        self._live.update(drawn, refresh=True)

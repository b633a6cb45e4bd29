"""Where there is no terminal: a line for each event, and one for each maker every few seconds."""

import sys
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Self, TextIO

from phoenix_cli.local.report import PnlReport, Report
from phoenix_cli.local.view import AccountView, MakerView, RunEvent, RunView, clock_text
from phoenix_cli.printing import one_line

_EVERY_S = 5.0


class PlainOutput:
    """Lines to a stream, flushed: a pipe sees them as they happen."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._next_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def event(self, event: RunEvent) -> None:
        self._line(f"{clock_text(event.at_s)} {event.subject} {event.text}")

    def update(self, view: RunView) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        for account in view.accounts:
            self._line(f"{clock_text(view.elapsed_s)} {account_line(account)}")
        for maker in view.makers:
            self._line(f"{clock_text(view.elapsed_s)} {maker_line(maker)}")

    def _line(self, text: str) -> None:
        print(one_line(text), file=self._stream, flush=True)


def maker_line(maker: MakerView) -> str:
    """`BTCUSDT Quoting 61234.5/61234.6 quotes 5×5 position 0.012 of 0.2 worst 0.43 pnl +1.23 fills 12 restarts 0`."""
    touch = "–/–" if maker.bid is None or maker.ask is None else f"{maker.bid:f}/{maker.ask:f}"
    position = "–" if maker.position is None else f"{maker.position:f}"
    worst = "" if maker.worst_case_ratio is None else f" worst {maker.worst_case_ratio:.2f}"
    pnl = "" if maker.pnl is None else f" pnl {maker.pnl:+.2f}"
    return (
        f"{maker.symbol} {maker.health} {touch} quotes {len(maker.bids)}×{len(maker.asks)}"
        f" position {position} of {maker.net_max:f}{worst}{pnl} fills {maker.fills} restarts {maker.restarts}"
    )


def account_line(account: AccountView) -> str:
    """`account default emergency None epoch 0 long 1200/25000 short 900/25000 gross 2100/50000 steward btcusdt`."""
    level = f"{account.level} epoch {account.epoch}" if account.level else "not known"
    reason = f" ({account.reason})" if account.reason and account.level not in {"", "None"} else ""
    words = [f"account {account.name} emergency {level}{reason}"]
    shared = account.exposure
    if shared is not None:
        sums = (("long", shared.net_long, account.net_limit), ("short", shared.net_short, account.net_limit))
        for name, value, limit in (*sums, ("gross", shared.gross, account.gross_limit)):
            words.append(f"{name} {max(value, Decimal(0)):.0f}" + (f"/{limit:.0f}" if limit is not None else ""))
    words += [f"halted {halt.symbol} epoch {halt.epoch} ({halt.reason})" for halt in account.halts]
    if account.steward:
        words.append(f"steward {account.steward}")
    if account.trouble:
        words.append(account.trouble)
    return " ".join(words)


def _spent(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{word} {spent:{'.0f' if spent >= 10 else '.2g'}} s" for word, spent in seconds.items())


def _result(pnl: PnlReport) -> str:
    if pnl.fees is None:
        return "pnl not known (fees in what has no price yet)"
    total = pnl.realised + pnl.unrealised - pnl.fees + pnl.funding
    return f"pnl {total:+.4f} (fees {pnl.fees:.4f})"


def summary(report: Report) -> str:
    """The report for people, a few lines."""
    lines = [f"ran {report.duration_s:.0f} s at speed {report.speed:g}, seed {report.seed}"]
    for symbol, told in report.symbols.items():
        lines.append(
            f"{symbol}: {told.fills} fills, volume {told.volume:.2f}, position {told.position:f}, {_result(told.pnl)},"
            f" worst case {told.max_worst_case_ratio:.2f} of netMax,"
            f" orders {told.orders_sent}, stale {told.stale_episodes}, resyncs {told.resyncs}, restarts {told.restarts}"
        )
        if set(told.modes_s) - {"normal"}:
            lines.append(f"{symbol}: modes {_spent(told.modes_s)}; {_spent(told.reasons_s)}")
        lines += [f"{symbol}: halted: {reason}" for reason in told.halts]
    account = report.account
    emergency = (
        f"{account.emergency.level}, epoch {account.emergency.epoch}" if account.emergency.level else "not known"
    )
    lines.append(
        f"account: at most long {account.net_long:.0f} and short {account.net_short:.0f} of {account.limits.net:.0f},"
        f" gross {account.gross:.0f} of {account.limits.gross:.0f}; emergency {emergency}"
    )
    exchange = report.exchange
    violations = sum(exchange.audit.values())
    lines.append(
        f"exchange: {exchange.fills} fills, {exchange.open_orders} open orders,"
        f" audit {'clean' if not violations else f'{violations} violations'};"
        f" {'agrees' if report.agreement else 'disagrees'} with the workers"
    )
    lines += [
        f"expected: {verdict.text}: {'held' if verdict.held else verdict.reason}" for verdict in exchange.expectations
    ]
    return "\n".join(lines) + "\n"

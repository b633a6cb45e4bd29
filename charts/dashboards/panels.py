"""What a dashboard is made of: a panel is a title, a unit and its queries, each with its legend.

A maker's series are those of whichever worker leads: leader and standby tell the same names. Which maker a worker
belongs to says `mm_build_info`, because two accounts may trade one symbol.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SAME_WORKER = "on (job, instance, symbol)"
LEADS = f"and {SAME_WORKER} mm_lease_held == 1"
WINDOW = "[$__rate_interval]"
QUOTE_ASSET = '"asset", "$1", "symbol", ".+?(USDT|USDC|FDUSD|BUSD|USD|BTC)"'
"""For `label_replace`: what a symbol's money is. What cannot be added is not added."""
EMERGENCY = ((0, "none", "green"), (1, "HALT", "red"), (2, "FLATTEN", "red"))


@dataclass(frozen=True)
class Panel:
    """`queries`: legend and PromQL. `kind`: `timeseries`, `stat` or `state-timeline`. `words` name values of a stat."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    text: str = ""
    kind: str = "timeseries"
    width: int = 8
    words: tuple[tuple[int, str, str], ...] = ()
    stacked: bool = False


@dataclass(frozen=True)
class Dashboard:
    """`rows`: a heading and its panels. `variable`: a name and the query of its values, beside the data source."""

    name: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variable: tuple[str, str] | None = None


def stat(
    title: str,
    query: str,
    unit: str = "short",
    text: str = "",
    words: Iterable[tuple[int, str, str]] = (),
    legend: str = "",
) -> Panel:
    """One value; with a `legend`, one for each series, under its name."""
    return Panel(title, ((legend or title, query),), unit, text, kind="stat", width=4, words=tuple(words))


def rate(metric: str) -> str:
    return f"rate({metric}{WINDOW})"


def quantile(share: float, histogram: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({histogram}_bucket{WINDOW})))"


def or_none(query: str, label: str) -> str:
    """A line at 0 where nothing of it has happened: not the same as no data."""
    return f'{query} or label_replace(vector(0), "{label}", "none", "", "")'

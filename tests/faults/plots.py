"""The makers of a cell: those of `configs/`, with an account whose limits do not admit all that they want at once."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
from mutations import Mutation
from phoenix_cli.local.fleet import at_endpoint, load_fleet, of_symbols
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.parameters import Parameters
from phoenix_coordination.port import LeaseTimes
from phoenix_worker.runtime.resolve import resolve
from phoenix_worker.runtime.resolved import Resolved

CONFIGS = Path(__file__).parents[2] / "configs"
TEMPLATE = "ETHUSDT"
COOLDOWN_NS = 1_000_000_000
NET, GROSS = Decimal(1200), Decimal(1600)
"""Two makers that are flat want to have some 1700 on either side."""
TIMES = LeaseTimes(ttl_s=1.0, renew_s=0.2, margin_s=0.2)


@dataclass(frozen=True, slots=True)
class Plot:
    """What a cell is made of: parameters by symbol as the worker's resolver made them, and the account's limits."""

    resolved: dict[str, Resolved]
    files: dict[str, tuple[Path, Path]]
    net: Decimal
    gross: Decimal
    slots: int = 2
    times: LeaseTimes = TIMES
    mutation: Mutation = Mutation.NONE

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.resolved)


def two_makers(root: Path, mutation: Mutation = Mutation.NONE) -> Plot:
    return _plot(root, ("ETHUSDT", "SOLUSDT"), NET, GROSS, mutation)


def many_makers(root: Path, count: int, times: LeaseTimes) -> Plot:
    """Makers of `count` contracts that are all like ETHUSDT; the account's limits are wide."""
    names = tuple(f"X{number:02d}USDT" for number in range(count))
    plot = _plot(root, (TEMPLATE,), Decimal(1_000_000), Decimal(2_000_000), Mutation.NONE)
    like, files = plot.resolved[TEMPLATE], plot.files[TEMPLATE]
    resolved = {name: msgspec.structs.replace(like, symbol=name, maker=name.lower()) for name in names}
    return Plot(resolved, dict.fromkeys(names, files), plot.net, plot.gross, slots=1, times=times)


def _plot(root: Path, symbols: tuple[str, ...], net: Decimal, gross: Decimal, mutation: Mutation) -> Plot:
    parameters = Parameters(StateDirectory(root))
    resolved, files = {}, {}
    for item in of_symbols(load_fleet([CONFIGS / "accounts", CONFIGS / "makers"]), symbols):
        account = at_endpoint(item.account, "http://127.0.0.1:9")
        limits = account.spec.limits.model_copy(update={"net_notional": net, "gross_notional": gross})
        account = account.model_copy(update={"spec": account.spec.model_copy(update={"limits": limits})})
        risk = item.maker.spec.risk.model_copy(update={"capital": Decimal(1_000_000)})
        maker = item.maker.model_copy(update={"spec": item.maker.spec.model_copy(update={"risk": risk})})
        place = parameters.put(maker, account)
        files[item.symbol] = (place / "maker.yaml", place / "account.yaml")
        resolved[item.symbol] = _impatient(resolve(*files[item.symbol]))
    return Plot(resolved, files, net, gross, mutation=mutation)


def _impatient(resolved: Resolved) -> Resolved:
    """A worker that found a position and no memory of it waits for a minute; a storm has no minute to spare."""
    guards = msgspec.structs.replace(resolved.quoting.guards, cooldown_ns=COOLDOWN_NS)
    return msgspec.structs.replace(resolved, quoting=msgspec.structs.replace(resolved.quoting, guards=guards))

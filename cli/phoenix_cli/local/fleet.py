"""Which makers a run has: manifests read, checked as `phoenix check` does, and each maker put beside its account."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phoenix_crds import Endpoints, MarketMaker, TradingAccount

from phoenix_cli.manifests import load_valid
from phoenix_cli.refusal import Refused


@dataclass(frozen=True, slots=True)
class Assignment:
    """A maker and the account that it trades on."""

    maker: MarketMaker
    account: TradingAccount

    @property
    def symbol(self) -> str:
        return self.maker.spec.symbol

    @property
    def venue(self) -> str:
        """The venue's world in which it trades: what has its outages together."""
        return f"{self.account.spec.venue} {self.account.spec.environment}"


def load_fleet(paths: Iterable[str | Path]) -> list[Assignment]:
    """Every maker of the files with its account; raises `InvalidResourceError` or `Refused` with what to do."""
    loaded = load_valid(paths)
    accounts = {manifest.key[1:]: account for manifest, account in loaded.accounts}
    fleet: dict[str, Assignment] = {}
    for manifest, maker in loaded.makers:
        account = accounts.get((manifest.key[1], maker.spec.account_ref))
        if account is None:
            raise Refused(
                f"{manifest.file}:{manifest.line('spec.accountRef')}: TradingAccount {maker.spec.account_ref}"
                " is not among these files: pass its file too"
            )
        if maker.metadata.name in fleet:
            raise Refused(
                f"{manifest.file}:{manifest.line('metadata.name')}: a second maker {maker.metadata.name}:"
                " a local run has one namespace, so give it another name, or pass one of them"
            )
        fleet[maker.metadata.name] = Assignment(maker, account)
    if not fleet:
        raise Refused("no MarketMaker among these files: nothing to run")
    return list(fleet.values())


def of_symbols(fleet: Sequence[Assignment], symbols: Sequence[str]) -> list[Assignment]:
    """The assignments of these symbols, in this order; raises `Refused` for one that nobody trades."""
    by_symbol = {assignment.symbol: assignment for assignment in fleet}
    if not symbols:
        raise Refused(f"--symbols names none; there are: {', '.join(by_symbol)}")
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise Refused(f"--symbols {','.join(missing)}: no maker in configs/makers; there are: {', '.join(by_symbol)}")
    return [by_symbol[symbol] for symbol in symbols]


def at_endpoint(account: TradingAccount, url: str) -> TradingAccount:
    """The account at the simulator that listens there."""
    spec = account.spec.model_copy(update={"endpoints": Endpoints.model_validate({"baseUrl": url})})
    return account.model_copy(update={"spec": spec})


def quote_asset(symbol: str) -> str:
    """`USDC` of `ETHUSDC`: the linear contracts of the venue are quoted in one of these two."""
    found = re.fullmatch(r".+(USDT|USDC)", symbol)
    if found is None:
        raise Refused(f"{symbol} is quoted in neither USDT nor USDC: the simulated exchange lists no such contract")
    return found[1]

"""The resolved parameters of a run's makers, as each worker reads them: written again whenever they change."""

from dataclasses import dataclass, field
from pathlib import Path

from phoenix_crds import MarketMaker, TradingAccount, write_resolved

from phoenix_cli.local.layout import NAMESPACE, StateDirectory


@dataclass(slots=True)
class Parameters:
    """What lies in the directories of the makers, by the makers' names."""

    directory: StateDirectory
    _written: dict[str, tuple[MarketMaker, TradingAccount]] = field(default_factory=dict)

    def put(self, maker: MarketMaker, account: TradingAccount) -> Path:
        """Writes both where the maker's worker reads them, as a new generation where they differ; returns the place."""
        place = self.directory.parameters(maker.metadata.name)
        before = self._written.get(maker.metadata.name)
        if before is None or before[0].spec != maker.spec or before[1].spec != account.spec:
            generation = 1 if before is None else (before[0].metadata.generation or 0) + 1
            resolved = _as_local(maker, generation), _as_local_account(account, generation)
            write_resolved(place, *resolved)
            self._written[maker.metadata.name] = resolved
        return place


def _as_local(maker: MarketMaker, generation: int) -> MarketMaker:
    metadata = maker.metadata.model_copy(update={"namespace": NAMESPACE, "generation": generation})
    return maker.model_copy(update={"metadata": metadata})


def _as_local_account(account: TradingAccount, generation: int) -> TradingAccount:
    metadata = account.metadata.model_copy(update={"namespace": NAMESPACE, "generation": generation})
    return account.model_copy(update={"metadata": metadata})

"""Who hears of which events. Most events are public and come by the thousand; most listeners care for private ones."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

from phoenix_simulator.exchange.events import ExchangeEvent

E = TypeVar("E", bound=ExchangeEvent)


class Listeners:
    """Each event goes to those who asked for its kind, in the order in which they came. They must not raise."""

    def __init__(self) -> None:
        self._by_kind: dict[type[Any], list[Callable[[Any], None]]] = {kind: [] for kind in get_args(ExchangeEvent)}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, listener: Callable[[ExchangeEvent], None]) -> None:
        """It hears everything."""
        self.append_for(listener, *get_args(ExchangeEvent))

    def append_for(self, listener: Callable[[E], None], *kinds: type[E]) -> None:
        """It hears events of these kinds, and of no other."""
        for kind in kinds:
            self._by_kind[kind].append(listener)
        self._count += 1

    def hear(self, kind: type[ExchangeEvent]) -> bool:
        """Whether anybody does: an event that nobody hears need not be made."""
        return bool(self._by_kind[kind])

    def tell(self, event: ExchangeEvent) -> None:
        for listener in self._by_kind[event.__class__]:
            listener(event)

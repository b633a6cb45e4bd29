"""Who hears of which events. Most events are public and come by the thousand; most listeners care for private ones."""

from collections.abc import Callable
from typing import Any, TypeVar

from phoenix_simulator.exchange.events import ExchangeEvent

E = TypeVar("E", bound=ExchangeEvent)


class Listeners:
    """Each event goes to those who asked for its kind, in the order in which they came. They must not raise."""

    def __init__(self) -> None:
        self._listeners: list[tuple[Callable[[Any], None], frozenset[type[Any]]]] = []
        """With the kinds that it hears; none are all."""
        self._by_kind: dict[type[ExchangeEvent], tuple[Callable[[Any], None], ...]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def append(self, listener: Callable[[ExchangeEvent], None]) -> None:
        """It hears everything."""
        self._add(listener, frozenset())

    def append_for(self, listener: Callable[[E], None], *kinds: type[E]) -> None:
        """It hears events of these kinds, and of no other."""
        self._add(listener, frozenset[type[Any]](kinds))

    def hear(self, kind: type[ExchangeEvent]) -> bool:
        """Whether anybody does: an event that nobody hears need not be made."""
        return bool(self._of(kind))

    def tell(self, event: ExchangeEvent) -> None:
        for listener in self._of(event.__class__):
            listener(event)

    def _of(self, kind: type[ExchangeEvent]) -> tuple[Callable[[Any], None], ...]:
        listeners = self._by_kind.get(kind)
        if listeners is None:
            listeners = tuple(listener for listener, kinds in self._listeners if not kinds or kind in kinds)
            self._by_kind[kind] = listeners
        return listeners

    def _add(self, listener: Callable[[Any], None], kinds: frozenset[type[ExchangeEvent]]) -> None:
        self._listeners.append((listener, kinds))
        self._by_kind.clear()

"""Listen keys and the user data stream.

One key per account, sixty minutes of life from its last extension. A connection may name any key: a wrong one stays
silent, an expired one says `listenKeyExpired` once and is silent from then on.
"""

import secrets
from typing import Final, get_args

import msgspec

from phoenix_simulator.api.connection import Connection
from phoenix_simulator.api.hub import Hub
from phoenix_simulator.api.render.events import EventRenderer, listen_key_expired
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.events import PrivateEvent
from phoenix_simulator.exchange.exchange import Exchange

LIFE_NS: Final = 3_600 * 1_000_000_000
_EXPIRED_EVENT: Final = "listenKeyExpired"


class ListenKey(msgspec.Struct):
    """`expires_ns` on the simulated monotonic clock."""

    key: str
    account_id: str
    expires_ns: int


class UserStreams:
    def __init__(self, exchange: Exchange, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._renderer = EventRenderer(exchange)
        self._by_account: dict[str, ListenKey] = {}
        self._wanted: dict[tuple[Connection, str], frozenset[str]] = {}
        """Event types a connection asked for with a key; absent means all."""
        exchange.listeners.append_for(self.on_event, *get_args(PrivateEvent))

    # ---- listen keys --------------------------------------------------------------------------------------------

    def start(self, account_id: str) -> str:
        """The account's key: the present one, extended, or a new one."""
        held = self._by_account.get(account_id)
        if held is None:
            held = self._by_account[account_id] = ListenKey(secrets.token_hex(32), account_id, 0)
        held.expires_ns = self._clock.monotonic_ns() + LIFE_NS
        return held.key

    def keep(self, account_id: str) -> str:
        """Extends the key by its whole life; -1125 where there is none."""
        if account_id not in self._by_account:
            raise VenueError(-1125, "This listenKey does not exist.")
        return self.start(account_id)

    def stop(self, account_id: str) -> None:
        self._by_account.pop(account_id, None)

    def expire_due(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for held in [held for held in self._by_account.values() if held.expires_ns <= now_ns]:
            self.expire(held.account_id)

    def expire(self, account_id: str | None) -> int:
        """Ends a key, or every key, and says so to who listens. Sockets stay up. Returns how many ended."""
        ended = [held for held in self._by_account.values() if account_id in {None, held.account_id}]
        for held in ended:
            del self._by_account[held.account_id]
            payload = listen_key_expired(held.key, self._clock.reported_ms())
            self._deliver(held.key, _EXPIRED_EVENT, payload)
        return len(ended)

    # ---- connections --------------------------------------------------------------------------------------------

    def want(self, connection: Connection, key: str, events: frozenset[str]) -> None:
        """Only these event types of this key (none named: all)."""
        if events:
            self._wanted[connection, key] = events

    def leave(self, connection: Connection) -> None:
        for wanted in [wanted for wanted in self._wanted if wanted[0] is connection]:
            del self._wanted[wanted]

    # ---- events -------------------------------------------------------------------------------------------------

    def on_event(self, event: PrivateEvent) -> None:
        held = self._by_account.get(event.account_id)
        if held is None or held.key not in self._hub.topics:
            return
        name, payload = self._renderer.render(event, self._clock.reported_ms())
        self._deliver(held.key, name, payload)

    def _deliver(self, key: str, name: str, payload: bytes) -> None:
        topic = self._hub.topics.get(key)
        if topic is None:
            return
        for connection in tuple(topic.connections):
            wanted = self._wanted.get((connection, key))
            if wanted is None or name in wanted or name == _EXPIRED_EVENT:
                self._hub.send(connection, topic, payload)

"""Who listens to what: topics, their connections, and the one seam at which frames can go wrong.

A frame is encoded once per topic and fanned out; the combined envelope is built once more, only if somebody uses it.
Topics are market streams by name and user streams by listen key.
"""

import asyncio
from collections import deque
from typing import Final

import msgspec

from phoenix_simulator.api.connection import Connection, text_frame
from phoenix_simulator.api.stream_names import StreamName
from phoenix_simulator.audit.books import BookWatch
from phoenix_simulator.clock import Clock
from phoenix_simulator.fault_schedule import Faults, Scheduled
from phoenix_simulator.faults import Duplicate, Gap, Late, Outage, Reorder, Silence

USER: Final = "user"
"""What faults call the user data stream."""
_REORDER_PATIENCE_S: Final = 0.5
"""A frame held back for reordering goes out by itself when no second one comes (simulated seconds)."""


class Topic:
    """One stream that can be subscribed to. `stream` is None for user data."""

    __slots__ = ("connections", "name", "opening", "stream", "suffix", "symbol")

    def __init__(self, name: str, stream: StreamName | None) -> None:
        self.name = name
        self.opening = b'{"stream":"%b","data":' % name.encode()
        """Of the combined envelope."""
        self.stream = stream
        self.symbol = "" if stream is None else stream.symbol
        self.suffix = USER if stream is None else stream.suffix
        self.connections: dict[Connection, None] = {}


class _Numbered(msgspec.Struct):
    """What every event of a book tells: its last update."""

    u: int


_numbered: Final = msgspec.json.Decoder(_Numbered)


class _Lane:
    """What a fault has held back of one topic for one connection; keeps late frames in their order."""

    __slots__ = ("held", "release_s", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.release_s = 0.0
        self.held: bytes | None = None


class Hub:
    def __init__(self, clock: Clock, faults: Faults, watch: BookWatch) -> None:
        self._clock = clock
        self._faults = faults
        self._watch = watch
        self._lanes: dict[tuple[Connection, str], _Lane] = {}
        self.topics: dict[str, Topic] = {}
        """Only topics that somebody listens to."""
        self.connections: dict[Connection, None] = {}

    def subscribe(self, connection: Connection, name: str, stream: StreamName | None) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            topic = self.topics[name] = Topic(name, stream)
        topic.connections[connection] = None
        if stream is not None:
            self._watch.subscribed(connection.holder, stream, connection)
        return topic

    def unsubscribe(self, connection: Connection, name: str) -> None:
        topic = self.topics.get(name)
        if topic is None or connection not in topic.connections:
            return
        del topic.connections[connection]
        self._lanes.pop((connection, name), None)
        if topic.stream is not None:
            self._watch.unsubscribed(connection.holder, topic.stream, connection, self._clock.monotonic_ns())
        if not topic.connections:
            del self.topics[name]

    def leave(self, connection: Connection) -> None:
        """The connection is gone, with all that it listened to."""
        self.connections.pop(connection, None)
        for name in [name for name, topic in self.topics.items() if connection in topic.connections]:
            self.unsubscribe(connection, name)

    def listens_to(self, connection: Connection, symbol: str) -> bool:
        return any(topic.symbol == symbol and connection in topic.connections for topic in self.topics.values())

    def publish(self, topic: Topic, payload: bytes) -> None:
        """To everybody who listens to the topic."""
        watched = self._faults.active or self._watch.watched or self._lanes
        raw: bytes | None = None
        wrapped: bytes | None = None
        for connection in tuple(topic.connections):
            if connection.combined:
                frame = wrapped = wrapped or _combined_frame(topic, payload)
            else:
                frame = raw = raw or text_frame(payload)
            if watched:
                self._send_watched(connection, topic, frame, payload)
            else:
                connection.offer(frame)

    def send(self, connection: Connection, topic: Topic, payload: bytes) -> None:
        """To one of the topic's connections."""
        frame = _combined_frame(topic, payload) if connection.combined else text_frame(payload)
        if self._faults or self._lanes:
            self._send_watched(connection, topic, frame, payload)
        else:
            connection.offer(frame)

    def _send_watched(self, connection: Connection, topic: Topic, frame: bytes, payload: bytes) -> None:
        lane = self._lanes.get((connection, topic.name))
        for scheduled in self._faults.for_frame(topic.symbol, topic.suffix, connection.route, connection.holder):
            match scheduled.fault:
                case Silence() | Outage() | Gap():
                    self._lose(scheduled, connection, topic, payload)
                    return
                case Duplicate():
                    scheduled.use()
                    connection.offer(frame)
                case Late(delay_seconds=delay):
                    scheduled.use()
                    self._delay(connection, topic, frame, delay)
                    return
                case Reorder():
                    scheduled.use()
                    self._swap(connection, topic, frame)
                    return
                case _:
                    pass
        if lane is not None and lane.waiting:
            self._delay(connection, topic, frame, 0.0)
            return
        if lane is not None and lane.held is not None:
            self._swap(connection, topic, frame)
            return
        self._deliver(connection, topic, frame)

    def _deliver(self, connection: Connection, topic: Topic, frame: bytes) -> None:
        connection.offer(frame)
        if topic.stream is not None and self._watch.watched:
            self._watch.delivered(connection.holder, topic.stream, self._clock.monotonic_ns())

    def _lose(self, scheduled: Scheduled, connection: Connection, topic: Topic, payload: bytes) -> None:
        scheduled.use()
        if topic.stream is not None and topic.stream.kind.is_book:
            update_id = _numbered.decode(payload).u
            self._watch.lost(connection.holder, topic.stream, self._clock.monotonic_ns(), update_id)

    def _delay(self, connection: Connection, topic: Topic, frame: bytes, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        lane = self._lanes.setdefault((connection, topic.name), _Lane())
        lane.release_s = max(loop.time() + delay_s / self._clock.rate, lane.release_s)
        lane.waiting.append(frame)
        # Each call releases the oldest frame, so equal times cannot turn the order round.
        loop.call_at(lane.release_s, self._release, connection, topic)
        if topic.stream is not None:
            self._watch.late(connection.holder, topic.stream, self._clock.monotonic_ns(), delay_s)

    def _release(self, connection: Connection, topic: Topic) -> None:
        lane = self._lanes.get((connection, topic.name))
        if lane is None:
            return
        if lane.waiting:
            connection.offer(lane.waiting.popleft())
        self._drop_idle(connection, topic, lane)

    def _swap(self, connection: Connection, topic: Topic, frame: bytes) -> None:
        lane = self._lanes.setdefault((connection, topic.name), _Lane())
        if lane.held is None:
            lane.held = frame
            patience_s = _REORDER_PATIENCE_S / self._clock.rate
            asyncio.get_running_loop().call_later(patience_s, self._give_back, connection, topic, frame)
            return
        connection.offer(frame)
        connection.offer(lane.held)
        lane.held = None
        self._drop_idle(connection, topic, lane)

    def _give_back(self, connection: Connection, topic: Topic, frame: bytes) -> None:
        lane = self._lanes.get((connection, topic.name))
        if lane is not None and lane.held is frame:
            lane.held = None
            connection.offer(frame)
            self._drop_idle(connection, topic, lane)

    def _drop_idle(self, connection: Connection, topic: Topic, lane: _Lane) -> None:
        if not lane.waiting and lane.held is None:
            self._lanes.pop((connection, topic.name), None)


def _combined_frame(topic: Topic, payload: bytes) -> bytes:
    return text_frame(topic.opening + payload + b"}")

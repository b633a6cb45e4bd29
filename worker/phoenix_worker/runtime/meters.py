"""What the shell measures while it works, cheap enough to do at every event; exported by `metrics` and `publisher`."""

from phoenix_worker.runtime.histogram import Histogram


class Meters:
    """Durations are life's own, whatever the rate of the run's clock."""

    __slots__ = ("decision", "order_round_trip", "tick_to_order")

    def __init__(self) -> None:
        self.decision = Histogram()
        """One event through the engine, its actions begun."""
        self.tick_to_order = Histogram()
        """From the receipt of what led to an order until its bytes were handed to the socket."""
        self.order_round_trip = Histogram()
        """From the bytes of a command to its answer."""

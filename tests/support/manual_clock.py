"""A clock that only a test moves."""


class ManualClock:
    """Seconds, monotonic: what it is called for where a component asks for the time."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

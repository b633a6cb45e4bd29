"""What the market does, incrementally: O(1) a sample, one sample a second."""

import math
from itertools import pairwise

import msgspec

WINDOW_SECONDS = 1_800
"""The 30 minutes of the price deviation."""

HALF_LIFE_SECONDS = 60.0
"""Of the volatility: long enough to be stable over a quote's life, short enough to widen within a burst."""

_DECAY = 0.5 ** (1.0 / HALF_LIFE_SECONDS)
FORGOTTEN_AFTER_NS = 60_000_000_000
"""Nothing was heard of the market for so long: what was known is of another one, and is read from klines instead."""
WARM_SAMPLES = 10
"""Returns needed before σ₁ₛ is believed where no klines could be read."""


class Statistics(msgspec.Struct):
    """σ₁ₛ (EWMA of squared 1 s log returns) and the 30-minute standard deviation of price relative to its mean.

    The window keeps deviations from `anchor`, so that its sums stay small, and rebuilds them once a turn, so that
    rounding does not pile up.
    """

    heard_ns: int = 0
    """Up to when they know the market: from samples, klines or another worker."""
    last_sample_ns: int = 0
    last_price: float = 0.0
    variance: float = 0.0
    returns: int = 0
    anchor: float = 0.0
    ring: list[float] = []
    head: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def sigma_1s(self) -> float:
        return math.sqrt(self.variance)

    @property
    def warm(self) -> bool:
        return self.returns >= WARM_SAMPLES

    @property
    def stddev_30m(self) -> float | None:
        """Relative to the mean; none before 30 full minutes."""
        count = len(self.ring)
        if count < WINDOW_SECONDS:
            return None
        mean = self.total / count
        variance = max(0.0, self.squares / count - mean * mean)
        return math.sqrt(variance) / (self.anchor + mean)

    def forget(self, now_ns: int) -> bool:
        """Whether the market has been unheard of for so long that nothing known of it holds; then nothing is known."""
        if now_ns - self.heard_ns <= FORGOTTEN_AFTER_NS or not self.ring:
            return False
        self.heard_ns = self.last_sample_ns = self.returns = self.head = 0
        self.last_price = self.variance = self.total = self.squares = 0.0
        self.ring = []
        return True

    def preload(self, closes: list[float], now_ns: int) -> None:
        """Start from 1-minute closes, oldest first: each stands for its 60 samples, and σ₁ₛ for σ of a minute / √60."""
        usable = [close for close in closes if close > 0]
        if self.warm or len(usable) < 2:
            return
        self.heard_ns = now_ns
        returns = [math.log(b / a) for a, b in pairwise(usable)]
        self.variance = sum(r * r for r in returns) / len(returns) / 60.0
        self.returns = WARM_SAMPLES
        for close in usable[-WINDOW_SECONDS // 60 :]:
            for _ in range(60):
                self._push(close)

    def on_time(self, now_ns: int, price: float) -> None:
        """Takes the one sample of this second, if it is due. Missed seconds (no book) are not invented."""
        if now_ns - self.last_sample_ns < 1_000_000_000:
            return
        elapsed = (now_ns - self.last_sample_ns) / 1e9
        if self.last_price > 0 and elapsed < 5.0:
            change = math.log(price / self.last_price)
            # A late sample spans more than a second: variance grows linearly with time.
            self.variance = _DECAY * self.variance + (1.0 - _DECAY) * change * change / elapsed
            if not self.returns:
                self.variance = change * change / elapsed
            self.returns += 1
        # Keep the phase where samples come on time; start a new one after a pause.
        self.last_sample_ns = self.last_sample_ns + 1_000_000_000 if elapsed < 2.0 else now_ns
        self.last_price = price
        self.heard_ns = now_ns
        self._push(price)

    def _push(self, price: float) -> None:
        if not self.ring:
            self.anchor = price
        value = price - self.anchor
        if len(self.ring) < WINDOW_SECONDS:
            self.ring.append(value)
            self.total += value
            self.squares += value * value
            return
        old = self.ring[self.head]
        self.ring[self.head] = value
        self.head += 1
        if self.head == WINDOW_SECONDS:
            self.head = 0
            self.total = math.fsum(self.ring)
            self.squares = math.fsum(v * v for v in self.ring)
            return
        self.total += value - old
        self.squares += value * value - old * old

"""How long to wait after so many failures in a row."""

_MOST_DOUBLINGS = 16
"""From half a second nine hours: longer than any bound that is given."""


def doubled(first_ns: int, times: int, last_ns: int) -> int:
    """Twice as long each time, up to `last_ns`."""
    return min(first_ns << min(times, _MOST_DOUBLINGS), last_ns)

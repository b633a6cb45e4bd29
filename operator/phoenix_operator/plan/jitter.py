"""A maker's own share of a span, so that a thousand of them do not act in one second."""

import zlib


def jitter_of(uid: str) -> float:
    """0 … 1, always the same for one resource."""
    return zlib.crc32(uid.encode()) / 2**32

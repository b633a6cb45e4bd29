"""Client order ids: who sent an order, under which lease, and why, in at most 26 of the venue's 36 characters.

    px k3f9a0 - 0mf2x9q1 - q 1z
       │        │          │ └ sequence: 1-7 base-36 digits, counts up within a token, no leading zero
       │        │          └── purpose: one letter, the rule that wanted the order
       │        └───────────── token: the lease's fencing number, 8 base-36 digits
       └────────────────────── installation: 6 base-36 digits, one per account resource

The text is canonical: `parse` accepts exactly what `format` can make, so that two spellings never name one order.
"""

import hashlib
import re

import msgspec

INSTALLATION_DIGITS = 6
TOKEN_DIGITS = 8
MAX_SEQUENCE_DIGITS = 7
MAX_TOKEN = 36**TOKEN_DIGITS - 1
"""Tokens are at least the wall clock in ms, so eight digits last until the year 2059."""
MAX_SEQUENCE = 36**MAX_SEQUENCE_DIGITS - 1

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_INSTALLATION = re.compile(r"[0-9a-z]{6}")
_PURPOSE = re.compile(r"[a-z]")
_ORDER_ID = re.compile(r"px([0-9a-z]{6})-([0-9a-z]{8})-([a-z])(0|[1-9a-z][0-9a-z]{0,6})")

PATTERN = r"^px(?P<installation>[0-9a-z]{6})-(?P<token>[0-9a-z]{8})-[a-z][0-9a-z]{1,7}$"
"""For an observer (the simulated exchange's audit) that finds installation and token in a client order id."""


class OrderId(msgspec.Struct, frozen=True):
    installation: str
    token: int
    purpose: str
    sequence: int


def format(installation: str, token: int, purpose: str, sequence: int) -> str:  # noqa: A001 - read as order_id.format
    """The client order id; raises `ValueError` for a part that does not fit (never truncated: ids must differ)."""
    if not _INSTALLATION.fullmatch(installation):
        raise ValueError(f"installation {installation!r} is not six base-36 digits")
    if not 0 <= token <= MAX_TOKEN:
        raise ValueError(f"token {token} does not fit {TOKEN_DIGITS} base-36 digits")
    if not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"purpose {purpose!r} is not one letter a-z")
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise ValueError(f"sequence {sequence} does not fit {MAX_SEQUENCE_DIGITS} base-36 digits: take a new token")
    return f"px{installation}-{_base36(token).rjust(TOKEN_DIGITS, '0')}-{purpose}{_base36(sequence)}"


def parse(client_id: str) -> OrderId | None:
    """The parts of an id of ours (of any installation); `None` for everything that `format` could not have made."""
    match = _ORDER_ID.fullmatch(client_id)
    if match is None:
        return None
    installation, token, purpose, sequence = match.groups()
    return OrderId(installation, int(token, 36), purpose, int(sequence, 36))


def installation_of(uid: str) -> str:
    """The six digits of an installation from its unique name (the account resource's `metadata.uid`)."""
    digest = int.from_bytes(hashlib.sha256(uid.encode()).digest(), "big")
    return _base36(digest % 36**INSTALLATION_DIGITS).rjust(INSTALLATION_DIGITS, "0")


def _base36(value: int) -> str:
    digits = ""
    while True:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
        if value == 0:
            return digits

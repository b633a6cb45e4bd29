"""The one table of verdicts: what an error of the exchange means for the request that got it.

Every code of the exchange's documentation that a maker can meet stands here once, with how the request ended
(refused with proof, or unknown), which refusal the core acts on, and whether the same request may be sent again.
What is not in the table is refused where the exchange answered with a 4xx, and unknown where it answered with a 5xx:
an order that may exist counts as live until it has been looked up.
"""

from dataclasses import dataclass
from enum import StrEnum

from phoenix_worker.core.events import Outcome, Refusal


class Retry(StrEnum):
    """Whether the same request may be sent again, and after what."""

    NEVER = "never"  # a bug, a setting or an account in trouble: the same request fails the same way
    ADJUST = "adjust"  # only a different one, from a newer book, position or filter
    LATER = "later"  # as it is, after a back-off
    WINDOW = "window"  # as it is, when the rate limit's window has passed
    RESYNC = "resync"  # as it is, after the clock has been measured again
    LOOK = "look"  # not before the order has been looked up: it may exist


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` is set exactly where `outcome` is REFUSED."""

    outcome: Outcome
    refusal: Refusal | None
    retry: Retry


UNKNOWN = Verdict(Outcome.UNKNOWN, None, Retry.LOOK)
NOT_SENT = Verdict(Outcome.REFUSED, Refusal.NOT_SENT, Retry.LATER)
BANNED = Verdict(Outcome.REFUSED, Refusal.BANNED, Retry.WINDOW)
RATE_LIMITED = Verdict(Outcome.REFUSED, Refusal.RATE_LIMIT, Retry.WINDOW)
FAILED = Verdict(Outcome.REFUSED, Refusal.OTHER, Retry.LATER)
DENIED = Verdict(Outcome.REFUSED, Refusal.DENIED, Retry.NEVER)


def _refused(refusal: Refusal, retry: Retry, *codes: int) -> dict[int, Verdict]:
    return dict.fromkeys(codes, Verdict(Outcome.REFUSED, refusal, retry))


VERDICTS: dict[int, Verdict] = {
    # Unknown: executed or not, nobody says.
    **dict.fromkeys((-1000, -1006, -1007, -4083), UNKNOWN),
    # Certainly failed, worth another try.
    **_refused(Refusal.OTHER, Retry.LATER, -1001, -1016, -2012),
    **_refused(Refusal.RATE_LIMIT, Retry.LATER, -1008),
    **_refused(Refusal.RATE_LIMIT, Retry.WINDOW, -1003, -1015),
    **_refused(Refusal.CLOCK, Retry.RESYNC, -1021, -5028),
    # Routine for a maker.
    **_refused(Refusal.WOULD_TAKE, Retry.ADJUST, -5022),
    **_refused(Refusal.GONE, Retry.ADJUST, -2011, -2013),
    **_refused(Refusal.UNCHANGED, Retry.ADJUST, -5027),
    **_refused(Refusal.DUPLICATE, Retry.LOOK, -4116),
    # The position, the margin or the book is not what we thought.
    **_refused(Refusal.REDUCE_ONLY, Retry.ADJUST, -2022, -2024, -4118),
    **_refused(Refusal.MARGIN, Retry.ADJUST, -2018, -2019, -2027, -2028),
    **_refused(Refusal.OTHER, Retry.ADJUST, -2010, -2020, -2021, -2025, -5021),
    **_refused(Refusal.OTHER, Retry.ADJUST, -5025, -5026, -5037, -5038, -5039, -5040, -5041, -5043, -5047),
    **_refused(Refusal.OTHER, Retry.LATER, -4131),
    # Off the filters: our rounding, or filters that changed.
    **_refused(Refusal.FILTER, Retry.ADJUST, -1111, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4016),
    **_refused(Refusal.FILTER, Retry.ADJUST, -4023, -4024, -4164, -5029),
    # The symbol.
    **_refused(Refusal.SYMBOL_REDUCES, Retry.LATER, -4105, -4106, -4107, -4400, -4401),
    **_refused(Refusal.SYMBOL_CLOSED, Retry.NEVER, -1121, -1122, -4140, -4141, -5024),
    # The key or the account is in trouble.
    **_refused(Refusal.DENIED, Retry.NEVER, -1002, -1011, -1022, -1099, -1109, -2014, -2015, -2017, -2023),
    **_refused(Refusal.DENIED, Retry.NEVER, -4087, -4088, -4109, -4189, -4192, *range(-4209, -4201), -4402, -4403),
    # The listen key, and settings: never the answer to an order.
    **_refused(Refusal.OTHER, Retry.LATER, -1125),
    **_refused(Refusal.UNCHANGED, Retry.NEVER, -4046, -4059, -4171),
    **_refused(Refusal.OTHER, Retry.NEVER, -4047, -4048, -4067, -4068, -4161, -4167, -4168, -4169, -4170, -4172, -4531),
    # Requests that are wrong in themselves: a bug of ours or a setting of the account (position mode).
    **_refused(
        Refusal.OTHER, Retry.NEVER, -1013, -1014, -1020, *range(-1106, -1099), -1114, -1115, -1116, -1117, -1120
    ),
    **_refused(Refusal.OTHER, Retry.NEVER, -1127, -1130, -1131, -1136, -2026, -4015, -4021, -4028, -4032),
    **_refused(Refusal.OTHER, Retry.NEVER, -4060, -4061, -4062, -4082, -4120, -4165, -4166),
}

_CERTAIN_503 = "service unavailable"
"""The one 503 without a code that says that nothing was done ("Unknown error, …" says the contrary)."""


def verdict(status: int, code: int, message: str) -> Verdict:
    """What an error means. `status` is the HTTP status (or the WebSocket API's, which is alike), `code` 0 where
    the body had none.

    The status comes first where it says more than the code: a ban is one whatever the body says, and a time-out is
    unknown.
    The four kinds of 503 differ by text and code alone (documentation: general information, HTTP return codes).
    """
    if status == 418:
        return BANNED
    if code == -1003 and "banned" in message.lower():
        return BANNED
    known = VERDICTS.get(code)
    if status == 429:
        return known if known is not None and known.refusal is Refusal.RATE_LIMIT else RATE_LIMITED
    if status == 408:
        return UNKNOWN
    if known is not None:
        return known
    if status == 503 and message.strip().rstrip(".").lower() == _CERTAIN_503:
        return FAILED
    if status >= 500:
        return UNKNOWN
    if status in (401, 403):
        return DENIED if status == 401 else Verdict(Outcome.REFUSED, Refusal.RATE_LIMIT, Retry.LATER)
    return Verdict(Outcome.REFUSED, Refusal.OTHER, Retry.NEVER)

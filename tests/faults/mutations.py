"""Workers with one of their safeguards taken out: the judge must find what they do."""

import hashlib
from enum import StrEnum

from phoenix_coordination.redis.scripts import Script
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import RequestBudget
from phoenix_worker.venue.binance.rest import Rest
from phoenix_worker.venue.binance.wsapi import WsApi


class Mutation(StrEnum):
    NONE = "none"
    NO_FENCE = "no-fence"
    """An order is checked against no deadline once it is approved, its receive window does not end there, and its share
    of the account's orders does not lapse, which would stop it, too.
    """
    NO_TOKEN_CHECK = "no-token-check"
    """`reserve.lua` looks at neither the lease's holder and token nor the sequence."""
    NO_REBUILT_CHECK = "no-rebuilt-check"
    """`reserve.lua` grants from a ledger that nobody has rebuilt."""


_FENCED = "if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] or lease[3] ~= '' then"
_STALE = "if before and (token < before.token or (token == before.token and sequence <= before.sequence)) then"
_TRUSTED = "if string.sub(mark, 1, #run + 1) == run .. ':' then"


def mutate(mutation: Mutation) -> None:
    """Of this process."""
    match mutation:
        case Mutation.NONE:
            pass
        case Mutation.NO_FENCE:
            _unfence()
        case Mutation.NO_TOKEN_CHECK:
            _replace(Script.RESERVE, {_FENCED: "if false then", _STALE: "if false then"})
        case Mutation.NO_REBUILT_CHECK:
            _replace(Script.RESERVE, {_TRUSTED: "if true then"})


def _replace(script: Script, changes: dict[str, str]) -> None:
    source = script.source
    for old, new in changes.items():
        if source.count(old) != 1:
            raise RuntimeError(f"{script.value}.lua has no line {old!r}: the mutation would change nothing")
        source = source.replace(old, new)
    script.source = source
    script.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _unfence() -> None:
    window, send, change = ExchangeTime.receive_window, WsApi.send, Rest.change

    def whole_window(time: ExchangeTime, now_ns: int, deadline_ns: int | None, configured_ms: int) -> tuple[int, int]:
        _ = deadline_ns
        return window(time, now_ns, None, configured_ms)

    ExchangeTime.receive_window = whole_window  # type: ignore[method-assign] # the mutation
    RequestBudget.admits_order = lambda *_: True  # type: ignore[method-assign]
    # `before_ns` is the fifth argument of the one, `deadline_ns` a keyword of the other.
    WsApi.send = lambda self, *words: send(self, *words[:4], None, *words[5:])  # type: ignore[method-assign]
    Rest.change = lambda self, *words, **named: change(self, *words, **{**named, "deadline_ns": None})  # type: ignore[method-assign]

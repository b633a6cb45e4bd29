"""What is declared to the audit by `POST /sim/audit`: a test, or the demo, says what the clients promised."""

from decimal import Decimal
from typing import Annotated

import msgspec

from phoenix_simulator.audit.books import Graces


def _require_positive(**amounts: Decimal | None) -> None:
    for name, amount in amounts.items():
        if amount is not None and not (amount.is_finite() and amount > 0):
            raise ValueError(f"{name} is {amount}; a limit is a positive number")


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class SymbolLimit(_Body, frozen=True, kw_only=True):
    """|position| if every open order filled, in base units."""

    symbol: str
    max_position: Decimal

    def __post_init__(self) -> None:
        _require_positive(maxPosition=self.max_position)


class AccountLimit(_Body, frozen=True, kw_only=True):
    """Sums over all symbols at mark, in quote units, each in its worst case."""

    max_gross_notional: Decimal | None = None
    max_net_notional: Decimal | None = None

    def __post_init__(self) -> None:
        _require_positive(maxGrossNotional=self.max_gross_notional, maxNetNotional=self.max_net_notional)


class Pattern(_Body, frozen=True, kw_only=True):
    """How to read our marks in a client order id: a regular expression with the groups `installation` and `token`."""

    regex: str
    token_base: Annotated[int, msgspec.Meta(ge=2, le=36)] = 36


class Stop(_Body, frozen=True, kw_only=True):
    """From now on nothing opens. Without `symbol`: the whole account. `lift` ends it."""

    symbol: str | None = None
    lift: bool = False


class End(_Body, frozen=True, kw_only=True):
    """These clients have finished: nothing of theirs should rest. Absent fields match all."""

    holder: str | None = None
    symbol: str | None = None


class Declaration(_Body, frozen=True, kw_only=True):
    """Any of these; `apiKey` says whose (without it: every account's)."""

    api_key: str | None = None
    pattern: Pattern | None = None
    symbol_limits: tuple[SymbolLimit, ...] = ()
    account_limit: AccountLimit | None = None
    stop: Stop | None = None
    end: End | None = None
    graces: Graces | None = None
    reset: bool = False
    """Forget the violations so far (declarations stay)."""

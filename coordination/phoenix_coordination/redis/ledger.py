"""A symbol's entry of the account's exposure ledger: exact integers of micro quote (1e-6), rounded against us.

Every step of a symbol counts the same whole number of micro quote, so amounts add up without an error, and what is
granted as an amount is a whole number of steps again. Pending quantity counts at mark · (1 + buffer); a position that
lowers a sum counts at mark · (1 − buffer).
"""

import math
from collections.abc import Awaitable, Callable

import msgspec

from phoenix_coordination.exposure import MAX_MICRO, PRICE_BUFFER, step_micro
from phoenix_coordination.port import AccountTerms, Reservation
from phoenix_coordination.redis.client import Redis, RedisFaultError
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.scripts import Script, call

MICRO = 1_000_000


class Holding(msgspec.Struct, frozen=True):
    """What the exchange says about one symbol, in quote units at mark: signed position, and what rests on each side."""

    symbol: str
    position_value: float
    buys_value: float
    sells_value: float


ReadHoldings = Callable[[], Awaitable[list[Holding]]]
"""All positions and open orders of the account, symbols without a maker included. May raise `OSError`."""


class Amounts(msgspec.Struct, frozen=True):
    """The position of one symbol as the three sums count it, and what is asked: micro quote.

    `long`, `short`: its part of Σ(q+pb)·mark and of −Σ(q−ps)·mark; `size`: signed, for the gross sum.
    """

    step: int
    long: int
    short: int
    size: int
    buys: int
    sells: int


def amounts_of(asked: Reservation) -> Amounts | None:
    """`None` where a step's value is unknown, or an amount too large for the ledger: then nothing can be granted."""
    if not math.isfinite(asked.step_value) or not 0 < asked.step_value * MICRO < MAX_MICRO:
        return None
    high, low = step_micro(asked.step_value), lowest_micro(asked.step_value)
    amounts = Amounts(
        high,
        _against_us(asked.position_steps, high, low),
        _against_us(-asked.position_steps, high, low),
        asked.position_steps * high,
        asked.buy_steps * high,
        asked.sell_steps * high,
    )
    largest = max(abs(amounts.size), amounts.buys, amounts.sells)
    return amounts if largest <= MAX_MICRO else None


def lowest_micro(value: float) -> int:
    """What counts where it lowers a sum: without the price buffer, rounded down."""
    return math.floor(value * (1 - PRICE_BUFFER) * MICRO)


def _against_us(quantity: int, high: int, low: int) -> int:
    return quantity * (high if quantity > 0 else low)


def limits_of(terms: AccountTerms) -> tuple[int, int]:
    """(net, gross): a limit beyond what the ledger can count is the largest that it can."""
    return min(terms.net_micro, MAX_MICRO), min(terms.gross_micro, MAX_MICRO)


def rebuilt_entry(holding: Holding) -> list[str]:
    """The arguments of one symbol for `rebuild.lua`; raises `ValueError` for a value that is no number."""
    if not all(map(math.isfinite, (holding.position_value, holding.buys_value, holding.sells_value))):
        raise ValueError(f"{holding.symbol}: the exchange's value of position or orders is no number")
    sign = -1 if holding.position_value < 0 else 1
    high, low = _high(abs(holding.position_value)), lowest_micro(abs(holding.position_value))
    buys, sells = _high(holding.buys_value), _high(holding.sells_value)
    size = sign * high
    long, short = (high, -low) if sign > 0 else (-low, high)
    gross = max(abs(size + buys), abs(size - sells))
    return [holding.symbol, *map(str, (long + buys, short + sells, gross, buys, sells))]


def _high(value: float) -> int:
    return step_micro(value) if value else 0


async def settle(client: Redis, keys: AccountKeys, holder: str, token: int, holding: Holding) -> bool:
    """Sets a symbol's entry to what the exchange holds of it, under the symbol's own lease; false without that lease.

    For whom a symbol has lost its maker; a flat one without orders has no entry any more. Raises `ValueError` for a
    value that is no number.
    """
    symbol, *amounts = rebuilt_entry(holding)
    set_ = await call(client, Script.SETTLE, [keys.ledger, keys.lease(symbol)], [symbol, holder, token, *amounts])
    return bool(set_)


class Entry(msgspec.Struct, frozen=True):
    """What one symbol counts in the account's three sums, in micro quote: position and pending, valued against us.

    `token` 0: read from the exchange when the ledger was rebuilt, and no maker has asked since.
    """

    symbol: str
    token: int
    long_micro: int
    short_micro: int
    gross_micro: int
    buys_micro: int
    sells_micro: int


class LedgerView(msgspec.Struct, frozen=True):
    """The ledger at one moment. `rebuilt` false: nothing that opens risk is granted. Limits: those of the newest
    reservation, `None` before the first.
    """

    rebuilt: bool
    epoch: int
    net_limit_micro: int | None
    gross_limit_micro: int | None
    entries: tuple[Entry, ...]

    @property
    def long_micro(self) -> int:
        """Σ(q+pb)·mark."""
        return sum(entry.long_micro for entry in self.entries)

    @property
    def short_micro(self) -> int:
        """−Σ(q−ps)·mark."""
        return sum(entry.short_micro for entry in self.entries)

    @property
    def gross_micro(self) -> int:
        """Σ max(|q+pb|, |q−ps|)·mark."""
        return sum(entry.gross_micro for entry in self.entries)


async def read_ledger(client: Redis, keys: AccountKeys) -> LedgerView:
    """Raises `RedisFaultError` for a ledger that no worker wrote, and what the world does to a connection."""
    run = str((await client.execute_command("INFO", "server")).get("run_id", ""))
    fields = await client.execute_command("HGETALL", keys.ledger)
    texts = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    field = ""
    numbers: dict[str, int] = {}
    entries: list[Entry] = []
    try:
        for field, text in sorted(texts.items()):
            if field.startswith("e:"):
                entries.append(_entry(field[2:], text))
            elif field in {"epoch", "net_limit", "gross_limit"}:
                numbers[field] = int(text)
    except ValueError:
        raise RedisFaultError(
            f"{keys.ledger} in Redis is no ledger of ours ({field}): move it away, it is not ours"
        ) from None
    return LedgerView(
        bool(run) and texts.get("rebuilt", "").startswith(f"{run}:"),
        numbers.get("epoch", 0),
        numbers.get("net_limit"),
        numbers.get("gross_limit"),
        tuple(entries),
    )


def _entry(symbol: str, text: str) -> Entry:
    _run, token, _sequence, long, short, gross, buys, sells = text.split()
    return Entry(symbol, *map(int, (token, long, short, gross, buys, sells)))


class Grant(msgspec.Struct, frozen=True):
    """What may be pending, in steps, beside the position that it was given for.

    Whoever has it may go to `position + buys` and `position − sells`, whatever is filled meanwhile: what was bought is
    off the buys, and comes back when it is sold again.
    """

    position: int = 0
    buys: int = 0
    sells: int = 0

    def beside(self, position: int) -> tuple[int, int]:
        """(buys, sells) that may come to be pending beside another position."""
        buys = max(0, self.position + self.buys - position) if self.buys else 0
        sells = max(0, position - self.position + self.sells) if self.sells else 0
        return buys, sells


class Grants(msgspec.Struct):
    """What one worker may have at the exchange while requests and answers are under way.

    `told`: the grant in force. `since`: each that was in force since the newest request was made: orders under it may
    be on their way, so that the entry never falls below it by that request.
    """

    told: Grant = Grant()
    since: list[Grant] = []

    def asked(self) -> None:
        self.since = [self.told]

    def granted(self, grant: Grant) -> None:
        if grant != self.told:
            self.told = grant
            self.since.append(grant)

    def floors(self, asked: Reservation) -> tuple[int, int]:
        """(buys, sells) that may rest, or be sent until the answer is heard, beside the position that is told now."""
        beside = [grant.beside(asked.position_steps) for grant in self.since]
        beside.append((asked.buy_live_steps or 0, asked.sell_live_steps or 0))
        return max(buys for buys, _ in beside), max(sells for _, sells in beside)

"""Market stream payloads as bytes. Written out by hand rather than through a JSON library: every value is a number or
text of our own making that needs no escaping, and these are the frames that leave by the thousand.

`event_ms` is the venue's `E`, `time_ms` its `T`.
"""

from collections.abc import Iterable
from typing import Final

from phoenix_simulator.api.render.numbers import SymbolText
from phoenix_simulator.api.tape import AggregateTrade
from phoenix_simulator.exchange.events import Level
from phoenix_simulator.exchange.symbols import format_e8

USD_M: Final = 1
"""`st`: which family of contracts the symbol belongs to."""


def levels(text: SymbolText, side: Iterable[Level]) -> str:
    price, quantity = text.price, text.quantity
    return ",".join([f'["{price(ticks)}","{quantity(steps)}"]' for ticks, steps in side])


def depth(
    text: SymbolText,
    event_ms: int,
    time_ms: int,
    ids: tuple[int, int, int],
    bids: Iterable[Level],
    asks: Iterable[Level],
) -> bytes:
    """`ids` = (first U, last u, previous pu). Diff and partial depth look the same."""
    symbol = text.spec.symbol
    first, last, previous = ids
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"T":{time_ms},"s":"{symbol}","ps":"{symbol}","st":{USD_M},'
        f'"U":{first},"u":{last},"pu":{previous},"b":[{levels(text, bids)}],"a":[{levels(text, asks)}]}}'
    ).encode()


def book_ticker(text: SymbolText, event_ms: int, time_ms: int, update_id: int, bid: Level, ask: Level) -> bytes:
    symbol = text.spec.symbol
    return (
        f'{{"e":"bookTicker","u":{update_id},"s":"{symbol}","ps":"{symbol}","st":{USD_M},'
        f'"b":"{text.price(bid[0])}","B":"{text.quantity(bid[1])}",'
        f'"a":"{text.price(ask[0])}","A":"{text.quantity(ask[1])}","T":{time_ms},"E":{event_ms}}}'
    ).encode()


def trade(
    text: SymbolText, event_ms: int, time_ms: int, trade_id: int, price_and_qty: Level, *, buyer_is_maker: bool
) -> bytes:
    return (
        f'{{"e":"trade","E":{event_ms},"T":{time_ms},"s":"{text.spec.symbol}","st":{USD_M},"t":{trade_id},'
        f'"p":"{text.price(price_and_qty[0])}","q":"{text.quantity(price_and_qty[1])}","X":"MARKET",'
        f'"m":{_boolean(buyer_is_maker)}}}'
    ).encode()


def mark_price(
    symbol: str,
    event_ms: int,
    *,
    mark_e8: int,
    average_mark_e8: int,
    index_e8: int,
    funding_rate_e8: int,
    next_funding_ms: int,
) -> bytes:
    """`P`, the estimated settle price, is the index: it means something only in the last hour before a delivery."""
    return (
        f'{{"e":"markPriceUpdate","E":{event_ms},"s":"{symbol}","p":"{format_e8(mark_e8)}",'
        f'"ap":"{format_e8(average_mark_e8)}","P":"{format_e8(index_e8)}","i":"{format_e8(index_e8)}",'
        f'"r":"{format_e8(funding_rate_e8)}","T":{next_funding_ms},"st":{USD_M}}}'
    ).encode()


def aggregate_trade(text: SymbolText, event_ms: int, skew_ms: int, trade: AggregateTrade) -> bytes:
    """`nq` leaves out what retail orders (RPI) made."""
    public_steps = trade.qty_steps - trade.retail_steps
    return (
        f'{{"e":"aggTrade","E":{event_ms},"a":{trade.aggregate_id},"s":"{text.spec.symbol}",'
        f'"p":"{text.price(trade.price_ticks)}","q":"{text.quantity(trade.qty_steps)}",'
        f'"nq":"{text.quantity(public_steps)}","f":{trade.first_trade_id},"l":{trade.last_trade_id},'
        f'"T":{trade.time_ms + skew_ms},"m":{_boolean(trade.buyer_is_maker)},"st":{USD_M}}}'
    ).encode()


def _boolean(value: bool) -> str:
    return "true" if value else "false"

"""How a market source's updates change one listing: the book, the fills they cause, and what the public hears."""

from collections.abc import Callable

from phoenix_simulator.exchange.book import BookSide
from phoenix_simulator.exchange.events import Level, MarkChanged, TradePrinted
from phoenix_simulator.exchange.listing import Emit, Listing, Touch
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.exchange.symbols import to_e8
from phoenix_simulator.market.source import (
    DepthUpdate,
    MarketUpdate,
    MarkUpdate,
    PrintUpdate,
    TakerUpdate,
    TouchUpdate,
)


class Feed:
    def __init__(self, listing: Listing, matcher: Matcher, emit: Emit) -> None:
        self._listing = listing
        self._matcher = matcher
        self._emit = emit

    def apply(self, update: MarketUpdate, now_ms: int) -> None:
        match update:
            case DepthUpdate():
                if self._listing.is_replay:
                    self._recorded_depth(update, now_ms)
                else:
                    self._synthetic_depth(update, now_ms)
            case TouchUpdate():
                self._require_replay(update, expected=True)
                self._recorded_touch(update, now_ms)
            case PrintUpdate():
                self._require_replay(update, expected=True)
                self._recorded_print(update, now_ms)
            case TakerUpdate():
                self._require_replay(update, expected=False)
                side = Side.BUY if update.is_buy else Side.SELL
                self._matcher.background_takes(side, update.qty_steps, update.limit_ticks, now_ms)
                self._listing.publish(now_ms)
            case MarkUpdate():
                self._mark(update, now_ms)

    def _synthetic_depth(self, update: DepthUpdate, now_ms: int) -> None:
        listing = self._listing
        bids, asks = listing.book.bids, listing.book.asks
        if update.bids:
            listing.mark_all_dirty(bids, bids.state_levels(update.bids))
        if update.asks:
            listing.mark_all_dirty(asks, asks.state_levels(update.asks))
        if bids.queue_keys or asks.queue_keys:
            self._matcher.fill_crossed(now_ms)
        if bids.keys and asks.keys and bids.keys[-1] + asks.keys[-1] >= 0:
            msg = (
                f"the source of {listing.spec.symbol} crossed its own book: bid {bids.keys[-1]} ≥ ask {-asks.keys[-1]} "
                "(ticks); a source deletes a level before it quotes through it"
            )
            raise ValueError(msg)
        listing.publish(now_ms)

    def _recorded_depth(self, update: DepthUpdate, now_ms: int) -> None:
        listing = self._listing
        bids, asks = listing.book.bids, listing.book.asks
        bids.state_levels(update.bids)
        asks.state_levels(update.asks)
        if update.last_id >= listing.touch.update_id:
            bids.clear_touch()
            asks.clear_touch()
            listing.touch = Touch(update.last_id, now_ms, *_recorded_best(bids), *_recorded_best(asks))
        listing.repeat_depth(update.first_id, update.last_id, update.bids, update.asks, now_ms)
        self._fill_crossed(now_ms)

    def _recorded_touch(self, update: TouchUpdate, now_ms: int) -> None:
        listing = self._listing
        if update.update_id > listing.last_update_id:
            listing.book.bids.set_touch(update.bid_ticks, update.bid_steps)
            listing.book.asks.set_touch(-update.ask_ticks, update.ask_steps)
        listing.repeat_touch(
            Touch(update.update_id, now_ms, update.bid_ticks, update.bid_steps, update.ask_ticks, update.ask_steps)
        )
        self._fill_crossed(now_ms)

    def _recorded_print(self, update: PrintUpdate, now_ms: int) -> None:
        self._listing.print_trade(
            TradePrinted(
                self._listing.spec.symbol,
                now_ms,
                update.trade_id,
                update.price_ticks,
                update.qty_steps,
                update.buyer_is_maker,
            )
        )
        taker = Side.SELL if update.buyer_is_maker else Side.BUY
        self._matcher.recorded_print(taker, update.price_ticks, update.qty_steps, now_ms)

    def _mark(self, update: MarkUpdate, now_ms: int) -> None:
        listing = self._listing
        cap_e8 = to_e8(listing.spec.funding_cap)
        listing.mark_e8, listing.index_e8 = update.mark_e8, update.index_e8
        listing.funding_rate_e8 = max(-cap_e8, min(cap_e8, update.funding_rate_e8))
        self._emit(
            MarkChanged(
                listing.spec.symbol,
                now_ms,
                listing.mark_e8,
                listing.index_e8,
                listing.funding_rate_e8,
                listing.next_funding_ms,
            )
        )

    def _fill_crossed(self, now_ms: int) -> None:
        if self._listing.book.bids.queue_keys or self._listing.book.asks.queue_keys:
            self._matcher.fill_crossed(now_ms)

    def _require_replay(self, update: MarketUpdate, *, expected: bool) -> None:
        if self._listing.is_replay is not expected:
            market = "a synthetic market" if expected else "a replay"
            msg = f"{type(update).__name__} is no update of {market} ({self._listing.spec.symbol})"
            raise ValueError(msg)


class Background:
    """`market.source.BackgroundView` of one listing."""

    def __init__(self, listing: Listing) -> None:
        self._book = listing.book

    def best_bid(self) -> Level | None:
        return self._book.bids.best_background_level()

    def best_ask(self) -> Level | None:
        return self._book.asks.best_background_level()

    def best_quote(self, *, is_bid: bool) -> Level | None:
        side = self._book.bids if is_bid else self._book.asks
        if not side.queue_keys:
            return None
        key = side.queue_keys[-1]
        return key * side.sign, side.queues[key].leaves_steps()

    def quantity(self, *, is_bid: bool, price_ticks: int) -> int:
        side = self._book.bids if is_bid else self._book.asks
        return side.background(side.key_of(price_ticks))

    def lookup(self, *, is_bid: bool) -> Callable[[int], int | None]:
        # In a synthetic market nothing but the levels counts, and a frame asks for a hundred prices.
        side = self._book.bids if is_bid else self._book.asks
        return side.levels.get if side.touch_key is None and not side.consumed else side.background


def _recorded_best(side: BookSide) -> Level:
    best = side.recorded_levels(1)
    return best[0] if best else (0, 0)

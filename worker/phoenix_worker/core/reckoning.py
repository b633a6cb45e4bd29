"""What the day and the accounts have come to, and what follows where it is too little.

Fail closed: until the day is known under this lease, and each fee that was paid can be expressed in quote, nothing
opens risk (`Reason.LOSS_UNKNOWN`); what reduces goes on.
"""

from phoenix_worker.core.actions import FetchDay, Note, NoteKind
from phoenix_worker.core.day import Day, start_of_day
from phoenix_worker.core.decision import changed, decide, known_mark, reference_price
from phoenix_worker.core.events import DayRead, Fill, Tick
from phoenix_worker.core.fees import in_quote
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.losses import READ_AFTER_MIDNIGHT_NS, SPREAD_AFTER_MIDNIGHT_S
from phoenix_worker.core.pnl import unrealised
from phoenix_worker.core.shared import halt_symbol
from phoenix_worker.core.state import Out, State

CLOCK_STEP_MS = 60_000
"""A clock that is measured anew may step back over midnight by less than this: no day begins twice for that."""


def on_time(state: State, event: Tick, out: Out) -> None:
    session = state.session
    book_ok = state.book.synced and state.freshness.fresh
    state.markouts.on_time(event.at, state.book.mid_half_ticks if book_ok else 0, state.instrument)
    if session.exited or not session.clock_known:
        return
    _turn_day(state, session.exchange_ms(event.at))
    ask(state, out)
    judge(state, out)


def on_booked(state: State, fill: Fill) -> None:
    """A fill, told for the first time, whoever made it. One of the next day begins it."""
    if state.session.clock_known and start_of_day(fill.time_ms) > state.losses.day.start_ms > 0:
        _turn_day(state, fill.time_ms)
    for day in (state.losses.day, state.losses.reading):
        if day is not None and day.start_ms:
            day.on_fill(fill, state.instrument)


def on_day_read(state: State, event: DayRead, out: Out) -> None:
    losses, reading = state.losses, state.losses.reading
    if event.request_id != losses.request_id or reading is None:
        return
    if event.problem:
        losses.failed(event.at)
        losses.unknown = losses.unknown and f"the day could not be read: {event.problem}"
        out.append(Note(NoteKind.TRUTH, f"the day could not be read: {event.problem}"))
        return
    losses.reading = None
    if losses.asked_token != state.session.token:
        return
    reading.add(event.open_mark or losses.day.open_mark, event.steps, event.notional, event.fees)
    losses.day, losses.read_token, losses.read_again_ns = reading, losses.asked_token, 0
    losses.rates |= event.rates
    if reading.is_valued(state.account.position.steps) and not _unpriced(state):
        losses.failures = 0
    else:
        losses.failed(event.at)
    judge(state, out)
    result = day_result(state)
    told = f"and yet {losses.unknown}" if result is None else f"its result is {text(result, state)}"
    out.append(Note(NoteKind.TRUTH, f"the day has been read, {told}"))
    changed(state, out)


def judge(state: State, out: Out) -> None:
    """Both limits, by the mark of this moment."""
    risk, losses = state.parameters.risk, state.losses
    if not state.session.token or not state.reconciliation.reconciled or reference_price(state) <= 0:
        return
    day = day_result(state)
    total = total_result(state)
    losses.unknown = "" if day is not None and total is not None else _why_unknown(state)
    if day is not None and risk.daily_loss_max is not None and -day > risk.daily_loss_max:
        _halt_for_the_day(state, -day, risk.daily_loss_max, out)
    if total is not None and risk.stop_loss is not None:
        _judge_stop(state, total, risk.stop_loss, out)


def day_result(state: State) -> int | None:
    """The day so far, in money; None while it is not known."""
    losses, position = state.losses, state.account.position.steps
    if not losses.read_token or losses.read_token != state.session.token:
        return None
    mark = reference_price(state)
    fees = in_quote(losses.day.fees, losses.rates, state.instrument.quote_asset)
    funding = state.funding.paid_since(losses.day.start_ms)
    if mark <= 0 or fees is None or funding is None or not losses.day.is_valued(position):
        return None
    return losses.day.result(position, mark, funding, fees, state.instrument)


def total_result(state: State) -> int | None:
    """Since the symbol's accounts began, in money: realised, unrealised, fees and funding; None while a fee cannot be
    converted.

    A position that was there before them counts with all that it has lost.
    """
    account, fees = state.account, fees_paid(state)
    if fees is None:
        return None
    position = account.position
    open_result = unrealised(position.steps, position.entry_price, reference_price(state), state.instrument)
    return account.pnl.realised + open_result - fees + state.funding.paid


def fees_paid(state: State) -> int | None:
    """Since the symbol's accounts began, in money, in whichever asset they were paid; None while one has no price."""
    pnl = state.account.pnl
    others = in_quote(pnl.other_fees, state.losses.rates, state.instrument.quote_asset)
    return None if others is None else pnl.fees + others


def text(money: int, state: State) -> str:
    return f"{money / MONEY:.2f} {state.instrument.quote_asset}"


def _turn_day(state: State, exchange_ms: int) -> None:
    losses, session = state.losses, state.session
    today = start_of_day(exchange_ms)
    if today == losses.day.start_ms or 0 <= losses.day.start_ms - exchange_ms < CLOCK_STEP_MS:
        return
    mark = known_mark(state)
    # Only who has followed the day before, trade by trade, knows all that this one has seen.
    followed = session.token != 0 and losses.read_token == session.token and today > losses.day.start_ms
    spread_s = session.token % SPREAD_AFTER_MIDNIGHT_S
    read_at_ns = state.now_ns + READ_AFTER_MIDNIGHT_NS + spread_s * 1_000_000_000
    losses.begin(Day(today, open_mark=mark if followed else 0.0), known=followed and mark > 0, read_at_ns=read_at_ns)


def ask(state: State, out: Out) -> None:
    """For the day, where it is not known under this lease or has to be looked at again."""
    losses, session, position = state.losses, state.session, state.account.position
    if not session.token or not state.reconciliation.reconciled or not losses.day.start_ms:
        return
    if losses.waits(state.now_ns, session.token):
        return
    due = (
        losses.read_token != session.token
        or 0 < losses.read_again_ns <= state.now_ns
        or not losses.day.is_valued(position.steps)
        or bool(_unpriced(state))
    )
    if due:
        request_id = losses.asked(state.now_ns, session.token, position.newest_trade_id)
        out.append(FetchDay(request_id, losses.day.start_ms, position.newest_trade_id, sorted(_fee_assets(state))))


def _fee_assets(state: State) -> set[str]:
    """Other assets than the quote's in which fees were paid, as far as they are known here."""
    return {*state.losses.day.fees, *state.account.pnl.other_fees} - {state.instrument.quote_asset}


def _unpriced(state: State) -> list[str]:
    return sorted(asset for asset in _fee_assets(state) if not state.losses.rates.get(asset))


def _why_unknown(state: State) -> str:
    losses = state.losses
    if losses.read_token != state.session.token:
        return losses.unknown or "the day is being read"
    if unpriced := _unpriced(state):
        return f"fees were paid in {', '.join(unpriced)}, whose price is not known"
    if not losses.day.is_valued(state.account.position.steps):
        return "the mark price of 00:00 UTC is not known"
    return "what funding has been paid since 00:00 UTC is not known"


def _halt_for_the_day(state: State, loss: int, limit: int, out: Out) -> None:
    losses = state.losses
    if losses.halted(limit):
        return
    losses.halted_day_ms, losses.halted_limit = losses.day.start_ms, limit
    losses.halted_reason = (
        f"daily loss of {text(loss, state)}, more than risk.dailyLossMax of {text(limit, state)}: "
        "only reduces until 00:00 UTC, or until the limit is raised"
    )
    out.append(Note(NoteKind.HALT, losses.halted_reason))
    decide(state, state.now_ns, out)


def _judge_stop(state: State, total: int, limit: int, out: Out) -> None:
    losses = state.losses
    loss = losses.stop_base - total
    if loss > limit and losses.resumed:
        losses.stop_base, loss = total, 0
    losses.resumed = False
    if loss > limit and not state.session.halt.on:
        why = f"stop loss: {text(loss, state)} lost, more than risk.stopLoss of {text(limit, state)}"
        halt_symbol(state, why, out)
        decide(state, state.now_ns, out)

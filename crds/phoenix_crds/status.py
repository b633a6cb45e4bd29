"""What is: the status of both resources, written by the operator and read by people, columns and the operator itself.

Readers leave alone what they do not know, because the next version adds fields. Nothing has a default on the server: a
field that is absent has not been said. Quantities are decimal strings, times RFC 3339 in UTC.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from phoenix_crds.rules import Resource, Rule
from phoenix_crds.values import BaseQuantity, DnsSubdomain, Duration, Emergency, Instant, MapKeys, QuoteAmount, Symbol

MOST_REQUESTS = 32
"""Requests that may wait at once; a switch is one of two words, so more of them say nothing more."""
MOST_ANSWERS = MOST_REQUESTS
"""Whoever asked in a burst finds its answer."""

Sentence = Annotated[str, StringConstraints(max_length=32768)]
Word = Annotated[str, StringConstraints(max_length=316)]
Generation = Annotated[int, Field(ge=0, strict=True)]
Epoch = Annotated[int, Field(ge=0, strict=True)]


class Observed(Resource):
    """Base of all that is observed: unknown fields are no mistake, they are somebody else's or a newer version's.

    The operator makes these from Python names; without `populate_by_name` such a field would be dropped as unknown.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Condition(Observed):
    """A condition by the API conventions."""

    type: Word
    """What is judged, in CamelCase: Ready, Quoting, PriceFresh …"""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Why, in one CamelCase word of an enumerated vocabulary."""
    message: Sentence = ""
    """Why, and what to do, for people."""
    observed_generation: Generation | None = None
    """The generation of the spec that was judged."""
    last_transition_time: Instant | None = None
    """When `status` last changed."""


class Restarts(Observed):
    """How often the operator has replaced this maker's worker because its price stayed stale."""

    count: Annotated[int, Field(ge=0, strict=True)] = 0
    """Since the maker was last ready for ten minutes. Each doubles the wait before the next. Unit: restarts."""
    total: Annotated[int, Field(ge=0, strict=True)] = 0
    """Ever. Unit: restarts."""
    last_time: Instant | None = None
    """When the last one was."""
    awaiting_ready: Annotated[bool, Field(strict=True)] = False
    """The replacement has not become ready yet, so no other worker of the account is replaced."""


class Figures(Observed):
    """What the leader last told, at most once a minute and past a threshold: `phoenix top` shows the present."""

    position: BaseQuantity | None = None
    """Signed position. Positive is long."""
    mid: QuoteAmount | None = None
    """Price halfway between the touch."""
    pnl: QuoteAmount | None = None
    """Realised and unrealised, after fees and funding, since the maker's accounts began."""
    worst_case: BaseQuantity | None = None
    """Largest |position| if every live order of one side filled."""
    at: Instant | None = None
    """When it was told."""


class RampProgress(Observed):
    """Where a maker with spec.ramp stands."""

    stage: Annotated[int, Field(ge=0, strict=True)] = 0
    """The stage in force, counted from 0."""
    since: Instant | None = None
    """Since when the worker runs with it and quotes, without an incident. Absent: the stage's time stands still."""
    lasted: Duration | None = None
    """How long it did so before that. An incident has it begin anew."""
    incidents: Annotated[int, Field(ge=0, strict=True)] = 0
    """Steps back so far. Unit: incidents."""
    pnl_at_start: QuoteAmount | None = None
    """PnL when the stage began: a stage's loss is counted from there."""
    pnl_since: Instant | None = None
    """Since when that PnL counts: where the worker's begins elsewhere, what it had was forgotten."""
    earned_in: Word = ""
    """Mode and environment in which the stages were passed: in another one the ramp begins anew."""


class SymbolHalt(Observed):
    """The symbol's own risk halt, which a person resumes by its epoch."""

    reason: Sentence = ""
    """What was exceeded."""
    epoch: Epoch = 0
    """What `phoenix resume --epoch` wants, so that whoever resumes has seen this very halt."""


class MakerStatus(Observed):
    """What is of one maker."""

    observed_generation: Generation | None = None
    """The generation of the spec that the operator has last acted on."""
    applied_generation: Generation | None = None
    """The generation whose parameters the worker runs with."""
    conditions: Annotated[tuple[Condition, ...], MapKeys("type")] = ()
    """Ready: this generation is in force, nothing of configuration or infrastructure against it. Quoting: whether it
    does, and the first reason why not. The others say more."""
    reason: Word = ""
    """The first reason why the maker does not quote, or Quoting."""
    pod: Annotated[str, StringConstraints(max_length=253)] = ""
    """The pod that leads."""
    parameters_hash: Annotated[str, StringConstraints(max_length=64)] = ""
    """Digest of the resolved parameters that the operator wants in force."""
    template_hash: Annotated[str, StringConstraints(max_length=64)] = ""
    """Digest of the pod template that the operator wants to run."""
    restarts: Restarts = Restarts()
    """How often the operator has replaced this maker's worker because its price stayed stale."""
    figures: Figures | None = None
    """Live figures, seldom."""
    ramp: RampProgress | None = None
    """Where a maker with spec.ramp stands."""
    halt: SymbolHalt | None = None
    """The symbol's own risk halt, where one is in force."""


class HaltedSymbol(Observed):
    """One symbol's own risk halt, as Redis holds it."""

    symbol: Symbol
    """The contract."""
    epoch: Epoch = 0
    """What `phoenix resume --epoch` wants."""
    reason: Sentence = ""
    """What was exceeded."""
    dry_run: Annotated[bool, Field(strict=True)] = False
    """The halt of the symbol's rehearsal (mode DryRun), which is kept apart."""


class OpenPosition(Observed):
    """A position that is still there."""

    symbol: Symbol
    """The contract."""
    position: BaseQuantity
    """Signed. Positive is long."""


class LeftBehind(Observed):
    """What a raised switch has left so far, as the leaders tell it."""

    orders: Annotated[int, Field(ge=0, strict=True)] = 0
    """Live orders of ours. Unit: orders."""
    unheard: Annotated[tuple[DnsSubdomain, ...], Field(max_length=1000)] = ()
    """Live makers whose worker tells nothing, or has not heard of this epoch yet."""
    open: Annotated[tuple[OpenPosition, ...], Field(max_length=1000)] = ()
    """Positions that are not closed yet."""
    at: Instant | None = None
    """When it was told."""


class EmergencySwitch(Observed):
    """The account's sticky switch, remembered here so that a Redis that comes back empty is told of it."""

    level: Emergency
    """None, Halt or Flatten. What spec.emergency declares is not in it."""
    epoch: Epoch = 0
    """Grows with each change of the switch; `phoenix resume --epoch` wants the present one."""
    reason: Sentence = ""
    """Why."""
    source: Sentence = ""
    """Who: a person, or the worker that raised it."""
    at: Instant | None = None
    """When it last changed."""
    halts: Annotated[tuple[HaltedSymbol, ...], Field(max_length=1000)] = ()
    """Symbols halted on their own."""
    left: LeftBehind | None = None
    """What is left, while the switch is raised."""


class Action(StrEnum):
    """What a person asks of an account's switch."""

    STOP = "Stop"
    RESUME = "Resume"


RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", min_length=1, max_length=64)]


class SwitchRequest(Observed):
    """What a person asks of the account's switch; the operator carries it out on Redis and answers."""

    id: RequestId
    """Names the request in its answer; unique among those that wait."""
    action: Action
    """Stop raises the account's switch to `level`; Resume lowers the switch, or a symbol's halt, of `epoch`."""
    level: Emergency | None = None
    """Halt or Flatten, for Stop."""
    symbol: Symbol | None = None
    """The symbol whose own halt is resumed. Absent: the account's switch."""
    dry_run: Annotated[bool, Field(strict=True)] = False
    """The symbol's rehearsal (mode DryRun) is meant."""
    epoch: Epoch | None = None
    """The epoch that whoever resumes has seen, for Resume."""
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Why."""
    source: Annotated[str, StringConstraints(max_length=256)] = ""
    """Who asks."""
    at: Instant | None = None
    """When it was asked."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["SwitchRequest"](
            fields=("level", "action"),
            cel="self.action == 'Stop' ? has(self.level) && self.level != 'None' : !has(self.level)",
            message="Stop needs level Halt or Flatten, and Resume has no level",
            holds=lambda request: (
                request.level in {Emergency.HALT, Emergency.FLATTEN}
                if request.action is Action.STOP
                else request.level is None
            ),
        ),
        Rule["SwitchRequest"](
            fields=("epoch", "action"),
            cel="has(self.epoch) == (self.action == 'Resume')",
            message="Resume needs the epoch that `phoenix status` shows, and Stop has none",
            holds=lambda request: (request.epoch is not None) == (request.action is Action.RESUME),
        ),
        Rule["SwitchRequest"](
            fields=("symbol", "action"),
            cel="!has(self.symbol) || self.action == 'Resume'",
            message="Stop is for the whole account: remove symbol (to stop one maker, set its spec.paused)",
            holds=lambda request: request.symbol is None or request.action is Action.RESUME,
        ),
    )


class Answer(Observed):
    """What became of a request."""

    id: RequestId
    """The request's."""
    ok: Annotated[bool, Field(strict=True)]
    """Whether it was carried out."""
    message: Sentence = ""
    """What is so now, or why not and what to do."""
    level: Emergency | None = None
    """Of the switch (or of the symbol's halt) after the request."""
    epoch: Epoch | None = None
    """Likewise; what `phoenix resume --epoch` wants."""
    at: Instant | None = None
    """When."""


class AccountStatus(Observed):
    """What is of one account."""

    observed_generation: Generation | None = None
    """The generation of the spec that the operator has last acted on."""
    conditions: Annotated[tuple[Condition, ...], MapKeys("type")] = ()
    """Ready, AccountConflict, VenueOutage, Emergency."""
    identity: Annotated[str, StringConstraints(max_length=253)] = ""
    """The exchange's own name of the account, as the workers found it; two resources may not share one."""
    makers: Annotated[int, Field(ge=0, strict=True)] = 0
    """Makers that name this account. Unit: makers."""
    emergency: EmergencySwitch | None = None
    """The sticky switch as Redis holds it. Absent: nobody has read it yet."""
    requests: Annotated[tuple[SwitchRequest, ...], Field(max_length=MOST_REQUESTS), MapKeys("id")] = ()
    """What `phoenix stop` and `phoenix resume` ask; carried out in this order, then removed."""
    answers: Annotated[tuple[Answer, ...], Field(max_length=MOST_ANSWERS)] = ()
    """What became of the last requests, the newest last."""

"""`/sim/…`: what a test or a demo may do to the exchange that no client of the venue could."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web

from phoenix_simulator.api.auth import Credentials, KeyRing
from phoenix_simulator.api.params import parse_integer
from phoenix_simulator.api.public_keys import read_public_key
from phoenix_simulator.api.render.numbers import plain, plain_e8
from phoenix_simulator.audit.declared import Declaration
from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.accounts import Holding
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.ledger import FEE_ASSET
from phoenix_simulator.exchange.orders import Order
from phoenix_simulator.exchange.symbols import SymbolStatus, format_e8
from phoenix_simulator.expectations import Judge
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.fault_targets import unreachable
from phoenix_simulator.faults import Fault
from phoenix_simulator.given_accounts import amount_e8
from phoenix_simulator.market.player import MarketPlayer
from phoenix_simulator.market.regimes import RegimeName

Json = dict[str, object]
T = TypeVar("T")

_BOOK_LEVELS: Final = 1_000
_HOUR_MS: Final = 3_600_000


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class NewAccount(_Body, frozen=True, kw_only=True):
    """`POST /sim/account`. With `sameAs`, an API key, another key of that account is made. With `publicKey`, the PEM of
    an Ed25519 or RSA key, requests are signed with the private one and there is no secret.
    """

    label: str = "account"
    balances: dict[str, Decimal] = {}
    trade_group_id: int = -1
    may_withdraw: bool = False
    same_as: str | None = None
    public_key: str | None = None


class ClockChange(_Body, frozen=True, kw_only=True):
    """`POST /sim/clock`: by how much the venue's time is off. The rate belongs to all processes of a run and stays."""

    skew_ms: Annotated[int, msgspec.Meta(ge=-3_600_000, le=3_600_000)]


class MarketChange(_Body, frozen=True, kw_only=True):
    """`POST /sim/market`."""

    symbol: str
    regime: RegimeName | None = None
    status: SymbolStatus | None = None
    funding_interval_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] | None = None
    """How often funding is settled from now on: a divisor of 24."""
    queue_model: QueueModel | None = None
    """Where in a queue others cancel from now on."""

    def __post_init__(self) -> None:
        if self.funding_interval_hours is not None and 24 % self.funding_interval_hours:
            raise ValueError(f"fundingIntervalHours is {self.funding_interval_hours}; give a divisor of 24")


class RefusedError(Exception):
    """A control request that makes no sense; the text says what to do."""


class Control:
    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        keys: KeyRing,
        faults: Faults,
        audit: Audit,
        player: MarketPlayer,
        judge: Judge,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._keys = keys
        self._faults = faults
        self._audit = audit
        self._player = player
        self._judge = judge

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for method, path, handler in (
            ("POST", "/sim/account", self.new_account),
            ("GET", "/sim/account/{api_key}", self.account),
            ("POST", "/sim/fault", self.schedule_fault),
            ("GET", "/sim/fault", self.list_faults),
            ("DELETE", "/sim/fault", self.remove_faults),
            ("POST", "/sim/clock", self.change_clock),
            ("GET", "/sim/clock", self.read_clock),
            ("POST", "/sim/market", self.change_market),
            ("GET", "/sim/market", self.read_market),
            ("GET", "/sim/book", self.book),
            ("POST", "/sim/audit", self.declare),
            ("GET", "/sim/audit", self.report),
            ("GET", "/sim/scenario", self.verdicts),
        ):
            router.add_route(method, path, _answering(handler))

    # ---- accounts -----------------------------------------------------------------------------------------------

    async def new_account(self, request: web.Request) -> object:
        wanted = await _read(request, NewAccount)
        now_ms = self._clock.now_ms()
        public_key = None if wanted.public_key is None else read_public_key(wanted.public_key)
        if wanted.same_as is not None:
            account_id = self._find(wanted.same_as).account
        else:
            account_id = f"{wanted.label}-{len(self._exchange.accounts) + 1}"
            balances = {asset: amount_e8(asset, amount) for asset, amount in wanted.balances.items()}
            self._exchange.open_account(account_id, balances, now_ms, wanted.trade_group_id)
        credentials = self._keys.issue(
            account_id, wanted.label, now_ms, may_withdraw=wanted.may_withdraw, public_key=public_key
        )
        answer = {"account": account_id, "apiKey": credentials.api_key}
        return answer if public_key is not None else {**answer, "apiSecret": credentials.secret}

    async def account(self, request: web.Request) -> object:
        """The exchange's own books of one account."""
        account = self._exchange.account(self._find(request.match_info["api_key"]).account)
        return {
            "account": account.account_id,
            "wallets": {asset: format_e8(amount) for asset, amount in account.wallets_e8.items()},
            "symbols": {symbol: self._books(holding) for symbol, holding in account.holdings.items()},
        }

    def _books(self, holding: Holding) -> Json:
        spec = holding.spec
        mark_e8 = self._exchange.listing(spec.symbol).mark_e8
        totals = holding.totals
        return {
            "position": plain(spec.quantity_to_decimal(holding.net_steps)),
            "entryPrice": plain(holding.position.entry_price),
            "fills": totals.fills,
            "filled": plain(spec.quantity_to_decimal(totals.steps)),
            "volume": plain_e8(totals.quote_e8),
            "makerFills": totals.maker_fills,
            "fees": plain_e8(totals.fees_e8.get(spec.margin_asset, 0)),
            "feesInBnb": plain_e8(totals.fees_e8.get(FEE_ASSET, 0)),
            "realised": plain_e8(totals.realised_e8),
            "unrealised": plain_e8(sum(holding.position_of(side).unrealised_e8(mark_e8) for side in holding.sides)),
            "funding": plain_e8(totals.funding_e8),
            "markPrice": format_e8(mark_e8),
            "openOrders": len(holding.open),
        }

    # ---- faults and the clock -----------------------------------------------------------------------------------

    async def schedule_fault(self, request: web.Request) -> object:
        fault = await _read_fault(request)
        if (wrong := unreachable(fault)) is not None:
            raise RefusedError(": ".join(wrong))
        return {"id": self._faults.schedule(fault, self._clock.monotonic_ns())}

    async def list_faults(self, _: web.Request) -> object:
        return self._faults.list()

    async def remove_faults(self, request: web.Request) -> object:
        """One by `?id=`, else all."""
        text = request.rel_url.query.get("id")
        if text is None:
            self._faults.clear()
        elif (number := parse_integer(text)) is None or not self._faults.cancel(number):
            raise RefusedError(f"no fault has id {text!r}; GET /sim/fault lists them")
        return {}

    async def change_clock(self, request: web.Request) -> object:
        self._clock.skew_ms = (await _read(request, ClockChange)).skew_ms
        return self._clock_state()

    async def read_clock(self, _: web.Request) -> object:
        return self._clock_state()

    def _clock_state(self) -> Json:
        return {
            "nowMs": self._clock.now_ms(),
            "reportedMs": self._clock.reported_ms(),
            "skewMs": self._clock.skew_ms,
            "rate": self._clock.rate,
            "clock": self._clock.to_text(),
        }

    # ---- the market ---------------------------------------------------------------------------------------------

    async def change_market(self, request: web.Request) -> object:
        wanted = await _read(request, MarketChange)
        symbol = self._listed(wanted.symbol)
        if wanted.regime is not None:
            try:
                self._player.set_regime(symbol, wanted.regime)
            except KeyError:
                raise RefusedError(f"{symbol} has no source that plays it") from None
        if wanted.status is not None:
            self._exchange.set_status(symbol, wanted.status, self._clock.now_ms())
        if wanted.funding_interval_hours is not None:
            interval_ms = wanted.funding_interval_hours * _HOUR_MS
            self._exchange.set_funding_interval(symbol, interval_ms, self._clock.now_ms())
        if wanted.queue_model is not None:
            self._exchange.set_queue_model(symbol, wanted.queue_model)
        return {}

    async def read_market(self, _: web.Request) -> object:
        return self._player.report()

    async def book(self, request: web.Request) -> object:
        """The public book, and every account's orders with what stands ahead of them."""
        symbol = self._listed(request.rel_url.query.get("symbol", ""))
        listing = self._exchange.listing(symbol)
        spec, snapshot = listing.spec, listing.depth(_BOOK_LEVELS)
        return {
            "symbol": symbol,
            "lastUpdateId": snapshot.last_update_id,
            "bids": [(spec.format_price(ticks), spec.format_quantity(steps)) for ticks, steps in snapshot.bids],
            "asks": [(spec.format_price(ticks), spec.format_quantity(steps)) for ticks, steps in snapshot.asks],
            "orders": [
                self._resting(order)
                for account in self._exchange.accounts.values()
                for order in self._exchange.open_orders(account.account_id, symbol)
            ],
        }

    def _resting(self, order: Order) -> Json:
        listing = self._exchange.listing(order.symbol)
        spec = listing.spec
        return {
            "account": order.account_id,
            "orderId": order.order_id,
            "clientOrderId": order.client_order_id,
            "side": order.side.value,
            "price": spec.format_price(order.price_ticks),
            "leaves": spec.format_quantity(order.leaves_steps),
            "ahead": spec.format_quantity(listing.side_of(order).ahead_of(order)),
            "reduceOnly": order.reduce_only,
        }

    # ---- the audit ----------------------------------------------------------------------------------------------

    async def declare(self, request: web.Request) -> object:
        declaration = await _read(request, Declaration)
        account_id = None if declaration.api_key is None else self._find(declaration.api_key).account
        self._audit.declare(declaration, account_id, self._clock.monotonic_ns(), self._clock.now_ms())
        return self._audit.report()

    async def report(self, _: web.Request) -> object:
        return self._audit.report()

    async def verdicts(self, _: web.Request) -> object:
        """What the scenario says must hold, and whether it does so far."""
        return self._judge.verdicts()

    # ---- parts --------------------------------------------------------------------------------------------------

    def _find(self, api_key: str) -> Credentials:
        credentials = self._keys.find(api_key)
        if credentials is None:
            raise RefusedError("no account has this API key; POST /sim/account makes one")
        return credentials

    def _listed(self, symbol: str) -> str:
        if symbol.upper() not in self._exchange.listings:
            raise RefusedError(f"{symbol!r} is not listed; listed are {', '.join(self._exchange.listings)}")
        return symbol.upper()


def _answering(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """JSON out; what a person got wrong is 400 with one sentence."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return _json(200, await handler(request))
        except (RefusedError, ValueError, VenueError) as error:
            return _json(400, {"error": str(error)})

    return answer


async def _read(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise RefusedError(str(error)) from None


async def _read_fault(request: web.Request) -> Fault:
    try:
        fault: Fault = msgspec.json.decode(await request.read(), type=Fault)
    except msgspec.DecodeError as error:
        raise RefusedError(str(error)) from None
    return fault


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")

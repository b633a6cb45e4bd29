"""What a worker was told, as plain data: one maker and its account, defaulted and validated, in the resources' units.

`resolve` makes it from the two files. It knows pydantic and YAML, which a worker that quotes has no use for: `load`
runs it in a process of its own, so that validating never holds up a tick nor stays in memory.
"""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
from phoenix_coordination.port import AccountTerms
from phoenix_coordination.state import Mode

from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Grinding, Guards, Parameters, Risk, Vpin

RESOLVE_SECONDS = 30.0
"""Life's seconds that a validation may take: a start of Python on a busy machine, with room."""


class InvalidConfigurationError(Exception):
    """The files do not say what a worker could run with; one line a problem: where, what, and what to do."""


class NotValidatedError(InvalidConfigurationError):
    """The files could not be validated at all, for want of CPU, memory or processes: it may work in a moment."""


class Quoting(msgspec.Struct, frozen=True):
    """The parameters of one engine as people set them: quantities in base units, the rest in the core's units."""

    net_max: Decimal
    base_size: Decimal
    worst_case_multiplier: float
    size_decay_k: float
    layer_decay: float
    min_spread_bps: float
    edge_bps: float
    vol_multiplier: float
    horizon_seconds: float
    inventory_skew_bps: float
    near_layers: int
    near_step_bps: float
    far_layers: int
    far_ratio: float
    quote_interval_ns: int
    min_requote_interval_ns: int
    requote_threshold_bps: float
    stale_after_ns: int
    late_after_ns: int
    ack_lag_ns: int
    give_up_after_ns: int
    handover_after_ns: int
    funding_sensitivity: float
    funding_alpha: float
    guards: Guards
    grinding: Grinding
    vpin: Vpin
    risk: Risk
    paused: bool


class AccountSettings(msgspec.Struct, frozen=True):
    """The account as it must be at the venue, and the shares of its rate limits that its makers may use."""

    leverage: int
    margin_type: str
    apply: bool
    request_weight_share: float
    order_share: float
    reserve_share: float


class Resolved(msgspec.Struct, frozen=True):
    """One maker and its account. `hash` is of both specs; `account_uid` is empty where the resource has none.

    `environment` is `Simulator`, `Testnet` or `Production`; `base_url` is set for a simulator alone.
    """

    hash: str
    generation: int
    namespace: str
    maker: str
    account: str
    account_uid: str
    symbol: str
    mode: Mode
    environment: str
    base_url: str
    egress: str
    settings: AccountSettings
    terms: AccountTerms
    daily_loss: int
    """The account's, all makers together: 1e-8 quote."""
    quoting: Quoting
    shadow: Quoting | None = None
    """The second set, of the engine beside the live one."""
    capital: int | None = None
    """What the maker may use (of a ramp: at this stage), 1e-8 quote; None where none was declared."""

    @property
    def account_name(self) -> str:
        """`namespace/name` of the account's resource."""
        return f"{self.namespace}/{self.account}"

    @property
    def identity(self) -> dict[str, str]:
        """Who is meant, by the names under which people write it."""
        return {
            "metadata.namespace": self.namespace,
            "metadata.name": self.maker,
            "spec.symbol": self.symbol,
            "spec.accountRef": self.account,
            "account.metadata.uid": self.account_uid,
            "account.spec.environment": self.environment,
        }

    @property
    def cold(self) -> dict[str, object]:
        """What only another process would heed, by the names under which people write it."""
        settings = self.settings
        return {
            "spec.mode": self.mode,
            "account.spec.endpoints": self.base_url,
            "account.spec.egress": self.egress,
            "account.spec.settings": (settings.leverage, settings.margin_type, settings.apply),
            "account.spec.budgets": (settings.request_weight_share, settings.order_share, settings.reserve_share),
        }


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Resolved)


def encode(resolved: Resolved) -> bytes:
    return _encoder.encode(resolved)


async def load(maker_file: Path, account_file: Path) -> Resolved:
    """Reads and validates both files whole, in a process of its own; raises `InvalidConfigurationError`."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            status, output, errors = await _resolve(maker_file, account_file)
    except (TimeoutError, OSError) as error:
        why = str(error) or f"no answer within {RESOLVE_SECONDS:.0f} s"
        raise NotValidatedError(
            f"{maker_file} and {account_file} could not be validated: {why}: give the worker more CPU and memory"
        ) from None
    if status != 0:
        reason = errors.decode(errors="replace").strip()
        raise InvalidConfigurationError(reason or f"validating {maker_file} ended with status {status}")
    return _decoder.decode(output)


async def _resolve(maker_file: Path, account_file: Path) -> tuple[int | None, bytes, bytes]:
    """Exit status, stdout and stderr of the validating process, which does not outlive this call."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "phoenix_worker.runtime.resolve", str(maker_file), str(account_file)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, output, errors


def shadow_parameters(resolved: Resolved, instrument: Instrument) -> Parameters | None:
    """The second set, ready for the core; None where nobody has written one. Raises as `parameters`."""
    return None if resolved.shadow is None else parameters(resolved.shadow, instrument, "spec.shadow")


def parameters(quoting: Quoting, instrument: Instrument, path: str = "spec") -> Parameters:
    """Ready for the core: quantities in whole steps. Raises `InvalidConfigurationError`, which names the field below
    `path`, where less than one is left.

    netMax and baseSize round down: a size between two steps never becomes more than somebody wrote.
    """
    steps = {}
    for name, quantity in (("netMax", quoting.net_max), ("baseSize", quoting.base_size)):
        try:
            steps[name] = instrument.quantity.floor(quantity)
        except ArithmeticError:  # more digits than decimals carry
            raise InvalidConfigurationError(f"{path}.{name}: {quantity} is larger than any order can be") from None
        if steps[name] < 1:
            step = instrument.quantity.text(1)
            raise InvalidConfigurationError(
                f"{path}.{name}: {quantity} is less than one step of {instrument.symbol}: write at least {step}"
            )
    return in_steps(quoting, steps["netMax"], steps["baseSize"])


def in_steps(quoting: Quoting, net_max_steps: int, base_size_steps: int) -> Parameters:
    """The same parameters with these quantities."""
    plain = {
        field: getattr(quoting, field) for field in quoting.__struct_fields__ if field not in {"net_max", "base_size"}
    }
    return Parameters(net_max_steps=net_max_steps, base_size_steps=base_size_steps, **plain)

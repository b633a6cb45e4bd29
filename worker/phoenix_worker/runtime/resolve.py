"""`python -m phoenix_worker.runtime.resolve MAKER ACCOUNT`: the two files, validated, as one message on stdout.

Exit status 1 with the problems on stderr where they do not hold together. The only module of the worker that imports
the resources' models.
"""

import sys
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from phoenix_coordination.port import AccountTerms, EmergencyLevel
from phoenix_coordination.state import Mode
from phoenix_crds import (
    Emergency,
    InvalidResourceError,
    MarketMakerSpec,
    TradingAccountSpec,
    TradingParameters,
    read_resolved,
    resolved_hash,
)
from phoenix_crds.values import LossLimit

from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.parameters import Grinding, Guards, Risk, Vpin
from phoenix_worker.runtime.resolved import AccountSettings, InvalidConfigurationError, Quoting, Resolved, encode

DEFAULT_NAMESPACE = "default"


def resolve(maker_file: Path, account_file: Path) -> Resolved:
    """Both files as plain data; raises `InvalidConfigurationError` with every problem, one a line."""
    try:
        maker, account = read_resolved(maker_file, account_file)
    except InvalidResourceError as error:
        raise InvalidConfigurationError(str(error)) from None
    if maker.spec.account_ref != account.metadata.name:
        raise InvalidConfigurationError(
            f"{maker_file}: spec.accountRef: names {maker.spec.account_ref!r}, but {account_file} holds "
            f"{account.metadata.name!r}: give the worker the account that its maker names"
        )
    namespace = maker.metadata.namespace or DEFAULT_NAMESPACE
    return Resolved(
        hash=resolved_hash(maker.spec, account.spec),
        generation=maker.metadata.generation or 0,
        namespace=namespace,
        maker=maker.metadata.name,
        account=account.metadata.name,
        account_uid=account.metadata.uid or "",
        symbol=maker.spec.symbol,
        mode=Mode(maker.spec.mode.value),
        environment=account.spec.environment.value,
        base_url=account.spec.endpoints.base_url if account.spec.endpoints else "",
        egress=account.spec.egress,
        settings=_settings(account.spec),
        terms=_terms(account.spec),
        daily_loss=_money(account.spec.limits.daily_loss),
        quoting=quoting_of(maker.spec, maker.spec),
        shadow=None if maker.spec.shadow is None else quoting_of(maker.spec.shadow, maker.spec),
        capital=None if maker.spec.risk.capital is None else _money(maker.spec.risk.capital),
    )


def _settings(spec: TradingAccountSpec) -> AccountSettings:
    return AccountSettings(
        leverage=spec.settings.leverage,
        margin_type=spec.settings.margin_type.value,
        apply=spec.settings.apply,
        request_weight_share=float(spec.budgets.request_weight_share),
        order_share=float(spec.budgets.order_share),
        reserve_share=float(spec.budgets.reserve_share),
    )


def _terms(spec: TradingAccountSpec) -> AccountTerms:
    levels = {
        Emergency.NONE: EmergencyLevel.NONE,
        Emergency.HALT: EmergencyLevel.HALT,
        Emergency.FLATTEN: EmergencyLevel.FLATTEN,
    }
    return AccountTerms(
        net_micro=_micro(spec.limits.net_notional),
        gross_micro=_micro(spec.limits.gross_notional),
        emergency=levels[spec.emergency],
    )


def _micro(amount: Decimal) -> int:
    """1e-6 quote, rounded down: a limit never grows by rounding."""
    return int((amount * 1_000_000).to_integral_value(ROUND_DOWN))


def _money(amount: Decimal) -> int:
    """1e-8 quote, rounded down, as above."""
    return int((amount * MONEY).to_integral_value(ROUND_DOWN))


def _limit(loss: LossLimit, capital: Decimal | None) -> int | None:
    """Money; `None`: a share, and no capital was declared of which it would be one."""
    amount = loss.of(capital)
    return None if amount is None else _money(amount)


def quoting_of(spec: TradingParameters, maker: MarketMakerSpec) -> Quoting:
    """One engine's parameters; what a second set does not have (patience, pause) is the maker's for both."""
    guards, grinding, risk, vpin = spec.guards, spec.grinding, spec.risk, spec.vpin
    return Quoting(
        net_max=spec.net_max,
        base_size=spec.base_size,
        worst_case_multiplier=float(spec.worst_case_multiplier),
        size_decay_k=float(spec.size_decay_k),
        layer_decay=float(spec.layer_decay),
        min_spread_bps=float(spec.min_spread_bps),
        edge_bps=float(spec.edge_bps),
        vol_multiplier=float(spec.vol_multiplier),
        horizon_seconds=float(spec.horizon_seconds),
        inventory_skew_bps=float(spec.inventory_skew_bps),
        near_layers=spec.near_layers,
        near_step_bps=float(spec.near_step_bps),
        far_layers=spec.far_layers,
        far_ratio=float(spec.far_ratio),
        quote_interval_ns=spec.quote_interval.ns,
        min_requote_interval_ns=spec.min_requote_interval.ns,
        requote_threshold_bps=float(spec.keep_band_bps),
        stale_after_ns=maker.stale_after.ns,
        late_after_ns=maker.late_after.ns,
        ack_lag_ns=maker.user_stream.ack_lag.ns,
        give_up_after_ns=maker.user_stream.give_up_after.ns,
        handover_after_ns=maker.handover_after.ns,
        funding_sensitivity=float(spec.funding.sensitivity),
        funding_alpha=float(spec.funding.alpha),
        guards=Guards(
            pin_ratio=float(guards.pin_ratio),
            block_ratio=float(guards.block_ratio),
            flatten_ratio=float(guards.flatten_ratio),
            liquidate_ratio=float(guards.liquidate_ratio),
            hysteresis=float(guards.hysteresis),
            pnl_stop_ratio=float(guards.pnl_stop_ratio),
            emergency_slice=float(guards.emergency_slice),
            cooldown_ns=guards.cooldown.ns,
            flatten_widen_bps=float(guards.flatten_widen_bps),
        ),
        grinding=Grinding(
            enabled=grinding.enabled,
            ratio=float(grinding.ratio),
            deviation=float(grinding.deviation),
            interval_ns=grinding.interval.ns,
            per_hour=grinding.per_hour,
            size=float(grinding.size),
            reentry=float(grinding.reentry),
            offset_bps=float(grinding.offset_bps),
            boost=float(grinding.boost),
        ),
        vpin=Vpin(
            threshold=float(vpin.threshold),
            resume=float(vpin.resume),
            halt=float(vpin.halt),
            max_widen=float(vpin.max_widen),
            buckets=vpin.buckets,
            buckets_per_day=vpin.buckets_per_day,
            half_life_ns=vpin.half_life.ns,
        ),
        risk=Risk(
            failure_ratio=float(risk.failure_ratio),
            failure_window=risk.failure_window,
            sane_band_bps=float(risk.sane_band_bps),
            daily_loss_max=_limit(risk.daily_loss_max, risk.capital),
            stop_loss=_limit(risk.stop_loss, risk.capital),
        ),
        paused=maker.paused,
    )


def main(arguments: list[str]) -> int:
    try:
        resolved = resolve(Path(arguments[0]), Path(arguments[1]))
    except InvalidConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(encode(resolved))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Who is compared: Phoenix as a worker would run it, Phoenix without one of its parts, and the others."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from phoenix_cli.rehearsal.maker import EngineMaker, Maker, Wish
from phoenix_worker.core import events as ev
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Parameters

from quality.calibration import Calibration
from quality.closed_forms import glft_slope, solve
from quality.rivals import AvellanedaStoikov, FixedGrid, Glft, Policy, Rival

PHOENIX = "Phoenix"
NO_SKEW, NO_VPIN, NO_GRINDING = "without skew", "without VPIN", "without grinding"
GRID, AS, GLFT = "fixed grid", "Avellaneda–Stoikov", "GLFT"
NEVER = 1.0
"""VPIN is at most 1: what begins there begins never."""

Contenders = Mapping[str, Callable[[], Maker]]
"""Each call makes a fresh one."""


class Phoenix(EngineMaker):
    """Remembers whether VPIN and grinding can have changed anything: where not, a run without them would be the same to
    the last order, and need not be run again.
    """

    def __init__(self, parameters: Parameters, instrument: Instrument) -> None:
        super().__init__(parameters, instrument)
        self.toxic = self.stuck = False
        self._toxic_from = parameters.vpin.threshold
        self._stuck_from = parameters.grinding.ratio * parameters.net_max_steps

    def on(self, event: ev.AnyEvent) -> Sequence[Wish]:
        wishes = super().on(event)
        # Silence only lowers VPIN below its average.
        self.toxic = self.toxic or self.engine.vpin.average > self._toxic_from
        self.stuck = self.stuck or abs(self.engine.account.position.steps) >= self._stuck_from
        return wishes

    def is_same_without(self, part: str) -> bool:
        """Of a contender by its name."""
        return (part == NO_VPIN and not self.toxic) or (part == NO_GRINDING and not self.stuck)


def contenders(
    parameters: Parameters, instrument: Instrument, calibration: Calibration, variants: Mapping[str, Parameters]
) -> Contenders:
    """`variants`: further sets of parameters under which Phoenix runs, by name."""
    replace = msgspec.structs.replace
    engines = {
        PHOENIX: parameters,
        NO_SKEW: replace(parameters, inventory_skew_bps=0.0),
        NO_VPIN: replace(parameters, vpin=replace(parameters.vpin, threshold=NEVER, resume=NEVER, halt=NEVER)),
        NO_GRINDING: replace(parameters, grinding=replace(parameters.grinding, enabled=False)),
        **variants,
    }
    made: dict[str, Callable[[], Maker]] = {
        name: lambda each=each: Phoenix(each, instrument)  # type: ignore[misc]
        for name, each in engines.items()
    }
    for name, policy in policies(parameters, calibration).items():
        made[name] = lambda policy=policy: _rival(policy(), parameters, instrument)  # type: ignore[misc]
    return made


def policies(parameters: Parameters, calibration: Calibration) -> dict[str, Callable[[], Policy]]:
    """The papers leave γ and the horizon to the reader: both are such that a full position moves the quotes by as much
    as Phoenix's inventorySkewBps, so that all are equally averse to what they hold.
    """
    lot = parameters.base_size_steps
    wanted_bps = parameters.inventory_skew_bps / (parameters.net_max_steps / lot)
    sigma, k, a = calibration.sigma_bps, calibration.k, calibration.a
    gamma = solve(lambda gamma: glft_slope(sigma, gamma, k, a), wanted_bps, 1e-9, 1e3)
    horizon_s = wanted_bps / (gamma * sigma * sigma)
    spacing_bps = max(parameters.min_spread_bps, 2 * parameters.edge_bps)
    return {
        GRID: lambda: FixedGrid(spacing_bps, parameters.near_layers),
        AS: lambda: AvellanedaStoikov(lot, gamma, k, horizon_s),
        GLFT: lambda: Glft(lot, gamma, k, a),
    }


def _rival(policy: Policy, parameters: Parameters, instrument: Instrument) -> Rival:
    return Rival(
        policy,
        instrument,
        size_steps=parameters.base_size_steps,
        net_max_steps=parameters.net_max_steps,
        keep_bps=parameters.requote_threshold_bps,
        requote_ns=parameters.min_requote_interval_ns,
    )

"""Every number of a maker: the least and the most that may be written, and that what lies just beyond is refused."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import get_args

import pytest
from phoenix_crds import Loaded, Problem, Severity
from phoenix_crds.maker import MarketMakerSpec
from phoenix_crds.rules import Resource
from phoenix_crds.values import Duration, LossLimit

Read = Callable[[str], tuple[Loaded, list[Problem]]]

# Below, least, most, beyond; "-": there is no such end.
RANGES = """
netMax                   0      0.008   -       -
baseSize                 0      0.0001  0.2     0.201
worstCaseMultiplier      0.99   1       2       2.01
sizeDecayK               -0.01  0       50      50.01
layerDecay               0      0.01    1       1.01
minSpreadBps             -0.01  0       1000    1000.01
edgeBps                  -10.01 -10     500     500.01
volMultiplier            -0.01  0       20      20.01
horizonSeconds           0      0.01    3600    3600.01
inventorySkewBps         -0.01  0       500     500.01
nearLayers               -1     0       20      21
nearStepBps              0      0.01    500     500.01
farLayers                -1     0       20      21
farRatio                 1      1.01    10      10.01
quoteInterval            99ms   100ms   1h      3601s
minRequoteInterval       9ms    10ms    500ms   501ms
requoteThreshold         0      0.01    500     500.01
staleAfter               499ms  500ms   1m      61s
lateAfter                99ms   100ms   1m      61s
restartAfter             9s     10s     1h      3601s
handoverAfter            499ms  500ms   10m     601s
userStream.ackLag        49ms   50ms    1m      61s
userStream.giveUpAfter   4s     5s      1h      3601s
guards.pinRatio          0      0.04    1.99    2
guards.blockRatio        0      0.01    1.99    2
guards.flattenRatio      0      0.01    1.99    2
guards.liquidateRatio    0      0.01    1.99    2
guards.hysteresis        -0.01  0       0.5     0.51
guards.pnlStopRatio      0      0.01    1       1.01
guards.emergencySlice    0      0.01    1       1.01
guards.cooldown          999ms  1s      24h     86401s
guards.flattenWidenBps   -0.01  0       500     500.01
grinding.ratio           0      0.01    1.99    2
grinding.deviation       0      0.0001  0.1     0.1001
grinding.interval        29s    30s     24h     86401s
grinding.perHour         -1     0       120     121
grinding.size            0      0.001   0.5     0.501
grinding.reentry         -0.01  0       5       5.01
grinding.offsetBps       0      0.01    100     100.01
grinding.boost           0.99   1       5       5.01
funding.sensitivity      -0.01  0       20      20.01
funding.alpha            0      0.01    1       1.01
vpin.threshold           0      0.01    0.99    1
vpin.resume              0      0.01    0.99    1
vpin.halt                0      0.01    1       1.01
vpin.maxWiden            0.99   1       10      10.01
vpin.buckets             4      5       500     501
vpin.bucketsPerDay       23     24      86400   86401
vpin.halfLife            999ms  1s      24h     86401s
risk.capital             0      0.01    -       -
risk.dailyLossMax        0      0.01    -       -
risk.stopLoss            0      0.01    -       -
risk.failureRatio        0      0.01    1       1.01
risk.failureWindow       49     50      10000   10001
risk.saneBandBps         0      0.01    5000    5000.01
"""
ROWS = [line.split() for line in RANGES.strip().splitlines()]
MANIFEST = """\
apiVersion: phoenix.trading/v1alpha1
kind: MarketMaker
metadata: {{name: ethusdc}}
spec: {{symbol: ETHUSDC, {needed}{written}}}
"""
NEEDED = {"netMax": '"0.2"', "baseSize": '"0.008"'}


def manifest(field: str, value: str) -> str:
    """The maker with this one value written."""
    text = value if value.lstrip("-").isdigit() else f'"{value}"'
    parent, _, leaf = field.rpartition(".")
    written = f"{parent}: {{{leaf}: {text}}}" if parent else f"{leaf}: {text}"
    needed = "".join(f"{name}: {default}, " for name, default in NEEDED.items() if name != field)
    return MANIFEST.format(needed=needed, written=written)


def errors(read: Read, field: str, value: str) -> list[Problem]:
    _, problems = read(manifest(field, value))
    return [problem for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, id=f"{field} {value}")
        for field, below, _, _, beyond in ROWS
        for value in (below, beyond)
        if value != "-"
    ],
)
def test_what_lies_beyond_the_range_of_a_field_is_refused_by_its_name(read: Read, field: str, value: str) -> None:
    (error,) = [each for each in errors(read, field, value) if each.field == f"spec.{field}"]
    assert error.line == 4
    assert error.hint or ":" in error.message, "says what to do"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, id=f"{field} {value}")
        for field, _, least, most, _ in ROWS
        for value in (least, most)
        if value != "-"
    ],
)
def test_the_ends_of_a_range_are_within_it(read: Read, field: str, value: str) -> None:
    """Beside the others' defaults an end may contradict an order; it is refused for that alone."""
    orders = ("must rise", "must be below", "order them so", "must not exceed", "at least 1, or nothing", "any spread")
    assert [each for each in errors(read, field, value) if not any(text in each.message for text in orders)] == []


def numbers(model: type[Resource], prefix: str = "") -> Iterator[str]:
    """The paths of all fields that hold a number, a duration or a limit."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Resource):
            yield from numbers(annotation, f"{path}.")
        elif not _kinds(annotation).isdisjoint({int, Decimal, Duration, LossLimit}):
            yield path


def _kinds(annotation: object) -> set[object]:
    """`Annotated[Decimal, …] | None` → Decimal and None."""
    parts = get_args(annotation)
    return {kind for part in parts for kind in _kinds(part)} if parts else {annotation}


def test_every_number_of_a_maker_is_in_the_table() -> None:
    assert sorted(numbers(MarketMakerSpec)) == sorted(field for field, *_ in ROWS)

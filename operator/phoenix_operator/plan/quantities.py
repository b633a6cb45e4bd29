"""Amounts of CPU and memory in the API server's own spelling, so that what it gives back is no difference."""

from decimal import Decimal

_BINARY = {"Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40)}
_DECIMAL = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6)}
_LARGE = {"G": Decimal(10**9), "T": Decimal(10**12)}


def amount_of(written: str) -> Decimal:
    """In CPUs, or in bytes."""
    number, unit = _split(written)
    return Decimal(number) * (_BINARY | _DECIMAL | _LARGE)[unit]


def canonical_quantity(written: str) -> str:
    """A quantity as the API server writes it: a whole number of the largest unit of its kind that gives one.

    `1024Mi` → `1Gi`, `0.5` → `500m`, `1.5Gi` → `1536Mi`.
    """
    number, unit = _split(written)
    units = {"": Decimal(1)} | _BINARY if unit in _BINARY else _DECIMAL | _LARGE
    amount = Decimal(number) * units[unit]
    if unit in _BINARY and amount != amount.to_integral_value():
        return canonical_quantity(f"{amount:f}")
    fits = [(size, name) for name, size in units.items() if amount % size == 0]
    if not fits:
        return written
    size, name = max(fits) if amount else (Decimal(1), "")
    return f"{int(amount / size)}{name}"


def _split(written: str) -> tuple[str, str]:
    """Number and unit."""
    if written[-2:] in _BINARY:
        return written[:-2], written[-2:]
    return (written[:-1], written[-1]) if written[-1] in "mkMGT" else (written, "")

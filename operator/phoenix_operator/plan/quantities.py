"""Amounts of CPU and memory in the API server's own spelling, so that what it gives back is no difference."""

from decimal import Decimal

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6)}
_LARGE = {"G": Decimal(10**9), "T": Decimal(10**12)}


def canonical_quantity(written: str) -> str:
    """A quantity as the API server writes it: a whole number of the largest unit of its kind that gives one.

    `1024Mi` → `1Gi`, `0.5` → `500m`, `1.5Gi` → `1536Mi`.
    """
    number, unit = (written[:-2], written[-2:]) if written[-2:] in _BINARY else (written, "")
    if not unit and written[-1] in "mkMGT":
        number, unit = written[:-1], written[-1]
    if unit in _BINARY:
        units: dict[str, Decimal] = {"": Decimal(1)} | {name: Decimal(size) for name, size in _BINARY.items()}
    else:
        units = _DECIMAL | _LARGE
    amount = Decimal(number) * units[unit]
    if unit in _BINARY and amount != amount.to_integral_value():
        return canonical_quantity(f"{amount:f}")
    fits = [(size, name) for name, size in units.items() if amount % size == 0]
    if not fits:
        return written
    size, name = max(fits) if amount else (Decimal(1), "")
    return f"{int(amount / size)}{name}"

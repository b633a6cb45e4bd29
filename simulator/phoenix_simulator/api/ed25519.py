"""Ed25519 signatures (RFC 8032): checking them, and nothing else. No secret ever comes here.

Points are in extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x·y = T/Z (RFC 8032, 5.1.4).
"""

import hashlib
from functools import cache
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)

Point = tuple[int, int, int, int]

ZERO: Final[Point] = (0, 1, 1, 0)


class Multiples:
    """Of one point: j·16^i times it, ready to be summed up. Building them costs some eight multiplications by a scalar,
    after which one costs an eighth: a key is used again and again.
    """

    __slots__ = ("_rows",)

    def __init__(self, point: Point) -> None:
        self._rows: list[list[Point]] = []
        for _ in range(KEY_BYTES * 2):
            row = [ZERO]
            for _ in range(15):
                row.append(_add(row[-1], point))
            self._rows.append(row)
            point = _add(row[-1], point)

    def add_to(self, total: Point, scalar: int) -> Point:
        """Adds scalar · point to `total`, for scalars below 2^256."""
        for row in self._rows:
            if digit := scalar & 15:
                total = _add(total, row[digit])
            scalar >>= 4
        return total


class Verifier:
    """Judges the signatures of one public key. ValueError for bytes that are none."""

    __slots__ = ("_negated", "_public_key")

    def __init__(self, public_key: bytes) -> None:
        point = decode_point(public_key)
        if point is None:
            raise ValueError("no point of Ed25519")
        x, y, z, t = point
        self._public_key = public_key
        self._negated = Multiples((-x % _P, y, z, -t % _P))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is the owner's under `message`."""
        commitment, scalar = signature[:KEY_BYTES], int.from_bytes(signature[KEY_BYTES:], "little")
        if len(signature) != SIGNATURE_BYTES or scalar >= ORDER:
            return False
        digest = hashlib.sha512(commitment + self._public_key + message).digest()
        challenge = int.from_bytes(digest, "little") % ORDER
        return encode_point(self._negated.add_to(base().add_to(ZERO, scalar), challenge)) == commitment


@cache
def base() -> Multiples:
    """Multiples of the curve's base point, made when they are first asked for."""
    point = decode_point((4 * pow(5, -1, _P) % _P).to_bytes(KEY_BYTES, "little"))
    if point is None:
        raise ArithmeticError("the base point is on the curve")
    return Multiples(point)


def decode_point(encoded: bytes) -> Point | None:
    """None for bytes that are no point of the curve."""
    if len(encoded) != KEY_BYTES:
        return None
    number = int.from_bytes(encoded, "little")
    y, x_is_odd = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if (x * x - x_squared) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - x_squared) % _P or (not x and x_is_odd):
        return None
    if x & 1 != x_is_odd:
        x = _P - x
    return x, y, 1, x * y % _P


def encode_point(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(KEY_BYTES, "little")


def _add(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P

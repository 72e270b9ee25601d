"""How much waits at the five best prices of each side: invented, and made once for instruments alike."""

from functools import cache
from random import Random
from typing import NamedTuple

SHAPES = 16
"""Different sides that instruments with the same usual quantity take turns with."""


class Side(NamedTuple):
    """Quantity and orders of five levels in turn, best first, and what waits on the side in all."""

    levels: tuple[int, ...]
    total: int


def sides(queue: int, lot: int) -> tuple[Side, ...]:
    """`queue` is the usual quantity at a price, of which only the size counts; quantities are whole lots."""
    return _sides(1 << queue.bit_length(), lot)


@cache
def _sides(queue: int, lot: int) -> tuple[Side, ...]:
    chance = Random(queue * 1_000_003 + lot)  # noqa: S311 - not for secrets
    return tuple(_side(chance, queue, lot) for _ in range(SHAPES))


def _side(chance: Random, queue: int, lot: int) -> Side:
    levels: list[int] = []
    waiting = 0
    for far in range(1, 6):
        draw = chance.getrandbits(6)
        lots = 1 + queue * draw * (far + 2) // (160 * lot)
        waiting += lots * lot
        levels += lots * lot, 1 + min(lots - 1, draw * far >> 3)
    behind = queue * (40 + chance.getrandbits(5)) // lot * lot
    return Side(tuple(levels), waiting + behind)

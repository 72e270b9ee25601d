"""What all names of a session share: its clock, its hours of rush and quiet, and the index.

The same numbers on every machine: only + - * / and comparisons on floats, whole numbers, and the parts of
`random` that never change (`random`, `getrandbits`). No mathematical library: its last digits differ.
"""

from datetime import datetime
from hashlib import sha256
from math import isqrt
from random import Random
from typing import NamedTuple

from alphapanda.times import IST

VERSION = 1
"""Goes up with every change of the prices that a seed makes."""
OPENS = datetime(2026, 4, 15, 9, 15, tzinfo=IST)
"""A Wednesday on which NSE traded its usual hours."""
SECONDS = 22_500
"""To 15:30:00, which is no longer in the session."""
LUNCH = 0.58
"""The quietest moment, as a part of the session: about 12:50."""

_ROOT_SCALE = 10**12


def root(number: int) -> float:
    """The square root of a whole number, to about twelve places."""
    return isqrt(number * _ROOT_SCALE * _ROOT_SCALE) / _ROOT_SCALE


ROOT_OF_SECONDS = root(SECONDS)


def stream(seed: int, name: str) -> Random:
    """Chance of its own for `name`: whatever else is in the session does not touch it."""
    digest = sha256(f"{VERSION} {seed} {name}".encode()).digest()
    return Random(int.from_bytes(digest[:16], "big"))  # noqa: S311 - not for secrets


def noise(chance: Random) -> float:
    """Mean 0, deviation 1, between -3 and 3: the sum of three even draws is close to a bell."""
    draw = chance.random
    return (draw() + draw() + draw() - 1.5) * 2.0


def _shape(lunch: float, opening: float, closing: float) -> tuple[float, ...]:
    """One factor a minute: `opening` at the open, down to `lunch`, up to `closing` at the close."""
    factors = []
    for minute in range(SECONDS // 60):
        moment = minute * 60 / SECONDS
        far = (LUNCH - moment) / LUNCH if moment < LUNCH else (moment - LUNCH) / (1 - LUNCH)
        edge = opening if moment < LUNCH else closing
        factors.append(lunch + (edge - lunch) * far * far)
    return tuple(factors)


ACTIVITY = _shape(0.35, 1.0, 0.95)
"""How often a name ticks, 1 at most."""
VOLUME = _shape(0.38, 2.4, 2.0)
"""Shares a second, 1 on average over the session."""
ROUGHNESS = _shape(0.66, 1.78, 1.22)
"""How far prices move in a second; its square is 1 on average."""

INDEX_GAP, INDEX_MOVE, INDEX_JUMP = 0.22, 0.5, 0.2
"""In usual days' moves of a share: the opening gap, the walk of the day, a jump. About one jump a day."""
REST = 20_000
"""Mean seconds from one jump to the next, of the index and of each name."""


class Index(NamedTuple):
    """What every name shares by its beta, as parts of its price: the gap, and the move since the open."""

    gap: float
    moves: tuple[float, ...]


def index_of(seed: int, usual: float) -> Index:
    """`usual` is the usual size of a share's move in a day, as a part of its price."""
    chance = stream(seed, "the index")
    gap = noise(chance) * usual * INDEX_GAP
    step = usual * INDEX_MOVE / ROOT_OF_SECONDS
    level, moves, jump_at = 0.0, [], next_jump(chance, 0)
    for second in range(SECONDS):
        level += noise(chance) * step * ROUGHNESS[second // 60]
        if second >= jump_at:
            level += jump(chance) * usual * INDEX_JUMP
            jump_at = next_jump(chance, second)
        moves.append(level)
    return Index(gap, tuple(moves))


def next_jump(chance: Random, second: int) -> int:
    return second + 1 + int(chance.random() * 2 * REST)


def jump(chance: Random) -> float:
    """Up or down, 0.5 to 1.5."""
    draw = chance.random()
    return 0.5 + 2.0 * draw if draw < 0.5 else 0.5 - 2.0 * draw

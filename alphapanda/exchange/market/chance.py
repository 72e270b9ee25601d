"""Streams of chance, one for each instrument and purpose: what another does never touches them.

Prices come from whole numbers, additions and divisions of them only, and are so the same on every machine.
"""

from hashlib import sha256
from random import Random

VERSION = 1
"""Goes up with every change of the prices that a seed makes."""

_CHANCE = Random()  # noqa: S311 - not for secrets


def root_of(seed: int, name: str) -> int:
    """The number from which the streams of `name` begin: days and minutes are added to it."""
    return int.from_bytes(sha256(f"{VERSION} {seed} {name}".encode()).digest()[:12], "big") << 32


def stream(number: int) -> Random:
    """The stream that begins at this number. It is good until the next call: there is one generator."""
    _CHANCE.seed(number)
    return _CHANCE


def noise(chance: Random) -> int:
    """Mean 0, deviation about 256, between -768 and 768: the sum of three even draws."""
    bits = chance.getrandbits(27)
    return (bits & 511) + (bits >> 9 & 511) + (bits >> 18) - 766

"""Frames of chance for the decoder: good ones that were hurt in a few ways, and bytes that mean nothing.

The same seed makes the same frames. Mutations are cheap, so that millions of frames take minutes.
"""

import gc
import random
import sys
from functools import cache
from time import perf_counter_ns

from alphapanda.kite.decode import Decoder
from alphapanda.kite.encode import HEARTBEAT, frame, full_packet, index_packet
from alphapanda.kite.layout import FULL, INDEX_FULL, INDEX_QUOTE, LTP, QUOTE
from alphapanda.kite.ticks import Tick

HANG_NS = 1_000_000_000
"""A frame that takes longer is decoded once more: only one that is slow again is slow by itself."""
READ_EVERY = 2
"""Of every so many frames all fields of all ticks are read."""
_GOLDEN = full_packet(
    *(408065, 157370, 7, 157037, 1192471, 256443, 363009, 156915, 157500, 156105, 156780),
    *(1625461887, 0, 0, 0, 1625461887),
    [(5, 157340, 1), (140, 157300, 2), (2, 157295, 1), (219, 157290, 7), (50, 157285, 1)],
    [(172, 157370, 3), (44, 157375, 3), (302, 157385, 3), (141, 157390, 2), (724, 157395, 5)],
)
_INDEX = index_packet(256265, 2400005, 2410000, 2390000, 2400000, 2395000, -5, 1625461887)
_BIG = 3000


class RandomFrames:
    """`next()` is one more frame."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        forms = [_GOLDEN[:LTP], _GOLDEN[:QUOTE], _GOLDEN[:FULL], _INDEX[:INDEX_QUOTE], _INDEX[:INDEX_FULL]]
        self._good = [frame([form] * times) for form in forms for times in (1, 2, 5)]
        self._good += [frame(self._chance.choices(forms, k=1 + at % 8)) for at in range(24)]
        self._big = [frame([form] * _BIG) for form in forms]
        self._big.append(b"\xff\xff" + bytes(2 * 0xFFFF))
        self._kinds = (
            *(self._flipped, self._flipped, self._lying, self._truncated, self._huge_count),
            *(self._spliced, self._noise, self._trailing, self._odd_sizes),
        )

    def next(self) -> bytes:
        pick = self._chance.random()
        if pick < 0.0002:
            return self._flip(self._one(self._big))
        if pick < 0.01:
            return HEARTBEAT if pick < 0.005 else self._one(self._good)
        return self._chance.choice(self._kinds)()

    def _one(self, among: list[bytes]) -> bytes:
        return among[int(self._chance.random() * len(among))]

    def _place(self, data: bytes) -> int:
        return int(self._chance.random() * len(data))

    def _flip(self, data: bytes) -> bytes:
        hurt = bytearray(data)
        for _ in range(1 + int(self._chance.random() * 3)):
            hurt[self._place(hurt)] ^= 1 << int(self._chance.random() * 8)
        return bytes(hurt)

    def _flipped(self) -> bytes:
        return self._flip(self._one(self._good))

    def _lying(self) -> bytes:
        """The first length, or any two bytes, become another number, often that of another form."""
        hurt = bytearray(self._one(self._good))
        chance = self._chance.random
        at = 2 if chance() < 0.5 else int(chance() * (len(hurt) - 1))
        told = (0, 1, LTP, INDEX_QUOTE, INDEX_FULL, QUOTE, FULL, 0xFFFF)[int(chance() * 8)]
        hurt[at : at + 2] = told.to_bytes(2, "big")
        return bytes(hurt)

    def _truncated(self) -> bytes:
        data = self._one(self._good)
        return data[: self._place(data)]

    def _huge_count(self) -> bytes:
        return b"\xff" + self._chance.randbytes(1) + self._one(self._good)[2:]

    def _spliced(self) -> bytes:
        first, second = self._one(self._good), self._one(self._good)
        return first[: self._place(first)] + second[self._place(second) :]

    def _noise(self) -> bytes:
        return self._chance.randbytes(int(self._chance.random() * 80))

    def _trailing(self) -> bytes:
        return self._one(self._good) + self._chance.randbytes(1 + int(self._chance.random() * 20))

    def _odd_sizes(self) -> bytes:
        sizes = (int(self._chance.random() * 60) for _ in range(3))
        return frame([self._chance.randbytes(size) for size in sizes])


class FrameTrial:
    """One decoder, and what came of all frames that it was given."""

    def __init__(self, seed: int) -> None:
        self.frames = self.crashes = self.hangs = self.ticks = 0
        self.slowest_ns = 0
        self.first_crash = ""
        self.decoder = Decoder()
        self._source = RandomFrames(seed)

    def run(self, count: int) -> None:
        for _ in range(count):
            data = self._source.next()
            self.frames += 1
            try:
                self._one(data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                self.crashes += 1
                self.first_crash = self.first_crash or f"frame {self.frames}: {error!r}: {data[:200].hex()}"

    def _one(self, data: bytes) -> None:
        given = memoryview(data) if self.frames % 16 == 0 else data
        started = perf_counter_ns()
        ticks = self.decoder.decode(given)
        taken = perf_counter_ns() - started
        self.slowest_ns = max(taken, self.slowest_ns)
        if taken > HANG_NS:
            self.hangs += self._slow_again(data)
        self.ticks += len(ticks)
        if len(ticks) * (LTP + 2) > len(data):
            raise ValueError(f"{len(ticks)} ticks out of {len(data)} bytes")
        if self.frames % READ_EVERY == 0:
            for tick in ticks:
                read(tick)

    def _slow_again(self, data: bytes) -> bool:
        started = perf_counter_ns()
        Decoder().decode(data)
        return perf_counter_ns() - started > HANG_NS


@cache
def fields_of(form: type[Tick]) -> tuple[str, ...]:
    """The fields and properties of a form."""
    return tuple(name for name in dir(form) if not name.startswith("_"))


def read(tick: Tick) -> dict[str, object]:
    """Every field and property by its name."""
    return {name: getattr(tick, name) for name in fields_of(type(tick))}


def blocks_after_collection() -> int:
    """What is allocated now, in the interpreter's blocks."""
    gc.collect()
    return sys.getallocatedblocks()

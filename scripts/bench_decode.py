"""What a frame costs: our decoder beside the official client's `KiteTicker._parse_binary`, on equal frames.

Each round times all of them once, one after the other, in CPU time, so that a neighbour on the machine takes
nothing from one side only; the figures are medians over the rounds, in ticks a second. "decoded" leaves
prices in units and depth in bytes, with every field readable; "all read" reads every field of every tick
besides, depth and times included, which is what KiteTicker has done when it returns.
"""

import json
import random
from collections.abc import Callable
from operator import attrgetter
from statistics import median
from time import process_time
from typing import Any

from kiteconnect import KiteTicker

from alphapanda.kite.decode import Decoder
from alphapanda.kite.encode import frame, full_packet, index_packet
from alphapanda.kite.layout import FULL, INDEX_FULL, INDEX_QUOTE, LTP, QUOTE

SECOND = 1_776_225_600
ROUNDS = 20
DIFFERENT = 8
"""Frames of each form that take turns."""
LONGER = 10
"""So many of our frames are timed for one of KiteTicker's: the windows are then about equally long."""
ANY = ("instrument_token", "mode", "tradable", "last_price")
DAY = ("open", "high", "low", "close", "change")
QUANTITIES = (
    *("last_traded_quantity", "average_traded_price", "volume_traded"),
    *("total_buy_quantity", "total_sell_quantity"),
)
OPEN_INTEREST = ("last_trade_time", "oi", "oi_day_high", "oi_day_low", "exchange_timestamp", "depth")
READERS = {
    LTP: attrgetter(*ANY),
    QUOTE: attrgetter(*ANY, *QUANTITIES, *DAY),
    FULL: attrgetter(*ANY, *QUANTITIES, *DAY, *OPEN_INTEREST),
    INDEX_QUOTE: attrgetter(*ANY, *DAY),
    INDEX_FULL: attrgetter(*ANY, *DAY, "exchange_timestamp"),
}
Side = Callable[[bytes], object]


def decode(frames: int, packets: int, *, as_json: bool) -> None:
    """`frames` of each form for each side, over all rounds."""
    chance = random.Random(7)
    theirs = KiteTicker("key", "token")._parse_binary  # noqa: SLF001 - the part that is measured
    measured = {
        name: _measured([_frame(sizes, chance) for _ in range(DIFFERENT)], sizes, frames, theirs)
        for name, sizes in _forms(packets).items()
    }
    if as_json:
        print(json.dumps({"packets": packets, "forms": measured}))
        return
    print(f"{'frames of ' + str(packets):22} {'KiteTicker':>12} {'decoded':>12} {'':>6} {'all read':>12}")
    for name, row in measured.items():
        ticker, ours, read = row["kiteticker"], row["decoded"], row["all_read"]
        print(
            f"{name:22} {ticker:>12,.0f} {ours:>12,.0f} {ours / ticker:>5.1f}x "
            f"{read:>12,.0f} {read / ticker:>5.1f}x"
        )
    print("Ticks a second.")


def _forms(packets: int) -> dict[str, list[int]]:
    """Name -> the sizes of a frame's packets."""
    return {
        "ltp": [LTP] * packets,
        "quote": [QUOTE] * packets,
        "full": [FULL] * packets,
        "index, quote": [INDEX_QUOTE] * packets,
        "index, full": [INDEX_FULL] * packets,
        "full and two indices": ([INDEX_FULL] * 2 + [FULL] * packets)[:packets],
        "every form in turn": [(LTP, QUOTE, FULL, INDEX_QUOTE, INDEX_FULL)[at % 5] for at in range(packets)],
    }


def _frame(sizes: list[int], chance: random.Random) -> bytes:
    return frame([_packet(size, chance) for size in sizes])


def _packet(size: int, chance: random.Random) -> bytes:
    """One instrument's prices in the form of this size."""
    token, last = chance.randrange(1 << 16) << 8, chance.randrange(10_000, 400_000)
    if size in (INDEX_QUOTE, INDEX_FULL):
        return index_packet(token | 9, last, last + 500, last - 500, last + 7, last - 90, 90, SECOND)[:size]
    return full_packet(
        token | 1,
        last,
        chance.randrange(1, 1000),
        last - 20,
        chance.randrange(10_000_000),
        chance.randrange(1_000_000),
        chance.randrange(1_000_000),
        last + 5,
        last + 500,
        last - 500,
        last - 90,
        SECOND - 1,
        chance.randrange(1_000_000),
        1_000_000,
        0,
        SECOND,
        [(chance.randrange(1, 1000), last - 5 * level, 3) for level in range(5)],
        [(chance.randrange(1, 1000), last + 5 * level + 5, 3) for level in range(5)],
    )[:size]


def _measured(frames: list[bytes], sizes: list[int], count: int, theirs: Any) -> dict[str, float]:
    """Ticks a second of each side, the median round."""
    decoder = Decoder()
    readers = [READERS[size] for size in sizes]

    def read(data: bytes) -> None:
        for reader, tick in zip(readers, decoder.decode(data), strict=True):
            reader(tick)

    _check_equal(frames[0], theirs)
    each = max(1, count // ROUNDS)
    sides: dict[str, tuple[Side, int]] = {
        "kiteticker": (theirs, each),
        "decoded": (decoder.decode, each * LONGER),
        "all_read": (read, each * LONGER),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, (side, times) in sides.items():
            seconds[name].append(_seconds(side, frames, times))
    return {name: len(sizes) / median(taken) for name, taken in seconds.items()}


def _check_equal(data: bytes, theirs: Any) -> None:
    """A figure for something else would be worth nothing."""
    for ours, told in zip(Decoder().decode(data), theirs(data), strict=True):
        if (ours.instrument_token, ours.mode, ours.last_price) != (
            told["instrument_token"],
            told["mode"],
            told["last_price"],
        ):
            raise SystemExit(f"bench: {ours} is not {told}")


def _seconds(side: Side, frames: list[bytes], times: int) -> float:
    """CPU seconds a frame."""
    started = process_time()
    for number in range(times):
        side(frames[number % DIFFERENT])
    return (process_time() - started) / times

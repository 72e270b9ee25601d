"""Kite's binary frames into ticks, quickly when all packets have one size, and safely whatever the bytes are.

Most frames hold packets of one form. Their length says so before anything is read: then every length in the
frame is compared in two slices, and one precompiled layout walks over the whole of it. Any other frame is
walked packet by packet. Both give the same ticks.

No bytes raise. A packet of a size that is not known is counted and passed over, so that a new form would not
make us blind. A frame whose lengths and count do not come out at its end is counted and given up as a whole:
behind a length that lies, a quantity is soon read as a price.
"""

from collections.abc import Callable, Iterator
from itertools import islice, starmap
from struct import Struct as Layout
from typing import NamedTuple

from msgspec import Struct

from alphapanda.kite.layout import FULL, INDEX_FULL, INDEX_QUOTE, LTP, QUOTE
from alphapanda.kite.ticks import BriefTick, FullTick, IndexFullTick, IndexQuoteTick, LtpTick, QuoteTick, Tick

_MOST = 0xFFFF
"""Packets that a frame's count can name."""


class Counts(Struct):
    """What a decoder has seen so far. `packets` are those that became ticks."""

    frames: int = 0
    heartbeats: int = 0
    packets: int = 0
    unknown_sizes: int = 0
    """Packets of sizes that no form has, passed over in frames that are otherwise whole."""
    truncated: int = 0
    """Frames given up because they end inside a packet, or before their count is reached."""
    trailing: int = 0
    """Frames given up because bytes are left behind their last packet."""

    @property
    def malformed(self) -> int:
        """Everything that Kite should not have sent."""
        return self.unknown_sizes + self.truncated + self.trailing


class _Form(NamedTuple):
    """One size of packet: `uniform` reads it behind its length, `unpack` from where it begins."""

    tick: Callable[..., Tick]
    uniform: Layout
    unpack: Callable[[bytes, int], tuple[int | bytes, ...]]
    high: bytes
    low: bytes
    """The first and the second bytes of the lengths of a frame that holds nothing else."""


def _form(size: int, tick: Callable[..., Tick], fields: str) -> _Form:
    return _Form(
        tick,
        Layout(f">2x{fields}"),
        Layout(f">{fields}").unpack_from,
        bytes([size >> 8]) * _MOST,
        bytes([size & 0xFF]) * _MOST,
    )


_FORMS = {
    LTP: _form(LTP, LtpTick, "2I"),
    INDEX_QUOTE: _form(INDEX_QUOTE, IndexQuoteTick, "6Ii"),
    INDEX_FULL: _form(INDEX_FULL, IndexFullTick, "6IiI"),
    QUOTE: _form(QUOTE, QuoteTick, "11I"),
    FULL: _form(FULL, FullTick, "16I120s"),
}
_BRIEF = _FORMS | {FULL: _form(FULL, BriefTick, "2I8xI8x4I16xI120s")}


class Decoder:
    """One connection's frames. It keeps nothing of them but `counts`. `brief`: BriefTick for FullTick."""

    def __init__(self, *, brief: bool = False) -> None:
        self.counts = Counts()
        self._forms = _BRIEF if brief else _FORMS

    def decode(self, data: bytes | bytearray | memoryview) -> list[Tick]:
        """The ticks of one binary message in its order; none of a heartbeat or of a frame that is broken.

        Nothing of `data` is referred to afterwards.
        """
        if type(data) is not bytes:
            data = bytes(data)
        if len(data) < 2:
            self.counts.heartbeats += 1
            return []
        self.counts.frames += 1
        ticks = self._uniform(data)
        return self._walk(data, data[0] << 8 | data[1]) if ticks is None else list(ticks)

    def decode_slices(self, data: bytes, most: int) -> Iterator[list[Tick]]:
        """The ticks of `decode` in the same order, at most so many at a time, each slice made when it is
        asked for: the first of 3,000 need not wait for the last. A frame that is broken has no slice.
        """
        if len(data) < 2:
            self.counts.heartbeats += 1
            return
        self.counts.frames += 1
        ticks = self._uniform(data)
        if ticks is None:
            ticks = iter(self._walk(data, data[0] << 8 | data[1]))
        while slice_ := list(islice(ticks, most)):
            yield slice_

    def _uniform(self, data: bytes) -> Iterator[Tick] | None:
        """The ticks of a frame whose packets have one form, made one by one; None of any other frame."""
        packets, length = data[0] << 8 | data[1], len(data)
        if not packets:
            return None
        stride = (length - 2) // packets
        form = self._forms.get(stride - 2)
        if (
            form is None
            or length != 2 + packets * stride
            or data[3::stride] != form.low[:packets]
            or data[2::stride] != form.high[:packets]
        ):
            return None
        self.counts.packets += packets
        return starmap(form.tick, form.uniform.iter_unpack(memoryview(data)[2:]))

    def _walk(self, data: bytes, packets: int) -> list[Tick]:
        """Packet by packet. Each step goes on by two bytes at least, so even a lie ends."""
        ticks: list[Tick] = []
        unknown = 0
        at, end = 2, len(data)
        for _ in range(packets):
            start = at + 2
            if start > end:
                self.counts.truncated += 1
                return []
            size = data[at] << 8 | data[at + 1]
            at = start + size
            if at > end:
                self.counts.truncated += 1
                return []
            if (form := self._forms.get(size)) is None:
                unknown += 1
            else:
                ticks.append(form.tick(*form.unpack(data, start)))
        if at < end:
            self.counts.trailing += 1
            return []
        self.counts.unknown_sizes += unknown
        self.counts.packets += len(ticks)
        return ticks

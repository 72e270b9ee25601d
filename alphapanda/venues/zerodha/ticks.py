"""Kite's ticks, and its quotes, into ours: cheap, because thousands come in a second.

Prices become float rupees and times aware IST. The depth stays the wire's bytes until somebody looks at it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import force_setattr

from alphapanda.events import Depth, DepthLevel, MarketTick
from alphapanda.kite.layout import DIVISORS
from alphapanda.kite.ticks import BriefTick, IndexFullTick, IndexQuoteTick, QuoteTick, Tick, depth_of
from alphapanda.times import IST, SECOND_NS, to_ist
from alphapanda.venues.zerodha.book_rows import Quote, stamp_ns

MOST_MOMENTS = 4_096
_TIMED, _TRADED = (BriefTick, IndexFullTick), (BriefTick, QuoteTick)
SIGN, SPAN = 0x7FFFFFFF, 1 << 32
"""Prices are read unsigned, as the official client does; the documentation calls them int32. What no rupee
price can be is a negative one, and is ignored as such by all who see it.
"""


class WireDepth(Struct, frozen=True, gc=False, eq=False):
    """The depth of a packet, read when first asked for and kept then. Equal to the `Depth` that it reads.

    It keeps the bytes and not their tick, so that the last ticks of a whole market are half as large.
    """

    token: int
    levels: bytes
    read: Depth | None = None

    @property
    def depth(self) -> Depth:
        if self.read is not None:
            return self.read
        read = depth_of(self.token, self.levels)
        force_setattr(self, "read", read)
        return read

    @property
    def buy(self) -> tuple[DepthLevel, ...]:
        return self.depth.buy

    @property
    def sell(self) -> tuple[DepthLevel, ...]:
        return self.depth.sell

    def __eq__(self, other: object) -> bool:
        return self.depth == (other.depth if isinstance(other, WireDepth) else other)

    def __hash__(self) -> int:
        return hash(self.depth)


class Converted(Struct):
    """`newest_s` is the latest time of the exchange in them, 0 where none has one; `dropped` counts the
    packets of instruments that are not ours.
    """

    ticks: tuple[MarketTick, ...]
    newest_s: int
    dropped: int


class Converter:
    """Of what a brief decoder made. It keeps the moments of the last seconds: ticks share a few of them."""

    def __init__(self) -> None:
        self._moments: dict[int, datetime] = {}

    def convert(self, ticks: Sequence[Tick], wanted: Collection[int], now_ns: int) -> Converted:
        """What is not `wanted` is left out. `now_ns` is the time of ticks that have none of their own."""
        made: list[MarketTick] = []
        newest_s = 0
        now: datetime | None = None
        for tick in ticks:
            token = tick.instrument_token
            if token not in wanted:
                continue
            if isinstance(tick, _TIMED) and tick.time_s:
                if (time_s := tick.time_s) > newest_s:
                    newest_s = time_s
                moment = self._moments.get(time_s) or self._moment(time_s)
            else:
                moment = now = now or to_ist(now_ns)
            made.append(_market_tick(tick, token, moment))
        return Converted(tuple(made), newest_s, len(ticks) - len(made))

    def _moment(self, time_s: int) -> datetime:
        if len(self._moments) >= MOST_MOMENTS:
            self._moments.clear()
        moment = self._moments[time_s] = datetime.fromtimestamp(time_s, IST)
        return moment


def _market_tick(tick: Tick, token: int, moment: datetime) -> MarketTick:
    divisor = DIVISORS[token & 0xFF]
    last = tick.last_units
    if last > SIGN:
        last -= SPAN
    if isinstance(tick, _TRADED):
        return MarketTick(
            instrument_token=token,
            timestamp=moment,
            last_price=last / divisor,
            open=tick.open_units / divisor,
            high=tick.high_units / divisor,
            low=tick.low_units / divisor,
            close=tick.close_units / divisor,
            volume=tick.volume_traded,
            depth=WireDepth(token, tick.levels) if isinstance(tick, BriefTick) else None,
        )
    if isinstance(tick, IndexQuoteTick):
        return MarketTick(
            instrument_token=token,
            timestamp=moment,
            last_price=last / divisor,
            open=tick.open_units / divisor,
            high=tick.high_units / divisor,
            low=tick.low_units / divisor,
            close=tick.close_units / divisor,
        )
    return MarketTick(instrument_token=token, timestamp=moment, last_price=last / divisor)


def tick_of_quote(quote: Quote, token: int, now_ns: int) -> MarketTick:
    """The tick that REST's quote of this instrument is; `now_ns` where the quote has no time."""
    time_s = time_of(quote.timestamp)
    day = quote.ohlc
    levels = [
        tuple(DepthLevel(level.price, level.quantity, level.orders) for level in side)
        for side in (quote.depth.buy, quote.depth.sell)
    ]
    return MarketTick(
        instrument_token=token,
        timestamp=datetime.fromtimestamp(time_s, IST) if time_s else to_ist(now_ns),
        last_price=quote.last_price,
        open=day.open,
        high=day.high,
        low=day.low,
        close=day.close,
        volume=quote.volume,
        depth=Depth(*levels) if any(levels) else None,
    )


def time_of(text: str | None) -> int:
    """Seconds since 1970 (UTC) of a time of Kite's REST answers, which is IST; 0 where it is none."""
    return stamp_ns(text, 0) // SECOND_NS

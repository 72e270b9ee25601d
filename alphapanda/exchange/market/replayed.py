"""One instrument whose prices come from files, at their own times; its order book is composed around them.

Before the first row its price stands, for everything listed has one, and after the last row the last. Days
before the exchange opens have an invented past, so that candles reach back.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain

from alphapanda.exchange.market.candles import added
from alphapanda.exchange.market.depth import SHAPES, sides
from alphapanda.exchange.market.hours import DAY_BEGINS_NS, NEVER, Hours, Minutes
from alphapanda.exchange.market.quote import Bar, Book, Quote
from alphapanda.exchange.market.recorded import MOST_UNITS, Rows, Tick
from alphapanda.exchange.market.walk import Walk
from alphapanda.kite.layout import divisor_of, is_index
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of, start_of

BAND = 20
"""Percent that a price may move in a day; more where the day's rows do."""
_MIX = 37
"""The order book's sides take turns in steps of this, so that neighbours differ."""


class Replayed:
    """`starts` is the number of the day on which the exchange opens; `past` is walked on the days before."""

    def __init__(self, rows: Rows, past: Walk, hours: Hours, starts: int) -> None:
        listed = past.traded.listed
        self.quote = Quote(token=listed.token, divisor=divisor_of(listed.token))
        self.due_ns = self.ticked_ns = 0
        self._rows = rows
        self._past = past
        self._listed = listed
        self._hours = hours
        self._unit = past.traded.unit
        self._lot = listed.instrument.lot_size
        self._sides = () if is_index(listed.token) else sides(past.traded.manner.queue, self._lot)
        self._starts = starts
        self._coming = chain.from_iterable(map(self._ticks, range(len(rows.times))))
        self._next: Tick | None = next(self._coming)
        self._ticked = 0
        self._last = rows.opens[0]
        self._value = 0
        self._rolls_ns = 0
        self._lower, self._upper = 0, 0

    @property
    def limits(self) -> tuple[int, int]:
        return self._lower, self._upper

    def catch_up(self, now_ns: int) -> None:
        """Take the ticks up to now."""
        while self.due_ns <= now_ns:
            if self._next is not None and self._next.time_ns < self._rolls_ns:
                self._take(self._next)
                self._next = next(self._coming, None)
            else:
                self._roll()
            self.due_ns = min(NEVER if self._next is None else self._next.time_ns, self._rolls_ns)

    def _ticks(self, number: int) -> Iterator[Tick]:
        return self._rows.ticks(number, self._minutes(number))

    def _minutes(self, number: int) -> Minutes:
        return self._hours.minutes(self._listed, day_of(self._rows.times[number]))

    def _roll(self) -> None:
        """The next trading day begins; at first, the day on which the exchange opens."""
        following = day_of(self._rolls_ns) if self._rolls_ns else self._starts
        opens = self._hours.next_open_ns(self._listed, start_of(following + 1) - 1)
        self._rolls_ns = NEVER if opens == NEVER else start_of(day_of(opens)) + DAY_BEGINS_NS
        quote, price = self.quote, self._last
        quote.last = quote.open = quote.high = quote.low = quote.close = price
        quote.average = price if self._sides else 0
        quote.volume = quote.last_quantity = self._value = 0
        quote.last_trade_s = quote.time_s = quote.time_s or start_of(following) // SECOND_NS - 1
        self._limit(following, price)
        self._book(price, None)

    def _limit(self, day: int, close: int) -> None:
        """The day's circuit limits, wide enough for its rows: at a price beyond them nothing is traded."""
        rows, unit = self._rows, self._unit
        first = bisect_left(rows.times, start_of(day))
        after = bisect_left(rows.times, start_of(day + 1))
        lower = max(unit, -(-close * (100 - BAND) // (100 * unit)) * unit)
        upper = max(2 * unit, close * (100 + BAND) // (100 * unit) * unit)
        if after > first:
            lower = min(lower, *rows.lows[first:after], close)
            upper = max(upper, *rows.highs[first:after], close)
        self._lower, self._upper = lower, upper

    def _take(self, tick: Tick) -> None:
        quote = self.quote
        time_ns, price, volume, part, offered = tick
        before = quote.volume
        if quote.last_trade_s * SECOND_NS < start_of(day_of(time_ns)):
            quote.open = quote.high = quote.low = price
        quote.high = max(quote.high, price)
        quote.low = min(quote.low, price)
        quote.last = self._last = price
        quote.volume = min(before + volume, MOST_UNITS) if part else max(before, volume)
        traded = quote.volume - before
        quote.last_quantity = min(traded, self._lot * (1 + self._ticked % 9)) or self._lot
        self._value += traded * price
        if self._sides:
            quote.average = self._value // quote.volume if quote.volume else price
        quote.last_trade_s = quote.time_s = time_ns // SECOND_NS
        self.ticked_ns = time_ns
        self._book(price, offered)
        self._ticked += 1

    def _book(self, price: int, offered: bool | None) -> None:
        """A spread of one tick; where nobody knows, trades were at the bid and at the offer in turns."""
        number = self._ticked
        quote, unit, lower, upper = self.quote, self._unit, self._lower, self._upper
        quote.encoded = None
        if not self._sides:
            return
        bid = price - unit if (number & 1 if offered is None else offered) else price
        ask = bid + unit
        buy, sell = self._sides[number * _MIX % SHAPES], self._sides[(number * _MIX + _MIX) % SHAPES]
        quote.buy = buy.total if bid >= lower else 0
        quote.sell = sell.total if ask <= upper else 0
        quote.book = Book(bid, ask, unit, buy, sell, lower, upper)

    def bars(self, day: int, now_ns: int) -> Iterator[Bar]:
        """The minutes in which there are ticks, up to now."""
        if day < self._starts:
            yield from self._past.bars(day, now_ns)
            return
        joined = None
        for bar in self._pieces(day, now_ns):
            if joined is None:
                joined = bar
            elif joined.start_ns == bar.start_ns:
                joined = added(joined, bar)
            else:
                yield joined
                joined = bar
        if joined is not None:
            yield joined

    def _pieces(self, day: int, now_ns: int) -> Iterator[Bar]:
        """Each tick as a bar, and a bar of the file as it is where it is over and lies in one minute."""
        rows, before = self._rows, 0
        first = bisect_left(rows.times, start_of(day))
        after = bisect_right(rows.times, min(now_ns, start_of(day + 1) - 1))
        for number in range(first, after):
            start_ns = rows.times[number] // MINUTE_NS * MINUTE_NS
            if rows.bars[number] and rows.ends_ns(number, self._minutes(number)) <= min(
                now_ns, start_ns + MINUTE_NS
            ):
                prices = rows.opens[number], rows.highs[number], rows.lows[number], rows.prices[number]
                yield Bar(start_ns, *prices, rows.volumes[number], 0)
                continue
            for tick in self._ticks(number):
                if tick.time_ns > now_ns:
                    break
                traded = tick.volume if tick.part else max(0, tick.volume - before)
                before = before if tick.part else max(before, tick.volume)
                yield Bar(tick.time_ns // MINUTE_NS * MINUTE_NS, *(tick.price,) * 4, traded, 0)

    def whole(self, day: int, now_ns: int) -> Bar | None:
        """The day's rows up to now as one bar, named by its midnight; None without any."""
        if day < self._starts:
            return self._past.whole(day, now_ns)
        whole: Bar | None = None
        for bar in self.bars(day, now_ns):
            whole = bar if whole is None else added(whole, bar)
        return whole and whole._replace(start_ns=start_of(day))

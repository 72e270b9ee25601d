"""One instrument's walk: its ticks, its volume and its order book, from its course and its own chance.

A tick is known by its day, its minute and its number in the minute, and does not depend on those before it.
So nothing has to be walked that nobody looks at: a quote at noon costs the minutes of its course and the
ticks of one minute, and it is the same quote for whoever comes there in steps.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

from alphapanda.exchange.market.day import Traded, TradingDay
from alphapanda.exchange.market.depth import SHAPES, sides
from alphapanda.exchange.market.hours import DAY_BEGINS_NS, NEVER, Hours
from alphapanda.exchange.market.minute import BYTES, MadeMinute, made_minute
from alphapanda.exchange.market.quote import Bar, Book, Quote
from alphapanda.kite.layout import divisor_of
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of, start_of


@cache
def _spreads(wide: int) -> tuple[int, ...]:
    """Spreads in price ticks, most of them narrow."""
    return tuple(1 + wide * draw * draw // 12_000 for draw in range(128))


class Walk:
    """`phase_ns` is when in the time of a tick it comes. `due_ns` is when there is something new.

    `ticked_ns` is the time of the last tick. `quote` is as of the last `catch_up`.
    """

    __slots__ = (
        "_after",
        "_before",
        "_bits",
        "_gap",
        "_high",
        "_hours",
        "_limits",
        "_lot",
        "_low",
        "_makes_at",
        "_minute_ns",
        "_next",
        "_number",
        "_phase_ns",
        "_prices",
        "_rolls_ns",
        "_sides",
        "_slot_ns",
        "_spreads",
        "_ticks",
        "_unit",
        "_usual",
        "day",
        "due_ns",
        "minute",
        "quote",
        "ticked_ns",
        "traded",
    )

    def __init__(self, traded: Traded, hours: Hours, *, phase_ns: int) -> None:
        manner, listed = traded.manner, traded.listed
        self.traded = traded
        self.quote = Quote(token=listed.token, divisor=divisor_of(listed.token))
        self.due_ns = self.ticked_ns = 0
        self.day: TradingDay | None = None
        self.minute = -1
        self._hours = hours
        self._ticks = manner.ticks
        self._slot_ns = MINUTE_NS // manner.ticks
        self._phase_ns = phase_ns % self._slot_ns
        self._unit = traded.unit
        self._lot = listed.instrument.lot_size
        self._sides = sides(manner.queue, self._lot) if listed.tradable else ()
        self._spreads = _spreads(manner.wide)
        self._gap = 1 if manner.wide < 3 else 2
        self._rolls_ns = 0
        self._minute_ns = 0
        self._number = -1
        self._before = self._after = 0
        self._bits = b""
        self._prices = array("i")
        self._next: MadeMinute | None = None
        self._makes_at = (traded.root >> 40) % manner.ticks
        self._usual = self._high = self._low = 0
        self._limits = (0, 0)

    @property
    def limits(self) -> tuple[int, int]:
        """The day's circuit limits, in wire units, as of the last `catch_up`."""
        lower, upper = self._limits
        return lower * self._unit, upper * self._unit

    def catch_up(self, now_ns: int) -> None:
        """Go to the last tick at or before now."""
        if now_ns >= self._rolls_ns:
            self._roll(now_ns)
        if now_ns < self.due_ns or self.day is None:
            return
        ahead = now_ns - self._minute_ns - self._phase_ns
        if self._number < 0 or ahead >= MINUTE_NS:
            self._locate(now_ns)
            ahead = now_ns - self._minute_ns - self._phase_ns
        number = max(0, min(self._ticks - 1, ahead // self._slot_ns))
        if number > self._number + 1:
            passed = self._prices[self._number + 1 : number]
            self._note(max(passed), min(passed))
        self._tick(number)

    def bars(self, day: int, now_ns: int) -> Iterator[Bar]:
        """The minutes of a day up to now; the last one as far as it has come."""
        minutes = self._hours.minutes(self.traded.listed, day)
        if not minutes or minutes[0] > now_ns:
            return
        trading, course = TradingDay(self.traded, day, self._hours), self.traded.course.walk(day)
        unit = self._unit
        here = None if now_ns >= minutes[-1] + MINUTE_NS else self._again(now_ns)
        for minute in range(len(minutes) if here is None else here.minute):
            plan, turnover = trading.plan(course.at(minute)), trading.turnover
            yield Bar(
                minutes[minute],
                plan.open * unit,
                plan.high * unit,
                plan.low * unit,
                plan.close * unit,
                (turnover.before(minute + 1) - turnover.before(minute)) * self._lot,
                trading.oi(minute),
            )
        if here is not None:
            yield here._bar(minutes[here.minute])  # noqa: SLF001 - another of its kind

    def whole(self, day: int, now_ns: int) -> Bar | None:
        """A day as far as it has come, named by its midnight; None without a session by now."""
        minutes = self._hours.minutes(self.traded.listed, day)
        if not minutes or minutes[0] > now_ns:
            return None
        if now_ns < minutes[-1] + MINUTE_NS:
            quote = self._again(now_ns).quote
            figures = quote.open, quote.high, quote.low, quote.last, quote.volume, quote.oi
            return Bar(start_of(day), *figures)
        trading, last = TradingDay(self.traded, day, self._hours), len(minutes)
        opens, high, low, closes = (price * self._unit for price in trading.whole())
        volume = trading.turnover.before(last) * self._lot
        return Bar(start_of(day), opens, high, low, closes, volume, trading.oi(last - 1))

    def _again(self, now_ns: int) -> "Walk":
        """The same walk from its beginning to now, for who looks at its current minute."""
        walk = Walk(self.traded, self._hours, phase_ns=self._phase_ns)
        walk.catch_up(now_ns)
        return walk

    def _bar(self, start_ns: int) -> Bar:
        """The minute where it is, as far as it has come."""
        unit, quote = self._unit, self.quote
        seen = self._prices[: self._number + 1]
        before = self._before * self._lot if self._sides else 0
        opens, high, low = seen[0] * unit, max(seen) * unit, min(seen) * unit
        return Bar(start_ns, opens, high, low, quote.last, quote.volume - before, quote.oi)

    def _roll(self, now_ns: int) -> None:
        """Begin the day to which this moment belongs."""
        listed = self.traded.listed
        number = self._hours.latest_day(listed, now_ns)
        if number is None:
            self._rolls_ns = self.due_ns = NEVER
            return
        day = self.day = TradingDay(self.traded, number, self._hours)
        self._limits = day.lower, day.upper
        last = day.minutes[-1]
        opens = self._hours.next_open_ns(listed, last)
        self._rolls_ns = NEVER if opens == NEVER else start_of(day_of(opens)) + DAY_BEGINS_NS
        self.minute = self._number = -1
        self._next = None
        self.due_ns = day.minutes[0]
        self._stand(day)

    def _stand(self, day: TradingDay) -> None:
        """Before the open: yesterday's close, and nothing traded."""
        quote, price = self.quote, day.close_before * self._unit
        before = self._hours.day_before(self.traded.listed, day.number)
        minutes = self._hours.minutes(self.traded.listed, before)
        ended_ns = minutes[-1] + MINUTE_NS if minutes else start_of(day.number)
        quote.last = quote.open = quote.high = quote.low = quote.close = price
        quote.average = price if self._sides else 0
        quote.volume = quote.last_quantity = 0
        quote.last_trade_s = quote.time_s = ended_ns // SECOND_NS
        quote.oi = quote.oi_high = quote.oi_low = day.oi(-1)
        quote.encoded = None
        if self._sides:
            self._book(day.close_before, 1, 0, 0, 0)

    def _locate(self, now_ns: int) -> None:
        """Enter the minute whose tick is the last one by now."""
        day = self.day
        if day is None:
            return
        minute = bisect_right(day.minutes, now_ns) - 1
        if minute and now_ns < day.minutes[minute] + self._phase_ns:
            minute -= 1
        if minute != self.minute:
            self._enter(day, minute)

    def _enter(self, day: TradingDay, minute: int) -> None:
        made = self._next
        if made is None or made.number != minute:
            made = made_minute(self.traded, day, minute)
        self._next = None
        self.minute = minute
        self._minute_ns = day.minutes[minute]
        self._number = -1
        self._prices, self._bits = made.prices, made.bits
        self._before, self._after = day.turnover.before(minute), day.turnover.before(minute + 1)
        plan, unit, quote = made.plan, self._unit, self.quote
        self._high, self._low = plan.high_before, plan.low_before
        self._usual = plan.usual_before * unit
        quote.open, quote.high, quote.low = day.open * unit, self._high * unit, self._low * unit
        quote.oi = day.oi(minute)
        quote.oi_high, quote.oi_low = day.oi_range(minute)

    def _note(self, high: int, low: int) -> None:
        """Widen the day's range."""
        if high > self._high:
            self._high = high
            self.quote.high = high * self._unit
        if low < self._low:
            self._low = low
            self.quote.low = low * self._unit

    def _tick(self, number: int) -> None:
        price = self._prices[number]
        if price > self._high or price < self._low:
            self._note(price, price)
        self._number = number
        quote, unit, ticks = self.quote, self._unit, self._ticks
        ticked_ns = self._minute_ns + self._phase_ns + number * self._slot_ns
        self.due_ns = ticked_ns + self._slot_ns
        if number == self._makes_at:
            self._prepare()
        place = BYTES * number
        spread, volume, quantity, buy, sell = self._bits[place : place + BYTES]
        before = self._before
        if number == ticks - 1:
            self.due_ns = self._after_the_minute()
            lots = self._after
        else:
            lots = before + (self._after - before) * (number * 256 + volume) // (ticks * 256) or 1
            if not number and not self.minute:
                ticked_ns = self._minute_ns
        self.ticked_ns = ticked_ns
        quote.time_s = quote.last_trade_s = ticked_ns // SECOND_NS
        wire = quote.last = price * unit
        quote.encoded = None
        if self._sides:
            quote.volume = lots * self._lot
            quote.last_quantity = min(1 + (quantity & 7), lots) * self._lot
            usual = self._usual
            quote.average = usual + (wire - usual) * (lots - before) // lots
            self._book(price, self._spreads[spread >> 1], spread & 1, buy % SHAPES, sell % SHAPES)

    def _prepare(self) -> None:
        """Make the next minute now: at the full minute everybody else makes theirs."""
        day = self.day
        if day is not None and self.minute + 1 < len(day.minutes):
            self._next = made_minute(self.traded, day, self.minute + 1)

    def _after_the_minute(self) -> int:
        day = self.day
        if day is None or self.minute + 1 >= len(day.minutes):
            return self._rolls_ns
        return day.minutes[self.minute + 1] + self._phase_ns

    def _book(self, price: int, spread: int, bought: int, buy: int, sell: int) -> None:
        """The last trade was at the best offer when it was `bought`, else at the best bid.

        At a circuit limit there may be nobody on the other side.
        """
        lower, upper = self._limits
        bid = price - spread if bought else price
        ask = bid + spread
        quote, unit = self.quote, self._unit
        bids, asks = self._sides[buy], self._sides[sell]
        quote.buy = bids.total if bid >= lower else 0
        quote.sell = asks.total if ask <= upper else 0
        quote.book = Book(bid * unit, ask * unit, self._gap * unit, bids, asks, lower * unit, upper * unit)

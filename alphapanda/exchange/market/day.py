"""A trading day of one instrument: its limits, and what each of its minutes brings."""

from functools import cached_property

from msgspec import Struct

from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market.chance import noise, stream
from alphapanda.exchange.market.course import Course, Day, Minute
from alphapanda.exchange.market.following import Following
from alphapanda.exchange.market.hours import Hours, Minutes
from alphapanda.exchange.market.turnover import Turnover


class Manner(Struct, frozen=True, kw_only=True):
    """How an instrument trades.

    `volume` is a usual day's, `queue` what usually waits at a price, `oi` the open interest, 0 where there is
    none; all in units. `ticks` are those of a minute, `wide` the usual spread in price ticks. The price may
    move by `band` thousandths of yesterday's close, or by `reach` price ticks where that is more than 0.
    """

    volume: int
    queue: int
    ticks: int
    wide: int = 1
    oi: int = 0
    band: int = 200
    reach: int = 0

    def limits(self, close: int) -> tuple[int, int]:
        """The circuit limits after a close, all in ticks."""
        if self.reach:
            return max(1, close - self.reach), close + self.reach
        return max(1, -(-close * (1000 - self.band) // 1000)), max(2, close * (1000 + self.band) // 1000)


class Traded(Struct, frozen=True, kw_only=True):
    """An instrument, the course its price follows, and how. `root` is where its own chance begins.

    `unit` is its price tick in wire units.
    """

    listed: Listed
    course: Course
    following: Following
    manner: Manner
    unit: int
    root: int


class TradingDay:
    """`number` counts days since 1970. It has a session."""

    def __init__(self, traded: Traded, number: int, hours: Hours) -> None:
        self.number = number
        self.minutes: Minutes = hours.minutes(traded.listed, number)
        self.lot = traded.listed.instrument.lot_size
        self._traded = traded
        self._falls = traded.following.falls
        self._function = traded.following.on(number)
        before = hours.day_before(traded.listed, number)
        self.close_before = traded.following.on(before)(traded.course.close(before))
        self.lower, self.upper = traded.manner.limits(self.close_before)
        chance = stream(traded.root + number)
        lots = traded.manner.volume // self.lot
        total = lots * (700 + noise(chance) // 2) // 700
        self.turnover = Turnover(total, len(self.minutes), chance.randbytes(len(self.minutes)))
        self._oi_before, self._oi_after = (self._open_interest(number - 1), self._open_interest(number))

    def _open_interest(self, day: int) -> int:
        oi = self._traded.manner.oi // self.lot
        return oi and oi * (8192 + noise(stream(self._traded.root + day + (1 << 24)))) // 8192 * self.lot

    def oi(self, minute: int) -> int:
        """At the end of this minute; of minute -1 before the open."""
        part = (self._oi_after - self._oi_before) * (minute + 1) // len(self.minutes)
        return self._oi_before + part // self.lot * self.lot

    def oi_range(self, minute: int) -> tuple[int, int]:
        """The highest and the lowest up to then."""
        first, last = self._oi_before, self.oi(minute)
        return max(first, last), min(first, last)

    def plan(self, minute: Minute) -> Minute:
        """What a minute of the course is for this instrument, in its own ticks."""
        function = self._function
        opens, closes = self._within(function(minute.open)), self._within(function(minute.close))
        high, low = self._within(function(minute.high)), self._within(function(minute.low))
        high_before = self._within(function(minute.high_before))
        low_before = self._within(function(minute.low_before))
        usual = self._within(function(minute.usual_before))
        if self._falls:
            return Minute(opens, low, high, closes, low_before, high_before, usual)
        return Minute(opens, high, low, closes, high_before, low_before, usual)

    def whole(self) -> Day:
        """The day's prices when it is over."""
        day, function = self._traded.course.day(self.number), self._function
        opens, high, low, closes = (self._within(function(price)) for price in day)
        return Day(opens, low, high, closes) if self._falls else Day(opens, high, low, closes)

    @cached_property
    def open(self) -> int:
        return self._within(self._function(self._traded.course.day(self.number).open))

    def _within(self, price: int) -> int:
        return min(max(price, self.lower), self.upper)

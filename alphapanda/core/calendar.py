"""When an instrument may be traded: the phase of its day, and the start of its next session.

A day of a market becomes a plan once: its spans, and what is to be said in each. A question is two lookups
and a bisection. Days before the table are regular weekdays, 09:15 to 15:30 IST. After it nothing is known,
and what is not known is not traded.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from msgspec import Struct

from alphapanda.core.contracts import expiry_of, is_of_index, underlying_of
from alphapanda.core.segments import Segment, segment_of
from alphapanda.core.sessions import Added, CalendarTable, Market, Phase, Step
from alphapanda.events import Instrument
from alphapanda.times import IST, MINUTE_NS, date_of, day_of, to_ist, to_ns

MOST_PLANS = 10_000
FARTHEST = 30
"""Days that are searched for the next session."""
BEFORE_THE_TABLE = (Step(Phase.CONTINUOUS, time(9, 15), time(15, 30)),)
WEEKEND = (5, 6)
SET_SESSIONS = "set them in [calendar] sessions"
UPDATE = "update Alpha Panda, or set [calendar] valid_until with its holidays and sessions"
SET_LATER = "set [calendar] valid_until to a later day once its hours are sure"
CORRECT_EXCHANGE = "correct the name of the instrument, or run with --no-calendar"
SERIES = 2
"""Letters of a series behind a share's symbol, such as BE: shares with derivatives are in none."""

_MARKETS = {
    Segment.FUTURES: Market.FUTURES,
    Segment.OPTIONS: Market.OPTIONS,
    Segment.CURRENCY_FUTURES: Market.CURRENCY,
    Segment.CURRENCY_OPTIONS: Market.CURRENCY,
}


class Moment(Struct, frozen=True):
    """What may be done. `why` says why an order may not go out, "" when it may."""

    phase: Phase
    may_enter: bool
    may_exit: bool
    next_ns: int | None
    why: str

    @property
    def next_session(self) -> str | None:
        """The next start of a continuous session after the moment, ISO 8601 with +05:30."""
        return to_ist(self.next_ns).isoformat() if self.next_ns is not None else None


class Day(NamedTuple):
    """A day of a market before its times are computed. `name` says why it is not a regular one.

    An unknown day has an `advice`: what to do about it.
    """

    steps: tuple[Step, ...]
    name: str = ""
    source: str = ""
    advice: str = ""

    @property
    def known(self) -> bool:
        return not self.advice


class Shown(NamedTuple):
    """A day as `calendar show` lists it."""

    exchange: str
    market: Market
    day: Day


class _Listing(NamedTuple):
    """What the calendar needs to know of an instrument."""

    exchange: str
    market: Market
    expiry: date | None = None
    of_index: bool = False


class _Plan(NamedTuple):
    """A day in spans that cover it: each starts at its place in `starts`. `sessions` are continuous."""

    starts: tuple[int, ...]
    moments: tuple[Moment, ...]
    sessions: tuple[tuple[int, int], ...]


class Calendar:
    def __init__(self, table: CalendarTable, added: Added | None = None) -> None:
        self._table = table
        self._added = added = added or Added()
        self.valid_from = table.valid_from
        self.valid_until = added.valid_until or table.valid_until
        self.at_end = UPDATE if self.valid_until >= table.valid_until else SET_LATER
        """What to do once nothing is known any more."""
        self.assumed = (
            f"the calendar begins on {self.valid_from}: days before are taken for regular weekdays,"
            " 09:15 to 15:30"
        )
        self._special = {special.day: special for special in table.special}
        self._closed: dict[tuple[date, str], tuple[str, str]] = {}
        self._unclear: dict[tuple[date, str], tuple[str, str]] = {}
        for holidays in table.holidays:
            for holiday in holidays.days:
                entry = (holiday.name, holidays.source)
                self._closed |= {(holiday.day, group): entry for group in holidays.closed}
                self._unclear |= {(holiday.day, group): entry for group in holidays.unclear}
        self._listings: dict[tuple[str, str, date | None, bool | None], _Listing] = {}
        self._plans: dict[tuple[int, _Listing], _Plan] = {}

    def at(self, time_ns: int, instrument: Instrument) -> Moment:
        plan = self._plan_of(time_ns, instrument)
        return plan.moments[bisect_right(plan.starts, time_ns) - 1]

    def closes_ns(self, time_ns: int, instrument: Instrument) -> int | None:
        """The end of the day's last continuous session; None on a day without one."""
        sessions = self._plan_of(time_ns, instrument).sessions
        return sessions[-1][1] if sessions else None

    def broker_square_off_ns(self, time_ns: int, instrument: Instrument) -> int | None:
        """When the broker begins to close MIS positions on that day; None on a day without a session."""
        sessions = self._plan_of(time_ns, instrument).sessions
        if not sessions:
            return None
        opens, closes = sessions[-1]
        day = to_ist(time_ns).date()
        row = self._table.square_off_of(self._listing(instrument).market, max(day, self.valid_from))
        if row is None:
            return closes
        if row.at is not None and opens < (at := _ns(day, row.at)) <= closes:
            return at
        return max(opens, closes - row.minutes_before_close * MINUTE_NS)

    def before_table(self, time_ns: int) -> bool:
        """Whether the hours of that day are assumed."""
        day = to_ist(time_ns).date()
        return day < self.valid_from and day <= self.valid_until

    def days_left(self, time_ns: int) -> int:
        """Days from that one to the last the calendar knows; negative after it."""
        return (self.valid_until - to_ist(time_ns).date()).days

    def is_open(self, day: date) -> bool:
        """Whether equity derivatives trade on `day`; unknown days count by their weekday."""
        found = self._day(day, "NFO", Market.FUTURES)
        return bool(found.steps) if found.known else day.weekday() not in WEEKEND

    def index_expiry(self, day: date) -> time | None:
        """When contracts on an index that expire on `day` stop, if earlier than others."""
        row = self._table.expiry_hours(day) if self.valid_from <= day <= self.valid_until else None
        return row.closes if row is not None else None

    def shown(self, day: date) -> list[Shown]:
        """Every market of every exchange on `day`."""
        return [
            Shown(exchange, market, self._day(day, exchange, market))
            for market in Market
            for exchange in market.exchanges
        ]

    def _plan_of(self, time_ns: int, instrument: Instrument) -> _Plan:
        key = (day_of(time_ns), self._listing(instrument))
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._planned(*key)
        return found

    def _listing(self, instrument: Instrument) -> _Listing:
        key = (instrument.exchange, instrument.tradingsymbol, instrument.expiry, instrument.derivatives)
        found = self._listings.get(key)
        if found is None:
            found = self._listings[key] = self._classified(instrument)
        return found

    def _classified(self, instrument: Instrument) -> _Listing:
        segment = segment_of(instrument)
        if not segment.derivative:
            return _Listing(instrument.exchange, self._market_of_share(instrument, segment))
        market = _MARKETS.get(segment) or self._market_of_commodity(instrument)
        return _Listing(
            instrument.exchange, market, expiry_of(instrument, self.is_open), is_of_index(instrument)
        )

    def _market_of_share(self, instrument: Instrument, segment: Segment) -> Market:
        """What the configuration says, else the list of the day, else the symbol. A share of which nothing
        is known counts as one with derivatives: its day is the shorter one.
        """
        if instrument.derivatives is not None and instrument.key not in self._added.no_derivatives:
            return Market.DERIVATIVE_SHARES if instrument.derivatives else Market.SHARES
        _, dash, series = instrument.tradingsymbol.rpartition("-")
        known = (
            segment is Segment.ETF
            or (dash and len(series) == SERIES)
            or instrument.key in self._added.no_derivatives
        )
        return Market.SHARES if known else Market.DERIVATIVE_SHARES

    def _market_of_commodity(self, instrument: Instrument) -> Market:
        return Market.FARM_COMMODITY if underlying_of(instrument) in self._table.farm else Market.COMMODITY

    def _day(self, day: date, exchange: str, market: Market) -> Day:
        """What the configuration says, else the table."""
        if exchange not in market.exchanges:
            return Day((), f"{exchange} is not an exchange of the calendar", "", CORRECT_EXCHANGE)
        own = [s for s in self._added.sessions if s.day == day and exchange in s.exchanges]
        if own:
            steps = sorted((Step(Phase.CONTINUOUS, s.opens, s.closes) for s in own), key=lambda s: s.opens)
            return Day(tuple(steps), "session of [calendar]", "[calendar] sessions")
        if day in self._added.holidays:
            return Day((), "holiday of [calendar]", "[calendar] holidays")
        if day > self.valid_until:
            return Day((), f"the calendar ends on {self.valid_until}", "", self.at_end)
        if day < self.valid_from:
            assumed = Day(BEFORE_THE_TABLE, f"assumed, the calendar begins on {self.valid_from}")
            return assumed if day.weekday() not in WEEKEND else _weekend(day)
        return self._tabled(day, market)

    def _tabled(self, day: date, market: Market) -> Day:
        hours = self._table.hours_of(market, day)
        regular = Day(hours.steps, "", hours.source) if hours else Day((), "no hours", "", SET_SESSIONS)
        if special := self._special.get(day):
            if market.group != "equity" or not (special.regular or special.sessions):
                return Day((), special.name, special.source, SET_SESSIONS)
            steps = tuple(Step(Phase.CONTINUOUS, each.opens, each.closes) for each in special.sessions)
            return Day(steps or regular.steps, special.name, special.source)
        if entry := self._closed.get((day, market.group)):
            return Day((), *entry)
        if day.weekday() in WEEKEND:
            return _weekend(day)
        if entry := self._unclear.get((day, market.group)):
            return Day((), *entry, SET_SESSIONS)
        return regular

    def _expiring(self, day: date, listing: _Listing) -> Day:
        """The day of an instrument: what has expired is not traded, what expires may stop earlier."""
        found = self._day(day, listing.exchange, listing.market)
        if listing.expiry is None or day < listing.expiry or not found.known:
            return found
        if day > listing.expiry:
            return Day((), f"it expired on {listing.expiry}")
        row = self._table.expiry_hours(day)
        if row is None or not listing.of_index:
            return found
        return found._replace(steps=tuple(_cut(found.steps, row.closes)))

    def _planned(self, number: int, listing: _Listing) -> _Plan:
        day = date_of(number)
        found = self._expiring(day, listing)
        spans = _covering(found)
        later = self._first_after(day, listing)
        moments: list[Moment] = []
        for _, step in reversed(spans):
            moments.append(self._moment(day, found, step, later))
            if step.phase is Phase.CONTINUOUS:
                later = _ns(day, step.opens)
        return _Plan(
            tuple(_ns(day, opens) for opens, _ in spans),
            tuple(reversed(moments)),
            tuple(
                (_ns(day, s.opens), _ns(day, s.closes)) for s in found.steps if s.phase is Phase.CONTINUOUS
            ),
        )

    def _first_after(self, day: date, listing: _Listing) -> int | None:
        """The first start of a continuous session on a later day that is known."""
        for _ in range(FARTHEST):
            if day >= self.valid_until:
                return self._first_vouched(day, listing)
            day += timedelta(days=1)
            for step in self._expiring(day, listing).steps:
                if step.phase is Phase.CONTINUOUS:
                    return _ns(day, step.opens)
        return None

    def _first_vouched(self, day: date, listing: _Listing) -> int | None:
        """A session that the configuration has after `day` and the table's end."""
        starts = [
            _ns(own.day, own.opens)
            for own in self._added.sessions
            if own.day > day and listing.exchange in own.exchanges
            if listing.expiry is None or own.day <= listing.expiry
        ]
        return min(starts, default=None)

    def _moment(self, day: date, found: Day, step: Step, later: int | None) -> Moment:
        may = step.orders and step.phase in self._added.phases
        return Moment(step.phase, may, may, later, "" if may else _why(day, found, step, later))


def _covering(found: Day) -> list[tuple[time, Step]]:
    """The steps of a day and what lies between them, from midnight to midnight."""
    if not found.known:
        return [(time.min, Step(Phase.UNKNOWN, time.min, time.max, orders=False))]
    spans: list[tuple[time, Step]] = []
    reached = time.min
    for step in found.steps:
        if step.opens > reached:
            spans.append((reached, Step(Phase.CLOSED, reached, step.opens, orders=False)))
        spans.append((step.opens, step))
        reached = step.closes
    return [*spans, (reached, Step(Phase.CLOSED, reached, time.max, orders=False))]


def _cut(steps: tuple[Step, ...], closes: time) -> Iterator[Step]:
    for step in steps:
        if step.opens < closes:
            yield Step(step.phase, step.opens, min(step.closes, closes), step.orders, step.what)


def _why(day: date, found: Day, step: Step, later: int | None) -> str:
    following = f"; the next session starts {to_ist(later):%Y-%m-%d %H:%M}" if later is not None else ""
    if not found.known:
        return f"the hours of {day} are not known ({found.name}): {found.advice}{following}"
    if not found.steps:
        return f"closed on {day} ({found.name}){following}"
    what = f" ({step.what})" if step.what else ""
    return f"{step.phase.value.replace('_', ' ')}{what} on {day}, outside the continuous session{following}"


def _weekend(day: date) -> Day:
    return Day((), f"{day:%A}")


def _ns(day: date, clock: time) -> int:
    return to_ns(datetime.combine(day, clock, IST))

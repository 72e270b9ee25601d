"""When each listed instrument trades: the project's calendar, asked by the exchange."""

from collections.abc import Iterable
from datetime import date
from itertools import chain

from alphapanda.core.calendar import Calendar
from alphapanda.core.contracts import expiry_of, is_of_index
from alphapanda.core.segments import segment_of
from alphapanda.core.sessions import Added, Phase
from alphapanda.events import Instrument
from alphapanda.exchange.listing import Listed
from alphapanda.tables import calendar_table
from alphapanda.times import MINUTE_NS, SECOND_NS, date_of, day_of, number_of, start_of

NEVER = 1 << 62
"""A time that does not come: the next session of what has expired."""
DAY_BEGINS_NS = 6 * 60 * MINUTE_NS
"""A trading day's figures replace those of the day before at 06:00."""
FARTHEST = 40
"""Days that are searched back for a session."""
BEFORE_CLOSE_NS = 10 * SECOND_NS
"""The broker's square-off begins so long before the close, or earlier."""
_ENTRY = frozenset((Phase.PRE_OPEN, Phase.CONTINUOUS))
"""Phases in which orders are taken; those of the auctions at the close are not simulated."""

Minutes = range | tuple[int, ...]
"""The starts of a day's minutes of continuous trading, in nanoseconds."""
_Group = tuple[object, ...]


class Hours:
    """`no_derivatives` are shares, as EXCHANGE:SYMBOL, whose day is the longer one."""

    def __init__(self, no_derivatives: frozenset[str] = frozenset()) -> None:
        self._late = no_derivatives
        self._calendar = Calendar(calendar_table(), Added(no_derivatives=no_derivatives, phases=_ENTRY))
        self._groups: dict[int, _Group] = {}
        self._minutes: dict[tuple[_Group, int], Minutes] = {}

    def phase(self, listed: Listed, now_ns: int) -> Phase:
        return self._calendar.at(now_ns, listed.instrument).phase

    def may_enter(self, listed: Listed, now_ns: int) -> bool:
        """Whether an order of the day's session is taken now."""
        return self._calendar.at(now_ns, listed.instrument).may_enter

    def closes_ns(self, listed: Listed, now_ns: int) -> int | None:
        """The end of today's continuous session; None on a day without one."""
        return self._calendar.closes_ns(now_ns, listed.instrument)

    def square_off_ns(self, listed: Listed, now_ns: int) -> int | None:
        """When the broker begins to close MIS positions today; None on a day without a session.

        Where the calendar has it at the very close it is a little earlier: its orders still find the book.
        """
        closes = self.closes_ns(listed, now_ns)
        begins = self._calendar.broker_square_off_ns(now_ns, listed.instrument)
        return begins if begins is None or closes is None else min(begins, closes - BEFORE_CLOSE_NS)

    def next_open_ns(self, listed: Listed, now_ns: int) -> int:
        """The next start of a continuous session after now; `NEVER` when none is known."""
        found = self._calendar.at(now_ns, listed.instrument).next_ns
        return NEVER if found is None else found

    def trading_day(self, now_ns: int) -> bool:
        """Whether shares and their derivatives trade on the day of this moment."""
        return self._calendar.is_open(date_of(day_of(now_ns)))

    def expiry(self, instrument: Instrument) -> date | None:
        """The last day of a contract: what it says itself, or its symbol; None where neither tells."""
        return expiry_of(instrument, self._calendar.is_open)

    @property
    def known_until(self) -> date:
        """The last day whose hours are known."""
        return self._calendar.valid_until

    def minutes(self, listed: Listed, day: int) -> Minutes:
        """The minutes of continuous trading of that day, empty when there is no session."""
        key = self._group(listed), day
        found = self._minutes.get(key)
        if found is None:
            found = self._minutes[key] = self._minutes_of(listed, day)
        return found

    def span(self, listed: Iterable[Listed], day: int) -> tuple[int, int] | None:
        """From the first open to the last close of these on that day; None when none has a session."""
        days = [minutes for each in listed if (minutes := self.minutes(each, day))]
        if not days:
            return None
        return min(minutes[0] for minutes in days), max(minutes[-1] for minutes in days) + MINUTE_NS

    def different(self, listed: Iterable[Listed]) -> list[Listed]:
        """One of each kind that has hours of its own."""
        return list({self._group(each): each for each in listed}.values())

    def latest_day(self, listed: Listed, now_ns: int) -> int | None:
        """The last day with a session that had begun, at 06:00, by now; None when there is none near."""
        day = day_of(now_ns - DAY_BEGINS_NS)
        if (expiry := listed.instrument.expiry) is not None:
            day = min(day, number_of(expiry))
        return next((d for d in range(day, day - FARTHEST, -1) if self.minutes(listed, d)), None)

    def day_before(self, listed: Listed, day: int) -> int:
        """The trading day before `day`; the calendar day before where none is near."""
        return next((d for d in range(day - 1, day - FARTHEST, -1) if self.minutes(listed, d)), day - 1)

    def _group(self, listed: Listed) -> _Group:
        """Instruments of one group have the same hours."""
        found = self._groups.get(listed.token)
        if found is None:
            instrument = listed.instrument
            segment = segment_of(instrument)
            if segment.derivative:
                name = instrument.name if instrument.exchange in ("MCX", "NCO") else is_of_index(instrument)
                found = (instrument.exchange, segment, instrument.expiry, name)
            else:
                late = "-" in instrument.tradingsymbol or instrument.key in self._late
                found = (instrument.exchange, segment, late)
            self._groups[listed.token] = found
        return found

    def _minutes_of(self, listed: Listed, day: int) -> Minutes:
        spans = self._spans(listed, day)
        if len(spans) == 1:
            return range(*spans[0], MINUTE_NS)
        return tuple(chain.from_iterable(range(*span, MINUTE_NS) for span in spans))

    def _spans(self, listed: Listed, day: int) -> list[tuple[int, int]]:
        """The continuous sessions of a day; most have one."""
        instrument, calendar = listed.instrument, self._calendar
        midnight = start_of(day)
        closes = calendar.closes_ns(midnight, instrument)
        spans: list[tuple[int, int]] = []
        opens = calendar.at(midnight - 1, instrument).next_ns
        while closes is not None and opens is not None and opens < closes:
            following = calendar.at(opens, instrument).next_ns
            ends = closes
            if following is not None and following < closes:
                ends = following
                while calendar.at(ends - 1, instrument).phase is not Phase.CONTINUOUS:
                    ends -= MINUTE_NS
            spans.append((opens, ends))
            opens = following
        return spans

"""Everything that is listed when no data are given, in the order of the instrument list."""

from collections.abc import Iterable

from alphapanda.core.calendar import Calendar
from alphapanda.exchange.market import derivatives, foreign, shares
from alphapanda.exchange.market.given import CourseGiven, Given
from alphapanda.tables import calendar_table
from alphapanda.times import date_of


class Catalogue:
    """At least `instruments` of them, filled up with invented shares."""

    def __init__(self, day: int, instruments: int = 0) -> None:
        self.courses: dict[str, CourseGiven] = {}
        self.given: list[Given] = []
        self._own(shares.indices())
        self._own(shares.nse_shares())
        self._own(shares.plain_shares())
        self.given.extend(shares.bse_shares())
        is_open, since = Calendar(calendar_table()).is_open, date_of(day)
        before = day - 1
        while not is_open(date_of(before)):
            before -= 1
        self.given.extend(derivatives.contracts(self.courses, since, before, is_open))
        for course, given in (
            *foreign.currencies(since, before, is_open),
            *foreign.commodities(since, is_open),
        ):
            self.courses[course.name] = course
            self.given.extend(given)
        taken = {each.listed.token for each in self.given}
        self._own(shares.invented_shares(taken, instruments - len(self.given)))

    def _own(self, pairs: Iterable[tuple[CourseGiven, Given]]) -> None:
        for course, given in pairs:
            self.courses[course.name] = course
            self.given.append(given)

    @property
    def no_derivatives(self) -> frozenset[str]:
        """Shares, as EXCHANGE:SYMBOL, that no derivative is on."""
        return frozenset(
            each.listed.key
            for each in self.given
            if each.listed.segment in ("NSE", "BSE")
            and each.listed.instrument.tradingsymbol not in shares.COMPANIES
        )

"""The market: what is listed and what it costs, at any moment of the exchange's time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from alphapanda.events import Money
from alphapanda.exchange.listing import Listed, Listing
from alphapanda.exchange.market.candles import candles
from alphapanda.exchange.market.hours import FARTHEST, Hours
from alphapanda.exchange.market.quote import Bar, Quote
from alphapanda.times import DAY_NS, day_of, number_of, start_of, to_ist

CONTRACT_DAYS = 100
"""So long before the exchange opens a contract was listed; before that it has continuous candles alone."""


class Source(Protocol):
    """Where the prices of one instrument come from.

    Nothing new happens before `due_ns`; `ticked_ns` is the time of the last tick; `quote` and `limits` (the
    circuit limits in wire units) are as of the last `catch_up`.
    """

    quote: Quote
    due_ns: int
    ticked_ns: int

    @property
    def limits(self) -> tuple[int, int]: ...

    def catch_up(self, now_ns: int) -> None: ...

    def bars(self, day: int, now_ns: int) -> Iterable[Bar]:
        """The minutes of a day up to now."""
        ...

    def whole(self, day: int, now_ns: int) -> Bar | None:
        """The day itself, as far as it has come."""
        ...


class Market:
    """`sources` by token. `step_ns` is how often prices are looked at while anything is open.

    `notes` are what a person should hear of the data, a line each.
    """

    def __init__(
        self,
        listing: Listing,
        hours: Hours,
        sources: Mapping[int, Source],
        *,
        starts_ns: int,
        step_ns: int,
        notes: Sequence[str] = (),
    ) -> None:
        self.listing = listing
        self.hours = hours
        self.starts_ns = starts_ns
        self.notes = notes
        self._sources = sources
        self._step_ns = step_ns
        self._stepped_ns = starts_ns - 1
        self._different = hours.different(listing.all())
        self._span: tuple[int, int] = (0, 0)
        self._queued: dict[int, list[int]] = {}
        self._waiting: set[int] = set()
        """The watched instruments by the number of the step in which their next tick falls."""

    def quote(self, token: int, now_ns: int) -> Quote:
        """What it shows now: always the same object, brought up to date. KeyError when it is not listed."""
        source = self._sources[token]
        if source.due_ns <= now_ns:
            source.catch_up(now_ns)
        return source.quote

    def step(self, now_ns: int, watched: Collection[int]) -> list[int]:
        """The watched instruments that ticked since the last step, by token."""
        stepped, self._stepped_ns = self._stepped_ns, now_ns
        sources, queued, moved = self._sources, self._queued, []
        for token in self._due(now_ns, watched):
            source = sources[token]
            if source.due_ns <= now_ns:
                source.catch_up(now_ns)
            if source.ticked_ns > stepped:
                moved.append(token)
                source.quote.packet()  # while all of it is at hand: 9,000 of them do not fit a cache
            number = source.due_ns // self._step_ns
            if (turn := queued.get(number)) is None:
                turn = queued[number] = []
            turn.append(token)
        moved.sort()
        return moved

    def _due(self, now_ns: int, watched: Collection[int]) -> list[int]:
        """Which of the watched may have ticked: those whose time has come, and those who are new."""
        queued, step_ns = self._queued, self._step_ns
        come: list[int] = []
        for number in sorted(number for number in queued if number * step_ns <= now_ns):
            come += queued.pop(number)
        wanted = watched if isinstance(watched, set | frozenset) else set(watched)
        due = [token for token in come if token in wanted]
        if len(due) < len(come):
            self._waiting.difference_update(token for token in come if token not in wanted)
        new = wanted - self._waiting
        self._waiting |= new
        due += new
        return due

    def next_step_ns(self, now_ns: int) -> int:
        """When to look again: soon while anything is open, else at the next open."""
        following = (now_ns // self._step_ns + 1) * self._step_ns
        opens, closes = self._span
        if not opens <= now_ns < closes:
            opens, closes = self._span = self._next_span(now_ns)
        return min(max(following, opens), closes)

    def _next_span(self, now_ns: int) -> tuple[int, int]:
        """The session of all that is listed which is on, or else the next."""
        today = day_of(now_ns)
        for day in range(today, today + FARTHEST):
            span = self.hours.span(self._different, day)
            if span is not None and now_ns < span[1]:
                return span
        return now_ns + DAY_NS, now_ns + DAY_NS

    def circuit(self, token: int, now_ns: int) -> tuple[Money, Money]:
        """The lower and the upper circuit limit of the day, in rupees."""
        quote = self.quote(token, now_ns)
        lower, upper = self._sources[token].limits
        return quote.money(lower), quote.money(upper)

    def last_price(self, token: int, now_ns: int) -> Money:
        quote = self.quote(token, now_ns)
        return quote.money(quote.last)

    def candles(
        self,
        token: int,
        interval: str,
        from_ns: int,
        to_ns: int,
        oi: bool = False,
        continuous: bool = False,
        *,
        now_ns: int,
    ) -> list[list[Any]]:
        """Rows as Kite's historical interface has them: time, open, high, low, close, volume, and perhaps oi.

        They begin between the two times, both included, and none is later than now.
        """
        source, quote = self._sources[token], self._sources[token].quote
        listed = self.listing.by_token(token)
        if listed is not None and not (continuous and interval == "day"):
            from_ns = max(from_ns, self._listed_since_ns(listed))
        found = candles(
            lambda day: source.bars(day, now_ns),
            lambda day: source.whole(day, now_ns),
            interval,
            from_ns,
            min(to_ns, now_ns),
        )
        rows: list[list[Any]] = []
        for bar in found:
            prices = [quote.rupees(units) for units in (bar.open, bar.high, bar.low, bar.close)]
            rows.append([f"{to_ist(bar.start_ns):%Y-%m-%dT%H:%M:%S}+0530", *prices, bar.volume])
            if oi:
                rows[-1].append(bar.oi)
        return rows

    def _listed_since_ns(self, listed: Listed) -> int:
        expiry = listed.instrument.expiry
        if expiry is None:
            return 0
        return start_of(min(number_of(expiry), day_of(self.starts_ns)) - CONTRACT_DAYS)

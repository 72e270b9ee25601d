"""The exchange as a whole: its parts, and what one step of its time does. No clock, no socket."""

from collections.abc import Callable, Mapping
from typing import Any

from alphapanda.exchange.account import Account
from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.faults import Fault, Faults, Hands, Script
from alphapanda.exchange.gtt import Triggers
from alphapanda.exchange.history import History, Written
from alphapanda.exchange.limits import RateLimits
from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import Options
from alphapanda.exchange.orders import Desk
from alphapanda.exchange.schedule import Schedule
from alphapanda.exchange.sessions import Sessions
from alphapanda.exchange.stream import Stream
from alphapanda.times import DAY_NS, MINUTE_NS, day_of, start_of

NEW_DAY_NS = 6 * 60 * MINUTE_NS
"""06:00 IST: the tokens of the day before are dead, its order book is empty (Kite Connect documentation)."""
AFTER_CLOSE_NS = MINUTE_NS
"""So long after the last close the highest speed stops: what the close sets off has happened."""
MOST_AT_ONCE = 50
"""Things that happen in one go at the highest speed, before sockets are looked after again."""


class Exchange:
    """`wall` is the machine's clock in nanoseconds, read for the history and for rate limits alone."""

    def __init__(
        self,
        options: Options,
        script: Script,
        *,
        wall: Callable[[], int],
        speed: float = 1.0,
        write: Written | None = None,
    ) -> None:
        self.options = options
        self.wall = wall
        self.market = open_market(options)
        self.clock = Clock(self.market.starts_ns, speed=speed)
        self.schedule = Schedule()
        self.history = History(wall, write)
        self.faults = Faults(script, options.seed, self.history, self.clock)
        self.sessions = Sessions(options, self.history)
        self.limits = RateLimits(enabled=options.rate_limits)
        self.account = Account(options, self.market)
        self.desk = Desk(self.market, self.account, self.schedule, self.history, self.clock, options.seed)
        self.gtt = Triggers(self.market, self.desk, self.history)
        self.stream = Stream(self.market, self.sessions, self.history, self.faults, self.clock, self.schedule)
        self._last_close_ns = 0
        self._join()

    def advance(self, until_ns: int) -> None:
        """Walk to this exchange time."""
        while self._happen(until_ns):
            pass
        self.clock.moved(until_ns)

    def step_towards(self, until_ns: int) -> bool:
        """Walk a little way to this exchange time; whether there is some left."""
        for _ in range(MOST_AT_ONCE):
            if not self._happen(until_ns):
                self.clock.moved(until_ns)
                return False
            if self.stream.behind:
                break
        return True

    def leap(self, wall_ns: int) -> bool:
        """At the highest speed: walk a little way; whether there is more to come.

        Time passes while something is watched, which is an instrument that is subscribed, a trigger or an
        order that is open; else the day would be over before anybody has come. After the last close of what
        is listed the clock is paused, so that the night does not whirl by.
        """
        if not self.clock.at_max or not self.watched:
            return False
        if self.clock.now_ns >= self._last_close_ns + AFTER_CLOSE_NS:
            self._last_close_ns = self._next_last_close_ns(self.clock.now_ns)
        if self.step_towards(self._last_close_ns + AFTER_CLOSE_NS):
            return True
        if self.clock.at_max:
            self.clock.pause(wall_ns)
            self.history.add("clock", self.clock.now_ns, do="pause", why="the last close of the day")
        return False

    @property
    def watched(self) -> bool:
        return bool(self.stream.tokens() | self.gtt.tokens()) or any(True for _ in self.desk.open_orders())

    def _join(self) -> None:
        """Each part hears of what it has to know, and the first things are due."""
        self.desk.on_update.append(self.stream.on_order)
        self.account.ledger.open_groups = self.desk.open_groups
        self.faults.begin(
            Hands(
                schedule=self.schedule,
                order=self.desk.order,
                kill=self.stream.kill,
                by_hand=self.place_by_hand,
                square_off=self.desk.square_off,
                strike=self.stream.strike,
                in_reach=self._in_reach,
            )
        )
        starts = self.market.starts_ns
        self.schedule.at(starts, self._step)
        self.schedule.at(start_of(day_of(starts)) + DAY_NS + NEW_DAY_NS, self._new_day)

    def place_by_hand(self, fields: Mapping[str, str], now_ns: int) -> dict[str, Any]:
        """The account's owner places an order in the broker's app. Raises the Refusal that he sees there."""
        try:
            return self.desk.place(fields.get("variety", "regular"), fields, now_ns, by="owner")
        except Refusal as refusal:
            self.history.add("order_refused", now_ns, by="owner", message=refusal.message)
            raise

    def _in_reach(self, fault: Fault) -> bool:
        """Whether a fault finds the session that it ends, or a connection that it strikes."""
        if fault.do == "token_death":
            return bool(self.sessions.access_token)
        return any(fault.connection in (0, each.number) for each in self.stream.connections())

    def _happen(self, until_ns: int) -> bool:
        """The next thing that is due by then; False when there is none."""
        due = self.schedule.next_ns
        if due is None or due > until_ns:
            return False
        self.clock.moved(due)
        return self.schedule.run(due)

    def _step(self, now_ns: int) -> None:
        """Prices move; orders that rest may trade; who has subscribed is told."""
        moved = self.market.step(now_ns, self.stream.tokens() | self.desk.tokens() | self.gtt.tokens())
        if moved:
            self.desk.on_quotes(moved, now_ns)
            self.gtt.on_quotes(moved, now_ns)
            self.stream.on_quotes(moved, now_ns)
        self.schedule.at(self.market.next_step_ns(now_ns), self._step)

    def _new_day(self, now_ns: int) -> None:
        self.history.add("day", now_ns)
        self.sessions.expire(now_ns)
        self.desk.new_day()
        self.account.new_day(now_ns)
        self.gtt.new_day(now_ns)
        self.schedule.at(now_ns + DAY_NS, self._new_day)

    def _next_last_close_ns(self, now_ns: int) -> int:
        """The last close of today or, when that is over, of the next day on which anything is traded."""
        hours, listed = self.market.hours, self.market.listing.all()
        for day_ns in (now_ns, min(hours.next_open_ns(each, now_ns) for each in listed)):
            closes = [at for each in listed if (at := hours.closes_ns(each, day_ns)) is not None]
            if closes and max(closes) + AFTER_CLOSE_NS > now_ns:
                return max(closes)
        return now_ns + DAY_NS

"""What a rule is, and all it may look at: the state of one broker, and the signal at hand."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter, mul
from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import fields

from alphapanda.core.rules.approvals import Approvals, Refusals
from alphapanda.core.rules.claims import Claims
from alphapanda.core.rules.marks import Mark, Marks
from alphapanda.events import Book, Instrument, Low, Money, Order, Performance, Scope, TradingSignal
from alphapanda.times import day_of, week_of

Count = Annotated[int, Meta(ge=0)]
Rupees = Annotated[Money, Meta(ge=0)]
Seconds = Annotated[Money, Meta(ge=0)]
Percent = Annotated[Money, Meta(ge=0)]

EVERYWHERE = Scope()
ZERO = Money(0)
UNTRIED = Performance()
LAST_PRICE = attrgetter("last_price")
BILLIONTH = 1e-9
WIDER = 1 + BILLIONTH
"""Sums of floats are far nearer to the exact sum than this."""


class Usage(NamedTuple):
    """A limit at a broker: how much of it is used, and whether it holds back the smallest entry more."""

    key: str
    scope: Scope
    broker: str
    used: Money | int | None
    cap: object
    blocked: bool


class Known(Struct, frozen=True):
    """What risk knew before a restart, beside its orders.

    `lows` are (broker, low), oldest first; `refused` is (broker, strategy id) -> (refused in a row there,
    rejections forgiven); `resumed` strategy id -> the last order before the operator let it go on.
    """

    lows: Sequence[tuple[str, Low]] = ()
    refused: Mapping[tuple[str, str], tuple[int, int]] = {}
    resumed: Mapping[str, int] = {}


class Desk:
    """What risk keeps of one broker from verdict to verdict."""

    def __init__(
        self, broker: str, marks: Marks, instruments: Mapping[int, Instrument], approvals: Approvals
    ) -> None:
        self.broker = broker
        self.marks = marks
        self.instruments = instruments
        self.approvals = approvals
        self.refusals = Refusals()
        self._lows: dict[tuple[str, str], tuple[int, Money]] = {}

    def low(self, strategy: str, period: str, number: int) -> Money | None:
        """The lowest net result that was over a limit on this day or in this week (its number)."""
        if not self._lows:
            return None
        known = self._lows.get((strategy, period))
        return known[1] if known is not None and known[0] == number else None

    def restore(self, known: Known, book: Book) -> None:
        for broker, low in known.lows:
            if broker == self.broker:
                self.note(low)
        for (broker, strategy_id), (refused, forgiven) in known.refused.items():
            if broker == self.broker:
                self.refusals.restore(strategy_id, refused, forgiven, book)

    def note(self, low: Low) -> None:
        """What is passed stays passed, also where prices come back before the curve has its next point."""
        day = day_of(low.time_ns)
        for period, number in (("day", day), ("week", week_of(day))):
            known = self.low(low.strategy, period, number)
            self._lows[low.strategy, period] = number, low.net if known is None else min(known, low.net)


class State:
    """One broker as it stands: its book with the approvals on their way, prices, what was approved before."""

    __slots__ = ("approvals", "broker", "claims", "desk", "marks", "nets", "now_ns", "refusals", "worth")

    def __init__(self, desk: Desk, now_ns: int, claims: Claims) -> None:
        self.desk = desk
        self.broker = desk.broker
        self.marks = desk.marks
        self.approvals = desk.approvals
        self.refusals = desk.refusals
        self.now_ns = now_ns
        self.claims = claims
        self.worth: dict[str, tuple[float, float]] = {}
        self.nets: dict[str, float] = {}

    def token_of(self, scope: Scope) -> int:
        """Of the instrument that a scope names; 0 for all, -1 for one that nobody has listed."""
        if not scope.instrument:
            return 0
        listed = self.desk.instruments.values()
        return next((each.instrument_token for each in listed if each.key == scope.instrument), -1)

    def performance(self, scope: Scope) -> Performance:
        return self.claims.book.performance.get(scope.strategy, UNTRIED)

    def gross(self, scope: Scope) -> Money:
        """Value of all positions whatever their side, and of all entries that may still trade."""
        token, strategy = self.token_of(scope), scope.strategy
        held = sum((abs(value) for value in self._values(strategy, token)), ZERO)
        return held + self.claims.entries_value(strategy, token) + self.not_ours(scope)

    def not_ours(self, scope: Scope) -> Money:
        """Value of what the account holds, or may come to hold, beside ours. Of no strategy."""
        outside = self.claims.outside
        if scope.strategy or not outside:
            return ZERO
        token = self.token_of(scope)
        return sum(
            ((self.price(of) or ZERO) * each.units for of, each in outside.items() if token in (0, of)), ZERO
        )

    def price(self, token: int) -> Money | None:
        """The last price; of what has no ticks here, the broker's."""
        price = self.marks.price(token)
        if price is None and (beside := self.claims.outside.get(token)) is not None:
            return beside.last_price
        return price

    def net(self, scope: Scope) -> Money:
        """Profit since the account was opened, after charges, at the last prices. In rupees."""
        held = sum(self._values(scope.strategy, 0), ZERO)
        return self.performance(scope).booked + held - self.claims.holdings.cost(scope.strategy)

    def _values(self, strategy: str, token: int) -> Iterator[Money]:
        """Signed, at the last prices; what has had none yet counts at what it cost."""
        book = self.claims.book
        for (owner, held), quantity in book.positions.items():
            if strategy in ("", owner) and token in (0, held):
                price = self.marks.price(held)
                yield book.costs.get((owner, held), ZERO) if price is None else price * quantity

    def most_gross(self, scope: Scope) -> float:
        """No less than `gross`, to within a billionth, and quick: decides where the limit is far."""
        entries = self.claims.entries_value(scope.strategy, self.token_of(scope))
        return (self._roughly(scope.strategy)[0] + float(entries) + float(self.not_ours(scope))) * WIDER

    def least_net(self, scope: Scope) -> float:
        """No more than `net`, as `most_gross` is no less."""
        strategy = scope.strategy
        known = self.nets.get(strategy)
        if known is None:
            gross, signed = self._roughly(strategy)
            booked, cost = float(self.performance(scope).booked), float(self.claims.holdings.cost(strategy))
            known = booked + signed - cost - (gross + abs(booked) + abs(cost) + 1) * BILLIONTH
            self.nets[strategy] = known
        return known

    def _roughly(self, strategy: str) -> tuple[float, float]:
        known = self.worth.get(strategy)
        if known is None:
            values = self._rough_values(strategy)
            known = self.worth[strategy] = sum(map(abs, values)), sum(values)
        return known

    def _rough_values(self, strategy: str) -> list[float]:
        tokens, quantities = self.claims.holdings.of(strategy)
        try:
            prices = map(LAST_PRICE, map(self.marks.ticks.__getitem__, tokens))
            return list(map(mul, prices, quantities))
        except KeyError:  # one has had no price yet
            return [float(value) for value in self._values(strategy, 0)]


class View(State):
    """The state, and the signal that is judged. `slices` is how many orders it would be sent in."""

    __slots__ = ("_worst", "freeze_quantity", "mark", "signal", "slices")

    def __init__(self, desk: Desk, now_ns: int, claims: Claims, signal: TradingSignal) -> None:
        super().__init__(desk, now_ns, claims)
        self.signal = signal
        self.mark: Mark | None = desk.marks.mark(signal.instrument_token)
        """Of the signal's instrument."""
        self._worst: dict[str, int] = {}
        self.slices = 1
        self.freeze_quantity: int | None = None
        """The most that the exchange takes in one order of it; None where that is not known."""

    def token_of(self, scope: Scope) -> int:
        return self.signal.instrument_token if scope.instrument else 0

    def worst_position(self, order: Order, strategy: str = "") -> int:
        """The largest position on the order's side if it and every pending order of that side fill."""
        worst = self._worst.get(strategy)
        if worst is None:  # the judged order is always the signal's
            more, sign = {order.strategy_id: order.quantity}, order.transaction_type.sign
            worst = self.claims.worst(self.signal.instrument_token, sign, strategy, more)
            self._worst[strategy] = worst
        return worst

    def closable(self) -> int:
        """The strategy's position less what may still trade against it, at most what the signal asks for.

        An entry of the other direction counts too: filled first, it would leave the exit nothing to reduce.
        """
        token, side = self.signal.instrument_token, self.signal.transaction_type
        owner = self.signal.strategy_id
        held = -side.sign * self.claims.book.positions.get((owner, token), 0)
        resting = sum(
            order.pending_quantity
            for order in self.claims.orders(token)
            if order.strategy_id == owner and order.transaction_type is side
        )
        return max(0, min(self.signal.quantity, held - resting))


class Rule(Struct, frozen=True, kw_only=True, dict=True):
    """One control. Its fields are keys of [risk], beside `scope`, which says to what it applies.

    A scope's broker says where it applies at all; its strategy and instrument also what it measures. What a
    verdict compares is worked out of a field once, as a cached property: a limit is read far more than made.
    """

    code: ClassVar[str]
    """The key to change: a refusal names it."""
    entries_only: ClassVar[bool] = True
    """An order that only reduces exposure is not held back by a limit on exposure."""
    by_instrument: ClassVar[bool] = True
    """False: what it measures is not known by instrument, so no scope may name one."""
    quarantines: ClassVar[bool] = False
    """A strategy that meets it is taken out until the operator resumes it."""

    scope: Scope = EVERYWHERE

    @property
    def is_off(self) -> bool:
        keys = [each.name for each in fields(self) if each.name != "scope"]
        return bool(keys) and not any(getattr(self, key) for key in keys)

    def covers(self, order: Order) -> bool:
        """Is it of the strategy and the instrument that the scope names?"""
        scope = self.scope
        if scope.strategy and scope.strategy != order.strategy_id:
            return False
        return not scope.instrument or scope.instrument == order.instrument.key

    def within(self) -> str:
        """Whose limit it is, for the end of a sentence; nothing where it is everyone's."""
        scope = self.scope
        parts = [part for part in (scope.strategy, scope.instrument, scope.broker) if part]
        return f" (for {', '.join(parts)})" if parts else ""

    def refuse(self, order: Order, view: View) -> str | None:
        """The sentence that says why, with the figures; None lets the order pass."""
        raise NotImplementedError(type(self).__name__)  # every rule in RULES has its own

    def low(self, view: View) -> Low | None:  # noqa: ARG002 - of limits on loss
        """What is to be remembered of a refusal, so that the limit stays passed."""
        return None

    def usage(self, state: State) -> Usage:
        used = self.used(state)
        blocked = used is not None and not self.is_off and self.blocks(used)
        return Usage(self.code, self.scope, state.broker, used, getattr(self, self.code), blocked)

    def used(self, state: State) -> Money | int | None:  # noqa: ARG002 - most have something to measure
        """How much of the limit is used now; None where nothing accumulates, as with one order's size."""
        return None

    def blocks(self, used: Money | int) -> bool:
        """Is there no room for the smallest entry more?"""
        return bool(used >= getattr(self, self.code))

"""RiskManager: every signal gets a verdict, and only here is an approval made.

The snapshot that portfolio sends is always a little old, so risk counts its own approvals in flight: each
carries a sequence number, the snapshot says up to which one it has accounted, and risk keeps those above it.
The worst case of a decision is therefore position + open orders + approvals on their way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from alphapanda.core.calendar import Calendar
from alphapanda.core.limits import Limits
from alphapanda.core.margins import FULL, Margins
from alphapanda.core.money import exact
from alphapanda.core.rules import (
    NOT_OURS,
    Approvals,
    Asked,
    Claims,
    Desk,
    Freeze,
    FrozenPrice,
    Kept,
    Known,
    Marks,
    Outside,
    PriceJump,
    Reserve,
    Rule,
    State,
    Usage,
    View,
    impossible,
    its_fault,
    limit_of,
    not_a_number,
    not_listed,
    outside_of,
    over_the_threshold,
    trigger_of,
    unprotected,
)
from alphapanda.core.square_off import Intraday
from alphapanda.events import (
    Approved,
    Book,
    ExternalHeld,
    Halt,
    Instrument,
    LimitChanged,
    Low,
    Money,
    Order,
    OrderType,
    PositionEffect,
    Refused,
    Resume,
    Snapshot,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    TradingSignal,
    Verdict,
    Voided,
)

OPEN, CLOSE, MARKET = PositionEffect.OPEN, PositionEffect.CLOSE, OrderType.MARKET
Output = Approved | Refused | StrategyQuarantined

NOTHING = Known()


class RiskManager:
    """`products` maps each broker to its product (MIS, CNC, …). `tag_seed` makes tags unique for ever.

    `calendar` says when an instrument may be traded; None lets every row trade. `intraday` says when it is
    too late for MIS. `past` are the orders that recovery found, which throttles remember, `known` what else
    there was; `sequence` is the last number ever used. `limits` are what `rules` were made of, where the
    operator may change them. `reserve` is what an entry may cost beside its value, `protection` the market
    protection of the brokers that know it, in percent; `listing` are the brokers that list instruments daily.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        products: Mapping[str, str],
        *,
        tag_seed: str,
        instruments: Iterable[Instrument] = (),
        calendar: Calendar | None = None,
        intraday: Intraday | None = None,
        past: Sequence[Order] = (),
        known: Known = NOTHING,
        sequence: int = 0,
        books: Mapping[str, Book] | None = None,
        halted: bool = False,
        limits: Limits | None = None,
        margins: Margins = FULL,
        reserve: Reserve | None = None,
        freeze: Freeze | None = None,
        protection: Mapping[str, Money] | None = None,
        listing: Collection[str] = (),
    ) -> None:
        self._products = dict(products)
        self._tag_seed = tag_seed
        self._calendar = calendar
        self._intraday = intraday
        self._limits = limits
        self._margins = margins
        self._freeze = freeze or Freeze()
        self._protection = dict(protection or {})
        self._listing = frozenset(listing)
        self._instruments = {instrument.instrument_token: instrument for instrument in instruments}
        self._marks = Marks()
        self._books = dict(books or {})
        self._in_flight: dict[str, dict[str, Order]] = {broker: {} for broker in products}
        self._claims: dict[str, Claims] = {}
        self._outside: dict[str, Mapping[int, Outside]] = {}
        self._kept = {broker: Kept(reserve) for broker in products}
        self._desks = {
            broker: Desk(broker, self._marks, self._instruments, Approvals.at(broker, past, known.resumed))
            for broker in products
        }
        for broker, desk in self._desks.items():
            desk.restore(known, self._books.get(broker, Book()))
        self._quarantined: set[str] = set()
        self._sequence = max([sequence, *(order.sequence for order in past)])
        self._last_approval = max((order.created_ns for order in past), default=0)
        self._now = 0
        self.halted = halted
        self._take(rules)

    @property
    def limits(self) -> Limits:
        if self._limits is None:
            raise LookupError("this risk manager was made of rules alone: there are no limits to change")
        return self._limits

    def most_in_one_order(self, instrument: Instrument) -> int | None:
        """The exchange's freeze quantity today; None where there is none, or none is known."""
        return self._freeze.quantity(instrument, self._now)

    def prices(self) -> tuple[Marks, Mapping[int, Instrument], int]:
        """The last of each instrument, what is listed, and what time it is, for `status`."""
        return self._marks, self._instruments, self._now

    def _take(self, rules: Sequence[Rule]) -> None:
        """All at once: no verdict is given by a mixture of old and new."""
        active = tuple(rule for rule in rules if not rule.is_off)
        self._asked = {broker: Asked(broker, active) for broker in self._products}
        self._marks.watching = any(isinstance(rule, (PriceJump, FrozenPrice)) for rule in active)

    def on(self, event: object) -> list[Output]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case TradingSignal():
                return [output for broker in event.brokers for output in self._decide(event, broker)]
            case Snapshot(books):
                self._on_snapshot(books)
            case Halt():
                self.halted = True
            case Resume():
                self.halted = False
            case ExternalHeld(broker, positions):
                self._outside[broker] = outside_of(positions)
                self._claims.pop(broker, None)
            case LimitChanged():
                self._limits = self.limits.changed(event)
                self._take(self._limits.rules())
            case StrategyResumed(strategy_id):
                self._forgive(strategy_id)
            case Voided(order):
                self._in_flight[order.broker].pop(order.order_id, None)
                self._claims.pop(order.broker, None)
                self._desks[order.broker].approvals.remove(order)
            case _:
                raise TypeError(f"RiskManager does not take {type(event).__name__}")
        return []

    def on_ticks(self, batch: TickBatch) -> list[Output]:
        self._now = batch.time_ns
        for instrument in batch.listed:
            self._instruments[instrument.instrument_token] = instrument
        self._marks.take(batch)
        return []

    def _on_snapshot(self, books: Mapping[str, Book]) -> None:
        for broker, book in books.items():
            if self._books.get(broker) is not book:
                self._books[broker] = book
                self._claims.pop(broker, None)
                if broker in self._kept:  # here, and not while a signal waits for its verdict
                    self._kept[broker].take(book)
            in_flight = self._in_flight.get(broker, {})
            for order_id in [o.order_id for o in in_flight.values() if o.sequence <= book.accounted]:
                del in_flight[order_id]

    def _decide(self, signal: TradingSignal, broker: str) -> list[Output]:
        now_ns = max(self._now, signal.time_ns)
        if (barred := self._barred(signal)) is not None:
            return [self._refused(signal, broker, *barred)]
        view = View(self._desks[broker], now_ns, self._claims_at(broker), signal)
        if (found := self._asked[broker].of_signals(view)) is not None:
            return self._turned_down(view, found[0], found[0].code, found[1])
        last = self._last_price(signal)
        if (fault := self._fault(signal, now_ns, last)) is not None:
            return self._turned_down(view, None, *fault)
        quantity = signal.quantity
        if signal.position_effect is CLOSE:
            quantity = view.closable()
            if quantity == 0:
                why = f"{signal.strategy_id} holds nothing at {broker} that this would reduce"
                return [self._refused(signal, broker, "nothing_to_close", why, Verdict.NOTHING_TO_CLOSE)]
        order = self._order(signal, broker, quantity, now_ns, last)
        quantities = self._asked[broker].slices(order, view, self._freeze)
        view.slices = len(quantities)
        if sum(quantities) != order.quantity:
            order = replace(order, quantity=sum(quantities))
        refusal = self._refusal(order, view)
        if refusal is None:
            return self._approve(order, signal, quantities)
        return self._turned_down(view, *refusal)

    def _turned_down(self, view: View, rule: Rule | None, code: str, why: str) -> list[Output]:
        low = None if rule is None else rule.low(view)
        if low is not None:
            self._desks[view.broker].note(low)
        refused = self._refused(view.signal, view.broker, code, why, low=low)
        if rule is not None and rule.quarantines:
            return [refused, self._quarantine(view, code, why)]
        if (found := self._asked[view.broker].of_signals(view)) is not None:  # this was one too many
            return [refused, self._quarantine(view, found[0].code, found[1])]
        return [refused]

    def _barred(self, signal: TradingSignal) -> tuple[str, str] | None:
        """Nothing else counts: (rule, why)."""
        if self.halted and not signal.of_operator:
            return "kill_switch", "the kill switch is on; `alphapanda kill-switch off --reason …` ends it"
        if signal.strategy_id in self._quarantined and not signal.by:
            resumes = f"`alphapanda strategies resume {signal.strategy_id}` ends it"
            return "strategy_quarantined", f"{signal.strategy_id} is quarantined; {resumes}"
        return None

    def _fault(self, signal: TradingSignal, now_ns: int, last: Money) -> tuple[str, str] | None:
        """What no limit need be asked about: (rule, why)."""
        instrument = self._instruments.get(signal.instrument_token)
        if instrument is None:
            return "unknown_instrument", f"instrument token {signal.instrument_token} is not listed"
        if self._calendar is not None:
            moment = self._calendar.at(now_ns, instrument)
            if not (moment.may_enter if signal.position_effect is OPEN else moment.may_exit):
                return "market_closed", moment.why
        return not_a_number(signal) or impossible(signal, instrument, last)

    def _claims_at(self, broker: str) -> Claims:
        """Made anew only when the book has changed, or something left for nowhere."""
        claims = self._claims.get(broker)
        if claims is None:
            book = self._books.get(broker, Book())
            claims = self._claims[broker] = Claims(
                book,
                self._in_flight[broker],
                self._margins,
                self._kept[broker],
                self._outside.get(broker, NOT_OURS),
            )
        return claims

    def _last_price(self, signal: TradingSignal) -> Money:
        last = self._marks.price(signal.instrument_token)
        return exact(signal.last_price) if last is None else last

    def _order(self, signal: TradingSignal, broker: str, quantity: int, now_ns: int, last: Money) -> Order:
        """The order this signal would become; it exists only once approved."""
        number = self._sequence + 1
        instrument = self._instruments[signal.instrument_token]
        limit = trigger = None
        if signal.order_type is not MARKET:
            limit, trigger = limit_of(signal, instrument), trigger_of(signal, instrument)
        return Order(
            order_id=f"O{number:06d}",
            tag=f"{self._tag_seed}{number:08d}",
            sequence=number,
            signal_id=signal.signal_id,
            strategy_id=signal.strategy_id,
            broker=broker,
            instrument=instrument,
            transaction_type=signal.transaction_type,
            quantity=quantity,
            position_effect=signal.position_effect,
            order_type=signal.order_type,
            product=self._products[broker],
            reference_price=limit or trigger or last,
            created_ns=now_ns,
            updated_ns=now_ns,
            price=limit,
            row=signal.row,
            received_ns=signal.received_ns,
            by=signal.by,
            trigger_price=trigger,
            validity=signal.validity,
            validity_ttl=signal.validity_ttl,
        )

    def _refusal(self, order: Order, view: View) -> tuple[Rule | None, str, str] | None:
        """(the rule, its code, why); no rule where it is no setting that refuses."""
        if (why := over_the_threshold(view)) is not None:
            return None, "max_orders_per_second", why
        if (why := unprotected(order, self._protection.get(view.broker))) is not None:
            return None, "market_protection", why
        if view.broker in self._listing and (unlisted := not_listed(order, view.now_ns)) is not None:
            return None, *unlisted
        if self._intraday is not None and (late := self._intraday.refuse(order, view.now_ns)) is not None:
            return None, *late
        if view.signal.of_operator:
            return None
        found = self._asked[view.broker].of_orders(order, view)
        return None if found is None else (found[0], found[0].code, found[1])

    def _quarantine(self, view: View, code: str, why: str) -> StrategyQuarantined:
        strategy_id = view.signal.strategy_id
        self._quarantined.add(strategy_id)
        return StrategyQuarantined(strategy_id, code, why, view.now_ns)

    def _forgive(self, strategy_id: str) -> None:
        self._quarantined.discard(strategy_id)
        for broker in self._products:
            self._desks[broker].approvals.forgive(strategy_id)
            self._desks[broker].refusals.forgive(strategy_id, self._books.get(broker, Book()))

    def _refused(
        self,
        signal: TradingSignal,
        broker: str,
        rule: str,
        why: str,
        verdict: Verdict = Verdict.REFUSED,
        low: Low | None = None,
    ) -> Refused:
        refused = Refused(
            signal=signal,
            broker=broker,
            verdict=verdict,
            rule=rule,
            why=why,
            quantity=signal.quantity,
            instrument=self._instruments.get(signal.instrument_token),
            low=low,
        )
        if its_fault(refused):
            self._desks[broker].refusals.add(signal.strategy_id, self._books.get(broker, Book()))
        return refused

    def _approve(self, order: Order, signal: TradingSignal, quantities: Sequence[int]) -> list[Output]:
        self._desks[order.broker].approvals.add(order, len(quantities))
        claims = self._claims_at(order.broker)
        approved: list[Output] = []
        for part, quantity in enumerate(quantities, 1):
            number, made = self._sequence + 1, order
            if part > 1 or quantity != order.quantity:
                name, tag = f"O{number:06d}", f"{self._tag_seed}{number:08d}"
                made = replace(order, order_id=name, tag=tag, sequence=number, quantity=quantity)
            self._sequence = number
            self._in_flight[made.broker][made.order_id] = made
            claims.add(made)
            approved.append(Approved(made, signal, part, len(quantities)))
        return approved

    def usage(self, limits: Limits | None = None) -> list[Usage]:
        """Every limit at every broker where it holds, used as of now; `limits` as if they held."""
        rules = self.limits.rules() if limits is None else limits.rules()
        states = {broker: self._state(broker) for broker in self._products}
        return [
            rule.usage(states[broker])
            for rule in rules
            if hasattr(rule, rule.code)
            for broker in self._products
            if rule.scope.broker in ("", broker)
        ]

    def _state(self, broker: str) -> State:
        return State(self._desks[broker], self._now or self._last_approval, self._claims_at(broker))

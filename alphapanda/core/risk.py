"""RiskManager: every signal gets a verdict, and only here is an approval made.

The snapshot that portfolio sends is always a little old, so risk counts its own approvals in flight: each
carries a sequence number, the snapshot says up to which one it has accounted, and risk keeps those above it.
The worst case of a decision is therefore position + open orders + approvals on their way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from alphapanda.core.calendar import Calendar
from alphapanda.core.limits import Limits
from alphapanda.core.margins import FULL, Margins
from alphapanda.core.money import exact
from alphapanda.core.rules import (
    EVERYWHERE,
    Approvals,
    Claims,
    Desk,
    Freeze,
    FreezeQuantity,
    FrozenPrice,
    Marks,
    PriceJump,
    Reserve,
    Rule,
    State,
    View,
    Worths,
    impossible,
    limit_of,
    not_a_number,
    over_the_threshold,
    slices_of,
    trigger_of,
    unprotected,
)
from alphapanda.core.square_off import Intraday
from alphapanda.events import (
    Approved,
    Book,
    Halt,
    Instrument,
    LimitChanged,
    Money,
    Order,
    OrderStatus,
    PositionEffect,
    Refused,
    Resume,
    Scope,
    Snapshot,
    StrategyQuarantined,
    StrategyResumed,
    TickBatch,
    TradingSignal,
    Verdict,
    Voided,
)

Output = Approved | Refused | StrategyQuarantined

NOT_ITS_FAULT = frozenset({"kill_switch", "market_closed", "strategy_quarantined"})
"""Refusals that say nothing of the strategy: they are not counted against it."""

Prepared = tuple[tuple[Callable[[Order, View], str | None], bool, Rule], ...]
"""(refuse, is it asked of every order?, the rule)"""


class Usage(NamedTuple):
    """A limit at a broker: how much of it is used, and whether it holds back the smallest entry more."""

    key: str
    scope: Scope
    broker: str
    used: Money | int | None
    cap: object
    blocked: bool


class RiskManager:
    """`products` maps each broker to its product (MIS, CNC, …). `tag_seed` makes tags unique for ever.

    `calendar` says when an instrument may be traded; None lets every row trade. `intraday` says when it is
    too late for MIS. `past` are the orders that recovery found, which throttles remember; `sequence` is the
    last number ever used. `limits` are what `rules` were made of, where the operator may change them.
    `reserve` is what an entry may cost beside its value, `protection` the market protection of the brokers
    that know it, in percent.
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
        sequence: int = 0,
        books: Mapping[str, Book] | None = None,
        halted: bool = False,
        limits: Limits | None = None,
        margins: Margins = FULL,
        reserve: Reserve | None = None,
        freeze: Freeze | None = None,
        protection: Mapping[str, Money] | None = None,
    ) -> None:
        self._products = dict(products)
        self._tag_seed = tag_seed
        self._calendar = calendar
        self._intraday = intraday
        self._limits = limits
        self._margins = margins
        self._freeze = freeze or Freeze()
        self._protection = dict(protection or {})
        self._instruments = {instrument.instrument_token: instrument for instrument in instruments}
        self._marks = Marks()
        self._books = dict(books or {})
        self._in_flight: dict[str, dict[str, Order]] = {broker: {} for broker in products}
        self._claims: dict[str, Claims] = {}
        self._worths = {broker: Worths(reserve) for broker in products}
        self._desks = {
            broker: Desk(broker, self._marks, self._instruments, _approvals(past, broker))
            for broker in products
        }
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

    def _take(self, rules: Sequence[Rule]) -> None:
        """All at once: no verdict is given by a mixture of old and new."""
        active = tuple(rule for rule in rules if not rule.is_off)
        at = {broker: tuple(r for r in active if r.scope.broker in ("", broker)) for broker in self._products}
        self._entry_rules = {broker: _prepared(found) for broker, found in at.items()}
        self._exit_rules = {
            broker: _prepared(r for r in found if not r.entries_only) for broker, found in at.items()
        }
        self._freezes = {
            broker: tuple(r for r in found if isinstance(r, FreezeQuantity)) for broker, found in at.items()
        }
        self._marks.watching = any(isinstance(rule, (PriceJump, FrozenPrice)) for rule in active)

    def on(self, event: object) -> list[Output]:
        match event:
            case TickBatch():
                return self.on_ticks(event)
            case Snapshot(books):
                self._on_snapshot(books)
            case TradingSignal():
                return [output for broker in event.brokers for output in self._decide(event, broker)]
            case Halt():
                self.halted = True
            case Resume():
                self.halted = False
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
            in_flight = self._in_flight.get(broker, {})
            for order_id in [o.order_id for o in in_flight.values() if o.sequence <= book.accounted]:
                del in_flight[order_id]

    def _decide(self, signal: TradingSignal, broker: str) -> list[Output]:
        now_ns = max(self._now, signal.time_ns)
        fault = self._fault(signal, now_ns)
        if fault is not None:
            return [self._refused(signal, broker, *fault)]
        view = View(self._desks[broker], now_ns, self._claims_at(broker), signal)
        quantity = signal.quantity
        if signal.position_effect is PositionEffect.CLOSE:
            quantity = view.closable()
            if quantity == 0:
                why = f"{signal.strategy_id} holds nothing at {broker} that this would reduce"
                return [self._refused(signal, broker, "nothing_to_close", why, Verdict.NOTHING_TO_CLOSE)]
        order = self._order(signal, broker, quantity, now_ns)
        quantities = self._slices(order, view)
        view.slices = len(quantities)
        if sum(quantities) != order.quantity:
            order = replace(order, quantity=sum(quantities))
        refusal = self._refusal(order, view)
        if refusal is None:
            return self._approve(order, signal, quantities)
        rule, code, why = refusal
        refused = self._refused(signal, broker, code, why)
        return (
            [refused] if rule is None or not rule.quarantines else [refused, self._quarantine(refused, view)]
        )

    def _fault(self, signal: TradingSignal, now_ns: int) -> tuple[str, str] | None:
        """What no limit need be asked about: (rule, why)."""
        if self.halted and not signal.of_operator:
            return "kill_switch", "the kill switch is on; `alphapanda kill-switch off --reason …` ends it"
        if signal.strategy_id in self._quarantined and not signal.by:
            resumes = f"`alphapanda strategies resume {signal.strategy_id}` ends it"
            return "strategy_quarantined", f"{signal.strategy_id} is quarantined; {resumes}"
        instrument = self._instruments.get(signal.instrument_token)
        if instrument is None:
            return "unknown_instrument", f"instrument token {signal.instrument_token} is not listed"
        if self._calendar is not None:
            moment = self._calendar.at(now_ns, instrument)
            opens = signal.position_effect is PositionEffect.OPEN
            if not (moment.may_enter if opens else moment.may_exit):
                return "market_closed", moment.why
        return not_a_number(signal) or impossible(signal, instrument, self._last_price(signal))

    def _claims_at(self, broker: str) -> Claims:
        """Sorted anew only when the book or what is on its way has changed."""
        claims = self._claims.get(broker)
        if claims is None:
            book = self._books.get(broker, Book())
            claims = Claims(book, self._in_flight[broker], self._margins, self._worths[broker])
            self._claims[broker] = claims
        return claims

    def _last_price(self, signal: TradingSignal) -> Money:
        last = self._marks.price(signal.instrument_token)
        return exact(signal.last_price) if last is None else last

    def _order(self, signal: TradingSignal, broker: str, quantity: int, now_ns: int) -> Order:
        """The order this signal would become; it exists only once approved."""
        number = self._sequence + 1
        instrument = self._instruments[signal.instrument_token]
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
            reference_price=limit or trigger or self._last_price(signal),
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

    def _slices(self, order: Order, view: View) -> list[int]:
        """The quantities it is sent in; one, where no rule asks for the freeze quantity."""
        asked = [rule for rule in self._freezes[view.broker] if rule.covers(order)]
        if not asked:
            return [order.quantity]
        view.freeze_quantity = most = self._freeze.quantity(order.instrument, view.now_ns)
        if most is None or order.quantity <= most or not all(rule.cuts(order) for rule in asked):
            return [order.quantity]
        return slices_of(order, most)

    def _refusal(self, order: Order, view: View) -> tuple[Rule | None, str, str] | None:
        """(the rule, its code, why); no rule where it is no setting that refuses."""
        if (why := over_the_threshold(view)) is not None:
            return None, "max_orders_per_second", why
        if (why := unprotected(order, self._protection.get(view.broker))) is not None:
            return None, "market_protection", why
        if self._intraday is not None and (late := self._intraday.refuse(order, view.now_ns)) is not None:
            return None, *late
        if view.signal.of_operator:
            return None
        opens = order.position_effect is PositionEffect.OPEN
        for refuse, asked, rule in (self._entry_rules if opens else self._exit_rules)[view.broker]:
            if asked or _is_asked(rule, order):
                why = refuse(order, view)
                if why is not None:
                    return rule, rule.code, f"{why}{rule.within()}"
        return None

    def _quarantine(self, refused: Refused, view: View) -> StrategyQuarantined:
        strategy_id = refused.signal.strategy_id
        self._quarantined.add(strategy_id)
        return StrategyQuarantined(strategy_id, refused.rule, refused.why, view.now_ns)

    def _forgive(self, strategy_id: str) -> None:
        self._quarantined.discard(strategy_id)
        for broker in self._products:
            self._desks[broker].approvals.forgive(strategy_id)
            self._desks[broker].refusals.forgive(strategy_id, self._books.get(broker, Book()))

    def _refused(
        self, signal: TradingSignal, broker: str, rule: str, why: str, verdict: Verdict = Verdict.REFUSED
    ) -> Refused:
        if verdict is Verdict.REFUSED and not signal.by and rule not in NOT_ITS_FAULT:
            self._desks[broker].refusals.add(signal.strategy_id, self._books.get(broker, Book()))
        return Refused(
            signal=signal,
            broker=broker,
            verdict=verdict,
            rule=rule,
            why=why,
            quantity=signal.quantity,
            instrument=self._instruments.get(signal.instrument_token),
        )

    def _approve(self, order: Order, signal: TradingSignal, quantities: Sequence[int]) -> list[Output]:
        self._desks[order.broker].approvals.add(order, len(quantities))
        self._claims.pop(order.broker, None)
        approved: list[Output] = []
        for part, quantity in enumerate(quantities, 1):
            number = self._sequence + 1
            if part > 1 or quantity != order.quantity:
                made = replace(
                    order,
                    order_id=f"O{number:06d}",
                    tag=f"{self._tag_seed}{number:08d}",
                    sequence=number,
                    quantity=quantity,
                )
            else:
                made = order
            self._sequence = number
            self._in_flight[made.broker][made.order_id] = made
            approved.append(Approved(made, signal, part, len(quantities)))
        return approved

    def usage(self, limits: Limits | None = None) -> list[Usage]:
        """Every limit at every broker where it holds, used as of now; `limits` as if they held."""
        rules = self.limits.rules() if limits is None else limits.rules()
        states = {broker: self._state(broker) for broker in self._products}
        return [
            _usage(rule, states[broker])
            for rule in rules
            if hasattr(rule, rule.code)
            for broker in self._products
            if rule.scope.broker in ("", broker)
        ]

    def _state(self, broker: str) -> State:
        now_ns = self._now or self._last_approval
        return State(self._desks[broker], now_ns, self._claims_at(broker))


def _prepared(rules: Iterable[Rule]) -> Prepared:
    """What is asked of every rule at every verdict is looked up once."""
    return tuple((rule.refuse, rule.scope == EVERYWHERE and not rule.quarantines, rule) for rule in rules)


def _is_asked(rule: Rule, order: Order) -> bool:
    """The house's own closes are not the strategy's doing: they take nobody out."""
    return rule.covers(order) and not (rule.quarantines and order.by)


def _usage(rule: Rule, state: State) -> Usage:
    used = rule.used(state)
    blocked = used is not None and not rule.is_off and rule.blocks(used)
    return Usage(rule.code, rule.scope, state.broker, used, getattr(rule, rule.code), blocked)


def _approvals(past: Sequence[Order], broker: str) -> Approvals:
    """What throttles remember. An order that never reached its broker does not count, nor does it repeat; nor
    does one that the broker made by itself, which no approval stands behind (sequence 0).
    """
    never = (OrderStatus.NOT_FOUND, OrderStatus.WITHHELD)
    mine = (order for order in past if order.broker == broker and order.sequence)
    return Approvals(order for order in mine if order.status not in never)

"""GTT, good till triggered: when the last price reaches a value, a LIMIT order is placed, once.

A trigger of one value fires where the price comes to it from the side on which it stood when the trigger was
made; one of two values has the price between them and fires at either (OCO). A trigger only places: the order
may be refused, rejected, or rest. It lives a year; those that are over are listed for another week. How far a
value has to be from the last price at Zerodha (0.25 percent) is not asked here.
"""

from typing import Any

import msgspec
from msgspec import Struct

from alphapanda.events import Money, TransactionType
from alphapanda.exchange.calls import Refusal, invalid, missing
from alphapanda.exchange.history import History
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market
from alphapanda.exchange.notation import number, positive, spelt, stamp, whole
from alphapanda.exchange.options import USER_ID
from alphapanda.exchange.orders import Desk
from alphapanda.times import DAY_NS, to_ist, to_ns

SINGLE, TWO_LEG = "single", "two-leg"
VALUES = {SINGLE: 1, TWO_LEG: 2}
ACTIVE, TRIGGERED, EXPIRED, DELETED = "active", "triggered", "expired", "deleted"
PRODUCTS = ("CNC", "MTF", "NRML")
SHOWN_NS = 7 * DAY_NS
MOST_ACTIVE = 250
"""Active triggers of an account (support.zerodha.com, GTT)."""


class Leg(Struct, frozen=True, kw_only=True):
    """One order of the JSON list."""

    transaction_type: TransactionType
    quantity: int
    price: Money
    product: str
    order_type: str = "LIMIT"
    exchange: str = ""
    tradingsymbol: str = ""


class Condition(Struct, frozen=True, kw_only=True):
    """The JSON object. `last_price` is what the caller saw: it is shown, and the market's own counts."""

    exchange: str
    tradingsymbol: str
    trigger_values: tuple[Money, ...]
    last_price: Money


class Wanted(Struct, frozen=True, kw_only=True):
    """What a call asks for, checked. `above` says of each value whether the price has to rise to it."""

    type: str
    listed: Listed
    condition: Condition
    legs: tuple[Leg, ...]
    above: tuple[bool, ...]


class Trigger(Struct, kw_only=True):
    id: int
    wanted: Wanted
    created_ns: int
    updated_ns: int
    expires_ns: int
    status: str = ACTIVE
    fired: int | None = None
    """Which leg was placed, and when it was, at which price, and what came of it."""
    fired_at: Money = Money(0)
    order_id: str = ""
    rejection_reason: str = ""


class Triggers:
    """`on_quotes` is called with the instruments whose prices have moved."""

    def __init__(self, market: Market, desk: Desk, history: History) -> None:
        self._market = market
        self._desk = desk
        self._history = history
        self._all: dict[int, Trigger] = {}
        self._active: dict[int, list[Trigger]] = {}
        """By instrument token."""

    def tokens(self) -> set[int]:
        """Instruments whose prices are waited for."""
        return set(self._active)

    def place(self, fields: dict[str, str], now_ns: int) -> int:
        """The id of a new trigger; raises Refusal."""
        wanted = self._read(fields, now_ns)
        if sum(len(each) for each in self._active.values()) >= MOST_ACTIVE:
            raise invalid(f"Only {MOST_ACTIVE} active triggers are allowed.")
        trigger = Trigger(
            id=len(self._all) + 1,
            wanted=wanted,
            created_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=_a_year_after(now_ns),
        )
        self._all[trigger.id] = trigger
        self._wait(trigger)
        return trigger.id

    def modify(self, trigger_id: str, fields: dict[str, str], now_ns: int) -> int:
        """All of it is replaced; it lives for a year from now on. Raises Refusal."""
        trigger = self._found(trigger_id, active=True)
        wanted = self._read(fields, now_ns)
        self._stop(trigger)
        trigger.wanted, trigger.updated_ns = wanted, now_ns
        trigger.expires_ns = _a_year_after(now_ns)
        self._wait(trigger)
        return trigger.id

    def delete(self, trigger_id: str, now_ns: int) -> int:
        trigger = self._found(trigger_id, active=True)
        self._end(trigger, DELETED, now_ns)
        return trigger.id

    def row(self, trigger_id: str) -> dict[str, Any]:
        return _row(self._found(trigger_id))

    def rows(self, now_ns: int) -> list[dict[str, Any]]:
        """Those that are active, and the others of the last seven days; the newest first."""
        return [
            _row(trigger)
            for trigger in reversed(self._all.values())
            if trigger.status == ACTIVE or trigger.updated_ns > now_ns - SHOWN_NS
        ]

    def on_quotes(self, tokens: list[int], now_ns: int) -> None:
        for token in tokens:
            for trigger in tuple(self._active.get(token, ())):
                last = self._market.last_price(token, now_ns)
                values = zip(trigger.wanted.condition.trigger_values, trigger.wanted.above, strict=True)
                for leg, (value, above) in enumerate(values):
                    if last >= value if above else last <= value:
                        self._fire(trigger, leg, last, now_ns)
                        break

    def new_day(self, now_ns: int) -> None:
        for trigger in self._all.values():
            if trigger.status == ACTIVE and trigger.expires_ns <= now_ns:
                self._end(trigger, EXPIRED, now_ns)

    def _fire(self, trigger: Trigger, number_of_leg: int, last: Money, now_ns: int) -> None:
        trigger.fired, trigger.fired_at = number_of_leg, last
        leg, listed = trigger.wanted.legs[number_of_leg], trigger.wanted.listed
        fields = {
            "exchange": listed.instrument.exchange,
            "tradingsymbol": listed.instrument.tradingsymbol,
            "transaction_type": leg.transaction_type.value,
            "quantity": str(leg.quantity),
            "order_type": "LIMIT",
            "product": leg.product,
            "price": f"{leg.price:f}",
            "validity": "DAY",
        }
        self._end(trigger, TRIGGERED, now_ns)
        try:
            trigger.order_id = self._desk.place("regular", fields, now_ns, by="gtt")["order_id"]
        except Refusal as refusal:
            trigger.rejection_reason = refusal.message

    def _end(self, trigger: Trigger, status: str, now_ns: int) -> None:
        self._stop(trigger)
        trigger.status, trigger.updated_ns = status, now_ns
        self._history.add("gtt", now_ns, trigger_id=trigger.id, status=status)

    def _wait(self, trigger: Trigger) -> None:
        self._active.setdefault(trigger.wanted.listed.token, []).append(trigger)

    def _stop(self, trigger: Trigger) -> None:
        token = trigger.wanted.listed.token
        self._active[token].remove(trigger)
        if not self._active[token]:
            del self._active[token]

    def _found(self, trigger_id: str, *, active: bool = False) -> Trigger:
        trigger = self._all.get(whole(trigger_id) or 0)
        if trigger is None:
            raise Refusal(404, "GeneralException", "Couldn't find that `trigger_id`.")
        if active and trigger.status != ACTIVE:
            raise invalid(f"The trigger is {trigger.status} and cannot be changed.")
        return trigger

    def _read(self, fields: dict[str, str], now_ns: int) -> Wanted:
        """The form of placing and modifying; Refusal names what is wrong with it."""
        kind = fields.get("type", "")
        if kind not in VALUES:
            raise invalid("Invalid `type`. It should be single or two-leg.")
        condition = _decoded(fields, "condition", Condition)
        legs = _decoded(fields, "orders", tuple[Leg, ...])
        if len(condition.trigger_values) != VALUES[kind] or len(legs) != VALUES[kind]:
            raise invalid(f"A {kind} trigger has {VALUES[kind]} trigger value(s) and as many orders.")
        listed = self._market.listing.by_key(f"{condition.exchange}:{condition.tradingsymbol}")
        if listed is None or not listed.tradable:
            raise invalid("Invalid `tradingsymbol` in the condition.")
        for leg in legs:
            _check_leg(leg, condition)
        if condition.last_price and not positive(condition.last_price):
            raise invalid("Invalid `last_price` in the condition.")
        last = self._market.last_price(listed.token, now_ns)
        if not all(positive(value) and value != last for value in condition.trigger_values):
            raise invalid(f"Trigger price should be away from the last price, which is {spelt(last)}.")
        above = tuple(value > last for value in condition.trigger_values)
        if kind == TWO_LEG and above != (False, True):
            raise invalid("The last price should be between the two trigger prices, the lower one first.")
        return Wanted(type=kind, listed=listed, condition=condition, legs=legs, above=above)


def _check_leg(leg: Leg, condition: Condition) -> None:
    if leg.order_type != "LIMIT":
        raise invalid("Only LIMIT orders are allowed in a trigger.")
    if leg.product not in PRODUCTS:
        raise invalid("Invalid `product`. A trigger places CNC, MTF or NRML orders.")
    if not (positive(leg.quantity) and positive(leg.price)):
        raise invalid("Quantity and price of an order should be greater than zero.")
    if (leg.exchange or condition.exchange, leg.tradingsymbol or condition.tradingsymbol) != (
        condition.exchange,
        condition.tradingsymbol,
    ):
        raise invalid("The orders should be of the instrument of the condition.")


def _decoded(fields: dict[str, str], name: str, kind: Any) -> Any:
    """The JSON in a field of the form; numbers may be text."""
    text = fields.get(name, "")
    if not text:
        raise missing(name)
    try:
        return msgspec.json.decode(text, type=kind, strict=False)
    except msgspec.DecodeError as error:
        raise invalid(f"Invalid `{name}`: {error}") from error


def _row(trigger: Trigger) -> dict[str, Any]:
    condition = trigger.wanted.condition
    return {
        "id": trigger.id,
        "user_id": USER_ID,
        "parent_trigger": None,
        "type": trigger.wanted.type,
        "created_at": stamp(trigger.created_ns),
        "updated_at": stamp(trigger.updated_ns),
        "expires_at": stamp(trigger.expires_ns),
        "status": trigger.status,
        "condition": {
            "exchange": condition.exchange,
            "last_price": number(condition.last_price),
            "tradingsymbol": condition.tradingsymbol,
            "trigger_values": [number(value) for value in condition.trigger_values],
            "instrument_token": trigger.wanted.listed.token,
        },
        "orders": [_leg_row(trigger, place) for place in range(len(trigger.wanted.legs))],
        "meta": {},
    }


def _leg_row(trigger: Trigger, place: int) -> dict[str, Any]:
    """A leg, with what came of it when it is the one that was placed."""
    leg, condition = trigger.wanted.legs[place], trigger.wanted.condition
    asked = {
        "exchange": condition.exchange,
        "tradingsymbol": condition.tradingsymbol,
        "product": leg.product,
        "order_type": leg.order_type,
        "transaction_type": leg.transaction_type.value,
        "quantity": leg.quantity,
        "price": number(leg.price),
    }
    if trigger.fired != place:
        return {**asked, "result": None}
    result = {
        "account_id": USER_ID,
        **asked,
        "validity": "DAY",
        "meta": f'{{"app_id":0,"gtt":{trigger.id}}}',
        "timestamp": stamp(trigger.updated_ns),
        "triggered_at": number(trigger.fired_at),
        "order_result": {
            "status": "success" if trigger.order_id else "failed",
            "order_id": trigger.order_id,
            "rejection_reason": trigger.rejection_reason,
        },
    }
    return {**asked, "result": result}


def _a_year_after(time_ns: int) -> int:
    moment = to_ist(time_ns)
    leap_day = (moment.month, moment.day) == (2, 29)
    return to_ns(moment.replace(year=moment.year + 1, day=28 if leap_day else moment.day))

"""What a caller asks for, read from the form and checked: whatever is refused here leaves no row.

Refused with 400 are texts that cannot be read, words and instruments that do not exist, fields that belong
together and do not, and what Kite's gateway itself forbids (market orders without protection, IOC on MCX,
long tags). Whether the market, the account and the broker's limits bear the order is asked later.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from alphapanda.core.segments import segment_of
from alphapanda.events import PRICED, STOPS, Money, OrderType, TransactionType, Validity
from alphapanda.exchange.calls import invalid
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.order import Order
from alphapanda.exchange.orders import refusals
from alphapanda.exchange.orders.form import Form

LONGEST_TAG = 20
FEWEST_LEGS, MOST_LEGS = 2, 50
EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO")
WITHOUT_IOC = ("MCX",)
API = "api"
AUTOMATIC = Money(-1)
"""Market protection as the broker's table has it."""
WHOLE_PRICE = Money(100)
LEAST_DISCLOSED = 10
"""A disclosed quantity is at least the tenth part of the quantity."""


class Product(StrEnum):
    CNC = "CNC"
    NRML = "NRML"
    MIS = "MIS"
    MTF = "MTF"


class Variety(StrEnum):
    REGULAR = "regular"
    AMO = "amo"
    ICEBERG = "iceberg"
    CO = "co"
    AUCTION = "auction"


UNSUPPORTED = {
    Variety.CO: "Cover orders (CO) are not taken by this exchange. Place a regular order.",
    Variety.AUCTION: "There is no auction session in which the order could be placed.",
}
CARRIED_ON = {True: (Product.NRML, Product.MIS), False: (Product.CNC, Product.MIS, Product.MTF)}
"""Whether it is a derivative -> its products."""


class Asked(Struct, frozen=True, kw_only=True):
    """One request for an order. `legs` is 0 where it is no iceberg."""

    variety: Variety
    listed: Listed
    transaction_type: TransactionType
    order_type: OrderType
    product: str
    quantity: int
    price: Money
    trigger_price: Money
    validity: Validity
    validity_ttl: int
    disclosed_quantity: int
    market_protection: Money
    tag: str | None
    autoslice: bool
    legs: int
    leg_quantity: int

    def order(self, now_ns: int, by: str, placed_by: str) -> Order:
        """The order for the whole quantity; it has no number yet."""
        return Order(
            order_id="",
            listed=self.listed,
            variety=self.variety.value,
            transaction_type=self.transaction_type,
            order_type=self.order_type,
            product=self.product,
            quantity=self.quantity,
            order_ns=now_ns,
            validity=self.validity,
            validity_ttl=self.validity_ttl,
            price=self.price,
            trigger_price=self.trigger_price,
            disclosed_quantity=self.disclosed_quantity,
            market_protection=self.market_protection,
            tag=self.tag,
            tags=[self.tag] if self.tag else [],
            by=by,
            placed_by=placed_by,
            limit=self.price if self.order_type in PRICED else None,
            visible_ns=now_ns,
        )


def read(
    variety: str, fields: Mapping[str, str], by_key: Callable[[str], Listed | None], *, by: str
) -> Asked:
    """What `POST /orders/{variety}` asks for; raises Refusal.

    Who places by hand needs no market protection: the broker's own app adds it.
    """
    form = Form(fields)
    kind = _variety(variety)
    listed = _listed(form, by_key)
    order_type = _order_type(form)
    protection = form.amount("market_protection", Money(0) if by == API else AUTOMATIC)
    asked = Asked(
        variety=kind,
        listed=listed,
        transaction_type=form.word("transaction_type", TransactionType),
        order_type=order_type,
        product=_product(form, listed),
        quantity=_quantity(form),
        price=form.amount("price") if order_type in PRICED else Money(0),
        trigger_price=form.amount("trigger_price") if order_type in STOPS else Money(0),
        validity=form.word("validity", Validity, Validity.DAY),
        validity_ttl=form.whole("validity_ttl"),
        disclosed_quantity=form.whole("disclosed_quantity"),
        market_protection=Money(0) if order_type in PRICED else protection,
        tag=_tag(form) if by == API else None,
        autoslice=form.yes("autoslice"),
        legs=form.whole("iceberg_legs") if kind is Variety.ICEBERG else 0,
        leg_quantity=form.whole("iceberg_quantity") if kind is Variety.ICEBERG else 0,
    )
    _check_iceberg(asked)
    if asked.autoslice and kind is not Variety.REGULAR:
        raise invalid("Order slicing is for regular orders only.")
    check(asked.order(0, by, ""))
    return asked


def changed(order: Order, fields: Mapping[str, str]) -> Order:
    """The order as `PUT /orders/{variety}/{order_id}` wants it; raises Refusal. What is not sent stays.

    A limit order becomes a market order only with market protection; one that was a market order keeps its
    own (forum, comment 52331).
    """
    form = Form(fields)
    order_type = _order_type(form) if "order_type" in form else order.order_type
    wanted = replace(
        order,
        order_type=order_type,
        quantity=_quantity(form) if "quantity" in form else order.quantity,
        price=form.amount("price", order.price) if order_type in PRICED else Money(0),
        trigger_price=form.amount("trigger_price", order.trigger_price) if order_type in STOPS else Money(0),
        disclosed_quantity=form.whole("disclosed_quantity", order.disclosed_quantity),
        validity=form.word("validity", Validity, order.validity),
        validity_ttl=form.whole("validity_ttl", order.validity_ttl),
        market_protection=form.amount("market_protection", order.market_protection),
        tags=list(order.tags),
        meta=dict(order.meta),
        triggered=order.triggered and order_type == order.order_type,
    )
    wanted.limit = wanted.price if order_type in PRICED else None
    check(wanted)
    return wanted


def check(order: Order) -> None:
    """What must fit together in an order, new or changed; raises Refusal."""
    _check_prices(order)
    _check_validity(order)
    hidden = order.disclosed_quantity
    if hidden < 0 or hidden > order.quantity:
        raise invalid("Disclosed quantity cannot be greater than the quantity.")
    if hidden and hidden * LEAST_DISCLOSED < order.quantity:
        raise invalid("Disclosed quantity should be at least 10% of the quantity.")


def _variety(text: str) -> Variety:
    if text not in {member.value for member in Variety}:
        raise refusals.unknown("variety", text)
    variety = Variety(text)
    if variety in UNSUPPORTED:
        raise invalid(UNSUPPORTED[variety])
    return variety


def _listed(form: Form, by_key: Callable[[str], Listed | None]) -> Listed:
    exchange, symbol = form.needed("exchange"), form.needed("tradingsymbol")
    if exchange not in EXCHANGES:
        raise refusals.unknown("exchange", exchange)
    listed = by_key(f"{exchange}:{symbol}")
    if listed is None:
        raise invalid(refusals.NO_SUCH_INSTRUMENT)
    if not listed.tradable:
        raise invalid(f"{symbol} is an index and cannot be traded.")
    return listed


def _order_type(form: Form) -> OrderType:
    return form.word("order_type", OrderType)


def _product(form: Form, listed: Listed) -> str:
    product = form.word("product", Product)
    allowed = CARRIED_ON[segment_of(listed.instrument).derivative]
    if product not in allowed:
        raise invalid(f"Product {product} is not allowed for {listed.instrument.exchange}.")
    return product.value


def _quantity(form: Form) -> int:
    form.needed("quantity")
    quantity = form.whole("quantity")
    if quantity <= 0:
        raise invalid("Quantity should be greater than zero.")
    return quantity


def _tag(form: Form) -> str | None:
    tag = form.text("tag")
    if len(tag) > LONGEST_TAG:
        raise invalid(f"Tag cannot be longer than {LONGEST_TAG} characters.")
    return tag or None


def _check_prices(order: Order) -> None:
    kind = order.order_type
    if kind in PRICED and order.price <= 0:
        raise invalid(f"Price is required for {kind} orders.")
    if kind in STOPS and order.trigger_price <= 0:
        raise refusals.without_trigger(kind)
    if kind is OrderType.SL and (order.trigger_price - order.price) * order.transaction_type.sign > 0:
        raise refusals.trigger_past_price(order.transaction_type)
    if kind in PRICED:
        return
    protection = order.market_protection
    if not protection:
        raise invalid(refusals.NO_PROTECTION)
    if protection != AUTOMATIC and not 0 < protection <= WHOLE_PRICE:
        raise invalid("Market protection should be -1, or greater than 0 and up to 100 percent.")


def _check_validity(order: Order) -> None:
    exchange = order.listed.instrument.exchange
    if order.validity is Validity.IOC and exchange in WITHOUT_IOC:
        raise invalid(f"IOC orders are not allowed on {exchange}.")
    if order.validity is Validity.IOC and order.variety == Variety.ICEBERG:
        raise invalid("Iceberg orders cannot be IOC.")
    if order.validity is Validity.TTL and order.validity_ttl <= 0:
        raise invalid("Validity TTL should be one minute or more.")


def _check_iceberg(asked: Asked) -> None:
    if asked.variety is not Variety.ICEBERG:
        return
    if not FEWEST_LEGS <= asked.legs <= MOST_LEGS:
        raise invalid(f"Iceberg legs should be between {FEWEST_LEGS} and {MOST_LEGS}.")
    before = asked.leg_quantity * (asked.legs - 1)
    if not before < asked.quantity <= before + asked.leg_quantity:
        raise invalid("Iceberg quantity should be the quantity divided by the legs.")

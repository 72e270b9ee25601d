"""Order requests as bytes: the whole HTTP/1.1 request in one piece, ready for one write.

Pure and quick: what never changes is made once a token, a symbol's fields once a symbol. The fields and their
places are those of the official client 5.2.2 (kite.trade/docs/connect/v3/orders), which says `variety` and
`order_id` in the form as well as in the path. Numbers are decimals without an exponent.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, quote_plus, urlsplit

from alphapanda.errors import Fatal
from alphapanda.events import PRICED, STOPS, Money, Order, OrderType, TransactionType, Validity
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.session import Session

Variety = Literal["regular", "amo", "co", "iceberg", "auction"]

AUTOMATIC = Money(-1)
"""Market protection by Zerodha's own table. 0, or none at all, is refused since 1 April 2026."""
UNPRICED = (OrderType.MARKET, OrderType.SL_M)
"""These never leave without market protection."""
VERSION = "3"

_SENDABLE = re.compile(r"[\x21-\x7e]+ [\x21-\x7e]+")


class Requests:
    """Bytes for the session as it is now: ask for them in the step in which they are written."""

    def __init__(self, roots: Roots, session: Session) -> None:
        where = urlsplit(roots.api)
        self._orders = f"{where.path}/orders/"
        self._host = where.netloc.rpartition("@")[2]
        self._session = session
        self._epoch = -1
        self._with_form = self._without = ""

    def place(
        self,
        order: Order,
        *,
        market_protection: Money,
        variety: Variety = "regular",
        disclosed_quantity: int | None = None,
        iceberg_legs: int | None = None,
        iceberg_quantity: int | None = None,
        auction_number: str | None = None,
        algo_id: str | None = None,
        autoslice: bool = False,
    ) -> bytes:
        """POST /orders/{variety}. Prices go as they are: risk has put them on the tick.

        `market_protection` is a percentage or -1 and goes with MARKET and SL-M orders only; 0 counts as -1.
        """
        more = {
            "disclosed_quantity": disclosed_quantity,
            "iceberg_legs": iceberg_legs,
            "iceberg_quantity": iceberg_quantity,
            "auction_number": auction_number,
            "algo_id": algo_id,
            "autoslice": "true" if autoslice else None,
        }
        fields = _fields_of(order, market_protection)
        return self._form("POST", variety, f"variety={variety}&{fields}{_set(more)}")

    def modify(
        self,
        order: Order,
        *,
        quantity: int | None = None,
        price: Money | None = None,
        trigger_price: Money | None = None,
        order_type: OrderType | None = None,
        validity: Validity | None = None,
        disclosed_quantity: int | None = None,
        market_protection: Money | None = None,
        variety: Variety = "regular",
        parent_order_id: str | None = None,
    ) -> bytes:
        """PUT /orders/{variety}/{order_id}. What is None stays as it is, as in the official client.

        Prices are put on the tick, a buy's down and a sale's up. An order that becomes MARKET or SL-M has
        market protection: automatic where none is given (forum, comment 52331).
        """
        if order_type in UNPRICED:
            market_protection = market_protection or AUTOMATIC
        broker_order_id = _id(order)
        changes = {
            "parent_order_id": parent_order_id,
            "quantity": quantity,
            "price": None if price is None else f"{_on_tick(price, order):f}",
            "order_type": order_type,
            "trigger_price": None if trigger_price is None else f"{_on_tick(trigger_price, order):f}",
            "validity": validity,
            "disclosed_quantity": disclosed_quantity,
            "market_protection": None if market_protection is None else f"{market_protection:f}",
        }
        fields = f"variety={variety}&order_id={quote_plus(broker_order_id)}{_set(changes)}"
        return self._form("PUT", f"{variety}/{quote(broker_order_id, safe='')}", fields)

    def cancel(
        self, order: Order, *, variety: Variety = "regular", parent_order_id: str | None = None
    ) -> bytes:
        """DELETE /orders/{variety}/{order_id}: no form; the parent, if any, is in the query."""
        query = "" if parent_order_id is None else f"?parent_order_id={quote_plus(parent_order_id)}"
        where = f"{variety}/{quote(_id(order), safe='')}{query}"
        self._current()
        return f"DELETE {self._orders}{where} HTTP/1.1\r\n{self._without}0\r\n\r\n".encode("ascii")

    def _form(self, method: str, where: str, fields: str) -> bytes:
        self._current()
        head = f"{method} {self._orders}{where} HTTP/1.1\r\n{self._with_form}{len(fields)}\r\n\r\n"
        return (head + fields).encode("ascii")

    def _current(self) -> None:
        """The lines of the head that only a new token changes; they end where the length's digits begin."""
        if self._epoch == self._session.epoch:
            return
        authorization = self._session.authorization
        if not _SENDABLE.fullmatch(authorization):
            raise Fatal(
                "zerodha: the API key or the access token holds a character that no header can carry; "
                "correct zerodha.api_key and run `alphapanda login`"
            )
        common = (
            f"Host: {self._host}\r\n"
            f"X-Kite-Version: {VERSION}\r\n"
            f"Authorization: {authorization}\r\n"
            "User-Agent: alphapanda\r\n"
            "Accept: */*\r\n"
            "Accept-Encoding: identity\r\n"
        )
        self._without = f"{common}Content-Length: "
        self._with_form = f"{common}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        self._epoch = self._session.epoch


def _fields_of(order: Order, market_protection: Money) -> str:
    kind, instrument, tag = order.order_type, order.instrument, order.tag
    fields = (
        f"{_of_instrument(instrument.exchange, instrument.tradingsymbol)}"
        f"&transaction_type={order.transaction_type}&quantity={order.quantity}&product={quote_plus(order.product)}"
        f"&order_type={kind}&validity={order.validity}"
        f"&tag={tag if tag.isalnum() and tag.isascii() else quote_plus(tag)}"
    )
    if kind in PRICED and order.price is not None:
        fields += f"&price={order.price:f}"
    if kind in STOPS and order.trigger_price is not None:
        fields += f"&trigger_price={order.trigger_price:f}"
    if kind in UNPRICED:
        fields += f"&market_protection={market_protection or AUTOMATIC:f}"
    if order.validity is Validity.TTL:
        fields += f"&validity_ttl={order.validity_ttl}"
    return fields


def _set(fields: Mapping[str, object]) -> str:
    """Those that are not None, each behind its &."""
    return "".join(
        [f"&{name}={quote_plus(str(value))}" for name, value in fields.items() if value is not None]
    )


@lru_cache(maxsize=4096)
def _of_instrument(exchange: str, tradingsymbol: str) -> str:
    """A symbol may be M&M or NIFTY 50."""
    return f"exchange={quote_plus(exchange)}&tradingsymbol={quote_plus(tradingsymbol)}"


def _id(order: Order) -> str:
    if not order.broker_order_id:
        raise ValueError(
            f"order {order.order_id} has no number at the broker yet: it cannot be changed there"
        )
    return order.broker_order_id


def _on_tick(price: Money, order: Order) -> Money:
    """Never worse than asked; an instrument without a tick has no other prices."""
    tick = order.instrument.tick_size
    if tick <= 0:
        return price
    rounding = ROUND_FLOOR if order.transaction_type is TransactionType.BUY else ROUND_CEILING
    return (price / tick).to_integral_value(rounding) * tick

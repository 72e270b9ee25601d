"""Conversion: part of a position becomes another product's (PUT /portfolio/positions).

Lots move with their prices, oldest first: the two rows together keep their quantities, values and results.
"""

from collections.abc import Mapping

from alphapanda.events import MIS, Money
from alphapanda.exchange.account.funds import DELIVERED, insufficient, products_of, purse_of
from alphapanda.exchange.account.ledger import Ledger
from alphapanda.exchange.account.positions import Position
from alphapanda.exchange.calls import Refusal, invalid, missing
from alphapanda.exchange.notation import whole
from alphapanda.times import day_of, start_of

ZERO = Money(0)


def convert(ledger: Ledger, fields: Mapping[str, str], now_ns: int) -> bool:
    """The form of the call. True; Refusal (InputException, MarginException) where nothing is converted."""
    position, product = _asked(ledger, fields, now_ns)
    carried = fields.get("position_type", "day") == "overnight"
    today = start_of(day_of(now_ns))
    since, until = (0, today) if carried else (today, now_ns + 1)
    quantity, convertible = _quantity(fields), position.open_between(since, until)
    if quantity > convertible:
        raise invalid(f"Quantity to convert is {quantity} but only {convertible} is open to be converted.")
    lot = position.listed.lot
    if quantity % lot:
        raise invalid(f"Quantity {quantity} is not a multiple of the lot size of {lot}.")
    promised = _promised(ledger, position, quantity)
    if promised > 0:
        raise invalid(f"Open orders sell {promised} of the quantity to convert. Cancel them first.")
    target = ledger.position(position.listed, product)
    if carried and target.quantity * position.quantity < 0:
        raise invalid(f"Close the open {product} position in the other direction before converting to it.")
    added = _added_claim(ledger, position, product, quantity, since, until)
    available = ledger.available(purse_of(position.listed), now_ns)
    if added > max(ZERO, available):
        raise Refusal(400, "MarginException", insufficient(added, available))
    target.take_in(position.let_go(quantity, since, until, carried=carried), carried=carried)
    return True


def _asked(ledger: Ledger, fields: Mapping[str, str], now_ns: int) -> tuple[Position, str]:
    """The position that is named, and the product it is to become."""
    for name in ("exchange", "tradingsymbol", "transaction_type", "quantity", "old_product", "new_product"):
        if not fields.get(name):
            raise missing(name)
    if fields.get("position_type", "day") not in ("day", "overnight"):
        raise invalid("Invalid `position_type`. It should be day or overnight.")
    listed = ledger.market.listing.by_key(f"{fields['exchange']}:{fields['tradingsymbol']}")
    if listed is None:
        raise invalid("Invalid `tradingsymbol`.")
    old, new = fields["old_product"], fields["new_product"]
    if old == new or not {old, new} <= products_of(listed):
        raise invalid(f"Position cannot be converted from {old} to {new}.")
    square_off_ns = ledger.market.hours.square_off_ns(listed, now_ns)
    if new == MIS and square_off_ns is not None and now_ns >= square_off_ns:
        raise invalid("Conversion to MIS is not allowed after the intraday square-off time.")
    position = ledger.book.get((listed.key, old))
    if position is None or not position.quantity:
        raise invalid(f"There is no open {old} position in {fields['tradingsymbol']}.")
    side = "BUY" if position.quantity > 0 else "SELL"
    if fields["transaction_type"] != side:
        raise invalid(f"Invalid `transaction_type`. The open position is {side}.")
    if position.quantity < 0 and DELIVERED & {old, new}:
        raise invalid(f"A sale cannot be converted from {old} to {new}.")
    return position, new


def _quantity(fields: Mapping[str, str]) -> int:
    quantity = whole(fields["quantity"])
    if not quantity:
        raise invalid("Invalid `quantity`.")
    return quantity


def _promised(ledger: Ledger, position: Position, quantity: int) -> int:
    """Shares of this quantity without which orders that rest would sell what is not there."""
    if position.product not in DELIVERED:
        return 0
    return max(0, quantity - ledger.deliverable(position.listed, position.product))


def _added_claim(
    ledger: Ledger, position: Position, product: str, quantity: int, since_ns: int, until_ns: int
) -> Money:
    """What these lots claim as the other product beyond what they do as this one."""
    left, added, sign = quantity, ZERO, 1 if position.quantity > 0 else -1
    for lot in position.lots:
        units = min(left, abs(lot.quantity)) if since_ns <= lot.traded_ns < until_ns else 0
        left -= units
        for one, way in ((product, 1), (position.product, -1)):
            added += way * ledger.claims.of(position.listed, one, sign * units, lot.price)
    return added

"""What an order would claim and cost before it is placed: /margins/orders, /margins/basket, /charges/orders.

Margins are those that funds are checked by, positions and open orders considered: the total of an order to
buy at a limit is what its rejection would name. (A sale is judged at the last price where that is higher, a
market order at its protection price.) They are an estimate of the real ones: no SPAN, no benefit of a hedge.
Charges are by the rates of the exchange's day, unrounded, the stamp duty included (what Kite does with it
today is not known).
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from alphapanda.core.charges import ChargeSheet
from alphapanda.core.segments import segment_of
from alphapanda.events import Money, OrderType, TransactionType
from alphapanda.exchange.account.funds import COMMODITY, Wish, products_of, purse_of
from alphapanda.exchange.account.ledger import Ledger
from alphapanda.exchange.account.statement import parts_of
from alphapanda.exchange.calls import invalid, missing
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.notation import number, rupees
from alphapanda.tables import tariff
from alphapanda.times import date_of, day_of

ZERO = Money(0)
ITEMS_AT_MOST = 500
LARGEST = 10**9
"""Quantities and prices above are mistakes."""
NOTHING = ChargeSheet(brokerage=ZERO, stt=ZERO, exchange=ZERO, ipft=ZERO, sebi=ZERO, gst=ZERO, stamp=ZERO)


class Item(Struct, frozen=True, kw_only=True):
    """One order of the JSON list. What only one of the three calls needs has a default."""

    exchange: str
    tradingsymbol: str
    transaction_type: TransactionType
    product: str
    quantity: int
    variety: str = "regular"
    order_type: OrderType = OrderType.MARKET
    price: Money | None = None
    trigger_price: Money | None = None
    average_price: Money | None = None

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


class Estimates:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def order_margins(self, body: Any, now_ns: int, *, compact: bool = False) -> list[dict[str, Any]]:
        """One row an order, each as if it were the only new one."""
        resting, wishes = self._ledger.resting(now_ns), [self._wish(item, now_ns) for item in _items(body)]
        rows = [self._row(wish, self._ledger.increase((wish,), resting), now_ns) for wish in wishes]
        return [_compact(row) for row in rows] if compact else rows

    def basket_margins(
        self, body: Any, now_ns: int, *, held: bool = True, compact: bool = False
    ) -> dict[str, Any]:
        """`initial` is the sum of the orders alone, `final` what they bind together; `held` is whether
        positions and open orders are considered.
        """
        wishes = [self._wish(item, now_ns) for item in _items(body)]
        alone = [self._ledger.increase((wish,), {}, held=False) for wish in wishes]
        rows = [self._row(wish, claim, now_ns) for wish, claim in zip(wishes, alone, strict=True)]
        total = self._ledger.increase(wishes, self._ledger.resting(now_ns) if held else {}, held=held)
        initial = _sum_of(wishes, alone)
        share = total / initial["total"] if initial["total"] else ZERO
        final = {name: amount * share for name, amount in initial.items()} | {"total": total}
        sheets = [self._sheet(wish, now_ns) for wish in wishes]
        return {
            "initial": _margin_row(initial, ZERO),
            "final": _margin_row(final, ZERO),
            "orders": [_compact(row) for row in rows] if compact else rows,
            "charges": _charges(_added(sheets), ""),
        }

    def charges(self, body: Any, now_ns: int) -> list[dict[str, Any]]:
        """The contract note of orders that traded at their `average_price`."""
        rows = []
        for item in _items(body):
            if not item.average_price or item.average_price <= ZERO:
                raise missing("average_price")
            listed, price = self._listed(item), item.average_price
            wish = Wish(listed, item.product, item.transaction_type.sign * item.quantity, price)
            rows.append(
                {
                    "transaction_type": item.transaction_type.value,
                    "tradingsymbol": item.tradingsymbol,
                    "exchange": item.exchange,
                    "variety": item.variety,
                    "product": item.product,
                    "order_type": item.order_type.value,
                    "quantity": item.quantity,
                    "price": number(price),
                    "charges": _charges(self._sheet(wish, now_ns), _tax_of(listed)),
                }
            )
        return rows

    def _listed(self, item: Item) -> Listed:
        listed = self._ledger.market.listing.by_key(item.key)
        if listed is None:
            raise invalid(f"Invalid `tradingsymbol`: {item.key} is not listed.")
        if not listed.tradable:
            raise invalid(f"Invalid `tradingsymbol`: {item.key} cannot be traded.")
        if item.product not in products_of(listed):
            raise invalid(f"Invalid `product`: {item.product} is not allowed for {item.exchange}.")
        return listed

    def _wish(self, item: Item, now_ns: int) -> Wish:
        listed = self._listed(item)
        price = item.price or item.trigger_price or self._ledger.market.last_price(listed.token, now_ns)
        return Wish(listed, item.product, item.transaction_type.sign * item.quantity, price)

    def _row(self, wish: Wish, claim: Money, now_ns: int) -> dict[str, Any]:
        value = abs(wish.quantity) * wish.price * wish.listed.multiplier
        whole = self._ledger.claims.of(*wish)
        derivative = segment_of(wish.listed.instrument).derivative
        leverage = Money(1) if derivative or not whole else value / whole
        row = _margin_row(_sum_of([wish], [claim]), leverage)
        row["type"] = purse_of(wish.listed)
        row["tradingsymbol"] = wish.listed.instrument.tradingsymbol
        row["exchange"] = wish.listed.instrument.exchange
        row["charges"] = _charges(self._sheet(wish, now_ns), _tax_of(wish.listed))
        return row

    def _sheet(self, wish: Wish, now_ns: int) -> ChargeSheet:
        listed, rates = wish.listed, tariff()
        segment, turnover = segment_of(listed.instrument), abs(wish.quantity) * wish.price * listed.multiplier
        if not rates.knows(listed.instrument.exchange, segment):
            return NOTHING
        side = TransactionType.BUY if wish.quantity > 0 else TransactionType.SELL
        day = date_of(day_of(now_ns))
        return rates.sheet(listed.instrument.exchange, segment, wish.product, side, turnover, day)


def _items(body: Any) -> list[Item]:
    """The JSON list; numbers may be text. Refusal names the first thing that is wrong with it."""
    if body is None:
        raise invalid("Invalid request: the body has to be a JSON list of orders.")
    try:
        items = msgspec.convert(body, list[Item], strict=False)
    except msgspec.ValidationError as error:
        raise invalid(f"Invalid request: {error}") from error
    if len(items) > ITEMS_AT_MOST:
        raise invalid(f"Only {ITEMS_AT_MOST} orders are calculated at once.")
    for item in items:
        if not 0 < item.quantity <= LARGEST:
            raise invalid("Invalid `quantity`.")
        for name in ("price", "trigger_price", "average_price"):
            amount = getattr(item, name)
            if amount is not None and not (amount.is_finite() and 0 <= amount <= LARGEST):
                raise invalid(f"Invalid `{name}`.")
    return items


def _sum_of(wishes: Iterable[Wish], claims: Iterable[Money]) -> dict[str, Money]:
    """Claims by Kite's names; what shares claim is `var`."""
    totals = dict.fromkeys(("span", "exposure", "option_premium", "var", "total"), ZERO)
    for wish, claim in zip(wishes, claims, strict=True):
        parts = parts_of(wish.listed, wish.quantity, wish.price, claim) or {"var": claim}
        for name, amount in (*parts.items(), ("total", claim)):
            totals[name] += amount
    return totals


def _margin_row(amounts: dict[str, Money], leverage: Money) -> dict[str, Any]:
    return {
        "type": "",
        "tradingsymbol": "",
        "exchange": "",
        "span": rupees(amounts["span"]),
        "exposure": rupees(amounts["exposure"]),
        "option_premium": rupees(amounts["option_premium"]),
        "additional": 0,
        "bo": 0,
        "cash": 0,
        "var": rupees(amounts["var"]),
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": rupees(leverage),
        "charges": _charges(NOTHING, ""),
        "total": rupees(amounts["total"]),
    }


def _compact(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("type", "tradingsymbol", "exchange", "total")}


def _tax_of(listed: Listed) -> str:
    """Currencies pay none."""
    if listed.instrument.exchange in ("CDS", "BCD"):
        return ""
    return "ctt" if purse_of(listed) == COMMODITY else "stt"


def _added(sheets: Iterable[ChargeSheet]) -> ChargeSheet:
    totals = msgspec.structs.asdict(NOTHING)
    for sheet in sheets:
        for name, amount in msgspec.structs.asdict(sheet).items():
            totals[name] += amount
    return ChargeSheet(**totals)


def _charges(sheet: ChargeSheet, tax_type: str) -> dict[str, Any]:
    """Kite counts the investor protection fund among the exchange's charges."""
    gst = number(sheet.gst)
    return {
        "transaction_tax": number(sheet.stt),
        "transaction_tax_type": tax_type,
        "exchange_turnover_charge": number(sheet.exchange + sheet.ipft),
        "sebi_turnover_charge": number(sheet.sebi),
        "brokerage": number(sheet.brokerage),
        "stamp_duty": number(sheet.stamp),
        "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
        "total": number(sheet.total),
    }

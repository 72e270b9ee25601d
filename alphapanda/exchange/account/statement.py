"""The statement of funds, /user/margins: what the day began with, what it has used, and what is left."""

from typing import Any

from alphapanda.core.money import percent_of
from alphapanda.core.segments import segment_of
from alphapanda.events import CNC, Money
from alphapanda.exchange.account.funds import purse_of
from alphapanda.exchange.account.ledger import Ledger
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.notation import rupees

ZERO = Money(0)
EXPOSURE_PERCENT = Money(3)
"""The part of a contract's value that is shown as exposure margin; the rest of the claim is shown as SPAN."""


def statement(ledger: Ledger, segment: str, now_ns: int) -> dict[str, Any]:
    """One segment as Kite shows it.

    `net` and `live_balance` are what is available; `debits` is what the day has taken off the opening
    balance, what shares claim included, which has no line of its own. Booked and open results are profits
    where they are above zero; the open ones are shown and nowhere counted.
    """
    resting = ledger.resting(now_ns)
    net, opening = ledger.available(segment, now_ns), ledger.opening[segment]
    utilised = dict.fromkeys(
        (
            *("exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span"),
            *("holding_sales", "turnover", "liquid_collateral", "stock_collateral", "delivery"),
        ),
        ZERO,
    )
    for position in ledger.book.values():
        if purse_of(position.listed) != segment:
            continue
        last, _ = ledger.last_and_close(position.listed, now_ns)
        sold = position.product == CNC and position.quantity < 0
        worth = position.quantity * last * position.listed.multiplier
        utilised["m2m_realised"] += position.realised
        utilised["m2m_unrealised"] += ZERO if sold else worth - position.cost
        utilised["holding_sales"] += -position.cost if sold else ZERO
        utilised["delivery"] += ledger.withheld(position)
        for lot in position.lots:
            claim = ledger.claims.of(position.listed, position.product, lot.quantity, lot.price)
            _add(utilised, parts_of(position.listed, lot.quantity, lot.price, claim))
    for key, wishes in resting.items():
        if purse_of(wishes[0].listed) == segment:
            claim = ledger.claims.of_orders(ledger.book.get(key), wishes)
            wish = wishes[0]
            _add(utilised, parts_of(wish.listed, wish.quantity, wish.price, claim))
    return {
        "enabled": True,
        "net": rupees(net),
        "available": {
            "adhoc_margin": 0,
            "cash": rupees(opening),
            "opening_balance": rupees(opening),
            "live_balance": rupees(net),
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": rupees(opening - net),
            **{name: rupees(amount) for name, amount in utilised.items()},
        },
    }


def parts_of(listed: Listed, quantity: int, price: Money, claim: Money) -> dict[str, Money]:
    """A claim of a signed quantity by Kite's names: `option_premium` of a bought option, `span` and
    `exposure` of the other derivatives; that of shares (`var`) is left out.
    """
    segment = segment_of(listed.instrument)
    if not segment.derivative:
        return {}
    if segment.option and quantity > 0:
        return {"option_premium": claim}
    value = abs(quantity) * listed.multiplier * (listed.strike if segment.option else price)
    exposure = min(claim, percent_of(EXPOSURE_PERCENT, value))
    return {"span": claim - exposure, "exposure": exposure}


def _add(totals: dict[str, Money], parts: dict[str, Money]) -> None:
    for name, amount in parts.items():
        totals[name] += amount

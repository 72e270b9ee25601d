"""The night between two days: charges are taken, deliveries become holdings, the rest is carried.

Charges are those of the contract note, by the tariff of the day that ended, each order rounded to the paisa.
Shares bought become T1 holdings, T1 becomes settled when a trading day has passed, shares sold leave. What
the broker's own square-off left of intraday positions becomes a delivery or an overnight position (Zerodha's
auto-square-off policy); shares sold short and not bought back are closed out at the last price, as are
contracts that expired. What is carried keeps its cost: the night does not mark it to market in cash.
"""

from datetime import date

from alphapanda.core.market.rms import FEE, RMS
from alphapanda.core.money import to_paisa
from alphapanda.core.segments import Trade, segment_of, trade_of
from alphapanda.events import CNC, MIS, Money, TransactionType
from alphapanda.exchange.account.funds import NRML, SEGMENTS, purse_of
from alphapanda.exchange.account.holdings import share_of
from alphapanda.exchange.account.ledger import Ledger
from alphapanda.exchange.account.positions import Position
from alphapanda.tables import tariff
from alphapanda.times import DAY_NS, date_of, day_of

ZERO = Money(0)


def new_day(ledger: Ledger, now_ns: int) -> None:
    ended_ns = now_ns - DAY_NS
    _take_charges(ledger, date_of(day_of(ended_ns)))
    positions = list(ledger.book.values())
    shares = [one for one in positions if not segment_of(one.listed.instrument).derivative]
    _deliver(ledger, shares, now_ns, traded=ledger.market.hours.trading_day(ended_ns))
    _carry(ledger, [one for one in positions if segment_of(one.listed.instrument).derivative], now_ns)
    for segment in SEGMENTS:
        carried = (one.cost for one in ledger.book.values() if purse_of(one.listed) == segment)
        ledger.opening[segment] = ledger.cash[segment] + sum(carried, ZERO)


def _take_charges(ledger: Ledger, day: date) -> None:
    """Of what each order traded for, with the broker's fee for squaring off; and once a share and day for
    leaving the demat account.
    """
    rates, left = tariff(), set[str]()
    for order in ledger.turnovers.values():
        instrument, segment = order.listed.instrument, segment_of(order.listed.instrument)
        if not rates.knows(instrument.exchange, segment):
            continue
        sheet = rates.sheet(instrument.exchange, segment, order.product, order.side, order.value, day)
        fee = FEE if order.by == RMS else ZERO
        ledger.cash[purse_of(order.listed)] -= to_paisa(sheet.total) + fee
        delivered = trade_of(order.product) is Trade.DELIVERY and not segment.derivative
        if delivered and order.side is TransactionType.SELL and instrument.tradingsymbol not in left:
            left.add(instrument.tradingsymbol)
            ledger.cash[purse_of(order.listed)] -= to_paisa(rates.dp(instrument.exchange, segment, day))
    ledger.turnovers.clear()


def _deliver(ledger: Ledger, positions: list[Position], now_ns: int, *, traded: bool) -> None:
    """Sales leave before T1 shares are settled, and purchases come after."""
    net: dict[str, list[Position]] = {}
    for position in positions:
        if position.quantity < 0 and position.product != CNC:
            _close_out(ledger, position, now_ns)
        elif position.quantity:
            net.setdefault(share_of(position.listed), []).append(position)
    quantities = {share: sum(each.quantity for each in group) for share, group in net.items()}
    for share, group in net.items():
        if quantities[share] < 0:
            ledger.stock.take(group[0].listed).sell(-quantities[share])
    if traded:
        ledger.stock.settle()
    for share, group in net.items():
        if quantities[share] > 0:
            bought = [each for each in group if each.quantity > 0]
            price = sum((each.cost for each in bought), ZERO) / sum(each.quantity for each in bought)
            ledger.stock.take(group[0].listed).buy(quantities[share], price)
    ledger.stock.sweep()


def _carry(ledger: Ledger, positions: list[Position], now_ns: int) -> None:
    """The book of the new day: open contracts at their cost, one product for what stays overnight."""
    ledger.book = {}
    today = date_of(day_of(now_ns))
    for position in positions:
        expiry = position.listed.instrument.expiry
        if expiry is not None and expiry < today:
            _close_out(ledger, position, now_ns)
        elif position.lots:
            product = NRML if position.product == MIS else position.product
            ledger.position(position.listed, product).carry(position.lots)


def _close_out(ledger: Ledger, position: Position, now_ns: int) -> None:
    worth = ledger.market.last_price(position.listed.token, now_ns) * position.listed.multiplier
    ledger.cash[purse_of(position.listed)] += position.quantity * worth

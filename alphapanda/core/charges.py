"""What a fill costs beside its price: a flat percentage, or Zerodha's charges from dated rates.

A `Tariff` answers with exact, unrounded parts. `ZerodhaCharges` rounds: an order that trades in parts is
charged the difference between what it costs after and before each part, both rounded half up to the paisa, so
that the parts add up to the whole. GST is on brokerage, exchange and SEBI charges; the investor protection
fund (IPFT) is outside it, as in Kite's own answers.
"""

from collections.abc import Callable, Iterable
from datetime import date
from enum import StrEnum

from msgspec import Struct

from alphapanda.core.money import percent_of, to_paisa
from alphapanda.core.segments import Segment, Trade, segment_of, trade_of
from alphapanda.events import CNC, Fill, Money, Order, TransactionType
from alphapanda.times import to_ist

Charges = Callable[[Order, Money, int, int], Money]
"""(order, price, quantity, time_ns) -> charges of that fill, in whole paise; the order as it was before it.

Asked again for the same fill it says the same.
"""

ZERO = Money(0)
RESTORED = -1
"""In place of a quantity: no fill to come is this one."""


def flat(commission_percent: Money) -> Charges:
    """commission_percent/100 x price x quantity, rounded half up to the paisa, on every fill."""

    def charge(order: Order, price: Money, quantity: int, time_ns: int) -> Money:  # noqa: ARG001 - the shape of Charges
        return to_paisa(percent_of(commission_percent, price * quantity))

    return charge


class Part(StrEnum):
    BROKERAGE = "brokerage"
    STT = "stt"
    """Securities transaction tax; on commodities CTT."""
    EXCHANGE = "exchange"
    IPFT = "ipft"
    SEBI = "sebi"
    GST = "gst"
    STAMP = "stamp"
    DP = "dp"
    """The depository's, for shares that leave the demat account."""


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table: what one part is from a day on, for what the row names; nothing named is all.

    `percent` of the turnover (of brokerage, exchange and SEBI charges for GST) plus `rupees` an order (a
    symbol and day for DP), and not more than `at_most` rupees.
    """

    part: Part
    effective_from: date
    source: str
    percent: Money = ZERO
    rupees: Money = ZERO
    at_most: Money | None = None
    exchanges: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    trade: Trade | None = None
    side: TransactionType | None = None

    def of(self, amount: Money) -> Money:
        charge = percent_of(self.percent, amount) + self.rupees
        return charge if self.at_most is None else min(charge, self.at_most)

    def fits(self, exchange: str, segment: Segment, trade: Trade, side: TransactionType) -> bool:
        return (
            (not self.exchanges or exchange in self.exchanges)
            and (not self.segments or segment in self.segments)
            and self.trade in (None, trade)
            and self.side in (None, side)
        )


class ChargeSheet(Struct, frozen=True, kw_only=True):
    """What an order costs, in rupees, exact and unrounded; without the DP charge, which is a day's."""

    brokerage: Money
    stt: Money
    exchange: Money
    ipft: Money
    sebi: Money
    gst: Money
    stamp: Money

    @property
    def total(self) -> Money:
        return self.brokerage + self.stt + self.exchange + self.ipft + self.sebi + self.gst + self.stamp


class Tariff:
    """The rates of every day. Before the first row of a part its first row stands in (see `known_from`)."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates = sorted(rates, key=lambda rate: rate.effective_from)
        self._cards: dict[tuple[str, Segment, Trade, TransactionType, date], dict[Part, Rate]] = {}

    def sheet(
        self,
        exchange: str,
        segment: Segment,
        product: str,
        side: TransactionType,
        turnover: Money,
        day: date,
    ) -> ChargeSheet:
        """What one order costs that traded for `turnover` rupees (an option's: its premium) on `day`.

        LookupError for an exchange and segment without rates.
        """
        card = self._card(exchange, segment, product, side, day)

        def charged(part: Part, amount: Money) -> Money:
            rate = card.get(part)
            return ZERO if rate is None else rate.of(amount)

        brokerage = charged(Part.BROKERAGE, turnover)
        traded = charged(Part.EXCHANGE, turnover)
        sebi = charged(Part.SEBI, turnover)
        return ChargeSheet(
            brokerage=brokerage,
            stt=charged(Part.STT, turnover),
            exchange=traded,
            ipft=charged(Part.IPFT, turnover),
            sebi=sebi,
            gst=charged(Part.GST, brokerage + traded + sebi),
            stamp=charged(Part.STAMP, turnover),
        )

    def dp(self, exchange: str, segment: Segment, day: date) -> Money:
        """What the day's first delivery sale of a symbol costs at the depository."""
        rate = self._card(exchange, segment, CNC, TransactionType.SELL, day).get(Part.DP)
        return ZERO if rate is None else rate.of(ZERO)

    def knows(self, exchange: str, segment: Segment) -> bool:
        """Whether a trade there can be charged: the exchange's own part, 0 where it is free, says so."""
        return any(
            rate.part is Part.EXCHANGE and exchange in rate.exchanges and segment in rate.segments
            for rate in self._rates
        )

    def known_from(self, exchange: str, segment: Segment, product: str, side: TransactionType) -> date:
        """The first day on which every part has a rate of its own time."""
        card = self._card(exchange, segment, product, side, date.min)
        return max(rate.effective_from for rate in card.values())

    def _card(
        self, exchange: str, segment: Segment, product: str, side: TransactionType, day: date
    ) -> dict[Part, Rate]:
        trade = trade_of(product)
        key = exchange, segment, trade, side, day
        card = self._cards.get(key)
        if card is None:
            card = {}
            for rate in self._rates:
                if rate.fits(exchange, segment, trade, side) and (
                    rate.effective_from <= day or rate.part not in card
                ):
                    card[rate.part] = rate
            if Part.EXCHANGE not in card:
                raise LookupError(f"there are no charges for {segment} on {exchange}")
            self._cards[key] = card
        return card


class ZerodhaCharges:
    """Charges of one account. `fills` are what it traded before: they say which DP charges are paid.

    Delivery sales pay the DP charge once a symbol and day, with the first fill of that day.
    """

    def __init__(self, tariff: Tariff, fills: Iterable[Fill] = ()) -> None:
        self._tariff = tariff
        self._first: dict[tuple[str, date], tuple[str, int]] = {}
        """(symbol, day) -> the fill that pays: its order and what had traded of it before."""
        for fill in fills:
            if self._leaves_demat(fill):
                key = fill.instrument.tradingsymbol, to_ist(fill.traded_ns).date()
                self._first.setdefault(key, (fill.order_id, RESTORED))

    def __call__(self, order: Order, price: Money, quantity: int, time_ns: int) -> Money:
        day = to_ist(time_ns).date()
        after = self._rounded(order, order.filled_value + price * quantity, day)
        before = self._rounded(order, order.filled_value, day) if order.filled_quantity else ZERO
        return after - before + self._dp(order, day)

    def depository(self, order: Order, time_ns: int) -> Money:
        """What of an order's charges is the DP charge: no contract note has it."""
        day = to_ist(time_ns).date()
        payer, _ = self._first.get((order.instrument.tradingsymbol, day), ("", RESTORED))
        if payer != order.order_id:
            return ZERO
        return to_paisa(self._tariff.dp(order.instrument.exchange, segment_of(order.instrument), day))

    def _leaves_demat(self, traded: Fill | Order) -> bool:
        return (
            traded.transaction_type is TransactionType.SELL
            and trade_of(traded.product) is Trade.DELIVERY
            and not segment_of(traded.instrument).derivative
        )

    def _rounded(self, order: Order, turnover: Money, day: date) -> Money:
        traded = order.instrument
        sheet = self._tariff.sheet(
            traded.exchange, segment_of(traded), order.product, order.transaction_type, turnover, day
        )
        return to_paisa(sheet.total)

    def _dp(self, order: Order, day: date) -> Money:
        symbol, fill = order.instrument.tradingsymbol, (order.order_id, order.filled_quantity)
        if self._leaves_demat(order) and self._first.setdefault((symbol, day), fill) == fill:
            return to_paisa(self._tariff.dp(order.instrument.exchange, segment_of(order.instrument), day))
        return ZERO

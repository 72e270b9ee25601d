"""A trade of the account that no order of ours made, out of the rows of the broker's books."""

from msgspec import Struct

from alphapanda.core.comparison import Key, key_of
from alphapanda.core.market import RMS
from alphapanda.events import Money, TransactionType
from alphapanda.venues.zerodha.book_rows import OrderRow, TradeRow, stamp_ns

EXTERNAL = "external"
"""Who asked for an order that somebody made by hand, or by another program."""
WHY = {
    EXTERNAL: "traded by hand or by another program, not by us",
    RMS: "squared off by the broker",
}


class ExternalTrade(Struct, frozen=True, kw_only=True):
    """A trade of an order that is not ours. `by` is EXTERNAL or RMS; `time_ns` when it traded."""

    order_id: str
    trade_id: str
    exchange: str
    tradingsymbol: str
    product: str
    transaction_type: TransactionType
    quantity: int
    price: Money
    time_ns: int
    by: str = EXTERNAL

    @property
    def key(self) -> Key:
        return key_of(self.exchange, self.tradingsymbol, self.product)


def external_trade(order: OrderRow, row: TradeRow, now_ns: int) -> ExternalTrade | None:
    """None for a row that makes no sense: the comparison of positions will show what it was."""
    side = row.transaction_type or order.transaction_type
    if row.quantity <= 0 or side not in TransactionType.__members__:
        return None
    return ExternalTrade(
        order_id=row.order_id,
        trade_id=row.trade_id,
        exchange=row.exchange or order.exchange,
        tradingsymbol=row.tradingsymbol or order.tradingsymbol,
        product=row.product or order.product,
        transaction_type=TransactionType(side),
        quantity=row.quantity,
        price=row.price,
        time_ns=stamp_ns(row.fill_timestamp or row.exchange_timestamp, now_ns),
        by=RMS if RMS in (order.placed_by or "").lower() else EXTERNAL,
    )

"""An account in the real market of the exchange, and small makers of what it books and judges."""

from itertools import count

from alphapanda.events import Instrument, Money, OrderType, TransactionType
from alphapanda.exchange.account import Account
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import Options
from alphapanda.exchange.order import Order, Trade

BUY, SELL = TransactionType.BUY, TransactionType.SELL
MARKET = open_market(Options())
"""Its time does not move: all these tests are of one moment, and of nights after it."""
NOW = MARKET.starts_ns
DAY_NS = 86_400_000_000_000
SIX = 20 * 3_600_000_000_000 + 45 * 60_000_000_000
"""From 09:15 to the next 06:00."""
ITC, TATASTEEL = MARKET.listing.by_key("NSE:ITC"), MARKET.listing.by_key("NSE:TATASTEEL")
INFY, BSE_ITC = MARKET.listing.by_key("NSE:INFY"), MARKET.listing.by_key("BSE:ITC")

DOLLAR = Listed(Instrument(1025283, "CDS", "USDINR26APRFUT"), 4005, "CDS-FUT", Money("84.1"), multiplier=1000)
GOLD = Listed(Instrument(58424839, "MCX", "GOLDPETAL26APRFUT"), 228222, "MCX-FUT", Money(9500))
FUTURE = Listed(
    Instrument(13568258, "NFO", "NIFTY26APRFUT", lot_size=65, instrument_type="FUT"),
    53001,
    "NFO-FUT",
    Money(24000),
)
CALL = Listed(
    Instrument(13568514, "NFO", "NIFTY26APR24000CE", lot_size=65, instrument_type="CE"),
    53002,
    "NFO-OPT",
    Money(200),
    strike=Money(24000),
)
CARRIED = next(listed.key for listed in MARKET.listing.all() if listed.segment == "NFO-FUT")
"""A future that the market lists."""
_numbers = count(1)


def account(cash=1_000_000, **options):
    return Account(Options(cash=Money(cash), **options), MARKET)


def trade(listed, side, quantity, price, product="CNC", *, at=NOW, order_id=None, by="api"):
    """An execution of an order of its own, unless one is named."""
    number = next(_numbers)
    return Trade(
        trade_id=str(10_000_000 + number),
        order_id=order_id or str(number),
        exchange_order_id=str(number),
        listed=listed,
        transaction_type=side,
        product=product,
        quantity=quantity,
        price=Money(str(price)),
        traded_ns=at,
        order_ns=at,
        by=by,
    )


def order(listed, side, quantity, price, product="CNC"):
    """A limit order that has not traded."""
    return Order(
        order_id=str(next(_numbers)),
        listed=listed,
        variety="regular",
        transaction_type=side,
        order_type=OrderType.LIMIT,
        product=product,
        quantity=quantity,
        order_ns=NOW,
        price=Money(str(price)),
    )


def rest(account, orders):
    """These orders, now and whatever the list will have later, are open."""

    def groups():
        found = {}
        for each in orders:
            found.setdefault(each.position_key, []).append(each)
        return found

    account.ledger.open_groups = groups


def net(account, listed, product, now_ns=NOW):
    """The row of `net`, or None."""
    rows = account.positions(now_ns)["net"]
    key = listed.instrument.exchange, listed.instrument.tradingsymbol, product
    found = [row for row in rows if (row["exchange"], row["tradingsymbol"], row["product"]) == key]
    assert len(found) <= 1
    return found[0] if found else None


def holding(account, listed, now_ns=NOW):
    rows = [row for row in account.holdings(now_ns) if row["isin"] == listed.isin]
    assert len(rows) <= 1
    return rows[0] if rows else None


def left(account, now_ns=NOW, segment="equity"):
    """What is available, to the paisa."""
    return account.margins(now_ns)[segment]["net"]

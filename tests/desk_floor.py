"""An order desk on books that the test writes: the real desk, account, hours and schedule."""

from datetime import date, datetime

import msgspec
import pytest

from alphapanda.core.money import exact
from alphapanda.events import Instrument, Money
from alphapanda.exchange.account import Account
from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.history import History
from alphapanda.exchange.listing import Listed, Listing
from alphapanda.exchange.market.hours import Hours
from alphapanda.exchange.market.quote import Quote
from alphapanda.exchange.options import Options
from alphapanda.exchange.orders import Desk
from alphapanda.exchange.orders.rows import update_row
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS, to_ns

DAY = date(2026, 4, 15)


def listed(token, key, *, tick="0.05", lot=1, kind="EQ", segment="NSE", name="", expiry=None, multiplier=1):
    exchange, symbol = key.split(":")
    instrument = Instrument(token, exchange, symbol, Money(tick), lot, kind, name, expiry)
    return Listed(
        instrument=instrument,
        exchange_token=token >> 8,
        segment=segment,
        close=Money(100),
        multiplier=multiplier,
    )


SHARE = listed(408065, "NSE:INFY")
OTHER = listed(2953217, "NSE:TCS")
DELIVERED = listed(1793, "NSE:AARTI-BE")
FUTURE = listed(
    *(256 * 60000 + 2, "NFO:NIFTY26APRFUT"),
    tick="0.10",
    lot=65,
    kind="FUT",
    segment="NFO-FUT",
    name="NIFTY",
    expiry=date(2026, 4, 28),
)
CALL = listed(
    *(256 * 60001 + 2, "NFO:NIFTY26APR24000CE"),
    lot=65,
    kind="CE",
    segment="NFO-OPT",
    name="NIFTY",
    expiry=date(2026, 4, 28),
)
COPPER = listed(
    *(256 * 60002 + 7, "MCX:COPPER26APRFUT"),
    lot=2500,
    kind="FUT",
    segment="MCX-FUT",
    name="COPPER",
    multiplier=2500,
    expiry=date(2026, 4, 30),
)
EXPIRING = listed(
    *(256 * 60003 + 2, "NFO:NIFTY2641524000CE"),
    lot=65,
    kind="CE",
    segment="NFO-OPT",
    name="NIFTY",
    expiry=DAY,
)
INDEX = listed(256265, "NSE:NIFTY 50", segment="INDICES")
LISTED = (SHARE, OTHER, DELIVERED, FUTURE, CALL, COPPER, EXPIRING, INDEX)


def at(clock):
    """Nanoseconds of HH:MM:SS on the day."""
    return to_ns(datetime.fromisoformat(f"{DAY} {clock}"))


class Books:
    """A market whose order books are what the test last set; its listing and its hours are real."""

    def __init__(self):
        self.listing = Listing(LISTED)
        self.hours = Hours()
        self.starts_ns = at("09:15:00")
        self.quotes = {each.token: Quote(token=each.token, divisor=100) for each in LISTED}
        self.circuits = {}

    def quote(self, token, now_ns):
        return self.quotes[token]

    def last_price(self, token, now_ns):
        return self.quotes[token].money(self.quotes[token].last)

    def circuit(self, token, now_ns):
        last = self.last_price(token, now_ns)
        return self.circuits.get(token, (last * Money("0.8"), last * Money("1.2")))


class Floor:
    """The desk in exchange time: `pass_` lets seconds go by, `show` sets a book and tells the desk."""

    def __init__(self, *, cash=10_000_000, seed=7, now="10:00:00", **options):
        self.market = Books()
        self.clock = Clock(at(now))
        self.schedule = Schedule()
        self.history = History(lambda: 0)
        self.account = Account(Options(cash=Money(cash), seed=seed, **options), self.market)
        self.desk = Desk(self.market, self.account, self.schedule, self.history, self.clock, seed)
        self.account.ledger.open_groups = self.desk.open_groups
        self.updates = []
        self.desk.on_update.append(lambda order, now_ns: self.updates.append(update_row(order)))
        self.now_ns = at(now)
        for each in LISTED:
            self.show(each)

    def show(self, what=SHARE, *, last=100.0, bids=((1000, 99.95),), asks=((1000, 100.05),)):
        quote = self.market.quotes[what.token]
        quote.last = units(last)
        quote.bids = [(quantity, units(price), 1) for quantity, price in bids]
        quote.asks = [(quantity, units(price), 1) for quantity, price in asks]
        self.desk.on_quotes([what.token], self.now_ns)

    def pass_(self, seconds=1.0):
        self.until(self.now_ns + int(seconds * SECOND_NS))

    def until(self, time_ns):
        while (due := self.schedule.next_ns) is not None and due <= time_ns:
            self.clock.moved(due)
            self.now_ns = due
            self.schedule.run(due)
        self.now_ns = time_ns
        self.clock.moved(time_ns)

    def send(
        self, what=SHARE, side="BUY", quantity=1, *, variety="regular", by="api", effects=None, **fields
    ):
        """The answer to placing; a LIMIT of CNC or NRML unless told otherwise."""
        exchange, symbol = what.key.split(":")
        product = "CNC" if what.segment == "NSE" else "NRML"
        form = {
            "exchange": exchange,
            "tradingsymbol": symbol,
            "transaction_type": side,
            "quantity": quantity,
            "product": product,
            "order_type": "LIMIT" if "price" in fields else "MARKET",
            "variety": variety,
        } | fields
        texts = {name: str(value) for name, value in form.items() if value is not None}
        more = {} if effects is None else {"effects": effects}
        return self.desk.place(variety, texts, self.now_ns, by=by, **more)

    def place(self, *words, **fields):
        """The order's number, its way to the exchange behind it."""
        order_id = self.send(*words, **fields)["order_id"]
        self.pass_(0.2)
        return order_id

    def modify(self, order_id, *, wait=0.2, **fields):
        texts = {name: str(value) for name, value in fields.items()}
        self.desk.modify("regular", order_id, texts, self.now_ns)
        self.pass_(wait)

    def cancel(self, order_id, *, wait=0.2):
        self.desk.cancel("regular", order_id, self.now_ns)
        self.pass_(wait)

    def row(self, order_id):
        return next(row for row in self.desk.book(self.now_ns) if row["order_id"] == order_id)

    def statuses(self, order_id):
        return [row["status"] for row in self.desk.order_history(order_id, self.now_ns)]

    def trades(self, order_id=None):
        return self.desk.trades(self.now_ns, order_id)

    def told(self, order_id):
        return [row["status"] for row in self.updates if row["order_id"] == order_id]

    def lines(self, *kinds):
        return [msgspec.json.decode(line) for line in self.history.lines(kinds=frozenset(kinds))]

    def rejected(self, *words, **fields):
        """What the REJECTED row of such an order says."""
        row = self.row(self.place(*words, **fields))
        assert row["status"] == "REJECTED"
        return row["status_message"]


def units(price):
    return int(exact(price) * 100)


def refusal(call, *words, **fields):
    """(code, error type, message) of a call that is refused."""
    with pytest.raises(Refusal) as refused:
        call(*words, **fields)
    return refused.value.code, refused.value.error_type, refused.value.message

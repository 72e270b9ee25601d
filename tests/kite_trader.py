"""A trader's program against the exchange: the official client as it is, and a hand on the clock."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import requests
from exchange_server import exchange_server
from kiteconnect import KiteConnect

KEY, SECRET, USER = "rehearsal", "rehearsal-secret", "RH0001"
PATIENCE_S = 60
"""How long the client waits for an answer: machines are shared."""
STEP_S = 0.25
"""The clock of these exchanges stands until somebody steps it: nothing happens while a test looks away."""

SHARE, DEAR, INDEX = "NSE:INFY", "NSE:TCS", "NSE:NIFTY 50"


class Trader:
    """`kite` is the official client; `reply` its last answer as it came, before the client touched it."""

    def __init__(self, url: str, access_token: str | None = None) -> None:
        self.url = url
        self.kite = KiteConnect(KEY, access_token, root=url, timeout=PATIENCE_S)
        self.kite.reqsession.hooks["response"].append(self._keep)
        self.owner = requests.Session()
        self.reply = None

    def _keep(self, reply, *_args, **_options):
        self.reply = reply

    def close(self):
        self.kite.reqsession.close()
        self.owner.close()

    @property
    def data(self):
        """What the envelope of the last answer held; its `status` was "success"."""
        envelope = self.reply.json()
        assert envelope["status"] == "success", envelope
        return envelope["data"]

    # the login

    def log_in(self):
        """As a user does: the login page in a browser, and the request token from where it redirects to."""
        return self.kite.generate_session(self.request_token(), SECRET)

    def request_token(self, **query):
        """`query` goes to the login page beside what `login_url` has."""
        where = urlsplit(self.kite.login_url())
        page = self.owner.get(
            f"{self.url}{where.path}?{where.query}", params=query, allow_redirects=False, timeout=PATIENCE_S
        )
        assert page.status_code in (302, 303), page.text
        self.landed = {
            name: values[0] for name, values in parse_qs(urlsplit(page.headers["location"]).query).items()
        }
        return self.landed["request_token"]

    # the admin door

    def admin(self, path, document=None):
        """GET, or POST of a JSON document; the JSON that is answered."""
        where = f"{self.url}/admin/{path}"
        if document is None:
            reply = self.owner.get(where, timeout=PATIENCE_S)
        else:
            reply = self.owner.post(where, json=document, timeout=PATIENCE_S)
        assert reply.status_code == requests.codes.ok, reply.text
        return reply.json()

    def step(self, seconds=STEP_S):
        self.admin("clock", {"step": seconds})

    def clock(self):
        return self.admin("clock")

    def history(self, *kinds, after=0):
        """The lines that the exchange wrote, of these kinds where any are named."""
        asked = {"after": after} | ({"kind": ",".join(kinds)} if kinds else {})
        text = self.owner.get(f"{self.url}/admin/history", params=asked, timeout=PATIENCE_S).text
        return [json.loads(line) for line in text.splitlines()]

    # orders

    def place(self, key, side="BUY", quantity=1, order_type="MARKET", **fields):
        """An order for `EXCHANGE:SYMBOL`: regular, CNC, at market, unless `fields` say so."""
        exchange, symbol = key.split(":")
        fields = {"variety": "regular", "product": "CNC"} | fields
        if order_type in ("MARKET", "SL-M"):
            fields.setdefault("market_protection", -1)
        return self.kite.place_order(
            exchange=exchange,
            tradingsymbol=symbol,
            transaction_type=side,
            quantity=quantity,
            order_type=order_type,
            **fields,
        )

    def row(self, order_id):
        """The order's row of the book as it came on the wire; None while the book does not show it."""
        self.kite.orders()
        return next((row for row in self.data if row["order_id"] == order_id), None)

    def until(self, order_id, *statuses, within_s=60.0):
        """The order's row once its status is one of these, however often the clock must step."""
        passed = 0.0
        while (row := self.row(order_id)) is None or row["status"] not in statuses:
            assert passed < within_s, (statuses, row)
            self.step()
            passed += STEP_S
        return row

    def filled(self, key, side="BUY", quantity=1, **fields):
        """The row of a market order that has traded whole."""
        return self.until(self.place(key, side, quantity, **fields), "COMPLETE")

    def in_parts(self, key, quantity, pieces=4, **fields):
        """The row of a marketable order that has traded in part: one of so many pieces each tick."""
        self.admin(
            "faults", {"fault": [{"on": "order.place", "do": "partial_fills", "pieces": pieces, "nth": 1}]}
        )
        price = self.price(key, 1.01)
        order_id = self.place(key, quantity=quantity, order_type="LIMIT", price=price, **fields)
        return self.until(order_id, "OPEN")

    def price(self, key, part=1.0, tick=None):
        """So much of the last price, on the instrument's tick."""
        last = Decimal(str(self.kite.ltp(key)[key]["last_price"]))
        tick = Decimal(str(tick or self.listed(key)["tick_size"]))
        return float(last * Decimal(str(part)) // tick * tick)

    def listed(self, key):
        """The instrument's row of the list."""
        exchange, symbol = key.split(":")
        (row,) = (row for row in self.every(exchange) if row["tradingsymbol"] == symbol)
        return row

    def every(self, exchange):
        """All that an exchange lists; asked once."""
        lists = self.__dict__.setdefault("_lists", {})
        if exchange not in lists:
            lists[exchange] = self.kite.instruments(exchange)
        return lists[exchange]

    def first(self, exchange, *types):
        """The first instrument of one of these types that can be traded, by key."""
        rows = (row for row in self.every(exchange) if row["segment"] != "INDICES")
        row = next(row for row in rows if row["instrument_type"] in types)
        return f"{exchange}:{row['tradingsymbol']}"


@contextmanager
def trading(folder, *words: object, limits: bool = False, login: bool = True) -> Iterator[Trader]:
    """A trader on an exchange of their own, whose clock stands; with `limits` it counts requests as Kite."""
    unlimited = () if limits else ("--no-rate-limits",)
    with exchange_server(folder, "--paused", *unlimited, *words) as server:
        trader = Trader(server.url)
        try:
            if login:
                trader.log_in()
            yield trader
        finally:
            trader.close()

"""The server side of the ticker with its real parts and no socket: clients come, say things, time goes on."""

import json

from alphapanda.events import OrderType, TransactionType
from alphapanda.exchange.clock import Clock
from alphapanda.exchange.faults import Faults, Hands, Script, read_script
from alphapanda.exchange.history import History
from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import API_KEY, Options
from alphapanda.exchange.order import Order, Status
from alphapanda.exchange.schedule import Schedule
from alphapanda.exchange.sessions import Sessions
from alphapanda.exchange.stream import Stream
from alphapanda.kite.decode import Decoder
from alphapanda.kite.layout import is_index
from alphapanda.times import SECOND_NS

TOKEN = "token-of-today"


class Ticker:
    """`faults` is a fault script. Time stands until `run`."""

    def __init__(self, faults="", market=None, **options):
        options = Options(access_token=TOKEN, **options)
        self.market = market or open_market(options)
        self.now_ns = self.market.starts_ns
        self.clock, self.schedule = Clock(self.now_ns), Schedule()
        self.history = History(lambda: 0)
        script = read_script(faults, "test") if faults else Script()
        self.faults = Faults(script, 1, self.history, self.clock)
        self.sessions = Sessions(options, self.history)
        self.stream = Stream(self.market, self.sessions, self.history, self.faults, self.clock, self.schedule)
        self.faults.begin(
            Hands(
                schedule=self.schedule,
                order=lambda _order_id: None,
                kill=self.stream.kill,
                by_hand=lambda _fields, _now_ns: None,
                square_off=lambda _now_ns: None,
                strike=self.stream.strike,
                in_reach=lambda _fault: True,
            )
        )
        self.schedule.at(self.now_ns, self._step)

    def tokens(self, count, *, indices=False):
        """The first so many that are traded, or of the indices."""
        found = [each.token for each in self.market.listing.all() if is_index(each.token) == indices]
        assert len(found) >= count
        return found[:count]

    def connect(self, key=API_KEY, token=TOKEN, greeting=False):
        connection = self.stream.connect(key, token, self.now_ns)
        if not greeting:
            connection.outbox.clear()
        return connection

    def say(self, connection, action, value):
        self.stream.receive(connection, json.dumps({"a": action, "v": value}), self.now_ns)

    def subscribe(self, connection, tokens, mode=None):
        """And what came of it is thrown away."""
        self.say(connection, "subscribe", tokens)
        if mode:
            self.say(connection, "mode", [mode, tokens])
        connection.outbox.clear()

    def run(self, seconds):
        """Exchange time goes on. Ticks are those of the market itself."""
        until_ns = self.now_ns + int(seconds * SECOND_NS)
        while (due := self.schedule.next_ns) is not None and due <= until_ns:
            self.now_ns = due
            self.clock.moved(due)
            self.schedule.run(due)
        self.now_ns = until_ns
        self.clock.moved(until_ns)

    def lines(self, kind):
        return [json.loads(line) for line in self.history.lines(kinds=frozenset({kind}))]

    def _step(self, now_ns):
        moved = self.market.step(now_ns, self.stream.tokens())
        if moved:
            self.stream.on_quotes(moved, now_ns)
        self.schedule.at(self.market.next_step_ns(now_ns), self._step)


def order(ticker, number=1):
    """An order as far as the ticker looks at it."""
    return Order(
        order_id=str(number),
        listed=next(each for each in ticker.market.listing.all() if each.tradable),
        variety="regular",
        transaction_type=TransactionType.BUY,
        order_type=OrderType.LIMIT,
        product="MIS",
        quantity=1,
        order_ns=ticker.now_ns,
        status=Status.COMPLETE,
    )


def taken(connection):
    """All that waits on a connection, oldest first; then nothing waits."""
    items = list(connection.outbox)
    connection.outbox.clear()
    return items


def texts(connection):
    return [json.loads(item) for item in taken(connection) if isinstance(item, str)]


def updates(connection):
    """The orders of which updates wait."""
    return [int(text["data"]["order_id"]) for text in texts(connection) if text["type"] == "order"]


def errors(connection):
    return [text["data"] for text in texts(connection) if text["type"] == "error"]


def packets(frame):
    """The packets of a frame, taken apart by hand."""
    found, at = [], 2
    for _ in range(int.from_bytes(frame[:2], "big")):
        length = int.from_bytes(frame[at : at + 2], "big")
        found.append(frame[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(frame)
    return found


def token_of(packet):
    return int.from_bytes(packet[:4], "big")


def shown(connection):
    """Token -> bytes of its packet, for each frame that waits; texts are passed over."""
    return [
        {token_of(packet): len(packet) for packet in packets(item)}
        for item in taken(connection)
        if isinstance(item, bytes)
    ]


def decoded(frame):
    return Decoder().decode(frame)

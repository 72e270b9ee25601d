"""The Zerodha broker in this process against the installed exchange: its reports drive a real engine.

The judge is the exchange's own history: at most one order a tag, every fault fired, and at the end our orders
and fills are the exchange's, to the paisa.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
from builders import BUY, LIMIT, MARKET, order, signal
from exchange_server import ExchangeServer
from msgspec.structs import replace

from alphapanda.core.charges import flat
from alphapanda.core.execution import TradingEngine
from alphapanda.events import (
    Approved,
    CancelOrder,
    CancelResting,
    Instrument,
    Money,
    Order,
    OrderFilled,
    OrderStatus,
    Report,
    ReportKind,
)
from alphapanda.venues.zerodha.book_rows import stamp_ns
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.broker import ZerodhaBroker
from alphapanda.venues.zerodha.calls import Calls
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.governor import Governor, Limits
from alphapanda.venues.zerodha.reconciliation import Reconciliation
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

S, K = OrderStatus, ReportKind
KEY, SECRET, TOKEN = "rehearsal", "rehearsal-secret", "today"
PATIENCE_S = 30.0
POLL_S = 0.02
WIDE = Limits(orders_second=500, orders_minute=10_000, quote=100, other=500)
"""For exchanges without limits: nothing waits for its turn."""
CHARGES = flat(Money("0.1"))
NUMBERS = count(1)
"""Of orders: tags are unique in this process, whatever exchange they go to."""
ENDED = {"COMPLETE": S.FILLED, "CANCELLED": S.CANCELLED, "REJECTED": S.REJECTED}


def log_in(server: ExchangeServer) -> str:
    """A new access token, as a browser and the official client get one; older ones die."""
    connection = server.connection()
    try:
        connection.request("GET", f"/connect/login?v=3&api_key={KEY}")
        reply = connection.getresponse()
        reply.read()
        (request_token,) = parse_qs(urlsplit(reply.headers["Location"]).query)["request_token"]
        checksum = hashlib.sha256(f"{KEY}{request_token}{SECRET}".encode()).hexdigest()
        form = urlencode({"api_key": KEY, "request_token": request_token, "checksum": checksum})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Kite-Version": "3"}
        connection.request("POST", "/session/token", form, headers)
        answer = connection.getresponse().read()
    finally:
        connection.close()
    return answer.decode().split('"access_token":"')[1].split('"')[0]


class Desk:
    """One run of the broker. `orders` and `fills` are the journal's, as a restart finds them."""

    def __init__(
        self,
        server: ExchangeServer,
        *,
        token: str = TOKEN,
        journal: "Desk | None" = None,
        quiet_period_s: float = 0.6,
        timeout_s: float = 7.0,
        limits: Limits = WIDE,
        start_s: float = PATIENCE_S,
    ) -> None:
        self.server = server
        self.reports: list[Report] = []
        self.mine = list(journal.mine) if journal else []
        self.fills = list(journal.fills) if journal else []
        orders = [journal.order(order_id) for order_id in self.mine] if journal else []
        self.engine = TradingEngine(orders, [(fill.broker, fill.trade_id) for fill in self.fills])
        self.held: dict[str, str] = {}
        self.lets = True
        self.session = Session(KEY, token)
        self.governor = Governor(limits)
        roots = roots_at(server.url)
        self.books = Books(roots, self.session, Calls(self.governor))
        self.clock = MarketClock(time.monotonic_ns)
        self.reconciliation = Reconciliation(
            ZerodhaBroker.name, CHARGES, quiet_period_s=quiet_period_s, orders=orders, fills=self.fills
        )
        self.broker = ZerodhaBroker(
            reconciliation=self.reconciliation,
            roots=roots,
            session=self.session,
            books=self.books,
            governor=self.governor,
            clock=self.clock,
            hold=self.held.__setitem__,
            release=self.held.__delitem__,
            timeout_s=timeout_s,
            start_s=start_s,
        )
        self.broker.attach(self.report, lambda _order: self.lets and not self.held.get(""))

    def report(self, news: Any) -> None:
        """As the line does; an impossible report raises."""
        self.reports.append(news)
        for output in self.engine.on(news):
            if isinstance(output, OrderFilled):
                self.fills.append(output.fill)

    def order(self, order_id: str) -> Order:
        return self.engine.order(order_id)

    def kinds(self, order_id: str) -> list[ReportKind]:
        return [report.kind for report in self.reports if report.order_id == order_id]

    # what the line does

    async def place(
        self, key: str = "NSE:INFY", side=BUY, quantity: int = 10, part: float | None = None, **fields
    ):
        """A market order; with `part` a limit order at so much of the last price. Its id."""
        quote = (await self.books.quote([key]))[key]
        exchange, symbol = key.split(":")
        price = None
        if part is not None:
            price = Decimal(round(quote.last_price * part))
        made = order(
            side,
            quantity,
            next(NUMBERS),
            broker="zerodha",
            instrument=Instrument(quote.instrument_token, exchange, symbol),
            product="MIS",
            **{"order_type": MARKET if price is None else LIMIT, "price": price} | fields,
        )
        made = replace(
            made,
            tag=f"desk{made.sequence:08d}",
            created_ns=self.clock.now_ns() or stamp_ns(quote.timestamp, 0),
        )
        self.mine.append(made.order_id)
        self.engine.on(Approved(made, signal()))
        self.engine.on(Report(order_id=made.order_id, kind=K.SENT, time_ns=made.created_ns))
        self.broker.place(made)
        return made.order_id

    def cancel(self, order_id: str) -> None:
        for output in self.engine.on(CancelResting(self.order(order_id), "the test wants it back")):
            assert isinstance(output, CancelOrder)
            self.broker.cancel(output.order)

    # waiting for facts

    async def until(self, fact: Callable[[], Any], what: str = "") -> Any:
        try:
            with anyio.fail_after(PATIENCE_S):
                while not (found := fact()):  # noqa: ASYNC110 - facts of another process have no event
                    await anyio.sleep(POLL_S)
        except TimeoutError:
            states = {order_id: str(self.order(order_id).status) for order_id in self.mine}
            raise AssertionError((what, states, self.broker.summary())) from None
        return found

    async def becomes(self, order_id: str, *statuses: OrderStatus) -> Order:
        """Meanwhile the books are read at once, as updates of a ticker make the broker do."""

        def there() -> bool:
            if self.order(order_id).status not in statuses:
                self.broker.wake()
                return False
            return True

        await self.until(there, f"{order_id} -> {statuses}")
        return self.order(order_id)

    async def refreshed(self) -> None:
        """A book that is asked for now has been applied."""
        await self.broker.refresh()

    async def settled(self) -> None:
        """Every order of ours has ended."""
        await self.until(lambda: not self.engine.open_orders(), "settled")

    # the judge

    def strike(self, *faults: dict[str, Any]) -> None:
        """The only faults from now on."""
        self.server.admin("faults", {"clear": True, "fault": list(faults)})

    def fired(self, do: str, since: int = 0) -> int:
        return sum(line["do"] == do for line in self.server.history("fault", after=since))

    def theirs(self) -> dict[str, dict[str, Any]]:
        """The newest row of the exchange for each of our tags; none of which it may have twice."""
        rows: dict[str, dict[str, Any]] = {}
        ids: dict[str, set[str]] = {}
        for line in self.server.history("order"):
            rows[line["tag"]] = line
            ids.setdefault(line["tag"], set()).add(line["order_id"])
        twice = {tag: each for tag, each in ids.items() if tag is not None and len(each) > 1}
        assert not twice, twice
        return rows

    def requests(self, call: str, order_id: str) -> int:
        """How many such order requests the exchange handled for one of our orders."""
        ours = self.order(order_id)
        return sum(
            line["call"] == call
            and (line["fields"].get("tag") == ours.tag or str(ours.broker_order_id) in line["path"])
            for line in self.server.history("request")
        )

    def judge(self) -> None:
        """Our orders and fills are the exchange's."""
        rows = self.theirs()
        traded = self.server.history("trade")
        for order_id in self.mine:
            ours = self.order(order_id)
            row = rows.get(ours.tag)
            if row is None:
                assert ours.status in (S.NOT_FOUND, S.REJECTED, S.WITHHELD), ours
                continue
            lives = S.PARTIAL if row["filled_quantity"] else S.OPEN
            assert ours.status is ENDED.get(row["status"], lives), (ours, row)
            assert ours.broker_order_id == row["order_id"]
            assert ours.filled_quantity == row["filled_quantity"]
            their_fills = sorted(
                (
                    t["trade_id"],
                    t["quantity"],
                    Decimal(str(t["average_price"])),
                    stamp_ns(t["fill_timestamp"], 0),
                )
                for t in traded
                if t["order_id"] == row["order_id"]
            )
            our_fills = [fill for fill in self.fills if fill.order_id == order_id]
            assert sorted((f.trade_id, f.quantity, f.price, f.traded_ns) for f in our_fills) == their_fills
            for fill in our_fills:
                assert fill.charges == CHARGES(ours, fill.price, fill.quantity, fill.traded_ns)


@asynccontextmanager
async def open_desk(server: ExchangeServer, **options: Any):
    """A desk whose broker runs, its first reading done."""
    server.admin("faults", {"clear": True, "fault": options.pop("faults", [])})
    desk = Desk(server, **options)
    try:
        async with anyio.create_task_group() as group:
            await group.start(desk.broker.run)
            yield desk
            held = dict(desk.held)
            group.cancel_scope.cancel()
        desk.held = held  # as it was before it stopped: then all is held
    finally:
        await desk.books.close()


def on_desk(server: ExchangeServer, act: Callable[[Desk], Awaitable[None]], **options: Any) -> Desk:
    """`act` on a desk of its own, and then the judgement."""
    kept: list[Desk] = []

    async def run() -> None:
        async with open_desk(server, **options) as desk:
            kept.append(desk)
            await act(desk)

    anyio.run(run)
    kept[0].judge()
    return kept[0]

"""Charges of ended orders beside the exchange's contract note: asked once, stored exact, and told."""

import asyncio

import pytest
from builders import BUY, INFY, SELL, TEN_NS, fill, order
from comparing_desk import BROKER, at_desk
from kite_trader import DEAR, SHARE, trading
from msgspec.structs import replace

from alphapanda.core.charges import ZerodhaCharges
from alphapanda.core.market import FEE, RMS
from alphapanda.core.money import to_paisa
from alphapanda.errors import Transient
from alphapanda.events import ChargesCompared, Money, OrderStatus, Report, ReportKind
from alphapanda.tables import tariff
from alphapanda.times import DAY_NS
from alphapanda.venues.zerodha.charging import MOST_ROWS, Charging, beside_of
from alphapanda.venues.zerodha.official import Charged, Refused

K = ReportKind
NONE = dict.fromkeys(
    ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty", "gst"),
    Money(0),
)


class Kite:
    """Answers each row with this total; `asked` are the lists it was asked about."""

    def __init__(self, total="10.00", error=None):
        self.total = Money(total)
        self.error = error
        self.asked = []

    async def __call__(self, rows):
        self.asked.append(list(rows))
        if self.error is not None:
            raise self.error
        return [
            Charged(
                exchange=row["exchange"], tradingsymbol=row["tradingsymbol"], quantity=row["quantity"],
                transaction_type=row["transaction_type"], total=self.total, **NONE,
            )
            for row in rows
        ]  # fmt: skip


def charging(kite, published, *, now_ns=TEN_NS, **options):
    return Charging(kite, broker=BROKER, publish=published.append, now_ns=lambda: now_ns, **options)


def traded(number=1, quantity=10, of=10, charges="10.00", status=OrderStatus.FILLED, **fields):
    """An order after a fill of it, and the report."""
    made = order(BUY, of, number, broker=BROKER, broker_order_id=f"B{number}", status=status, **fields)
    ids = {"order_id": made.order_id, "broker_order_id": f"B{number}", "trade_id": f"{number}"}
    amounts = {"quantity": quantity, "price": Money(100), "charges": Money(charges)}
    report = Report(kind=K.FILL, time_ns=TEN_NS, **ids, **amounts)
    return made, report


def test_an_order_is_asked_about_once_when_it_has_ended():
    kite, published = Kite(), []
    one = charging(kite, published)
    one.on_report(*traded(quantity=4, charges="4.00", status=OrderStatus.PARTIAL))
    asyncio.run(one.compare())
    assert not kite.asked
    one.on_report(*traded(quantity=6, charges="6.01"))
    for _ in range(2):
        asyncio.run(one.compare())
    ((row,),) = kite.asked
    assert (row["order_id"], row["quantity"], row["average_price"]) == ("B1", 10, 100.0)
    (compared,) = published
    assert (compared.ours, compared.theirs, compared.difference) == (Money("10.01"), Money(10), Money("0.01"))


def test_a_cancelled_order_is_asked_about_with_what_it_traded():
    kite, published = Kite(), []
    one = charging(kite, published)
    made, report = traded(quantity=4, status=OrderStatus.PARTIAL)
    one.on_report(made, report)
    cancelled = replace(made, status=OrderStatus.CANCELLED)
    one.on_report(cancelled, replace(report, kind=K.CANCELLED, quantity=0))
    untraded = replace(cancelled, order_id="other", broker_order_id="B2")
    one.on_report(untraded, replace(report, kind=K.CANCELLED, broker_order_id="B2", quantity=0))
    asyncio.run(one.compare())
    assert [row["quantity"] for row in kite.asked[0]] == [4]


def test_the_end_of_the_day_asks_about_what_has_not_ended():
    kite, published = Kite(), []
    one = charging(kite, published)
    one.on_report(*traded(quantity=4, status=OrderStatus.PARTIAL))
    one.on_report(*traded(2, by="external"))
    asyncio.run(one.compare())
    assert not kite.asked
    asyncio.run(one.compare(end_of_day=True))
    assert [row["order_id"] for row in kite.asked[0]] == ["B1", "B2"]


def test_a_restart_asks_about_todays_orders_that_were_not_compared():
    kite, published = Kite(), []
    orders = [traded(number)[0] for number in (1, 2, 3)]
    fills = [
        fill(BUY, 10, trade=number, broker=BROKER, order_id=each.order_id)
        for number, each in enumerate(orders)
    ]
    fills[2] = replace(fills[2], traded_ns=TEN_NS - DAY_NS)
    one = charging(kite, published, known={"B1"}, orders=orders, fills=fills)
    asyncio.run(one.compare())
    assert [row["order_id"] for row in kite.asked[0]] == ["B2"]


def test_what_is_of_an_earlier_day_is_forgotten():
    kite, moment = Kite(), [TEN_NS]
    one = Charging(kite, broker=BROKER, publish=lambda _: None, now_ns=lambda: moment[0])
    one.on_report(*traded(1))
    asyncio.run(one.compare())
    assert len(one._bills) == 1
    moment[0] += DAY_NS
    asyncio.run(one.compare(end_of_day=True))
    assert not one._bills
    assert len(kite.asked) == 1


def test_a_list_that_kite_cannot_answer_is_asked_again():
    kite, published = Kite(error=Transient("down")), []
    one = charging(kite, published)
    one.on_report(*traded())
    asyncio.run(one.compare())
    kite.error = None
    asyncio.run(one.compare())
    assert len(kite.asked) == 2
    assert len(published) == 1


def test_an_order_that_kite_refuses_does_not_hide_the_others():
    class Picky(Kite):
        async def __call__(self, rows):
            self.error = Refused("no such symbol", status=400) if "B2" in str(rows) else None
            return await super().__call__(rows)

    kite, published = Picky(), []
    one = charging(kite, published)
    for number in (1, 2, 3):
        one.on_report(*traded(number))
    asyncio.run(one.compare())
    assert [each.broker_order_id for each in published] == ["B1", "B3"]
    asked = len(kite.asked)
    asyncio.run(one.compare())
    assert len(kite.asked) == asked


def test_a_dead_session_gives_up_no_order():
    kite, published = Kite(error=Refused("dead", status=403, token_dead=True)), []
    one = charging(kite, published)
    one.on_report(*traded())
    asyncio.run(one.compare())
    assert len(kite.asked) == 1
    assert one.waiting()


def test_an_answer_about_another_order_is_not_taken():
    kite, published = Kite(), []

    async def wrong(rows):
        return [replace(each, quantity=7) for each in await kite(rows)]

    one = charging(wrong, published)
    one.on_report(*traded())
    asyncio.run(one.compare())
    assert not published


def test_long_lists_are_asked_in_parts():
    kite, published = Kite(), []
    one = charging(kite, published)
    for number in range(MOST_ROWS + 1):
        one.on_report(*traded(number))
    asyncio.run(one.compare())
    assert [len(rows) for rows in kite.asked] == [MOST_ROWS, 1]
    assert len(published) == MOST_ROWS + 1


@pytest.fixture
def heard():
    """What is warned of."""
    from loguru import logger  # noqa: PLC0415 - only here

    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.mark.parametrize(("ours", "warned"), [("11.00", 0), ("11.01", 1), ("9.00", 0), ("8.99", 1)])
def test_more_than_a_rupee_is_warned_of_once(heard, ours, warned):
    one = charging(Kite(), [])
    for number in (1, 2):
        one.on_report(*traded(number, charges=ours))
    asyncio.run(one.compare())
    assert len(heard) == warned
    asyncio.run(one.compare(end_of_day=True))
    assert len(heard) == 2 * warned


def test_the_depositorys_charge_and_the_square_off_fee_are_beside_the_note():
    charges = ZerodhaCharges(tariff())
    sale = order(SELL, 10, broker=BROKER, product="CNC")
    charged = charges(sale, Money(100), 10, TEN_NS)
    again = replace(sale, order_id="again")
    depository = charged - charges(again, Money(100), 10, TEN_NS)
    assert depository > 10
    beside = beside_of(charges)
    assert beside(sale, TEN_NS) == depository
    assert beside(again, TEN_NS) == 0
    assert beside(replace(again, by=RMS), TEN_NS) == FEE
    restarted = ZerodhaCharges(
        tariff(),
        [
            fill(SELL, 10, trade=number, order_id=each.order_id, product="CNC", instrument=INFY)
            for number, each in enumerate((sale, again))
        ],
    )
    assert [beside_of(restarted)(each, TEN_NS) for each in (sale, again)] == [depository, 0]


def test_the_exchange_calculates_what_our_fills_were_charged(tmp_path):
    async def act(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=40, product="CNC")
        desk.place(SHARE, quantity=30)
        desk.place(SHARE, "SELL", 30)
        desk.place(DEAR, "SELL", 3)
        desk.place("NSE:ITC", "SELL", 5, product="CNC")  # of the holdings: the depository's charge is due
        await desk.refresh()
        await desk.charging.compare()
        desk.official.close()

    with trading(tmp_path, "--cash", 10_000_000) as trader:
        journal = at_desk(trader, act)
    compared = journal.of(ChargesCompared)
    assert len(compared) == 5
    for each in compared:
        assert to_paisa(each.theirs) == each.ours - each.beside
        assert abs(each.difference) < Money("0.005")
    assert [each.beside > 0 for each in compared] == [False] * 4 + [True]

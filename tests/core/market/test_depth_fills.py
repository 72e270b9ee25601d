"""Fills against an order book: part by part, in order, and the same after a crash anywhere."""

import csv
import gzip
from pathlib import Path

import pytest
from builders import BUY, LIMIT, SELL, TEN_NS, bar, batch, book_of, order, signal, tick
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.charges import flat
from alphapanda.core.execution import TradingEngine
from alphapanda.core.market import MarketSimulator
from alphapanda.events import (
    Approved,
    CancelOrder,
    Money,
    OrderFilled,
    OrderType,
    PlaceOrder,
    ReportKind,
    Validity,
)

K = ReportKind
BOOKS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "depth" / "nse_depth5_2019-11"
THIN = book_of([(99.9, 4), (99.8, 6)], [(100.1, 4), (100.2, 6)])


def market(*orders, **keywords):
    simulator = MarketSimulator(Money("0.05"), flat(Money("0.1")), **keywords)
    for one in orders:
        simulator.on(PlaceOrder(one))
    return simulator


def deep(price=100.0, depth=THIN, **fields):
    return tick(price, depth=depth, **fields)


def fills(reports):
    return [(told.order_id, told.quantity, str(told.price)) for told in reports if told.kind is K.FILL]


def test_a_market_order_takes_level_by_level_and_each_is_a_trade_of_its_own():
    reports = market(order(BUY, 7)).on(batch(deep()))
    assert fills(reports) == [("O000001", 4, "100.1"), ("O000001", 3, "100.2")]
    assert [told.trade_id for told in reports] == ["T000001", "T000002"]
    assert [told.charges for told in reports] == [Money("0.40"), Money("0.30")]


def test_a_sale_takes_the_bids():
    assert fills(market(order(SELL, 5)).on(batch(deep()))) == [("O000001", 4, "99.9"), ("O000001", 1, "99.8")]


def test_what_is_left_rests_and_goes_on_at_the_next_tick():
    simulator = market(order(BUY, 17))
    assert sum(part for _, part, _ in fills(simulator.on(batch(deep(), row=1)))) == 10
    assert [one.pending_quantity for one in simulator.resting()] == [7]
    assert simulator.on(batch(deep(depth=book_of([(99.9, 5)], [])), row=2)) == []
    assert fills(simulator.on(batch(deep(), row=3))) == [("O000001", 4, "100.1"), ("O000001", 3, "100.2")]
    assert simulator.resting() == []


def test_what_is_left_fills_at_the_last_price_where_the_next_tick_has_no_book():
    simulator = market(order(BUY, 17))
    simulator.on(batch(deep(), row=1))
    assert fills(simulator.on(batch(tick(101.0), row=2))) == [("O000001", 7, "101.10")]


def test_two_orders_on_one_tick_do_not_take_the_same_units():
    simulator = market(order(BUY, 6), order(BUY, 6, 2), order(SELL, 1, 3))
    assert fills(simulator.on(batch(deep()))) == [
        ("O000001", 4, "100.1"),
        ("O000001", 2, "100.2"),
        ("O000002", 4, "100.2"),
        ("O000003", 1, "99.9"),
    ]


def test_a_crossed_book_is_not_used():
    crossed = book_of([(100.2, 5)], [(100.1, 5)])
    assert fills(market(order(BUY, 7)).on(batch(deep(depth=crossed)))) == [("O000001", 7, "100.05")]


def test_books_may_be_left_alone():
    assert fills(market(order(BUY, 7), depth=False).on(batch(deep()))) == [("O000001", 7, "100.05")]


def test_a_tick_without_a_price_fills_nothing_whatever_its_book():
    assert market(order(BUY, 7)).on(batch(deep(0.0))) == []


@pytest.mark.parametrize(
    ("side", "limit", "parts"),
    [
        (BUY, "100.2", [(4, "100.1"), (3, "100.2")]),
        (BUY, "100.1", [(4, "100.1")]),
        (BUY, "100.05", []),
        (SELL, "99.8", [(4, "99.9"), (3, "99.8")]),
        (SELL, "99.85", [(4, "99.9")]),
        (SELL, "100", []),
    ],
)
def test_a_limit_order_takes_what_stands_at_its_price_or_better(side, limit, parts):
    simulator = market(order(side, 7, order_type=LIMIT, price=Money(limit)))
    assert [(part, price) for _, part, price in fills(simulator.on(batch(deep())))] == parts
    left = 7 - sum(part for part, _ in parts)
    assert [one.pending_quantity for one in simulator.resting()] == [left] * bool(left)


def test_a_bar_has_no_book():
    assert fills(market(order(BUY, 7)).on(batch(bar(100.0, depth=THIN)))) == [("O000001", 7, "100.05")]


side = st.sampled_from([BUY, SELL])
ticks_away = st.integers(-6, 6)


@st.composite
def wishes(draw):
    """An order of any type, around 100 rupees."""
    kind = draw(st.sampled_from(OrderType))
    way = draw(side)
    trigger = Money(2000 + draw(ticks_away)) * Money("0.05")
    limit = trigger + way.sign * draw(st.integers(0, 3)) * Money("0.05")
    return {
        "side": way,
        "quantity": draw(st.integers(1, 30)),
        "order_type": kind,
        "price": limit if kind in (OrderType.LIMIT, OrderType.SL) else None,
        "trigger_price": trigger if kind in (OrderType.SL, OrderType.SL_M) else None,
        "validity": draw(st.sampled_from(Validity)),
        "validity_ttl": 2,
    }


@st.composite
def moments(draw):
    """A tick or a bar; most ticks have a book around the price, some have half of one."""
    middle = 2000 + draw(ticks_away)
    price = round(middle * 0.05, 2)
    if draw(st.integers(0, 4)) == 0:
        return bar(price, high=round(price + 0.2, 2), low=round(price - 0.2, 2))
    if draw(st.integers(0, 3)) == 0:
        return tick(price)
    queues = draw(st.lists(st.integers(0, 9), min_size=6, max_size=6))
    bids = [(round((middle - 1 - n) * 0.05, 2), queues[n]) for n in range(3)]
    asks = [(round((middle + 1 + n) * 0.05, 2), queues[3 + n]) for n in range(3)]
    return tick(price, depth=book_of(bids, asks))


acts = st.lists(moments() | wishes() | st.integers(1, 5), max_size=25)
GAPS = (1, 1, 30, 60, 3600, 86_400)


class Desk:
    """A market and the engine that hears of it; restarted from what the engine knows of orders and fills."""

    def __init__(self):
        self.market = market()
        self.engine = TradingEngine()
        self.fills = []
        self.ends = []
        self.orders = {}
        """As they stood last: the engine lets go what ended days ago."""

    def hear(self, reports):
        for told in reports:
            for event in self.engine.on(told):
                self.orders[event.order.order_id] = event.order
                if isinstance(event, OrderFilled):
                    self.fills.append(event.fill)
                if event.order.status.ended:
                    self.ends.append(event.order.order_id)

    def place(self, made):
        self.engine.on(Approved(made, signal()))
        self.hear(self.market.on(PlaceOrder(made)))

    def restart(self, rows):
        self.market = market(depth=True)
        self.market = MarketSimulator(
            Money("0.05"), flat(Money("0.1")), orders=self.engine.open_orders(), fills=self.fills
        )
        for row in rows:
            self.market.on_taken(row)


def session(acts, gap, *, restart_at=(), crash_at=None):
    """Rows with what was asked for after each. A crash hears only some reports of its row, which is walked
    again after a restart.
    """
    desk, rows, made, at = Desk(), [], 0, 0
    for place, act in enumerate(acts):
        if isinstance(act, int):
            for resting in desk.market.resting()[act - 1 : act]:
                desk.hear(desk.market.on(CancelOrder(desk.engine.order(resting.order_id))))
        elif isinstance(act, dict):
            made += 1
            wish = dict(act)
            created = TEN_NS + at * 1_000_000_000
            desk.place(
                order(
                    wish.pop("side"),
                    wish.pop("quantity"),
                    made,
                    row=len(rows),
                    created_ns=created,
                    updated_ns=created,
                    **wish,
                )
            )
        else:
            at += gap
            row = batch(act, at=at, row=len(rows) + 1)
            if crash_at is not None and crash_at[0] == place:
                desk.hear(desk.market.on(row)[: crash_at[1]])
                desk.restart(rows)
            desk.hear(desk.market.on(row))
            rows.append(row)
        if place in restart_at:
            desk.restart(rows)
    return desk


@settings(deadline=None, max_examples=200)
@given(acts, st.sampled_from(GAPS))
def test_whatever_comes_no_order_trades_too_much_too_dear_or_twice(acts, gap):
    desk = session(acts, gap)
    assert len(desk.ends) == len(set(desk.ends))
    open_ids = [one.order_id for one in desk.engine.open_orders()]
    assert sorted(open_ids) == sorted(one.order_id for one in desk.market.resting())
    for one in desk.market.resting():
        known = desk.engine.order(one.order_id)
        assert (one.filled_value, one.triggered) == (known.filled_value, known.triggered)
        assert one.updated_ns == known.updated_ns
    filled = {}
    for fill in desk.fills:
        made = desk.orders[fill.order_id]
        filled[fill.order_id] = filled.get(fill.order_id, 0) + fill.quantity
        assert fill.traded_ns > made.created_ns
        if made.price is not None:
            assert (fill.price - made.price) * made.transaction_type.sign <= 0
    for order_id, quantity in filled.items():
        made = desk.orders[order_id]
        assert quantity == made.filled_quantity <= made.quantity
    for made in desk.engine.open_orders():
        assert made.filled_quantity < made.quantity
        assert made.validity is not Validity.IOC or made.row == len([a for a in acts if hasattr(a, "bar")])


@settings(deadline=None, max_examples=200)
@given(acts, st.sampled_from(GAPS), st.data())
def test_a_restart_anywhere_even_within_a_row_changes_no_trade_and_no_end(acts, gap, data):
    wanted = session(acts, gap)
    restarts = data.draw(st.sets(st.integers(0, max(0, len(acts) - 1)), max_size=4))
    ticks = [place for place, act in enumerate(acts) if hasattr(act, "bar")]
    crash = (data.draw(st.sampled_from(ticks)), data.draw(st.integers(0, 6))) if ticks else None
    again = session(acts, gap, restart_at=restarts, crash_at=crash)
    assert again.fills == wanted.fills
    assert again.ends == wanted.ends
    assert again.engine.open_orders() == wanted.engine.open_orders()


@pytest.mark.parametrize("heard", range(5))
def test_a_crash_between_two_parts_of_a_tick_takes_nothing_twice(heard):
    """The row is walked again: what had been taken of its book is gone, the rest is as it was."""
    wishes = [{"side": BUY, "quantity": quantity, "order_type": OrderType.MARKET} for quantity in (6, 3, 5)]
    wanted = session([*wishes, deep(), deep()], 1)
    assert len(wanted.fills) == 5
    again = session([*wishes, deep(), deep()], 1, crash_at=(3, heard))
    assert again.fills == wanted.fills


def real_books():
    if not BOOKS.exists():
        pytest.skip("the recorded order books are not on this machine")
    for file in sorted(BOOKS.glob("*.csv.gz")):
        with gzip.open(file, "rt", newline="") as lines:
            for line in csv.DictReader(lines):
                yield (
                    [
                        [
                            (float(line[f"{name}Price{n}"] or 0), int(float(line[f"{name}Quantity{n}"] or 0)))
                            for n in range(1, 6)
                        ]
                        for name in ("buy", "sell")
                    ],
                    float(line["lastPrice"].replace(",", "")),
                )


def test_real_books_are_walked_as_they_stand():
    walked = 0
    for (bids, asks), last in real_books():
        standing = [(price, held) for price, held in asks if held]
        if len(standing) < 5:
            continue
        wanted = sum(held for _, held in standing[:3]) + 1
        reports = market(order(BUY, wanted)).on(batch(tick(last, depth=book_of(bids, asks))))
        expected = [*standing[:3], (standing[3][0], 1)]
        assert [(float(told.price), told.quantity) for told in reports] == expected
        walked += 1
    assert walked > 2000

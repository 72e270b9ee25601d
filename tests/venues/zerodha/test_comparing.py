"""Our book beside the exchange's: hand orders, its square-off, its nights, and books that lie."""

import anyio
import pytest
from comparing_desk import at_desk, by_hand
from kite_trader import DEAR, SHARE, trading
from msgspec.structs import replace

from alphapanda.core.comparison import OPENING, OVERNIGHT, key_of
from alphapanda.core.market import FEE, RMS
from alphapanda.errors import CannotStart, Fatal
from alphapanda.events import ChargesCompared, Compared, ExternalSeen, OrderStatus
from alphapanda.venues.zerodha.book_rows import HoldingRow, PositionRow
from alphapanda.venues.zerodha.external_orders import net_of
from alphapanda.venues.zerodha.external_trade import EXTERNAL
from alphapanda.venues.zerodha.holds import EVERYTHING

INFY, TCS, ITC, TATA = (
    key_of("NSE", "INFY", "MIS"),
    key_of("NSE", "TCS", "MIS"),
    key_of("NSE", "ITC", "CNC"),
    key_of("NSE", "TATASTEEL", "CNC"),
)


@pytest.fixture
def trader(tmp_path):
    with trading(tmp_path, "--cash", 10_000_000) as one:
        yield one


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One exchange for all who begin with a journal of their own, and leave its clock alone."""
    with trading(tmp_path_factory.mktemp("exchange"), "--cash", 10_000_000) as one:
        yield one


def our_tags(trader):
    """The orders that came with a tag of ours, as the exchange saw them."""
    return {line["tag"] for line in trader.history("order") if line.get("tag")}


def struck(trader):
    """How often the newest fault has struck."""
    return trader.admin("faults")["faults"][-1]["count"]


def position(quantity, symbol="SBIN", product="CNC", exchange="NSE"):
    return PositionRow(exchange=exchange, tradingsymbol=symbol, product=product, quantity=quantity)


def test_a_sale_of_delivery_shares_is_not_counted_twice():
    """Zerodha's own example: 60 and 40 T1, of which 50 are sold."""
    held = HoldingRow(
        exchange="BSE",
        tradingsymbol="SBIN",
        quantity=10,
        t1_quantity=40,
        used_quantity=50,
        opening_quantity=60,
    )
    assert net_of([position(-50)], [held]) == {("", "SBIN", "CNC"): 50}
    assert net_of([position(-50), position(-50, product="MIS")], []) == {
        ("", "SBIN", "CNC"): -50,
        ("NSE", "SBIN", "MIS"): -50,
    }
    assert net_of([position(0)], []) == {}


def test_what_an_account_holds_when_it_is_opened_here_is_not_ours(trader):
    async def act(desk):
        by_hand(trader, SHARE, "BUY", 3)
        await desk.comparer.at_start()
        assert not desk.halts
        await desk.until(lambda: desk.comparer._last == ())

    journal = at_desk(trader, act)
    assert journal.known.external == {INFY: 3, ITC: 40, TATA: 100}
    assert {seen.why for seen in journal.of(ExternalSeen)} == {OPENING, "trade"}
    (start,) = journal.of(Compared)
    assert (start.occasion, start.count, start.differences) == ("start", 3, ())


def test_M31_a_hand_order_closes_what_is_not_ours_then_ours_and_our_book_follows(trader):  # noqa: N802 - the fault's name
    async def act(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=10)
        await desk.refresh()
        assert desk.ours() == {INFY: 10}
        by_hand(trader, SHARE, "BUY", 2)
        by_hand(trader, SHARE, "SELL", 6)
        await desk.until(lambda: desk.ours() == {INFY: 6})
        assert dict(desk.external.units)[ITC] == 40
        assert INFY not in desk.external.units
        by_hand(trader, SHARE, "SELL", 9)
        await desk.comparer.at_end_of_day()
        assert desk.ours() == {}
        assert desk.external.units[INFY] == -3
        assert not desk.held
        assert not desk.halts

    journal = at_desk(trader, act)
    adopted = [order for order in journal.orders.values() if order.by]
    assert [(order.by, order.quantity, order.status) for order in adopted] == [
        (EXTERNAL, 4, OrderStatus.FILLED),
        (EXTERNAL, 6, OrderStatus.FILLED),
    ]
    assert journal.of(Compared)[-1].differences == ()
    assert len(our_tags(trader)) == 1  # nothing was done against the owner
    fills, events = len(journal.fills), len(journal.events)

    async def restarted(desk):
        await desk.comparer.at_start()
        assert not desk.halts

    at_desk(trader, restarted, journal)
    assert len(journal.fills) == fills
    assert journal.events[events:] == journal.of(Compared)[-1:]


def test_M32_F12_the_brokers_square_off_is_adopted_and_nothing_is_closed_twice(trader):  # noqa: N802 - as above
    async def act(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=10, strategy_id="a")
        desk.place(SHARE, quantity=5, strategy_id="b")
        desk.place(DEAR, "SELL", 4, strategy_id="a")
        await desk.refresh()
        assert desk.ours() == {INFY: 15, TCS: -4}
        trader.admin("clock", {"to": "15:21:00"})
        await desk.until(lambda: not desk.ours())
        await desk.comparer.at_end_of_day()
        assert not desk.halts
        assert not desk.held

    journal = at_desk(trader, act)
    squared = [order for order in journal.orders.values() if order.by == RMS]
    assert sorted((order.strategy_id, order.quantity) for order in squared) == [("a", 4), ("a", 10), ("b", 5)]
    fired = [line for line in trader.history("square_off") if line["placed"]]
    assert len(fired) == 2
    assert not any(row["quantity"] for row in trader.kite.positions()["net"])
    assert len(our_tags(trader)) == 3  # our entries, and no order after the broker's
    end = journal.of(Compared)[-1]
    assert (end.occasion, end.differences) == ("end_of_day", ())
    charged = {each.broker_order_id: each for each in journal.of(ChargesCompared)}
    assert charged.keys() == {row["order_id"] for row in trader.kite.orders()}
    for each in charged.values():
        assert abs(each.difference) < 1
    assert [charged[order.broker_order_id].beside for order in squared] == [FEE] * 3


def test_M30_positions_that_are_not_the_sum_of_the_trades_freeze_the_symbol(shared):  # noqa: N802 - as above
    async def act(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=10)
        await desk.refresh()
        shared.admin("faults", {"fault": [{"on": "positions", "do": "disagree", "times": 3}]})
        await desk.until(lambda: desk.held)
        assert desk.held.keys() == {"NSE:INFY"}
        assert "our book 10" in desk.held["NSE:INFY"]
        await desk.until(lambda: not desk.held)
        assert not desk.halts
        assert desk.ours() == {INFY: 10}

    journal = at_desk(shared, act)
    assert struck(shared) == 3
    frozen, agreed = journal.of(Compared)[1:]
    assert (frozen.frozen, [each.missing for each in frozen.differences]) == (("NSE:INFY",), [1])
    assert (agreed.frozen, agreed.differences) == ((), ())


def test_M33_on_a_new_day_the_books_are_empty_and_what_was_carried_is_in_the_holdings(trader):  # noqa: N802 - as above
    async def first(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=10, product="CNC")
        by_hand(trader, DEAR, "BUY", 2, "CNC")
        await desk.comparer.at_end_of_day()
        assert desk.ours() == {key_of("NSE", "INFY", "CNC"): 10}

    journal = at_desk(trader, first)
    # Nobody of ours looks any more: the owner trades on, and the night comes.
    by_hand(trader, DEAR, "BUY", 5, "CNC")
    trader.admin("clock", {"to": "2026-04-16T09:20:00"})
    trader.log_in()
    assert trader.kite.orders() == trader.kite.trades() == []

    async def second(desk):
        await desk.comparer.at_start()
        assert not desk.halts
        assert desk.external.units[key_of("NSE", "TCS", "CNC")] == 7
        desk.place(SHARE, "SELL", 4, product="CNC")
        await desk.comparer.at_end_of_day()
        assert desk.ours() == {key_of("NSE", "INFY", "CNC"): 6}

    at_desk(trader, second, journal)
    assert [seen.why for seen in journal.of(ExternalSeen)][-1] == OVERNIGHT
    assert [each.differences for each in journal.of(Compared)] == [()] * 4


def test_a_difference_at_start_that_nothing_explains_halts_with_its_figures(shared):
    async def first(desk):
        await desk.comparer.at_start()
        desk.place(SHARE, quantity=10)
        await desk.refresh()

    journal = at_desk(shared, first)
    (booked,) = journal.fills
    journal.fills.append(replace(booked, trade_id="of no order"))

    async def second(desk):
        await desk.comparer.at_start()
        (why,) = desk.halts
        assert "NSE:INFY MIS: the broker has " in why
        assert "our book 20" in why

    at_desk(shared, second, journal)
    assert journal.of(Compared)[-1].differences[0].missing == -10


def test_a_start_waits_for_books_that_can_be_read(shared):
    async def act(desk):
        shared.admin("faults", {"fault": [{"on": "positions", "do": "down", "times": 2}]})
        await desk.comparer.at_start()
        assert not desk.halts

    journal = at_desk(shared, act)
    assert struck(shared) == 2
    assert journal.known.external[ITC] == 40


def test_books_that_cannot_be_read_while_running_are_no_difference(shared):
    async def act(desk):
        await desk.comparer.at_start()
        shared.admin("faults", {"fault": [{"on": "positions", "do": "down", "times": 3}]})
        await desk.until(lambda: struck(shared) == 3)
        assert not desk.held

    assert len(at_desk(shared, act).of(Compared)) == 1


def test_at_night_nothing_is_compared_and_the_morning_begins_with_it(shared):
    open_now = []

    async def act(desk):
        await desk.comparer.at_start()
        assert not desk.journal.of(Compared)
        assert desk.held.keys() == {EVERYTHING}
        open_now.append(True)
        await desk.until(lambda: desk.journal.of(Compared))
        assert not desk.held

    journal = at_desk(shared, act, watching=lambda _now_ns: bool(open_now))
    assert journal.of(Compared)[0].occasion == "start"


def test_after_a_renewed_login_a_difference_freezes_the_symbol_and_halts_nothing(shared):
    async def act(desk):
        await desk.comparer.at_start()
        desk.place(SHARE)
        await desk.refresh()
        shared.admin("faults", {"fault": [{"on": "positions", "do": "disagree", "times": 2}]})
        await desk.comparer.at_start()
        assert list(desk.held) == ["NSE:INFY"]
        assert not desk.halts

    at_desk(shared, act)
    assert struck(shared) == 2


def test_books_that_stay_shut_do_not_let_a_start_through(shared):
    async def act(desk):
        shared.admin("faults", {"fault": [{"on": "positions", "do": "down", "times": 1}]})
        with pytest.raises(Fatal, match="positions cannot be compared") as error:
            await desk.comparer.at_start()
        assert not isinstance(error.value, CannotStart)  # systemd tries again

    assert not at_desk(shared, act, start_s=0.0).of(Compared)
    assert struck(shared) == 1


def test_what_is_on_its_way_to_our_book_is_not_taken_for_external(shared):
    async def first(desk):
        await desk.comparer.at_start()

    journal = at_desk(shared, first)
    journal.known.day -= 1

    async def second(desk):
        desk.place(SHARE)
        await desk.refresh()
        before = desk.comparer.ours()
        behind = {key: quantity - 10 * (key == INFY) for key, quantity in before.items()}
        desk.comparer.ours = lambda: behind
        await desk.comparer.at_start()
        assert desk.halts

    at_desk(shared, second, journal)
    assert OVERNIGHT not in {seen.why for seen in journal.of(ExternalSeen)}


def test_two_comparisons_do_not_look_at_once(shared):
    """One would forget what has moved while the other waits for its answer."""
    looking, most = [], []

    async def act(desk):
        ask = desk.books.positions

        async def positions():
            looking.append(None)
            most.append(len(looking))
            await anyio.sleep(0.01)
            found = await ask()
            looking.pop()
            return found

        desk.books.positions = positions
        await desk.comparer.at_start()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(desk.comparer.at_start)

    at_desk(shared, act)
    assert most == [1] * 4

"""Rows of the position book: Kite's identities between their figures, and the sums of trades behind them."""

import pytest
from account_days import CALL, DOLLAR, FUTURE, GOLD, INFY
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.lots import Lot
from alphapanda.events import Money
from alphapanda.exchange.account.funds import Claimed
from alphapanda.exchange.account.positions import Position
from alphapanda.tables import declared_margins

CLAIMS = Claimed(declared_margins())
CARRIED_NS, NOW_NS = 10, 100
quantities = st.integers(-500, 500).filter(bool)
prices = st.decimals(Money("0.05"), Money(5_000), places=2)
trades = st.lists(st.tuples(quantities, prices), max_size=12)
carried = st.none() | st.tuples(quantities, prices)
instruments = st.sampled_from((INFY, DOLLAR, FUTURE, CALL, GOLD))


def position(listed=INFY, product="MIS", lot=None, day=()):
    """Carried into the day with `lot`, then traded."""
    one = Position(listed=listed, product=product, claims=CLAIMS.of)
    if lot is not None:
        one.carry([Lot(*lot, CARRIED_NS)])
    for quantity, price in day:
        one.add(quantity, Money(price), NOW_NS)
    return one


def adds_up(row, listed, last, close, lot, day):
    """Everything a row says, computed again from the trades."""
    many = listed.multiplier
    bought = sum(quantity for quantity, _ in day if quantity > 0)
    paid = sum((quantity * price * many for quantity, price in day if quantity > 0), Money(0))
    sold = -sum(quantity for quantity, _ in day if quantity < 0)
    got = -sum((quantity * price * many for quantity, price in day if quantity < 0), Money(0))
    held, cost = lot or (0, Money(0))
    quantity = held + bought - sold
    worth = quantity * last * many
    value = got - paid - held * cost * many
    m2m = got - paid - held * close * many + worth
    expected = {
        "quantity": quantity,
        "overnight_quantity": held,
        "value": value,
        "pnl": value + worth,
        "unrealised": value + worth,
        "realised": 0,
        "m2m": m2m,
        "day_buy_quantity": bought,
        "day_buy_value": paid,
        "day_sell_quantity": sold,
        "day_sell_value": got,
        "buy_quantity": bought + max(held, 0),
        "sell_quantity": sold + max(-held, 0),
        "buy_value": paid + max(held, 0) * cost * many,
        "sell_value": got + max(-held, 0) * cost * many,
        "multiplier": many,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["value"] == row["sell_value"] - row["buy_value"]
    assert row["m2m"] == row["sell_m2m"] - row["buy_m2m"] + worth
    assert (row["average_price"] == 0) == (quantity == 0)
    for side in ("buy", "sell", "day_buy", "day_sell"):
        units = row[f"{side}_quantity"] * many
        assert abs(row[f"{side}_price"] * units - row[f"{side}_value"]) < Money("1e-15")


@given(instruments, carried, trades, prices, prices)
def test_a_row_is_the_sum_of_its_trades(listed, lot, day, last, close):
    one = position(listed, "NRML", lot, day)
    adds_up(one.net_row(last, close), listed, last, close, lot, day)
    adds_up(one.day_row(last, close), listed, last, close, None, day)
    open_quantity = (lot[0] if lot else 0) + sum(quantity for quantity, _ in day)
    assert sum(lot.quantity for lot in one.lots) == one.quantity == open_quantity


@given(instruments, carried, trades, prices)
def test_booked_and_open_results_are_all_of_it(listed, lot, day, last):
    one = position(listed, "NRML", lot, day)
    worth = one.quantity * last * listed.multiplier
    assert one.realised + worth - one.cost == one.net_row(last, last)["pnl"]


@given(instruments, carried, trades)
def test_kept_sums_are_those_of_the_open_lots(listed, lot, day):
    one = position(listed, "NRML", lot, day)
    cost = sum((each.quantity * each.price for each in one.lots), Money(0)) * listed.multiplier
    claimed = sum((CLAIMS.of(listed, "NRML", each.quantity, each.price) for each in one.lots), Money(0))
    assert (one.cost, one.claimed) == (cost, claimed)


@given(carried, trades, st.integers(1, 400), st.booleans(), prices)
def test_what_moves_between_rows_is_lost_by_one_and_won_by_the_other(lot, day, units, overnight, last):
    """Carried lots were traded before, so each half of the day's time names one kind of them."""
    one, other = position(FUTURE, "NRML", lot, day), position(FUTURE, "MIS")
    before = one.net_row(last, last)
    since, until = (0, NOW_NS) if overnight else (NOW_NS, NOW_NS + 1)
    open_then = one.open_between(since, until)
    lots = one.let_go(units, since, until, carried=overnight)
    other.take_in(lots, carried=overnight)
    rows = one.net_row(last, last), other.net_row(last, last)
    totals = ("quantity", "value", "pnl", "buy_quantity", "buy_value", "sell_quantity", "sell_value")
    assert {name: sum(row[name] for row in rows) for name in totals} == {
        name: before[name] for name in totals
    }
    assert abs(rows[1]["quantity"]) == min(units, open_then)
    assert rows[1]["overnight_quantity"] == (rows[1]["quantity"] if overnight else 0)
    assert sum(each.quantity for each in one.lots) == one.quantity


def test_the_published_rows_come_of_such_trades():
    """GOLDGUINEA, LEADMINI and SBIN of Kite's example: 3 carried at 23,057, then 4 sold and 1 bought."""
    gold = position(GOLD, "NRML", (3, Money(23057)), [(-4, "23340"), (1, "23388")])
    row, day = gold.net_row(Money(23355), Money(23232)), gold.day_row(Money(23355), Money(23232))
    expected = {
        "quantity": 0, "overnight_quantity": 3, "average_price": 0, "value": 801, "pnl": 801, "m2m": 276,
        "buy_quantity": 4, "buy_price": Money("23139.75"), "buy_value": 92559, "buy_m2m": 93084,
        "sell_quantity": 4, "sell_price": 23340, "sell_value": 93360, "sell_m2m": 93360,
        "day_buy_quantity": 1, "day_buy_price": 23388, "day_buy_value": 23388,
        "day_sell_quantity": 4, "day_sell_price": 23340, "day_sell_value": 93360,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    expected = {
        "quantity": -3, "overnight_quantity": 0, "average_price": 23340, "value": 69972, "pnl": -93,
        "m2m": -93, "unrealised": -93, "buy_quantity": 1, "sell_quantity": 4,
    }  # fmt: skip
    assert {name: day[name] for name in expected} == expected
    lead = position(DOLLAR, "NRML", None, [(1, "161.05")]).net_row(Money("161.05"), Money(0))
    assert [lead[name] for name in ("value", "pnl", "m2m", "buy_m2m", "multiplier")] == [
        -161050, 0, 0, 161050, 1000,
    ]  # fmt: skip
    bank = position(INFY, "MIS", None, [(1, "311"), (-1, "309")]).net_row(Money("308.4"), Money(0))
    assert [bank[name] for name in ("value", "pnl", "m2m", "unrealised", "average_price")] == [
        -2,
        -2,
        -2,
        -2,
        0,
    ]


def test_a_flat_row_is_shown_and_an_emptied_one_is_not():
    one = position(day=[(5, "100"), (-5, "101")])
    assert one.shown
    emptied = position(day=[(5, "100")])
    emptied.let_go(5, NOW_NS, NOW_NS + 1, carried=False)
    assert not emptied.shown
    assert not emptied.traded_today
    assert position(lot=(5, Money(100))).shown


@pytest.mark.parametrize(("way", "average"), [(1, "102"), (-1, "101")])
def test_the_average_price_is_that_of_the_side_that_is_open(way, average):
    """A long position's is of all its buys, as Kite has it, whatever was sold between."""
    one = position(day=[(way * 10, "101"), (-way * 5, "105"), (way * 10, "103" if way > 0 else "101")])
    assert one.net_row(Money(1), Money(1))["average_price"] == Money(average)

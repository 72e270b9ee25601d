"""Holdings: what is settled, what is on its way, what was sold today."""

import pytest
from account_days import BSE_ITC, BUY, FUTURE, INFY, ITC, NOW, SELL, TATASTEEL, account, holding, net, trade

from alphapanda.events import Instrument, Money
from alphapanda.exchange.account.holdings import Holding, Holdings, held_at_first
from alphapanda.exchange.listing import Listed, Listing

INFY_BSE = Listed(Instrument(128053508, "BSE", "INFY"), 500209, "BSE", Money(1300), isin=INFY.isin)


def test_shares_sold_today_leave_the_settled_ones_first():
    """The broker's example: 60 and 40 T1, 50 sold: 10, 40, used 50, and a position of -50."""
    one = account()
    one.on_trade(trade(TATASTEEL, SELL, 50, "190.10"))
    row = holding(one, TATASTEEL)
    assert [row[name] for name in ("quantity", "t1_quantity", "used_quantity")] == [10, 40, 50]
    assert (row["opening_quantity"], row["realised_quantity"]) == (100, 60)
    assert net(one, TATASTEEL, "CNC")["quantity"] == -50
    assert row["opening_quantity"] + net(one, TATASTEEL, "CNC")["quantity"] == 50
    one.on_trade(trade(TATASTEEL, SELL, 30, "190.10"))
    row = holding(one, TATASTEEL)
    assert [row[name] for name in ("quantity", "t1_quantity", "used_quantity")] == [0, 20, 80]


def test_what_the_day_bought_is_sold_before_the_holding():
    one = account()
    one.on_trade(trade(ITC, BUY, 10, "305"))
    one.on_trade(trade(ITC, SELL, 15, "306"))
    assert [holding(one, ITC)[name] for name in ("quantity", "used_quantity")] == [35, 5]


def test_a_share_is_one_holding_on_both_exchanges():
    one = account()
    one.on_trade(trade(BSE_ITC, SELL, 4, "305"))
    assert holding(one, ITC)["used_quantity"] == 4


def test_the_figures_of_a_row_follow_the_market():
    one = account()
    row = holding(one, ITC)
    gained = row["last_price"] - row["average_price"]
    assert row["pnl"] == pytest.approx(gained * 40)
    assert row["day_change"] == pytest.approx(row["last_price"] - row["close_price"])
    assert row["day_change_percentage"] == pytest.approx(row["day_change"] / row["close_price"] * 100)
    assert row["day_change"] != 0


def test_the_summary_is_the_sum_of_the_rows():
    one = account()
    one.on_trade(trade(TATASTEEL, SELL, 30, "190.10"))
    rows, summary = one.holdings(NOW), one.holdings_summary(NOW)
    units = [row["quantity"] + row["t1_quantity"] for row in rows]
    invested = sum(row["average_price"] * n for row, n in zip(rows, units, strict=True))
    today = sum(row["day_change"] * n for row, n in zip(rows, units, strict=True))
    expected = {
        "total_pnl": sum(row["pnl"] for row in rows),
        "invested_amount": invested,
        "current_value": invested + sum(row["pnl"] for row in rows),
        "today_pnl": today,
    }
    assert {name: summary[name] for name in expected} == pytest.approx(expected)
    assert summary["total_pnl_percent"] == pytest.approx(summary["total_pnl"] / invested * 100)


def test_the_first_shares_are_held_where_the_usual_names_are_not_listed():
    """As with prices of one's own; a share on two exchanges is held once."""
    held = [(each.listed.key, each.opening) for each in held_at_first(Listing([FUTURE, INFY, ITC]))]
    assert held == [("NSE:ITC", 40), ("NSE:INFY", 100)]
    (only,) = held_at_first(Listing([INFY, INFY_BSE]))
    assert (only.listed.key, only.opening, only.average_price) == ("NSE:INFY", 40, INFY.close)
    assert list(held_at_first(Listing([FUTURE]))) == []


def test_a_purchase_moves_the_average_price():
    held = Holding(listed=INFY, settled=10, average_price=Money(100))
    held.buy(30, Money(120))
    assert (held.settled, held.t1, held.average_price) == (10, 30, Money(115))
    held.sell(25)
    assert (held.settled, held.t1, held.average_price) == (0, 15, Money(115))


def test_a_holding_of_nothing_is_gone_in_the_morning():
    held = Holdings()
    held.take(INFY).buy(5, Money(100))
    held.take(ITC).authorised = 3
    held.sweep()
    assert [each.listed.key for each in held] == ["NSE:INFY"]
    held.settle()
    assert [(each.settled, each.t1) for each in held] == [(5, 0)]

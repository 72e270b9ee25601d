"""The stored equity curve read back: how it stands now, and what each day brought."""

import sqlite3
from contextlib import closing
from datetime import date

import pytest
from builders import BUY, SELL, TCS, TEN_NS, batch, fill, order, tick

from alphapanda.core.portfolio import PortfolioManager
from alphapanda.events import AccountOpened, Money, OrderFilled, OrderOpened
from alphapanda.rows import for_people
from alphapanda.store import curve, journal, offline, schema
from alphapanda.store.projections import PROJECTION

CASH = Money(100_000)
DAY_S = 86_400
SECOND = 10**9


class Desk:
    """A portfolio whose every word is written down."""

    def __init__(self, path):
        self.path = path
        self.portfolio = PortfolioManager({"paper": CASH})
        self.events = [AccountOpened("paper", CASH)]
        self.orders = 0

    def row(self, at, infy=None, tcs=None):
        ticks = [tick(infy)] if infy else []
        ticks += [tick(tcs, TCS.instrument_token)] if tcs else []
        self.events += self.portfolio.on(batch(*ticks, at=at))

    def trade(self, side, quantity, price, at=0, **fields):
        self.orders += 1
        made = order(side, quantity, self.orders)
        done = fill(
            side, quantity, price, trade=self.orders, order_id=made.order_id, charges=Money(1),
            traded_ns=TEN_NS + at * SECOND, **fields,
        )  # fmt: skip
        self.events += [OrderOpened(made), *self.portfolio.on(OrderFilled(made, done))]

    def written(self):
        kept = [event for event in [*self.events, self.portfolio.marks()] if type(event) in PROJECTION]
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            schema.prepare(connection, str(self.path))
            journal.Journal(connection).append([(number, event) for number, event in enumerate(kept)])
        return self.path


@pytest.fixture
def path(tmp_path):
    """Two days: 100 made and given back and 40 of it kept; then 30 lost, with ten shares still held."""
    desk = Desk(tmp_path / "alphapanda.db")
    desk.row(0, infy=100.0)
    desk.trade(BUY, 10, "100")
    desk.row(30, infy=110.0)
    desk.row(90, infy=104.0)
    desk.row(150, infy=104.0)
    desk.row(DAY_S, infy=101.0)
    desk.trade(SELL, 5, "200", DAY_S, instrument=TCS, strategy_id="other")
    desk.trade(BUY, 5, "202", DAY_S + 60, instrument=TCS, strategy_id="other")
    desk.row(DAY_S + 70, infy=103.0)
    return desk.written()


def shown(row):
    return for_people({name: value for name, value in row.items() if name != "strategies"})


def test_a_broker_stands_with_its_exposure_its_fall_and_its_day(path):
    found = curve.portfolio(path)["paper"]
    assert shown(found) == {
        "starting_cash": 100_000.0,
        "cash": 98_987.0,
        "equity": 100_017.0,
        "realized_pnl": -10.0,
        "unrealized_pnl": 30.0,
        "charges": 3.0,
        "gross_exposure": 1030.0,
        "net_exposure": 1030.0,
        "drawdown": 82.0,  # from 100,099
        "drawdown_percent": round(82 / 100_099 * 100, 4),
        "day_net_pnl": -22.0,  # from 39
    }


def test_each_strategy_stands_with_what_it_made_and_holds(path):
    mine = curve.portfolio(path)["paper"]["strategies"]
    assert {name: for_people(row) for name, row in mine.items()} == {
        "momentum_1": {
            "realized_pnl": 0.0,
            "unrealized_pnl": 30.0,
            "charges": 1.0,
            "gross_exposure": 1030.0,
            "net_exposure": 1030.0,
            "net_pnl": 29.0,
            "day_net_pnl": -10.0,
        },
        "other": {
            "realized_pnl": -10.0,
            "unrealized_pnl": 0.0,
            "charges": 2.0,
            "gross_exposure": 0.0,
            "net_exposure": 0.0,
            "net_pnl": -12.0,
            "day_net_pnl": -12.0,
        },
    }


def test_each_day_says_what_it_brought(path):
    days = [for_people(row) for row in curve.daily(path, 5)["paper"]["days"]]
    assert days == [
        {
            "date": "2024-06-03",
            "start_equity": 100_000.0,
            "end_equity": 100_039.0,
            "net_pnl": 39.0,
            "charges": 1.0,
            "trades": 1,
            "turnover": 1000.0,
            "max_drawdown": 60.0,
        },
        {
            "date": "2024-06-04",
            "start_equity": 100_039.0,
            "end_equity": 100_017.0,
            "net_pnl": -22.0,
            "charges": 2.0,
            "trades": 2,
            "turnover": 2010.0,
            "max_drawdown": 42.0,
        },
    ]


def test_a_strategy_has_the_days_on_which_it_held_or_traded(path):
    mine = curve.daily(path, 5)["paper"]["strategies"]
    other = [for_people(row) for row in mine["other"]]
    assert [(row["date"], row["net_pnl"], row["trades"]) for row in other] == [("2024-06-04", -12.0, 2)]
    assert [for_people(row)["net_pnl"] for row in mine["momentum_1"]] == [39.0, -10.0]


def test_the_newest_days_are_the_last_of_all(path):
    whole, last = curve.daily(path, 9)["paper"], curve.daily(path, 1)["paper"]
    assert last["days"] == whole["days"][-1:]
    assert last["strategies"]["momentum_1"] == whole["strategies"]["momentum_1"][-1:]


def test_days_up_to_one_are_those_that_were_shown_then(path):
    whole, first = curve.daily(path, 9)["paper"], curve.daily(path, 9, date(2024, 6, 3))["paper"]
    assert first["days"] == whole["days"][:1]
    assert first["strategies"] == {"momentum_1": whole["strategies"]["momentum_1"][:1], "other": []}
    assert curve.daily(path, 1, date(2024, 6, 4))["paper"]["days"] == whole["days"][1:]
    nothing = {"days": [], "strategies": {"momentum_1": [], "other": []}}
    assert [curve.daily(path, 9, end)["paper"] for end in (date.min, date(2024, 6, 2))] == [nothing] * 2
    assert curve.daily(path, 9, date.max)["paper"] == whole


def test_a_curve_that_begins_after_trades_starts_where_they_left_the_account(path):
    """As in a store of before the curve: the ten shares stand at the 100 they were bought at."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        first = connection.execute("SELECT min(at_ns) FROM equity").fetchone()[0]
        connection.execute("DELETE FROM equity WHERE at_ns < ?", (first + DAY_S * SECOND,))
    found = curve.daily(path, 5)["paper"]
    (day,) = map(for_people, found["days"])
    assert (day["date"], day["start_equity"], day["end_equity"]) == ("2024-06-04", 99_999.0, 100_017.0)
    assert (day["net_pnl"], day["charges"], day["trades"]) == (18.0, 2.0, 2)
    assert [for_people(row)["net_pnl"] for row in found["strategies"]["momentum_1"]] == [30.0]
    assert [for_people(row)["net_pnl"] for row in found["strategies"]["other"]] == [-12.0]
    now = curve.portfolio(path)["paper"]
    assert shown(now)["day_net_pnl"] == 18.0
    assert [for_people(row)["day_net_pnl"] for row in now["strategies"].values()] == [30.0, -12.0]


def test_the_net_of_strategies_adds_up_where_the_curve_begins_after_trades(tmp_path):
    desk = Desk(tmp_path / "alphapanda.db")
    desk.trade(BUY, 10, "100")
    desk.trade(BUY, 5, "110", 60, strategy_id="other")
    desk.row(DAY_S, infy=120.0)
    path = desk.written()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        last = connection.execute("SELECT max(at_ns) FROM equity").fetchone()[0]
        connection.execute("DELETE FROM equity WHERE at_ns < ?", (last - 3600 * SECOND,))
    found = curve.daily(path, 5)["paper"]
    nets = {name: [for_people(row)["net_pnl"] for row in rows] for name, rows in found["strategies"].items()}
    assert nets == {"momentum_1": [100.0], "other": [50.0]}
    assert [for_people(row)["net_pnl"] for row in found["days"]] == [150.0]


def test_days_follow_one_another_and_end_where_the_book_stands(path):
    days, (standing,) = curve.daily(path, 5)["paper"]["days"], offline.standings(path)
    assert [Money(row["start_equity"]) for row in days[1:]] == [Money(row["end_equity"]) for row in days[:-1]]
    assert Money(days[-1]["end_equity"]) == standing.equity
    assert Money(days[0]["start_equity"]) + sum(Money(row["net_pnl"]) for row in days) == standing.equity


def test_a_store_that_is_not_there_has_no_curve(tmp_path):
    missing = tmp_path / "none.db"
    assert (curve.portfolio(missing), curve.daily(missing, 3)) == ({}, {})
    assert not missing.exists()

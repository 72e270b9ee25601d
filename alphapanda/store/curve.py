"""The stored equity curve, read back: how each broker and strategy stands, and what each day brought.

`now` takes what is held at the last prices that were written down; a day that is over ends with its last
point. A store of before the curve has no days, and stands as its positions and trades say.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from alphapanda.core.equity import ACCOUNT
from alphapanda.core.money import HUNDRED
from alphapanda.core.portfolio import Standing
from alphapanda.events import Figures, Money, TransactionType
from alphapanda.rows import Row, figures_row, standing_row, text
from alphapanda.store.offline import reading, standings_in
from alphapanda.times import DAY_NS, IST_OFFSET_NS, date_of, number_of, start_of

ZERO = Money(0)
DAY = f"(at_ns + {IST_OFFSET_NS}) / {DAY_NS}"


class Point(NamedTuple):
    """`day` is its number since 1970 in IST; the rest is in rupees, since the account's opening."""

    day: int
    net: Money
    realized: Money
    charges: Money


def portfolio(path: Path) -> dict[str, Row]:
    """By broker: the standing, exposure, drawdown, the day's net, and `strategies` by their ids."""
    with _curves(path) as curves:
        return {
            curve.broker: standing_row(curve.standing) | curve.now() | {"strategies": curve.strategies_now()}
            for curve in curves
        }


def daily(path: Path, days: int, until: date = date.max) -> dict[str, Row]:
    """By broker: `days`, a row for each of the newest so many, and `strategies`: the same by their ids.

    Days after `until` are left out.
    """
    last = number_of(until)
    with _curves(path) as curves:
        return {
            curve.broker: {
                "days": curve.daily(days, last),
                "strategies": {name: curve.daily(days, last, name) for name in curve.strategies()},
            }
            for curve in curves
        }


@contextmanager
def _curves(path: Path) -> "Iterator[list[_Curve]]":
    with reading(path) as connection:
        connection.row_factory = sqlite3.Row
        yield [_Curve(connection, standing) for standing in standings_in(connection)]


class _Curve:
    """One broker's."""

    def __init__(self, connection: sqlite3.Connection, standing: Standing) -> None:
        self._connection = connection
        self.standing = standing
        self.broker = standing.broker
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'equity'")
        self._kept = tables.fetchone() is not None

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._connection.execute(sql, (self.broker, *values)).fetchall()

    def strategies(self) -> list[str]:
        rows = self._rows("SELECT DISTINCT strategy_id FROM trades WHERE broker = ? ORDER BY 1")
        return [row["strategy_id"] for row in rows]

    def now(self) -> Row:
        figures, standing = self._figures(ACCOUNT), self.standing
        peak = max([standing.starting_cash, standing.equity, *self._highest()])
        drawdown = peak - standing.equity
        return {
            "gross_exposure": text(figures.gross_exposure),
            "net_exposure": text(figures.net_exposure),
            "drawdown": text(drawdown),
            "drawdown_percent": round(float(drawdown / peak * HUNDRED), 4) if peak > 0 else 0.0,
            "day_net_pnl": text(self._net(ACCOUNT) - self._before_today(ACCOUNT)),
        }

    def strategies_now(self) -> dict[str, Row]:
        found = {}
        for name in self.strategies():
            figures = self._figures(name)
            net, today = figures.net_pnl, figures.net_pnl - self._before_today(name)
            found[name] = figures_row(figures) | {"net_pnl": text(net), "day_net_pnl": text(today)}
        return found

    def _highest(self) -> list[Money]:
        if not self._kept:
            return []
        sql = "SELECT equity FROM equity WHERE broker = ? AND strategy_id = ''"
        return [
            Money(row["equity"]) for row in self._rows(f"{sql} ORDER BY CAST(equity AS REAL) DESC LIMIT 1")
        ]

    def _figures(self, strategy_id: str) -> Figures:
        """A strategy's, or the account's, as the last commit has them."""
        held = self._rows(
            "SELECT quantity, last_price, realized_pnl, unrealized_pnl FROM positions WHERE broker = ?"
            " AND ? IN ('', strategy_id)",
            strategy_id,
        )
        paid = self._rows(
            "SELECT charges FROM trades WHERE broker = ? AND ? IN ('', strategy_id)", strategy_id
        )
        values = [row["quantity"] * Money(row["last_price"]) for row in held]
        last = self._last(strategy_id)
        realized = sum((Money(row["realized_pnl"]) for row in held), ZERO) if last is None else last.realized
        return Figures(
            realized_pnl=realized,
            unrealized_pnl=sum((Money(row["unrealized_pnl"]) for row in held), ZERO),
            charges=sum((Money(row["charges"]) for row in paid), ZERO),
            gross_exposure=sum(map(abs, values), ZERO),
            net_exposure=sum(values, ZERO),
        )

    def _net(self, strategy_id: str) -> Money:
        if strategy_id == ACCOUNT:
            return self.standing.equity - self.standing.starting_cash
        return self._figures(strategy_id).net_pnl

    def _points(self, strategy_id: str, where: str, *values: int) -> Iterator[Point]:
        rows = self._connection.execute(
            f"SELECT {DAY} AS day, realized_pnl, unrealized_pnl, charges FROM equity"  # noqa: S608 - our words
            f" WHERE broker = ? AND strategy_id = ? AND {where}",
            (self.broker, strategy_id, *values),
        )
        for row in rows if self._kept else ():
            realized, charges = Money(row["realized_pnl"]), Money(row["charges"])
            yield Point(row["day"], realized + Money(row["unrealized_pnl"]) - charges, realized, charges)

    def _last(self, strategy_id: str, before: int | None = None) -> Point | None:
        """The newest point, or the newest of a day before that one."""
        if not self._kept:
            return None
        until = start_of(before) if before is not None else 2**63 - 1
        return next(self._points(strategy_id, "at_ns < ? ORDER BY at_ns DESC LIMIT 1", until), None)

    def _before_today(self, strategy_id: str) -> Money:
        """The net result with which the newest day began."""
        newest = self._last(ACCOUNT)
        return ZERO if newest is None else self._before(strategy_id, newest.day).net

    def _before(self, strategy_id: str, day: int) -> Point:
        """How it stood as that day began. Of the time before the curve there are trades alone: what was held
        then is worth what it last traded at.
        """
        return self._last(strategy_id, day) or self._traded_before(strategy_id, day)

    def _traded_before(self, strategy_id: str, day: int) -> Point:
        cash, charges = ZERO, ZERO
        held: dict[tuple[str, str], int] = {}
        last: dict[tuple[str, str], Money] = {}
        """Of whichever strategy: the account is the sum of all."""
        for row in self._rows(
            "SELECT exchange, trades.* FROM trades JOIN orders USING (order_id) WHERE trades.broker = ?"
            " AND traded_ns < ? ORDER BY trades.rowid",
            start_of(day),
        ):
            key, price = (row["exchange"], row["tradingsymbol"]), Money(row["price"])
            last[key] = price
            if strategy_id in (ACCOUNT, row["strategy_id"]):
                signed = TransactionType(row["transaction_type"]).sign * row["quantity"]
                cash -= signed * price
                charges += Money(row["charges"])
                held[key] = held.get(key, 0) + signed
        gross = cash + sum((quantity * last[key] for key, quantity in held.items()), ZERO)
        return Point(day - 1, gross - charges, gross, charges)  # not all of it realised: nobody asks

    def daily(self, count: int, until: int, strategy_id: str = ACCOUNT) -> list[Row]:
        """The account's newest `count` days up to `until`, oldest first; of a strategy those with a point."""
        if not self._kept or not count:
            return []
        newest = self._rows(
            f"SELECT DISTINCT {DAY} AS day FROM equity WHERE broker = ? AND strategy_id = ''"  # noqa: S608 - our words
            f" AND {DAY} <= ? ORDER BY day DESC LIMIT ?",
            *(until, count),
        )
        today = self._last(ACCOUNT)
        if not newest or today is None:
            return []
        first = newest[-1]["day"]
        before = self._before(strategy_id, first)
        of_day: dict[int, list[Point]] = {}
        wanted = f"at_ns >= ? AND {DAY} <= ? ORDER BY at_ns"
        for point in self._points(strategy_id, wanted, start_of(first), until):
            of_day.setdefault(point.day, []).append(point)
        found = []
        for day, points in of_day.items():
            if day == today.day:  # what is held has moved since
                points.append(points[-1]._replace(net=self._net(strategy_id)))
            found.append(self._summary(strategy_id, before, points))
            before = points[-1]
        return found

    def _summary(self, strategy_id: str, before: Point, points: list[Point]) -> Row:
        day, end = points[0].day, points[-1]
        opening = self.standing.starting_cash
        equity = {"start_equity": text(opening + before.net), "end_equity": text(opening + end.net)}
        trades = self._rows(
            "SELECT quantity, price FROM trades WHERE broker = ? AND ? IN ('', strategy_id)"
            " AND traded_ns >= ? AND traded_ns < ?",
            *(strategy_id, start_of(day), start_of(day + 1)),
        )
        return {
            "date": date_of(day).isoformat(),
            **(equity if strategy_id == ACCOUNT else {}),
            "net_pnl": text(end.net - before.net),
            "charges": text(end.charges - before.charges),
            "trades": len(trades),
            "turnover": text(sum((row["quantity"] * Money(row["price"]) for row in trades), ZERO)),
            "max_drawdown": text(_deepest(before.net, (point.net for point in points))),
        }


def _deepest(start: Money, nets: Iterable[Money]) -> Money:
    """The largest fall from a highest point of the day, its start included."""
    top, fall = start, ZERO
    for net in nets:
        top = max(top, net)
        fall = max(fall, top - net)
    return fall

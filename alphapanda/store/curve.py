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

from alphapanda.core.holding import DAY_NS, IST_OFFSET_NS
from alphapanda.core.money import HUNDRED
from alphapanda.core.portfolio import Standing
from alphapanda.events import Figures, Money
from alphapanda.rows import Row, figures_row, standing_row, text
from alphapanda.store.offline import reading, standings_in

ZERO = Money(0)
ACCOUNT = ""
FIRST_DAY = date(1970, 1, 1).toordinal()
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


def daily(path: Path, days: int) -> dict[str, Row]:
    """By broker: `days`, a row for each of the newest so many, and `strategies`: the same by their ids."""
    with _curves(path) as curves:
        return {
            curve.broker: {
                "days": curve.daily(days),
                "strategies": {name: curve.daily(days, name) for name in curve.strategies()},
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
            figures, net = self._figures(name), self._net(name)
            today = net - self._before_today(name)
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
        """As the last commit has them; `ACCOUNT` only needs what is held."""
        held = self._rows(
            "SELECT quantity, last_price, realized_pnl, unrealized_pnl FROM positions WHERE broker = ?"
            " AND ? IN ('', strategy_id)",
            strategy_id,
        )
        paid = self._rows("SELECT charges FROM trades WHERE broker = ? AND strategy_id = ?", strategy_id)
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
        until = before * DAY_NS - IST_OFFSET_NS if before is not None else 2**63 - 1
        return next(self._points(strategy_id, "at_ns < ? ORDER BY at_ns DESC LIMIT 1", until), None)

    def _before_today(self, strategy_id: str) -> Money:
        """The net result with which the newest day began."""
        newest = self._last(ACCOUNT)
        before = None if newest is None else self._last(strategy_id, newest.day)
        return ZERO if before is None else before.net

    def daily(self, count: int, strategy_id: str = ACCOUNT) -> list[Row]:
        """The newest `count` days of the account, oldest first; of a strategy those with a point."""
        if not self._kept or not count:
            return []
        newest = self._rows(
            f"SELECT DISTINCT {DAY} AS day FROM equity WHERE broker = ? AND strategy_id = ''"  # noqa: S608
            f" ORDER BY day DESC LIMIT {count}"
        )
        if not newest:
            return []
        first, last = newest[-1]["day"], newest[0]["day"]
        before = self._last(strategy_id, first) or Point(first, ZERO, ZERO, ZERO)
        of_day: dict[int, list[Point]] = {}
        for point in self._points(strategy_id, "at_ns >= ? ORDER BY at_ns", first * DAY_NS - IST_OFFSET_NS):
            of_day.setdefault(point.day, []).append(point)
        found = []
        for day, points in of_day.items():
            if day == last:  # what is held has moved since
                points.append(points[-1]._replace(net=self._net(strategy_id)))
            found.append(self._summary(strategy_id, before, points))
            before = points[-1]
        return found

    def _summary(self, strategy_id: str, before: Point, points: list[Point]) -> Row:
        day, end = points[0].day, points[-1]
        opening = self.standing.starting_cash
        equity = {"start_equity": text(opening + before.net), "end_equity": text(opening + end.net)}
        start_ns = day * DAY_NS - IST_OFFSET_NS
        trades = self._rows(
            "SELECT quantity, price FROM trades WHERE broker = ? AND ? IN ('', strategy_id)"
            " AND traded_ns >= ? AND traded_ns < ?",
            *(strategy_id, start_ns, start_ns + DAY_NS),
        )
        return {
            "date": date.fromordinal(FIRST_DAY + day).isoformat(),
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

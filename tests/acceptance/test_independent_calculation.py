"""A second opinion: momentum, fills, charges and the book computed again, from the written rules alone.

The calculation imports nothing of the package. It reads the files itself, keeps decimals throughout, and the
installed command must come to the same trades, orders, positions and cash, in both shells, to the paisa.
"""

import csv
import gzip
import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import running

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not here: {DATA}")

IST = timezone(timedelta(hours=5, minutes=30))
TICK_SIZE, PAISA = Decimal("0.05"), Decimal("0.01")
STARTING_CASH = Decimal(100_000_000)
RISK_OFF = dict.fromkeys(
    (
        "max_order_quantity",
        "max_order_value",
        "max_position_quantity",
        "max_open_positions",
        "max_orders_per_second",
        "max_orders_per_minute",
        "max_orders_per_day",
        "max_price_deviation_percent",
        "max_price_age_s",
        "duplicate_window_s",
    ),
    0,
)


class Row(NamedTuple):
    at: datetime
    file: int
    number: int
    symbol: str
    first: Decimal
    """Where an order of the row before trades: the open of a bar, the price of a tick."""
    last: Decimal
    """What the strategy sees: the close of a bar, the price of a tick."""


@dataclass
class Order:
    symbol: str
    side: str
    created: datetime
    status: str = "OPEN"
    updated: datetime | None = None
    price: Decimal | None = None


class Trade(NamedTuple):
    order: Order
    price: Decimal
    charges: Decimal
    at: datetime

    @property
    def sign(self) -> int:
        return 1 if self.order.side == "BUY" else -1


@dataclass
class Book:
    slippage: Decimal
    commission: Decimal
    cash: Decimal = STARTING_CASH
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    lots: dict[str, deque[Decimal]] = field(default_factory=dict)
    realised: dict[str, Decimal] = field(default_factory=dict)
    listed: dict[str, Decimal] = field(default_factory=dict)
    """What a position's row says was realised: a new day forgets the positions that are flat."""
    last: dict[str, Decimal] = field(default_factory=dict)
    rows: int = 0

    def fill(self, order: Order, row: Row) -> None:
        """At the next row of the instrument, slipped and rounded to the tick against the trader."""
        up = order.side == "BUY"
        slipped = row.first * (1 + self.slippage if up else 1 - self.slippage)
        price = (slipped / TICK_SIZE).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * TICK_SIZE
        charges = (price * self.commission).quantize(PAISA, ROUND_HALF_UP)
        order.status, order.updated, order.price = "FILLED", row.at, price
        trade = Trade(order, price, charges, row.at)
        self.trades.append(trade)
        self.cash -= trade.sign * price + charges
        lots = self.lots.setdefault(row.symbol, deque())
        realised = self.realised.setdefault(row.symbol, Decimal(0))
        self.listed.setdefault(row.symbol, Decimal(0))
        if up:
            lots.append(price)
        else:
            gained = price - lots.popleft()
            self.realised[row.symbol] = realised + gained
            self.listed[row.symbol] += gained

    def new_day(self) -> None:
        self.listed = {symbol: gained for symbol, gained in self.listed.items() if self.lots[symbol]}

    def portfolio(self) -> dict[str, Decimal]:
        held = sum((self.last[symbol] * len(lots) for symbol, lots in self.lots.items()), Decimal(0))
        equity = self.cash + held
        realised = sum(self.realised.values(), Decimal(0))
        charges = sum((trade.charges for trade in self.trades), Decimal(0))
        return {
            "starting_cash": STARTING_CASH,
            "cash": self.cash,
            "equity": equity,
            "realized_pnl": realised,
            "unrealized_pnl": equity - STARTING_CASH - realised + charges,
            "charges": charges,
        }


def rows_of(path: Path, file: int) -> Iterator[Row]:
    """In file order: older than the newest accepted is dropped, equal to one of the same time is one row."""
    symbol = path.name.split(".")[0].split("_")[0]
    newest, twins = datetime.min.replace(tzinfo=IST), set()
    with gzip.open(path, "rt", newline="") as lines:
        for number, raw in enumerate(csv.DictReader(lines, skipinitialspace=True)):
            row = {name.lower(): value for name, value in raw.items()}
            at = datetime.fromisoformat(row.get("timestamp") or row["date"]).replace(tzinfo=IST)
            if at < newest or at.year < 2000:
                continue
            if at > newest:
                newest, twins = at, set()
            names = ("ltp",) if "ltp" in row else ("open", "high", "low", "close")
            prices = tuple(Decimal(row[name]) for name in names)
            twin = (*prices, row["volume"])
            if twin in twins:
                continue
            twins.add(twin)
            yield Row(at, file, number, symbol, prices[0], prices[-1])


def calculated(case: "Case") -> Book:
    """Row by row through the merged files: fill what waits, then ask whether momentum wants to trade."""
    book = Book(Decimal(case.slippage) / 100, Decimal(case.commission) / 100)
    paths, lookback, buy, sell = case.paths(), case.lookback, Decimal(case.buy), Decimal(case.sell)
    waiting: dict[str, Order] = {}
    windows: dict[str, deque[Decimal]] = {}
    long: set[str] = set()
    day = None
    for row in heapq.merge(*[list(rows_of(path, file)) for file, path in enumerate(paths)]):
        book.rows += 1
        if row.at.date() != day:
            day = row.at.date()
            book.new_day()
        if row.symbol in waiting:
            book.fill(waiting.pop(row.symbol), row)
        book.last[row.symbol] = row.last
        window = windows.setdefault(row.symbol, deque(maxlen=lookback + 1))
        window.append(row.last)
        if len(window) <= lookback:
            continue
        change = window[-1] / window[0]
        if change >= buy and row.symbol not in long:
            side = "BUY"
            long.add(row.symbol)
        elif change <= sell and row.symbol in long:
            side = "SELL"
            long.discard(row.symbol)
        else:
            continue
        waiting[row.symbol] = Order(row.symbol, side, row.at)
        book.orders.append(waiting[row.symbol])
    for order in waiting.values():
        order.status = "CANCELLED"
    return book


class Case(NamedTuple):
    """What is calculated, and how many rows and trades that is. Slippage and commission in percent."""

    folder: str
    without: tuple[str, ...]
    lookback: int
    buy: str
    sell: str
    rows: int
    trades: int
    slippage: str = "0.05"
    commission: str = "0.1"

    def paths(self) -> list[Path]:
        found = sorted((DATA / self.folder).glob("*.csv.gz"))
        return [path for path in found if path.name.partition(".")[0] not in self.without]


CASES = {
    "minute bars of 13 stocks": Case(
        "candles/stock_1min_2016", ("INDIAVIX",), 5, "1.003", "0.997", rows=87_651, trades=812
    ),
    "a day of ticks of 10 stocks": Case(
        "ticks/nse_eq_2021/2021-04-06", ("NIFTY", "BANKNIFTY"), 30, "1.002", "0.998", rows=210_325, trades=177
    ),
    "many small moves at other costs": Case(
        "candles/stock_1min_2016",
        ("INDIAVIX", "AXISBANK", "HDFCBANK", "ICICIBANK", "INFY", "ITC", "LT", "MARUTI", "RELIANCE"),
        3,
        "1.001",
        "0.999",
        rows=33_712,
        trades=2_538,
        slippage="0.1",
        commission="0.03",
    ),
}


class Runs(NamedTuple):
    case: Case
    book: Book
    live: dict[str, Any]
    """orders, trades, positions and portfolio as the store's commands print them."""
    backtest: dict[str, Any]


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def runs(request, tmp_path_factory) -> Runs:
    case = CASES[request.param]
    folder, paths = tmp_path_factory.mktemp("run"), case.paths()
    symbols = [path.name.partition(".")[0] for path in paths]
    running.write_config(
        folder,
        paper_trading={
            "starting_cash": float(STARTING_CASH),
            "slippage_percent": float(case.slippage),
            "commission_percent": float(case.commission),
        },
        risk=RISK_OFF,
        strategies=[
            running.strategy(
                instruments=[f"NSE:{symbol}" for symbol in symbols],
                params={
                    "lookback_period": case.lookback,
                    "buy_threshold": float(case.buy),
                    "sell_threshold": float(case.sell),
                },
            )
        ],
    )
    data = [word for path in paths for word in ("--data", path)]
    words = ["run", "--feed", "replay", *data, "--speed", "max", "--until-end", "--no-calendar"]
    ended = running.run(folder, *words, within=120)
    assert ended.code == 0, ended.stderr
    live = {name: running.answer(folder, name) for name in ("orders", "trades", "positions", "portfolio")}
    backtest = running.answer(folder, "backtest", *data, "--no-calendar")
    return Runs(case, calculated(case), live, backtest)


def clock(moment: datetime | None) -> str:
    assert moment is not None
    return moment.isoformat()


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """Row by row; of what is found only the fields that the calculation knows."""
    wrong = [
        f"row {number}: { ({name: row[name] for name in wanted}) } instead of {wanted}"
        for number, (row, wanted) in enumerate(zip(found, expected, strict=False), 1)
        if {name: row[name] for name in wanted} != wanted
    ]
    if len(found) != len(expected):
        wrong.append(f"{len(found)} rows instead of {len(expected)}")
    return wrong[:5]


def expected_trades(book: Book) -> list[dict[str, Any]]:
    return [
        {
            "broker": "paper",
            "strategy_id": "momentum_1",
            "tradingsymbol": trade.order.symbol,
            "transaction_type": trade.order.side,
            "quantity": 1,
            "price": float(trade.price),
            "charges": float(trade.charges),
            "traded_at": clock(trade.at),
        }
        for trade in book.trades
    ]


def expected_orders(book: Book) -> list[dict[str, Any]]:
    return [
        {
            "broker": "paper",
            "strategy_id": "momentum_1",
            "tradingsymbol": order.symbol,
            "exchange": "NSE",
            "transaction_type": order.side,
            "order_type": "MARKET",
            "quantity": 1,
            "filled_quantity": 0 if order.price is None else 1,
            "price": None,
            "average_price": None if order.price is None else float(order.price),
            "status": order.status,
            "created_at": clock(order.created),
        }
        | ({} if order.updated is None else {"updated_at": clock(order.updated)})
        for order in book.orders
    ]


def expected_positions(book: Book) -> list[dict[str, Any]]:
    """By symbol; flat ones stay for the day. One unit a lot, so the average is that of one open lot."""
    return [
        {
            "broker": "paper",
            "strategy_id": "momentum_1",
            "tradingsymbol": symbol,
            "exchange": "NSE",
            "quantity": len(lots),
            "average_price": float(sum(lots, Decimal(0)) / len(lots)) if lots else 0.0,
            "last_price": float(book.last[symbol]),
            "realized_pnl": float(book.listed[symbol]),
            "unrealized_pnl": float(book.last[symbol] * len(lots) - sum(lots, Decimal(0))),
        }
        for symbol, lots in sorted(book.lots.items())
        if symbol in book.listed
    ]


def test_the_calculation_is_of_the_whole_data(runs):
    assert (runs.book.rows, len(runs.book.trades)) == (runs.case.rows, runs.case.trades)
    assert runs.backtest["summary"]["rows"] == runs.case.rows


@pytest.mark.parametrize("shell", ["live", "backtest"])
def test_every_trade_is_as_calculated(runs, shell):
    assert differences(getattr(runs, shell)["trades"], expected_trades(runs.book)) == []


@pytest.mark.parametrize("shell", ["live", "backtest"])
def test_every_order_is_as_calculated(runs, shell):
    assert differences(getattr(runs, shell)["orders"], expected_orders(runs.book)) == []


@pytest.mark.parametrize("shell", ["live", "backtest"])
def test_every_trade_belongs_to_the_order_that_was_calculated(runs, shell):
    document = getattr(runs, shell)
    number = {row["order_id"]: index for index, row in enumerate(document["orders"])}
    place = {id(order): index for index, order in enumerate(runs.book.orders)}
    expected = [place[id(trade.order)] for trade in runs.book.trades]
    assert [number[row["order_id"]] for row in document["trades"]] == expected
    assert len({row["trade_id"] for row in document["trades"]}) == len(expected)


def test_the_cases_have_what_rounding_and_the_end_of_data_decide():
    """Half a paisa that half-even would round down, and an order that nothing fills any more."""
    book = calculated(CASES["many small moves at other costs"])
    exact = [trade.price * book.commission for trade in book.trades]
    assert any(
        amount.quantize(PAISA, ROUND_HALF_EVEN) < amount.quantize(PAISA, ROUND_HALF_UP) for amount in exact
    )
    assert "CANCELLED" in {order.status for order in book.orders}


def test_the_positions_are_as_calculated(runs):
    assert differences(runs.live["positions"], expected_positions(runs.book)) == []


def test_the_portfolio_is_as_calculated(runs):
    expected = {name: float(amount) for name, amount in runs.book.portfolio().items()}
    found = runs.live["portfolio"]["paper"]
    assert {name: found[name] for name in expected} == expected
    summary = runs.backtest["summary"]
    assert {name: summary[name] for name in expected if name != "cash"} == {
        name: amount for name, amount in expected.items() if name != "cash"
    }
    gained = sum(runs.book.realised.values(), Decimal(0)) + runs.book.portfolio()["unrealized_pnl"]
    assert summary["gross_profit"] == float(gained)


def test_both_shells_print_the_same_rows(runs):
    """Every field but the tag, which is unique to a store."""
    assert runs.live["trades"] == runs.backtest["trades"]
    without_tag = [
        [{name: value for name, value in row.items() if name != "tag"} for row in shell["orders"]]
        for shell in (runs.live, runs.backtest)
    ]
    assert without_tag[0] == without_tag[1]

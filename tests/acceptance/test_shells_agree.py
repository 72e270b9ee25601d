"""Whatever the data, the strategies and the limits: the loop and the live line come to the same rows.

The live side is the real daemon in this process, with its five tasks, its queues and its SQLite store. It is
also stopped at some row and started again, and what its stages took in is fed to fresh cores.
"""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import pytest
import running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from loguru import logger
from msgspec.structs import replace

from alphapanda.backtest import Result, run_backtest
from alphapanda.config import Loaded, load
from alphapanda.core.portfolio import Standing
from alphapanda.events import Money
from alphapanda.live import opening
from alphapanda.live.daemon import Daemon
from alphapanda.live.options import Options
from alphapanda.pipeline import Cores, build_cores
from alphapanda.rows import MONEY, Row, position_row, standing_row
from alphapanda.store import offline
from alphapanda.venues.contract import FiniteFeed
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet
from alphapanda.venues.simulated import SimulatedSession, instrument_of

SYMBOLS = ("INFY", "RELIANCE", "SBIN", "TCS")
OPENING = datetime(2024, 1, 31, 15, 20)  # ten minutes before the close, so that a calendar matters
EARLIER = datetime(2024, 1, 31, 15, 12)
"""A while before positions are squared off, with the keys of `ENDS`."""
ENDS = (
    {"square_off": {"enabled": True, "minutes_before": 5, "entries_stop_minutes": 1}},
    {"paper_trading": {"rms_square_off": True}},
    {
        "square_off": {"enabled": True, "minutes_before": 2, "entries_stop_minutes": 0},
        "paper_trading": {"rms_square_off": True},
    },
)
REPEATABLE = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],  # add Phase.shrink to look into a failure: it may take minutes
)
SECONDS = [0, 0, 0, 1, 1, 1, 1, 2, 30, 300, -1, -20]
"""From one row of a file to its next: ties, gaps, and steps back."""
LIMITS = {
    "max_order_quantity": [0, 10],
    "max_order_value": [0.0, 800.0, 1500.0],
    "max_position_quantity": [0, 5, 12],
    "max_position_value": [0.0, 1200.0],
    "max_open_positions": [0, 1, 2],
    "max_orders_per_second": [0, 1],
    "max_orders_per_minute": [0, 2, 4],
    "max_orders_per_day": [0, 3, 15],
    "max_price_deviation_percent": [0.0, 5.0],
    "duplicate_window_s": [0.0, 1.0, 120.0],
}
CASH = [1500.0, 10_000.0, 1_000_000.0]
MOVES = [-40, -11, -3, -1, 0, 0, 1, 3, 11, 40]
"""In ticks of 0.05 rupees."""


def folder_in(factory: pytest.TempPathFactory) -> tempfile.TemporaryDirectory[str]:
    """Each example has its own."""
    return tempfile.TemporaryDirectory(dir=factory.getbasetemp())


class File(NamedTuple):
    symbol: str
    bars: bool
    rows: int
    seed: int

    def write(self, folder: Path, opening: datetime) -> None:
        """A random walk with ties, gaps, rows out of order and rows that are there twice."""
        folder.mkdir(exist_ok=True)
        chance, at, price = Random(self.seed), opening, 2000
        lines = ["timestamp,open,high,low,close,volume" if self.bars else "timestamp,ltp,volume"]
        for number in range(self.rows):
            at += timedelta(seconds=chance.choice(SECONDS) * (60 if self.bars else 1))
            first = price = max(1, price + chance.choice(MOVES))
            price = max(1, price + chance.choice(MOVES))
            figures = [first, max(first, price) + 1, max(1, min(first, price) - 1), price]
            shown = [f"{ticks * 5 / 100:.2f}" for ticks in (figures if self.bars else [price])]
            lines += [",".join([str(at), *shown, str(number * 10)])] * chance.choice([1] * 9 + [2])
        (folder / f"{self.symbol}.csv").write_text("\n".join([*lines, ""]))


class World(NamedTuple):
    """Everything that a run depends on."""

    files: list[File]
    strategies: list[dict[str, Any]]
    limits: dict[str, Any]
    starting_cash: float
    calendar: bool
    end: dict[str, dict[str, Any]]
    """What squares off intraday positions; nothing does where it is empty."""

    def lay_out(self, folder: Path) -> Loaded:
        for file in self.files:
            file.write(folder / "prices", EARLIER if self.end else OPENING)
        config = running.write_config(
            folder,
            strategies=self.strategies,
            risk=self.limits,
            paper_trading={"starting_cash": self.starting_cash} | self.end.get("paper_trading", {}),
            square_off=self.end.get("square_off", {}),
        )
        return load(config, environ={}, cwd=folder)


def invented(chance: Random) -> World:
    """Both strategies may trade the same instruments; about a third of the limits are set."""
    files = [
        File(symbol, chance.random() < 0.5, chance.randint(5, 100), chance.randrange(2**32))
        for symbol in chance.sample(SYMBOLS, chance.randint(1, 4))
    ]
    limits = {key: chance.choice(values) for key, values in LIMITS.items() if chance.random() < 0.35}
    strategies = [momentum(chance, strategy_id) for strategy_id in ("momentum_1", "momentum_2")]
    cash, calendar = chance.choice(CASH), chance.random() < 0.4
    end = chance.choice(ENDS) if chance.random() < 0.4 else {}
    return World(files, strategies, limits, cash, calendar=calendar or bool(end), end=end)


def momentum(chance: Random, strategy_id: str) -> dict[str, Any]:
    per_mille = [0.1, 0.2, 0.5, 1, 5, 10]
    return running.strategy(
        strategy_id,
        instruments=[f"NSE:{symbol}" for symbol in chance.sample(SYMBOLS, chance.randint(2, 4))],
        params={
            "lookback_period": chance.randint(1, 6),
            "buy_threshold": 1 + chance.choice(per_mille) / 1000,
            "sell_threshold": 1 - chance.choice(per_mille) / 1000,
            "quantity": chance.randint(1, 20),
            "allow_short": chance.random() < 0.5,
        },
    )


WORLDS = st.builds(invented, st.randoms(use_true_random=True))
"""Each from its own seed, drawn by hypothesis: far apart from each other, and the same at every run."""


class Outcome(NamedTuple):
    """What both shells leave, with exact money."""

    orders: list[Row]
    trades: list[Row]
    signals: list[Row]
    positions: list[Row]
    standings: dict[str, Row]


@pytest.fixture(autouse=True)
def quiet_log():
    logger.remove()


def exact(rows: list[Row]) -> list[Row]:
    """Money as numbers, so that 100 is 100.00; no tag, which is unique to a store."""
    return [
        {name: Money(value) if name in MONEY and value is not None else value for name, value in row.items()}
        for row in ({name: value for name, value in row.items() if name != "tag"} for row in rows)
    ]


def of_standings(standings: list[Standing]) -> dict[str, Row]:
    return {standing.broker: exact([standing_row(standing)])[0] for standing in standings}


def by_loop(loaded: Loaded, world: World) -> Outcome:
    book = InstrumentBook()
    feed = DataSet(loaded.settings.feed.replay.paths, book)
    return looped(loaded, feed, book, calendar=world.calendar)


def looped(loaded: Loaded, feed: FiniteFeed, book: InstrumentBook, *, calendar: bool) -> Outcome:
    result: Result = run_backtest(loaded, feed, book, calendar=calendar)
    assert not result.ledger.failures
    key = ("strategy_id", "exchange", "tradingsymbol")
    positions = [position_row(position) for position in result.positions]
    return Outcome(
        exact(result.orders),
        exact(result.trades),
        exact(result.signals),
        exact(sorted(positions, key=lambda row: [row[name] for name in key])),
        of_standings(list(result.standings.values())),
    )


def stored(loaded: Loaded) -> Outcome:
    path = Path(loaded.settings.storage.path)
    orders, trades, signals, positions = (
        exact(offline.rows(path, table)) for table in ("orders", "trades", "signals", "positions")
    )
    return Outcome(orders, trades, signals, positions, of_standings(offline.standings(path)))


def live(loaded: Loaded, world: "World | Simulated", *, stop_after: int | None = None) -> int:
    """The daemon until the data ends, or until it is stopped after some row; the last row it walked."""

    async def run() -> int:
        daemon = Daemon(loaded, Options(speed=None, until_end=True, calendar=world.calendar))

        async def stop_in_time(after: int) -> None:
            while daemon.walk is None or daemon.walk.row < after:
                await anyio.lowlevel.checkpoint()
            daemon.stop()

        async with anyio.create_task_group() as group:
            if stop_after is not None:
                group.start_soon(stop_in_time, stop_after)
            assert await daemon.run() == 0
            group.cancel_scope.cancel()
        assert daemon.walk is not None
        return daemon.walk.row

    return anyio.run(run)


def rows_of(loaded: Loaded) -> int:
    return sum(1 for _ in DataSet(loaded.settings.feed.replay.paths, InstrumentBook()).batches())


@REPEATABLE
@given(world=WORLDS)
def test_the_loop_and_the_live_line_leave_the_same_rows(tmp_path_factory, world):
    with folder_in(tmp_path_factory) as folder:
        loaded = world.lay_out(Path(folder))
        assert live(loaded, world) == rows_of(loaded)
        assert stored(loaded) == by_loop(loaded, world)


@REPEATABLE
@given(world=WORLDS, stops=st.lists(st.integers(1, 120), min_size=1, max_size=3).map(sorted))
def test_a_line_that_was_stopped_and_started_leaves_the_rows_of_one_that_was_not(
    tmp_path_factory, world, stops
):
    with folder_in(tmp_path_factory) as folder:
        loaded = world.lay_out(Path(folder))
        for stop_after in stops:
            live(loaded, world, stop_after=stop_after)
        assert live(loaded, world) == rows_of(loaded)
        assert stored(loaded) == by_loop(loaded, world)


@REPEATABLE
@given(world=WORLDS)
def test_the_recorded_inbox_of_each_stage_replays_to_the_same_outputs(tmp_path_factory, world):
    """What a core took in is all that its decisions depend on: no clock, no chance, no shared state."""
    recorded: dict[str, list[tuple[object, list[object]]]] = {}
    fresh: list[Cores] = []

    def build_recorded(plan: Any, saved: Any) -> Cores:
        again = replace(plan, strategies=[strategy.fresh() for strategy in plan.strategies])
        fresh.append(build_cores(again, saved))
        cores = build_cores(plan, saved)
        for stage, core in cores._asdict().items():
            core.on = recording(core.on, recorded.setdefault(stage, []))
        return cores

    with (
        tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(opening, "build_cores", build_recorded)
        live(world.lay_out(Path(folder)), world)
    (cores,) = fresh
    cores.strategy.start()
    assert set(recorded) == set(Cores._fields)
    for stage, inbox in recorded.items():
        core = getattr(cores, stage)
        for event, outputs in inbox:
            assert core.on(event) == outputs, (stage, event)


def recording(on: Any, inbox: list[tuple[object, list[object]]]) -> Any:
    def recorded(event: object) -> list[object]:
        outputs = on(event)
        inbox.append((event, list(outputs)))
        return outputs

    return recorded


class Simulated(NamedTuple):
    """A simulated day: several names a row, strategies of every kind on the same names, tight limits."""

    seed: int
    calendar: bool = True
    names: tuple[str, ...] = ("NSE:INFY", "NSE:ITC", "NSE:NOBODY")

    def lay_out(self, folder: Path) -> Loaded:
        thresholds = {"lookback_period": 5, "buy_threshold": 1.0005, "sell_threshold": 0.9995}
        kinds = {
            "momentum:MomentumStrategy": thresholds,
            "mean_reversion:MeanReversionStrategy": {"window": 60, "stop_z": 3.0},
            "opening_range:OpeningRangeStrategy": {"max_trades": 3, "stop_percent": 0.2},
        }
        config = running.write_config(
            folder,
            feed={
                "source": "simulated",
                "simulated": {"seed": self.seed, "volatility": 3.0, "instruments": list(self.names)},
            },
            strategies=[
                {
                    "id": f"strategy_{number}",
                    "class": f"strategies.{kind}",
                    "instruments": list(self.names),
                    "params": params | {"allow_short": True, "quantity": 5},
                }
                for number, (kind, params) in enumerate(kinds.items())
            ],
            risk={"max_open_positions": 2, "max_orders_per_minute": 6, "duplicate_window_s": 20.0},
        )
        return load(config, environ={}, cwd=folder)

    def looped(self, loaded: Loaded) -> Outcome:
        book, feed = InstrumentBook(map(instrument_of, self.names)), loaded.settings.feed.simulated
        day = SimulatedSession(self.names, book, seed=feed.seed, volatility=feed.volatility)
        return looped(loaded, day, book, calendar=self.calendar)


def test_the_loop_and_the_live_line_leave_the_same_rows_of_a_simulated_day(tmp_path):
    world = Simulated(seed=4)
    loaded = world.lay_out(tmp_path)
    live(loaded, world)
    outcome = stored(loaded)
    assert outcome == world.looped(loaded)
    assert len(outcome.trades) > 100
    assert {trade["strategy_id"] for trade in outcome.trades} == {f"strategy_{n}" for n in range(3)}
    refused = {signal["rule"] for signal in outcome.signals if signal["verdict"] == "refused"}
    assert {"max_open_positions", "max_orders_per_minute", "duplicate_window_s"} <= refused


VARIOUS = """
from alphapanda.core.strategy import Strategy
from alphapanda.events import PositionEffect

TERMS = [
    {},
    {"price": -3},
    {"price": 1, "validity": "IOC"},
    {"price": -3, "validity": "TTL", "validity_ttl": 2},
    {"trigger_price": 2, "price": 4},
    {"trigger_price": 2},
]


class Various(Strategy):
    def prepare(self):
        self.seen = 0
        self.heard = 0

    def on_order_update(self, order):
        self.heard += order.status.ended

    def on_fill(self, fill):
        self.heard += fill.quantity

    def on_market_data(self, tick):
        self.seen += 1
        if self.seen % 97:
            return []
        number = self.seen // 97 + self.heard
        sign = 1 if number % 2 else -1
        terms = dict(TERMS[number % len(TERMS)])
        for name in {"price", "trigger_price"} & terms.keys():
            terms[name] = round(tick.last_price + sign * terms[name] * 0.05, 2)
        return [(self.buy if sign > 0 else self.sell)(tick, 30_000, **terms)]
"""
"""More than stands in a book, by orders of every kind; what it asks for depends on all that it hears."""


def test_orders_of_every_kind_meet_the_same_books_in_both_shells_and_after_stops(tmp_path):
    (tmp_path / "various.py").write_text(VARIOUS)
    world = Simulated(seed=7, names=("NSE:ITC", "NSE:NOBODY"))
    config = running.write_config(
        tmp_path,
        feed={"source": "simulated", "simulated": {"seed": world.seed, "instruments": list(world.names)}},
        strategies=[
            {
                "id": "various",
                "class": "various:Various",
                "instruments": list(world.names),
                "params": {},
            }
        ],
        paper_trading={"starting_cash": 900_000_000.0},
        risk={"max_order_quantity": 0, "max_position_quantity": 0, "max_order_value": 0.0},
    )
    loaded = load(config, environ={}, cwd=tmp_path)
    for stop_after in (2_000, 5_000, 5_001, 12_000):
        live(loaded, world, stop_after=stop_after)
    live(loaded, world)
    outcome = stored(loaded)
    assert outcome == world.looped(loaded)
    assert {order["order_type"] for order in outcome.orders} == {"MARKET", "LIMIT", "SL", "SL-M"}
    assert {order["status"] for order in outcome.orders} == {"FILLED", "CANCELLED"}
    assert {order["reason"][:3] for order in outcome.orders if order["reason"]} == {"IOC", "TTL"}
    assert len(outcome.trades) > len(outcome.orders)


def test_the_worlds_tried_above_trade_and_are_refused(tmp_path_factory):
    """The properties are worth something: over their examples all of this occurs."""
    seen: set[object] = set()

    @REPEATABLE
    @given(WORLDS)
    def look(world: World) -> None:
        with folder_in(tmp_path_factory) as folder:
            outcome = by_loop(world.lay_out(Path(folder)), world)
        seen.update((row["verdict"], row["rule"]) for row in outcome.signals)
        seen.update(row["status"] for row in outcome.orders)
        seen.update("short" for row in outcome.positions if row["quantity"] < 0)

    look()
    assert {"FILLED", "CANCELLED", "short", ("approved", None)} <= seen
    rules = ("available_cash", "max_order_value", "max_position_quantity", "max_open_positions")
    rules += ("max_orders_per_second", "max_orders_per_day", "duplicate_window_s", "market_closed")
    assert {("refused", rule) for rule in rules} <= seen

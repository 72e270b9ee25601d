"""A day of real ticks with the risk limits that a new configuration has: both shells, refusals included."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import running

from alphapanda.backtest import Result, run_backtest
from alphapanda.config import KEYS, load
from alphapanda.core.rules import RULES
from alphapanda.rows import for_people, position_row, standing_row
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ticks" / "nse_eq_2021" / "2021-04-06"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not here: {DATA}")
INDICES = ("NIFTY", "BANKNIFTY")
VERDICTS = {"approved", "refused", "nothing_to_close", "dropped"}
RULE_CODES = {rule.code for rule in RULES} | {"nothing_to_close", "market_closed"}


class Runs(NamedTuple):
    live: dict[str, Any]
    backtest: Result


@pytest.fixture(scope="module", params=[1, 250], ids=lambda quantity: f"quantity-{quantity}")
def runs(request, tmp_path_factory) -> Runs:
    """250 units are more than a million rupees can pay for, and of some shares over the value limit."""
    folder = tmp_path_factory.mktemp("limits")
    found = sorted(DATA.glob("*.csv.gz"))
    paths = [path for path in found if path.name.partition(".")[0] not in INDICES]
    symbols = [f"NSE:{path.name.partition('.')[0]}" for path in paths]
    params = {"lookback_period": 30, "buy_threshold": 1.002, "sell_threshold": 0.998}
    config = running.write_config(
        folder,
        strategies=[running.strategy(instruments=symbols, params=params | {"quantity": request.param})],
    )
    data = [word for path in paths for word in ("--data", path)]
    words = ["run", "--feed", "replay", *data, "--speed", "max", "--until-end", "--no-calendar"]
    ended = running.run(folder, *words, within=120)
    assert ended.code == 0, ended.stderr
    tables = ("orders", "trades", "positions", "portfolio", "signals")
    live = {name: running.answer(folder, name) for name in tables}
    book = InstrumentBook()
    backtest = run_backtest(load(config, environ={}), DataSet(paths, book), book, calendar=False)
    return Runs(live, backtest)


def without_tag(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "tag"} for row in rows]


def test_the_limits_are_the_defaults():
    """What this file is about: nothing in it sets a limit, and the defaults are the ones promised."""
    promised = {
        "risk.max_order_quantity": 1000,
        "risk.max_order_value": 500_000,
        "risk.max_position_quantity": 5000,
        "risk.max_position_value": 0,
        "risk.max_open_positions": 50,
        "risk.max_orders_per_second": 8,
        "risk.max_orders_per_minute": 300,
        "risk.max_orders_per_day": 3000,
        "risk.max_price_deviation_percent": 5,
        "risk.max_price_age_s": 5,
        "risk.duplicate_window_s": 1,
        "paper_trading.starting_cash": 1_000_000,
    }
    assert {name: KEYS[name].default for name in promised} == promised


def test_every_signal_has_the_same_verdict_in_both_shells(runs):
    expected = [for_people(row) for row in runs.backtest.signals]
    assert runs.live["signals"] == expected
    assert len({(row["signal_id"], row["broker"]) for row in expected}) == len(expected) > 100


def test_every_verdict_has_its_rule_and_its_reason(runs):
    for row in runs.live["signals"]:
        assert row["verdict"] in VERDICTS
        if row["verdict"] == "approved":
            assert row["rule"] is None
        else:
            assert row["rule"] in RULE_CODES
            assert any(letter.isdigit() for letter in row["reason"]) or "holds nothing" in row["reason"]


def test_orders_trades_positions_and_portfolio_are_the_same_in_both_shells(runs):
    live, backtest = runs
    document = backtest.document()
    assert without_tag(live["orders"]) == without_tag(document["orders"])
    assert live["trades"] == document["trades"]
    positions = sorted(backtest.positions, key=lambda position: position.instrument.tradingsymbol)
    assert live["positions"] == [for_people(position_row(position)) for position in positions]
    for broker, standing in backtest.standings.items():
        figures = for_people(standing_row(standing))
        assert {name: live["portfolio"][broker][name] for name in figures} == figures


def test_each_approval_is_an_order_and_nothing_else_is(runs):
    verdicts = Counter(row["verdict"] for row in runs.live["signals"])
    assert verdicts["approved"] == len(runs.live["orders"]) == runs.backtest.summary["orders"]
    assert runs.backtest.summary["refused"] == verdicts.total() - verdicts["approved"]


def test_large_orders_meet_the_limits_and_small_ones_do_not(runs):
    rules = {row["rule"] for row in runs.live["signals"]} - {None}
    quantity = runs.live["signals"][0]["quantity"]
    assert rules == ({"max_order_value", "available_cash"} if quantity > 1 else set())

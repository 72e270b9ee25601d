"""With Zerodha's charges both shells come to the same charges and the same cash, and to those of the rates.

The charges are worked out again here, from the rates of the oldest rows, in fractions.
"""

from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
import running

from alphapanda.events import Money

DAY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ticks" / "nse_eq_2021" / "2021-04-06"
SYMBOLS = ("INFY", "SBIN", "TCS")
DP = 1593
"""In paise."""
ZERODHA = {"charges": "zerodha", "starting_cash": 10_000_000.0}


def expected(trade, product, paid):
    """In paise, of an order that traded at once; `paid` are the symbols that the depository has charged."""
    turnover = Fraction(str(trade["price"])) * trade["quantity"]
    buys, delivered = trade["transaction_type"] == "BUY", product == "CNC"
    brokerage = 0 if delivered else min(turnover * 3 / 10_000, 20)
    exchange, sebi = turnover * Fraction("0.0000345"), turnover / 1_000_000
    protection = turnover / 10**9
    tax = turnover / 1000 if delivered else 0 if buys else turnover / 4000
    stamp = turnover * Fraction("0.00015" if delivered else "0.00003") if buys else 0
    total = brokerage + exchange + protection + sebi + tax + stamp + (brokerage + exchange + sebi) * 18 / 100
    first = delivered and not buys and trade["tradingsymbol"] not in paid
    paid |= {trade["tradingsymbol"]} if first else set()
    return floor(total * 100 + Fraction(1, 2)) + (DP if first else 0)


@pytest.mark.skipif(not DAY.is_dir(), reason=f"the real data is not here: {DAY}")
@pytest.mark.parametrize("product", ["MIS", "CNC"])
def test_backtest_and_paper_agree_on_every_charge_of_a_real_day_and_on_cash(tmp_path, product):
    params = {"lookback_period": 30, "buy_threshold": 1.002, "sell_threshold": 0.998, "quantity": 70}
    running.write_config(
        tmp_path,
        feed={"source": "replay", "replay": {"paths": [str(DAY / f"{name}.csv.gz") for name in SYMBOLS]}},
        paper_trading=ZERODHA,
        zerodha={"product": product},
        strategies=[running.strategy(instruments=[f"NSE:{name}" for name in SYMBOLS], params=params)],
    )
    ended = running.run(tmp_path, "run", "--speed", "max", "--until-end")
    assert ended.code == 0, ended.stderr
    live = {name: running.answer(tmp_path, name) for name in ("orders", "trades")}
    done = running.run(tmp_path, "backtest", "--json")
    assert "not all charges before 2023-01-01 are known" in done.stderr
    backtest = done.document

    facts = ("tradingsymbol", "transaction_type", "quantity", "price", "charges", "traded_at")
    rows = [[trade[fact] for fact in facts] for trade in live["trades"]]
    assert rows == [[trade[fact] for fact in facts] for trade in backtest["trades"]]
    assert len(rows) > 30

    paid = set()
    charges = [expected(trade, product, paid) for trade in live["trades"]]
    assert [round(trade["charges"] * 100) for trade in live["trades"]] == charges

    portfolio = running.answer(tmp_path, "portfolio")["paper"]
    spent = sum(
        (1 if trade["transaction_type"] == "BUY" else -1) * Money(str(trade["price"])) * trade["quantity"]
        for trade in live["trades"]
    )
    cash = Money(10_000_000) - spent - Money(sum(charges)) / 100
    assert Money(str(portfolio["cash"])) == cash
    assert round(portfolio["charges"] * 100) == sum(charges)
    summary = backtest["summary"]
    assert (summary["equity"], summary["charges"]) == (portfolio["equity"], portfolio["charges"])


def test_the_depository_charges_a_day_once_across_a_restart(tmp_path):
    """Two runs of one day on one store: only the first sale pays, as in one run."""
    running.write_config(
        tmp_path,
        feed={"source": "replay"},
        paper_trading=ZERODHA,
        zerodha={"product": "CNC"},
    )
    for first in (0, 60):
        rows = [(first + second, symbol, price) for second, symbol, price in running.zigzag(9)]
        running.write_ticks(tmp_path, rows, f"from{first}.csv")
        data = tmp_path / "prices" / f"from{first}.csv"
        ended = running.run(tmp_path, "run", "--data", data, "--speed", "max", "--until-end")
        assert ended.code == 0, ended.stderr
    trades = running.answer(tmp_path, "trades")
    sales = [trade["charges"] for trade in trades if trade["transaction_type"] == "SELL"]
    assert len(sales) >= 3
    assert sales[0] > DP / 100 > 1 > max(sales[1:])


def test_an_instrument_without_rates_stops_the_start_and_is_named(tmp_path):
    running.write_config(
        tmp_path,
        paper_trading=ZERODHA,
        strategies=[running.strategy(instruments=["NSE:INFY", "NCO:GOLD26DECFUT"])],
    )
    running.write_ticks(tmp_path, running.zigzag(5))
    for words in (("config", "check"), ("backtest",), ("run", "--until-end")):
        ended = running.run(tmp_path, *words)
        assert ended.code == 3, ended
        assert "NCO:GOLD26DECFUT: there are no charges for commodity_futures on NCO" in ended.line
        assert 'set paper_trading.charges to "flat"' in ended.line


def test_a_position_without_rates_stops_the_start_too(tmp_path):
    """It was bought at flat charges; closing it at Zerodha's would be for free or fail."""
    there, here = "NCO:GOLD24FEBFUT", running.strategy()
    running.write_config(tmp_path, strategies=[running.strategy(instruments=[there])])
    running.write_ticks(tmp_path, running.zigzag(3, there), "first.csv")
    assert running.run(tmp_path, "run", "--speed", "max", "--until-end").code == 0
    running.write_config(tmp_path, paper_trading=ZERODHA, strategies=[here])
    ended = running.run(tmp_path, "run", "--speed", "max", "--until-end")
    assert ended.code == 3, ended
    assert "the store: NCO:GOLD24FEBFUT: there are no charges for commodity_futures on NCO" in ended.stderr


@pytest.mark.parametrize(("margins", "trades"), [("full", 0), ("declared", 3)])
def test_declared_margins_let_a_small_account_trade_a_future(tmp_path, margins, trades):
    """A lot of 300 at 100 rupees: 30,000 in full, 6,000 declared."""
    future = "NFO:INFY24FEBFUT"
    params = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": 300}
    running.write_config(
        tmp_path,
        paper_trading={"charges": "zerodha", "margins": margins, "starting_cash": 10_000.0},
        strategies=[running.strategy(instruments=[future], params=params)],
    )
    running.write_ticks(tmp_path, running.zigzag(5, symbol=future))
    ended = running.run(tmp_path, "run", "--speed", "max", "--until-end")
    assert ended.code == 0, ended.stderr
    live, backtest = running.answer(tmp_path, "trades"), running.answer(tmp_path, "backtest")
    assert len(live) == len(backtest["trades"]) == trades
    refused = {row["rule"] for row in running.answer(tmp_path, "signals")} - {"", None}
    assert refused == ({"available_cash"} if margins == "full" else set())

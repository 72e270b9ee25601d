"""The end of an intraday day with the installed command: our own square-off, and the broker's."""

import pytest
from running import answer, daemon, run, select, strategy, write_config, write_ticks

MINUTE = 60
AT_1500 = 345 * MINUTE
"""In seconds after 09:15."""
TWO = [strategy("of_infy"), strategy("of_tcs", instruments=["NSE:TCS"])]
TRADES = "SELECT trade_id, strategy_id, transaction_type, quantity, price, charges, traded_ns FROM trades"
ORDERS = """
SELECT strategy_id, transaction_type, quantity, reason FROM orders WHERE status <> 'NOT_FOUND'
"""
"""One that the kill caught before it reached the paper broker is not found, and made anew."""


def write_day(folder, prices, symbols=("INFY", "TCS")):
    """Every second from 15:00 to 15:25; a price holds until the next (minutes after 15:00 -> rupees)."""
    rows = []
    for second in range(25 * MINUTE):
        price = [rupees for minute, rupees in prices.items() if minute * MINUTE <= second][-1]
        rows += [(AT_1500 + second, symbol, price) for symbol in symbols]
    write_ticks(folder, rows)


def to_the_end(folder):
    done = run(folder, "run", "--speed", "max", "--until-end")
    assert done.code == 0, done.stderr


def flat(folder):
    return [row["tradingsymbol"] for row in answer(folder, "positions") if row["quantity"]] == []


def closes_of_the_house(folder):
    kept = "SELECT count(*) FROM journal WHERE kind = 'Approved' AND instr(body, '\"by\":\"square-off\"')"
    return select(folder, kept)[0][0] if select(folder, "SELECT 1 FROM sqlite_master LIMIT 1") else 0


def adopted(folder):
    made = select(folder, "SELECT 1 FROM sqlite_master LIMIT 1")
    return select(folder, "SELECT order_id FROM orders WHERE tag LIKE 'RP%'") if made else []


def test_a_day_that_is_squared_off_ends_flat_once_also_when_it_is_killed_in_the_middle(tmp_path):
    prices = {0: 100.0, 2: 102.0, 12: 99.0, 13: 102.0}
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, killed):
        folder.mkdir()
        write_config(folder, strategies=TWO, square_off={"enabled": True})
        write_day(folder, prices)
    to_the_end(quiet)
    with daemon(killed, "--speed", "200") as running:
        running.until(lambda: closes_of_the_house(killed))
        running.kill()
    to_the_end(killed)
    assert select(killed, TRADES) == select(quiet, TRADES)
    assert select(killed, ORDERS) == select(quiet, ORDERS)
    assert flat(killed)
    bought, sold = answer(killed, "trades")[:2], answer(killed, "trades")[2:]
    assert {row["traded_at"][11:19] for row in bought} == {"15:02:01"}
    assert {(row["strategy_id"], row["transaction_type"], row["quantity"]) for row in sold} == {
        ("of_infy", "SELL", 3),
        ("of_tcs", "SELL", 3),
    }
    assert {row["traded_at"][11:19] for row in sold} == {"15:10:00", "15:10:01"}
    late = [row for row in answer(killed, "signals") if row["verdict"] == "refused"]
    assert {row["rule"] for row in late} == {"square_off"}
    assert {row["at"][11:16] for row in late} == {"15:13"}


@pytest.mark.parametrize("killed", [False, True], ids=("undisturbed", "killed in the middle"))
def test_M32_the_brokers_square_off_is_booked_and_not_fought(tmp_path, killed):  # noqa: N802 - the fault's name
    write_config(tmp_path, strategies=TWO, paper_trading={"rms_square_off": True, "slippage_percent": 0.0})
    write_day(tmp_path, {0: 100.0, 2: 102.0, 20: 99.0, 21: 97.0, 22: 102.0})
    if killed:
        with daemon(tmp_path, "--speed", "300") as running:
            running.until(lambda: adopted(tmp_path))
            running.kill()
    to_the_end(tmp_path)
    assert flat(tmp_path)
    orders, trades = answer(tmp_path, "orders"), answer(tmp_path, "trades")
    assert [row["order_id"] for row in orders] == ["O000001", "O000002", "RP00001", "RP00002"]
    theirs = orders[2:]
    assert {(row["status"], row["transaction_type"], row["quantity"]) for row in theirs} == {
        ("FILLED", "SELL", 3)
    }
    assert {row["tag"] for row in theirs} == {"RP00001", "RP00002"}
    assert {row["reason"] for row in theirs} == {
        "squared off by the broker, which does so from 15:20 for Rs 59.00 an order"
    }
    assert [row["charges"] for row in trades] == [0.31, 0.31, 59.3, 59.3]  # 0.1 % of 306 and of 297 rupees
    found = answer(tmp_path, "portfolio")["paper"]
    assert (found["realized_pnl"], found["unrealized_pnl"], found["charges"]) == (-18.0, 0.0, 119.22)
    assert found["cash"] == found["equity"] == 1_000_000 - 18 - 119.22
    late = [row for row in answer(tmp_path, "signals") if row["at"][11:16] >= "15:20"]
    by_minute = {(row["at"][11:16], row["transaction_type"], row["rule"]) for row in late}
    assert by_minute == {("15:20", "SELL", "nothing_to_close"), ("15:22", "BUY", "broker_square_off")}


def test_a_backtest_of_the_same_day_has_the_same_trades(tmp_path):
    for name, sections in (
        ("own", {"square_off": {"enabled": True}}),
        ("theirs", {"paper_trading": {"rms_square_off": True}}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write_config(folder, strategies=TWO, **sections)
        write_day(folder, {0: 100.0, 2: 102.0, 12: 99.0, 13: 102.0, 20: 98.0})
        to_the_end(folder)
        tested = answer(folder, "backtest", "--data", "prices")
        told = ("trade_id", "order_id", "strategy_id", "transaction_type", "price", "charges", "traded_at")
        assert [[row[key] for key in told] for row in tested["trades"]] == [
            [row[key] for key in told] for row in answer(folder, "trades")
        ]
        assert tested["summary"]["trades"] == len(answer(folder, "trades"))

"""Known prices through the installed command: every figure below is worked out by hand."""

import re
from decimal import Decimal

import pytest
from running import answer, run, select, strategy, write_config, write_ticks

KEYS = {
    "orders": "order_id tag broker broker_order_id strategy_id instrument_token tradingsymbol exchange "
    "transaction_type order_type product quantity filled_quantity price average_price status reason "
    "created_at updated_at trigger_price validity",
    "trades": "trade_id order_id broker strategy_id tradingsymbol transaction_type quantity price charges "
    "traded_at",
    "positions": "broker strategy_id tradingsymbol exchange product quantity average_price last_price "
    "realized_pnl unrealized_pnl overnight_quantity t1_quantity",
    "portfolio": "starting_cash cash equity realized_pnl unrealized_pnl charges gross_exposure net_exposure "
    "drawdown drawdown_percent day_net_pnl strategies",
    "signals": "signal_id strategy_id broker tradingsymbol transaction_type quantity verdict rule reason at",
}
COUNTS = {"quantity", "filled_quantity", "instrument_token", "overnight_quantity", "t1_quantity"}
MONEY = {
    "price",
    "average_price",
    "last_price",
    "charges",
    "realized_pnl",
    "unrealized_pnl",
    "starting_cash",
    "cash",
    "equity",
    "trigger_price",
    "gross_exposure",
    "net_exposure",
    "drawdown",
    "day_net_pnl",
}
TIMES = {"created_at", "updated_at", "traded_at", "at"}
MAY_BE_NULL = {"price", "average_price", "broker_order_id", "rule", "trigger_price"}

# Five shares; up one percent in a tick buys, down one percent sells. Slippage 0.05 %, commission 0.1 %.
TRADER = strategy(
    params={"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": 5},
)
TICKS = [
    (0, "INFY", 100.00),
    (2, "INFY", 101.50),  # 1.0150 times the last: BUY 5
    (4, "INFY", 100.93),  # fills at 100.93 x 1.0005 = 100.980465, up to the tick: 101.00
    #                       charges 0.001 x 505.00 = 0.505, half up: 0.51. 0.9944 times the last: nothing
    (6, "INFY", 99.00),  # 0.9809 times the last: SELL 5
    (8, "INFY", 103.07),  # fills at 103.07 x 0.9995 = 103.018465, down to the tick: 103.00
    #                       charges 0.001 x 515.00 = 0.515: 0.52. 1.0411 times the last: BUY 5
    (10, "INFY", 103.42),  # fills at 103.42 x 1.0005 = 103.471710, up to the tick: 103.50
    #                       charges 0.001 x 517.50 = 0.5175: 0.52. 1.0034 times the last: nothing
    (12, "INFY", 103.61),  # 1.0018 times the last: nothing
]
# realised   5 x (103.00 - 101.00)            =  10.00
# charges    0.51 + 0.52 + 0.52               =   1.55
# cash       1000000 - 505.00 + 515.00 - 517.50 - 1.55 = 999490.95
# unrealised 5 x (103.61 - 103.50)            =   0.55
# equity     999490.95 + 5 x 103.61           = 1000009.00 = 1000000 + 10.00 + 0.55 - 1.55
TRADES = [
    ("BUY", 5, 101.0, 0.51, "2024-01-31T09:15:04+05:30"),
    ("SELL", 5, 103.0, 0.52, "2024-01-31T09:15:08+05:30"),
    ("BUY", 5, 103.5, 0.52, "2024-01-31T09:15:10+05:30"),
]


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A folder in which TICKS have been replayed."""
    folder = tmp_path_factory.mktemp("traded")
    write_config(folder, strategies=[TRADER])
    write_ticks(folder, TICKS)
    done = run(folder, "run", "--until-end")
    assert (done.code, done.stdout) == (0, ""), done
    return folder


@pytest.fixture(scope="module")
def said(traded):
    """What each reading command says of it."""
    return {command: answer(traded, command) for command in KEYS} | {
        "backtest": answer(traded, "backtest", "--data", "prices")
    }


def of_trades(rows):
    return [
        (row["transaction_type"], row["quantity"], row["price"], row["charges"], row["traded_at"])
        for row in rows
    ]


def test_three_fills_have_the_prices_and_charges_worked_out_by_hand(said):
    trades = said["trades"]
    assert of_trades(trades) == TRADES
    assert [trade["order_id"] for trade in trades] == [o["order_id"] for o in said["orders"]]
    assert len({trade["trade_id"] for trade in trades}) == 3


def test_each_order_was_made_on_the_row_before_its_fill(said):
    orders = said["orders"]
    assert [(o["transaction_type"], o["status"], o["average_price"]) for o in orders] == [
        ("BUY", "FILLED", 101.0),
        ("SELL", "FILLED", 103.0),
        ("BUY", "FILLED", 103.5),
    ]
    assert [order["created_at"][11:19] for order in orders] == ["09:15:02", "09:15:06", "09:15:08"]
    assert [order["updated_at"][11:19] for order in orders] == ["09:15:04", "09:15:08", "09:15:10"]
    for order in orders:
        assert (order["quantity"], order["filled_quantity"]) == (5, 5)
        assert (order["order_type"], order["product"], order["price"]) == ("MARKET", "MIS", None)
        assert (order["broker"], order["exchange"], order["tradingsymbol"]) == ("paper", "NSE", "INFY")
        assert re.fullmatch(r"[A-Za-z0-9]{1,20}", order["tag"])
    assert len({order["tag"] for order in orders}) == 3


def test_each_signal_was_approved_on_the_row_that_made_it(said):
    signals = said["signals"]
    assert [(s["transaction_type"], s["quantity"], s["verdict"], s["at"][11:19]) for s in signals] == [
        ("BUY", 5, "approved", "09:15:02"),
        ("SELL", 5, "approved", "09:15:06"),
        ("BUY", 5, "approved", "09:15:08"),
    ]


def test_the_position_and_the_cash_add_up_to_the_paisa(said):
    assert said["positions"] == [
        {
            "broker": "paper",
            "strategy_id": "momentum_1",
            "tradingsymbol": "INFY",
            "exchange": "NSE",
            "product": "MIS",
            "quantity": 5,
            "average_price": 103.5,
            "last_price": 103.61,
            "realized_pnl": 10.0,
            "unrealized_pnl": 0.55,
            "overnight_quantity": 0,
            "t1_quantity": 0,
        }
    ]
    assert said["portfolio"] == {
        "paper": {
            "starting_cash": 1000000.0,
            "cash": 999490.95,
            "equity": 1000009.0,
            "realized_pnl": 10.0,
            "unrealized_pnl": 0.55,
            "charges": 1.55,
            "gross_exposure": 518.05,
            "net_exposure": 518.05,
            "drawdown": 0.0,
            "drawdown_percent": 0.0,
            "day_net_pnl": 9.0,
            "strategies": {
                "momentum_1": {
                    "realized_pnl": 10.0,
                    "unrealized_pnl": 0.55,
                    "charges": 1.55,
                    "gross_exposure": 518.05,
                    "net_exposure": 518.05,
                    "net_pnl": 9.0,
                    "day_net_pnl": 9.0,
                }
            },
        }
    }


def test_the_store_holds_the_same_figures_exactly(traded):
    trades = select(traded, "SELECT transaction_type, quantity, price, charges FROM trades ORDER BY rowid")
    assert [(side, quantity, Decimal(price), Decimal(paid)) for side, quantity, price, paid in trades] == [
        ("BUY", 5, Decimal("101.00"), Decimal("0.51")),
        ("SELL", 5, Decimal("103.00"), Decimal("0.52")),
        ("BUY", 5, Decimal("103.50"), Decimal("0.52")),
    ]
    ((cash, realized, charges),) = select(traded, "SELECT cash, realized_pnl, charges FROM balances")
    assert (Decimal(cash), Decimal(realized), Decimal(charges)) == (
        Decimal("999490.95"),
        Decimal("10.00"),
        Decimal("1.55"),
    )
    ledger = [Decimal(amount) for (amount,) in select(traded, "SELECT amount FROM ledger")]
    assert len(ledger) == 1 + 2 * 3
    assert sum(ledger) == Decimal("999490.95")


def test_the_journal_tells_the_life_of_the_trade_in_order(traded):
    kinds = [
        kind
        for (kind,) in select(traded, "SELECT kind FROM journal ORDER BY seq")
        if kind not in ("RowTaken", "Marked")
    ]
    life = ["Approved", "OrderOpened", "OrderUpdated", "OrderUpdated", "Booked", "Valued"]  # sent, then open
    assert kinds == ["AccountOpened", "DayRolled", "Valued", *life * 3]
    assert select(traded, "SELECT taken FROM progress") == [(7,)]


def test_a_backtest_of_the_same_file_gives_the_same_trades_and_orders(said):
    document = said["backtest"]
    assert set(document) == {"summary", "trades", "orders"}
    assert document["trades"] == said["trades"]

    def untagged(orders):
        return [{key: value for key, value in order.items() if key != "tag"} for order in orders]

    assert untagged(document["orders"]) == untagged(said["orders"])
    portfolio = said["portfolio"]["paper"]
    for name in ("starting_cash", "equity", "realized_pnl", "unrealized_pnl", "charges"):
        assert document["summary"][name] == portfolio[name]
    assert document["summary"]["net_profit"] == 9.0


def check_rows(rows, keys):
    """Exactly the contract's keys, each of the type that the contract promises."""
    assert rows
    for row in rows:
        assert set(row) == set(keys.split())
        for name, value in row.items():
            if name in MAY_BE_NULL and value is None:
                continue
            if name in COUNTS:
                assert type(value) is int, name
            elif name == "drawdown_percent":
                assert type(value) is float
            elif name == "strategies":
                assert type(value) is dict
            elif name in MONEY:
                assert type(value) in (int, float), name
                assert round(value, 2) == value, name
            else:
                assert type(value) is str, name
            if name in TIMES:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+05:30", value)


@pytest.mark.parametrize("command", ["orders", "trades", "positions", "signals"])
def test_rows_have_the_keys_and_types_of_the_contract_to_the_letter(said, command):
    check_rows(said[command], KEYS[command])


def test_the_portfolio_has_the_keys_and_types_of_the_contract_by_broker(said):
    portfolio = said["portfolio"]
    assert set(portfolio) == {"paper"}
    check_rows(portfolio.values(), KEYS["portfolio"])


def test_backtest_rows_have_the_keys_and_types_of_the_contract(said):
    document = said["backtest"]
    check_rows(document["trades"], KEYS["trades"])
    check_rows(document["orders"], KEYS["orders"])


BARS = """date,open,high,low,close,volume
2024-01-31 09:15:00,100,101,99,100,10
2024-01-31 09:16:00,100,103,100,102,10
2024-01-31 09:17:00,101.93,104,101,103,10
2024-01-31 09:18:00,103,103,100,101,10
2024-01-31 09:19:00,100.98,101,100,100.5,10
2024-01-31 09:20:00,100,103,100,102.5,10
"""
# 09:16 close 1.0200 times the last: BUY 5. It fills at the open of 09:17: 101.93 x 1.0005 = 101.980965, up
#       to the tick: 102.00; charges 0.001 x 510.00 = 0.51
# 09:17 close 1.0098 times the last: nothing
# 09:18 close 0.9806 times the last: SELL 5. It fills at the open of 09:19: 100.98 x 0.9995 = 100.929510,
#       down to the tick: 100.90; charges 0.001 x 504.50 = 0.5045: 0.50
# 09:20 close 1.0199 times the last: BUY 5, and the data ends: cancelled
# realised 5 x (100.90 - 102.00) = -5.50; cash 1000000 - 510.00 + 504.50 - 1.01 = 999993.49


def test_an_order_of_a_bar_fills_at_the_open_of_the_next_in_both_shells(tmp_path):
    write_config(tmp_path, strategies=[TRADER])
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices/INFY_minutes.csv").write_text(BARS)
    assert run(tmp_path, "run", "--until-end").code == 0
    trades = answer(tmp_path, "trades")
    assert of_trades(trades) == [
        ("BUY", 5, 102.0, 0.51, "2024-01-31T09:17:00+05:30"),
        ("SELL", 5, 100.9, 0.5, "2024-01-31T09:19:00+05:30"),
    ]
    figures = answer(tmp_path, "portfolio")["paper"]
    assert figures.pop("strategies")["momentum_1"]["net_pnl"] == -6.51
    assert figures == {
        "starting_cash": 1000000.0,
        "cash": 999993.49,
        "equity": 999993.49,
        "realized_pnl": -5.5,
        "unrealized_pnl": 0.0,
        "charges": 1.01,
        "gross_exposure": 0.0,
        "net_exposure": 0.0,
        "drawdown": 11.0,  # the bar that closed at 103 made it 1000004.49
        "drawdown_percent": 0.0011,
        "day_net_pnl": -6.51,
    }
    last = answer(tmp_path, "orders")[-1]
    assert (last["status"], last["filled_quantity"], last["average_price"]) == ("CANCELLED", 0, None)
    document = answer(tmp_path, "backtest", "--data", "prices")
    assert document["trades"] == trades
    assert document["orders"][-1]["status"] == "CANCELLED"


SCRIPTED = """
from alphapanda.core.strategy import Strategy
from alphapanda.events import PositionEffect

CLOSE = PositionEffect.CLOSE


class Scripted(Strategy):
    seen = 0

    def on_market_data(self, tick):
        self.seen += 1
        match self.seen:
            case 1:
                return [self.buy(tick, 2, reason="first lot")]
            case 2:
                return [self.buy(tick, 3)]
            case 3:
                return [self.sell(tick, 4, CLOSE)]
            case 4:
                return [self.sell(tick, 9, CLOSE)]
            case 5:
                return [self.sell(tick, 1, CLOSE)]
            case 6:
                return [self.buy(tick, 1001)]
        return []
"""
# Without slippage and charges: 2 at 100 and 3 at 110 are bought, 4 sold at 120: first in, first out, that is
# 2 x (120 - 100) + 2 x (120 - 110) = 60. Of the 9 to close at 90 only 1 is left: 90 - 110 = -20. Realised 40.
STEPS = [99, 100, 110, 120, 90, 91, 92]


def test_lots_are_sold_first_in_first_out_and_a_close_never_turns_a_position(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPTED)
    write_config(
        tmp_path,
        strategies=[strategy("s1", **{"class": "mine:Scripted", "params": {}})],
        paper_trading={"slippage_percent": 0.0, "commission_percent": 0.0, "starting_cash": 5000.0},
    )
    write_ticks(tmp_path, [(2 * number, "INFY", price) for number, price in enumerate(STEPS)])
    assert run(tmp_path, "run", "--until-end").code == 0
    assert [(t["transaction_type"], t["quantity"], t["price"]) for t in answer(tmp_path, "trades")] == [
        ("BUY", 2, 100.0),
        ("BUY", 3, 110.0),
        ("SELL", 4, 120.0),
        ("SELL", 1, 90.0),
    ]
    (position,) = answer(tmp_path, "positions")
    assert (position["quantity"], position["average_price"], position["realized_pnl"]) == (0, 0.0, 40.0)
    assert answer(tmp_path, "portfolio")["paper"]["cash"] == 5040.0


def test_every_signal_has_its_verdict_with_the_rule_and_the_figures(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPTED)
    write_config(tmp_path, strategies=[strategy("s1", **{"class": "mine:Scripted", "params": {}})])
    write_ticks(tmp_path, [(2 * number, "INFY", price) for number, price in enumerate(STEPS)])
    assert run(tmp_path, "run", "--until-end").code == 0
    signals = answer(tmp_path, "signals")
    check_rows(signals, KEYS["signals"])
    assert [(s["verdict"], s["rule"], s["quantity"]) for s in signals] == [
        ("approved", None, 2),
        ("approved", None, 3),
        ("approved", None, 4),
        ("approved", None, 1),
        ("nothing_to_close", "nothing_to_close", 1),
        ("refused", "max_order_quantity", 1001),
    ]
    assert signals[0]["reason"] == "first lot"
    assert "1001" in signals[-1]["reason"]
    assert "1000" in signals[-1]["reason"]
    assert len(answer(tmp_path, "orders")) == 4

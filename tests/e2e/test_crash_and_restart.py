"""kill -9 at random moments of a replay: what is left is whole, and the end is that of an undisturbed run."""

import random
from decimal import Decimal

import pytest
from running import answer, count, daemon, run, select, status, strategy, write_config, write_ticks

SYMBOLS = ("INFY", "SBIN", "RELIANCE", "TCS")
STEPS = 1_200
KILLS = {"default limits": 5, "limits off": 3}
OFF = dict.fromkeys(
    (
        "max_order_quantity",
        "max_position_quantity",
        "max_open_positions",
        "max_orders_per_second",
        "max_orders_per_minute",
        "max_orders_per_day",
    ),
    0,
) | dict.fromkeys(
    ("max_order_value", "max_price_deviation_percent", "max_price_age_s", "duplicate_window_s"), 0.0
)
LIMITS = {"default limits": {}, "limits off": OFF}
REFUSING = {
    "default limits": {"max_orders_per_second", "max_orders_per_minute", "duplicate_window_s"},
    "limits off": set(),
}
# Two strategies in the same shares, one of which also sells short; the second looks further back.
STRATEGIES = [
    strategy(
        "quick",
        instruments=[f"NSE:{symbol}" for symbol in SYMBOLS],
        params={"lookback_period": 1, "buy_threshold": 1.004, "sell_threshold": 0.996, "quantity": 7},
    ),
    strategy(
        "slow",
        instruments=["NSE:INFY", "NSE:TCS"],
        params={
            "lookback_period": 5,
            "buy_threshold": 1.008,
            "sell_threshold": 0.992,
            "quantity": 3,
            "allow_short": True,
        },
    ),
]


def walk(seed):
    """4,800 rows of five minutes: every quarter of a second four shares move by up to one percent.

    That is enough for the limits on orders in a second and in a minute, and on duplicates, to refuse some.
    """
    chance = random.Random(seed)
    prices = {symbol: 100.0 * (number + 1) for number, symbol in enumerate(SYMBOLS)}
    for step in range(STEPS):
        for symbol in SYMBOLS:
            prices[symbol] *= 1 + chance.uniform(-0.01, 0.01)
            yield step / 4, symbol, round(prices[symbol], 2)


def prepared(folder, limits):
    folder.mkdir(exist_ok=True)
    write_config(folder, strategies=STRATEGIES, risk=LIMITS[limits])
    write_ticks(folder, walk(seed=20240131))
    return folder


def final(folder):
    trades = [{k: v for k, v in trade.items() if k != "order_id"} for trade in answer(folder, "trades")]
    return trades, answer(folder, "positions"), answer(folder, "portfolio")


def exact(rows, *names):
    return [[Decimal(str(row[name])) for name in names] for row in rows]


def adds_up(trades, positions, portfolio):
    """They tell the same story, to the paisa."""
    (figures,) = exact(
        portfolio.values(),
        "starting_cash",
        "cash",
        "equity",
        "realized_pnl",
        "unrealized_pnl",
        "charges",
    )
    starting, cash, equity, realized, unrealized, charges = figures
    signs = [1 if trade["transaction_type"] == "BUY" else -1 for trade in trades]
    fills = exact(trades, "quantity", "price", "charges")
    paid = sum(
        sign * quantity * price + charge for sign, (quantity, price, charge) in zip(signs, fills, strict=True)
    )
    assert cash == starting - paid
    assert charges == sum(charge for _, _, charge in fills)
    held = exact(positions, "quantity", "last_price", "realized_pnl")
    assert equity == cash + sum(quantity * price for quantity, price, _ in held)
    assert realized == sum(gained for _, _, gained in held)
    assert equity == starting + realized + unrealized - charges
    for position in positions:
        mine = [
            sign * trade["quantity"]
            for sign, trade in zip(signs, trades, strict=True)
            if (trade["strategy_id"], trade["tradingsymbol"])
            == (position["strategy_id"], position["tradingsymbol"])
        ]
        assert position["quantity"] == sum(mine)


@pytest.mark.parametrize("limits", LIMITS)
def test_a_replay_killed_again_and_again_ends_with_the_trades_of_an_undisturbed_one(tmp_path, limits):
    for name in ("undisturbed", "killed"):
        prepared(tmp_path / name, limits)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert run(undisturbed, "run", "--until-end").code == 0
    expected = final(undisturbed)
    adds_up(*expected)
    total = count(undisturbed, "trades")
    assert total > 300
    rules = {rule for (rule,) in select(undisturbed, "SELECT rule FROM signals WHERE verdict = 'refused'")}
    assert rules == REFUSING[limits]

    chance = random.Random(f"moments of {limits}")
    for moment in sorted(chance.sample(range(1, total * 9 // 10), KILLS[limits])):
        with daemon(killed, log=" ready: ") as running:  # it stays when its data ends, were we that late
            running.until(lambda moment=moment: count(killed, "trades") >= moment)
            running.kill()
        assert moment <= count(killed, "trades")
        whole_after_a_kill(killed)
    done = run(killed, "run", "--until-end")
    assert done.code == 0
    assert final(killed) == expected
    ended = {state for (state,) in select(killed, "SELECT DISTINCT status FROM orders")}
    assert ended <= {"FILLED", "CANCELLED", "NOT_FOUND"}


def whole_after_a_kill(folder):
    assert select(folder, "PRAGMA integrity_check") == [("ok",)]
    assert select(folder, "PRAGMA foreign_key_check") == []
    assert status(folder)["state"] == "stopped"
    orders, trades = answer(folder, "orders"), answer(folder, "trades")
    filled = [order["order_id"] for order in orders if order["status"] == "FILLED"]
    assert sorted(trade["order_id"] for trade in trades) == sorted(filled)
    adds_up(trades, answer(folder, "positions"), answer(folder, "portfolio"))


def test_a_daemon_that_is_killed_while_it_recovers_recovers_at_the_next_start(tmp_path):
    folder = prepared(tmp_path, "default limits")
    assert run(folder, "run", "--until-end").code == 0
    before = final(folder)
    for _ in range(2):
        with daemon(folder, "--until-end", log="rows were taken before") as running:
            running.kill()
        assert select(folder, "PRAGMA integrity_check") == [("ok",)]
    assert run(folder, "run", "--until-end").code == 0
    assert final(folder) == before

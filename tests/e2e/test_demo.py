"""The demo: a stranger's first minute. Real daemon, real store, a simulated session."""

import json
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import tomli_w
from running import run

README = Path(__file__).resolve().parents[2] / "README.md"
WITHIN = 240.0


def demo(folder, *words, env=None):
    done = run(folder, "demo", "--speed", "max", "--json", *words, env=env, within=WITHIN)
    assert done.code == 0, done
    return done.document


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An empty folder, as good as an empty machine: no configuration anywhere."""
    return tmp_path_factory.mktemp("bare")


@pytest.fixture(scope="module")
def seed_five(bare):
    return demo(bare, "--seed", 5)


def test_without_any_configuration_it_trades_and_leaves_nothing_behind(bare, seed_five):
    summary = seed_five["summary"]
    assert summary["fills"] >= 20
    assert summary["traded_instruments"] >= 5
    assert summary["fills"] == len(seed_five["trades"])
    assert summary["orders"] == len(seed_five["orders"])
    assert summary["session"] == "2026-04-15"
    assert {trade["tradingsymbol"] for trade in seed_five["trades"]} <= {
        order["tradingsymbol"] for order in seed_five["orders"]
    }
    assert list(bare.iterdir()) == []


def test_its_book_adds_up_from_the_trades(seed_five):
    (book,) = seed_five["portfolio"].values()
    paid, charges = Decimal(0), Decimal(0)
    for trade in seed_five["trades"]:
        value = Decimal(str(trade["price"])) * trade["quantity"]
        paid += value if trade["transaction_type"] == "BUY" else -value
        charges += Decimal(str(trade["charges"]))
    held = sum(
        Decimal(str(position["last_price"])) * position["quantity"]
        for position in seed_five["summary"]["positions"]
    )
    figures = {name: Decimal(str(amount)) for name, amount in book.items()}
    assert figures["charges"] == charges
    assert figures["cash"] == figures["starting_cash"] - paid - charges
    assert figures["equity"] == figures["cash"] + held
    profit = figures["realized_pnl"] + figures["unrealized_pnl"] - charges
    assert figures["equity"] == figures["starting_cash"] + profit
    by_strategy = sum(Decimal(str(each["profit"])) for each in seed_five["summary"]["strategies"])
    assert abs(by_strategy - profit) <= Decimal("0.05")


def test_no_order_is_left_open(seed_five):
    assert {order["status"] for order in seed_five["orders"]} <= {"FILLED", "CANCELLED", "REJECTED"}
    assert all(order["filled_quantity"] in (0, order["quantity"]) for order in seed_five["orders"])


def test_the_same_seed_makes_the_same_trades_and_another_makes_others(bare, seed_five):
    assert demo(bare, "--seed", 5)["trades"] == seed_five["trades"]
    assert demo(bare, "--seed", 6)["trades"] != seed_five["trades"]


def test_latency_is_measured_for_every_signal_and_order(seed_five):
    latency = seed_five["summary"]["latency_us"]
    assert latency["tick_to_signal"]["count"] == seed_five["summary"]["signals"]
    assert latency["tick_to_order"]["count"] == seed_five["summary"]["orders"]
    for each in latency.values():
        assert 0 < each["p50"] <= each["p99"] <= each["max"]


def test_the_tables_show_what_the_document_says_and_three_next_steps(bare, seed_five):
    done = run(bare, "demo", "--speed", "max", "--seed", 5, within=WITHIN)
    assert done.code == 0
    for title in ("Strategies", "Orders: ", "Positions", "Profit and charges", "Latency"):
        assert title in done.stdout
    steps = re.findall(r"^  (\d)\. .*alphapanda", done.stdout, re.MULTILINE)
    assert steps == ["1", "2", "3"]
    assert "alphapanda config init\n" in done.stdout
    assert "₹10,00,000.00" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_keep_leaves_a_store_that_every_reading_command_can_look_into(tmp_path, seed_five):
    found = demo(tmp_path, "--seed", 5, "--keep", "look")
    trades = run(tmp_path, "--config", "look/config.toml", "trades", "--json").document
    assert trades == found["trades"] == seed_five["trades"]
    again = run(tmp_path, "demo", "--keep", "look")
    assert again.code == 2
    assert "look" in again.line
    with closing(sqlite3.connect(tmp_path / "look" / "alphapanda.db")) as store:
        assert store.execute("SELECT count(*) FROM journal").fetchone()[0] > len(trades)


def test_the_session_that_the_readme_shows_is_the_one_that_runs(bare):
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"^\$ scripts/demo\n(.*?)^Latency", text, re.MULTILINE | re.DOTALL)[1]
    done = run(bare, "demo", "--speed", "max", within=WITHIN)
    printed = re.sub(r" in [\d.]+ s$", "", done.stdout, flags=re.MULTILINE).splitlines()
    wanted = re.sub(r" in [\d.]+ s$", "", shown, flags=re.MULTILINE).splitlines()
    assert [line for line in wanted if line != "…" and line not in printed] == []


def test_what_the_readme_says_of_adding_a_strategy_trades_in_the_demo(tmp_path):
    """Two files are touched: the strategy and config.toml, exactly as printed there."""
    text = README.read_text(encoding="utf-8")
    text = text[text.index("**a strategy**") :]
    code = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    stanza = re.search(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    assert run(tmp_path, "config", "init").code == 0
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "pullback.py").write_text(code, encoding="utf-8")
    with (tmp_path / "config.toml").open("a", encoding="utf-8") as config:
        config.write("\n" + stanza)
    assert run(tmp_path, "config", "check").code == 0
    found = demo(tmp_path)
    assert [trade for trade in found["trades"] if trade["strategy_id"] == "pullback_1"]


def test_a_configuration_for_real_money_is_traded_on_paper_only(tmp_path):
    config = {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": {"enabled": True},
        "storage": {"path": "var/live.db"},
        "strategies": [
            {
                "id": "live_1",
                "instruments": ["NSE:INFY", "NSE:SBIN"],
                "brokers": ["zerodha"],
                "params": {"lookback_period": 30, "buy_threshold": 1.001, "sell_threshold": 0.999},
            }
        ],
    }
    (tmp_path / "config.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
    found = demo(tmp_path, env={"ALPHAPANDA__ZERODHA__API_KEY": "canary-key"})
    assert set(found["portfolio"]) == {"paper"}
    assert {trade["broker"] for trade in found["trades"]} == {"paper"}
    assert not (tmp_path / "var").exists()
    assert "canary-key" not in json.dumps(found)


def test_a_seed_that_is_no_seed_is_wrong_use(bare):
    for words in (("--seed", "-1"), ("--seed", "five"), ("--speed", "0")):
        done = run(bare, "demo", *words)
        assert done.code == 2, done
        assert "alphapanda demo -h" in done.line or words[0] in done.line


@pytest.mark.parametrize("mistake", ["nope = 1\n", '[[strategies]]\nid = "a"\nclass = "not:There"\n'])
def test_a_demo_that_cannot_start_is_not_in_the_way_of_the_next(tmp_path, mistake):
    (tmp_path / "config.toml").write_text(mistake)
    assert run(tmp_path, "demo", "--keep", "look").code == 3
    assert not (tmp_path / "look").exists()


def test_the_tables_say_which_strategy_failed_and_quote_a_path_for_the_shell(tmp_path):
    (tmp_path / "failing.py").write_text(
        "from alphapanda.core.strategy import Strategy\n"
        "class Fails(Strategy):\n"
        "    def on_market_data(self, tick):\n"
        "        print('a word')\n"
        "        raise RuntimeError('not today')\n"
    )
    (tmp_path / "config.toml").write_text('[[strategies]]\nid = "fails_1"\nclass = "failing:Fails"\n')
    done = run(tmp_path, "demo", "--speed", "max", "--keep", "a look", within=WITHIN)
    assert done.code == 0
    assert "fails_1 is quarantined" in done.stdout
    assert "not today" in done.stderr
    assert "a word" in done.stderr
    assert "a word" not in done.stdout
    assert "config init" not in done.stdout  # there is one
    assert "alphapanda --config 'a look/config.toml' trades" in done.stdout


def test_a_demo_without_strategies_says_so(tmp_path):
    (tmp_path / "config.toml").write_text("strategies = []\n")
    done = run(tmp_path, "demo", "--speed", "max", within=WITHIN)
    assert done.code == 0
    assert "No strategy is enabled" in done.stdout


def test_the_socket_of_a_demo_is_its_users_alone(tmp_path):
    """A group of another machine's configuration need not exist on this one."""
    (tmp_path / "config.toml").write_text('[control]\ngroup = "no-such-group"\n')
    assert run(tmp_path, "demo", "--speed", "max", within=WITHIN).code == 0

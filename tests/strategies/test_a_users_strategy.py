"""From `strategies new` to trades, with the installed command and a plain pytest, as a user has them."""

import subprocess
import sys
from random import Random

import pytest
from running import FINISH_S, answer, environment, run, write_config, write_ticks

SYMBOLS = ("INFY", "RELIANCE", "SBIN")


def wandering(seconds):
    """Each symbol's price of every second, about 0.05 % from the one before."""
    chance, prices = Random(7), dict.fromkeys(SYMBOLS, 1500.0)
    for second in range(seconds):
        for symbol in SYMBOLS:
            prices[symbol] = round(prices[symbol] * chance.gauss(1, 0.0005) * 20) / 20
            yield second, symbol, prices[symbol]


def plain_pytest(folder, *words):
    """Without this repository's settings and helpers."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=folder,
        env={name: value for name, value in environment().items() if not name.startswith("PYTEST")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=FINISH_S,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with prices, a configuration and what `strategies new` wrote."""
    made = tmp_path_factory.mktemp("panda")
    write_config(made)
    done = run(made, "strategies", "new", "my_idea")
    assert (done.code, done.stderr) == (0, "")
    assert "alphapanda config check" in done.stdout
    write_ticks(made, wandering(600))
    return made


def test_the_configuration_is_right(folder):
    assert answer(folder, "config", "check")["strategies"] == ["momentum_1", "my_idea_1"]


def test_the_configuration_that_init_writes_can_be_added_to(tmp_path):
    assert run(tmp_path, "config", "init").code == 0
    before = answer(tmp_path, "config", "check")["strategies"]
    assert run(tmp_path, "strategies", "new", "dip").code == 0
    assert answer(tmp_path, "config", "check")["strategies"] == [*before, "dip_1"]


@pytest.mark.parametrize("words", [(), ("tests/test_my_idea.py", "-W", "error")], ids=["all", "strict"])
def test_its_test_passes_with_a_plain_pytest(folder, words):
    done = plain_pytest(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_its_test_fails_once_the_strategy_does_something_else(tmp_path):
    write_config(tmp_path)
    run(tmp_path, "strategies", "new", "my_idea")
    written = tmp_path / "strategies" / "my_idea.py"
    text = written.read_text()
    assert "return self.go_long(" in text
    written.write_text(text.replace("return self.go_long(", "return self.go_short("))
    done = plain_pytest(tmp_path)
    assert done.returncode == 1
    assert "test_a_dip_is_bought_once" in done.stdout


def test_it_trades_in_a_backtest_and_holds_one_position_at_most(folder):
    found = answer(folder, "backtest", "--strategy", "my_idea_1")
    traded = {
        symbol: [trade["transaction_type"] for trade in found["trades"] if trade["tradingsymbol"] == symbol]
        for symbol in SYMBOLS
    }
    for sides in traded.values():
        assert len(sides) >= 4
        assert sides == ["BUY", "SELL"] * (len(sides) // 2) + ["BUY"] * (len(sides) % 2)


def test_the_daemon_makes_the_trades_of_the_backtest(folder):
    done = run(folder, "run", "--until-end")
    assert done.code == 0, done.stderr
    facts = ("tradingsymbol", "transaction_type", "quantity", "price", "traded_at")
    ran, tested = (
        [tuple(trade[fact] for fact in facts) for trade in trades if trade["strategy_id"] == "my_idea_1"]
        for trades in (answer(folder, "trades"), answer(folder, "backtest")["trades"])
    )
    assert ran
    assert ran == tested


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("my_idea", 3, "exists already"), ("My-Idea", 2, "such as my_idea"), ("momentum", 2, "is installed")],
)
def test_a_name_that_will_not_do_is_one_line_and_changes_nothing(folder, name, code, words):
    before = (folder / "config.toml").read_bytes()
    done = run(folder, "strategies", "new", name)
    assert done.code == code
    assert words in done.line
    assert done.stdout == ""
    assert (folder / "config.toml").read_bytes() == before


def test_without_a_configuration_it_says_what_to_do(tmp_path):
    done = run(tmp_path, "strategies", "new", "dip")
    assert done.code == 3
    assert "alphapanda config init" in done.line
    assert not list(tmp_path.iterdir())

"""What people and scripts read: help, tables, JSON, pipes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import COMMAND, FINISH_S, answer, environment, run, strategy, write_config, write_ticks, zigzag

GROUPS = ("", "kill-switch", "strategies", "stages", "config")
READING = ("orders", "trades", "positions", "portfolio", "signals")


def commands_of(folder, group):
    """The commands that a group's help lists."""
    listed = run(folder, *group.split(), "-h").stdout.partition("Commands:")[2]
    return re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.MULTILINE)


@pytest.fixture(scope="module")
def every_command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("help")
    found = list(GROUPS)
    for group in GROUPS:
        found += [f"{group} {name}".strip() for name in commands_of(folder, group) if name not in GROUPS]
    return found


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A folder in which 1,000 shares were traded a few times, so that there are large sums to show."""
    folder = tmp_path_factory.mktemp("traded")
    big = strategy(
        "a_strategy_with_a_name_of_32char",
        params={"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": 1000},
    )
    write_config(folder, strategies=[big], paper_trading={"starting_cash": 12345678.9})
    write_ticks(folder, [(second, "INFY", price * 4) for second, _, price in zigzag(40)])
    assert run(folder, "run", "--until-end").code == 0
    return folder


def test_the_help_lists_the_commands_that_there_are(every_command):
    assert {"run", "start", "stop", "restart", "status", "backtest", *READING} <= set(every_command)
    assert {"kill-switch on", "kill-switch off", "strategies new"} <= set(every_command)
    assert {"config init", "config check", "config show"} <= set(every_command)


def test_every_help_fits_100_columns_has_an_example_and_says_what_each_option_does(tmp_path, every_command):
    for command in every_command:
        done = run(tmp_path, *command.split(), "-h", env={"COLUMNS": "100"})
        assert (done.code, done.stderr) == (0, ""), command
        assert max(map(len, done.stdout.splitlines())) <= 100, command
        assert "Example: alphapanda" in done.stdout, command
        listed = done.stdout.partition("Options:")[2].partition("Commands:")[0]
        options = re.findall(r"^  (?:-[a-z], )?(--[a-z-]+)(?: (?:\S+|<.*?>))?  +(\S?)", listed, re.MULTILINE)
        assert "--help" in dict(options), command
        assert len(options) == len(re.findall(r"^  -", listed, re.MULTILINE)), command
        for option, text in options:
            assert text, f"{command} {option}"


def test_the_long_help_is_the_short_one(tmp_path):
    assert run(tmp_path, "orders", "--help").stdout == run(tmp_path, "orders", "-h").stdout


def test_help_and_version_need_no_configuration_and_no_terminal(tmp_path):
    done = run(tmp_path, "--version")
    assert (done.code, done.stderr) == (0, "")
    assert re.fullmatch(r"alphapanda \d+\.\d+\.\d+\n", done.stdout)
    assert run(tmp_path, "-h").code == 0


@pytest.mark.parametrize("command", [*READING, "backtest", "config check", "config show"])
def test_json_is_one_document_and_nothing_else(traded, command):
    done = run(traded, *command.split(), "--json")
    assert (done.code, done.stderr) == (0, "")
    json.loads(done.stdout)
    assert done.stdout.endswith("\n")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("command", [*READING, "backtest", "config show"])
def test_a_table_fits_100_columns_and_has_no_control_characters_in_a_pipe(traded, command):
    for env in ({"TERM": "xterm-256color", "COLUMNS": "300"}, {"NO_COLOR": "1"}):
        done = run(traded, *command.split(), env=env)
        assert done.code == 0
        assert max(map(len, done.stdout.splitlines())) <= 100
        assert not [c for c in done.stdout + done.stderr if ord(c) < 32 and c != "\n"]


def grouped(amount):
    """The digits of whole rupees as Indians group them: the last three, then pairs."""
    whole, paise = f"{abs(amount):.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = re.findall(r"\d{1,2}", head[::-1])
    return "-" * (amount < 0) + "₹" + ",".join([*(pair[::-1] for pair in pairs[::-1]), tail]) + f".{paise}"


def test_rupees_are_grouped_as_indians_do_and_never_broken_over_two_lines(traded):
    portfolio = answer(traded, "portfolio")["paper"]
    assert portfolio["starting_cash"] == 12345678.9
    table = run(traded, "portfolio").stdout
    assert "₹1,23,45,678.90" in table
    assert portfolio["cash"] > 1_00_00_000
    for name, amount in portfolio.items():
        if name in ("strategies", "drawdown_percent"):
            continue
        assert re.search(rf"[ +]{re.escape(grouped(amount))}$", table, re.MULTILINE)
    # 400.00 x 1.0005 = 400.20, a multiple of the tick; 0.1 % of 1,000 x 400.20 is charged.
    assert re.search(r"₹400\.20 +₹400\.20$", run(traded, "trades").stdout, re.MULTILINE)
    assert "₹400.20" in run(traded, "orders").stdout
    for position in answer(traded, "positions"):
        assert grouped(position["realized_pnl"]) in run(traded, "positions").stdout


def test_a_table_shows_the_rows_of_the_json(traded):
    trades = answer(traded, "trades")
    table = run(traded, "trades").stdout
    assert f"{len(trades)} trades · {trades[0]['traded_at'][:10]} +05:30" in table
    for trade in trades:
        assert trade["trade_id"] in table
        assert re.search(rf"^{trade['trade_id']}  {trade['traded_at'][11:19]} ", table, re.MULTILINE)


def test_rows_can_be_chosen_by_day_broker_strategy_and_number(traded):
    orders = answer(traded, "orders")
    assert answer(traded, "orders", "--limit", "3") == orders[-3:]
    assert answer(traded, "orders", "--limit", "0") == []
    assert answer(traded, "orders", "--date", "2024-01-31") == orders
    assert answer(traded, "orders", "--date", "2024-02-01") == []
    assert answer(traded, "orders", "--broker", "zerodha") == []
    assert answer(traded, "orders", "--strategy", orders[0]["strategy_id"]) == orders


def test_the_portfolio_is_narrowed_by_broker_strategy_and_day(traded):
    (name,) = {row["strategy_id"] for row in answer(traded, "trades")}
    whole, days = answer(traded, "portfolio"), answer(traded, "portfolio", "--days", "3")
    assert list(days["paper"]["strategies"]) == [name]
    assert len(days["paper"]["days"]) == len(days["paper"]["strategies"][name]) == 1
    assert answer(traded, "portfolio", "--broker", "paper", "--strategy", name) == whole
    assert answer(traded, "portfolio", "--broker", "zerodha") == {}
    for words in (
        ["--date", "2024-01-31"],
        ["--days", "3", "--date", "9999-12-31"],
        ["--days", "3", "--limit", "1"],
    ):
        assert answer(traded, "portfolio", *words) == days
    nothing = {"paper": {"days": [], "strategies": {name: []}}}
    for words in (
        ["--date", "2024-02-01"],
        ["--date", "0001-01-01", "--days", "3"],
        ["--days", "3", "--limit", "0"],
    ):
        assert answer(traded, "portfolio", *words) == nothing


def test_the_portfolio_of_one_strategy_leaves_out_the_others(tmp_path):
    write_config(tmp_path, strategies=[strategy("one"), strategy("two"), strategy("idle", enabled=False)])
    write_ticks(tmp_path, zigzag(20))
    assert run(tmp_path, "run", "--until-end").code == 0
    whole = answer(tmp_path, "portfolio")
    assert list(whole["paper"]["strategies"]) == ["one", "two"]
    one = answer(tmp_path, "portfolio", "--strategy", "one")
    assert one["paper"] == whole["paper"] | {"strategies": {"one": whole["paper"]["strategies"]["one"]}}
    assert answer(tmp_path, "portfolio", "--strategy", "idle")["paper"]["strategies"] == {}
    for words in ([], ["--days", "1"]):
        table = run(tmp_path, "portfolio", "--strategy", "one", *words).stdout
        assert "one" in table
        assert "two" not in table
        assert "starting cash" not in table
    assert answer(tmp_path, "portfolio", "--strategy", "one", "--days", "1")["paper"][
        "strategies"
    ].keys() == {"one"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--broker", "nope"], "'nope' is not a broker; there are: paper, zerodha"),
        (["--broker", ""], "'' is not a broker"),
        (["--strategy", "nope"], "'nope' is not a strategy; there are: a_strategy_with_a_name_of_32char"),
        (["--strategy", "", "--days", "3"], "'' is not a strategy"),
        (["--limit", "3"], "it counts days; say --days or --date with it"),
    ],
    ids=str,
)
def test_the_portfolio_of_what_there_is_not_is_wrong_usage(traded, words, said):
    done = run(traded, "portfolio", *words)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.line


def test_an_empty_store_reads_as_empty(tmp_path):
    write_config(tmp_path)
    for command in READING:
        done = run(tmp_path, command)
        assert (done.code, done.stderr) == (0, "")
        assert answer(tmp_path, command) == ({} if command == "portfolio" else [])
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "words", [["orders"], ["portfolio"], ["orders", "--json"], ["-h"], ["config", "show"]], ids=" ".join
)
def test_a_reader_that_leaves_early_is_no_error(traded, words, unbuffered):
    with subprocess.Popen(
        [COMMAND, *words],
        cwd=traded,
        env=environment({"PYTHONUNBUFFERED": unbuffered}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as writer:
        writer.stdout.close()  # before it can write its first byte
        said = writer.stderr.read().decode()
        writer.wait(FINISH_S)
    assert (writer.returncode, said) == (0, "")


def test_a_reader_that_left_before_the_error_leaves_one_line_of_it():
    code = (
        "from alphapanda.cli import app; from alphapanda.errors import Fatal;"
        " print('begun'); app._leave(Fatal('it failed'), 1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment({"PYTHONUNBUFFERED": ""}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as writer:
        writer.stdout.close()
        said = writer.stderr.read().decode()
        writer.wait(FINISH_S)
    assert (writer.returncode, said) == (1, "alphapanda: it failed\n")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk_is_one_line_and_a_failure(traded, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "portfolio"],
            cwd=traded,
            env=environment({"PYTHONUNBUFFERED": unbuffered}),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=FINISH_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "alphapanda: OSError: [Errno 28] No space left on device\n")


def test_a_locale_without_our_letters_costs_the_letters_and_not_the_answer(traded):
    env = environment({"PYTHONIOENCODING": "ascii"})
    for words in (["trades"], ["trades", "--json"]):
        done = subprocess.run(
            [COMMAND, *words], cwd=traded, env=env, capture_output=True, timeout=FINISH_S, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"400.2" in done.stdout
    assert json.loads(done.stdout) == answer(traded, "trades")


def test_a_reason_or_a_name_is_never_an_instruction_to_the_terminal(tmp_path):
    write_config(tmp_path)
    reason = "a \x1b[31mred \x07 \x9b1m\tword"
    said = [
        run(tmp_path, "kill-switch", "on", "--reason", reason),
        run(tmp_path, "kill-switch", "status"),
        run(tmp_path, "status"),
        run(tmp_path, "backtest", "--data", reason),
    ]
    for done in said:
        assert "[31mred" in done.stdout + done.stderr
        assert not [c for c in done.stdout + done.stderr if not c.isprintable() and c != "\n"]


def test_what_a_strategy_prints_is_not_in_the_document(tmp_path):
    write_config(tmp_path, strategies=[strategy(**{"class": "talks:Talks"})])
    (tmp_path / "talks.py").write_text(
        "from strategies.momentum import MomentumStrategy\n"
        "print('imported')\n"
        "class Talks(MomentumStrategy):\n"
        "    def on_market_data(self, tick):\n"
        "        print('a price')\n"
        "        return super().on_market_data(tick)\n"
    )
    write_ticks(tmp_path, zigzag(4))
    said = {"backtest": "a price", "config check": "imported"}
    for command, word in said.items():
        done = run(tmp_path, *command.split(), "--json")
        assert done.code == 0
        assert done.document
        assert word in done.stderr
    done = run(tmp_path, "run", "--until-end")
    assert (done.code, done.stdout) == (0, "")
    assert "a price" in done.stderr


@pytest.mark.parametrize("command", ["orders", "status", "why S1"])
def test_a_store_that_is_damaged_is_told_what_to_do(tmp_path, command):
    write_config(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/alphapanda.db").write_text("no database, " * 100)
    done = run(tmp_path, *command.split())
    assert done.code == 1
    assert "cannot be read: file is not a database; if it is damaged, stop the daemon" in done.line

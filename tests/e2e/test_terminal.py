"""The command on a real terminal, read by an emulator: no line wraps, no figure is cut; a pipe gets text."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from functools import cache

import pyte
import pytest
from running import COMMAND, FINISH_S, answer, daemon, environment, run, strategy, write_config, write_ticks

SHARES = [
    "RELIANCE",
    "HDFCBANK",
    "BAJAJ-AUTO",
    "HINDUNILVR",
    "KOTAKBANK",
    "M&M",
    "LT",
    "TCS",
    "INFY",
    "ICICIBANK",
    "SBIN",
    "ITC",
    "AXISBANK",
    "MARUTI",
    "TITAN",
    "NESTLEIND",
    "WIPRO",
    "SUNPHARMA",
    "TATASTEEL",
    "ASIANPAINT",
]
SIZES = [(80, 24), (120, 40)]
READING = ("status", "orders", "trades", "positions", "portfolio", "signals", "config show")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
FIGURE = re.compile(r"[+-]?₹[0-9,]+\.\d\d(?!\d)")
GREEN, RED, YELLOW = "\x1b[32m", "\x1b[31m", "\x1b[33m"


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A daemon that has traded twenty shares for crores and still runs; one more strategy was refused."""
    folder = tmp_path_factory.mktemp("traded")
    params = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99}
    half = [f"NSE:{share}" for share in SHARES[:10]], [f"NSE:{share}" for share in SHARES[8:]]
    strategies = [
        strategy("momentum_1", instruments=half[0], params=params | {"quantity": 1000}),
        strategy("opening_range_breakout", instruments=half[1], params=params | {"quantity": 20_000}),
        strategy("too_large", instruments=half[1][:2], params=params | {"quantity": 90_000}),
    ]
    limits = dict.fromkeys(("max_order_value", "max_orders_per_second", "max_orders_per_minute"), 0)
    limits |= dict.fromkeys(("max_order_quantity", "max_position_quantity"), 50_000)
    write_config(folder, strategies=strategies, paper_trading={"starting_cash": 98_76_54_321.5}, risk=limits)
    rows = [
        (second + number / 100, share, (101.55 if second % 2 else 100.0) * (40 * number + 1))
        for second in range(8)
        for number, share in enumerate(SHARES)
    ]
    write_ticks(folder, rows)
    with daemon(folder) as running:
        running.until(lambda: "the data has ended" in running.stderr)
        yield folder


@cache
def on_terminal(folder, columns, rows, *words, **env):
    """What the command writes to a terminal of that size. The day is over: it would say the same again."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {
        name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    with subprocess.Popen(
        [COMMAND, *words],
        cwd=folder,
        env=kept | {"TERM": "xterm-256color"} | env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            said = drained(ours)
        finally:
            os.close(ours)
            process.kill()
    return said.decode()


def drained(terminal):
    """All that is written until the last writer has left."""
    said, deadline = b"", time.monotonic() + FINISH_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody has it open any more
            return said
        if not part:
            return said
        said += part
    raise AssertionError(f"not done within {FINISH_S} s")


def seen(text, columns):
    """The rows of a screen on which nothing scrolls away."""
    screen = pyte.Screen(columns, text.count("\n") * 3 + 10)
    pyte.Stream(screen).feed(text)
    return [row.rstrip() for row in screen.display]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("command", [*READING, "-h", "orders -h", "strategies -h"])
def test_no_line_is_longer_than_the_terminal(traded, command, columns, rows):
    text = on_terminal(traded, columns, rows, *command.split())
    written = [ESCAPE.sub("", line).rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    shown = seen(text, columns)
    assert max(map(len, written)) <= columns
    assert shown[: len(written)] == written  # a line that wraps takes two rows
    assert not any(shown[len(written) :])
    assert len(written) > 5


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_every_figure_and_every_id_is_whole(traded, columns, rows):
    figures = {
        "orders": ["order_id", "tradingsymbol", "status"],
        "trades": ["trade_id", "tradingsymbol", "price", "quantity"],
        "positions": ["tradingsymbol", "realized_pnl", "unrealized_pnl"],
        "signals": ["signal_id", "tradingsymbol", "verdict"],
    }
    for command, keys in figures.items():
        screen = seen(on_terminal(traded, columns, rows, command), columns)
        lines = [{plain(cell) for cell in line.split()} for line in screen]
        for row in answer(traded, command):
            wanted = {plain(row[key]) for key in keys}
            assert any(wanted <= line for line in lines), (command, row)
    screen = "\n".join(seen(on_terminal(traded, columns, rows, "portfolio"), columns))
    said = answer(traded, "portfolio")["paper"]
    amounts = {plain(amount) for of in (said, *said["strategies"].values()) for amount in figures_of(of)}
    assert {plain(figure) for figure in FIGURE.findall(screen)} <= amounts
    assert {plain(amount) for amount in figures_of(said)} <= {plain(f) for f in FIGURE.findall(screen)}


def figures_of(said):
    return [value for value in said.values() if isinstance(value, float)]


def plain(cell):
    """A figure without its dress: 1234.5 for ₹1,234.50 and for 1234.5; other words as they are."""
    try:
        return float(str(cell).replace("₹", "").replace(",", ""))
    except ValueError:
        return cell


def test_an_80_column_terminal_says_what_it_leaves_out(traded):
    wide = seen(on_terminal(traded, 160, 40, "orders"), 160)
    narrow = seen(on_terminal(traded, 80, 24, "orders"), 80)
    assert "2024-01-31 +05:30" in narrow[0]
    assert "broker paper" in narrow[0]
    assert "not shown: " in narrow[0]
    for name in narrow[0].partition("not shown: ")[2].split(", "):
        assert name in wide[1].split()
    assert "not shown" not in wide[0]


def test_a_refusal_is_told_in_a_line_of_its_own(traded):
    refused = [row for row in answer(traded, "signals") if row["rule"]]
    screen = seen(on_terminal(traded, 80, 24, "signals"), 80)
    row = next(line for line, text in enumerate(screen) if refused[0]["signal_id"] in text)
    assert screen[row + 1] == f"    {refused[0]['rule']}: {refused[0]['reason']}"


@pytest.mark.parametrize("words", ["why nope", "kill-switch status", "start --speed 60 --no-calendar"])
def test_a_sentence_breaks_between_its_words(traded, words):
    text = on_terminal(traded, 80, 24, *words.split())
    rows = seen(text, 80)
    assert len([row for row in rows if row]) > 1
    said = run(traded, *words.split())
    for word in (said.stdout + said.stderr).split():
        assert len(word) > 80 or any(word in row.split() for row in rows), word


def test_profit_is_green_loss_is_red_and_only_for_eyes_that_want_it(traded):
    profits = [row["realized_pnl"] for row in answer(traded, "positions")]
    assert max(profits) > 0
    text = on_terminal(traded, 80, 24, "positions")
    assert f"{GREEN}+₹" in text
    assert (f"{RED}-₹" in text) == (min(profits) < 0)
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(traded, 80, 24, "positions", **env)


def test_a_halted_daemon_is_yellow(traded):
    run(traded, "kill-switch", "on", "--reason", "prices look wrong, and this is a long reason for it " * 3)
    try:
        text = on_terminal.__wrapped__(traded, 80, 24, "status")
        assert f"PAPER · {YELLOW}halted" in text
        first, second, third, fourth, *_ = seen(text, 80)
        assert first.startswith("PAPER · halted · kill switch on · feed age ")
        assert second.startswith("kill switch: prices look wrong, and this")
        assert ", by " in third + fourth
    finally:
        run(traded, "kill-switch", "off", "--reason", "seen")


@pytest.mark.parametrize("command", [*READING, "-h", "backtest", "nope"])
def test_a_pipe_gets_text_and_nothing_else(traded, command):
    done = run(traded, *command.split(), env={"TERM": "xterm-256color", "FORCE_COLOR": "1"})
    for text in (done.stdout, done.stderr):
        assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]

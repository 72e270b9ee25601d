"""strategies, cancel-all, close, close-all, stages, why: the installed command, with a daemon and without."""

import re

import pytest
from running import (
    answer,
    count,
    daemon,
    eventually,
    on_a_terminal,
    run,
    select,
    strategy,
    write_config,
    write_ticks,
    zigzag,
)

PACE = ("--speed", "100")
NOT_RUNNING, USAGE, GAVE_UP = 4, 2, 1
WORDS = {"cancel-all": (), "close": ("INFY", "--yes"), "close-all": ("--yes",), "stages list": ()}


@pytest.fixture
def folder(tmp_path):
    """Minutes of replay at PACE in which `rising` buys once; SLOW has one more row, so its order rests."""
    rising = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.5, "quantity": 3}
    write_config(
        tmp_path,
        strategies=[
            strategy("rising", instruments=["NSE:INFY", "NSE:SLOW"], params=rising),
            strategy("idle", enabled=False),
        ],
    )
    write_ticks(tmp_path, sorted([*zigzag(20_000), (0.5, "SLOW", 50.0), (1.5, "SLOW", 51.0)]))
    return tmp_path


def held(folder):
    return {row["tradingsymbol"]: row["quantity"] for row in answer(folder, "positions")}


def states(folder):
    return {row["strategy_id"]: row["state"] for row in answer(folder, "strategies", "list")}


def holding(running):
    """Until it holds INFY and its order in SLOW rests."""
    running.until(lambda: held(running.folder) == {"INFY": 3})


def finished(folder):
    write_ticks(folder, zigzag(10))
    assert run(folder, "run", "--until-end").code == 0


@pytest.mark.parametrize("command", WORDS)
def test_what_needs_a_daemon_says_that_there_is_none(folder, command):
    done = run(folder, *command.split(), *WORDS[command])
    assert (done.code, done.stdout) == (NOT_RUNNING, "")
    assert "no daemon runs on" in done.line
    assert "alphapanda start" in done.line
    assert not (folder / "var" / "alphapanda.db").exists()


@pytest.mark.parametrize("command", ["close INFY", "close-all"])
def test_without_a_terminal_a_close_wants_to_be_sure(folder, command):
    done = run(folder, *command.split())
    assert (done.code, done.stdout) == (USAGE, "")
    assert "there is no terminal to ask on; say --yes" in done.line


def test_a_pause_while_the_daemon_is_stopped_is_what_it_finds(folder):
    assert states(folder) == {"rising": "stopped", "idle": "disabled"}
    said = answer(folder, "strategies", "pause", "rising", "--reason", "results")
    assert said == {"strategy_id": "rising", "was": "running", "state": "paused"}
    assert "rising is paused already" in run(folder, "strategies", "pause", "rising").stdout
    (row, _) = answer(folder, "strategies", "list")
    assert (row["state"], row["class"], row["instruments"]) == (
        "paused",
        "strategies.momentum:MomentumStrategy",
        ["NSE:INFY", "NSE:SLOW"],
    )
    assert re.fullmatch(r"results \(by .+\)", row["reason"])
    assert row["since"].endswith("+05:30")
    with daemon(folder, *PACE) as running:
        running.until(lambda: count(folder, "signals") > 1)
        assert states(folder) == {"rising": "paused", "idle": "disabled"}
        assert run(folder, "strategies", "resume", "rising").stdout == "rising trades again\n"
        holding(running)
        assert states(folder)["rising"] == "running"
        assert "rising is running already" in run(folder, "strategies", "resume", "rising").stdout
    assert {verdict for (verdict,) in select(folder, "SELECT verdict FROM signals")} == {
        "refused",
        "approved",
    }


def test_an_unknown_strategy_is_an_error_that_names_those_there_are(folder):
    done = run(folder, "strategies", "pause", "nope")
    assert (done.code, done.stdout) == (GAVE_UP, "")
    assert "no strategy 'nope' is configured; there are: rising, idle" in done.line
    with daemon(folder, *PACE):
        assert (
            "no strategy 'nope' runs here; there are: rising"
            in run(folder, "strategies", "resume", "nope").line
        )


def test_cancel_close_and_restart_a_stage_of_a_running_daemon(folder):
    with daemon(folder, *PACE) as running:
        holding(running)
        table = run(folder, "strategies", "list")
        assert "rising" in table.stdout
        assert "running" in table.stdout
        said = run(folder, "close", "NOPE", "--yes")
        assert (said.code, said.stdout) == (GAVE_UP, "")
        assert "no open position in NOPE; open positions are: INFY" in said.line
        (cancelled,) = answer(folder, "cancel-all", "--broker", "paper")["cancelled"]
        assert (cancelled["tradingsymbol"], cancelled["status"]) == ("SLOW", "CANCELLED")
        assert run(folder, "kill-switch", "on", "--reason", "news").code == 0
        done = run(folder, "close", "infy", "--strategy", "rising", "--yes")
        assert (done.code, done.stderr) == (0, "")
        assert "approved" in done.stdout
        assert "A strategy may open again" in done.stdout
        running.until(lambda: held(folder) == {"INFY": 0})
        assert answer(folder, "close-all", "--yes") == {"cancelled": [], "closing": []}
        assert "pulse is started anew (restart 1)" in run(folder, "stages", "restart", "pulse").stdout
        running.until(lambda: running.status()["stages"]["pulse"]["restarts"] == 1)
        assert answer(folder, "stages", "list")["pulse"]["restarts"] == 1
        assert run(folder, "stages", "restart", "risk").code == GAVE_UP
    ((by_hand,),) = select(folder, "SELECT signal_id FROM signals WHERE transaction_type = 'SELL'")
    told = answer(folder, "why", by_hand)
    assert (told["position_effect"], told["last_price"], told["reason"]) == (
        "CLOSE", None, f"closed by {told['by']}"
    )  # fmt: skip
    assert told["verdicts"][0]["order"]["status"] == "FILLED"


def test_a_close_that_is_refused_is_said_with_its_rule_and_an_exit_code(folder):
    evening = [(24_000 + second, "INFY", 100.0) for second in range(10_000)]
    write_ticks(folder, [*zigzag(4), *evening])
    with daemon(folder, *PACE) as running:
        running.until(lambda: running.status()["stages"]["feed"]["processed"] > 4)
        running.until(lambda: held(folder) == {"INFY": 3})
        done = run(folder, "close-all", "--yes")
        assert done.code == GAVE_UP
        told = " ".join(done.stdout.split())
        assert "market_closed" in told
        assert "outside the continuous session" in told
        assert done.line == "1 closing order refused: that position stays open"
        assert held(folder) == {"INFY": 3}


def test_on_a_terminal_a_close_asks_first(folder):
    assert on_a_terminal(folder, "y\n", "close", "INFY")[0] == NOT_RUNNING
    with daemon(folder, *PACE) as running:
        holding(running)
        code, said = on_a_terminal(folder, "n\n", "close", "INFY")
        assert code == GAVE_UP
        asked = "Close every open position in INFY at the market (now 1: 3 INFY of rising)? [y/N]:"
        assert asked in said
        assert "Nothing was done." in said
        assert on_a_terminal(folder, "\x04", "close-all")[0] == GAVE_UP
        assert held(folder) == {"INFY": 3}
        code, said = on_a_terminal(folder, "y\n", "close", "INFY", "--strategy", "rising")
        assert code == 0
        assert "approved" in said
        eventually(lambda: answer(folder, "trades", "--strategy", "rising")[1:])


def test_why_tells_of_a_signal_by_any_form_of_its_id(folder):
    finished(folder)
    first = answer(folder, "signals")[0]
    told = answer(folder, "why", first["signal_id"])
    for form in ("S1", "s000001", "1", " S000001 "):
        assert answer(folder, "why", form) == told
    assert {name: told[name] for name in ("signal_id", "strategy_id", "at", "quantity")} == {
        name: first[name] for name in ("signal_id", "strategy_id", "at", "quantity")
    }
    (verdict,) = told["verdicts"]
    order = next(o for o in answer(folder, "orders") if o["order_id"] == verdict["order"]["order_id"])
    assert verdict["order"] == order
    assert verdict["trades"] == [t for t in answer(folder, "trades") if t["order_id"] == order["order_id"]]
    assert verdict["trades"]
    said = run(folder, "why", "1").stdout
    for word in (first["signal_id"], "rising", "BUY 3 INFY (OPEN, MARKET)", order["order_id"], "FILLED", "₹"):
        assert word in said
    assert max(map(len, said.splitlines())) <= 100


def test_why_tells_the_rule_and_the_figures_of_a_refusal(folder):
    write_config(folder, strategies=[strategy("rising")], risk={"max_order_quantity": 2})
    finished(folder)
    (verdict,) = answer(folder, "why", "1")["verdicts"]
    assert (verdict["verdict"], verdict["rule"], verdict["order"], verdict["trades"]) == (
        "refused", "max_order_quantity", None, []
    )  # fmt: skip
    assert "3" in verdict["reason"]
    assert "2" in verdict["reason"]
    assert f"paper: refused by max_order_quantity: {verdict['reason']}" in run(folder, "why", "1").stdout


@pytest.mark.parametrize(("asked", "code", "told"), [
    ("S7", GAVE_UP, "no signal S000007 in"),
    ("O000001", USAGE, "'O000001' is no signal id; one is like S000012"),
    ("", USAGE, "is no signal id"),
])  # fmt: skip
def test_a_signal_that_is_not_there_says_how_to_find_those_that_are(folder, asked, code, told):
    done = run(folder, "why", asked)
    assert (done.code, done.stdout) == (code, "")
    assert told in done.line
    if code == GAVE_UP:
        assert "alphapanda signals --limit 20" in done.line

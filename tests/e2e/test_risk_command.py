"""risk show, set, reset, history: the installed command, with a daemon at work and with one stopped."""

import subprocess

import pytest
from running import (
    COMMAND,
    answer,
    count,
    daemon,
    environment,
    on_a_terminal,
    run,
    select,
    strategy,
    write_config,
    write_ticks,
    zigzag,
)

PACE = ("--speed", "100", "--no-calendar")
GAVE_UP, USAGE, CANNOT_START = 1, 2, 3
FREE = {"max_orders_per_minute": 0, "max_orders_per_day": 0}
"""Of zigzag, which trades each second."""
WHY = ("--reason", "test")


@pytest.fixture
def folder(tmp_path):
    """Minutes of replay at PACE in which momentum_1 buys 3 for about 300 rupees each second."""
    write_config(tmp_path, risk=FREE)
    write_ticks(tmp_path, zigzag(20_000))
    return tmp_path


def limit(folder, key, **scope):
    """Its one row."""
    wanted = {"broker": None, "strategy": None, "instrument": None} | scope
    (row,) = [r for r in answer(folder, "risk", "show") if (r["key"], r["scope"]) == (key, wanted)]
    return row


def verdicts(folder):
    """(seq, kind, rule) of every verdict on an entry, and of every change of a limit, as journaled."""
    effect = "coalesce(json_extract(body, '$.signal.position_effect'), 'OPEN')"
    sql = (
        "SELECT seq, kind, json_extract(body, '$.rule') FROM journal WHERE kind = 'LimitChanged'"
        f" OR (kind IN ('Approved', 'Refused') AND {effect} = 'OPEN')"
    )
    return select(folder, sql)


def obeyed(folder):
    """Entries were judged by max_order_value after the change, all of them, and by it never before."""
    said = verdicts(folder)
    (changed,) = [seq for seq, kind, _ in said if kind == "LimitChanged"]
    before = [(kind, rule) for seq, kind, rule in said if seq < changed]
    after = [(kind, rule) for seq, kind, rule in said if seq > changed]
    assert set(after) <= {("Refused", "max_order_value")}
    assert "max_order_value" not in {rule for _, rule in before}
    assert ("Approved", None) in before
    return len(after)


def test_a_limit_that_is_set_during_a_replay_is_obeyed_at_once_and_for_good(folder):
    with daemon(folder, *PACE) as running:
        running.until(lambda: count(folder, "trades") > 4)
        said = answer(folder, "risk", "set", "max_order_value", "50", *WHY)
        durable = select(folder, "SELECT count(*) FROM journal WHERE kind = 'LimitChanged'")
        assert durable == [(1,)]
        assert {name: said[name] for name in ("key", "old", "new", "looser", "changed")} == {
            "key": "max_order_value", "old": 500000, "new": 50, "looser": False, "changed": True
        }  # fmt: skip
        running.until(lambda: obeyed(folder) > 3)
        running.kill()
    with daemon(folder, *PACE) as running:
        row = limit(folder, "max_order_value")
        assert (row["cap"], row["from"], row["configured"], row["reason"]) == (50, "run time", 500000, "test")
        assert "limit max_order_value is 50, set at run time" in running.stderr
        obeying = obeyed(folder)
        running.until(lambda: obeyed(folder) > obeying)
        assert run(folder, "stop").code == 0
        assert running.ended() == 0
    write_config(folder, risk=FREE | {"max_order_value": 40.0})
    row = limit(folder, "max_order_value")
    assert (row["cap"], row["from"], row["configured"], row["at"][-6:]) == (50, "run time", 40, "+05:30")
    ((at, by, key, old, new, reason),) = select(
        folder, "SELECT at_ns, by_whom, key, old, new, reason FROM limit_changes"
    )
    assert (key, old, new, reason) == ("max_order_value", "500000", "50", "test")
    (told,) = answer(folder, "risk", "history")
    assert (told["by"], told["old"], told["new"], told["strategy"]) == (by, 500000, 50, None)
    assert at > 0


def two(folder, risk, quantity=3):
    """`first` and `second` buy 3 of INFY each at the same tick, and hold."""
    rising = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.5, "quantity": quantity}
    both = [strategy(name, params=rising) for name in ("first", "second")]
    write_config(folder, strategies=both, risk=FREE | risk)
    write_ticks(folder, zigzag(4))
    assert run(folder, "run", "--until-end").code == 0
    return {
        row["strategy_id"]: (row["verdict"], row["rule"], row["reason"])
        for row in reversed(answer(folder, "signals"))
    }


def own(strategy_id, cap):
    return {"scope": {"strategy": strategy_id}, "max_gross_exposure": cap}


def test_two_within_their_own_caps_and_together_over_the_accounts_the_second_is_refused_by_that(tmp_path):
    overrides = [own("first", 400.0), own("second", 400.0)]
    said = two(tmp_path, {"max_gross_exposure": 500.0, "overrides": overrides})
    assert said["first"][:2] == ("approved", None)
    assert said["second"][:2] == ("refused", "max_gross_exposure")
    assert "500" in said["second"][2]
    assert "second" not in said["second"][2]
    rows = [row for row in answer(tmp_path, "risk", "show") if row["key"] == "max_gross_exposure"]
    assert [(row["scope"]["strategy"], row["used"], row["cap"], row["from"]) for row in rows] == [
        (None, 306, 500, "config.toml"),
        ("first", 306, 400, "config.toml"),
        ("second", 0, 400, "config.toml"),
    ]


def test_the_tightest_limit_wins_and_a_refusal_names_whose_it_is(tmp_path):
    overrides = [own("second", 200.0)]
    said = two(tmp_path, {"max_gross_exposure": 5000.0, "overrides": overrides})
    assert said["first"][:2] == ("approved", None)
    assert said["second"][:2] == ("refused", "max_gross_exposure")
    assert "(for second)" in said["second"][2]


def test_without_a_daemon_a_limit_is_set_shown_and_given_back(folder):
    scope = ("--strategy", "momentum_1", "--instrument", "NSE:INFY")
    done = run(folder, "risk", "set", "max_order_value", "100", *scope, *WHY)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == (
        "max_order_value of momentum_1 in NSE:INFY is ₹100.00, it was not set;"
        " no daemon runs; the next start obeys it\n"
    )
    again = run(folder, "risk", "set", "max_order_value", "100.0", *scope, *WHY)
    assert "is ₹100.00 already" in again.stdout
    row = limit(folder, "max_order_value", strategy="momentum_1", instrument="NSE:INFY")
    assert (row["cap"], row["configured"], row["used"], row["blocked"]) == (100, None, None, False)
    shown = run(folder, "risk", "show")
    assert (shown.code, shown.stderr) == (0, "")
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert "momentum_1, NSE:INFY" in shown.stdout
    other = run(folder, "risk", "show", "--strategy", "other")
    assert "momentum_1" not in other.stdout
    with daemon(folder, *PACE) as running:
        running.until(lambda: count(folder, "signals"))
        (first, *_) = answer(folder, "signals")
        assert (first["rule"], "(for momentum_1, NSE:INFY)" in first["reason"]) == ("max_order_value", True)
    done = run(folder, "risk", "reset", "max_order_value", *scope, *WHY)
    assert (done.code, done.stdout) == (USAGE, "")
    assert "loosens max_order_value of momentum_1 in NSE:INFY from ₹100.00 to not set" in done.line
    assert "there is no terminal to ask on; say --yes" in done.line
    done = run(folder, "risk", "reset", "max_order_value", *scope, *WHY, "--yes")
    assert (done.code, done.stderr) == (0, "")
    done = run(folder, "risk", "reset", "max_order_value", *scope, *WHY, "--yes")
    assert (done.code, done.stdout) == (GAVE_UP, "")
    assert "was not set at run time" in done.line
    listed = run(folder, "risk", "history").stdout
    assert "2 changes of limits" in listed
    assert "reset" in listed
    (last,) = answer(folder, "risk", "history", "--limit", "1")
    assert (last["old"], last["new"], last["strategy"], last["instrument"], last["broker"]) == (
        100, None, "momentum_1", "NSE:INFY", None
    )  # fmt: skip


def test_M58_a_limit_below_what_is_in_use_lets_through_only_what_reduces_it(folder):  # noqa: N802 - the fault's name
    with daemon(folder, *PACE) as running:
        running.until(lambda: select(folder, "SELECT 1 FROM positions WHERE quantity"))
        plan = answer(folder, "risk", "set", "max_orders_per_day", "1", *WHY, "--dry-run")
        assert not plan["changed"]
        assert plan["refused"] == [{"strategy_id": "momentum_1", "broker": "paper"}]
        assert answer(folder, "risk", "history") == []
        done = run(folder, "risk", "set", "max_position_quantity", "2", *WHY)
        assert done.code == 0
        assert "every order from now on obeys it" in done.stdout
        (changed,) = select(folder, "SELECT max(seq) FROM journal WHERE kind = 'LimitChanged'")[0]
        after = (
            f"SELECT kind, json_extract(body, '$.signal.position_effect') FROM journal WHERE seq > {changed}"
        )
        running.until(
            lambda: (
                [kind for kind, _ in select(folder, after) if kind == "Refused"][3:]
                and all(row["quantity"] == 0 for row in answer(folder, "positions"))
            )
        )
        effects = {effect for kind, effect in select(folder, after) if kind == "Approved"}
        assert effects <= {"CLOSE"}


@pytest.mark.parametrize(("words", "why"), [
    (("max_ordre_value", "5"), "there is no limit 'max_ordre_value'; did you mean max_order_value"),
    (("qqqq", "5"), "there is no limit 'qqqq'; `alphapanda risk show` lists them"),
    (("max_order_value", "much"), "max_order_value takes a plain number such as 50000, not 'much'"),
    (("max_order_quantity", "1.5"), "takes a whole number"),
    (("allowed_instruments", "NSE:INFY"), "is a list: change it in [risk] of the configuration, and restart"),
    (("max_order_value", "5", "--strategy", "nope"), "'nope' is not a strategy; there are: momentum_1"),
    (("max_order_value", "5", "--instrument", "INFY"), '"EXCHANGE:SYMBOL"'),
    (("max_order_value", "5", "--reason", "  "), "say why, in a few words"),
    (("max_order_value", "5", "--broker", ""), "names nothing; name one, or leave the option out"),
    (("max_order_value", "5", "--strategy", " "), "names nothing"),
    (("max_order_value", "5", "--instrument", ""), "names nothing"),
    (("max_drawdown_percent", "101"), "max_drawdown_percent must be 100 or less, not 101"),
    (("max_order_value", "900000"), "loosens max_order_value from ₹5,00,000.00 to ₹9,00,000.00"),
])  # fmt: skip
def test_a_wrong_command_is_exit_code_2_and_writes_nothing(folder, words, why):
    reason = () if "--reason" in words else WHY
    done = run(folder, "risk", "set", *words, *reason)
    assert (done.code, done.stdout) == (USAGE, "")
    assert why in done.line
    assert not (folder / "var" / "alphapanda.db").exists()


@pytest.mark.parametrize(("words", "why"), [
    (("show", "--broker", "nope"), "'nope' is not a broker; use paper or zerodha"),
    (("show", "--strategy", "nope"), "'nope' is not a strategy; there are: momentum_1"),
    (("show", "--strategy", ""), "names nothing"),
    (("reset", "max_order_value", "--broker", "", *WHY), "names nothing"),
])  # fmt: skip
def test_a_name_that_nothing_has_is_wrong_usage(folder, words, why):
    done = run(folder, "risk", *words)
    assert (done.code, done.stdout) == (USAGE, "")
    assert why in done.line


def test_a_limit_of_another_version_stops_the_start_until_it_is_reset(folder):
    assert run(folder, "risk", "set", "max_order_value", "50", *WHY).code == 0
    gone = (
        "from alphapanda.events import LimitChanged, Scope; from alphapanda.store import offline;"
        " from pathlib import Path; offline.change_limit(Path('var/alphapanda.db'), LimitChanged("
        "key='max_gone', value='5', old='', scope=Scope(), by='a', reason='b', time_ns=1))"
    )
    subprocess.run([COMMAND.with_name("python"), "-c", gone], cwd=folder, env=environment(), check=True)
    done = run(folder, "run", "--until-end")
    assert done.code == CANNOT_START
    assert "alphapanda risk reset max_gone --reason stale" in done.stderr
    shown = run(folder, "risk", "show")
    assert shown.code == 0
    assert "max_gone was set to 5 at run time" in shown.line
    assert run(folder, "risk", "reset", "max_gone", "--reason", "stale").code == 0
    assert run(folder, "risk", "reset", "max_gonee", "--reason", "stale").code == USAGE
    with daemon(folder, *PACE):
        assert limit(folder, "max_order_value")["cap"] == 50


def test_on_a_terminal_loosening_asks_and_tightening_does_not(folder):
    words = ("risk", "set", "max_order_value", "900000", *WHY)
    code, said = on_a_terminal(folder, "n\n", *words)
    assert code == GAVE_UP
    assert "That loosens max_order_value from ₹5,00,000.00 to ₹9,00,000.00. Do it? [y/N]:" in said
    assert answer(folder, "risk", "history") == []
    with daemon(folder, *PACE):
        code, said = on_a_terminal(folder, "y\n", *words)
        assert code == 0
        assert "max_order_value is ₹9,00,000.00, it was ₹5,00,000.00" in said
        code, said = on_a_terminal(folder, "", "risk", "set", "max_order_value", "400000", *WHY)
        assert code == 0
        assert "[y/N]" not in said
    assert [row["new"] for row in answer(folder, "risk", "history")] == [900000, 400000]

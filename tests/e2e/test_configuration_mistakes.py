"""Mistakes in the configuration, through the command: exit code 3 and one line with the key and the file."""

import json
import tomllib
from pathlib import Path

import pytest
from running import answer, daemon, run, strategy, write_config, write_ticks, zigzag

CANARY = "CaNaRy7f3a"
SECRETS = {
    "ALPHAPANDA__ZERODHA__API_KEY": f"key{CANARY}",
    "ALPHAPANDA__ZERODHA__API_SECRET": f"secret{CANARY}",
    "ALPHAPANDA__ZERODHA__ACCESS_TOKEN": f"token{CANARY}",
    "ALPHAPANDA__REDIS__URL": f"redis://:{CANARY}@localhost:6379/0",
    "ALPHAPANDA__ALERTS__URLS": f'["tgram://{CANARY}/1"]',
}
REAL = "active_brokers = ['zerodha']\n[zerodha]\nenabled = true\n"
MOMENTUM = "[[strategies]]\nid = 'm'\n"
MISTAKES = {
    "unknown key": ("[risk]\nmax_order_quantty = 5", "risk.max_order_quantty", "max_order_quantity"),
    "unknown section": ("[rsik]\nx = 1", "rsik"),
    "unknown key at the top": ("enviroment = 'x'", "enviroment", "environment"),
    "text for a number": ("[risk]\nmax_order_quantity = 'many'", "risk.max_order_quantity", "whole number"),
    "fraction for a whole number": ("[risk]\nmax_order_quantity = 1.5", "risk.max_order_quantity"),
    "number for text": ("environment = 5", "environment", "text"),
    "negative limit": ("[risk]\nmax_order_value = -1.0", "risk.max_order_value"),
    "negative slippage": ("[paper_trading]\nslippage_percent = -1.0", "paper_trading.slippage_percent"),
    "no cash": ("[paper_trading]\nstarting_cash = 0.0", "paper_trading.starting_cash"),
    "not a number": ("[risk]\nmax_order_value = nan", "risk.max_order_value"),
    "unknown feed": ("[feed]\nsource = 'nse'", "feed.source", "simulated, replay, zerodha"),
    "speed": ("[feed.replay]\nspeed = 'fast'", "feed.replay.speed"),
    "override of an unknown broker": (
        "[[risk.overrides]]\nscope = {broker = 'upstox'}\nmax_order_value = 1.0",
        "risk.overrides[0].scope.broker",
        "'upstox' is not a broker",
    ),
    "unknown key of an override": (
        "[[risk.overrides]]\nscope = {broker = 'paper'}\nmax_ordre_value = 1.0",
        "risk.overrides[0].max_ordre_value",
        "did you mean max_order_value?",
    ),
    "charges of nobody": ("[paper_trading]\ncharges = 'upstox'", "paper_trading.charges"),
    "no broker": ("active_brokers = []", "active_brokers"),
    "unknown broker": ("active_brokers = ['upstox']", "active_brokers", "'upstox'"),
    "paper switched off": ("[paper_trading]\nenabled = false", "paper_trading.enabled"),
    "zerodha without a key": (REAL + "[feed]\nsource = 'zerodha'", "zerodha.api_key"),
    "secret in the file": ("[zerodha]\napi_secret = 'abc'", "zerodha.api_secret"),
    "password in the file": ("[redis]\nurl = 'redis://:abc@localhost'", "redis.url"),
    "strategy without an id": ("[[strategies]]\nenabled = true", "strategies[0].id"),
    "two strategies of one id": (MOMENTUM + MOMENTUM, "strategies[1].id"),
    "strategy on an unknown broker": (MOMENTUM + "brokers = ['x']", "strategies[0].brokers", "'x'"),
    "strategy on an idle broker": (MOMENTUM + "brokers = ['zerodha']", "strategies[0].brokers"),
    "instrument without exchange": (MOMENTUM + "instruments = ['INFY']", "strategies[0].instruments"),
    "class that is none": (MOMENTUM + "class = 'momentum'", "strategies[0].class"),
    "not TOML": ("[risk\nx = 1", "line 1"),
}


def written(folder, text):
    path = folder / "config.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_the_key_and_the_file_and_exit_code_3(tmp_path, mistake):
    text, *words = MISTAKES[mistake]
    path = written(tmp_path, text)
    done = run(tmp_path, "config", "check")
    assert (done.code, done.stdout) == (3, "")
    for word in ("alphapanda: ", str(path), *words):
        assert word in done.line
    assert "abc" not in done.line.replace(str(path), "")


NEED_CONFIG = (
    "run",
    "stop",
    "status",
    "orders",
    "trades",
    "positions",
    "portfolio",
    "signals",
    "backtest",
    "kill-switch on",
    "kill-switch off --reason x",
    "kill-switch status",
    "config check",
    "config show",
)


@pytest.mark.skipif(Path("/etc/alphapanda/config.toml").exists(), reason="this machine has a configuration")
@pytest.mark.parametrize("command", NEED_CONFIG)
def test_every_command_that_needs_a_configuration_exits_3_without_one(tmp_path, command):
    done = run(tmp_path, *command.split())
    assert (done.code, done.stdout) == (3, "")
    assert "alphapanda config init" in done.line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["run", "status", "orders", "backtest", "kill-switch on"])
def test_a_command_with_a_mistaken_configuration_exits_3_and_makes_no_store(tmp_path, command):
    path = written(tmp_path, "[risk]\nx = 1")
    done = run(tmp_path, *command.split())
    assert (done.code, done.stdout) == (3, "")
    assert "risk.x" in done.line
    assert str(path) in done.line
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_named_must_be_there(tmp_path):
    for words, env in (
        (("--config", "gone.toml", "orders"), {}),
        (("orders",), {"ALPHAPANDA_CONFIG": "gone.toml"}),
    ):
        done = run(tmp_path, *words, env=env)
        assert (done.code, done.stdout) == (3, "")
        assert "gone.toml" in done.line


def test_an_environment_that_was_named_must_have_its_file(tmp_path):
    write_config(tmp_path)
    done = run(tmp_path, "--env", "gone", "orders")
    assert done.code == 3
    assert "config.gone.toml" in done.line


def test_replayed_or_simulated_prices_never_reach_a_real_account(tmp_path):
    env = {"ALPHAPANDA__ZERODHA__API_KEY": "k"}
    written(tmp_path, REAL)
    for words in (("config", "check"), ("run",)):
        done = run(tmp_path, *words, env=env)
        assert (done.code, done.stdout) == (3, "")
        assert "feed.source" in done.line
        assert "real orders" in done.line
    written(tmp_path, REAL + "[feed]\nsource = 'zerodha'")
    assert run(tmp_path, "config", "check", env=env).code == 0
    for feed in ("simulated", "replay"):
        done = run(tmp_path, "run", "--feed", feed, "--data", "x.csv", env=env)
        assert (done.code, done.stdout) == (3, "")
        assert "feed.source" in done.line
        assert "command line" in done.line


HERE = {"api_root": "http://127.0.0.1:8686", "ws_root": "ws://127.0.0.1:8686/ws"}
KITES = {"api_root": "https://api.kite.trade", "ws_root": "wss://ws.kite.trade"}
REFUSED = {
    "stock": ("simulated", {}, "feed.source", "real orders"),
    "replay": ("replay", {}, "feed.source", "real orders"),
    "Kite by name": ("simulated", KITES, "feed.source", "real orders"),
    "ticker here": ("replay", KITES | {"ws_root": HERE["ws_root"]}, "feed.source", "real orders"),
    "orders here": ("simulated", KITES | {"api_root": HERE["api_root"]}, "feed.source", "real orders"),
    "invented ticks": ("zerodha", KITES | {"ws_root": HERE["ws_root"]}, "zerodha.ws_root", "invented prices"),
    "default root": ("zerodha", {"ws_root": HERE["ws_root"]}, "zerodha.ws_root", "invented prices"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_stock_configuration_with_real_orders_on_prices_that_are_not_does_not_start(tmp_path, case):
    source, roots, *words = REFUSED[case]
    assert run(tmp_path, "config", "init").code == 0
    path = tmp_path / "config.toml"
    text = path.read_text().replace('brokers = ["paper"]', 'brokers = ["zerodha"]')
    text = text.replace("enabled = false\n# secret", "enabled = true\n# secret")
    text = text.replace('source = "simulated"', f'source = "{source}"')
    for name, root in roots.items():
        text = text.replace(f'# {name} = ""', f'{name} = "{root}"')
    path.write_text(text)
    given = tomllib.loads(text)
    assert (given["active_brokers"], given["zerodha"]["enabled"]) == (["zerodha"], True)
    assert {name: given["zerodha"][name] for name in roots} == roots
    done = run(tmp_path, "run", "--until-end", env={"ALPHAPANDA__ZERODHA__API_KEY": "k"})
    assert (done.code, done.stdout) == (3, "")
    assert all(word in done.line for word in words)
    assert list(tmp_path.iterdir()) == [path]


def test_a_mistake_in_the_environment_names_the_variable(tmp_path):
    write_config(tmp_path)
    for name, value in {"ALPHAPANDA__RISK__MAX_ORDER_QUANTITY": "many", "ALPHAPANDA__RISK__MX": "1"}.items():
        done = run(tmp_path, "config", "check", env={name: value})
        assert done.code == 3
        assert name in done.line


STRATEGIES = {
    "syntax error": ("def broken(:\n", {}, ["mine", "SyntaxError"]),
    "import that is missing": ("import no_such_module\n", {}, ["mine", "no_such_module"]),
    "module that raises": ("1 / 0\n", {}, ["mine", "ZeroDivisionError"]),
    "missing class": ("x = 1\n", {}, ["mine", "no Strategy named Mine"]),
    "class that is no strategy": ("class Mine:\n    pass\n", {}, ["no Strategy named Mine"]),
    "missing module": (None, {"class": "nowhere:Mine"}, ["nowhere"]),
    "unknown parameter": (None, {"params": {"lookbak": 5}}, ["momentum_1", "lookbak"]),
    "parameter of a wrong type": (None, {"params": {"quantity": "one"}}, ["momentum_1", "quantity"]),
    "parameter out of range": (None, {"params": {"quantity": 0}}, ["momentum_1", "quantity"]),
}


@pytest.mark.parametrize("mistake", STRATEGIES)
def test_a_strategy_that_cannot_be_made_is_one_line_and_exit_code_3(tmp_path, mistake):
    module, changes, words = STRATEGIES[mistake]
    if module is not None:
        (tmp_path / "mine.py").write_text(module)
        changes = {"class": "mine:Mine", "params": {}}
    if "params" in changes:
        changes.setdefault("class", "strategies.momentum:MomentumStrategy")
    write_config(tmp_path, strategies=[strategy(**changes)])
    done = run(tmp_path, "config", "check")
    assert (done.code, done.stdout) == (3, "")
    for word in ("strategies[", *words):
        assert word in done.line


@pytest.mark.parametrize("command", ["run --until-end", "backtest --data prices"])
def test_nothing_starts_with_a_strategy_that_cannot_be_made(tmp_path, command):
    (tmp_path / "mine.py").write_text("def broken(:\n")
    write_config(tmp_path, strategies=[strategy(**{"class": "mine:Mine"})])
    write_ticks(tmp_path, zigzag(5))
    done = run(tmp_path, *command.split())
    assert (done.code, done.stdout) == (3, "")
    assert "SyntaxError" in done.line


WRONG_USAGE = {
    "--nonsense": "--nonsense",
    "nonsense": "nonsense",
    "run --nonsense": "--nonsense",
    "run --speed 0": "--speed",
    "run --speed fast": "'fast'",
    "orders --date 31/01/2024": "31/01/2024",
    "orders --limit -1": "--limit",
    "orders extra": "extra",
    "backtest --from x": "--from",
    "kill-switch off": "--reason",
    "stop --timeout soon": "--timeout",
}


@pytest.mark.parametrize("words", WRONG_USAGE)
def test_wrong_usage_exits_2_and_says_what_is_wrong(tmp_path, words):
    write_config(tmp_path)
    done = run(tmp_path, *words.split())
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert WRONG_USAGE[words] in done.stderr
    assert done.stderr.rstrip().endswith(" -h")
    assert done.stderr.count("\n") == 1


def test_init_check_and_show_go_round(tmp_path):
    done = run(tmp_path, "config", "init")
    assert (done.code, done.stderr) == (0, "")
    assert run(tmp_path, "config", "check").code == 0
    again = run(tmp_path, "config", "init")
    assert (again.code, again.stdout) == (3, "")
    assert "--force" in again.line
    shown = answer(tmp_path, "config", "show")
    assert shown["files"] == [str(tmp_path / "config.toml")]
    keys = shown["keys"]
    assert keys["environment"] == {"value": "development", "origin": "config.toml"}
    assert keys["storage.path"]["value"] == str(tmp_path / "var/alphapanda.db")
    assert keys["paper_trading.starting_cash"]["value"] == 1000000.0
    text = tomllib.loads((tmp_path / "config.toml").read_text())
    assert text["strategies"][0]["id"] == keys["strategies"]["value"][0]["id"]


def test_show_says_where_each_value_came_from(tmp_path):
    write_config(tmp_path, environment="base", risk={"max_order_quantity": 5})
    (tmp_path / "config.night.toml").write_text("environment = 'night'\n")
    env = {"ALPHAPANDA__RISK__MAX_ORDERS_PER_DAY": "7", "ALPHAPANDA_ENV": "night"}
    keys = run(tmp_path, "config", "show", "--json", env=env).document["keys"]
    assert keys["environment"] == {"value": "night", "origin": "config.night.toml"}
    assert keys["risk.max_order_quantity"] == {"value": 5, "origin": "config.toml"}
    assert keys["risk.max_orders_per_day"] == {
        "value": 7,
        "origin": "environment ALPHAPANDA__RISK__MAX_ORDERS_PER_DAY",
    }
    assert keys["risk.max_orders_per_second"]["origin"] == "default"


def test_relative_paths_start_at_the_folder_of_the_configuration(tmp_path):
    (tmp_path / "etc").mkdir()
    write_config(tmp_path / "etc")
    write_ticks(tmp_path / "etc", zigzag(5))
    done = run(tmp_path, "--config", "etc/config.toml", "run", "--until-end")
    assert done.code == 0
    assert (tmp_path / "etc/var/alphapanda.db").exists()
    assert not (tmp_path / "var").exists()


def test_a_secret_is_never_shown(tmp_path):
    write_config(tmp_path, logging={"level": "TRACE"})
    write_ticks(tmp_path, zigzag(600))
    said = []
    with daemon(tmp_path, "--speed", "100", env=SECRETS) as running:
        for words in (
            ("status",),
            ("status", "--json"),
            ("config", "show"),
            ("config", "show", "--json"),
            ("config", "check"),
            ("kill-switch", "on", "--json"),
            ("orders", "--json"),
        ):
            done = run(tmp_path, *words, env=SECRETS)
            assert done.code == 0, done
            said += [done.stdout, done.stderr]
        assert run(tmp_path, "stop", env=SECRETS).code == 0
        assert running.ended() == 0
        said.append(running.stderr)
    broken = run(tmp_path, "run", "--feed", "nse", env=SECRETS)
    assert broken.code == 3
    said.append(broken.stderr)
    shown = json.loads(said[6])["keys"]["zerodha.api_key"]
    assert shown["origin"] == "environment ALPHAPANDA__ZERODHA__API_KEY"
    assert not [text for text in said if CANARY in text]

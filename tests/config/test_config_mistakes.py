"""Every mistake is one line that names the key and the place and says what to do."""

from pathlib import Path

import pytest

from alphapanda.config import ConfigError, load

ZERODHA = 'active_brokers = ["zerodha"]\n[zerodha]\nenabled = true\n'
KEY = {"ALPHAPANDA__ZERODHA__API_KEY": "k"}
LIVE = ZERODHA + '[feed]\nsource = "zerodha"\n'


def strategy(**keys: str) -> str:
    values = {"id": '"one"'} | keys
    return "[[strategies]]\n" + "".join(f"{name.strip('_')} = {value}\n" for name, value in values.items())


def override(scope: str, **keys: object) -> str:
    lines = "".join(f"{name} = {value}\n" for name, value in keys.items())
    return f"[[risk.overrides]]\nscope = {scope}\n{lines}"


def line_of(folder: Path, text: str, **asked) -> str:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(path, **{"environ": {}} | asked)
    line = str(error.value)
    assert line.isprintable(), line
    return line


MISTAKES = {
    "unknown section": ("[rsik]\nx = 1", "rsik", "unknown key; did you mean risk?"),
    "unknown key": ("[feed]\nsorce = 'x'", "feed.sorce", "unknown key; did you mean source?"),
    "unknown nested key": ("[feed.replay]\nqqqq = 1", "feed.replay.qqqq", "unknown key; remove it"),
    "unknown key of a strategy": (strategy(_clas_="'a:B'"), "strategies[0].clas", "did you mean class?"),
    "key with a line break": ('"a\\nb" = 1', "unknown key"),
    "whole number": (
        "[risk]\nmax_order_quantity = 'x'",
        "risk.max_order_quantity",
        "expected a whole number, got text",
    ),
    "fraction": ("[risk]\nmax_order_quantity = 1.5", "risk.max_order_quantity", "a whole number"),
    "negative": ("[risk]\nmax_order_quantity = -1", "risk.max_order_quantity", ">= 0"),
    "money in quotes": ("[risk]\nmax_order_value = '5'", "risk.max_order_value", "without quotes"),
    "money that is true": ("[risk]\nmax_order_value = true", "risk.max_order_value", "expected a number"),
    "negative money": ("[risk]\nmax_order_value = -0.5", "risk.max_order_value", "0 or more"),
    "infinite": ("[risk]\nmax_order_value = inf", "risk.max_order_value", "finite"),
    "not a number": ("[feed.replay]\nspeed = nan", "feed.replay.speed", "finite"),
    "infinite parameter": (strategy(params="{a = -inf}"), "strategies[0].params.a", "finite"),
    "list": ("active_brokers = 'paper'", "active_brokers", "expected a list, got text"),
    "table": ("feed = 3", "feed", "expected a table, got a whole number"),
    "flag": ("[redis]\nenabled = 1", "redis.enabled", "expected true or false"),
    "text": ("environment = 2026-01-01", "environment", "expected text"),
    "choice": ("[feed]\nsource = 'x'", "feed.source", "'x' is not one of simulated, replay, zerodha"),
    "speed": ("[feed.replay]\nspeed = 'fast'", "feed.replay.speed", "'fast' is not one of max, a number"),
    "speed of nothing": ("[feed.simulated]\nspeed = 0", "feed.simulated.speed", "> 0"),
    "product": ("[zerodha]\nproduct = 'BO'", "zerodha.product", "is not one of MIS, CNC, NRML"),
    "level": ("[logging]\nlevel = 'LOUD'", "logging.level", "is not one of TRACE, DEBUG"),
    "interval": ("[monitoring]\nhealth_check_interval = 0", "monitoring.health_check_interval", "> 0"),
    "no path": ("[storage]\npath = ''", "storage.path", "length >= 1"),
    "no cash": ("[paper_trading]\nstarting_cash = 0", "paper_trading.starting_cash", "more than 0"),
    "charges": (
        "[paper_trading]\ncharges = 'free'",
        "paper_trading.charges",
        "'free' is not one of flat, zerodha",
    ),
    "margins": (
        "[paper_trading]\nmargins = 'span'",
        "paper_trading.margins",
        "'span' is not one of",
    ),
    "override without a scope": (
        "[[risk.overrides]]\nmax_order_value = 1",
        "risk.overrides[0].scope",
        "is missing; add scope",
    ),
    "override of everything": (
        override("{}", max_order_value=1),
        "risk.overrides[0].scope",
        "names nothing; name a broker, a strategy or an instrument, or use [risk]",
    ),
    "override without a limit": (
        override("{broker = 'paper'}"),
        "risk.overrides[0]",
        "sets no limit; add one",
    ),
    "override of a key": (
        override("{broker = 'paper'}", max_ordre_value=1),
        "risk.overrides[0].max_ordre_value",
        "unknown key; did you mean max_order_value?",
    ),
    "override's part of a scope": (
        override("{brokre = 'paper'}", max_order_value=1),
        "risk.overrides[0].scope.brokre",
        "unknown key; did you mean broker?",
    ),
    "override's type": (
        override("{broker = 'paper'}", max_order_quantity=1.5),
        "risk.overrides[0].max_order_quantity",
        "a whole number",
    ),
    "override's money": (
        override("{broker = 'paper'}", max_order_value="'5'"),
        "risk.overrides[0].max_order_value",
        "without quotes",
    ),
    "override below 0": (
        override("{broker = 'paper'}", max_order_value=-1),
        "risk.overrides[0].max_order_value",
        "0 or more",
    ),
    "override that is infinite": (
        override("{broker = 'paper'}", max_order_value="inf"),
        "risk.overrides[0].max_order_value",
        "finite",
    ),
    "override of an unknown broker": (
        override("{broker = 'upstox'}", max_order_value=1),
        "risk.overrides[0].scope.broker",
        "'upstox' is not a broker; use paper or zerodha",
    ),
    "override of an unknown strategy": (
        strategy() + override("{strategy = 'two'}", max_order_value=1),
        "risk.overrides[0].scope.strategy",
        "'two' is not a strategy; there are: one",
    ),
    "override of an instrument": (
        override("{instrument = 'INFY'}", max_order_value=1),
        "risk.overrides[0].scope.instrument",
        '"EXCHANGE:SYMBOL"',
    ),
    "override that cannot be by instrument": (
        override("{instrument = 'NSE:INFY'}", max_daily_loss=1),
        "risk.overrides[0].max_daily_loss",
        "is not known by instrument; leave the instrument out",
    ),
    "override twice": (
        override("{broker = 'paper'}", max_order_value=1)
        + override("{broker = 'paper'}", max_open_positions=1),
        "risk.overrides[1].scope",
        "is that of risk.overrides[0] too",
    ),
    "repetitions in no time": (
        "[risk]\nmax_repeated_orders = 3\nrepeat_window_s = 0",
        "risk.max_repeated_orders",
        "does nothing because repeat_window_s is 0",
    ),
    "losses without a cool-down": (
        "[risk]\nmax_losses_in_a_row = 2\nloss_cooldown_s = 0",
        "risk.max_losses_in_a_row",
        "does nothing because loss_cooldown_s is 0",
    ),
    "all kept for exits": (
        "[risk]\nexit_reserve_per_second = 8",
        "risk.exit_reserve_per_second",
        "lets no entry pass because max_orders_per_second is 8",
    ),
    "override that does nothing": (
        override("{broker = 'zerodha'}", max_order_value=1)
        + override("{broker = 'paper'}", max_repeated_orders=3)
        + "[risk]\nrepeat_window_s = 0",
        "risk.overrides[1].max_repeated_orders",
        "repeat_window_s is 0",
    ),
    "drawdown that nobody reaches": (
        "[risk]\nmax_drawdown_percent = 100.5",
        "risk.max_drawdown_percent",
        "100.5 must be 100 or less",
    ),
    "override's drawdown": (
        override("{broker = 'paper'}", max_drawdown_percent=101),
        "risk.overrides[0].max_drawdown_percent",
        "101 must be 100 or less",
    ),
    "allowed symbol": (
        "[risk]\nallowed_instruments = ['INFY']",
        "risk.allowed_instruments",
        "'INFY' must look",
    ),
    "allowed nothing": (
        "[risk]\nallowed_instruments = ['']",
        "risk.allowed_instruments",
        "'' must look like",
    ),
    "allowed half": (
        "[risk]\nallowed_instruments = ['NSE:']",
        "risk.allowed_instruments",
        "'NSE:' must look",
    ),
    "allowed stars": ("[risk]\nallowed_instruments = ['*:*']", "risk.allowed_instruments", "'*:*' must look"),
    "allowed pattern": (
        "[risk]\nallowed_instruments = ['NSE:*', 'NSE:IN*']",
        "risk.allowed_instruments",
        "'NSE:IN*' is no instrument: a * stands for all of an exchange",
    ),
    "allowed product": (
        "[risk]\nallowed_products = ['MIS', 'mis']",
        "risk.allowed_products",
        "'mis' is not one of MIS, CNC, NRML",
    ),
    "allowed no product": ("[risk]\nallowed_products = ['']", "risk.allowed_products", "'' is not one of"),
    "override's allowed symbol": (
        override("{broker = 'paper'}", allowed_instruments="['NSE:INFY', 'TCS']"),
        "risk.overrides[0].allowed_instruments",
        "'TCS' must look like",
    ),
    "override's allowed product": (
        override("{broker = 'paper'}", allowed_products="['BO']"),
        "risk.overrides[0].allowed_products",
        "'BO' is not one of",
    ),
    "overrides": ("[risk]\noverrides = 3", "risk.overrides", "expected a list"),
    "override": ("[risk]\noverrides = [3]", "risk.overrides[0]", "expected a table"),
    "no broker": ("active_brokers = []", "active_brokers", "name at least one broker"),
    "broker twice": ("active_brokers = ['paper', 'paper']", "active_brokers", "names paper twice"),
    "unknown broker": ("active_brokers = ['upstox']", "active_brokers", "'upstox' is not a broker"),
    "paper disabled": ("[paper_trading]\nenabled = false", "paper_trading.enabled", "set it to true or drop"),
    "zerodha disabled": ("active_brokers = ['zerodha']", "zerodha.enabled", "set it to true or drop zerodha"),
    "api key": (LIVE, "zerodha.api_key", "ALPHAPANDA__ZERODHA__API_KEY", "the credential zerodha__api_key"),
    "api key of the feed": ("[feed]\nsource = 'zerodha'", "zerodha.api_key", 'feed.source is "zerodha"'),
    "api root": ("[zerodha]\napi_root = 'localhost:1'", "zerodha.api_root", "must begin with http://"),
    "ws root": ("[zerodha]\nws_root = 'http://localhost'", "zerodha.ws_root", "must begin with ws://"),
    "protection": ("[zerodha]\nmarket_protection = 0", "zerodha.market_protection", "-1 or a percentage"),
    "volatility": ("[feed.simulated]\nvolatility = 10.01", "feed.simulated.volatility", "must be 10 or less"),
    "volatility below 0": (
        "[feed.simulated]\nvolatility = -0.1",
        "feed.simulated.volatility",
        "must be 0 or more",
    ),
    "simulated instrument": (
        "[feed.simulated]\ninstruments = ['INFY']",
        "feed.simulated.instruments",
        "'INFY'",
    ),
    "no id": ("[[strategies]]\nenabled = true", "strategies[0].id", "is missing; add id"),
    "id": (strategy(id='"a b"'), "strategies[0].id", "'a b'", "letters"),
    "long id": (strategy(id=f'"{"a" * 33}"'), "strategies[0].id", "1 to 32"),
    "id twice": (strategy() + strategy(), "strategies[1].id", "one", "rename"),
    "class": (strategy(class_="'momentum'"), "strategies[0].class", '"module.path:ClassName"'),
    "strategy's broker": (strategy(brokers="['x']"), "strategies[0].brokers", "'x' is not a broker"),
    "strategy's idle broker": (
        strategy(brokers="['paper', 'zerodha']"),
        "strategies[0].brokers",
        "zerodha, which is not in active_brokers",
    ),
    "strategy without brokers": (strategy(brokers="[]"), "strategies[0].brokers", "one has no brokers"),
    "strategy without instruments": (
        strategy(instruments="[]"),
        "strategies[0].instruments",
        "one has no instruments",
    ),
    "instrument": (strategy(instruments="['INFY']"), "strategies[0].instruments", '"EXCHANGE:SYMBOL"'),
    "instrument in small letters": (strategy(instruments="['nse:infy']"), "in capitals"),
    "instrument twice": (strategy(instruments="['NSE:A', 'NSE:A']"), "names NSE:A twice"),
    "parameters": (strategy(params="3"), "strategies[0].params", "expected a table"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_the_key_and_the_file(tmp_path, mistake):
    text, *words = MISTAKES[mistake]
    line = line_of(tmp_path, text)
    for word in (str(tmp_path / "config.toml"), *words):
        assert word in line


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[risk]\nmax_order_quantity 5", "line 2, column 20"),
        ("x = 1\nx = 2", "line 2"),
        ("a = [1,\n2", "line 2, column 2"),
        (f"a = {'9' * 5000}", "line 1"),
        ("a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_toml_names_the_line_and_the_column(tmp_path, text, where):
    line = line_of(tmp_path, text)
    assert str(tmp_path / "config.toml") in line
    assert where in line


def test_a_file_that_is_not_utf_8_says_so(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"environment = '\xff'")
    with pytest.raises(ConfigError, match="byte 16 is not UTF-8"):
        load(path, environ={})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"config": Path("gone.toml")}, ["--config", "gone.toml", "does not exist"]),
        ({"environ": {"ALPHAPANDA_CONFIG": "gone.toml"}}, ["ALPHAPANDA_CONFIG", "gone.toml"]),
        ({"config": Path("folder")}, ["folder", "cannot be read"]),
        ({"config": Path("a\0b")}, ["--config", "does not exist"]),
        ({"env": "gone"}, ["--env", "config.gone.toml", "write that file"]),
        ({"environ": {"ALPHAPANDA_ENV": "gone"}}, ["ALPHAPANDA_ENV", "config.gone.toml"]),
        ({"env": "../x"}, ["--env", "'../x'"]),
        ({"environ": {"CREDENTIALS_DIRECTORY": "/gone"}}, ["CREDENTIALS_DIRECTORY", "/gone"]),
    ],
)
def test_a_file_that_was_asked_for_must_be_there(tmp_path, asked, words):
    (tmp_path / "config.toml").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError) as error:
        load(**{"environ": {}, "cwd": tmp_path} | asked)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALPHAPANDA__FEED__SORCE", "x", ["no key feed.sorce", "did you mean feed.source?"]),
        ("ALPHAPANDA__", "x", ["no key"]),
        ("ALPHAPANDA__STRATEGIES__0__ID", "x", ["no key strategies.0.id"]),
        ("ALPHAPANDA__RISK__MAX_ORDER_QUANTITY", "many", ["risk.max_order_quantity", "whole number"]),
        ("ALPHAPANDA__RISK__MAX_ORDER_VALUE", "1e400", ["risk.max_order_value", "finite"]),
        ("ALPHAPANDA__RISK", "5", ["risk in", "expected a table"]),
        ("ALPHAPANDA__ACTIVE_BROKERS", "paper", ["active_brokers", "expected a list"]),
        ("ALPHAPANDA__STRATEGIES", '[{id = "a b"}]', ["strategies[0].id", "rename it"]),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(tmp_path, name, value, words):
    line = line_of(tmp_path, "[risk]\nmax_order_quantity = 1", environ={name: value})
    for word in (name, *words):
        assert word in line


def test_two_variables_of_one_key_are_refused(tmp_path):
    environ = {"ALPHAPANDA__FEED__SOURCE": "replay", "alphapanda__feed__source": "simulated"}
    assert "keep one" in line_of(tmp_path, "", environ=environ)


def test_a_mistake_in_a_credential_names_the_credential(tmp_path):
    (tmp_path / "credentials").mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    file = tmp_path / "credentials/risk__max_order_quantity"
    file.write_text("many")
    assert "credential risk__max_order_quantity" in line_of(tmp_path, "", environ=environ)
    file.write_bytes(b"\xff")
    assert "cannot be read as UTF-8" in line_of(tmp_path, "", environ=environ)
    file.rename(file.with_name("zerodha__api_kee"))
    line = line_of(tmp_path, "", environ=environ)
    assert "zerodha__api_kee" in line
    assert "did you mean zerodha.api_key?" in line


def test_a_mistake_on_the_command_line_says_so(tmp_path):
    assert "command line" in line_of(tmp_path, "", overrides={"feed.source": "x"})
    assert "no key feed.x" in line_of(tmp_path, "", overrides={"feed.x": 1})


def test_a_mistake_in_the_overlay_names_the_overlay(tmp_path):
    (tmp_path / "config.x.toml").write_text("[risk]\nmax_order_quantity = 'x'")
    line = line_of(tmp_path, "[risk]\nmax_order_quantity = 5", env="x")
    assert str(tmp_path / "config.x.toml") in line


REMOTE = [
    {},
    {"api_root": "http://127.0.0.1:1"},
    {"ws_root": "ws://127.0.0.1:1"},
    {"api_root": "http://127.0.0.1:1", "ws_root": "wss://ws.kite.trade"},
    {"api_root": "http://localhost.example.com", "ws_root": "ws://localhost"},
    {"api_root": "http://127.0.0.1@example.com", "ws_root": "ws://localhost"},
    {"api_root": "http://127.0.0.1\\@example.com", "ws_root": "ws://localhost"},
    {"api_root": "http://localhost:1@example.com", "ws_root": "ws://localhost"},
]


@pytest.mark.parametrize("roots", REMOTE)
@pytest.mark.parametrize("source", ["simulated", "replay"])
def test_invented_prices_never_reach_a_real_account(tmp_path, roots, source):
    text = ZERODHA + "".join(f"{name} = '{root}'\n" for name, root in roots.items())
    line = line_of(tmp_path, text + f"[feed]\nsource = '{source}'", environ=KEY)
    assert "feed.source" in line
    assert "must not place real orders" in line


def test_the_feed_option_cannot_get_round_that_either(tmp_path):
    line = line_of(tmp_path, LIVE, environ=KEY, overrides={"feed.source": "replay"})
    assert "feed.source in the command line" in line


@pytest.mark.parametrize(
    ("api", "ws"),
    [
        ("http://127.0.0.1:8686", "ws://127.0.0.1:8686/ws"),
        ("https://localhost", "wss://[::1]:9/ws"),
        ("http://127.9.9.9/", "ws://localhost:1"),
    ],
)
def test_invented_prices_may_reach_the_exchange_on_this_machine(tmp_path, api, ws):
    path = tmp_path / "config.toml"
    path.write_text(ZERODHA + f"api_root = '{api}'\nws_root = '{ws}'")
    assert load(path, environ=KEY).settings.feed.source == "simulated"


@pytest.mark.parametrize(
    "text",
    [
        strategy(brokers="['zerodha']", enabled="false"),
        strategy(instruments="['NSE:NIFTY 50', 'NSE:M&M', 'NSE:BAJAJ-AUTO', 'NFO:NIFTY26JANFUT']"),
        strategy(class_="'a.b_1:C'", id="'A-b_9'"),
        "[feed]\nsource = 'replay'",
        "[risk]\nmax_gross_exposure = 0\noverrides = []",
        "[risk]\nallowed_instruments = ['NSE:*', 'NSE:NIFTY 50', 'NFO:*']\nallowed_products = ['NRML']",
        "[risk]\nmax_drawdown_percent = 100\nrepeat_window_s = 0\nloss_cooldown_s = 0",
        override("{broker = 'zerodha'}", max_order_value=0),
        strategy() + override("{strategy = 'one'}", allowed_instruments="['NSE:INFY']", max_daily_loss=1),
        "[zerodha]\nmarket_protection = 2.5\napi_root = 'https://api.kite.trade'",
    ],
)
def test_what_is_no_mistake_is_accepted(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert "config.toml" in load(path, environ={}).origins.values()


def test_a_live_configuration_with_its_key_is_accepted(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(LIVE)
    assert load(path, environ=KEY).settings.active_brokers == ("zerodha",)

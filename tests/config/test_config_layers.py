"""Which file is found, which source wins, and what each value's origin says."""

from decimal import Decimal
from pathlib import Path

import pytest

from alphapanda.config import KEYS, ConfigError, Loaded, Settings, layers, limits_of, load
from alphapanda.core.rules import RULES, AvailableCash, MaximumOrderQuantity, StalePrice
from alphapanda.errors import CannotStart


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str = "", *, environ: dict[str, str] | None = None, **asked) -> Loaded:
    return load(write(folder / "config.toml", text), environ=environ or {}, **asked)


def test_an_empty_file_gives_the_defaults_of_the_contract(tmp_path):
    settings = loaded(tmp_path).settings
    assert settings.environment == "development"
    assert settings.active_brokers == ("paper",)
    assert settings.feed.source == "simulated"
    assert settings.strategies == ()
    paper = settings.paper_trading
    assert (paper.enabled, paper.slippage_percent, paper.commission_percent) == (
        True,
        Decimal("0.05"),
        Decimal("0.1"),
    )
    assert (paper.charges, paper.starting_cash) == ("flat", Decimal(1000000))
    zerodha = settings.zerodha
    assert (zerodha.enabled, zerodha.product, zerodha.market_protection, zerodha.quiet_period_s) == (
        False,
        "MIS",
        -1,
        30,
    )
    risk = settings.risk
    assert (risk.max_order_quantity, risk.max_order_value, risk.max_position_quantity) == (1000, 500000, 5000)
    assert (risk.max_position_value, risk.max_open_positions, risk.max_gross_exposure) == (0, 50, 0)
    assert (risk.max_orders_per_second, risk.max_orders_per_minute, risk.max_orders_per_day) == (8, 300, 3000)
    assert (risk.max_price_deviation_percent, risk.max_price_age_s, risk.duplicate_window_s) == (5, 5, 1)
    assert settings.redis.url == "redis://localhost:6379/0"
    assert (settings.monitoring.health_check_interval, settings.logging.level) == (30.0, "INFO")


def test_a_strategy_needs_only_an_id_and_has_the_contracts_values_for_the_rest(tmp_path):
    (entry,) = loaded(tmp_path, '[[strategies]]\nid = "one"').settings.strategies
    assert entry.class_ == "strategies.momentum:MomentumStrategy"
    assert (entry.instruments, entry.brokers, entry.enabled, entry.params) == (
        ("NSE:INFY",),
        ("paper",),
        True,
        {},
    )


@pytest.mark.parametrize("written", ["0.1", "1573.7", "1", "1e3", "123456789.05"])
def test_money_is_read_exactly_as_it_is_written(tmp_path, written):
    settings = loaded(tmp_path, f"[risk]\nmax_position_value = {written}").settings
    assert settings.risk.max_position_value == Decimal(written)
    assert isinstance(settings.risk.max_position_value, Decimal)


def test_each_source_overrules_the_ones_before_it_and_is_named_as_the_origin(tmp_path):
    credentials = tmp_path / "credentials"
    names = ["max_order_quantity", "max_position_quantity", "max_open_positions", "max_orders_per_day"]
    write(tmp_path / "config.production.toml", "[risk]\n" + "\n".join(f"{name} = 2" for name in names[1:]))
    for name in names[3:]:
        write(credentials / f"risk__{name}", "4\n")
    write(credentials / "zerodha__api_key", "k\n")
    environ = {f"ALPHAPANDA__RISK__{name.upper()}": "3" for name in names[2:]}
    environ |= {"CREDENTIALS_DIRECTORY": str(credentials), "ALPHAPANDA_ENV": "production"}
    result = loaded(
        tmp_path,
        "[risk]\nmax_orders_per_minute = 1\n" + "\n".join(f"{name} = 1" for name in names),
        environ=environ,
        overrides={"risk.max_orders_per_minute": 5},
    )
    risk, origins = result.settings.risk, result.origins
    assert [getattr(risk, name) for name in (*names, "max_orders_per_minute")] == [1, 2, 3, 4, 5]
    assert [origins[f"risk.{name}"] for name in (*names, "max_orders_per_minute")] == [
        "config.toml",
        "config.production.toml",
        "environment ALPHAPANDA__RISK__MAX_OPEN_POSITIONS",
        "credential risk__max_orders_per_day",
        "command line",
    ]
    assert origins["risk.max_order_value"] == "default"
    assert (result.settings.zerodha.api_key, origins["zerodha.api_key"]) == (
        "k",
        "credential zerodha__api_key",
    )
    assert result.files == (tmp_path / "config.toml", tmp_path / "config.production.toml")
    assert result.folder == tmp_path


def test_every_key_has_an_origin(tmp_path):
    assert list(loaded(tmp_path).origins) == list(KEYS)


def test_tables_merge_and_arrays_replace(tmp_path):
    write(tmp_path / "config.x.toml", '[feed.replay]\npaths = ["/c"]\n[[strategies]]\nid = "b"')
    text = '[feed.replay]\npaths = ["/a", "/b"]\nspeed = 2\n[[strategies]]\nid = "a"'
    settings = loaded(tmp_path, text, env="x").settings
    assert settings.feed.replay.paths == ("/c",)
    assert settings.feed.replay.speed == 2.0
    assert [entry.id for entry in settings.strategies] == ["b"]


def test_the_env_option_is_stronger_than_the_variable(tmp_path):
    write(tmp_path / "config.a.toml", 'environment = "a"')
    write(tmp_path / "config.b.toml", 'environment = "b"')
    assert loaded(tmp_path, env="b", environ={"ALPHAPANDA_ENV": "a"}).settings.environment == "b"
    assert loaded(tmp_path, environ={"ALPHAPANDA_ENV": "a"}).settings.environment == "a"


def test_the_file_is_searched_in_the_order_of_the_contract(tmp_path, monkeypatch):
    system = write(tmp_path / "etc/config.toml", 'environment = "system"')
    monkeypatch.setattr(layers, "SYSTEM_FILE", system)
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    asked = write(tmp_path / "asked.toml", 'environment = "asked"')
    named = write(tmp_path / "named.toml", 'environment = "named"')
    assert load(environ={}, cwd=cwd).settings.environment == "system"
    write(cwd / "config.toml", 'environment = "here"')
    assert load(environ={}, cwd=cwd).settings.environment == "here"
    environ = {"ALPHAPANDA_CONFIG": str(named)}
    assert load(environ=environ, cwd=cwd).settings.environment == "named"
    assert load(asked, environ=environ, cwd=cwd).settings.environment == "asked"
    assert load(Path("../asked.toml"), environ={}, cwd=cwd).settings.environment == "asked"


def test_without_any_file_the_error_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "SYSTEM_FILE", tmp_path / "etc/config.toml")
    with pytest.raises(ConfigError, match="run `alphapanda config init`") as error:
        load(environ={}, cwd=tmp_path)
    assert isinstance(error.value, CannotStart)


def test_a_dot_env_file_is_never_read(tmp_path):
    write(tmp_path / ".env", "ALPHAPANDA__RISK__MAX_ORDER_QUANTITY=7")
    assert loaded(tmp_path, cwd=tmp_path).settings.risk.max_order_quantity == 1000


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("ALPHAPANDA__FEED__REPLAY__SPEED", "max", "feed.replay.speed", "max"),
        ("ALPHAPANDA__FEED__REPLAY__SPEED", "2.5", "feed.replay.speed", 2.5),
        ("alphapanda__Feed__Simulated__seed", "9", "feed.simulated.seed", 9),
        ("ALPHAPANDA__FEED__SOURCE", "replay", "feed.source", "replay"),
        ("ALPHAPANDA__FEED__SOURCE", '"replay"', "feed.source", "replay"),
        ("ALPHAPANDA__ZERODHA__API_KEY", "0012", "zerodha.api_key", "0012"),
        ("ALPHAPANDA__ZERODHA__API_KEY", "12345", "zerodha.api_key", "12345"),
        ("ALPHAPANDA__ZERODHA__API_KEY", "true", "zerodha.api_key", "true"),
        ("ALPHAPANDA__ENVIRONMENT", "2026-01-01", "environment", "2026-01-01"),
        ("ALPHAPANDA__ENVIRONMENT", '1\nx = "y"', "environment", '1\nx = "y"'),
        ("ALPHAPANDA__ACTIVE_BROKERS", '["paper"]', "active_brokers", ("paper",)),
        ("ALPHAPANDA__RISK__MAX_ORDER_VALUE", "0.1", "risk.max_order_value", Decimal("0.1")),
        ("ALPHAPANDA__FEED__REPLAY", "{speed = 3}", "feed.replay.speed", 3.0),
        ("ALPHAPANDA__REDIS__ENABLED", "true", "redis.enabled", True),
    ],
)
def test_a_variable_is_a_toml_value_or_else_text(tmp_path, name, text, key, value):
    result = loaded(tmp_path, environ={name: text})
    found = result.settings
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
    assert result.origins[key] == f"environment {name}"


def test_a_variable_of_a_key_is_stronger_than_one_of_its_whole_section(tmp_path):
    environ = {"ALPHAPANDA__FEED__SOURCE": "replay", "ALPHAPANDA__FEED": "{source = 'simulated'}"}
    assert loaded(tmp_path, environ=environ).settings.feed.source == "replay"


def test_a_credential_that_is_not_ours_is_left_alone(tmp_path):
    write(tmp_path / "credentials/tls.key", "x")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert loaded(tmp_path, environ=environ) == loaded(tmp_path)


def test_a_credential_of_a_text_key_is_taken_to_the_letter(tmp_path):
    write(tmp_path / "credentials/zerodha__api_secret", '\n "quoted" \n')
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert loaded(tmp_path, environ=environ).settings.zerodha.api_secret == '"quoted"'


def test_relative_paths_start_at_the_folder_of_the_file_and_globs_survive(tmp_path):
    text = '[feed.replay]\npaths = ["data/*.csv", "/abs/[ab]?.csv"]\n[logging]\nlogs_dir = "../logs"'
    environ = {"ALPHAPANDA__CONTROL__SOCKET": "run/s"}
    settings = loaded(tmp_path / "conf", text, environ=environ, cwd=tmp_path).settings
    folder = tmp_path / "conf"
    assert settings.feed.replay.paths == (f"{folder}/data/*.csv", "/abs/[ab]?.csv")
    assert settings.logging.logs_dir == f"{folder}/../logs"
    assert settings.storage.path == f"{folder}/var/alphapanda.db"
    assert settings.control.kill_file == f"{folder}/var/KILL"
    assert settings.control.socket == f"{folder}/run/s"


def test_relative_paths_of_the_command_line_start_at_the_current_folder(tmp_path):
    overrides = {"feed.replay.paths": ["a*.csv", "/b.csv"], "storage.path": Path("x.db")}
    settings = loaded(tmp_path / "conf", overrides=overrides, cwd=tmp_path).settings
    assert settings.feed.replay.paths == (f"{tmp_path}/a*.csv", "/b.csv")
    assert settings.storage.path == f"{tmp_path}/x.db"


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbfenvironment = 'x'\r\n")
    assert load(path, environ={}).settings.environment == "x"


def test_every_rule_gets_its_own_limits_in_the_order_of_the_rules(tmp_path):
    rules = limits_of(
        loaded(tmp_path, "[risk]\nmax_order_quantity = 7\nmax_price_age_s = 2.5").settings
    ).rules()
    assert tuple(type(rule) for rule in rules) == RULES
    assert MaximumOrderQuantity(7) in rules
    assert StalePrice(Decimal("2.5")) in rules
    assert AvailableCash() in rules
    assert limits_of(Settings()).rules() == tuple(rule() for rule in RULES)

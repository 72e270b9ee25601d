"""A secret is refused where it would be committed, and never shows anywhere."""

import pytest
from rich.pretty import pretty_repr

from alphapanda.config import MASK, ConfigError, load, render

CANARY = "CaNaRy7f3a"

VARIABLES = {
    "ALPHAPANDA__ZERODHA__API_KEY": f"key{CANARY}",
    "ALPHAPANDA__ZERODHA__API_SECRET": f"secret{CANARY}",
    "ALPHAPANDA__ZERODHA__ACCESS_TOKEN": f"token{CANARY}",
    "ALPHAPANDA__REDIS__URL": f"redis://:{CANARY}@localhost:6379/0",
    "ALPHAPANDA__ALERTS__URLS": f'["tgram://{CANARY}/1", "https://u:{CANARY}@h/{CANARY}"]',
}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("zerodha", "api_key", f'"{CANARY}"'),
        ("zerodha", "api_secret", f'"{CANARY}"'),
        ("zerodha", "access_token", f'"{CANARY}"'),
        ("zerodha", "api_key", f'["{CANARY}"]'),
        ("zerodha", "api_key", "7331"),
        ("redis", "url", f'"redis://:{CANARY}@localhost"'),
        ("redis", "url", f'"redis://u:{CANARY}@localhost"'),
        ("redis", "url", f'"redis://u:a@b/{CANARY}@localhost"'),
        ("redis", "url", f'"redis://localhost?password={CANARY}"'),
        ("redis", "url", f'":{CANARY}@localhost"'),
    ],
)
@pytest.mark.parametrize("overlay", [False, True])
def test_a_secret_in_a_toml_file_is_refused_without_printing_it(tmp_path, section, key, value, overlay):
    (tmp_path / "config.toml").touch()
    file = tmp_path / ("config.x.toml" if overlay else "config.toml")
    file.write_text(f"[{section}]\n{key} = {value}")
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "config.toml", env="x" if overlay else None, environ={})
    line = str(error.value)
    assert f"{section}.{key} in {file}" in line
    assert f"set ALPHAPANDA__{section}__{key}".upper() in line.upper()
    assert f"credential {section}__{key}" in line
    assert CANARY not in line
    assert "7331" not in line


def test_what_is_not_a_secret_may_stand_in_a_toml_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("zerodha.api_key = ''\nredis.url = 'redis://u@h:1/0'\nalerts.urls = ['tgram://token/1']")
    settings = load(path, environ={}).settings
    assert (settings.redis.url, settings.alerts.urls) == ("redis://u@h:1/0", ("tgram://token/1",))


def with_secrets(tmp_path, text=""):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, environ=VARIABLES)


def test_no_secret_is_in_any_text_made_of_the_settings(tmp_path):
    loaded = with_secrets(tmp_path)
    settings = loaded.settings
    assert settings.zerodha.api_key == f"key{CANARY}"
    for thing in (loaded, settings, settings.zerodha, settings.redis, settings.alerts, list(loaded.rows())):
        for text in (repr(thing), str(thing), f"{thing}", pretty_repr(thing)):
            assert CANARY not in text
            assert MASK in text
    assert CANARY not in repr(loaded.origins)
    assert CANARY not in render(settings)


@pytest.mark.parametrize(
    "text", ["[risk]\nx = 1", "active_brokers = []", "[zerodha]\nproduct = 3", "[redis]\nenabled = 'x'", "["]
)
def test_no_secret_is_in_an_error_about_something_else(tmp_path, text):
    with pytest.raises(ConfigError) as error:
        with_secrets(tmp_path, text)
    assert CANARY not in repr(error.value)
    assert error.value.__cause__ is None


def test_a_secret_of_the_wrong_type_is_not_in_the_error_either(tmp_path):
    path = tmp_path / "config.toml"
    path.touch()
    with pytest.raises(ConfigError) as error:
        load(path, environ={}, overrides={"zerodha.api_key": [CANARY]})
    assert "zerodha.api_key" in str(error.value)
    assert CANARY not in str(error.value)


def test_a_masked_address_keeps_what_says_which_it_is(tmp_path):
    shown = {name: value for name, value, _ in with_secrets(tmp_path).rows()}
    assert shown["alerts.urls"] == (f"tgram://{MASK}", f"https://{MASK}")
    assert shown["redis.url"] == f"redis://{MASK}"
    assert shown["zerodha.api_key"] == MASK
    assert shown["storage.path"].endswith("alphapanda.db")

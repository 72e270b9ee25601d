"""A secret is struck out of any text, however it is written there; other text stays as it is."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alphapanda.config import load
from alphapanda.config.redaction import PUBLIC, SHORTEST, STRUCK, Redactor, secrets_around, secrets_of

CANARY = "CaNaRy7f3a"

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20).filter(
    lambda text: len(text.strip()) >= 6 and len(text.splitlines()) == 1 and text not in PUBLIC
)


def struck(secret, text):
    redactor = Redactor()
    redactor.learn([secret])
    return redactor(text)


@given(secrets)
@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        ascii,
        json.dumps,
        lambda secret: json.dumps(secret, ensure_ascii=False),
        lambda secret: repr(secret.encode()),
        lambda secret: repr({"key": secret, "other": 'it\'s "quoted"'}),
        lambda secret: repr(repr(secret)),
        lambda secret: repr(ValueError(f'"{secret}" isn\'t right')),
        lambda secret: f"redis://:{quote(secret)}@localhost",
        lambda secret: f"redis://:{quote(secret, safe='').lower()}@localhost",
        lambda secret: f"?api_key={quote_plus(secret)}&x=1",
        lambda secret: repr(f"redis://:{quote(secret, safe='')}@localhost"),
    ],
)
def test_a_secret_is_struck_out_however_it_is_written(written, secret):
    text = written(secret)
    bare = struck(secret, f"< {text} >")
    assert STRUCK in bare
    assert secret not in bare


@given(secrets.filter(lambda secret: secret.isascii() and secret.isalnum()), st.text())
def test_text_without_the_secret_is_not_touched(secret, text):
    assume(secret.lower() not in text.lower())
    assert struck(secret, text) == text


@pytest.mark.parametrize("short", ["", "a", "abc", "  ab  ", *sorted(PUBLIC)])
def test_what_is_too_short_or_public_is_left(short):
    assert struck(short, f"a word such as {short} in a line") == f"a word such as {short} in a line"
    assert len(short.strip()) < SHORTEST or short in PUBLIC


def test_each_line_of_a_secret_with_several_is_struck_out():
    """A traceback indents the lines of a message."""
    assert CANARY not in struck(f"first{CANARY}\nsecond{CANARY}", f"  | first{CANARY}\n  | second{CANARY}")


def test_the_longest_of_two_that_begin_alike_goes_first():
    redactor = Redactor()
    redactor.learn(["token", f"token{CANARY}"])
    assert redactor(f"token{CANARY} token") == f"{STRUCK} {STRUCK}"


VARIABLES = {
    "ALPHAPANDA__ZERODHA__API_KEY": f"key{CANARY}",
    "alphapanda__zerodha__api_secret": f"secret{CANARY}",
    "ALPHAPANDA__ZERODHA__ACCESS_TOKEN": f'"token{CANARY}"',
    "ALPHAPANDA__REDIS__URL": f"redis://user:p%40ss{CANARY}@localhost:6379/0?password=query{CANARY}",
    "ALPHAPANDA__ALERTS__URLS": f'["tgram://bot{CANARY}/1", "https://u:alert{CANARY}@h.example/path{CANARY}"]',
}
SAID = (
    f"key{CANARY}",
    f"secret{CANARY}",
    f"token{CANARY}",
    f"p@ss{CANARY}",
    f"p%40ss{CANARY}",
    f"query{CANARY}",
    f"bot{CANARY}",
    f"alert{CANARY}",
    f"path{CANARY}",
)
INNOCENT = "redis://localhost:6379/0 h.example user https kite 6379 password"


def test_every_secret_of_the_settings_is_known(tmp_path):
    path = tmp_path / "config.toml"
    path.touch()
    environ = {name.upper(): value for name, value in VARIABLES.items()}
    redactor = Redactor()
    redactor.learn(secrets_of(load(path, environ=environ).settings))
    assert redactor(" ".join(SAID)) == " ".join([STRUCK] * len(SAID))
    assert redactor(INNOCENT) == INNOCENT


@pytest.mark.parametrize("by", ["environment", "credentials"])
def test_secrets_are_known_before_a_configuration_is_loaded(tmp_path, by):
    environ = VARIABLES
    if by == "credentials":
        for name, value in VARIABLES.items():
            (tmp_path / name.lower().removeprefix("alphapanda__")).write_text(f"{value}\n")
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    redactor = Redactor()
    redactor.learn(secrets_around(environ))
    assert redactor(" ".join(SAID)) == " ".join([STRUCK] * len(SAID))
    assert redactor(INNOCENT) == INNOCENT


def test_what_is_not_secret_in_the_environment_is_not_learnt(tmp_path):
    (tmp_path / "risk__max_order_quantity").write_text("1234567")
    (tmp_path / "zerodha__api_key").mkdir()
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "ALPHAPANDA__ENVIRONMENT": "staging",
        "ZERODHA__API_KEY": "not-ours",
        "ALPHAPANDA__REDIS__URL": "redis://localhost:6379/0",
    }
    assert not [found for found in secrets_around(environ) if found]


@pytest.mark.parametrize("folder", ["nowhere", "a\0b"])
def test_a_credentials_folder_that_cannot_be_read_has_no_secrets(folder):
    assert list(secrets_around({"CREDENTIALS_DIRECTORY": folder})) == []

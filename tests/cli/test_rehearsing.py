"""What a rehearsal lays over a configuration, and which words it does not take."""

import json
import subprocess

import pytest
import typer
from running import run, write_config
from typer.testing import CliRunner

from alphapanda.cli import rehearsal
from alphapanda.cli.app import app
from alphapanda.cli.rehearsal import checked, exchange, instead_of_paper, mode_of, overrides
from alphapanda.config import Mode, load
from alphapanda.errors import CannotStart

URL = "http://127.0.0.1:8686"
REAL = {"api_root": "https://api.kite.trade", "ws_root": "wss://ws.kite.trade"}
ELSEWHERE = [
    "https://api.kite.trade",
    "http://127.0.0.1.example.com:8686",
    "http://127.0.0.1:8686@example.com",
    "http://127.0.0.1\\@example.com",
    "http://10.0.0.1:8686",
    "ws://127.0.0.1:8686/ws",
    "127.0.0.1:8686",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("words", [("run",), ("login",), ("instruments", "sync")], ids=" ".join)
def test_only_an_address_of_this_machine_is_rehearsed_at(tmp_path, monkeypatch, words, url):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    done = CliRunner().invoke(app, [*words, "--rehearsal-url", url])
    assert done.exit_code == 2
    assert not (tmp_path / "var").exists()
    with pytest.raises(typer.BadParameter, match="is no address of this machine such as http://127"):
        checked(url)


@pytest.mark.parametrize("url", ["http://localhost:1", "https://[::1]:9/", "http://127.9.9.9:80"])
def test_an_address_of_this_machine_is_taken_without_a_slash_at_its_end(url):
    assert checked(url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rehearsal", "--rehearsal-url", URL), "--rehearsal and --rehearsal-url: go not together"),
        (("--rehearsal", "--feed", "simulated"), "has the prices of its exchange; leave --feed and --data"),
        (("--rehearsal", "--data", "x.csv"), "has the prices of its exchange; leave --feed and --data"),
        (("--rehearsal-url", URL, "--feed", "replay"), "has the prices of its exchange"),
        (("--rehearsal-url", URL, "--data", "x.csv"), "has the prices of its exchange"),
        (("--rehearsal-url", "https://api.kite.trade"), "is no address of this machine"),
        (("--rehearsal", "--speed", "fast"), "neither a number above 0 nor max"),
    ],
    ids=" ".join,
)
def test_words_that_contradict_each_other_are_wrong_usage_and_start_nothing(tmp_path, words, said):
    write_config(tmp_path)
    done = run(tmp_path, "run", *words)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.line
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


def test_it_is_laid_over_the_file_the_environment_and_the_credentials(tmp_path):
    """Wherever the roots of Kite itself are named, none of them is left."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "zerodha__api_key").write_text("real")
    (credentials / "zerodha__access_token").write_text("real-token")
    environ = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "ALPHAPANDA__ZERODHA__API_SECRET": "real",
        "ALPHAPANDA__ZERODHA__WS_ROOT": "wss://ws.kite.trade",
        "ALPHAPANDA__FEED__SOURCE": "simulated",
    }
    path = write_config(tmp_path, zerodha=REAL | {"login_root": "https://kite.zerodha.com"})
    loaded = load(path, environ=environ, overrides=overrides(URL), revise=instead_of_paper, credentials=True)
    zerodha, feed = loaded.settings.zerodha, loaded.settings.feed
    assert (zerodha.api_root, zerodha.ws_root, zerodha.login_root) == (URL, "ws://127.0.0.1:8686/ws", URL)
    assert (zerodha.api_key, zerodha.api_secret, zerodha.access_token) == (
        "rehearsal",
        "rehearsal-secret",
        "",
    )
    assert (feed.source, zerodha.enabled) == ("zerodha", True)
    assert mode_of(loaded) == Mode.REHEARSAL.value


@pytest.mark.parametrize(
    ("brokers", "rehearsed"),
    [
        (None, ["zerodha"]),
        (["paper"], ["zerodha"]),
        (["paper", "zerodha"], ["paper", "zerodha"]),
        (["zerodha", "paper"], ["zerodha", "paper"]),
        (["zerodha"], ["zerodha"]),
    ],
)
def test_a_configuration_of_paper_alone_rehearses_with_zerodha_in_its_place(brokers, rehearsed):
    named = {} if brokers is None else {"active_brokers": brokers}
    values = named | {"strategies": [{"id": "one"}, {"id": "two", "brokers": list(brokers or ["paper"])}]}
    instead_of_paper(values)
    assert values["active_brokers"] == rehearsed
    assert values["strategies"][1]["brokers"] == rehearsed
    assert values["strategies"][0].get("brokers", ["paper"]) == (
        ["paper"] if "zerodha" in (brokers or ()) else rehearsed
    )


def test_both_brokers_are_rehearsed_as_they_are():
    """What names zerodha says already who trades where."""
    hosted = [{"id": "one", "brokers": ["paper"]}, {"id": "two", "brokers": ["zerodha", "paper"]}]
    values = {"active_brokers": ["paper", "zerodha"], "strategies": hosted}
    before = json.dumps(values)
    instead_of_paper(values)
    assert json.dumps(values) == before


@pytest.mark.parametrize(
    "values",
    [{"active_brokers": "paper"}, {"active_brokers": ["paper"], "strategies": [5, {"brokers": 5}]}],
)
def test_a_mistake_in_the_configuration_is_left_to_the_loader(values):
    instead_of_paper(values)
    assert "paper" in values["active_brokers"] or values["active_brokers"] == ["zerodha"]


LIVE = {"feed": {"source": "zerodha"}, "zerodha": {"enabled": True}}
THERE = {"api_root": URL, "ws_root": "ws://127.0.0.1:8686/ws"}


@pytest.mark.parametrize(
    ("sections", "mode"),
    [
        ({}, ""),
        ({"zerodha": {"enabled": True}}, ""),
        (LIVE, ""),
        (LIVE | {"zerodha": THERE}, "REHEARSAL"),
        (LIVE | {"zerodha": THERE | {"enabled": True}, "active_brokers": ["zerodha"]}, "REHEARSAL"),
        (LIVE | {"active_brokers": ["zerodha"]}, "LIVE"),
        (LIVE | {"active_brokers": ["paper", "zerodha"]}, "LIVE"),
    ],
    ids=["paper", "enabled", "live prices", "rehearsed prices", "rehearsed", "live", "both"],
)
def test_the_mode_is_whose_money_it_is(tmp_path, sections, mode):
    """Nothing for paper."""
    path = write_config(tmp_path, **({"strategies": []} | sections))
    assert mode_of(load(path, environ={"ALPHAPANDA__ZERODHA__API_KEY": "key"})) == mode


def test_an_exchange_that_does_not_start_is_said_once_and_leaves_nobody():
    said = []
    not_there = pytest.raises(CannotStart, match="the exchange of the rehearsal did not start")
    with not_there, exchange(["--speed", "0"], said.append):
        pytest.fail("it is there")
    assert said == []


def test_the_exchange_of_a_rehearsal_ends_with_it_whatever_happens(monkeypatch):
    children = []

    class Watched(subprocess.Popen):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            children.append(self)

    monkeypatch.setattr(rehearsal.subprocess, "Popen", Watched)
    said = []

    def rehearsed():
        with exchange(["--paused"], said.append) as (url, token):
            assert said == [f"rehearsal: the exchange is at {url}"]
            assert (url.startswith("http://127.0.0.1:"), len(token)) == (True, 32)
            raise CannotStart("the configuration is wrong")

    with pytest.raises(CannotStart, match="the configuration is wrong"):
        rehearsed()
    assert [child.returncode for child in children] == [0]

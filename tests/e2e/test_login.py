"""Logging in as a user does: the installed command at the installed exchange, and what it leaves behind."""

import json
import os
import pty
import socket
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import datetime

import pytest
import requests
from exchange_server import exchange_server
from raw_peer import peer, refusal
from running import COMMAND, FINISH_S, environment, run, strategy, write_config

from alphapanda.times import IST
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.tokens import Token, Tokens, expiry_of

REHEARSAL = {
    "ALPHAPANDA__ZERODHA__API_KEY": "rehearsal",
    "ALPHAPANDA__ZERODHA__API_SECRET": "rehearsal-secret",
}
CANARY = "CaNaRy7f3a"


@pytest.fixture(scope="module")
def door():
    """The port that the exchange's login page leads to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory, door):
    words = ("--redirect-url", f"http://127.0.0.1:{door}/", "--no-rate-limits")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as server:
        yield server


def configured(folder, url):
    """A configuration whose Zerodha is the exchange there."""
    roots = {"api_root": url, "ws_root": url.replace("http", "ws", 1) + "/ws", "login_root": url}
    write_config(folder, zerodha=roots, strategies=[strategy()], storage={"path": "var/day.db"})
    return folder / "var" / "zerodha-rehearsal.token"


def kept(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return json.loads(path.read_text(encoding="utf-8"))


def page(exchange):
    """Where the login page sends a browser that asked for it by itself."""
    where = f"{exchange.url}/connect/login?v=3&api_key=rehearsal"
    return requests.get(where, allow_redirects=False, timeout=FINISH_S).headers["Location"]


@contextmanager
def waiting(folder, door, *, env=REHEARSAL, stdout=subprocess.PIPE):
    process = subprocess.Popen(
        [COMMAND, "login", "--port", str(door)],
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(FINISH_S)
        process.stderr.close()
        if process.stdout:
            process.stdout.close()


def test_a_browser_logs_in_and_the_token_is_kept_for_its_owner_only(tmp_path, exchange, door):
    path = configured(tmp_path, exchange.url)
    with waiting(tmp_path, door) as process:
        said = [process.stdout.readline() for _ in range(6)]
        (url,) = (line.strip() for line in said if "/connect/login?" in line)
        assert url.startswith(f"{exchange.url}/connect/login?v=3&api_key=rehearsal&")
        assert requests.get(f"http://127.0.0.1:{door}/favicon.ico", timeout=FINISH_S).status_code == 404
        stranger = requests.get(page(exchange), timeout=FINISH_S)  # a login that nobody here has asked for
        assert stranger.status_code == 400
        browser = requests.get(url, timeout=FINISH_S)
        assert browser.status_code == 200
        assert "The login has arrived" in browser.text
        out, err = process.communicate(timeout=FINISH_S)
        assert (process.returncode, err) == (0, "")
    token = kept(path)
    assert "Logged in as Rehearsal User (RH0001)" in out
    assert "REHEARSAL" in out
    assert str(path) in out
    assert (token["user_id"], token["root"], token["api_key"]) == ("RH0001", exchange.url, "rehearsal")
    assert token["login_time"].startswith("2026-04-15T")
    assert token["expires"] == "2026-04-16T06:00:00+05:30"
    request_token = browser.url.partition("request_token=")[2]
    for secret in (token["access_token"], request_token, "rehearsal-secret"):
        assert secret not in "".join(said) + out


def test_on_a_terminal_the_browser_is_opened(tmp_path, exchange, door):
    path = configured(tmp_path, exchange.url)
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n"
    )
    browser.chmod(0o755)
    ours, its = pty.openpty()
    try:
        with waiting(tmp_path, door, env=REHEARSAL | {"BROWSER": str(browser)}, stdout=its) as process:
            assert process.wait(FINISH_S) == 0
    finally:
        os.close(ours)
        os.close(its)
    assert kept(path)["user_id"] == "RH0001"


def test_a_day_with_a_login(tmp_path, exchange):
    """Without a login; by a token from a browser elsewhere; used twice; dead at the exchange; anew; out."""
    path = configured(tmp_path, exchange.url)

    def login(*words):
        return run(tmp_path, "login", *words, env=REHEARSAL)

    nobody = login("--status", "--json")
    assert (nobody.code, nobody.stderr, nobody.document["logged_in"]) == (3, "", False)
    assert "run `alphapanda login`" in nobody.document["reason"]

    address = page(exchange)
    request_token = address.partition("request_token=")[2]
    assert login("--request-token", address).code == 0
    first = kept(path)
    again = login("--request-token", request_token)
    assert again.code == 3
    assert again.line == "alphapanda: Kite: the login: Token is invalid or has expired. (HTTP 403)"
    assert kept(path) == first

    good = login("--status", "--json")
    assert (good.code, good.stderr) == (0, "")
    assert good.document == {
        "logged_in": True,
        "reason": None,
        "user_id": "RH0001",
        "user_name": "Rehearsal User",
        "login_time": first["login_time"],
        "expires": "2026-04-16T06:00:00+05:30",
        "source": "login",
        "api_root": exchange.url,
        "rehearsal": True,
    }

    exchange.admin("faults", {"fault": [{"on": "profile", "do": "token_death", "nth": 1}]})
    dead = login("--status")
    assert dead.code == 3
    assert dead.line.startswith(
        "alphapanda: not logged in: Kite: the profile: Incorrect `api_key` or `access_token`."
    )

    assert login("--request-token", page(exchange).partition("request_token=")[2]).code == 0
    second = kept(path)
    assert second["access_token"] != first["access_token"]
    out = run(tmp_path, "logout", env=REHEARSAL)
    assert (out.code, out.stderr) == (0, "")
    assert not path.exists()
    assert exchange.history("session")[-1]["reason"] == "ended by the application"
    assert run(tmp_path, "logout", env=REHEARSAL).stdout == "Nobody was logged in.\n"

    everything = "".join(done.stdout + done.stderr for done in (nobody, again, good, dead, out))
    for secret in (first["access_token"], second["access_token"], request_token, "rehearsal-secret"):
        assert secret not in everything


def test_a_rehearsal_needs_neither_a_browser_nor_credentials(tmp_path, exchange):
    write_config(tmp_path, storage={"path": "var/day.db"})
    path = tmp_path / "var" / "zerodha-rehearsal.token"
    there = ("--rehearsal-url", exchange.url)
    assert run(tmp_path, "login", *there).code == 0
    token = kept(path)
    shown = run(tmp_path, "login", "--status", *there)
    assert (shown.code, shown.stderr) == (0, "")
    where = f"at the exchange {exchange.url} (REHEARSAL)"
    assert shown.stdout == f"Logged in as Rehearsal User (RH0001) {where}, until 2026-04-16 06:00:00 IST.\n"
    assert token["access_token"] not in shown.stdout
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    broken = run(tmp_path, "login", "--status", *there)
    assert (broken.code, broken.line) == (
        3,
        f"alphapanda: not logged in: {path} is damaged; `alphapanda login` makes a new one",
    )
    path.chmod(0o644)
    out = run(tmp_path, "logout", *there)
    assert out.code == 0
    assert "is open to others (mode 0644)" in out.line
    assert not path.exists()


def test_an_exchange_that_is_gone_keeps_nobody_logged_in(tmp_path):
    write_config(tmp_path, storage={"path": "var/day.db"})
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    there, login_time = ("--rehearsal-url", url), datetime(2026, 4, 15, 9, 15, tzinfo=IST)
    access_token = f"{CANARY}-token"
    known = {"user_id": "RH0001", "user_name": "Rehearsal User", "api_key": "rehearsal"}
    known |= {"root": url, "access_token": access_token}
    Tokens(tmp_path / "var", roots_at(url)).write(
        Token(login_time=login_time, expires=expiry_of(login_time), **known)
    )
    unknown = run(tmp_path, "login", "--status", "--json", *there)
    assert (unknown.code, unknown.document["logged_in"], unknown.stderr) == (1, None, "")
    assert "Connection refused" in unknown.document["reason"]
    out = run(tmp_path, "logout", *there)
    assert out.code == 0
    assert "may be good at Zerodha until 06:00: Kite: the logout: Connection refused" in out.line
    assert access_token not in unknown.stdout + out.stdout + out.stderr
    assert list((tmp_path / "var").iterdir()) == []
    assert (
        run(tmp_path, "login", *there).line
        == f"alphapanda: there is no exchange at {url}: Connection refused"
    )


def test_a_wrong_secret_is_refused_and_does_not_show(tmp_path, exchange):
    path = configured(tmp_path, exchange.url)
    env = REHEARSAL | {"ALPHAPANDA__ZERODHA__API_SECRET": CANARY}
    done = run(tmp_path, "login", "--request-token", f"{CANARY}-request", env=env)
    assert (done.code, done.stdout) == (3, "")
    assert done.line == "alphapanda: Kite: the login: Invalid `checksum`. (HTTP 403)"
    assert not path.exists()


def test_a_token_that_kite_quotes_in_its_refusal_does_not_show(tmp_path):
    with peer(refusal(403, "TokenException", f"No such token: {CANARY}")) as server:
        configured(tmp_path, server.url)
        done = run(tmp_path, "login", "--request-token", CANARY, env=REHEARSAL)
    assert done.line == "alphapanda: Kite: the login: No such token: *** (HTTP 403)"
    assert len(server.requests) == 1


def test_a_token_of_the_configuration_comes_first(tmp_path, exchange):
    configured(tmp_path, exchange.url)
    env = REHEARSAL | {"ALPHAPANDA__ZERODHA__ACCESS_TOKEN": f"{CANARY}-token"}
    done = run(tmp_path, "login", "--request-token", page(exchange), env=env)
    assert done.code == 0
    assert "zerodha.access_token is set and comes before this login" in done.line
    shown = run(tmp_path, "login", "--status", "--json", env=env)
    assert (shown.code, shown.document["source"]) == (3, "configuration")
    assert CANARY not in done.stdout + done.stderr + shown.stdout


def test_nobody_comes_to_the_door(tmp_path, exchange, door):
    configured(tmp_path, exchange.url)
    done = run(tmp_path, "login", "--port", door, "--timeout", 0.1, env=REHEARSAL)
    assert done.code == 1
    assert done.line == "alphapanda: nobody has logged in within 0.1 s; run `alphapanda login` again"


@pytest.mark.parametrize(
    ("words", "env", "code", "said"),
    [
        ("login", {}, 3, "zerodha.api_key is missing; set ALPHAPANDA__ZERODHA__API_KEY or the credential"),
        ("logout", {}, 3, "zerodha.api_key is missing; set ALPHAPANDA__ZERODHA__API_KEY"),
        (
            "login",
            {"ALPHAPANDA__ZERODHA__API_KEY": "key"},
            3,
            "zerodha.api_secret is missing; set ALPHAPANDA__",
        ),
        ("login --rehearsal-url https://api.kite.trade", {}, 2, "is no address of this machine"),
        ("login --request-token http://127.0.0.1/?status=success", REHEARSAL, 2, "with request_token= in it"),
        ("login --json", {}, 2, "goes with --status"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(tmp_path, words, env, code, said):
    write_config(tmp_path)
    done = run(tmp_path, *words.split(), env=env)
    assert (done.code, done.stdout) == (code, "")
    assert said in done.line
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


def test_without_a_configuration_there_is_no_place_for_a_login(tmp_path):
    done = run(tmp_path, "login", "--status")
    assert done.code == 3
    assert "config" in done.line

"""A secret of the configuration, through every kind of crash: it is in no output, log, reply or store."""

import re
import subprocess
import sys

import pytest
from running import (
    COMMAND,
    FINISH_S,
    count,
    daemon,
    environment,
    eventually,
    run,
    select,
    strategy,
    write_config,
    write_ticks,
    zigzag,
)

CANARY = "CaNaRy7f3a"
SECRETS = {
    "zerodha__api_key": f"key'{CANARY}",
    "zerodha__api_secret": f'secret"\\{CANARY}é',
    "zerodha__access_token": f"token {CANARY}",
    "redis__url": f"redis://:p%40ss{CANARY}@127.0.0.1:1/0",
    "alerts__urls": f'["tgram://{CANARY}bot/1", "https://u:{CANARY}@h.example/x{CANARY}"]',
}
SOURCES = ("environment", "credentials")

LEAKS = """
import os, urllib.parse
from pathlib import Path

def secrets():
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = [path.read_text() for path in Path(folder).iterdir()] if folder else [
        value for name, value in os.environ.items() if name.startswith("ALPHAPANDA__")]
    password = next(one for one in found if "@127" in one).partition("redis://:")[2].partition("@")[0]
    return [*sorted(found), password, urllib.parse.unquote(password)]

def leak():
    said = " ".join(map(str, secrets()))
    return f"crashed with {said} and {secrets()!r} and {ascii(secrets())} and {repr(secrets()).encode()!r}"
"""
RAISES = f"""{LEAKS}
from alphapanda.core.strategy import Strategy

class Raises(Strategy):
    def on_market_data(self, tick):
        try:
            raise KeyError(leak())
        except KeyError as error:
            raise ValueError(leak()) from error
"""
AT_IMPORT = f"{LEAKS}\nraise RuntimeError(leak())\n"
A_STAGE = f"""{LEAKS}
import sys
from alphapanda.core import risk

def on(self, event):
    raise ValueError(leak())

risk.RiskManager.on = on
sys.argv = ["alphapanda", "run", "--no-calendar", "--until-end"]
from alphapanda.__main__ import main
main()
"""
EVERYWHERE = f"""{LEAKS}
import logging, sys, threading, warnings
from alphapanda.live.life import Life

class Dies:
    def __del__(self):
        fails()

def fails():
    raise ValueError(leak())

async def run(self):
    import asyncio
    from loguru import logger

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    warnings.warn(leak())
    logging.getLogger("asyncio").error(leak())
    logging.getLogger("redis").warning("to %s", leak())
    Dies()
    asyncio.get_running_loop().call_soon(fails)
    await asyncio.sleep(0)
    try:
        fails()
    except ValueError:
        logger.exception("in the log: {{}}", leak())
    raise RuntimeError(leak())

Life.run = run
sys.argv = ["alphapanda", "run"]
from alphapanda.__main__ import main
main()
"""


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    """The variables of a process that has the secrets, one way or the other."""
    if request.param == "environment":
        return {f"ALPHAPANDA__{name.upper()}": value for name, value in SECRETS.items()}
    folder = tmp_path.with_name(f"{tmp_path.name}-credentials")
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value, encoding="utf-8")
    return {"CREDENTIALS_DIRECTORY": str(folder)}


@pytest.fixture
def folder(tmp_path, source):
    """Its log is JSON where the secrets are credentials."""
    write_ticks(tmp_path, zigzag(6))
    logging = {"level": "TRACE", "file_enabled": True, "json_format": "CREDENTIALS_DIRECTORY" in source}
    write_config(tmp_path, logging=logging, strategies=[strategy(), leaking()])
    (tmp_path / "leaking.py").write_text(RAISES, encoding="utf-8")
    return tmp_path


def leaking():
    return strategy("leaking", **{"class": "leaking:Raises", "params": {}})


def script(folder, text, variables):
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=FINISH_S,
        check=False,
    )


def assert_clean(folder, *outputs):
    """Neither in what was said nor in any file but the ones that raise and the credentials themselves."""
    for text in outputs:
        assert CANARY.lower() not in text.lower()
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        assert CANARY.lower().encode() not in path.read_bytes().lower(), path


def log_files(folder):
    return "".join(path.read_text(encoding="utf-8") for path in (folder / "logs").glob("*"))


def test_a_strategy_that_raises_with_the_secret_tells_nobody(folder, source):
    with daemon(folder, "--no-calendar", env=source, log="is quarantined") as started:
        found = eventually(lambda: _quarantined(folder, source), process=started.process)
        shown = run(folder, "config", "show", "--json", env=source)
        table = run(folder, "config", "show", env=source)
        assert (shown.code, table.code) == (0, 0)
        assert_clean(folder, started.stderr, found.stdout, shown.stdout, table.stdout)  # with its -wal
        started.kill()
    assert "crashed with ***" in started.stderr
    assert re.search(r"leaking\.py, line \d+, in Raises\.on_market_data", started.stderr)
    assert "crashed with ***" in log_files(folder)
    assert_clean(folder, started.stderr)


ECHOES = f"""{LEAKS}
from alphapanda.core.strategy import Strategy

class Echoes(Strategy):
    def on_market_data(self, tick):
        said = secrets()[0][:200]
        return [self.buy(tick, 1, reason=said), self.buy(tick, 10**6, reason=said)]
"""


def test_what_strategies_and_operators_give_as_reasons_is_kept_without_the_secret(folder, source):
    (folder / "leaky.py").write_text(ECHOES, encoding="utf-8")
    strategies = [strategy("leaking", **{"class": "leaky:Echoes", "params": {}})]
    write_config(folder, strategies=strategies, redis={"enabled": False})
    reason = f"see {SECRETS['zerodha__api_secret']}"
    with daemon(folder, "--no-calendar", env=source) as started:
        started.until(lambda: count(folder, "signals") > 3)
        killed = run(folder, "kill-switch", "on", "--reason", reason, env=source)
        paused = run(folder, "strategies", "pause", "leaking", "--reason", reason, env=source)
        said = [run(folder, *words, env=source).stdout for words in (["signals"], ["status"], ["why", "1"])]
        assert (killed.code, paused.code) == (0, 0)
        assert "***" in said[0]
        assert_clean(folder, killed.stdout, paused.stdout, *said)
        assert run(folder, "stop", env=source).code == 0
    offline = run(folder, "kill-switch", "on", "--reason", reason, env=source)
    assert_clean(folder, started.stderr, offline.stdout)


def _quarantined(folder, source):
    done = run(folder, "status", "--json", env=source)
    strategies = done.document.get("strategies", {})
    return done if strategies.get("leaking", {}).get("state") == "quarantined" else None


@pytest.mark.parametrize("words", [["run"], ["backtest"], ["config", "check"]])
def test_a_strategy_that_raises_at_import_stops_the_start_without_the_secret(folder, source, words):
    run(folder, "config", "check", env=source)
    (folder / "leaking.py").write_text(AT_IMPORT, encoding="utf-8")
    done = run(folder, *words, env=source)
    assert done.code == 3
    assert "leaking.py cannot be imported: RuntimeError: crashed with ***" in done.stderr
    (folder / "any.db").touch()  # these may stop before there is a store
    assert_clean(folder, done.stdout, done.stderr)


@pytest.mark.parametrize("traceback", ["", "1"])
def test_a_stage_that_raises_ends_the_daemon_without_the_secret(folder, source, traceback):
    done = script(folder, A_STAGE, source | {"ALPHAPANDA_TRACEBACK": traceback})
    assert done.returncode == 1
    assert "the line failed 2 times" in done.stderr
    assert "crashed with ***" in done.stderr
    assert ("Traceback" in done.stderr) == bool(traceback)
    assert_clean(folder, done.stdout, done.stderr)
    assert select(folder, "SELECT count(*) FROM journal")[0][0]


@pytest.mark.parametrize("traceback", ["", "1"])
def test_every_way_to_print_an_error_is_without_the_secret(folder, source, traceback):
    """A thread, a warning, a destructor, a callback of the loop, two libraries, the log, and the end."""
    done = script(folder, EVERYWHERE, source | {"ALPHAPANDA_TRACEBACK": traceback})
    assert done.returncode == 1
    said = done.stderr.replace("\\n", "\n")
    assert said.count("crashed with ***") >= 8
    for way in ("Exception in thread", "UserWarning", "Dies.__del__", "asyncio", "redis", "in the log"):
        assert way in said, way
    assert_clean(folder, done.stdout, done.stderr)


def test_a_configuration_that_cannot_be_loaded_is_reported_without_the_secret(folder, source):
    """The error comes before the secrets have been read by the loader."""
    bad = source | {"ALPHAPANDA__RISK__MAX_ORDER_QUANTITY": f"key'{CANARY}"}
    done = run(folder, "run", env=bad)
    assert done.code == 3
    assert "risk.max_order_quantity" in done.line
    (folder / "any.db").touch()
    assert_clean(folder, done.stdout, done.stderr)


def test_started_without_a_stderr_the_log_does_not_go_into_the_store(tmp_path):
    """The first file that is opened gets the number of stderr."""
    write_ticks(tmp_path, zigzag(6))
    write_config(tmp_path, logging={"level": "TRACE"})
    words = ["sh", "-c", 'exec "$0" run --no-calendar --until-end 0<&- 1>&- 2>&-', COMMAND]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), timeout=FINISH_S, check=False)
    assert done.returncode == 0
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert select(tmp_path, "SELECT count(*) FROM trades")[0][0]

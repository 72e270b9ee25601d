"""The installed daemon as a child of a trial, with the account of an exchange on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w
from trial_children import API_KEY, ENDING_S, TOKEN, ExchangeChild

COMMAND = Path(sys.executable).with_name("alphapanda")
HERE = Path(__file__).parent
STARTING_S = 120.0
POLL_S = 0.05


def environment(**changes: str) -> dict[str, str]:
    """The caller's without our configuration, with the account of the exchange on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("ALPHAPANDA")}
    return (
        kept
        | {
            "PYTHONPATH": str(HERE),
            "ALPHAPANDA__ZERODHA__API_KEY": API_KEY,
            "ALPHAPANDA__ZERODHA__ACCESS_TOKEN": TOKEN,
        }
        | changes
    )


def roots_of(server: ExchangeChild) -> dict[str, Any]:
    """The section [zerodha] for it."""
    return {"enabled": True, "api_root": server.url, "ws_root": server.ws, "login_root": server.url}


class Daemon:
    """`alphapanda run` in a folder of its own."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
        self.process = process
        self.folder = folder
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def answer(self, *words: str) -> Any:
        """What a reading command says with --json; it must succeed."""
        asked = subprocess.run(
            [COMMAND, *words, "--json"],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=STARTING_S,
            check=False,
        )
        if asked.returncode != 0:
            said = f"{asked.returncode}: {asked.stderr.strip()}"
            raise SystemExit(f"`alphapanda {' '.join(words)}` left with {said}")
        return json.loads(asked.stdout)

    def until(self, fact: Callable[[], Any], what: str, within_s: float = STARTING_S) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := fact()):
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended with {self.process.returncode}: {self.log[-3000:]}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{what}: not within {within_s:g} s: {self.log[-3000:]}")
            time.sleep(POLL_S)
        return found


@contextmanager
def running(
    folder: Path, config: dict[str, Any], *words: object, cores: list[int] | None = None
) -> Iterator[Daemon]:
    """Ready when the block begins; stopped, as by systemd, when it ends."""
    (folder / "config.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
    log = folder / "daemon.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [COMMAND, "run", *map(str, words)],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if cores:
        os.sched_setaffinity(process.pid, cores)
    started = Daemon(process, folder, log)
    try:
        started.until(lambda: " ready: " in started.log, "the daemon is ready")
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDING_S)

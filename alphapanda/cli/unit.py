"""The systemd unit: whether it runs the configuration in use, and what systemctl says to it."""

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from alphapanda.errors import CannotStart, Fatal

if TYPE_CHECKING:
    from alphapanda.config import Loaded

UNIT = "alphapanda.service"
BOOTED = Path("/run/systemd/system")
"""Only there when systemd is what the machine was started with."""
DEFAULT_FILE = "/etc/alphapanda/config.toml"
WORKING = ("active", "activating", "reloading", "deactivating")
LOOK_S = 10.0


def runs(loaded: "Loaded") -> bool:
    """Is the unit installed, and does it run this configuration?

    It does when its ExecStart names the same file, and the same --env if the caller has one.
    """
    words = _exec_start()
    if words is None:
        return False
    config, env = _option(words, "--config") or DEFAULT_FILE, _option(words, "--env")
    ours, *overlay = loaded.files
    same_env = not overlay or overlay[0].name == f"config.{env}.toml"
    return Path(config).resolve() == ours.resolve() and same_env


def is_working() -> bool:
    """Running, or about to be: then only systemd may stop it, or it starts it again."""
    return _systemctl("is-active", UNIT).stdout.strip() in WORKING


def tell(verb: str) -> None:
    """start, stop or restart it; returns when systemd says that is done. The unit's exit code 3 stays 3."""
    command = ["systemctl", verb, UNIT]
    ended = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our words
    if not ended.returncode:
        return
    lines = ended.stderr.split("\n")
    why = next((line.strip() for line in lines if line.strip()), f"exit code {ended.returncode}")
    code = _systemctl("show", "--property=ExecMainStatus", "--value", UNIT).stdout.strip()
    kind = CannotStart if code == "3" else Fatal
    raise kind(f"systemctl {verb} {UNIT}: {why.rstrip('.')}; see `journalctl -u {UNIT} -n 20`")


def _exec_start() -> list[str] | None:
    """The words of its ExecStart; None without systemd or without the unit."""
    if not BOOTED.is_dir():
        return None
    try:
        text = _systemctl("cat", UNIT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if text.returncode:
        return None
    words: list[str] = []
    for line in text.stdout.replace("\\\n", " ").splitlines():
        name, _, value = line.strip().partition("=")
        if name.strip() == "ExecStart":  # a later one, or an empty one, takes the place of those before
            words = shlex.split(value)
    return words


def _option(words: list[str], name: str) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemctl", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=LOOK_S)  # noqa: S603 - our words

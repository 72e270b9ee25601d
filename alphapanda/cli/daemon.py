"""Asking the running daemon, for the commands that need one."""

import getpass
import os
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from alphapanda.cli.last_words import without_secrets
from alphapanda.cli.output import cleaned, warn
from alphapanda.cli.processes import env_of, others
from alphapanda.errors import Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Loaded, Settings

ASK_S = 30.0
"""A command runs between two turns and is written down before it is answered."""
READ_S = 5.0
"""Who only looks is answered at once, as soon as the loop comes round."""
READS = frozenset({"status", "risk_show"})
SILENT = "busy, stuck or suspended, see its log; `alphapanda kill-switch on` works all the same"
OPENING_S = 2.0
"""A daemon that has just begun has its store a moment before its door is open."""
POLL_S = 0.05


def ask_daemon(loaded: "Loaded", command: str, **words: Any) -> dict[str, Any]:
    """The result of one request. Raises NotRunning without a daemon, Fatal with what it refused."""
    from alphapanda.live.control import Unreachable
    from alphapanda.store import lock

    settings = loaded.settings
    store = Path(settings.storage.path)
    request = {"command": command, "by": who()} | words
    timeout_s = READ_S if command in READS else ASK_S
    try:
        reply = reach(settings, request, timeout_s)
    except Unreachable as error:
        pid = lock.holder(store)
        if pid is None:
            missed(loaded)
            raise NotRunning(f"no daemon runs on {store}; `alphapanda start` starts one") from None
        late = isinstance(error.__cause__, TimeoutError)
        why = f" in {timeout_s:g} s: it is {SILENT}" if late else f": {error}; see its log"
        raise Fatal(f"the daemon with pid {pid} does not answer{why}") from None
    if not reply.get("ok"):
        raise Fatal(reply.get("error"))
    result: dict[str, Any] = reply["result"]
    return result


def reach(settings: "Settings", request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """The daemon's reply. What may have reached it is never said twice. Raises Unreachable."""
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    deadline = monotonic() + OPENING_S
    while True:
        try:
            return ask(Path(settings.control.socket), request, timeout_s)
        except Unreachable as error:
            closed = isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)
            if not closed or monotonic() > deadline or lock.holder(Path(settings.storage.path)) is None:
                raise
        sleep(POLL_S)


def missed(loaded: "Loaded") -> bool:
    """Name on stderr each daemon that a command with this configuration does not reach.

    True when one of them has the same file and only another overlay or environment: it was surely meant.
    """
    found = list(others(loaded))
    for other in found:
        store = f" with store {other.loaded.settings.storage.path}" if other.loaded else ""
        line = f"the daemon with pid {other.pid}{store} was not reached; {_way(other.loaded, loaded)}"
        warn(cleaned(without_secrets(f"alphapanda: {line}; it is: {other.command}")))
    file = loaded.files[0].resolve()
    return any(other.loaded is not None and other.loaded.files[0].resolve() == file for other in found)


def _way(theirs: "Loaded | None", ours: "Loaded") -> str:
    """What its caller has to say to reach it."""
    if theirs is None:
        return "use the --config and --env it has, or set ALPHAPANDA_CONFIG and ALPHAPANDA_ENV"
    options, variables = [], []
    if theirs.files[0].resolve() != ours.files[0].resolve():
        options.append(f"--config {theirs.files[0]}")
        variables.append(f"ALPHAPANDA_CONFIG={theirs.files[0]}")
    if (env := env_of(theirs) or "") != (env_of(ours) or ""):
        options.append(f"--env {env}" if env else "no --env")
        variables.append(f"ALPHAPANDA_ENV={env}")
    if not options:
        return "set storage.path as its environment does"
    return f"use {' '.join(options)}, or set {' '.join(variables)}"


def who() -> str:
    """Who asks: kept in the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"

"""Asking the running daemon, for the commands that need one."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alphapanda.errors import Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Settings

ASK_S = 30.0
"""A command runs between two turns and is written down before it is answered."""


def ask_daemon(settings: "Settings", command: str, **words: Any) -> dict[str, Any]:
    """The result of one request. Raises NotRunning without a daemon, Fatal with what it refused."""
    from alphapanda.live.control import Unreachable, ask
    from alphapanda.store import lock

    store = Path(settings.storage.path)
    request = {"command": command, "by": who()} | words
    try:
        reply = ask(Path(settings.control.socket), request, ASK_S)
    except Unreachable as error:
        pid = lock.holder(store)
        if pid is None:
            raise NotRunning(f"no daemon runs on {store}; `alphapanda start` starts one") from None
        raise Fatal(f"the daemon with pid {pid} does not answer: {error}; see its log") from None
    if not reply.get("ok"):
        raise Fatal(reply.get("error"))
    result: dict[str, Any] = reply["result"]
    return result


def who() -> str:
    """Who asks: kept in the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"

"""The daemons of this machine as /proc shows them: how each was started, and whose store is another."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alphapanda.errors import CannotStart

if TYPE_CHECKING:
    from alphapanda.config import Loaded

PROC = Path("/proc")


class CommandLine(NamedTuple):
    """The parts of `alphapanda --config … --env … run …`; `run` is what followed that word."""

    config: str | None
    env: str | None
    run: list[str]


class Other(NamedTuple):
    """A daemon with another store; `loaded` is its configuration, None when that cannot be read."""

    pid: int
    command: str
    loaded: "Loaded | None"


def words_of(pid: int) -> list[str]:
    """The words of a process's command line. Raises OSError."""
    text = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape")
    return text.removesuffix("\0").split("\0")


def daemon_line(words: list[str]) -> CommandLine | None:
    """None when these words are no daemon: another program, or another command of ours."""
    names = [Path(word).name for word in words]
    if "alphapanda" not in names or not names[0].startswith(("python", "pypy", "alphapanda")):
        return None
    at, options = names.index("alphapanda") + 1, dict[str, str]()
    while at < len(words) and words[at].startswith("-"):
        name, equals, value = words[at].partition("=")
        options[name] = value if equals else "".join(words[at + 1 : at + 2])
        at += 1 if equals else 2
    if words[at : at + 1] != ["run"]:
        return None
    return CommandLine(options.get("--config"), options.get("--env"), words[at + 1 :])


def others(ours: "Loaded") -> Iterator[Other]:
    """Daemons that run now and have another store than `ours`.

    One whose configuration lies in the folder for temporary files is somebody's trial: it is no other, unless
    it is the caller's own configuration. What may not be read is taken as it looks from outside.
    """
    for pid in sorted(int(path.name) for path in PROC.glob("[0-9]*")):
        try:
            words = words_of(pid)
        except OSError:  # it has left, or is not for us to see
            continue
        line = daemon_line(words)
        if line is None or pid == os.getpid():
            continue
        theirs, folder = _configuration(pid, line)
        same_store = theirs is not None and theirs.settings.storage.path == ours.settings.storage.path
        trial = folder.is_relative_to(Path(tempfile.gettempdir()).resolve())
        if not same_store and (not trial or folder == ours.folder.resolve()):
            yield Other(pid, shlex.join(words), theirs)


def _configuration(pid: int, line: CommandLine) -> tuple["Loaded | None", Path]:
    """What the daemon has read, and in which folder."""
    from alphapanda.config import load

    try:
        here = (PROC / str(pid) / "cwd").readlink()
    except OSError:
        here = Path("/")
    config = Path(line.config) if line.config else None
    try:
        loaded = load(config, env=line.env, environ=_environment(pid), cwd=here)
    except (CannotStart, OSError):
        return None, (here / (config or "config.toml")).parent.resolve()
    return loaded, loaded.folder.resolve()


def _environment(pid: int) -> dict[str, str]:
    try:
        text = (PROC / str(pid) / "environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def env_of(loaded: "Loaded") -> str | None:
    """The name that --env or ALPHAPANDA_ENV has given."""
    _, *overlay = loaded.files
    return overlay[0].name.removeprefix("config.").removesuffix(".toml") if overlay else None

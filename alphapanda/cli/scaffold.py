"""The files of a new strategy: the class, its test and its stanza in config.toml. All of them, or none.

The texts are in `templates/`; `$name` and the like stand for what differs.
"""

import os
import re
from contextlib import ExitStack
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import NamedTuple

import msgspec

from alphapanda.config import ConfigError, Loaded

LONGEST_NAME = 28
"""A strategy's id has at most 32 characters: the name, `_` and a number."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Written(NamedTuple):
    """What `write_strategy` has made."""

    id: str
    class_name: str
    strategy: Path
    test: Path
    config: Path
    enabled: bool


def mistake_in(name: str) -> str | None:
    """Why `name` cannot be a strategy's, if so."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return (
            f"{name!r} cannot be a module: use a lower-case letter, then letters, digits and single _,"
            f" {LONGEST_NAME} at most, such as my_idea"
        )
    if iskeyword(name):
        return f"{name!r} is a word of Python; use another, such as {name}_idea"
    if find_spec(f"strategies.{name}"):
        return f"a strategy {name!r} is installed with alphapanda; use another name, such as my_{name}"
    return None


def write_strategy(name: str, loaded: Loaded) -> Written:
    """Write the three, in the folder of the configuration; nothing that exists is overwritten."""
    ids = {entry.id for entry in loaded.settings.strategies}
    number = next(number for number in range(1, len(ids) + 2) if f"{name}_{number}" not in ids)
    written = Written(
        id=f"{name}_{number}",
        class_name="".join(part.capitalize() for part in name.split("_")) + "Strategy",
        strategy=loaded.folder / "strategies" / f"{name}.py",
        test=loaded.folder / "tests" / f"test_{name}.py",
        config=_file_of_strategies(loaded),
        enabled="paper" in loaded.settings.active_brokers,
    )
    stanza = _text("stanza.toml.txt", name, written)
    _must_fit(written.config, stanza)
    with ExitStack() as undo:
        _create(written.strategy, _text("strategy.py.txt", name, written), undo)
        _create(written.test, _text("test.py.txt", name, written), undo)
        _append(written.config, stanza)
        undo.pop_all()
    return written


def _text(template: str, name: str, written: Written) -> str:
    """A template filled in."""
    source = files("alphapanda.cli").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(source).substitute(
        {
            "name": name,
            "title": name.replace("_", " ").capitalize(),
            "class": written.class_name,
            "id": written.id,
            "enabled": "true" if written.enabled else "false  # paper is not in active_brokers",
        }
    )


def _file_of_strategies(loaded: Loaded) -> Path:
    """The file whose [[strategies]] count: an overlay that has some replaces those of config.toml."""
    origin = loaded.origins["strategies"]
    if origin == "default":
        return loaded.files[0]
    for path in loaded.files:
        if path.name == origin:
            return path
    raise ConfigError(f"strategies are set by {origin}, not by a file; unset it, or add the strategy there")


def _must_fit(config: Path, stanza: str) -> None:
    """A table at the end of a file begins anew, so it always fits, unless `strategies = [...]` is a list."""
    try:
        msgspec.toml.decode(config.read_bytes().decode("utf-8-sig") + "\n" + stanza)
    except msgspec.DecodeError:
        raise ConfigError(
            f"{config} has its strategies as one list in brackets; write each as a [[strategies]] table,"
            " then run this again"
        ) from None


def _create(path: Path, text: str, undo: ExitStack) -> None:
    """Write a new file; `undo` takes it away again, with a folder that was made for it."""
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            undo.callback(_remove_folder, path.parent)
        with path.open("x", encoding="utf-8") as file:
            undo.callback(path.unlink)
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; use another name or move that file away") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; correct that") from None


def _remove_folder(folder: Path) -> None:
    """Unless somebody else has put something into it meanwhile."""
    if not any(folder.iterdir()):
        folder.rmdir()


def _append(config: Path, stanza: str) -> None:
    """In place, so that owner, mode and comments stay. What was written in part is cut off again."""
    try:
        with config.open("r+b", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            ends_a_line = before == 0 or config.read_bytes().endswith(b"\n")
            try:
                _write_all(file.fileno(), ("" if ends_a_line else "\n") + stanza)
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise ConfigError(f"{config} cannot be written: {error.strerror}; correct that") from None


def _write_all(descriptor: int, text: str) -> None:
    left = text.encode()
    while left:
        left = left[os.write(descriptor, left) :]

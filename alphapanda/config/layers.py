"""Where values come from, weakest first: config.toml, its overlay, environment, credentials, command line.

Each source is a `Layer`; tables merge, anything else replaces. `.env` files are never read: what a daemon
trades with must not depend on the folder somebody started it from.
"""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from alphapanda.config.keys import KEYS, SECTIONS, Key
from alphapanda.config.mistakes import ConfigError, NoConfiguration, nearest, wrong

SYSTEM_FILE = Path("/etc/alphapanda/config.toml")
PREFIX = "ALPHAPANDA__"
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Layer(Struct, frozen=True):
    """Values of one source. `origin` is what `config show` says, `place` what an error says."""

    origin: str
    place: str
    values: dict[str, Any]

    def __repr__(self) -> str:
        return f"Layer({self.origin!r})"  # the values may be secrets


def find_file(config: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    if config is not None:
        return _must_exist(cwd / config, "--config")
    if named := environ.get("ALPHAPANDA_CONFIG"):
        return _must_exist(cwd / named, "ALPHAPANDA_CONFIG")
    for path in (cwd / "config.toml", SYSTEM_FILE):
        if os.path.isfile(path):  # noqa: PTH113 - False, not an error, for a folder we may not enter
            return path
    raise NoConfiguration(
        f"no configuration: neither --config nor ALPHAPANDA_CONFIG is given, and there is no ./config.toml"
        f" and no {SYSTEM_FILE}; run `alphapanda config init`"
    )


def _must_exist(path: Path, asked_by: str) -> Path:
    if not os.path.exists(path):  # noqa: PTH110 - False for an impossible name too
        raise ConfigError(
            f"{asked_by} names {path}, which does not exist; correct it"
            f" or run `alphapanda config init {path}`"
        )
    return path


def find_overlay(file: Path, env: str | None, environ: Mapping[str, str]) -> Path | None:
    """`config.<env>.toml` beside `file`; an env that was asked for must have one."""
    name, asked_by = (env, "--env") if env else (environ.get("ALPHAPANDA_ENV"), "ALPHAPANDA_ENV")
    if not name:
        return None
    if not re.fullmatch(r"[\w-]+", name):
        raise ConfigError(
            f"{asked_by} is {name!r}; use a name of letters, digits, _ and -, such as production"
        )
    path = file.with_name(f"config.{name}.toml")
    if not os.path.isfile(path):  # noqa: PTH113 - as above
        raise ConfigError(
            f"{asked_by} asks for {name}, but there is no {path}; write that file or correct {asked_by}"
        )
    return path


def from_file(path: Path) -> Layer:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise ConfigError(f"{path} cannot be read: {reason}; correct that or give another --config") from None
    layer = Layer(path.name, str(path), _parsed(text, path))
    _refuse_secrets(layer)
    return layer


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply; write it flatter") from None
    except ValueError as error:  # TOMLDecodeError, or a number too long to read
        message = str(error)
        at = _POSITION.search(message)
        if at and at[1]:
            line, column = at[1], at[2]
        else:
            line, column = str(text.count("\n") + 1), str(len(text) - text.rfind("\n"))
        reason = _POSITION.sub("", message)
        raise ConfigError(f"{path}, line {line}, column {column}: {reason}; correct it there") from None


def _refuse_secrets(layer: Layer) -> None:
    for key in KEYS.values():
        is_secret = key.note("secret")
        value = lookup(layer.values, key.name)
        if is_secret and value is not None and is_secret(value if isinstance(value, str) else repr(value)):
            raise wrong(
                key.name,
                layer.place,
                "a secret may not stand in a TOML file; remove it there and"
                f" set {key.variable} or the credential {key.credential}",
            )


def from_environment(environ: Mapping[str, str]) -> Iterator[Layer]:
    """One layer a variable, so that each origin can be named; a whole section comes before its keys."""
    found = {name: _dotted(name[len(PREFIX) :]) for name in environ if name.upper().startswith(PREFIX)}
    for dotted, count in Counter(found.values()).items():
        if count > 1:
            twice = " and ".join(sorted(name for name in found if found[name] == dotted))
            raise ConfigError(f"{dotted} is set by {twice}; keep one")
    for name, dotted in sorted(found.items(), key=lambda pair: pair[1]):
        place = f"environment variable {name}"
        _must_be_known(dotted, place)
        value = _value(environ[name], KEYS.get(dotted))
        yield Layer(f"environment {name}", place, nested(dotted, value))


def from_credentials(environ: Mapping[str, str]) -> Iterator[Layer]:
    """Files that systemd lays down. One without `__` in its name is somebody else's."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    try:
        paths = sorted(path for path in Path(folder).iterdir() if "__" in path.name and path.is_file())
    except (OSError, ValueError):
        raise ConfigError(f"CREDENTIALS_DIRECTORY {folder} cannot be read; unset it or correct it") from None
    for path in paths:
        dotted, origin = _dotted(path.name), f"credential {path.name}"
        _must_be_known(dotted, origin)
        key = KEYS.get(dotted)
        text = _credential(path)
        yield Layer(origin, origin, nested(dotted, text if key and key.is_text else _value(text, key)))


def _credential(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise ConfigError(
            f"credential {path.name} cannot be read as UTF-8 text; correct the file {path}"
        ) from None


def from_command_line(overrides: Mapping[str, object]) -> Iterator[Layer]:
    for dotted, value in overrides.items():
        _must_be_known(dotted, "command line")
        yield Layer("command line", "the command line", nested(dotted, value))


def _dotted(name: str) -> str:
    return name.lower().replace("__", ".")


def _must_be_known(dotted: str, place: str) -> None:
    if dotted not in KEYS and dotted not in SECTIONS:
        raise ConfigError(f"{place}: there is no key {dotted}; {nearest(dotted, KEYS)}")


def _value(text: str, key: Key | None) -> Any:
    """`text` as a TOML value, else as it is; where only text may stand, 007 and true are text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = table.get("value") if len(table) == 1 else text
    return text if key and key.is_text and not isinstance(value, str) else value


def nested(dotted: str, value: object) -> dict[str, Any]:
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return value if isinstance(value, dict) else {}


def lookup(values: Mapping[str, Any], dotted: str) -> Any:
    """The value at `dotted`, or None: TOML has no null."""
    found: Any = values
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def merge(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, Layer]]:
    """All values, and for each dotted key the layer that had the last word."""
    values: dict[str, Any] = {}
    sources: dict[str, Layer] = {}
    for layer in layers:
        _lay_over(values, layer.values, layer, sources, "")
    return values, sources


def _lay_over(
    below: dict[str, Any], above: dict[str, Any], layer: Layer, sources: dict[str, Layer], prefix: str
) -> None:
    for name, value in above.items():
        sources[prefix + name] = layer
        if isinstance(value, dict):
            under = below.get(name)
            below[name] = dict(under) if isinstance(under, dict) else {}
            _lay_over(below[name], value, layer, sources, f"{prefix}{name}.")
        else:
            below[name] = value

"""`load`: find the files, lay the layers over each other, decode and check them.

What it returns also says where each value came from.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from alphapanda.config import layers
from alphapanda.config.checks import check_settings, check_values
from alphapanda.config.keys import KEYS, value_of
from alphapanda.config.layers import Layer, lookup
from alphapanda.config.masking import masked
from alphapanda.config.mistakes import ConfigError, explained
from alphapanda.config.settings import Settings


class Loaded(Struct, frozen=True):
    """A configuration that is free of mistakes. `folder` is where its relative paths start."""

    settings: Settings
    folder: Path
    files: tuple[Path, ...]
    origins: dict[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Every key, its value as people may see it, and where it came from."""
        for name, key in KEYS.items():
            yield name, masked(key.annotation, value_of(self.settings, name)), self.origins[name]


def load(
    config: Path | None = None,
    *,
    env: str | None = None,
    overrides: Mapping[str, object] | None = None,
    revise: Callable[[dict[str, Any]], None] | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    credentials: bool = True,
) -> Loaded:
    """The settings, or a ConfigError. `overrides` are dotted keys with the command line's values.

    `revise` may change the merged values before they are checked: for what no key can say. `credentials`
    False does without those that only a broker needs.
    """
    here = (cwd or Path.cwd()).absolute()
    file = layers.find_file(config, environ, here)
    overlay = layers.find_overlay(file, env, environ)
    files = (file, overlay) if overlay else (file,)
    values, sources = layers.merge(
        [
            *map(layers.from_file, files),
            *layers.from_environment(environ),
            *layers.from_credentials(environ),
            *layers.from_command_line(overrides or {}),
        ]
    )
    if revise is not None:
        revise(values)
    settings = _decoded(values, _places(sources, file), _bases(sources, file.parent, here), credentials)
    return Loaded(settings, file.parent, files, _origins(sources))


def _decoded(
    values: dict[str, Any],
    place_of: Callable[[str], str],
    base_of: Callable[[str], Path],
    credentials: bool,
) -> Settings:
    check_values(values, place_of)
    try:
        settings = msgspec.convert(_located(values, base_of), Settings)
    except msgspec.ValidationError as error:
        raise explained(str(error), place_of) from None
    except (RecursionError, OverflowError):
        raise ConfigError(f"{place_of('')}: a value is too large; make it smaller") from None
    check_settings(settings, place_of, credentials=credentials)
    return settings


def _places(sources: dict[str, Layer], file: Path) -> Callable[[str], str]:
    """Which file, variable or credential an error about a key sends its reader to."""

    def place_of(key: str) -> str:
        layer = _source(sources, key)
        return layer.place if layer else str(file)

    return place_of


def _bases(sources: dict[str, Layer], folder: Path, here: Path) -> Callable[[str], Path]:
    """Relative paths start at the config's folder, those of the command line at the current one."""

    def base_of(key: str) -> Path:
        layer = _source(sources, key)
        return here if layer and layer.origin == "command line" else folder

    return base_of


def _source(sources: dict[str, Layer], key: str) -> Layer | None:
    """The layer that set `key` or the nearest table above it."""
    while key and key not in sources:
        key = key.rpartition("[" if key.endswith("]") else ".")[0]
    return sources.get(key)


def _located(values: dict[str, Any], base_of: Callable[[str], Path]) -> dict[str, Any]:
    """`values` with absolute paths. Joined as text parts only, so that globs survive."""
    for key in KEYS.values():
        if key.note("path"):
            value = lookup(values, key.name)
            _assign(values, key.name, _absolute(key.default if value is None else value, base_of(key.name)))
    return values


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, (list, tuple)):
        return [_absolute(each, base) for each in value]
    return str(base / value) if value and isinstance(value, (str, Path)) else value


def _assign(values: dict[str, Any], dotted: str, value: object) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        table = values.setdefault(section, {})
        if not isinstance(table, dict):
            return  # a mistake that msgspec will name
        values = table
    values[name] = value


def _origins(sources: dict[str, Layer]) -> dict[str, str]:
    return {name: sources[name].origin if name in sources else "default" for name in KEYS}

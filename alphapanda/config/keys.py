"""The settings as a flat list of dotted keys.

Layers, checks, the writer and `config show` walk along it, so that a new field of a section is enough.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields

from alphapanda.config.days import SessionSettings
from alphapanda.config.masking import note
from alphapanda.config.settings import ScopeSettings, Settings, StrategySettings


class Key(Struct, frozen=True):
    """One key, such as `risk.max_order_quantity`."""

    name: str
    annotation: Any
    default: Any

    @property
    def type(self) -> Any:
        return bare(self.annotation)

    @property
    def is_text(self) -> bool:
        return self.type is str or get_origin(self.type) is Literal

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that may stand here, and `a number` where one may."""
        parts = get_args(self.type) if get_origin(self.type) is not Literal else (self.type,)
        words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
        return (*words, "a number") if len(parts) > 1 else tuple(words)

    @property
    def variable(self) -> str:
        return "ALPHAPANDA__" + self.credential.upper()

    @property
    def credential(self) -> str:
        return self.name.replace(".", "__")

    def note(self, name: str) -> Any:
        return note(self.annotation, name)


def bare(annotation: Any) -> Any:
    """The type itself, without what is said about it."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def description(annotation: Any) -> str:
    metas = [meta for meta in get_args(annotation)[1:] if isinstance(meta, Meta) and meta.description]
    return metas[-1].description or "" if metas else ""


def is_section(annotation: Any) -> bool:
    kind = bare(annotation)
    return isinstance(kind, type) and issubclass(kind, Struct)


def _walk(section: type[Struct], prefix: str = "") -> Iterator[Key]:
    for field in fields(section):
        name = prefix + field.encode_name
        if is_section(field.type):
            yield from _walk(bare(field.type), name + ".")
        else:
            yield Key(name, field.type, field.default)


KEYS: dict[str, Key] = {key.name: key for key in _walk(Settings)}
"""Every key by its dotted name, in the order of config.toml; `strategies` is one key."""

SECTIONS = frozenset(name.rsplit(".", depth)[0] for name in KEYS for depth in range(1, name.count(".") + 1))

NAMES = frozenset(part for name in KEYS for part in name.split(".")) | {
    "scope",
    *(
        field.encode_name
        for section in (ScopeSettings, SessionSettings, StrategySettings)
        for field in fields(section)
    ),
}
"""Every word that may stand left of `=` or in `[…]`, to guess what a misspelt one meant."""


def value_of(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value

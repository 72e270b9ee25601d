"""Secrets never show: every section prints itself with its secret values masked.

A key is secret by its type (`Secret`, `SecretUrl`, `SecretUrls`), so a new secret needs no list elsewhere.
"""

from collections.abc import Callable
from typing import Annotated, Any, get_args

from msgspec import Meta, Struct
from msgspec.structs import fields

MASK = "••••"


def has_password(url: str) -> bool:
    """True when in doubt: what is called a password after `?`, or anything like `:text@`."""
    address = url.partition("://")[2] or url
    login, at, _ = address.rpartition("@")
    return "password" in url.partition("?")[2].lower() or (bool(at) and ":" in login)


def _hide(secret: str) -> str:
    return MASK if secret else ""


def _hide_login(url: str) -> str:
    return _hide_address(url) if has_password(url) or "@" in url else url


def _hide_address(url: str) -> str:
    # Alert services put their token anywhere behind the scheme: tgram://TOKEN/chat, https://host/TOKEN.
    scheme, found, _ = url.partition("://")
    return f"{scheme}://{MASK}" if found else _hide(url)


def _hide_addresses(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_hide_address(url) for url in urls)


Secret = Annotated[str, Meta(extra={"mask": _hide, "secret": bool})]
SecretUrl = Annotated[str, Meta(extra={"mask": _hide_login, "secret": has_password})]
SecretUrls = Annotated[tuple[str, ...], Meta(extra={"mask": _hide_addresses})]


def note(annotation: Any, name: str) -> Any:
    """What the type of a key says in addition, as `Meta(extra={name: …})`; None when nothing."""
    for meta in get_args(annotation)[1:]:
        if isinstance(meta, Meta) and name in (meta.extra or {}):
            return (meta.extra or {})[name]
    return None


def masked(annotation: Any, value: Any) -> Any:
    """`value` as people may see it."""
    mask: Callable[[Any], Any] | None = note(annotation, "mask")
    return mask(value) if mask else value


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of config.toml. Its repr is safe to log."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            (each.encode_name, masked(each.type, getattr(self, each.name))) for each in fields(type(self))
        ]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({inside})"

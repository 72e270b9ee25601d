"""No secret leaves by accident: its values are struck out of any text that is printed, logged or stored.

What is secret is known by type (`masking.py`). Secrets of the environment and of the credentials folder are
read here without the loader, so that they are known while a configuration is still being loaded, and when
that fails half way. A value shorter than four characters would strike out half of all text; it is left.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from alphapanda.config.keys import KEYS, value_of
from alphapanda.config.settings import Settings

STRUCK = "***"
SHORTEST = 4
SHORTEST_PIECE = 8
"""Of an address that is secret as a whole, pieces shorter than this are words, not tokens."""
PUBLIC = frozenset({"rehearsal", "rehearsal-secret"})
"""The credentials of the rehearsal exchange are printed in its documentation."""

_PIECES = re.compile(r"[/@:?&=#,;]+")


class Redactor:
    """Text in, the same text without what it has learnt. Safe to use from any thread."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._learning = threading.Lock()

    def learn(self, secrets: Iterable[str]) -> None:
        """Strike out each of these, however it is quoted or escaped, from now on."""
        forms = {form for secret in secrets for form in _forms(secret)}
        with self._learning:
            if not forms <= self._forms:
                self._forms |= forms
                longest_first = sorted(self._forms, key=len, reverse=True)
                # Whoever takes an address apart makes its host and its %2F small.
                self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def __call__(self, text: str) -> str:
        return self._pattern.sub(STRUCK, text) if self._pattern is not None else text


def _forms(secret: str) -> set[str]:
    """The value as people, addresses, `repr` and JSON write it, and those inside each other."""
    values = {secret, secret.strip(), *secret.splitlines()}
    plain = {value for value in values if _long(value) and value not in PUBLIC}
    decoded = {way(value) for value in plain for way in (unquote, unquote_plus)}
    encoded = {way(value) for value in plain for way in _ENCODINGS}
    forms = plain | decoded | encoded
    for _ in range(2):
        forms |= {way(form) for form in forms for way in _ESCAPES}
    return {form for form in forms if _long(form)}


def _long(text: str) -> bool:
    return len(text.strip()) >= SHORTEST


def _bytes(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


_ENCODINGS: tuple[Callable[[str], str], ...] = (
    lambda value: quote(_bytes(value), safe=""),
    lambda value: quote(_bytes(value)),
    lambda value: quote_plus(_bytes(value)),
)


def _as_literal(way: Callable[[str], str], quoted: str) -> Callable[[str], str]:
    """`repr` escapes a quote only where both kinds stand in the text around it, so both ways are possible."""
    return lambda value: quoted.join(map(way, value.split("'")))


_ESCAPES: tuple[Callable[[str], str], ...] = (
    *(
        _as_literal(way, quoted)
        for way in (
            lambda part: repr(part)[1:-1],
            lambda part: ascii(part)[1:-1],
            lambda part: repr(_bytes(part))[2:-1],
        )
        for quoted in ("'", "\\'")
    ),
    lambda value: json.dumps(value)[1:-1],
    lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
)


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret value of a configuration; the keys say which they are by their type."""
    for name, key in KEYS.items():
        if key.note("mask"):
            yield from _secrets(value_of(settings, name), key.note("secret"))


def secrets_around(environ: Mapping[str, str]) -> Iterator[str]:
    """Those in the environment and the credentials folder, as they stand there, right or wrong."""
    secret = {key.credential: key for key in KEYS.values() if key.note("mask")}
    for name, value in environ.items():
        key = secret.get(name.lower().removeprefix("alphapanda__"))
        if key is not None and name.upper().startswith("ALPHAPANDA__"):
            yield from _secrets(_unwrapped(value), key.note("secret"))
    folder = environ.get("CREDENTIALS_DIRECTORY")
    for path in _files(Path(folder)) if folder else ():
        key = secret.get(path.name.lower())
        if key is not None:
            yield from _secrets(_unwrapped(_text(path)), key.note("secret"))


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []  # the loader says what is wrong with it


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError:
        return ""


def _unwrapped(text: str) -> tuple[str, ...]:
    """A value may be quoted as TOML, or a list: the text itself and what stands between its quotes."""
    inner = re.findall(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'', text)
    return (text, *(one or other for one, other in inner))


def _secrets(value: Any, secret: Any) -> Iterator[str]:
    """`secret` is how the type of the key tells a secret: always, by a password, or None for addresses."""
    for text in (value,) if isinstance(value, str) else value:
        if secret is None:
            yield from _of_address(text)
        elif secret is bool:
            yield text
        elif secret(text):
            yield from _of_login(text)


def _of_address(url: str) -> Iterator[str]:
    """Alert services put their token anywhere behind the scheme."""
    address = url.partition("://")[2] or url
    yield url
    yield address
    yield from _of_login(url)
    for piece in _PIECES.split(address):
        if len(piece) >= SHORTEST_PIECE and "." not in piece and not (piece.isalpha() and piece.islower()):
            yield piece


def _of_login(url: str) -> Iterator[str]:
    """The password of `scheme://user:password@host`, and one among the parameters."""
    address, _, query = (url.partition("://")[2] or url).partition("?")
    whole = f"{address}?{query}" if "@" in query else address
    login, at, _ = whole.rpartition("@")
    user, colon, password = login.partition(":")
    if at:
        yield password if colon else user
    for pair in re.split(r"[&;]", query):
        name, _, value = pair.partition("=")
        if "password" in name.lower():
            yield value


REDACTOR = Redactor()
"""The process has one set of secrets, as it has one stderr."""


def learn(settings: Settings) -> None:
    """Called with every configuration that was loaded."""
    REDACTOR.learn(secrets_of(settings))


def learn_surroundings() -> None:
    REDACTOR.learn(secrets_around(os.environ))


def redact(text: str) -> str:
    """`text` without any secret this process knows of."""
    return REDACTOR(text)

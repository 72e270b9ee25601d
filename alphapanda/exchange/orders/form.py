"""The fields of a form: texts, as the official client sends them, and what is read from them."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from alphapanda.events import Money
from alphapanda.exchange.calls import missing
from alphapanda.exchange.orders import refusals

WHOLE = re.compile(r"[+-]?\d{1,12}", re.ASCII)
DECIMAL = re.compile(r"[+-]?(\d{1,12}(\.\d*)?|\.\d+)", re.ASCII)
Word = TypeVar("Word", bound=StrEnum)


class Form:
    """Names it does not know are not looked at; an empty text is as none."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {name: text for name, text in fields.items() if text}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str) -> str:
        return self._fields.get(name, "")

    def needed(self, name: str) -> str:
        if name not in self._fields:
            raise missing(name)
        return self._fields[name]

    def word(self, name: str, kind: type[Word], default: Word | None = None) -> Word:
        """One of the words of `kind`; without a default it must be there."""
        if default is not None and name not in self._fields:
            return default
        text = self.needed(name)
        if text not in {member.value for member in kind}:
            raise refusals.unknown(name, text)
        return kind(text)

    def whole(self, name: str, default: int = 0) -> int:
        text = self._fields.get(name)
        if text is None:
            return default
        if not WHOLE.fullmatch(text):
            raise refusals.undecodable(name, text, "integer")
        return int(text)

    def amount(self, name: str, default: Money = Money(0)) -> Money:  # noqa: B008 - a Money never changes
        text = self._fields.get(name)
        if text is None:
            return default
        if not DECIMAL.fullmatch(text):
            raise refusals.undecodable(name, text, "decimal")
        return Money(text)

    def yes(self, name: str) -> bool:
        """The official client sends "true", Python's own bool is "True"."""
        return self._fields.get(name, "").lower() in ("true", "1")

"""Limits: the values of the risk rules by scope, and what the operator changed while it runs.

A value holds everywhere, or in a scope: a broker, a strategy, an instrument, or several of these together.
Each scope that sets a key makes a rule of its own, and every rule that applies must pass: the tightest wins.
A value set at run time stands above the configured one of the same scope until it is reset.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, Self, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, astuple, fields, replace

from alphapanda.core.rules import EVERYWHERE, RULES, Pointless, Rule, pointless
from alphapanda.events import LimitChanged, Money, Scope

Value = int | bool | Money | tuple[str, ...]
Place = tuple[str, Scope]
"""(key, scope)"""

LONGEST = 18
"""Characters of a number: more is a slip of the hand."""
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "ge": (ge, "{} or more"),
    "gt": (gt, "more than {}"),
    "le": (le, "{} or less"),
    "lt": (lt, "less than {}"),
}
"""A bound as msgspec's `Meta` names it -> how a value is held against it, and how it is said."""


def _keys_of(kind: type[Rule]) -> tuple[FieldInfo, ...]:
    return tuple(each for each in fields(kind) if each.name != "scope")


FIELDS: dict[str, FieldInfo] = {each.name: each for kind in RULES for each in _keys_of(kind)}
"""Every key of [risk] that is a limit, in the order of the rules."""

_KINDS = {each.name: kind for kind in RULES for each in _keys_of(kind)}


class Limits(Struct, frozen=True):
    """`configured` has every key for everywhere, and what overrides say of a scope. `changes` are the values
    set at run time that hold now.
    """

    configured: Mapping[Place, Value]
    changes: Mapping[Place, LimitChanged] = {}

    @classmethod
    def of(
        cls, everywhere: Mapping[str, Value], overrides: Iterable[tuple[Scope, Mapping[str, Value]]] = ()
    ) -> Self:
        layers = [(EVERYWHERE, everywhere), *overrides]
        return cls({(key, scope): value for scope, values in layers for key, value in values.items()})

    def changed(self, event: LimitChanged) -> Self:
        """As they are after `event`. Raises ValueError for a value that no rule could take."""
        place = event.key, event.scope
        changes = {other: change for other, change in self.changes.items() if other != place}
        if event.value is not None:
            parsed(event.key, event.value)
            if problem := misplaced(*place):
                raise ValueError(problem)
            changes[place] = event
        return replace(self, changes=changes)

    def value(self, key: str, scope: Scope = EVERYWHERE) -> Value | None:
        """What `key` is in exactly this scope; None where nothing sets it there."""
        change = self.changes.get((key, scope))
        if change is not None and change.value is not None:
            return parsed(key, change.value)
        return self.configured.get((key, scope))

    def places(self) -> list[Place]:
        """All that is set, key by key in the order of the rules, what holds everywhere first."""
        found = {*self.configured, *self.changes}
        return [(key, scope) for key in FIELDS for scope in _sorted(s for k, s in found if k == key)]

    def rules(self) -> tuple[Rule, ...]:
        """A rule of each class for everywhere, and one for each scope that sets one of its keys."""
        return tuple(self._rule(kind, scope) for kind in RULES for scope in self._scopes(kind))

    def pointless(self) -> dict[Place, Pointless]:
        """Limits that are set to no purpose; neither a file nor `risk set` may make one."""
        found = ((pointless(rule), rule.scope) for rule in self.rules())
        return {(each.key, scope): each for each, scope in found if each is not None}

    def _scopes(self, kind: type[Rule]) -> list[Scope]:
        keys = {each.name for each in _keys_of(kind)}
        return _sorted(
            {EVERYWHERE, *(scope for key, scope in (*self.configured, *self.changes) if key in keys)}
        )

    def _rule(self, kind: type[Rule], scope: Scope) -> Rule:
        """A key that the scope does not set is that of everywhere: a rule may need several."""
        values: dict[str, Any] = {each.name: self._inherited(each.name, scope) for each in _keys_of(kind)}
        return kind(**values, scope=scope)

    def _inherited(self, key: str, scope: Scope) -> Value | None:
        own = self.value(key, scope)
        return self.value(key) if own is None else own

    def obeyed(self, key: str, scope: Scope) -> Value | None:
        """What the rule of that scope goes by, set there or not; None where no rule is."""
        return self._inherited(key, scope) if scope in self._scopes(_KINDS[key]) else None


def misplaced(key: str, scope: Scope) -> str | None:
    """Why no limit of that scope can be: some are not measured instrument by instrument."""
    if not scope.instrument or _KINDS[key].by_instrument:
        return None
    return f"{key} is not known by instrument; leave the instrument out"


def _sorted(scopes: Iterable[Scope]) -> list[Scope]:
    return sorted(scopes, key=astuple)


def parsed(key: str, text: str) -> Value:
    """The value that `text` means. Raises ValueError with a sentence that says what would be right."""
    kind = _settable(key)
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{key} is true or false, not {text!r}")
        return text == "true"
    if not _is_number(text):
        raise ValueError(f"{key} takes a plain number such as 50000, not {text!r}")
    if kind is int and "." in text:
        raise ValueError(f"{key} takes a whole number, not {text}")
    value: int | Money = int(text) if kind is int else Money(text)
    for name, bound in _bounds(FIELDS[key]).items():
        holds, words = BOUNDS[name]
        if not holds(value, bound):
            raise ValueError(f"{key} must be {words.format(bound)}, not {text}")
    return value


def _settable(key: str) -> Any:
    """Its type. Raises ValueError for what cannot be set while the daemon runs."""
    if key not in FIELDS:
        raise ValueError(f"there is no limit {key!r}; `alphapanda risk show` lists them")
    kind = _type(FIELDS[key])
    if kind not in (int, bool, Decimal):
        raise ValueError(f"{key} is a list: change it in [risk] of the configuration, and restart")
    return kind


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-").replace(".", "", 1)
    return text.isascii() and digits.isdigit() and len(text) <= LONGEST


def _type(field: FieldInfo) -> Any:
    kind = get_args(field.type)[0] if _metas(field) else field.type
    return get_origin(kind) or kind


def _metas(field: FieldInfo) -> list[Meta]:
    return [meta for meta in get_args(field.type)[1:] if isinstance(meta, Meta)]


def _bounds(field: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for meta in _metas(field):
        said = {name: getattr(meta, name) for name in BOUNDS} | (meta.extra or {})
        found |= {name: said[name] for name in BOUNDS if said.get(name) is not None}
    return found


def said(value: Value | None) -> str:
    """A value as `risk set` takes it; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def looser(key: str, old: Value | None, new: Value | None) -> bool:
    """Does `new` let through what `old` would refuse? None is no limit there; 0 and false are off.

    Of a key whose "tighter" is "neither" every other value lets something through.
    """
    tighter = next((meta.extra["tighter"] for meta in _metas(FIELDS[key]) if meta.extra), "down")
    if tighter == "neither":
        return old is not None and old != new
    if not old:
        return False
    if not new:
        return True
    before: Any = old
    return bool(before > new if tighter == "up" else new > before)

"""Limits as their operator sees them: how much of each is used, where it comes from, what a change would do.

The same for a daemon at work and for one that is stopped. Values are texts here, as `risk set` takes them.
ValueError is what the caller did wrong.
"""

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from alphapanda.config import Loaded, Settings, limits_of, scope_mistake
from alphapanda.core.limits import FIELDS, Limits, Place, looser, misplaced, parsed, said
from alphapanda.core.risk import RiskManager
from alphapanda.events import LimitChanged, Scope
from alphapanda.times import to_ist

Row = dict[str, Any]
Request = Mapping[str, Any]

RUN_TIME = "run time"


class Change(NamedTuple):
    """What was asked for, and what that means. `event` is None where it is so already."""

    event: LimitChanged | None
    key: str
    scope: Scope
    old: str
    new: str
    """The value that holds there afterwards; empty where none does."""
    looser: bool


def check(settings: Settings, request: Request) -> str:
    """The value to be set, as it will be written. Raises ValueError for a wrong key, value or scope."""
    key, scope = str(request.get("key")), _scope(request)
    value = said(parsed(key, str(request.get("value"))))
    if mistake := scope_mistake(settings, scope):
        raise ValueError(f"{mistake[0]}: {mistake[1]}")
    if problem := misplaced(key, scope):
        raise ValueError(problem)
    return value


def wanted(
    limits: Limits,
    settings: Settings,
    request: Request,
    *,
    by: str,
    reason: str,
    stale: Iterable[LimitChanged] = (),
) -> Change:
    """The change that `request` names: `key`, the parts of a scope, and `value`, which a reset has not.

    What is `stale` may be reset as well.
    """
    key, scope = str(request.get("key")), _scope(request)
    value = None if request.get("value") is None else check(settings, request)
    if not reason:
        raise ValueError("say why, in a few words: --reason")
    set_before = {(change.key, change.scope): change for change in stale} | dict(limits.changes)
    now = set_before.get((key, scope))
    if value is None and now is None:
        raise ValueError(_never_set(set_before, key, scope))
    event = LimitChanged(
        key=key,
        value=value,
        old=now.value or "" if now is not None else said(limits.value(key, scope)),
        scope=scope,
        by=by,
        reason=reason,
        time_ns=time.time_ns(),
    )
    after = limits.changed(event)
    if problem := _newly_pointless(limits, after):
        raise ValueError(problem)
    same = now is not None and now.value == value
    return Change(
        event=None if same else event,
        key=key,
        scope=scope,
        old=event.old,
        new=said(after.value(key, scope)),
        looser=key in FIELDS and looser(key, limits.obeyed(key, scope), after.obeyed(key, scope)),
    )


def _newly_pointless(before: Limits, after: Limits) -> str:
    """What is pointless already may be changed, or it could never be put right."""
    known = before.pointless()
    for (key, scope), found in after.pointless().items():
        if (key, scope) not in known:
            return f"{key}{within(scope)} {found.problem}"
    return ""


def _scope(request: Request) -> Scope:
    return Scope(*(str(request.get(name) or "") for name in ("broker", "strategy", "instrument")))


def _never_set(changes: Iterable[Place], key: str, scope: Scope) -> str:
    others = [f"{other}{within(place)}" for other, place in changes]
    return f"{key}{within(scope)} was not set at run time; what was: {', '.join(others) or 'nothing'}"


def within(scope: Scope) -> str:
    """` of momentum_1 in NSE:INFY at paper`; empty for everywhere."""
    parts = (("of", scope.strategy), ("in", scope.instrument), ("at", scope.broker))
    return "".join(f" {word} {name}" for word, name in parts if name)


def reset_words(change: LimitChanged) -> str:
    """The command that gives it back to the configuration, for the shell."""
    scope = change.scope
    parts = (("broker", scope.broker), ("strategy", scope.strategy), ("instrument", scope.instrument))
    said_scope = "".join(f" --{name} {shlex.quote(value)}" for name, value in parts if value)
    return f"risk reset {shlex.quote(change.key)}{said_scope} --reason stale"


def told(loaded: Loaded, risk: RiskManager, change: Change, *, dry_run: bool) -> Row:
    """The answer to a change: with how the limit stands after it, and whom it would refuse now."""
    limits = risk.limits if change.event is None else risk.limits.changed(change.event)
    rows = [
        row
        for row in shown(loaded, risk, limits)
        if row["key"] == change.key and row["scope"] == _named(change.scope)
    ]
    return {
        "key": change.key,
        "scope": _named(change.scope),
        "description": _description(change.key),
        "old": change.old,
        "new": change.new,
        "looser": change.looser,
        "changed": change.event is not None and not dry_run,
        "limits": rows,
        "refused": _refused(loaded.settings, rows),
    }


def _refused(settings: Settings, rows: Sequence[Row]) -> list[Row]:
    """Whose entries a limit that is used up refuses."""
    return [
        {"strategy_id": entry.id, "broker": row["broker"]}
        for row in rows
        if row["blocked"]
        for entry in settings.strategies
        if entry.enabled
        and row["broker"] in entry.brokers
        and row["scope"]["strategy"] in (None, entry.id)
        and (row["scope"]["instrument"] is None or row["scope"]["instrument"] in entry.instruments)
    ]


def shown(loaded: Loaded, risk: RiskManager, limits: Limits | None = None) -> list[Row]:
    """Every limit at every broker where it holds, in the order of [risk]; with `limits` as if they held."""
    limits = limits or risk.limits
    used = {(each.key, each.scope, each.broker): each for each in risk.usage(limits)}
    rows = []
    for key, scope in limits.places():
        for broker in [scope.broker] if scope.broker else loaded.settings.active_brokers:
            usage = used.get((key, scope, broker))
            rows.append(
                {
                    "key": key,
                    "broker": broker,
                    "scope": _named(scope),
                    "used": None if usage is None or usage.used is None else said(usage.used),
                    "cap": said(limits.value(key, scope)),
                    "blocked": usage is not None and usage.blocked,
                    "description": _description(key),
                }
                | _source(loaded.origins, limits, key, scope)
            )
    return rows


def _named(scope: Scope) -> Row:
    return {"broker": scope.broker or None, "strategy": scope.strategy or None} | {
        "instrument": scope.instrument or None
    }


def _description(key: str) -> str:
    """What the key means; nothing for one that is gone."""
    metas = getattr(FIELDS[key].type, "__metadata__", ()) if key in FIELDS else ()
    return next((meta.description for meta in reversed(metas) if meta.description), "")


def _source(origins: Mapping[str, str], limits: Limits, key: str, scope: Scope) -> Row:
    change = limits.changes.get((key, scope))
    configured = limits.configured.get((key, scope))
    name = f"risk.{key}" if scope == Scope() else "risk.overrides"
    return {
        "from": RUN_TIME if change else origins[name],
        "configured": None if configured is None else said(configured),
        "by": change.by if change else None,
        "at": to_ist(change.time_ns).isoformat() if change else None,
        "reason": change.reason if change else None,
    }


def sorted_out(
    settings: Settings, changes: Iterable[LimitChanged]
) -> tuple[tuple[LimitChanged, ...], tuple[LimitChanged, ...]]:
    """Those that hold, and those that this program takes no more."""
    limits, kept, stale = limits_of(settings), [], []
    for change in changes:
        try:
            limits.changed(change)
        except ValueError:
            stale.append(change)
        else:
            kept.append(change)
    return tuple(kept), tuple(stale)

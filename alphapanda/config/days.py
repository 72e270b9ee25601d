"""[calendar]: what the operator knows of days and hours that the table of the program does not."""

import re
from collections.abc import Iterator
from datetime import date
from itertools import combinations
from typing import Annotated

from msgspec import Meta, field

from alphapanda.config.masking import Section

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO")
OTHER_PHASES = ("pre_open", "closing_auction", "post_close")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


class SessionSettings(Section, frozen=True):
    """One continuous session: all that its exchanges trade in on that day, with the others given for it."""

    day: date = field(name="date")
    open: str
    close: str
    exchanges: tuple[str, ...] = ("NSE", "BSE", "NFO", "BFO")


class CalendarSettings(Section, frozen=True):
    holidays: Annotated[
        tuple[date, ...], Meta(description="closed days that the table has not, such as 2026-12-24")
    ] = ()
    sessions: Annotated[
        tuple[SessionSettings, ...],
        Meta(
            description='hours in place of the table\'s: {date = 2026-11-08, open = "18:00", close = "19:00"}'
        ),
    ] = ()
    valid_until: Annotated[
        str, Meta(description="the last day to trade; after the table's you vouch for holidays and sessions")
    ] = ""
    no_derivatives: Annotated[
        tuple[str, ...],
        Meta(description="shares without derivatives, which trade longer than others, as EXCHANGE:SYMBOL"),
    ] = ()
    also_trade_in: Annotated[
        tuple[str, ...],
        Meta(description="phases beside the continuous session: pre_open, closing_auction, post_close"),
    ] = ()


def calendar_mistakes(settings: CalendarSettings) -> Iterator[tuple[str, str]]:
    for index, session in enumerate(settings.sessions):
        yield from _session(f"calendar.sessions[{index}]", session)
    for (_, one), (index, other) in combinations(enumerate(settings.sessions), 2):
        shared = sorted({*one.exchanges} & {*other.exchanges})
        if one.day == other.day and shared and one.open < other.close and other.open < one.close:
            problem = f"overlaps another session of {shared[0]} on {one.day}; correct one of the two"
            yield f"calendar.sessions[{index}]", problem
    if settings.valid_until and _date_of(settings.valid_until) is None:
        problem = f"{settings.valid_until!r} is not a date such as 2027-03-31; correct it there"
        yield "calendar.valid_until", problem
    for phase in settings.also_trade_in:
        if phase not in OTHER_PHASES:
            yield "calendar.also_trade_in", f"{phase!r} is not one of {', '.join(OTHER_PHASES)}; correct it"


def vouched_until(settings: CalendarSettings) -> date | None:
    return _date_of(settings.valid_until) if settings.valid_until else None


def _session(key: str, session: SessionSettings) -> Iterator[tuple[str, str]]:
    for name in ("open", "close"):
        if not _CLOCK.fullmatch(clock := getattr(session, name)):
            yield f"{key}.{name}", f'{clock!r} is not a time such as "18:00"; correct it there'
    if session.open >= session.close:
        yield key, f"opens at {session.open} and closes at {session.close}; set the close after the open"
    if not session.exchanges:
        yield f"{key}.exchanges", f"is empty; name some of {', '.join(EXCHANGES)}"
    for name in session.exchanges:
        if name not in EXCHANGES:
            yield f"{key}.exchanges", f"{name!r} is not one of {', '.join(EXCHANGES)}; correct it there"


def _date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

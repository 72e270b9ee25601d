"""calendar: the sessions of a day, and whether an instrument may be traded at a moment."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.options import DAY, Json
from alphapanda.cli.output import clock, print_json, print_table, put_folded

if TYPE_CHECKING:
    from alphapanda.core.calendar import Calendar, Day
    from alphapanda.events import Instrument

app = typer.Typer(
    help="When the markets trade: sessions, holidays, special days.",
    epilog="Example: alphapanda calendar show 2026-11-24",
    no_args_is_help=True,
    rich_markup_mode=None,
)

MARKETS = {
    "shares": "shares, funds",
    "derivative_shares": "F&O shares",
    "futures": "futures",
    "options": "options",
    "currency": "currencies",
    "commodity": "commodities",
    "farm_commodity": "farm products",
}


@app.command("show")
def show(
    ctx: typer.Context,
    day: Annotated[datetime, typer.Argument(help="The day (IST).", **DAY)],
    json: Json = False,
) -> None:
    """The sessions of every market on a day.

    On a closed day: which holiday it is. With the sources.

    Example: alphapanda calendar show 2026-11-24
    """
    calendar = _calendar(ctx)
    document = _document(calendar, day)
    if json:
        print_json(document)
        return
    rows = [line for market in document["markets"] for line in _lines(market)]
    columns = ["market", "exchanges", "phase", "from", "to", "about"]
    print_table(f"{day:%A} {document['date']}", columns, rows, whole=("phase", "from", "to"), below="about")
    if stops := document["index_expiry_closes"]:
        put_folded(f"Contracts on an index stop at {stops} on the day they expire.")
    for source in sorted({market["source"] for market in document["markets"] if market["source"]}):
        put_folded(f"Source: {source}")
    for advice in sorted({market["advice"] for market in document["markets"] if market["advice"]}):
        put_folded(f"Unknown hours: {advice}.")
    put_folded(f"The calendar knows {document['valid_from']} to {document['valid_until']}.")


@app.command("check")
def check(
    ctx: typer.Context,
    time: Annotated[
        str,
        typer.Argument(metavar="TIME", help="ISO 8601, such as 2026-12-07T15:20; IST unless it has a zone."),
    ],
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="EXCHANGE:SYMBOL; without an exchange: NSE.")
    ],
    json: Json = False,
) -> None:
    """Whether an instrument may be traded at a moment.

    With the phase of its day, and the start of its next session.

    Example: alphapanda calendar check 2026-12-07T15:20 NSE:INFY
    """
    from alphapanda.times import to_ist

    calendar = _calendar(ctx)
    time_ns, instrument = _moment(time), _instrument(symbol)
    moment = calendar.at(time_ns, instrument)
    if json:
        print_json(
            {
                "phase": moment.phase,
                "may_enter": moment.may_enter,
                "may_exit": moment.may_exit,
                "next_session": moment.next_session,
            }
        )
        return
    put_folded(
        f"{instrument.key} at {clock(to_ist(time_ns).isoformat())} IST: {moment.phase.replace('_', ' ')}"
    )
    if calendar.before_table(time_ns):
        put_folded(calendar.assumed)
    put_folded(f"may enter: {_yes(moment.may_enter)}, may exit: {_yes(moment.may_exit)}")
    if moment.why:
        put_folded(moment.why)
    else:
        put_folded(f"next session: {clock(moment.next_session)}")


def _calendar(ctx: typer.Context) -> "Calendar":
    from alphapanda.plan import calendar_of

    return calendar_of(context_of(ctx).load().settings)


def _moment(text: str) -> int:
    """In nanoseconds."""
    from alphapanda.times import to_ist, to_ns

    try:
        time_ns = to_ns(datetime.fromisoformat(text))
        to_ist(time_ns)  # a zone may push the first or the last day of all out of the calendar
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is not a time such as 2026-12-07T15:20", param_hint="TIME"
        ) from None
    return time_ns


def _instrument(text: str) -> "Instrument":
    from alphapanda.events import Instrument

    exchange, colon, name = text.upper().partition(":")
    if not colon:
        exchange, name = "NSE", exchange
    if not exchange or not name.strip():
        raise typer.BadParameter(f"{text!r} is not EXCHANGE:SYMBOL, such as NSE:INFY", param_hint="SYMBOL")
    return Instrument(0, exchange, name.strip())


def _document(calendar: "Calendar", day: datetime) -> dict[str, Any]:
    """Exchanges whose day of a market is the same share one entry."""
    markets: list[dict[str, Any]] = []
    for shown in calendar.shown(day.date()):
        entry = {"market": shown.market.value, "exchanges": [shown.exchange], **_entry(shown.day)}
        if markets and {**markets[-1], "exchanges": 0} == {**entry, "exchanges": 0}:
            markets[-1]["exchanges"] += entry["exchanges"]
        else:
            markets.append(entry)
    stops = calendar.index_expiry(day.date())
    return {
        "date": day.date().isoformat(),
        "weekday": f"{day:%A}",
        "valid_from": calendar.valid_from.isoformat(),
        "valid_until": calendar.valid_until.isoformat(),
        "index_expiry_closes": f"{stops:%H:%M}" if stops is not None else None,
        "markets": markets,
    }


def _entry(day: "Day") -> dict[str, Any]:
    return {
        "state": "unknown" if not day.known else "open" if day.steps else "closed",
        "name": day.name or None,
        "source": day.source or None,
        "advice": day.advice or None,
        "sessions": [
            {
                "phase": step.phase.value,
                "from": f"{step.opens:%H:%M}",
                "to": f"{step.closes:%H:%M}",
                "orders": step.orders,
                "about": step.what or None,
            }
            for step in day.steps
        ],
    }


def _lines(market: dict[str, Any]) -> list[list[str]]:
    """A line a session, with what there is to say of it; one for a day without sessions."""
    whose = [MARKETS[market["market"]], ", ".join(market["exchanges"])]
    if not market["sessions"]:
        return [[*whose, market["state"], "-", "-", market["name"] or ""]]
    lines = []
    for step in market["sessions"]:
        about = [step["about"] or market["name"] or "", *([] if step["orders"] else ["no orders"])]
        phase = step["phase"].replace("_", " ")
        lines.append([*whose, phase, step["from"], step["to"], ", ".join(filter(None, about))])
    return lines


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"

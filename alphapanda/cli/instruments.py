"""`alphapanda instruments`: the broker's list of the day, synced and searched."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import context_of, store_of
from alphapanda.cli.daemon import ask_daemon
from alphapanda.cli.options import DAY, Json
from alphapanda.cli.output import cleaned, counted, print_json, print_table, say, warn
from alphapanda.cli.rehearsal import RehearsalUrl, checked, overrides
from alphapanda.errors import Fatal, NotRunning

if TYPE_CHECKING:
    from alphapanda.config import Loaded

Row = dict[str, Any]


class Kind(StrEnum):
    EQ = "EQ"
    FUT = "FUT"
    CE = "CE"
    PE = "PE"


app = typer.Typer(
    help="The broker's instruments: sync the day's list, search it.",
    epilog="Example: alphapanda instruments search nifty --type FUT",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def sync(ctx: typer.Context, rehearsal_url: RehearsalUrl = None, json: Json = False) -> None:
    """Read the day's list from Zerodha, check it, and keep it.

    The daemon does so by itself at its start and on a new day. A list that is not whole or not of the day is
    refused, and the one before stays: entries wait for a good one. Needs a login. Works with the daemon
    stopped.

    Example: alphapanda instruments sync
    """
    loaded = context_of(ctx).load(None if rehearsal_url is None else overrides(checked(rehearsal_url)))
    try:
        found = ask_daemon(loaded, "instruments_sync")
    except NotRunning:
        found = _at_rest(loaded)
    if json:
        print_json(found)
        return
    where = " of the rehearsal" if found["rehearsal"] else ""
    say(f"Instrument list of {found['day']}{where}: {counted(found['instruments'], 'instrument')}.")
    for remark in found["remarks"]:
        warn(cleaned(f"alphapanda: {remark}"))


@app.command()
def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words of its symbol or name: nifty 24500.")],
    exchange: Annotated[
        str | None, typer.Option("--exchange", metavar="E", help="Only on this exchange: NSE, NFO.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--type", help="Only of this type.")] = None,
    expiry: Annotated[
        datetime | None, typer.Option("--expiry", help="Only what expires then.", **DAY)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most N.", metavar="N")] = 20,
    json: Json = False,
) -> None:
    """Find instruments in the list that was synced last.

    Every word must be in the exchange, symbol or name. The likeliest first. Works with the daemon stopped.

    Example: alphapanda instruments search "nifty 24500" --type CE
    """
    from alphapanda.store import instruments

    store = store_of(ctx)
    day = expiry.date() if expiry is not None else None
    found = instruments.search(
        store, text, exchange=exchange, kind=kind.value if kind else None, expiry=day, limit=limit
    )
    if found.dump is None:
        raise Fatal(f"no instrument list in {store}; `alphapanda instruments sync` reads it")
    rows = [_numbers(row) for row in found.rows]
    if json:
        print_json({"day": found.dump.day.isoformat(), "total": found.total, "instruments": rows})
        return
    shown = counted(found.total, "instrument")
    if found.total > len(rows):
        shown = f"the first {len(rows)} of {shown}"
    print_table(
        f"Listed on {found.dump.day}{' (rehearsal)' if found.dump.rehearsal else ''}: {shown}",
        ["instrument", "name", "type", "expiry", "strike", "lot", "tick", "token"],
        [
            (
                f"{row['exchange']}:{row['tradingsymbol']}",
                row["name"] or "-",
                _kind(row),
                row["expiry"] or "-",
                f"{row['strike']:g}" if row["expiry"] and row["strike"] else "-",
                row["lot_size"] or "-",
                f"{row['tick_size']:g}" if row["tick_size"] else "-",
                row["instrument_token"],
            )
            for row in rows
        ],
        numbers=("strike", "lot", "tick", "token"),
        whole=("instrument", "expiry"),
    )


def _kind(row: Row) -> str:
    return "index" if row["segment"] == "INDICES" else str(row["instrument_type"])


def _numbers(row: Row) -> Row:
    """Exact texts of the store as a program reads them."""
    share = row["derivatives"]
    return row | {
        "strike": float(row["strike"]),
        "tick_size": float(row["tick_size"]),
        "derivatives": None if share is None else bool(share),
    }


def _at_rest(loaded: "Loaded") -> Row:
    from loguru import logger

    from alphapanda.live.instruments import sync_at_rest

    logger.disable("alphapanda")  # what it would say to the daemon's log, the command says itself
    return sync_at_rest(loaded).told()

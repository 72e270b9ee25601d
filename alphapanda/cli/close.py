"""cancel-all, close, close-all: resting orders go, positions are closed by reduce-only orders."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.asking import ask
from alphapanda.cli.completion import brokers, strategies
from alphapanda.cli.context import context_of, say_mode
from alphapanda.cli.daemon import ask_daemon
from alphapanda.cli.options import Json
from alphapanda.cli.output import counted, print_json, print_table, say, warn
from alphapanda.errors import Fatal

if TYPE_CHECKING:
    from alphapanda.config import Settings

NOT_DONE = 1

Row = dict[str, Any]
Broker = Annotated[str | None, typer.Option("--broker", help="Only at this broker.", autocompletion=brokers)]
Strategy = Annotated[
    str | None, typer.Option("--strategy", help="Only of this strategy id.", autocompletion=strategies)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]


def cancel_all(ctx: typer.Context, broker: Broker = None, json: Json = False) -> None:
    """Cancel all resting orders. Positions stay.

    A strategy may order again: pause it (`alphapanda strategies pause ID`) or use the kill switch first.
    Exit code 1 when an order could not be cancelled.

    Example: alphapanda cancel-all --broker paper
    """
    loaded = context_of(ctx).load()
    found = ask_daemon(loaded, "cancel_all", broker=broker)
    if json:
        print_json(found)
    else:
        say_mode(Path(loaded.settings.storage.path))
        _print_cancelled(found["cancelled"])
    _leave(found)


def close(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="INFY, or NSE:INFY.")],
    broker: Broker = None,
    strategy: Strategy = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Close the positions in one symbol.

    Resting orders in it are cancelled, then each position gets a market order that can only reduce it. Works
    while the kill switch is on. It fills at the next price; with the market closed it is refused. A strategy
    may open again: pause it (`alphapanda strategies pause ID`) or use the kill switch first. Exit code 1 when
    a closing order was refused.

    Example: alphapanda close INFY --strategy momentum_1 --yes
    """
    _close(ctx, symbol, broker, strategy, yes=yes, json=json)


def close_all(
    ctx: typer.Context,
    broker: Broker = None,
    strategy: Strategy = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Close every position, after cancelling resting orders.

    Each position gets a market order that can only reduce it. Works while the kill switch is on. They fill at
    the next price; with the market closed they are refused. A strategy may open again: use the kill switch
    first, or pause it. Exit code 1 when a closing order was refused.

    Example: alphapanda close-all --yes
    """
    _close(ctx, None, broker, strategy, yes=yes, json=json)


def _close(
    ctx: typer.Context, symbol: str | None, broker: str | None, strategy: str | None, *, yes: bool, json: bool
) -> None:
    if symbol is not None and not symbol.strip():
        raise typer.BadParameter("is empty; `alphapanda close-all` closes everything", param_hint="SYMBOL")
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask on; say --yes", param_hint="--yes")
    loaded = context_of(ctx).load()
    if not yes:
        ask_daemon(loaded, "status")  # no question where there is nobody to close anything
        ask(_question(loaded.settings, symbol, broker, strategy))
    found = ask_daemon(loaded, "close", symbol=symbol, broker=broker, strategy_id=strategy)
    if json:
        print_json(found)
    else:
        say_mode(Path(loaded.settings.storage.path))
        _print_cancelled(found["cancelled"])
        _print_closing(found["closing"])
    _leave(found)


def _question(settings: "Settings", symbol: str | None, broker: str | None, strategy: str | None) -> str:
    """What is about to be closed, and what that is at this moment, as the store has it."""
    from alphapanda.store import offline

    try:
        rows = offline.rows(Path(settings.storage.path), "positions", broker=broker, strategy=strategy)
    except (OSError, Fatal):  # a member of the control group need not be able to read the store
        return f"Close every open position{_only(symbol, broker, strategy)} at the market?"
    held = [row for row in rows if row["quantity"] and (symbol is None or _is(symbol, row))]
    named = ", ".join(f"{row['quantity']} {row['tradingsymbol']} of {row['strategy_id']}" for row in held)
    now = f"now {len(held)}: {named}" if held else "now none"
    return f"Close every open position{_only(symbol, broker, strategy)} at the market ({now})?"


def _only(symbol: str | None, broker: str | None, strategy: str | None) -> str:
    parts = (("in", symbol), ("of", strategy), ("at", broker))
    return "".join(f" {word} {name}" for word, name in parts if name is not None)


def _is(symbol: str, row: Row) -> bool:
    names = (row["tradingsymbol"], f"{row['exchange']}:{row['tradingsymbol']}")
    return symbol.casefold() in [name.casefold() for name in names]


def _print_cancelled(orders: list[Row]) -> None:
    columns = ["order", "broker", "strategy", "symbol", "side", "qty", "filled", "status"]
    ended, all_of_them = sum(map(_ended, orders)), counted(len(orders), "resting order")
    print_table(
        f"{all_of_them} cancelled" if ended == len(orders) else f"{ended} of {all_of_them} cancelled",
        columns,
        [_cells(order) for order in orders],
        numbers=("qty", "filled"),
        whole=("order", "symbol", "side", "status"),
        spare=("broker", "strategy"),
    )


def _cells(order: Row) -> list[Any]:
    keys = ("order_id", "broker", "strategy_id", "tradingsymbol", "transaction_type", "quantity")
    return [*(order[key] for key in keys), order["filled_quantity"], order["status"]]


def _print_closing(closing: list[Row]) -> None:
    columns = ["order", "broker", "strategy", "symbol", "side", "qty", "filled", "status", "verdict", "why"]
    print_table(
        counted(len(closing), "closing order"),
        columns,
        [[*_cells(row), row["verdict"], _why(row)] for row in closing],
        numbers=("qty", "filled"),
        whole=("order", "symbol", "side", "status", "verdict"),
        spare=("filled", "broker", "strategy"),
        below="why",
    )
    if any(_may_fill(row) for row in closing):
        say("They fill at the next price of their instrument; see `alphapanda orders` and `positions`.")
        say("A strategy may open again: `alphapanda strategies pause ID`, or `alphapanda kill-switch on`.")


def _may_fill(row: Row) -> bool:
    """Approved, and neither rejected by its broker nor cancelled since."""
    return row["verdict"] == "approved" and (row["status"] == "FILLED" or not _ended(row))


def _ended(row: Row) -> bool:
    from alphapanda.events import OrderStatus

    return OrderStatus(row["status"]).ended


def _why(row: Row) -> str:
    return f"{row['rule']}: {row['reason']}" if row["rule"] else row["reason"]


def _leave(found: Row) -> None:
    """Scripts must see it when something is still open."""
    refused = [row for row in found.get("closing", ()) if not _may_fill(row)]
    resting = [row for row in found["cancelled"] if not _ended(row)]
    if refused:
        warn(f"{counted(len(refused), 'closing order')} refused: that position stays open")
    if resting:
        warn(f"{counted(len(resting), 'order')} may still trade: its broker has not answered")
    if refused or resting:
        raise typer.Exit(NOT_DONE)

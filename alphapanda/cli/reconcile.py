"""reconcile: how our book stands beside the broker's."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alphapanda.cli.completion import strategies
from alphapanda.cli.context import context_of, say_mode, store_of
from alphapanda.cli.daemon import ask_daemon
from alphapanda.cli.options import Json, needed_reason
from alphapanda.cli.output import clock, counted, print_json, print_table, say

Row = dict[str, Any]
Product = Annotated[
    str | None, typer.Option("--product", help="MIS, CNC or NRML, where the symbol is held as several.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal with your name.")]

app = typer.Typer(
    help="Our book beside the broker's, and what is not ours.",
    epilog="Example: alphapanda reconcile show",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("show")
def show(ctx: typer.Context, json: Json = False) -> None:
    """The newest comparison of positions and charges.

    With what the account holds beside ours. It is made at start, every half minute, and at the end of day.

    Example: alphapanda reconcile show
    """
    from alphapanda.store import comparisons

    found = {broker: _for_people(row) for broker, row in comparisons.newest(store_of(ctx)).items()}
    if json:
        print_json(found)
        return
    if not found:
        say("nothing was compared yet: only a live broker has a book of its own")
    for broker, row in found.items():
        _show(broker, row)


@app.command("ignore")
def ignore(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="EXCHANGE:SYMBOL", help="What differs.")],
    reason: Reason,
    product: Product = None,
    json: Json = False,
) -> None:
    """Take what differs for external.

    It is not ours then, counts in the limits of the account, and is left alone. Our book stays as it is. A
    frozen symbol trades again once it has agreed twice, which is looked at before this returns. Exit code 4
    when no daemon runs.

    Example: alphapanda reconcile ignore NSE:INFY --reason "bought by hand"
    """
    _settle(ctx, "reconcile_ignore", json=json, subject=symbol, product=product, reason=reason)


@app.command("adopt")
def adopt(
    ctx: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(metavar="EXCHANGE:SYMBOL|ORDER_ID", help="A position, or an order that was found."),
    ],
    reason: Reason,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="Whose the position is from now on.", autocompletion=strategies),
    ] = None,
    product: Product = None,
    price: Annotated[
        float | None, typer.Option("--price", help="What a unit cost; else the broker's average price.")
    ] = None,
    json: Json = False,
) -> None:
    """Give what is external or differs to a strategy.

    Or accept an order that was found after its end. The position is booked as it stands at the broker: no
    order is sent. An order of ours that had ended and is there after all is followed anyway; to accept it
    lets its symbol trade again. Exit code 4 when no daemon runs.

    Example: alphapanda reconcile adopt NSE:INFY --strategy momentum_1 --reason "its fill was lost"
    """
    words = {"subject": subject, "strategy_id": strategy, "product": product, "price": price}
    _settle(ctx, "reconcile_adopt", json=json, reason=reason, **words)


def _settle(ctx: typer.Context, command: str, *, json: bool, reason: str, **words: Any) -> None:
    reason = needed_reason(reason)
    loaded = context_of(ctx).load()
    found = ask_daemon(loaded, command, reason=reason, **words)
    if json:
        print_json(found)
        return
    say_mode(Path(loaded.settings.storage.path))
    say(_done(found))
    for each in found["differences"]:
        figures = f"the broker has {each['theirs']}, our book {each['ours']}, not ours are {each['external']}"
        say(f"still differs: {_name(each)} {each['product']}: {figures}")


def _done(found: Row) -> str:
    if found["action"] == "ignore":
        what = f"{found['change']} of {found['symbol']} {found['product']}"
        return f"{what} are external now, {found['external']} in all"
    if "strategy_id" not in found:
        return f"order {found['order_id']} is accepted: {found['symbol']} may trade again"
    what = f"{found['change']} of {found['symbol']} {found['product']} at {found['price']}"
    return f"{what} belong to {found['strategy_id']} now, as order {found['order_id']}"


def _for_people(row: Row) -> Row:
    """Times as people read them, and amounts as numbers: exact ones, for differences are small."""
    from alphapanda.rows import for_people

    compared, charges = row["comparison"], row["charges"]
    if charges is not None:
        charges = charges | {
            "difference": float(charges["difference"]),
            "notable": [_amounts(for_people(each)) for each in charges["notable"]],
        }
    return row | {
        "comparison": None if compared is None else for_people(compared),
        "external": [for_people(each) for each in row["external"]],
        "external_orders": [for_people(each) for each in row["external_orders"]],
        "found": [for_people(each) for each in row["found"]],
        "charges": charges,
    }


def _amounts(row: Row) -> Row:
    return row | {name: float(row[name]) for name in ("ours", "beside", "theirs", "difference")}


def _show(broker: str, row: Row) -> None:
    compared, differences = row["comparison"], row["differences"]
    if compared is None:
        say(f"{broker}: positions were not compared yet")
    else:
        count = counted(compared["compared"], "position")
        moving = f", {compared['left_out']} left out because they moved" if compared["left_out"] else ""
        outcome = counted(len(differences), "difference") if differences else "nothing differs"
        when = f"{clock(compared['at'])} +05:30 ({compared['occasion'].replace('_', ' ')})"
        say(f"{broker}: {outcome} in {count}{moving}, {when}")
    if differences:
        print_table(
            "Differences",
            ["symbol", "product", "ours", "external", "broker", "missing"],
            [
                (_name(each), *(each[key] for key in ("product", "ours", "external", "theirs", "missing")))
                for each in differences
            ],
            numbers=["ours", "external", "broker", "missing"],
            whole=["symbol"],
        )
    if row["frozen"]:
        say(f"frozen, no entries: {', '.join(row['frozen'])}")
    if row["external"]:
        print_table(
            "Not ours",
            ["symbol", "product", "qty", "since"],
            [
                (_name(each), each["product"], each["quantity"], clock(each["changed_at"]))
                for each in row["external"]
            ],
            numbers=["qty"],
            whole=["symbol", "since"],
        )
    _show_orders(row["external_orders"])
    for each in row["found"]:
        order_id, symbol, was = each["order_id"], _name(each), each["was"]
        say(f"order {order_id} ({symbol}) was {was}, and the broker has it as {each['broker_order_id']}:")
        say(f"{symbol} is held until `alphapanda reconcile adopt {order_id} --reason …`")
    _show_charges(row["charges"])


def _show_orders(orders: list[Row]) -> None:
    if orders:
        print_table(
            "Orders that are not ours",
            ["order", "symbol", "side", "filled", "price", "status", "by", "at"],
            [
                (
                    *(each["broker_order_id"], _name(each), each["transaction_type"]),
                    f"{each['filled_quantity']}/{each['quantity']}",
                    *(each["average_price"] or each["price"] or "-", each["status"], each["placed_by"]),
                    clock(each["changed_at"]),
                )
                for each in orders
            ],
            numbers=["filled", "price"],
            whole=["order"],
        )


def _show_charges(charges: Row | None) -> None:
    if charges is None:
        return
    orders = counted(charges["orders"], "order")
    sign, size = "-" if charges["difference"] < 0 else "", abs(charges["difference"])
    say(f"charges of {orders} on {charges['date']}: ours less the broker's is {sign}₹{size:.4f}")
    if charges["notable"]:
        print_table(
            "More than a rupee apart",
            ["order", "symbol", "ours", "beside", "broker", "difference"],
            [
                (
                    *(each["broker_order_id"], _name(each)),
                    *(f"{each[key]:.4f}" for key in ("ours", "beside", "theirs", "difference")),
                )
                for each in charges["notable"]
            ],
            numbers=["ours", "beside", "broker", "difference"],
            whole=["order", "symbol"],
        )


def _name(row: Row) -> str:
    return f"{row['exchange']}:{row['tradingsymbol']}" if row["exchange"] else str(row["tradingsymbol"])

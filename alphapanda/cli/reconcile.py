"""reconcile: how our book stands beside the broker's."""

from typing import Any

import typer

from alphapanda.cli.context import store_of
from alphapanda.cli.options import Json
from alphapanda.cli.output import clock, counted, print_json, print_table, say

Row = dict[str, Any]

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
    _show_charges(row["charges"])


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

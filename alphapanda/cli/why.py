"""why: what became of one signal, at each of its brokers, from the journal."""

import re
from typing import Annotated, Any

import typer

from alphapanda.cli.context import store_of
from alphapanda.cli.options import Json
from alphapanda.cli.output import cleaned, clock, print_json, print_table, rupees, say, width, wrapped
from alphapanda.errors import Fatal

ID = re.compile(r"[Ss]?0*([0-9]{1,12})")
INDENT = "  "

Row = dict[str, Any]


def why(
    ctx: typer.Context,
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL_ID", help="S000012, S12 or 12.")],
    json: Json = False,
) -> None:
    """The verdict on a signal, its order and its trades.

    At each broker: the rule with its figures, and what became of the order. Works with the daemon stopped.

    Example: alphapanda why S000012
    """
    from alphapanda.rows import for_people
    from alphapanda.store import offline

    match = ID.fullmatch(signal_id.strip())
    if match is None:
        raise typer.BadParameter(
            f"{signal_id!r} is no signal id; one is like S000012", param_hint="SIGNAL_ID"
        )
    wanted, store = f"S{int(match[1]):06d}", store_of(ctx)
    told = offline.told_of(store, wanted)
    if told is None:
        raise Fatal(f"no signal {wanted} in {store}; `alphapanda signals --limit 20` lists the newest")
    found = for_people(told.signal)
    found["verdicts"] = [
        {
            **for_people(verdict),
            "order": for_people(orders[0]) if orders else None,
            "orders": [for_people(order) for order in orders],
            "trades": [for_people(trade) for trade in trades],
        }
        for verdict, orders, trades in told.verdicts
    ]
    if json:
        print_json(found)
    else:
        _print(found)


def _print(found: Row) -> None:
    asked = f"{found['transaction_type']} {found['quantity']} {found['tradingsymbol']}"
    limit = f" at {rupees(found['price'])}" if found["price"] is not None else ""
    kind = f"{found['position_effect']}, {found['order_type']}{limit}"
    _say(f"{found['signal_id']} · {clock(found['at'])} · {found['strategy_id']} · {asked} ({kind})")
    if found["last_price"] is not None:
        _say(f"Decided upon a price of {rupees(found['last_price'])}.")
    if found["reason"]:
        _say(f"Reason: {found['reason']}")
    for verdict in found["verdicts"]:
        say("")
        _print_verdict(verdict)


def _print_verdict(verdict: Row) -> None:
    word = verdict["verdict"].replace("_", " ")
    if verdict["rule"] is not None:
        _say(f"{verdict['broker']}: {word} by {verdict['rule']}: {verdict['reason']}")
    else:
        parts = f" in {len(verdict['orders'])} orders" if len(verdict["orders"]) > 1 else ""
        _say(f"{verdict['broker']}: {word} for {verdict['quantity']}{parts}")
    for order in verdict["orders"]:
        average = f" at {rupees(order['average_price'])}" if order["average_price"] is not None else ""
        filled = f"{order['filled_quantity']} of {order['quantity']} filled{average}"
        reason = f" ({order['reason']})" if order["reason"] else ""
        _say(f"Order {order['order_id']}: {order['status']}{reason}, {filled}", INDENT)
    if verdict["trades"]:
        print_table(
            "Trades",
            ["trade", "time", "qty", "price", "charges"],
            [
                (
                    trade["trade_id"],
                    clock(trade["traded_at"]),
                    trade["quantity"],
                    rupees(trade["price"]),
                    rupees(trade["charges"]),
                )
                for trade in verdict["trades"]
            ],
            numbers=("qty", "price", "charges"),
            whole=("trade", "time"),
        )


def _say(text: str, indent: str = "") -> None:
    """A sentence that keeps to the terminal's width; no name or reason is an instruction to it."""
    for line in wrapped(cleaned(text), width() - len(indent)):
        say(indent + line)

"""What came of a demo: one document, and the same as tables for people."""

from collections import Counter
from pathlib import Path
from shlex import quote
from shutil import which
from typing import TYPE_CHECKING, Any

from alphapanda.cli.output import counted, print_table, profit, put, rupees, say

if TYPE_CHECKING:
    from alphapanda.config import Loaded

LAST_ORDERS = 8


def document(loaded: "Loaded", status: dict[str, Any], elapsed_s: float) -> dict[str, Any]:
    """{summary, portfolio, trades, orders}, read from the store as the daemon left it."""
    from alphapanda.rows import for_people, standing_row
    from alphapanda.store import offline
    from alphapanda.venues.simulated import OPENS

    store = Path(loaded.settings.storage.path)
    tables = {
        name: [for_people(row) for row in offline.rows(store, name)]
        for name in ("orders", "trades", "positions", "signals")
    }
    standings = {each.broker: for_people(standing_row(each)) for each in offline.standings(store)}
    orders, trades, signals = tables["orders"], tables["trades"], tables["signals"]
    summary = {
        "seed": loaded.settings.feed.simulated.seed,
        "session": OPENS.date().isoformat(),
        "ticks": status["ticks"]["received"],
        "instruments": status["ticks"]["instruments"],
        "signals": len(signals),
        "refused": sum(1 for signal in signals if signal["verdict"] != "approved"),
        "orders": len(orders),
        "fills": len(trades),
        "traded_instruments": len({trade["tradingsymbol"] for trade in trades}),
        "kill_switch": status["kill_switch"],
        "elapsed_s": round(elapsed_s, 3),
        "ticks_per_second": round(status["ticks"]["received"] / elapsed_s) if elapsed_s else 0,
        "latency_us": status["latency_us"],
        "strategies": _strategies(status, tables),
        "positions": tables["positions"],
    }
    return {"summary": summary, "portfolio": standings, "trades": trades, "orders": orders}


def _strategies(status: dict[str, Any], tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What each strategy did; its profit is after charges."""
    found = []
    for strategy_id, strategy in status["strategies"].items():
        mine = {
            name: [row for row in rows if row["strategy_id"] == strategy_id] for name, rows in tables.items()
        }
        gross = sum(row["realized_pnl"] + row["unrealized_pnl"] for row in mine["positions"])
        charges = sum(row["charges"] for row in mine["trades"])
        found.append(
            {
                "strategy_id": strategy_id,
                "state": strategy["state"],
                "signals": strategy["signals"],
                "orders": len(mine["orders"]),
                "fills": len(mine["trades"]),
                "charges": round(charges, 2),
                "profit": round(gross - charges, 2),
            }
        )
    return found


def print_results(found: dict[str, Any], kept: Path | None, command: str | None) -> None:
    """`command` is `alphapanda` as its caller says it; None when there is no configuration yet."""
    summary = found["summary"]
    say(
        f"Session of {summary['session']} · seed {summary['seed']} · "
        f"{summary['ticks']:,} ticks of {counted(summary['instruments'], 'instrument')} "
        f"in {summary['elapsed_s']:.1f} s"
    )
    switch = summary["kill_switch"]
    if switch["on"]:
        say(f"The kill switch is on: {switch['reason']} (by {switch['by']}); nothing was traded since.")
    say("")
    _print_strategies(summary)
    _print_orders(found["orders"])
    _print_positions(summary["positions"])
    _print_portfolio(found["portfolio"])
    _print_latency(summary["latency_us"])
    _print_next_steps(kept, command)


def _print_strategies(summary: dict[str, Any]) -> None:
    print_table(
        "Strategies",
        ["strategy", "signals", "orders", "fills", "charges", "profit"],
        [
            (
                each["strategy_id"],
                f"{each['signals']:,}",
                f"{each['orders']:,}",
                f"{each['fills']:,}",
                rupees(each["charges"]),
                profit(each["profit"]),
            )
            for each in summary["strategies"]
        ],
        numbers=("signals", "orders", "fills", "charges"),
        profits=("profit",),
    )
    for each in summary["strategies"]:
        if each["state"] != "running":
            say(f"{each['strategy_id']} is {each['state']}: its log line above says why\n")
    if not summary["strategies"]:
        say("No strategy is enabled in your configuration; `alphapanda strategies new dip` adds one.\n")


def _print_orders(orders: list[dict[str, Any]]) -> None:
    states = Counter(order["status"] for order in orders)
    said = ", ".join(f"{count:,} {state}" for state, count in states.most_common()) or "none"
    print_table(
        f"Orders: {said}" + (f"; the last {LAST_ORDERS}" if len(orders) > LAST_ORDERS else ""),
        ["order", "time", "strategy", "symbol", "side", "qty", "average", "status"],
        [
            (
                order["order_id"],
                order["created_at"][11:19],
                order["strategy_id"],
                order["tradingsymbol"],
                order["transaction_type"],
                order["quantity"],
                rupees(order["average_price"]),
                order["status"],
            )
            for order in orders[-LAST_ORDERS:]
        ],
        numbers=("qty", "average"),
        whole=("order", "time", "side"),
        spare=("time",),
    )


def _print_positions(positions: list[dict[str, Any]]) -> None:
    print_table(
        "Positions",
        ["strategy", "symbol", "qty", "average", "last", "realised", "unrealised"],
        [
            (
                row["strategy_id"],
                row["tradingsymbol"],
                row["quantity"],
                rupees(row["average_price"] or None),
                rupees(row["last_price"]),
                profit(row["realized_pnl"]),
                profit(row["unrealized_pnl"]),
            )
            for row in positions
        ],
        numbers=("qty", "average", "last"),
        profits=("realised", "unrealised"),
        spare=("last",),
    )


def _print_portfolio(portfolio: dict[str, dict[str, Any]]) -> None:
    print_table(
        "Profit and charges (starting cash + realised + unrealised - charges = equity)",
        ["broker", "starting cash", "realised", "unrealised", "charges", "equity"],
        [
            (
                broker,
                rupees(row["starting_cash"]),
                profit(row["realized_pnl"]),
                profit(row["unrealized_pnl"]),
                rupees(row["charges"]),
                rupees(row["equity"]),
            )
            for broker, row in portfolio.items()
        ],
        numbers=("starting cash", "charges", "equity"),
        profits=("realised", "unrealised"),
    )


def _print_latency(latency_us: dict[str, dict[str, float]]) -> None:
    print_table(
        "Latency in microseconds",
        ["from a tick", "p50", "p99", "max", "count"],
        [
            (what, *(f"{latency[name]:,.0f}" for name in ("p50", "p99", "max")), f"{latency['count']:,}")
            for what, latency in (
                ("to a signal", latency_us["tick_to_signal"]),
                ("to an order, committed", latency_us["tick_to_order"]),
            )
        ],
        numbers=("p50", "p99", "max", "count"),
    )


def _print_next_steps(kept: Path | None, command: str | None) -> None:
    """Where a reader goes from here."""
    first = [] if command else ["alphapanda config init"]
    command = command or "alphapanda"
    look = [f"{command} demo --keep look", "alphapanda --config look/config.toml trades"]
    if kept is not None:
        look = [f"alphapanda --config {quote(str(kept / 'config.toml'))} trades"]
    steps = (
        ("look at every trade", look),
        ("write a strategy", [*first, f"{command} strategies new dip"]),
        ("run it as a daemon", [f"{command} start", f"{command} status", f"{command} stop"]),
    )
    say("Next steps" if which("alphapanda") else "Next steps (first: . .venv/bin/activate)")
    for number, (what, commands) in enumerate(steps, 1):
        put(f"  {number}. {what:<20} {commands[0]}")
        for following in commands[1:]:
            put(f"     {'':<20} {following}")

"""status: how the daemon is, or that it is not running."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.output import counted, print_json, print_table, rupees, say
from alphapanda.errors import Fatal

ASK_S = 5.0
STOPPED = 4


def status(
    ctx: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")] = False,
) -> None:
    """The daemon's state, stages, queues, brokers and latency. Exit code 4 when it is not running.

    Example: alphapanda status --json
    """
    from alphapanda.live.control import Unreachable, ask

    settings = context_of(ctx).load().settings
    try:
        reply = ask(Path(settings.control.socket), {"command": "status"}, ASK_S)
    except Unreachable:
        found = stopped(Path(settings.storage.path), settings.environment)
    else:
        if not reply.get("ok"):
            raise Fatal(reply.get("error"))
        found = reply["result"]
    if json:
        print_json(found)
    else:
        _print(found)
    if found["state"] == "stopped":
        raise typer.Exit(STOPPED)


def stopped(store: Path, environment: str) -> dict[str, Any]:
    """What the store says while nobody runs; an unresponsive daemon is named."""
    import alphapanda
    from alphapanda.store import lock, offline
    from alphapanda.times import to_ist

    pid = lock.holder(store)
    if pid is not None:
        raise Fatal(f"the daemon with pid {pid} holds {store} but does not answer; see its log")
    switch = offline.kill_switch(store)
    return {
        "state": "stopped",
        "trading_enabled": not switch["is_on"],
        "kill_switch": {
            "on": bool(switch["is_on"]),
            "reason": switch["reason"],
            "by": switch["by_whom"],
            "since": to_ist(switch["since_ns"]).isoformat() if switch["since_ns"] else None,
        },
        "version": alphapanda.__version__,
        "environment": environment,
    }


def _print(found: dict[str, Any]) -> None:
    switch = found["kill_switch"]
    killed = f"on ({switch['reason']}, by {switch['by']})" if switch["on"] else "off"
    mode = "LIVE" if "zerodha" in found.get("brokers", {}) else "PAPER"
    age = found.get("ticks", {}).get("last_age_s")
    feed_age = "-" if age is None else f"{age:.1f} s"
    say(f"{mode} · {found['state']} · kill switch {killed} · feed age {feed_age} · token -")
    if found["state"] == "stopped":
        return
    print_table(
        "Stages",
        ["stage", "state", "restarts", "processed", "last progress s", "queue"],
        [
            (
                name,
                stage["state"],
                stage["restarts"],
                stage["processed"],
                stage["last_progress_s"],
                f"{stage['queue']['depth']}/{stage['queue']['capacity']}",
            )
            for name, stage in found["stages"].items()
        ],
        numbers=("restarts", "processed", "last progress s", "queue"),
    )
    _print_brokers(found)
    _print_strategies(found)


def _print_brokers(found: dict[str, Any]) -> None:
    print_table(
        "Brokers",
        ["broker", "orders", "open", "positions", "cash", "equity", "realised", "charges"],
        [
            (
                name,
                broker["orders_total"],
                broker["orders_open"],
                broker["positions_open"],
                rupees(broker["cash"]),
                rupees(broker["equity"]),
                rupees(broker["realized_pnl"]),
                rupees(broker["charges"]),
            )
            for name, broker in found["brokers"].items()
        ],
        numbers=("orders", "open", "positions", "cash", "equity", "realised", "charges"),
    )


def _print_strategies(found: dict[str, Any]) -> None:
    print_table(
        "Strategies",
        ["strategy", "state", "signals", "errors"],
        [(name, s["state"], s["signals"], s["errors"]) for name, s in found["strategies"].items()],
        numbers=("signals", "errors"),
    )
    ticks = found["ticks"]
    instruments = counted(ticks["instruments"], "instrument")
    say(f"{ticks['received']:,} ticks of {instruments}, {ticks['per_second']:,.0f}/s")
    for name, latency in found["latency_us"].items():
        if latency["count"]:
            say(f"{name}: p50 {latency['p50']:,.0f} µs, p99 {latency['p99']:,.0f} µs of {latency['count']:,}")

"""status: how the daemon is, or that it is not running."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from alphapanda.cli.context import context_of, store_mode
from alphapanda.cli.daemon import READ_S, SILENT, missed, reach
from alphapanda.cli.options import Json
from alphapanda.cli.output import (
    cleaned,
    coloured,
    counted,
    print_json,
    print_table,
    profit,
    put,
    rupees,
    say,
    width,
    wrapped,
)
from alphapanda.errors import Fatal

if TYPE_CHECKING:
    from alphapanda.config import Settings

STOPPED = 4
COLOURS = {"halted": "yellow", "starting": "yellow", "stopping": "yellow", "running": "green"}


def status(
    ctx: typer.Context,
    json: Json = False,
) -> None:
    """How the daemon is: state, queues, brokers, latency.

    Exit code 4 when it is not running.

    Example: alphapanda status --json
    """
    from alphapanda.live.control import Unreachable

    loaded = context_of(ctx).load()
    settings = loaded.settings
    try:
        reply = reach(settings, {"command": "status"}, READ_S)
    except Unreachable:
        found = stopped(Path(settings.storage.path), settings)
        missed(loaded)
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


def stopped(store: Path, settings: "Settings") -> dict[str, Any]:
    """What the store says while nobody runs; an unresponsive daemon is named."""
    import alphapanda
    from alphapanda.cli.kill_state import stored
    from alphapanda.config import Mode, mode_of
    from alphapanda.store import lock

    pid = lock.holder(store)
    if pid is not None:
        raise Fatal(f"the daemon with pid {pid} holds {store} but does not answer: it is {SILENT}")
    switch = stored(settings)
    # What was rehearsed goes on as a rehearsal or not at all, whatever the configuration says.
    try:
        mode = Mode.REHEARSAL if store_mode(store) is Mode.REHEARSAL else mode_of(settings)
    except Fatal:
        if not switch["on"]:
            raise
        mode = mode_of(settings)  # that it is on is said even where the store cannot be read
    return {
        "mode": mode.value,
        "state": "stopped",
        "trading_enabled": not switch["on"],
        "kill_switch": switch,
        "version": alphapanda.__version__,
        "environment": settings.environment,
    }


def _print(found: dict[str, Any]) -> None:
    for line in _first_lines(found):
        put(line)
    if found["state"] == "stopped":
        return
    print_table(
        "Stages",
        ["stage", "state", "restarts", "processed", "idle s", "queue"],
        [
            (
                name,
                stage["state"],
                stage["restarts"],
                f"{stage['processed']:,}",
                f"{stage['last_progress_s']:.1f}",
                f"{stage['queue']['depth']}/{stage['queue']['capacity']}",
            )
            for name, stage in found["stages"].items()
        ],
        numbers=("restarts", "processed", "idle s", "queue"),
    )
    _print_brokers(found)
    _print_venues(found)
    _print_strategies(found)
    _print_health(found.get("health") or {})


def _first_lines(found: dict[str, Any]) -> list[str]:
    """Mode, state, kill switch, feed age, token age; a reason that does not fit stands below."""
    from alphapanda.live.status import headline

    switch, state = found["kill_switch"], found["state"]
    line, below = cleaned(headline(found)), []
    if switch["on"] and len(line) > width():
        line = cleaned(headline(found, why=False))
        below = wrapped(cleaned(f"kill switch: {switch['reason']}, by {switch['by']}"), width())
    line = line.replace(f" · {state} · ", f" · {coloured(state, COLOURS.get(state, ''))} · ", 1)
    return [line.replace("kill switch on", f"kill switch {coloured('on', 'yellow')}", 1), *below]


def _print_brokers(found: dict[str, Any]) -> None:
    print_table(
        "Brokers",
        ["broker", "orders", "open", "held", "cash", "equity", "realised", "unrealised", "charges"],
        [
            (
                name,
                f"{broker['orders_total']:,}",
                broker["orders_open"],
                broker["positions_open"],
                rupees(broker["cash"]),
                rupees(broker["equity"]),
                profit(broker["realized_pnl"]),
                profit(broker["unrealized_pnl"]),
                rupees(broker["charges"]),
            )
            for name, broker in found["brokers"].items()
        ],
        numbers=("orders", "open", "held", "cash", "equity", "charges"),
        profits=("realised", "unrealised"),
        spare=("cash", "charges", "orders", "open"),
    )


def _print_venues(found: dict[str, Any]) -> None:
    """What a live feed and a live broker say of themselves, and what is held."""
    if feed := found.get("feed"):
        connections = f"{feed['connected']} of {counted(feed['connections'], 'connection')}"
        ticking = f"{feed['ticking']:,} of {feed['wanted']:,} instruments tick"
        say(f"feed: {connections}, {ticking}, {counted(feed['reconnects'], 'reconnect')}")
    for name, broker in found["brokers"].items():
        if "budgets" in broker:
            said = [
                f"{used['used']:,} of {used['limit']:,} {key.replace('_', ' a ')}"
                for key, used in broker["budgets"].items()
                if isinstance(used, dict)
            ]
            say(f"{name}: {'' if broker['connected'] else 'not '}connected; {', '.join(said)}")
        for what, why in broker.get("held", {}).items():
            say(cleaned(f"{name}: {'no orders' if what == 'all' else f'no entries in {what}'}: {why}"))


def _print_strategies(found: dict[str, Any]) -> None:
    print_table(
        "Strategies",
        ["strategy", "state", "signals", "errors"],
        [
            (name, strategy["state"], f"{strategy['signals']:,}", strategy["errors"])
            for name, strategy in found["strategies"].items()
        ],
        numbers=("signals", "errors"),
    )
    ticks = found["ticks"]
    instruments = counted(ticks["instruments"], "instrument")
    say(f"{ticks['received']:,} ticks of {instruments}, {ticks['per_second']:,.0f}/s")
    for name, latency in found["latency_us"].items():
        if latency["count"]:
            said = f"p50 {latency['p50']:,.0f} µs, p99 {latency['p99']:,.0f} µs, max {latency['max']:,.0f} µs"
            say(f"{name}: {said} of {latency['count']:,}")


def _print_health(health: dict[str, Any]) -> None:
    """How the process fares, and all that is wrong with it."""
    if not health:
        return
    loop, process, prices = health["loop_us"], health["process"], health["prices"]
    if loop["count"]:
        said = f"p99 {loop['p99'] / 1000:,.1f} ms, max {loop['max'] / 1000:,.1f} ms"
        say(f"loop lag: {said}; {counted(loop['stalls'], 'stall')} of over 250 ms")
    if process:
        files = f"{process['descriptors']:,} of {process['descriptor_limit']:,} descriptors"
        say(f"process: {process['rss_mib']:,.0f} MiB, {files}, {counted(process['threads'], 'thread')}")
    if prices.get("untrusted"):
        of = f"{counted(prices['untrusted'], 'instrument')} whose price is not trusted"
        say(f"no entries in {of}: {', '.join(prices['untrusted_first'])}")
    for why in health["entries_held"].values():
        say(cleaned(f"no entries: {why}"))
    for name, alarm in health["alarms"].items():
        say(cleaned(f"alarm {name} since {alarm['since']}: {alarm['why']}"))

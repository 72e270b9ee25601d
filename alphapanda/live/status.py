"""What `status` says: the keys of the contract, gathered from the parts of a running daemon."""

import os
import time
from collections.abc import Mapping
from time import monotonic
from typing import Any

import alphapanda
from alphapanda.config import Settings, mode_of
from alphapanda.core.money import to_paisa
from alphapanda.core.portfolio import PortfolioManager, Standing
from alphapanda.events import Money
from alphapanda.live.counters import Counters
from alphapanda.live.line import Gauge, Line
from alphapanda.pipeline import Cores
from alphapanda.times import to_ist


def status_of(
    *,
    settings: Settings,
    state: str,
    started_ns: int,
    kill_switch: Mapping[str, Any],
    trading_enabled: bool,
    line: Line,
    helpers: Mapping[str, Gauge],
    counters: Counters,
    cores: Cores | None,
    redis: Mapping[str, Any] | None = None,
    feed: Mapping[str, Any] | None = None,
    venues: Mapping[str, Mapping[str, Any]] | None = None,
    holds: Mapping[tuple[str, str], str] | None = None,
    health: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One JSON document; brokers and strategies are empty until recovery is done, `redis` while it is off.

    `feed` and `venues` are what a live feed and live brokers say of themselves, `holds` what the gate holds.
    """
    halted = state == "running" and kill_switch["on"]
    return {
        "mode": mode_of(settings).value,
        "state": "halted" if halted else state,
        "trading_enabled": trading_enabled,
        "kill_switch": dict(kill_switch),
        "pid": os.getpid(),
        "started_at": to_ist(started_ns).isoformat(),
        "uptime_s": round((time.time_ns() - started_ns) / 1e9, 3),
        "version": alphapanda.__version__,
        "environment": settings.environment,
        "stages": _stages(line, helpers),
        "brokers": _brokers(cores, venues or {}, holds or {}) if cores else {},
        "strategies": _strategies(cores) if cores else {},
        "ticks": counters.ticks_summary(),
        **({"feed": dict(feed)} if feed else {}),
        "latency_us": {
            "tick_to_signal": counters.tick_to_signal.summary(),
            "tick_to_order": counters.tick_to_order.summary(),
        },
        "redis": dict(redis or {"enabled": False, "connected": False, "dropped": 0}),
        **({"health": dict(health)} if health else {}),
    }


def headline(status: Mapping[str, Any], *, why: bool = True) -> str:
    """The first line of `status`: mode, state, kill switch (and `why` it is on), feed age, token age."""
    switch = status["kill_switch"]
    reason = f" ({switch['reason']}, by {switch['by']})" if why and switch["on"] else ""
    killed = f"{'on' if switch['on'] else 'off'}{reason}"
    age = status.get("ticks", {}).get("last_age_s")
    feed_age = "-" if age is None else f"{age:.1f} s"
    doors = (status.get("brokers", {}).get("zerodha", {}), status.get("feed", {}))
    token = next((door["session"] for door in doors if "session" in door), None)
    said = f"{status['mode']} · {status['state']} · kill switch {killed} · feed age {feed_age}"
    return f"{said} · token {_token(token)}"


def _token(session: Mapping[str, Any] | None) -> str:
    """How old the day's login is, or that it is dead; nothing without one."""
    if session is None:
        return "-"
    if not session["alive"]:
        return "dead"
    return "ok" if session["age_s"] is None else f"{session['age_s'] / 3600:.1f} h"


def _stages(line: Line, helpers: Mapping[str, Gauge]) -> dict[str, Any]:
    stages = {}
    for stage, gauge in line.gauges.items():
        inbox = line.inboxes[stage]
        queue = {"depth": len(inbox), "capacity": inbox.capacity, "folded": inbox.folded}
        stages[stage.value] = _gauge(gauge) | {"queue": queue}
    for name, gauge in helpers.items():
        stages[name] = _gauge(gauge) | {"queue": {"depth": 0, "capacity": 0, "folded": 0}}
    return stages


def _gauge(gauge: Gauge) -> dict[str, Any]:
    return {
        "state": gauge.state,
        "restarts": gauge.restarts,
        "processed": gauge.processed,
        "last_progress_s": round(monotonic() - gauge.last_progress, 3),
    }


def _brokers(
    cores: Cores, venues: Mapping[str, Mapping[str, Any]], holds: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    portfolio, positions = cores.portfolio, cores.portfolio.positions()
    open_orders = cores.execution.open_orders()
    return {
        balance.broker: {
            "connected": True,
            "orders_open": sum(1 for order in open_orders if order.broker == balance.broker),
            "orders_total": cores.execution.total(balance.broker),
            "positions_open": _positions_open(portfolio, balance.broker),
            **_figures(Standing(balance, positions)),
            **_of_venue(balance.broker, venues, holds),
        }
        for balance in portfolio.balances()
    }


def _of_venue(
    broker: str, venues: Mapping[str, Mapping[str, Any]], holds: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """What a live broker adds; nothing of one that is a part of us."""
    if broker not in venues:
        return {}
    held = {what or "all": why for (name, what), why in holds.items() if name == broker}
    return {"held": held, **venues[broker]}


def _positions_open(portfolio: PortfolioManager, broker: str) -> int:
    return sum(1 for p in portfolio.positions() if p.broker == broker and p.quantity)


def _figures(standing: Standing) -> dict[str, float]:
    return {
        "cash": _number(standing.cash),
        "equity": _number(standing.equity),
        "realized_pnl": _number(standing.realized_pnl),
        "unrealized_pnl": _number(standing.unrealized_pnl),
        "charges": _number(standing.charges),
    }


def _number(amount: Money) -> float:
    return float(to_paisa(amount))


def _strategies(cores: Cores) -> dict[str, Any]:
    return {
        strategy_id: {"state": hosted.state, "signals": hosted.signals, "errors": hosted.errors}
        for strategy_id, hosted in cores.strategy.hosted.items()
    }

"""What a person may ask of a running daemon, one request of the control socket at a time.

Whatever touches orders or strategies runs between two turns, and is written down before it is answered.
ValueError is what the caller did wrong: it becomes the error of the reply.
"""

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
from loguru import logger

from alphapanda.config import Loaded
from alphapanda.core.hosted import RUNNING
from alphapanda.core.market import RMS
from alphapanda.events import (
    SQUARE_OFF,
    Approved,
    ClosePosition,
    Order,
    Position,
    Refused,
    StrategyPaused,
    StrategyResumed,
    TickBatch,
    TransactionType,
    Verdict,
)
from alphapanda.live import limits
from alphapanda.live.filters import Request, check_filters, held_of, nothing_of, resting_of
from alphapanda.live.flatten import FLATTEN
from alphapanda.live.kill_file import clean
from alphapanda.live.line import Gauge, Line
from alphapanda.live.opening import Opened
from alphapanda.live.reconcile import Reconciling
from alphapanda.live.switch import KillSwitch
from alphapanda.live.walk import Walk
from alphapanda.pipeline import Stage
from alphapanda.store import Store

audit = logger.bind(channel="audit")

LONGEST_NAME = 64
CANCELLED_WITHIN_S = 5.0
LOOK_S = 0.02
OF_THE_HOUSE = frozenset((SQUARE_OFF, RMS, FLATTEN))
"""Names that stand for what nobody asked for; a person may be called so."""


class Trading(Protocol):
    """The daemon, as far as its operator sees it. `opened` and `walk` are None until it is ready."""

    loaded: Loaded
    line: Line
    switch: KillSwitch
    helpers: dict[str, Gauge]

    @property
    def opened(self) -> Opened | None: ...

    @property
    def walk(self) -> Walk | None: ...

    @property
    def store(self) -> Store: ...

    def status(self) -> dict[str, Any]: ...

    def stop(self) -> None: ...


class Operator:
    """`answer` is the handler of the control socket; `hear` is told of every event on the line."""

    def __init__(self, daemon: Trading) -> None:
        self._daemon = daemon
        self._verdicts: list[Approved | Refused] = []
        self._commands = {
            "status": self._status,
            "stop": self._stop,
            "kill_switch_on": self._kill,
            "kill_switch_off": self._rearm,
            "kill_switch_swept": self._swept,
            "strategy_pause": self._pause,
            "strategy_resume": self._resume,
            "cancel_all": self._cancel_all,
            "close": self._close,
            "stage_restart": self._restart_stage,
            "risk_show": self._risk_show,
            "risk_set": self._change_limit,
            "risk_reset": self._change_limit,
            "risk_dry_run": self._change_limit,
            "instruments_sync": self._sync_instruments,
            **Reconciling(self._ready, self._between_turns, self._carry, _who, _reason).commands(),
        }

    async def answer(self, request: Request) -> Any:
        command = self._commands.get(str(request.get("command")))
        if command is None:
            raise ValueError(f"unknown command {request.get('command')!r}")
        return await command(request)

    def hear(self, event: Approved | Refused) -> None:
        """Verdicts on what the operator asked for are part of the answer."""
        signal = event.signal
        if signal.by == FLATTEN:
            self._daemon.switch.hear(event)
        elif signal.of_operator:
            self._verdicts.append(event)

    async def _status(self, _: Request) -> dict[str, Any]:
        return self._daemon.status()

    async def _stop(self, _: Request) -> dict[str, Any]:
        self._daemon.stop()
        return {"pid": os.getpid()}

    async def _kill(self, request: Request) -> dict[str, Any]:
        """Answered as soon as it is written down; what the sweep then does is another question."""
        reason, flatten = _reason(request) or "operator", request.get("flatten") is True
        return {"kill_switch": await self._daemon.switch.on(reason, _who(request), flatten=flatten)}

    async def _swept(self, _: Request) -> dict[str, Any]:
        return {"kill_switch": await self._daemon.switch.swept()}

    async def _rearm(self, request: Request) -> dict[str, Any]:
        reason = _reason(request)
        if not reason:
            raise ValueError("kill-switch off needs a reason")
        _, walk = self._ready()
        return {"kill_switch": await self._daemon.switch.off(reason, _who(request), walk)}

    def _ready(self) -> tuple[Opened, Walk]:
        opened, walk = self._daemon.opened, self._daemon.walk
        if opened is None or walk is None:
            raise ValueError("the daemon is still starting; try again in a moment")
        return opened, walk

    @asynccontextmanager
    async def _between_turns(self) -> AsyncIterator[tuple[Opened, Walk]]:
        """Nothing is on the line, one command at a time. Once the line drains it takes no more."""
        opened, walk = self._ready()
        async with walk.lock:
            if walk.stopping:
                raise ValueError("the daemon is stopping; do this when it runs again, or while it is stopped")
            yield opened, walk

    async def _carry(self, events: Sequence[object]) -> None:
        """Until all that they lead to is done and written down."""
        for event in events:
            self._daemon.line.route(event)
        await self._daemon.line.quiet.wait()
        await self._daemon.store.commit()

    async def _pause(self, request: Request) -> dict[str, Any]:
        """Entries stop, exits go on. One that is quarantined stays so."""
        async with self._between_turns() as (opened, _):
            strategy_id, was = _strategy(opened, request)
            if was == RUNNING:
                audit.warning("strategy {} is paused (by {})", strategy_id, _who(request))
                await self._carry(
                    [StrategyPaused(strategy_id, _who(request), time.time_ns(), _reason(request))]
                )
            return {"strategy_id": strategy_id, "was": was, "state": _strategy(opened, request)[1]}

    async def _resume(self, request: Request) -> dict[str, Any]:
        async with self._between_turns() as (opened, _):
            strategy_id, was = _strategy(opened, request)
            if was != RUNNING:
                audit.warning("strategy {}, {}, is resumed (by {})", strategy_id, was, _who(request))
                # The last row taken: one that is made anew is shown nothing up to it, after a restart too.
                await self._daemon.store.commit()
                await self._carry(
                    [StrategyResumed(strategy_id, _who(request), time.time_ns(), _reason(request))]
                )
            return {"strategy_id": strategy_id, "was": was, "state": _strategy(opened, request)[1]}

    async def _cancel_all(self, request: Request) -> dict[str, Any]:
        async with self._between_turns() as (opened, _):
            check_filters(opened, request)
            resting = resting_of(opened, request)
            audit.warning("cancel-all: {} resting orders (by {})", len(resting), _who(request))
            return {"cancelled": await self._cancel(opened, resting)}

    async def _cancel(self, opened: Opened, orders: Sequence[Order]) -> list[dict[str, Any]]:
        """The orders as they stand once the brokers have answered."""
        for order in orders:
            opened.brokers[order.broker].cancel(order)
        await self._carry([])
        await _answered(opened, orders)
        await self._carry([])
        return [_order(opened.cores.execution.order(order.order_id)) for order in orders]

    async def _close(self, request: Request) -> dict[str, Any]:
        """Resting orders of what is closed go first: one that fills later would open it again."""
        async with self._between_turns() as (opened, walk):
            if opened.rows is not None and walk.ended.is_set():
                raise ValueError("the data has ended: no price will come that could fill an order")
            check_filters(opened, request)
            held, resting = held_of(opened, request), resting_of(opened, request)
            if request.get("symbol") is not None and not held and not resting:
                raise ValueError(nothing_of(opened, request))
            audit.warning("close: {} positions (by {})", len(held), _who(request))
            cancelled = await self._cancel(opened, resting)
            held = held_of(opened, request)  # a fill may have crossed its cancel
            self._verdicts = []
            await self._carry([_closing(position, _who(request), walk) for position in held])
            last = {(said.signal.signal_id, _broker(said)): said for said in self._verdicts}
            self._verdicts = []
            return {"cancelled": cancelled, "closing": [_verdict(said, opened) for said in last.values()]}

    async def _restart_stage(self, request: Request) -> dict[str, Any]:
        name = str(request.get("stage"))
        stages = {stage.value: gauge for stage, gauge in self._daemon.line.gauges.items()}
        gauges = self._daemon.helpers | stages
        gauge = gauges.get(name)
        if gauge is None or gauge.restart is None:
            alone = [each for each, other in gauges.items() if other.restart is not None]
            raise ValueError(_not_alone(name, known=name in self._daemon.helpers, alone=alone))
        restarts = gauge.restarts + (gauge.state == "running")
        gauge.restart()
        return {"stage": name, "restarts": restarts}

    async def _sync_instruments(self, _request: Request) -> dict[str, Any]:
        opened, walk = self._ready()
        if opened.account is None:
            raise ValueError("this daemon has no Zerodha feed or broker, and so no instrument list")
        found, listed = await opened.account.listing.sync_now()
        async with walk.lock:
            self._daemon.line.publish(TickBatch(time_ns=walk.time_ns, ticks=(), listed=tuple(listed)))
        return found

    async def _risk_show(self, _: Request) -> dict[str, Any]:
        opened, _walk = self._ready()
        return {"limits": limits.shown(self._daemon.loaded, opened.cores.risk)}

    async def _change_limit(self, request: Request) -> dict[str, Any]:
        """Between two turns: every order is judged by the old limits or by the new, none by both."""
        loaded, dry_run = self._daemon.loaded, request["command"] == "risk_dry_run"
        asked = {**request, "value": None} if request["command"] == "risk_reset" else request
        async with self._between_turns() as (opened, _):
            risk = opened.cores.risk
            change = limits.wanted(
                risk.limits, loaded.settings, asked, by=_who(request), reason=_reason(request)
            )
            answer = limits.told(loaded, risk, change, dry_run=dry_run)
            if dry_run or change.event is None:
                return answer
            if change.looser and request.get("loosen") is not True:
                raise ValueError(f"that loosens {change.key}; it must be asked for: --yes")
            audit.warning(
                "limit {}{} was {}, is {} (by {}: {})",
                *(change.key, limits.within(change.scope), change.old or "not set", change.new or "not set"),
                *(change.event.by, change.event.reason),
            )
            await self._carry([change.event])
            return answer


async def _answered(opened: Opened, orders: Sequence[Order]) -> None:
    """A broker elsewhere takes a moment to cancel; what it has not done by then is told as it stands."""
    execution = opened.cores.execution
    with anyio.move_on_after(CANCELLED_WITHIN_S):
        for name in {order.broker for order in orders}:
            await opened.brokers[name].answered()
        ids = [order.order_id for order in orders]
        while not all(execution.order(each).status.ended for each in ids):  # noqa: ASYNC110 - nobody tells us
            await anyio.sleep(LOOK_S)


def _who(request: Request) -> str:
    name = clean(str(request.get("by") or ""))[:LONGEST_NAME] or f"uid {request['uid']}"
    return f"user {name}" if name in OF_THE_HOUSE else name


def _reason(request: Request) -> str:
    return clean(str(request.get("reason") or ""))


def _strategy(opened: Opened, request: Request) -> tuple[str, str]:
    """Its id and its state."""
    hosted, wanted = opened.cores.strategy.hosted, str(request.get("strategy_id"))
    if wanted not in hosted:
        raise ValueError(f"no strategy {wanted!r} runs here; there are: {', '.join(hosted) or 'none'}")
    return wanted, hosted[wanted].state


def _not_alone(name: str, *, known: bool, alone: Sequence[str]) -> str:
    can = f"; alone can: {', '.join(alone) or 'none'}"
    if known:
        return f"{name} cannot be restarted alone: use alphapanda restart{can}"
    if name in {stage.value for stage in Stage}:
        return f"{name} shares its state with the line: use alphapanda restart{can}"
    return f"no stage {name!r}; see alphapanda stages list{can}"


def _closing(position: Position, by: str, walk: Walk) -> ClosePosition:
    return ClosePosition(
        broker=position.broker,
        strategy_id=position.strategy_id,
        instrument_token=position.instrument.instrument_token,
        transaction_type=TransactionType.SELL if position.quantity > 0 else TransactionType.BUY,
        quantity=abs(position.quantity),
        by=by,
        time_ns=walk.time_ns,
        row=walk.row,
    )


def _order(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "broker": order.broker,
        "strategy_id": order.strategy_id,
        "tradingsymbol": order.instrument.tradingsymbol,
        "transaction_type": order.transaction_type.value,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "status": order.status.value,
    }


def _broker(verdict: Approved | Refused) -> str:
    return verdict.order.broker if isinstance(verdict, Approved) else verdict.broker


def _verdict(verdict: Approved | Refused, opened: Opened) -> dict[str, Any]:
    """What became of one closing order; an approved one as it stands at its broker now."""
    signal = verdict.signal
    if isinstance(verdict, Approved):
        order = opened.cores.execution.order(verdict.order.order_id)
        said = _order(order) | {"verdict": Verdict.APPROVED.value, "rule": None, "reason": order.reason}
    else:
        said = {
            "order_id": None,
            "broker": verdict.broker,
            "strategy_id": signal.strategy_id,
            "tradingsymbol": verdict.instrument.tradingsymbol if verdict.instrument else "",
            "transaction_type": signal.transaction_type.value,
            "quantity": verdict.quantity,
            "filled_quantity": 0,
            "status": None,
            "verdict": verdict.verdict.value,
            "rule": verdict.rule,
            "reason": verdict.why,
        }
    return {"signal_id": signal.signal_id} | said

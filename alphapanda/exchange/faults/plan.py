"""From the faults that strike a call to what happens to it on the wire."""

from collections.abc import Sequence

from msgspec.structs import replace

from alphapanda.exchange.calls import Effects
from alphapanda.exchange.faults import replies
from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.kinds import KINDS
from alphapanda.exchange.faults.wire import CLEAN, WirePlan

PENDING = {"order.place": "OPEN PENDING", "order.modify": "MODIFY PENDING", "order.cancel": "CANCEL PENDING"}
CUTS = {
    "drop_before": "drop",
    "drop_after": "drop",
    "reset_before": "reset",
    "reset_after": "reset",
    "cut_body": "truncate",
}


def plan_of(kind: str, faults: Sequence[Fault]) -> WirePlan:
    """Of faults that strike one call together (`meeting`). Waits add up."""
    plan = CLEAN
    for fault in faults:
        plan = _with(plan, kind, fault)
    return plan


def _with(plan: WirePlan, kind: str, fault: Fault) -> WirePlan:
    if fault.do == "delay_before":
        return replace(plan, before_s=plan.before_s + fault.seconds)
    if fault.do == "delay_after":
        return replace(plan, after_s=plan.after_s + fault.seconds)
    if fault.do == "late":
        plan = _lost_or_ambiguous(plan, fault)
    accepts = plan.accepts and fault.accepted and fault.do not in ("drop_before", "reset_before")
    spoiler = replies.spoiler_of(fault)
    return replace(
        plan,
        accepts=accepts,
        cut=CUTS.get(fault.do, plan.cut),
        reply=replies.reply_of(fault) or plan.reply,
        effects=_effects(plan.effects, kind, fault),
        spoilers=(*plan.spoilers, spoiler) if spoiler else plan.spoilers,
    )


def _lost_or_ambiguous(plan: WirePlan, fault: Fault) -> WirePlan:
    """What the caller of an order that registers late hears."""
    if fault.reply == "lost":
        return replace(plan, cut="drop")
    if fault.reply == "ambiguous":
        said = replace(fault, **KINDS["ambiguous"].presets)
        return replace(plan, reply=replies.envelope(said))
    return plan


def _effects(effects: Effects, kind: str, fault: Fault) -> Effects:
    match fault.do:
        case "late":
            return replace(effects, late_s=fault.seconds)
        case "fill_before_reply":
            return replace(effects, fill_first=True)
        case "stuck":
            return replace(effects, stuck=PENDING[kind], stuck_s=fault.seconds)
        case "reject":
            return replace(effects, rejected=fault.message)
        case "partial_fills":
            return replace(effects, pieces=fault.pieces)
        case "fill_on_cancel":
            return replace(effects, raced=True)
        case "stale_book":
            return replace(effects, stale_s=fault.seconds)
        case "disagree":
            return replace(effects, disagree=True)
        case "dump":
            return replace(effects, dump=fault.sort)
        case _:
            return effects

"""Limits of two keys, where one makes the other pointless: set, and of no use to anybody."""

from typing import NamedTuple

from alphapanda.core.rules.contract import Rule
from alphapanda.core.rules.loss import LossesInARow
from alphapanda.core.rules.rate import OrdersPerSecond, RepeatedOrders


class Pointless(NamedTuple):
    """`key` is set to no purpose because of `other`; `problem` says so after the key, and what to do."""

    key: str
    other: str
    problem: str


def pointless(rule: Rule) -> Pointless | None:
    match rule:
        case RepeatedOrders() if rule.max_repeated_orders and not rule.window_ns:
            return _timeless("max_repeated_orders", rule.max_repeated_orders, "repeat_window_s")
        case LossesInARow() if rule.max_losses_in_a_row and not rule.cooldown_ns:
            return _timeless("max_losses_in_a_row", rule.max_losses_in_a_row, "loss_cooldown_s")
        case OrdersPerSecond() if rule.exit_reserve_per_second:
            return _reserve(rule.exit_reserve_per_second, rule.max_orders_per_second)
    return None


def _timeless(key: str, value: int, time: str) -> Pointless:
    does = f"is {value}, and does nothing because {time} is 0"
    return Pointless(key, time, f"{does}; make {time} longer, or turn {key} off with 0")


def _reserve(kept: int, most: int) -> Pointless | None:
    key, other = "exit_reserve_per_second", "max_orders_per_second"
    if kept < most:
        return None
    does, instead = "does nothing", "set both, or neither"
    if most:
        does, instead = "lets no entry pass", f"make {key} less than {other}"
    return Pointless(key, other, f"is {kept}, and {does} because {other} is {most}; {instead}")

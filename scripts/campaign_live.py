"""The trials of the live venue: what each takes. They are imported when they are asked for."""

import argparse
from typing import Any


def offer(trials: Any) -> None:
    """Each sets `do`, which is called with what was given and returns the exit code."""
    weak = _trial(trials, "weak-spots", "bad certificates and a mute peer, KiteTicker beside ours", _weak)
    weak.add_argument("--seconds", type=float, default=15, help="how long the official ticker is waited for")
    again = _trial(trials, "reconnects", "forced disconnects of the ticker", _reconnects)
    again.add_argument("--count", type=int, default=50, help="how many disconnects")
    again.add_argument("--seed", type=int, default=1, help="the same seed, the same kinds in the same order")
    again.add_argument("--instruments", type=int, default=6_100, help="over 3,000: two connections")
    unsure = _trial(trials, "ambiguous", "a day of orders of which a part has no clear answer", _ambiguous)
    unsure.add_argument("--orders", type=int, default=2_000, help="how many orders")
    unsure.add_argument("--part", type=float, default=0.125, help="how much of all answers is ambiguous")
    unsure.add_argument("--quiet-period", type=float, default=20, help="the daemon's zerodha.quiet_period_s")
    unsure.add_argument(
        "--late", type=float, default=8.5, help="seconds by which orders and answers are late"
    )
    unsure.add_argument("--speed", type=float, default=10, help="exchange seconds in a second")
    unsure.add_argument("--seed", type=int, default=1, help="the same seed, the same faults")
    unsure.add_argument(
        "--rate-limits",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the exchange counts requests as Kite does",
    )


def _trial(trials: Any, name: str, what: str, do: Any) -> argparse.ArgumentParser:
    trial: argparse.ArgumentParser = trials.add_parser(name, help=what)
    trial.add_argument("--json", action="store_true", help="say nothing but the JSON line and what is wrong")
    trial.set_defaults(do=do)
    return trial


def _weak(given: argparse.Namespace) -> int:
    from campaign_weak_spots import weak_spots

    return weak_spots(given.seconds, silent=given.json)


def _reconnects(given: argparse.Namespace) -> int:
    from campaign_reconnects import reconnects

    return reconnects(given.count, given.seed, given.instruments, silent=given.json)


def _ambiguous(given: argparse.Namespace) -> int:
    from campaign_ambiguous import Day, ambiguous

    day = Day(
        orders=given.orders,
        seed=given.seed,
        part=given.part,
        late_s=given.late,
        quiet_s=given.quiet_period,
        speed=given.speed,
        rate_limits=given.rate_limits,
    )
    return ambiguous(day, silent=given.json)

"""The trials of the live venue: what each takes. They are imported when they are asked for."""

import argparse
from pathlib import Path
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

    killed = _trial(trials, "kill9", "a live daemon killed at random and at every fail point", _kill9)
    killed.add_argument("--cycles", type=int, default=300, help="how many lives are ended by kill -9")
    killed.add_argument("--seed", type=int, default=1, help="the same seed, the same kills and faults")
    killed.add_argument("--intents", type=int, default=10_000, help="intents in the journal beforehand")
    killed.add_argument("--keep", type=Path, help="folder for what it writes, instead of a temporary one")
    switched = _trial(trials, "kill-switch", "the kill switch in mid burst, and over kill -9", _kill_switch)
    switched.add_argument("--runs", type=int, default=300, help="how often it is switched on")
    switched.add_argument("--seed", type=int, default=1, help="the same seed, the same moments")
    _trial(trials, "seeded-bugs", "mistakes that the judge of the tests must notice", _seeded)


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


def _kill9(given: argparse.Namespace) -> int:
    from campaign_kill9 import Trial, kill9

    return kill9(Trial(given.cycles, given.seed, given.intents), given.keep, silent=given.json)


def _kill_switch(given: argparse.Namespace) -> int:
    from campaign_kill_switch import kill_switch

    return kill_switch(given.runs, given.seed, silent=given.json)


def _seeded(given: argparse.Namespace) -> int:
    from campaign_seeded_bugs import seeded_bugs

    return seeded_bugs(silent=given.json)


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

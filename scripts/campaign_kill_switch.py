"""The kill switch in mid burst, again and again; then with thirty orders at rest, and over kill -9.

The daemon is the installed one at an exchange on this machine, a witness stands between them and writes down
when the last byte of each request came. The command's effect is the moment at which the daemon set its flag,
by the wall clock that both share; the answer comes once that is durable. Every so often the door is the
installed command, or SIGUSR1. The oracle of the tests judges what is left.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from trial_children import ExchangeChild, exchange_child, quantile
from trial_daemon import Daemon, roots_of, running

from alphapanda.live.control import ask

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle.evidence import KILL_OFF, KILL_ON, Command, Evidence
from oracle.judge import judged
from oracle.witness import Witness, witness

INSTRUMENTS = 8
TICKS_PER_S = 10
RESTING = 30
ROUNDS_EVERY = 100
"""Runs for each round with orders at rest."""
LONGEST_BURST_S = 0.1
OTHER_DOOR_EVERY = 25
ASK_S = 60.0
SWEEP_S = RESTING / 10 + 5
STORE, SOCKET = "var/alphapanda.db", "var/control.sock"
LIMITS = {
    "max_orders_per_second": 0,
    "max_orders_per_minute": 0,
    "max_orders_per_day": 0,
    "duplicate_window_s": 0.0,
    "max_price_deviation_percent": 0.0,
}
MEETING = 20
"""Kite counts ten in a calendar second: so many may meet in a second across its end."""
RESTS_THERE = ("OPEN", "TRIGGER PENDING", "CANCEL PENDING")
DECIDED = ("I1", "I2", "I6")


class Run(NamedTuple):
    """One kill. Times in milliseconds from when it was asked for."""

    door: str
    flag_ms: float
    answer_ms: float
    last_entry_ms: float
    """When the last entry was on the wire; below 0 where that was before."""


class Trial:
    def __init__(self, server: ExchangeChild, wire: Witness, folder: Path, seed: int) -> None:
        self.server = server
        self.wire = wire
        self.folder = folder
        self.chance = random.Random(seed)
        self.commands: list[Command] = []
        self.runs: list[Run] = []
        self.wrong: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._read = 0

    def asked(self, command: str, **words: Any) -> Any:
        request = {"command": command, "by": "campaign"} | words
        reply = ask(self.folder / SOCKET, request, ASK_S)
        if not reply.get("ok"):
            raise SystemExit(f"campaign: {command} was refused: {reply.get('error')}")
        return reply["result"]

    @property
    def switch(self) -> Any:
        return self.asked("status")["kill_switch"]

    def entries(self) -> list[dict[str, Any]]:
        """Placements on the wire so far; what was read before is not read again."""
        with self.wire.path.open("rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + bool(whole)
        lines = map(json.loads, whole.splitlines())
        self._entries += [each for each in lines if each["kind"] == "request" and each["method"] == "POST"]
        return self._entries

    # one run

    def burst(self, daemon: Daemon, number: int) -> None:
        """Entries are on their way; then the kill, the sweep, and back."""
        sent = len(self.entries())
        daemon.until(lambda: len(self.entries()) > sent, "an entry is on the wire")
        time.sleep(self.chance.uniform(0, LONGEST_BURST_S))
        door = ("signal", "command")[number // OTHER_DOOR_EVERY % 2] if _is_other(number) else "socket"
        wall_ns, sent_ns = time.time_ns(), time.monotonic_ns()
        document = self.kill(daemon, door)
        acked_ns = time.monotonic_ns()
        since = self.asked("kill_switch_swept")["kill_switch"]["since"]
        flag_ms = datetime.fromisoformat(since).timestamp() * 1e3 - wall_ns / 1e6
        last = max(line["monotonic_ns"] for line in self.entries())
        self.runs.append(Run(door, flag_ms, (acked_ns - sent_ns) / 1e6, (last - sent_ns) / 1e6))
        self.note(KILL_ON, sent_ns, acked_ns, document)

    def kill(self, daemon: Daemon, door: str) -> Any:
        if door == "command":
            return daemon.answer("kill-switch", "on", "--reason", "campaign")
        if door == "signal":
            os.kill(daemon.process.pid, signal.SIGUSR1)
            daemon.until(lambda: self.switch["on"], "the signal was obeyed", 10)
            return None
        return self.asked("kill_switch_on", reason="campaign")

    def off(self) -> None:
        sent_ns = time.monotonic_ns()
        self.asked("kill_switch_off", reason="campaign")
        self.note(KILL_OFF, sent_ns, time.monotonic_ns(), None)

    def note(self, name: str, sent_ns: int, acked_ns: int, document: Any) -> None:
        self.commands.append(Command(name=name, sent_ns=sent_ns, acked_ns=acked_ns, document=document))

    # orders at rest

    def sweep(self, daemon: Daemon, faults: list[dict[str, Any]]) -> dict[str, Any]:
        """Thirty orders rest; after the kill none is open, or it is named."""
        daemon.until(lambda: len(self.resting()) >= RESTING, "orders rest at the exchange")
        self.server.admin("faults", {"fault": faults, "clear": True})
        rest, sent_ns = len(self.resting()), time.monotonic_ns()
        self.asked("kill_switch_on", reason="campaign")
        acked_ns = time.monotonic_ns()
        said = self.asked("kill_switch_swept")["kill_switch"]
        seconds = (time.monotonic_ns() - sent_ns) / 1e9
        named = {row["broker_order_id"] for row in said["leftovers"]}
        unnamed = self.resting() - named
        if unnamed:
            self.wrong.append(f"open and not named after the sweep: {', '.join(sorted(unnamed))}")
        time.sleep(max(0.0, rest / 10 + SWEEP_S - RESTING / 10 - seconds) + 0.5)  # I7 looks at its deadline
        self.note(KILL_ON, sent_ns, acked_ns, {"kill_switch": said})
        struck = sum(fault["count"] for fault in self.server.admin("faults")["faults"])
        self.server.admin("faults", {"fault": [], "clear": True})
        return {"rested": rest, "named": len(named), "seconds": round(seconds, 2), "faults_struck": struck}

    def resting(self) -> set[str]:
        rows = json.loads(self.server.get("/orders"))["data"]
        return {row["order_id"] for row in rows if row["status"] in RESTS_THERE}

    def judge(self, commands: list[Command], decided: tuple[str, ...]) -> None:
        """In the words of the oracle; while nothing moves, for it looks at one book after the other."""
        found = judged(
            Evidence(
                stores=[self.folder / STORE],
                history=[json.loads(line) for line in self.server.get("/admin/history").splitlines()],
                wire=self.wire.lines(),
                commands=commands,
                limits={"max_orders_per_second": MEETING},
            )
        )
        self.wrong += [str(each) for each in found.broken]
        for name in decided:
            if name in found.undecided:
                self.wrong.append(f"{name} is undecided: {found.undecided[name]}")


def _is_other(number: int) -> bool:
    return number % OTHER_DOOR_EVERY == OTHER_DOOR_EVERY - 1


def config(server: ExchangeChild, wire: Witness) -> dict[str, Any]:
    rows = server.get("/instruments/NSE").decode().splitlines()
    head = rows[0].split(",")
    listed = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
    shares = [row["tradingsymbol"] for row in listed if row["segment"] == "NSE" and row["lot_size"] == "1"]
    keys = [f"NSE:{symbol}" for symbol in shares[:INSTRUMENTS]]
    wired = roots_of(server) | {"api_root": wire.url, "login_root": wire.url, "quiet_period_s": 1.0}
    hosted = [
        {"id": "burst", "class": "trial_burst:Burst", "instruments": keys[1:]},
        {"id": "resting", "class": "trial_burst:Resting", "instruments": keys[:1]},
    ]
    return {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": wired,
        "risk": LIMITS,
        "strategies": [each | {"brokers": ["zerodha"]} for each in hosted],
    }


@contextmanager
def stood(seed: int) -> Iterator[Trial]:
    words = ("--seed", seed, "--ticks-per-second", TICKS_PER_S, "--cash", 10**9, "--no-rate-limits")
    with tempfile.TemporaryDirectory(prefix="kill-switch-") as name, exchange_child(*words) as server:
        folder = Path(name)
        with witness(server.url, folder / STORE, folder) as wire:
            yield Trial(server, wire, folder, seed)


def kill_switch(runs: int, seed: int, *, silent: bool) -> int:
    """0 when nothing left after an answer, nothing was open unnamed, and it held over kill -9."""

    def tell(sentence: str) -> None:
        if not silent:
            print(sentence, file=sys.stderr, flush=True)

    with stood(seed) as trial:
        sections = config(trial.server, trial.wire)
        with running(trial.folder, sections) as daemon:
            trial.asked("strategy_pause", strategy_id="resting", reason="campaign")
            for number in range(runs):
                trial.burst(daemon, number)
                if number % ROUNDS_EVERY == ROUNDS_EVERY - 1:
                    tell(f"{number + 1} runs")
                if number == runs - 1:
                    trial.judge(trial.commands, DECIDED)
                trial.off()
            lag = _lag(trial.asked("status"))
            trial.asked("strategy_pause", strategy_id="burst", reason="campaign")
            trial.asked("strategy_resume", strategy_id="resting", reason="campaign")
            sweeps = _sweeps(trial, daemon, max(1, runs // ROUNDS_EVERY), tell)
            trial.asked("strategy_resume", strategy_id="burst", reason="campaign")
            _kill_dash_nine(trial, daemon)
        kept = _kept(trial, sections)
        document = _figures(trial.runs) | {"loop_us": lag, "sweeps": sweeps, "kept": kept}
    document["wrong"] = len(trial.wrong)
    for sentence in trial.wrong[:20]:
        print(f"campaign: {sentence}", file=sys.stderr, flush=True)
    print(json.dumps(document))
    return 1 if trial.wrong or not kept or len(trial.runs) < runs else 0


def _sweeps(trial: Trial, daemon: Daemon, rounds: int, tell: Any) -> list[dict[str, Any]]:
    """The second of every two with cancels that meet a 429, and one that nobody hears."""
    trial.commands, found = [], []
    for number in range(rounds):
        hurt = [
            {"on": "order.cancel", "do": "too_many", "nth": [2, 3, 9]},
            {"on": "order.cancel", "do": "drop_before", "nth": 5},
        ]
        found.append(trial.sweep(daemon, hurt if number % 2 else []))
        tell(f"orders at rest: {found[-1]}")
        trial.judge(trial.commands, (*DECIDED, "I7"))
        trial.off()
    return found


def _kill_dash_nine(trial: Trial, daemon: Daemon) -> None:
    sent = len(trial.entries())
    daemon.until(lambda: len(trial.entries()) > sent, "an entry is on the wire")
    sent_ns = time.monotonic_ns()
    trial.asked("kill_switch_on", reason="campaign")
    trial.note(KILL_ON, sent_ns, time.monotonic_ns(), None)
    daemon.process.kill()
    daemon.process.wait()


def _kept(trial: Trial, sections: dict[str, Any]) -> bool:
    """It is on after a restart, and nothing new left until it was switched off."""
    with running(trial.folder, sections) as daemon:
        before = len(trial.entries())
        kept = bool(trial.switch["on"])
        ticked = trial.asked("status")["ticks"]["received"]
        daemon.until(
            lambda: trial.asked("status")["ticks"]["received"] > ticked + 50, "prices come while it is on"
        )
        daemon.until(lambda: not trial.resting(), "what rested is cancelled")
        kept = kept and len(trial.entries()) == before and bool(trial.switch["on"])
        trial.judge(trial.commands, DECIDED)
        trial.off()
        daemon.until(lambda: len(trial.entries()) > before, "entries leave again")
    return kept


def _lag(status: dict[str, Any]) -> Any:
    """What the daemon says of its own loop."""
    return status.get("health", {}).get("loop_us")


def _figures(runs: list[Run]) -> dict[str, Any]:
    """Of the socket's runs p50 and p99; the other doors beside them."""
    sockets = [run for run in runs if run.door == "socket"]
    found: dict[str, Any] = {"runs": len(runs)}
    for name in ("flag_ms", "answer_ms", "last_entry_ms"):
        values = sorted(getattr(run, name) for run in sockets)
        found |= {f"{name}_p50": quantile(values, 0.5), f"{name}_p99": quantile(values, 0.99)}
    signals = sorted(run.flag_ms for run in runs if run.door == "signal")
    return found | {"signals": len(signals), "signal_flag_ms_max": quantile(signals, 1.0)}

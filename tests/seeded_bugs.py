"""The daemon with a mistake in it (scripts/trial_bugs.py) in the situation that brings it out, and judged.

Every situation but the flood is a part of one day at an exchange, through the witness of the wire.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exchange_server import ExchangeServer
from msgspec.structs import replace
from oracle.evidence import KILL_ON, Command, Evidence, Life, Sample
from oracle.judge import Judgement, judged
from oracle.witness import Witness, witness
from running import COMMAND, Daemon, run, select, write_config, write_ticks
from running import daemon as child
from zerodha_live import FREE, TOLD, tell

from alphapanda.times import SECOND_NS

TRIAL = Path(__file__).resolve().parents[1] / "scripts" / "trial_bugs.py"
TOKEN = "token-of-the-trial"
QUIET_S = 2.0
LATE_S = 1.0
"""An order that is registered so late is there before the quiet period is over."""
OPEN_NS = int(3.2 * SECOND_NS)
"""A connection that was not told anything for so long has been forgotten."""


class Day:
    """One store, at an exchange that others may have used before; `daemon` is the one that runs now."""

    def __init__(self, folder: Path, server: ExchangeServer, wire: Witness, bug: str | None) -> None:
        self.folder = folder
        self.server = server
        self.daemon: Daemon
        self._wire = wire
        self._bug = bug
        self._began = server.history()[-1]["seq"]
        self._commands: list[Command] = []
        self._lives: list[Life] = []
        self._samples: list[Sample] = []
        self._orders = self._refused = 0
        (folder / "strategies").mkdir()
        (folder / "strategies" / "told.py").write_text(TOLD)
        hosted = {"id": "told", "class": "strategies.told:ToldStrategy", "instruments": ["NSE:INFY"]}
        params = {"path": str(folder / "orders.txt")}
        roots = {"api_root": wire.url, "ws_root": server.ws, "login_root": server.url}
        write_config(
            folder,
            active_brokers=["zerodha"],
            feed={"source": "zerodha"},
            zerodha={"enabled": True, "quiet_period_s": QUIET_S, **roots},
            risk=FREE,
            strategies=[hosted | {"brokers": ["zerodha"], "params": params}],
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The daemon is ready when the block begins; killed when it ends."""
        began_ns = time.monotonic_ns()
        secret = {"ALPHAPANDA__ZERODHA__API_KEY": "rehearsal", "ALPHAPANDA__ZERODHA__ACCESS_TOKEN": TOKEN}
        with started(self.folder, self._bug, env=secret) as daemon:
            self.daemon = daemon
            self._lives.append(
                Life(pid=daemon.pid, started_ns=began_ns, ready_ns=time.monotonic_ns(), code=-9)
            )
            try:
                yield
            finally:
                self.kill(daemon)

    def kill(self, daemon: Daemon | None = None) -> None:
        """The one that runs, or this one; once."""
        daemon = daemon or self.daemon
        daemon.kill()
        ended_ns = time.monotonic_ns()
        self._lives = [
            replace(life, ended_ns=ended_ns) if life.pid == daemon.pid and life.ended_ns is None else life
            for life in self._lives
        ]

    def fault(self, **fault: Any) -> None:
        """From now on this one and no other."""
        self.server.admin("faults", {"clear": True, "fault": [fault]})

    def order(self) -> None:
        tell(self.folder, side="BUY")
        self._orders += 1

    def until(self, *statuses: str) -> None:
        """The order that was told last has one of these. It is told again where it never left: on a busy
        machine the daemon holds its entries now and then.
        """

        def found() -> bool:
            rows = select(self.folder, "SELECT status FROM orders ORDER BY order_id")
            refused = select(self.folder, "SELECT count(*) FROM signals WHERE verdict = 'refused'")[0][0]
            if refused > self._refused:
                self._refused = refused
                self._orders -= 1
                self.order()
            elif len(rows) >= self._orders and rows[-1][0] == "WITHHELD":
                self.order()
            return len(rows) >= self._orders and rows[-1][0] in statuses

        self.daemon.until(found)

    def until_ticking(self) -> None:
        """Ticks have gone out; the strategy has a price from then on."""
        self.daemon.until(lambda: self.history("ticks"))

    def history(self, *kinds: str) -> list[dict[str, Any]]:
        return self.server.history(*kinds, after=self._began)

    def look(self) -> None:
        self._samples.append(_look(self.daemon))

    def kill_switch_on(self) -> None:
        sent_ns = time.monotonic_ns()
        done = run(self.folder, "kill-switch", "on", "--reason", "a trial")
        assert done.code == 0, done
        self._commands.append(Command(name=KILL_ON, sent_ns=sent_ns, acked_ns=time.monotonic_ns()))

    def judged(self) -> Judgement:
        return judged(
            Evidence(
                stores=[self.folder / "var/alphapanda.db"],
                history=self.history(),
                wire=self._wire.lines(),
                commands=self._commands,
                lives=self._lives,
                samples=self._samples,
                outputs=[*self.folder.glob("daemon-*.log"), *self.folder.glob("var/alphapanda.db*")],
                secrets=[TOKEN],
                quiet_period_s=QUIET_S,
                limits={"max_order_quantity": 1, "max_position_quantity": 10},
                settled=self._bug is None,
            )
        )


def started(
    folder: Path, bug: str | None, *words: str, env: dict[str, str] | None = None
) -> AbstractContextManager[Daemon]:
    """`alphapanda run words…` with this mistake, once its log says that it is ready."""
    command = (COMMAND,) if bug is None else (sys.executable, str(TRIAL), bug)
    return child(folder, *words, env=env, log=" ready: ", command=command)


def an_order(day: Day) -> None:
    """Nothing goes wrong."""
    day.order()
    day.until("FILLED")


def an_answer_that_is_lost(day: Day) -> None:
    """The exchange has taken the order; the connection is reset before its answer."""
    day.fault(on="order.place", do="reset_after", nth=1)
    day.order()
    day.until("FILLED")


def an_order_that_is_late(day: Day) -> None:
    """The answer proves nothing, and for a while no book has the order."""
    day.fault(on="order.place", do="late", seconds=LATE_S, reply="ambiguous", nth=1)
    day.order()
    day.until("FILLED", "NOT_FOUND")


def an_order_that_is_lost(day: Day) -> None:
    """The exchange never hears of it."""
    day.fault(on="order.place", do="drop_before", nth=1)
    day.order()
    day.until("NOT_FOUND")


def a_ticker_that_is_lost(day: Day) -> None:
    """The daemon connects again, and subscribes, or is silent for too long."""
    before = len(day.history("ws_connect"))
    day.fault(do="ws_reset")
    day.daemon.until(lambda: len(day.history("ws_connect")) > before)
    line = day.history("ws_connect")[-1]

    def told_or_forgotten() -> bool:
        lines = day.history("ws_message", "request")
        told = any(each.get("connection") == line["connection"] for each in lines)
        return told or lines[-1]["wall_ns"] - line["wall_ns"] > OPEN_NS

    day.daemon.until(told_or_forgotten)


def a_restart_after_a_kill(day: Day) -> None:
    """The kill switch is on, the daemon dies, and the next one is told to buy."""
    day.kill_switch_on()
    day.kill()
    with day.at_work():
        if "kill switch is on since" not in day.daemon.stderr:
            day.until_ticking()
            day.order()
            day.until("FILLED")


class Situation(NamedTuple):
    happens: Callable[[Day], None]
    breaks: str
    """The invariant that the mistake breaks there."""


SITUATIONS = {
    "send-before-commit": Situation(an_order, "I1"),
    "retry-of-a-post": Situation(an_answer_that_is_lost, "I2"),
    "no-quiet-period": Situation(an_order_that_is_late, "I5"),
    "forgotten-resubscribe": Situation(a_ticker_that_is_lost, "I9"),
    "kill-only-in-memory": Situation(a_restart_after_a_kill, "I6"),
}
FLOODED, BREAKS = "unbounded-queue", "I10"
BUGS = {bug: situation.breaks for bug, situation in SITUATIONS.items()} | {FLOODED: BREAKS}


def tried(folder: Path, server: ExchangeServer, bug: str) -> Judgement:
    """What the judge says of the daemon with this mistake, in the situation for it."""
    if bug == FLOODED:
        return flooded(folder, bug)
    with _a_day(folder, server, bug) as day:
        SITUATIONS[bug].happens(day)
    return day.judged()


def left_alone(folder: Path, server: ExchangeServer) -> Judgement:
    """What it says of the daemon as it is, in all situations of a day."""
    with _a_day(folder, server, None) as day:
        an_order_that_is_lost(day)
        day.look()
        for situation in SITUATIONS.values():
            day.look()
            situation.happens(day)
    return day.judged()


@contextmanager
def _a_day(folder: Path, server: ExchangeServer, bug: str | None) -> Iterator[Day]:
    with ExitStack() as stack:
        wire = stack.enter_context(witness(server.url, folder / "var/alphapanda.db", folder))
        day = Day(folder, server, wire, bug)
        with day.at_work():
            day.until_ticking()
            yield day


FLOOD = """
from alphapanda.core.strategy import Strategy


class Flood(Strategy):
    def on_market_data(self, tick):
        return [self.buy(tick, 1) for _ in range(64)]
"""
STRATEGIES = 40
"""Together they ask for more at once than one queue takes."""
ROWS = 4


def flooded(folder: Path, bug: str | None) -> Judgement:
    """Rows of which many strategies make more signals than the queue to risk has room for. It is looked at
    again and again until more wait than may, or some rows have passed.
    """
    (folder / "strategies").mkdir()
    (folder / "strategies" / "flood.py").write_text(FLOOD)
    one = {"class": "strategies.flood:Flood", "instruments": ["NSE:INFY"]}
    write_config(
        folder,
        strategies=[one | {"id": f"flood_{number}"} for number in range(STRATEGIES)],
        risk={"max_orders_per_second": 1},
    )
    write_ticks(folder, [(row / 4, "INFY", 100.0) for row in range(100)])
    samples: list[Sample] = []
    with started(folder, bug, "--speed", "1") as daemon:
        while not samples or not (_too_deep(samples[-1]) or samples[-1].status["ticks"]["received"] > ROWS):
            samples.append(_look(daemon))
    return judged(Evidence(stores=[folder / "var/alphapanda.db"], samples=samples))


def _look(daemon: Daemon) -> Sample:
    status = daemon.until(daemon.status)
    fds = len(os.listdir(f"/proc/{daemon.pid}/fd"))  # noqa: PTH208 - no real folder
    return Sample(at_ns=time.monotonic_ns(), pid=daemon.pid, status=status, fds=fds)


def _too_deep(sample: Sample) -> bool:
    queue = sample.status["stages"]["risk"]["queue"]
    return bool(queue["depth"] > queue["capacity"] + STRATEGIES)

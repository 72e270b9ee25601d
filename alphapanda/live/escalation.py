"""What follows when a task is down: entries wait while it is, and a task that gave up halts what it must."""

from collections.abc import Callable, Mapping

from loguru import logger

from alphapanda.live.gate import Gate
from alphapanda.live.policies import Beyond, Supervision
from alphapanda.live.supervisor import Failed, GivenUp, News, Started

audit = logger.bind(channel="audit")

BY = "supervisor"


class Escalation:
    """`told` is what supervisors tell. `halt` is the kill switch: why, and who; it never blocks."""

    def __init__(
        self, gate: Gate, policies: Mapping[str, Supervision], halt: Callable[[str, str], None]
    ) -> None:
        self._gate = gate
        self._policies = policies
        self._halt = halt

    def told(self, news: News) -> None:
        match news:
            case Failed(name, problem):
                if self._policies[name].holds:
                    self._gate.hold_entries(name, f"{name} is down: {problem}")
            case Started(name):
                if not self._policies[name].says_up:
                    self.up(name)
            case GivenUp(name, problem, beyond):
                self._give_up(name, problem, beyond)

    def up(self, name: str) -> None:
        """It is there again."""
        self._gate.release_entries(name)

    def _give_up(self, name: str, problem: str, beyond: Beyond) -> None:
        match beyond:
            case Beyond.HALT:
                self._gate.hold_entries(name, problem)  # a kill switch that is off again does not repair it
                self._halt(problem, BY)
            case Beyond.HOLD:
                self._gate.hold_entries(name, problem)
                audit.error("no entries: {}", problem)
            case Beyond.EXIT:
                self._gate.ready = False

"""Order updates that come twice, too late, in the wrong order, or never."""

from collections.abc import Callable

from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS

Send = Callable[[str, int], None]


class Updates:
    """It holds what waits for the next update. `schedule` is set before the first update comes."""

    def __init__(self) -> None:
        self.schedule: Schedule | None = None
        self._held: list[Callable[[int], None]] = []

    @property
    def holding(self) -> bool:
        """Some update waits for the next one."""
        return bool(self._held)

    def pass_on(self, faults: tuple[Fault, ...], text: str, now_ns: int, send: Send) -> None:
        """Send an update as often and as late as these faults want, and after it what waited for it."""
        waiting, self._held = self._held, []
        copies, late_s, hold_s = 1, 0.0, 0.0
        for fault in faults:
            if fault.do == "lose_update":
                copies = 0
            elif fault.do == "duplicate_update":
                copies *= 2
            elif fault.do == "late_update":
                late_s += fault.seconds
            elif fault.do == "reorder_updates":
                hold_s = fault.seconds
        for _ in range(copies):
            self._send(text, now_ns, late_s, hold_s, send)
        for release in waiting:
            release(now_ns)

    def _send(self, text: str, now_ns: int, late_s: float, hold_s: float, send: Send) -> None:
        if hold_s:
            gone = False

            def release(then_ns: int) -> None:
                nonlocal gone
                if not gone:
                    gone = True
                    self._held = [other for other in self._held if other is not release]
                    send(text, then_ns)

            self._held.append(release)
            self._later(now_ns, hold_s + late_s, release)
        elif late_s:
            self._later(now_ns, late_s, lambda then_ns: send(text, then_ns))
        else:
            send(text, now_ns)

    def _later(self, now_ns: int, seconds: float, happening: Callable[[int], None]) -> None:
        if self.schedule is not None:
            self.schedule.at(now_ns + int(seconds * SECOND_NS), happening)

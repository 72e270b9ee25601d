"""A fault at work: its window, what it has counted, and whether it is due at the next matching call."""

from datetime import time
from random import Random
from typing import Any

from msgspec import UNSET

from alphapanda.exchange.faults.fault import Fault
from alphapanda.times import DAY_NS, SECOND_NS, day_of, start_of, to_ist


class Armed:
    """`added_ns` is the exchange time at which the script came in. Chance has a stream of its own for each
    fault, so that one fault more or less does not move the others.
    """

    def __init__(self, fault: Fault, seed: int, added_ns: int) -> None:
        self.fault = fault
        self.matched = 0
        """Calls that fitted, while the window was open."""
        self.struck = 0
        """What `times` limits: those that have happened, and those of calls that are not answered yet."""
        self.fired = 0
        """Those that have happened."""
        self._chance = Random(f"{seed} fault {fault.number}")  # noqa: S311 - not for secrets
        when = fault.when
        today = start_of(day_of(added_ns))
        self.opens_ns = added_ns
        if when.at is not None:
            self.opens_ns = today + _of_day(when.at)
        elif when.after_s is not None:
            self.opens_ns = added_ns + int(when.after_s * SECOND_NS)
        if not fault.on and self.opens_ns < added_ns:
            self.opens_ns += DAY_NS
        self.closes_ns: int | None = None
        if when.until is not None:
            self.closes_ns = today + _of_day(when.until)
        elif when.for_s is not None:
            self.closes_ns = self.opens_ns + int(when.for_s * SECOND_NS)

    @property
    def spent(self) -> bool:
        """It can never fire again, whatever comes."""
        when = self.fault.when
        if when.times and self.fired >= when.times:
            return True
        return bool(when.nth) and self.matched >= max(when.nth)

    def over(self, now_ns: int) -> bool:
        return self.spent or (self.closes_ns is not None and now_ns >= self.closes_ns)

    def due(self, now_ns: int) -> bool:
        """A call that fits comes now: it is matched, and the fault may `strike` it where this is True."""
        if now_ns < self.opens_ns or (self.closes_ns is not None and now_ns >= self.closes_ns):
            return False
        self.matched += 1
        when = self.fault.when
        if when.nth:
            struck = self.matched in when.nth
        elif when.every:
            struck = self.matched % when.every == 0
        elif when.p is not None:
            struck = self._chance.random() < when.p
        else:
            struck = True
        return struck and not (when.times and self.struck >= when.times)

    def strike(self) -> None:
        """It is done to this call. Either it has `happened` then, or it must `lapse`."""
        self.struck += 1

    def happened(self) -> None:
        self.fired += 1

    def lapse(self) -> None:
        """The call was refused before the fault could show."""
        self.struck -= 1

    def row(self, now_ns: int) -> dict[str, Any]:
        """What GET /admin/faults says of it: `matched` calls fitted, at `count` of them it fired."""
        fault, when = self.fault, self.fault.when
        said = {
            "nth": list(when.nth) or UNSET,
            "every": when.every or UNSET,
            "p": UNSET if when.p is None else when.p,
            "times": when.times or UNSET,
        }
        return {
            "fault": fault.number,
            "do": fault.do,
            "on": fault.on,
            **{key: value for key, value in said.items() if value is not UNSET},
            "from": to_ist(self.opens_ns).isoformat(),
            "until": None if self.closes_ns is None else to_ist(self.closes_ns).isoformat(),
            "matched": self.matched,
            "count": self.fired,
            "over": self.over(now_ns),
        }


def _of_day(clock: time) -> int:
    """Nanoseconds since midnight."""
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * SECOND_NS

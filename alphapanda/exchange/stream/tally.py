"""How much went to each connection in each exchange second: one line of history instead of one a frame."""

from alphapanda.exchange.history import History
from alphapanda.exchange.schedule import Schedule
from alphapanda.times import SECOND_NS


class Tally:
    """Lines of kind "ticks": `frames`, `packets` and `bytes` of a connection in the second before `at`.

    A frame that was spoilt by a fault counts as it was before. The line of a connection that ended in
    mid-second comes at its end.
    """

    def __init__(self, history: History, schedule: Schedule) -> None:
        self._history = history
        self._schedule = schedule
        self._second = -1
        self._counts: dict[int, tuple[int, int, int]] = {}

    def add(self, connection: int, packets: int, size: int, now_ns: int) -> None:
        """One frame went into the outbox."""
        second = now_ns // SECOND_NS
        if second != self._second:
            self._close(now_ns)
            self._second = second
            self._schedule.at((second + 1) * SECOND_NS, self._close)
        frames, total, length = self._counts.get(connection, (0, 0, 0))
        self._counts[connection] = (frames + 1, total + packets, length + size)

    def ended(self, connection: int, now_ns: int) -> None:
        """The connection is gone: its last line."""
        self._write(connection, self._counts.pop(connection, (0, 0, 0)), now_ns)

    def _close(self, now_ns: int) -> None:
        if now_ns // SECOND_NS == self._second:
            return
        counts, self._counts = self._counts, {}
        for connection, count in counts.items():
            self._write(connection, count, now_ns)

    def _write(self, connection: int, count: tuple[int, int, int], now_ns: int) -> None:
        frames, packets, size = count
        if frames:
            self._history.add(
                "ticks", now_ns, connection=connection, frames=frames, packets=packets, bytes=size
            )

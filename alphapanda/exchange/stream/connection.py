"""One connection of the ticker: its subscriptions, and what waits to be sent on it.

The shell sets `wake` and sends what it takes; once `ending` is set and nothing waits, it ends the connection
so.
"""

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from alphapanda.kite.encode import HEARTBEAT

MOST_FRAMES = 256
MOST_BYTES = 8 << 20
"""Of ticks that wait for a slow reader. Beyond them the oldest frame goes: an old price is worth least."""
MOST_TEXTS = 1_000
"""Order updates and errors are never dropped: with so many unread, the connection ends."""
FULL_HOUSE, MANY_BYTES = 64, MOST_BYTES // 4
"""So much waiting, and the exchange's clock, where it runs as fast as it can, lets the reader catch up."""


class Ending(Struct, frozen=True):
    """How a connection ends. `how` is "close" (a WebSocket close frame with `code` and `reason`), "drop" (the
    TCP connection closes), "reset" (it is reset) or "cut" (half of `part` goes out as one message, then the
    TCP connection closes).
    """

    how: str
    code: int = 0
    reason: str = ""
    part: bytes = b""


def nobody() -> None:
    """Who is woken until the shell listens."""


class Connection:
    def __init__(self, number: int, api_key: str, access_token: str) -> None:
        self.number = number
        self.api_key = api_key
        self.access_token = access_token
        self.sizes: dict[int, int] = {}
        """Instrument token -> bytes of its packet: its mode, and whether it is an index."""
        self.outbox: deque[bytes | str] = deque()
        self.wake: Callable[[], None] = nobody
        self.ending: Ending | None = None
        self.orphaned = False
        """Its session has ended; it does not count any more."""
        self.hush = ""
        """"silent": heartbeats and pongs only; "mute": nothing at all. What would have been sent is lost."""
        self.falls = 0
        """How often it has fallen silent or mute."""
        self.stalled = False
        """The shell says that the peer does not read: nobody waits for it."""
        self.dropped = 0
        """Frames of ticks that gave way to newer ones."""

    @property
    def sends(self) -> bool:
        return self.ending is None and not self.hush

    @property
    def answers(self) -> bool:
        """It sends heartbeats and answers pings."""
        return self.ending is None and self.hush != "mute"

    @property
    def behind(self) -> bool:
        """Its reader should be given time to catch up."""
        if self.stalled or not self.sends:
            return False
        return len(self.outbox) >= FULL_HOUSE or sum(map(len, self.outbox)) >= MANY_BYTES

    def say(self, text: str) -> None:
        """An order update, an error, a notice."""
        if not self.sends:
            return
        self.outbox.append(text)
        self.wake()

    @property
    def choked(self) -> bool:
        """More texts are unread than anybody keeps."""
        return (
            len(self.outbox) > MOST_TEXTS and sum(isinstance(item, str) for item in self.outbox) > MOST_TEXTS
        )

    def show(self, frame: bytes) -> None:
        """A frame of ticks; the oldest that wait make room for it."""
        if not self.sends:
            return
        self.outbox.append(frame)
        if len(self.outbox) > 1:
            self._make_room()
        self.wake()

    def end(self, ending: Ending) -> None:
        """Nothing more goes into the outbox. What waits there is sent before a close or a cut."""
        if self.ending is None:
            self.ending = ending
            if ending.how in ("drop", "reset"):
                self.outbox.clear()
            self.wake()

    def fall(self, hush: str) -> None:
        """Silent or mute from now on, "" to speak again. What waits is lost."""
        self.hush = hush
        if hush:
            self.falls += 1
            self.outbox.clear()

    def take(self) -> bytes | str | None:
        """What is to be sent next."""
        return self.outbox.popleft() if self.outbox else None

    def heartbeat(self) -> bytes | None:
        """What to send when nothing was sent for a while."""
        return HEARTBEAT if self.answers else None

    def _make_room(self) -> None:
        frames = [item for item in self.outbox if isinstance(item, bytes)]
        waiting = sum(map(len, frames))
        over = 0
        while len(frames) - over > MOST_FRAMES or (waiting > MOST_BYTES and len(frames) - over > 1):
            waiting -= len(frames[over])
            over += 1
        for frame in frames[:over]:
            self.outbox.remove(frame)
        self.dropped += over

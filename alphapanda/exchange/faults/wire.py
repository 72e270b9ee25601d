"""What faults do to one HTTP call on the wire, and the broken replies they send."""

from collections.abc import Callable

from msgspec import Struct

from alphapanda.exchange.calls import Effects, Reply
from alphapanda.exchange.faults.armed import Armed

Spoiler = Callable[[Reply], Reply]


class WirePlan(Struct, frozen=True, kw_only=True):
    """The order of a call: wait `before_s`, handle it where `accepts`, wait `after_s`, then send
    `spoil(reply)`, or cut.
    """

    before_s: float = 0.0
    """Wall seconds before the call is handled."""
    accepts: bool = True
    """False: it is never handed to the exchange."""
    after_s: float = 0.0
    """Wall seconds between the handling and the reply."""
    cut: str = ""
    """How the connection ends: "" as it should; "drop": closed (FIN) without a byte; "reset": RST without a
    byte; "truncate": the headers, Content-Length of the whole, half of the body, then closed."""
    reply: Reply | None = None
    """Takes the place of the real answer, which may have been given inside all the same."""
    effects: Effects = Effects()
    """What the fault does inside the exchange; belongs in the Call that is answered."""
    spoilers: tuple[Spoiler, ...] = ()
    inside: tuple[Armed, ...] = ()
    """Faults that happen only where the call is taken: counted once it is answered."""

    def spoil(self, reply: Reply) -> Reply:
        """What is sent in place of this answer."""
        sent = reply if self.reply is None else self.reply
        for spoiler in self.spoilers:
            sent = spoiler(sent)
        return sent


CLEAN = WirePlan()
"""No fault fires."""

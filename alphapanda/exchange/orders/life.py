r"""The life of an order, as a table: (status, event) -> status. What the table does not have cannot happen.

    PUT ORDER REQ RECEIVED -> VALIDATION PENDING -> OPEN PENDING -> OPEN -> COMPLETE
                                     |                   |       \-> TRIGGER PENDING -> OPEN
                                     v                   v
                                  REJECTED            REJECTED

A change goes OPEN -> MODIFY VALIDATION PENDING -> MODIFY PENDING -> MODIFIED (or NOT MODIFIED) -> OPEN, a
cancel OPEN -> CANCEL PENDING -> CANCELLED (Kite Connect documentation, orders, and its mock order_info).
While a change or a cancel is on its way the order stands at the exchange and trades. The session's end, the
broker's square-off and the end of a validity take an order from wherever it is.
"""

from enum import StrEnum
from random import Random

from alphapanda.exchange.order import Status

MICROSECOND_NS = 1_000
SHORTEST_US, LONGEST_US = 4_000, 30_000
"""How long one step takes. An order takes three to the exchange: 12 to 90 ms in all."""


class Event(StrEnum):
    VALIDATE = "validate"
    SEND = "send"
    OPEN = "open"
    WAIT = "wait for the trigger"
    REJECT = "reject"
    FILL = "fill the whole"
    MODIFY = "ask to modify"
    ACCEPT = "accept the change"
    REFUSE = "refuse the change"
    CANCEL = "ask to cancel"
    END = "end"


S, E = Status, Event

LIFE: dict[tuple[Status, Event], Status] = {
    (S.RECEIVED, E.VALIDATE): S.VALIDATION_PENDING,
    (S.AMO_RECEIVED, E.VALIDATE): S.VALIDATION_PENDING,
    (S.AMO_RECEIVED, E.ACCEPT): S.AMO_RECEIVED,
    (S.VALIDATION_PENDING, E.SEND): S.OPEN_PENDING,
    (S.VALIDATION_PENDING, E.REJECT): S.REJECTED,
    (S.OPEN_PENDING, E.OPEN): S.OPEN,
    (S.OPEN_PENDING, E.WAIT): S.TRIGGER_PENDING,
    (S.OPEN_PENDING, E.REJECT): S.REJECTED,
    (S.TRIGGER_PENDING, E.OPEN): S.OPEN,
    (S.OPEN, E.MODIFY): S.MODIFY_VALIDATION_PENDING,
    (S.TRIGGER_PENDING, E.MODIFY): S.MODIFY_VALIDATION_PENDING,
    (S.MODIFY_VALIDATION_PENDING, E.SEND): S.MODIFY_PENDING,
    (S.MODIFY_VALIDATION_PENDING, E.REFUSE): S.NOT_MODIFIED,
    (S.MODIFY_PENDING, E.REFUSE): S.NOT_MODIFIED,
    (S.MODIFY_PENDING, E.ACCEPT): S.MODIFIED,
    (S.MODIFIED, E.OPEN): S.OPEN,
    (S.MODIFIED, E.WAIT): S.TRIGGER_PENDING,
    (S.NOT_MODIFIED, E.OPEN): S.OPEN,
    (S.NOT_MODIFIED, E.WAIT): S.TRIGGER_PENDING,
    (S.OPEN, E.CANCEL): S.CANCEL_PENDING,
    (S.TRIGGER_PENDING, E.CANCEL): S.CANCEL_PENDING,
    (S.OPEN, E.FILL): S.COMPLETE,
    (S.MODIFY_VALIDATION_PENDING, E.FILL): S.COMPLETE,
    (S.MODIFY_PENDING, E.FILL): S.COMPLETE,
    (S.CANCEL_PENDING, E.FILL): S.COMPLETE,
    (S.RECEIVED, E.END): S.CANCELLED,
    (S.AMO_RECEIVED, E.END): S.CANCELLED,
    (S.VALIDATION_PENDING, E.END): S.CANCELLED,
    (S.OPEN_PENDING, E.END): S.CANCELLED,
    (S.OPEN, E.END): S.CANCELLED,
    (S.TRIGGER_PENDING, E.END): S.CANCELLED,
    (S.MODIFY_VALIDATION_PENDING, E.END): S.CANCELLED,
    (S.MODIFY_PENDING, E.END): S.CANCELLED,
    (S.CANCEL_PENDING, E.END): S.CANCELLED,
}
"""A partial fill changes no status: it leaves a row with the one the order has."""

STANDING = frozenset({S.OPEN, S.MODIFY_VALIDATION_PENDING, S.MODIFY_PENDING, S.CANCEL_PENDING})
"""Where an order may trade."""
SETTLED = frozenset({S.OPEN, S.TRIGGER_PENDING})
"""Where it can be changed and cancelled: nothing is on its way."""


class ImpossibleStep(Exception):  # noqa: N818 - names the fact
    """An event that the life of an order has no place for: this exchange is wrong."""


def after(status: Status, event: Event) -> Status:
    """What `event` makes of an order in `status`."""
    found = LIFE.get((status, event))
    if found is None:
        raise ImpossibleStep(f"an order in {status} cannot {event}")
    return found


class Delays:
    """How long steps take, drawn for each in turn."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"{seed} order delays")  # noqa: S311 - not for secrets

    def next_ns(self) -> int:
        return (SHORTEST_US + int(self._chance.random() * (LONGEST_US - SHORTEST_US))) * MICROSECOND_NS

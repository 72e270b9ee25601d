"""What steers a run: the kill switch, the operator's word on strategies and positions, the rows taken."""

from msgspec import Struct

from alphapanda.events.market import Money
from alphapanda.events.orders import TransactionType


class RowTaken(Struct, frozen=True):
    """A finite feed was walked up to and including `row`; a restart goes on with the next."""

    feed: str
    row: int
    time_ns: int


class Halt(Struct, frozen=True):
    """The kill switch is on: no order that adds risk leaves, resting orders are cancelled.

    `flatten`: positions are closed after that, and watched until they are flat.
    """

    reason: str
    by: str
    time_ns: int
    flatten: bool = False


class Resume(Struct, frozen=True):
    """The operator's `kill-switch off`: the only way back."""

    reason: str
    by: str
    time_ns: int


class ClosePosition(Struct, frozen=True, kw_only=True):
    """The operator wants a strategy's holding at a broker closed, whatever the strategy thinks.

    `price` is a limit, None at market.
    """

    broker: str
    strategy_id: str
    instrument_token: int
    transaction_type: TransactionType
    quantity: int
    by: str
    time_ns: int
    row: int = 0
    price: Money | None = None


class StrategyPaused(Struct, frozen=True):
    """The operator stopped a strategy's entries; it goes on seeing prices and managing its exits."""

    strategy_id: str
    by: str
    time_ns: int
    reason: str = ""


class StrategyResumed(Struct, frozen=True):
    """The operator lets a paused or quarantined strategy trade again."""

    strategy_id: str
    by: str
    time_ns: int
    reason: str = ""


class StrategyQuarantined(Struct, frozen=True):
    """A limit on repetition took a strategy out, also over restarts, until the operator resumes it."""

    strategy_id: str
    rule: str
    why: str
    time_ns: int


class FeedRestarted(Struct, frozen=True):
    """A live feed failed and begins anew: strategies compare nothing across the gap."""

    time_ns: int


class Scope(Struct, frozen=True, omit_defaults=True):
    """To what a limit applies; what is empty is all. `instrument` is EXCHANGE:SYMBOL."""

    broker: str = ""
    strategy: str = ""
    instrument: str = ""


class LimitChanged(Struct, frozen=True, kw_only=True):
    """The operator set a limit while the daemon runs; `value` None gives it back to the configuration.

    Values are texts as `risk set` takes them.
    """

    key: str
    value: str | None
    old: str
    scope: Scope
    by: str
    reason: str
    time_ns: int


class StrategyFailed(Struct, frozen=True):
    """A strategy raised: it is quarantined, also over restarts, until the operator resumes it."""

    strategy_id: str
    error: str
    time_ns: int
    trace: tuple[str, ...] = ()
    """Where it raised, the innermost place last."""

"""The hosted strategies together: who listens to which instrument, and every call into their code.

One that raises, takes too long, or that somebody takes out, is quarantined at once: it sees nothing more and
its open entries are cancelled. What is to be told of that waits aside, until the runner has an answer to add
it to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from alphapanda.core.failures import in_words, places_of
from alphapanda.core.hosted import QUARANTINED, RUNNING, Hosted
from alphapanda.core.overruns import UNTIMED, Overruns, Timing
from alphapanda.core.strategy import Strategy
from alphapanda.events import CancelResting, Order, StrategyFailed, StrategyQuarantined

Aside = StrategyFailed | StrategyQuarantined | CancelResting


class Company:
    """By strategy id in `hosted`. The arguments are the runner's."""

    def __init__(
        self,
        strategies: Iterable[Strategy],
        positions: Mapping[str, Mapping[int, int]],
        orders: Sequence[Order],
        stood_down: Mapping[str, str],
    ) -> None:
        self.hosted: dict[str, Hosted] = {}
        for strategy in strategies:
            held = positions.get(strategy.strategy_id, {})
            own = [order for order in orders if order.strategy_id == strategy.strategy_id]
            hosted = self.hosted[strategy.strategy_id] = Hosted(strategy, held, own)
            hosted.state = stood_down.get(strategy.strategy_id, RUNNING)
        self.by_token: dict[int, list[Hosted]] = {}
        """Token -> the strategies that trade it, quarantined ones left out. Always the same dictionary."""
        self.aside: list[Aside] = []
        self.overruns: Overruns | None = None
        """Set once it trades, where calls are timed."""
        self._subscribe()

    @property
    def timing(self) -> Timing:
        return UNTIMED if self.overruns is None else self.overruns.timing

    def _subscribe(self) -> None:
        self.by_token.clear()
        for hosted in self.hosted.values():
            if hosted.listens:
                for token in hosted.strategy.instruments:
                    self.by_token.setdefault(token, []).append(hosted)

    def with_timers(self) -> list[Hosted]:
        return [h for h in self.hosted.values() if type(h.strategy).on_timer is not Strategy.on_timer]

    # how each begins, and begins again

    def start(self) -> None:
        for hosted in self.hosted.values():
            self._begin(hosted)
            if not hosted.listens:
                self.cancel_entries(hosted)

    def _begin(self, hosted: Hosted) -> None:
        self.call(hosted, 0, hosted.strategy.on_start, dict(hosted.positions), list(hosted.orders.values()))

    def renew(self, hosted: Hosted) -> None:
        """A new one takes its place, with empty windows."""
        hosted.strategy = self.call(hosted, 0, hosted.strategy.fresh) or hosted.strategy
        self._begin(hosted)

    def resume(self, hosted: Hosted) -> None:
        """A quarantined one may be half changed: it is not used again."""
        quarantined, hosted.state = not hosted.listens, RUNNING
        if quarantined:
            self._subscribe()
            self.renew(hosted)

    # calls

    def call(self, hosted: Hosted, time_ns: int, hook: Callable[..., Any], *args: object) -> Any:
        if not hosted.listens:
            return None
        try:
            return hook(*args)
        except BaseException as error:  # noqa: BLE001 - its mistake, even sys.exit(), is its own
            self.failed(hosted, time_ns, error)
            return None

    def hear(self, hosted: Hosted, time_ns: int, hook: Callable[..., Any], *args: object) -> Any:
        """A call that everybody waits for; what it says too late is not heard."""
        overruns = self.overruns
        if overruns is None:
            return self.call(hosted, time_ns, hook, *args)
        began_ns = overruns.begin()
        answer = self.call(hosted, time_ns, hook, *args)
        late = overruns.now_ns() - began_ns > overruns.look_ns
        return None if late and self.overran(hosted, time_ns, began_ns) else answer

    # who is taken out

    def overran(self, hosted: Hosted, time_ns: int, began_ns: int) -> bool:
        """Is it taken out for the time it took? Its entries are cancelled when that has been told."""
        strategy_id, overruns = hosted.strategy.strategy_id, self.overruns
        if overruns is None or not hosted.listens:
            return False
        why = overruns.overran(strategy_id, began_ns, overruns.now_ns())
        if why:
            hosted.errors += 1
            self._take_out(hosted)
            self.aside.append(StrategyQuarantined(strategy_id, "overrun", why, time_ns))
        return bool(why)

    def failed(self, hosted: Hosted, time_ns: int, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and self.overruns is None:
            raise error  # a backtest is interrupted so; a daemon hears signals elsewhere
        hosted.errors += 1
        self._take_out(hosted)
        strategy_id = hosted.strategy.strategy_id
        self.aside.append(StrategyFailed(strategy_id, in_words(error), time_ns, places_of(error)))
        self.cancel_entries(hosted)

    def stand_down(self, strategy_id: str) -> None:
        hosted = self.hosted.get(strategy_id)
        if hosted is not None:
            self._take_out(hosted)
            self.cancel_entries(hosted)

    def _take_out(self, hosted: Hosted) -> None:
        hosted.state = QUARANTINED
        self._subscribe()

    def cancel_entries(self, hosted: Hosted) -> None:
        why = f"{hosted.strategy.strategy_id} is quarantined"
        self.aside += [CancelResting(order, why) for order in hosted.entries.values()]

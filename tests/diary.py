"""A strategy that writes down everything it is told, and may break in any hook."""

from builders import INFY, TCS, TEN_NS, batch, fill, order, signal, tick
from msgspec import Struct

from alphapanda.core.strategy import Strategy
from alphapanda.events import Halt, OrderFilled, OrderStatus, OrderUpdated, Refused, Resume, Timer, Verdict

S = OrderStatus
HALT, RESUME = Halt("test", "operator", TEN_NS), Resume("test", "operator", TEN_NS)
INFY_TOKEN, TCS_TOKEN = INFY.instrument_token, TCS.instrument_token


class Diary(Strategy):
    """Buys one unit on every tick, and writes down everything it is told."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        raises_in: str = ""
        signals: int = 1

    def __init__(self, *args):
        super().__init__(*args)
        self.told = []

    def note(self, hook, *what):
        if self.params.raises_in == hook:
            raise ValueError(f"broken in {hook}")
        self.told.append((hook, *what))

    def on_market_data(self, tick):
        self.note("on_market_data", tick.last_price)
        return [self.buy(tick, 1) for _ in range(self.params.signals)]

    def on_start(self, positions, orders):
        self.note("on_start", positions, [one.order_id for one in orders])

    def on_fill(self, fill):
        self.note("on_fill", fill.quantity)

    def on_order_update(self, order):
        self.note("on_order_update", order.status)

    def on_refused(self, signal, rule, why):
        self.note("on_refused", signal.signal_id, rule)

    def on_timer(self, time_ns):
        self.note("on_timer", time_ns)
        return []

    def on_stop(self):
        self.note("on_stop")


def diary(name="momentum_1", tokens=(INFY_TOKEN,), brokers=("paper",), **params):
    return Diary(name, tokens, brokers, params)


def hooks(strategy):
    return [hook for hook, *_ in strategy.told]


def refusal(of, broker="paper", verdict=Verdict.REFUSED):
    return Refused(signal=of, broker=broker, verdict=verdict, rule="a_rule", why="why", quantity=1)


def broken_inbox():
    """One event for each hook, on behalf of the strategy `broken`."""
    of = {"strategy_id": "broken"}
    return {
        "on_market_data": batch(tick()),
        "on_fill": OrderFilled(order(quantity=1, status=S.FILLED, filled_quantity=1, **of), fill(**of)),
        "on_order_update": OrderUpdated(order(status=S.OPEN, **of)),
        "on_refused": refusal(signal(**of)),
        "on_timer": Timer(TEN_NS),
    }

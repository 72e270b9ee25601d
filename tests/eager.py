"""A strategy that buys on every tick, on a line without rules, and what was said there."""

from builders import INFY
from sessions import plan

from alphapanda.core.strategy import Strategy


class Eager(Strategy):
    """Buys one on every tick and writes down what it sees, in the order in which it sees it."""

    def __init__(self, strategy_id="eager", instruments=(INFY.instrument_token,), brokers=("paper",), _=None):
        super().__init__(strategy_id, instruments, brokers)
        self.saw = []

    def on_market_data(self, tick):
        self.saw.append(("tick", tick.last_price))
        return [self.buy(tick, 1)]

    def on_fill(self, fill):
        self.saw.append(("fill", fill.signed_quantity))

    def on_order_update(self, order):
        self.saw.append((order.status.value, order.sequence))

    def on_refused(self, signal, rule, why):
        self.saw.append(("refused", rule))


def of(kind, said):
    return [event for event in said if isinstance(event, kind)]


def unlimited(*strategies):
    return plan(*strategies, rules=())

"""After a restart a strategy has heard what it would have heard undisturbed, row by row and in that order."""

import asyncio

import pytest
from builders import INFY, batch, book_of, tick
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessions import TOKENS, laid, plan, prices, rows

from alphapanda.events import Booked, OrderOpened, Resume, RowTaken, StrategyFailed, StrategyResumed
from alphapanda.live.warm_up import warm_up
from alphapanda.pipeline import build_cores
from alphapanda.store.projections import PROJECTION
from alphapanda.store.recovery import fold
from strategies.momentum import MomentumStrategy

FEED = "a feed"


class Recorder(MomentumStrategy):
    """Momentum that writes down all it is told, but for the starts."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.heard = []

    def on_market_data(self, tick):
        self.heard.append(("tick", tick.last_price))
        return super().on_market_data(tick)

    def on_fill(self, fill):
        self.heard.append(("fill", fill.trade_id))
        super().on_fill(fill)

    def on_order_update(self, order):
        self.heard.append(("order", order.order_id, order.status))
        super().on_order_update(order)

    def on_refused(self, signal, rule, why):
        self.heard.append(("refused", signal.signal_id, rule))
        super().on_refused(signal, rule, why)

    def on_timer(self, now):
        self.heard.append(("timer", now))
        return []


class Feed:
    """The one whose rows were taken."""

    def continues(self, identity):
        return identity == FEED


def recorder(strategy_id, quantity):
    wanted = {"lookback_period": 1, "buy_threshold": 1.01, "sell_threshold": 0.99, "quantity": quantity}
    return Recorder(strategy_id, TOKENS, ["paper"], wanted)


def strategies():
    """One whose orders fill, one that asks for more than it may, one whose second entry is too much."""
    return recorder("modest", 3), recorder("greedy", 2000), recorder("growing", 600)


TERMS = [
    {},
    {"price": -0.1},
    {"price": 0.1, "validity": "IOC"},
    {"price": -0.1, "validity": "TTL", "validity_ttl": 1},
    {"trigger_price": 0.1, "price": 0.1},
    {"trigger_price": 0.2},
]
"""Of orders of every type and validity, in rupees from the last price, against the trader."""


class Various(Recorder):
    """Asks for something else at each tick, and for more than stands in a book."""

    def on_market_data(self, tick):
        self.heard.append(("tick", tick.last_price))
        number = len(self.heard)
        terms = dict(TERMS[number % len(TERMS)])
        buys = number % 3 != 0
        for name in {"price", "trigger_price"} & terms.keys():
            terms[name] = round(tick.last_price + terms[name] * (1 if buys else -1), 2)
        return [(self.buy if buys else self.sell)(tick, 8, **terms)]


def various():
    return (Various("various", TOKENS, ["paper"], {}),)


async def walked(walk, upto, strategies=strategies):
    """What was journaled, and what each strategy had heard when row `upto` was done."""
    made = strategies()
    async with laid(plan(*made)) as line:
        heard = {}

        def taken(row, clock_ns):
            line.said.append(RowTaken(FEED, row, clock_ns))
            if row == upto:
                heard.update({each.strategy_id: list(each.heard) for each in made})

        await line.turns(walk, taken=taken).run()
    return [event for event in line.said if type(event) in PROJECTION], heard


def restarted(journal, walk, upto, strategies=strategies):
    recovered = fold(journal)
    made = strategies()
    cores = build_cores(plan(*made), recovered.saved)
    asyncio.run(warm_up(cores, Feed(), iter(walk), recovered, upto, lambda: None))
    cores.strategy.start()
    return {each.strategy_id: each for each in made}


def cut_after(journal, row):
    """The journal as a kill right after the row was marked leaves it."""
    last = max(place for place, event in enumerate(journal) if type(event) is RowTaken and event.row <= row)
    return journal[: last + 1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prices.filter(bool), st.data())
def test_what_was_heard_of_each_row_is_heard_again_in_its_order(moves, data):
    walk = rows(moves)
    upto = data.draw(st.integers(1, len(walk)))
    journal, heard = asyncio.run(walked(walk, upto))
    again = restarted(cut_after(journal, upto), walk, upto)
    assert {strategy_id: each.heard for strategy_id, each in again.items()} == heard


@st.composite
def booked_rows(draw):
    """Rows 40 seconds apart, over two days, each with a thin book."""
    walk, at = [], 0
    for number in range(1, draw(st.integers(2, 20)) + 1):
        at += draw(st.sampled_from([40, 40, 40, 86_400]))
        ticks = draw(st.integers(1998, 2002))
        bids = [(round((ticks - n) * 0.05, 2), draw(st.integers(0, 6))) for n in (1, 2)]
        asks = [(round((ticks + n) * 0.05, 2), draw(st.integers(0, 6))) for n in (1, 2)]
        seen = tick(round(ticks * 0.05, 2), depth=book_of(bids, asks))
        walk.append(batch(seen, at=at, row=number))
    return walk


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(booked_rows(), st.data())
def test_parts_triggers_and_ends_of_validity_are_heard_again_where_they_were_heard(walk, data):
    upto = data.draw(st.integers(1, len(walk)))
    journal, heard = asyncio.run(walked(walk, upto, various))
    again = restarted(cut_after(journal, upto), walk, upto, various)
    assert again["various"].heard == heard["various"]


RISING = rows([(0, price) for price in (100.0, 102.0, 104.5, 102.0, 104.5, 102.0, 104.5)])


def test_a_view_after_a_refusal_is_the_undisturbed_one_and_not_that_of_a_fill():
    journal, heard = asyncio.run(walked(RISING, len(RISING)))
    assert [each for each in heard["greedy"] if each[0] == "refused"]
    again = restarted(journal, RISING, len(RISING))
    assert again["greedy"].view(INFY.instrument_token) == 0
    assert again["modest"].view(INFY.instrument_token) == 1


def test_a_fill_of_a_row_that_was_not_marked_is_told_because_it_will_not_be_made_again():
    journal, _ = asyncio.run(walked(RISING, 3))
    marked = next(place for place, event in enumerate(journal) if type(event) is RowTaken and event.row == 3)
    booked = [event for event in journal[:marked] if type(event) is Booked]
    assert booked
    again = restarted(journal[:marked], RISING, 2)
    assert again["modest"].heard[-1] == ("fill", booked[0].fill.trade_id)


def test_what_a_row_led_to_that_was_not_marked_is_not_told():
    """The row is walked again, and leads to it again."""
    journal, heard = asyncio.run(walked(RISING, 1))
    marked = next(place for place, event in enumerate(journal) if type(event) is RowTaken and event.row == 2)
    assert [event for event in journal[:marked] if type(event) is OrderOpened]
    again = restarted(journal[:marked], RISING, 1)
    assert again["modest"].heard == heard["modest"]


@pytest.mark.parametrize("renewed", ["all", "modest"])
def test_a_strategy_that_was_made_anew_hears_nothing_of_what_came_before(renewed):
    journal, _ = asyncio.run(walked(RISING, len(RISING)))
    middle = cut_after(journal, 4)
    events = [Resume("seen", "uid 0", 1)] if renewed == "all" else []
    events += [StrategyFailed("modest", "ValueError: no", 1), StrategyResumed("modest", "uid 0", 2)]
    again = restarted([*middle, *events, *journal[len(middle) :]], RISING, len(RISING))
    ticks = {strategy_id: [h for h in each.heard if h[0] == "tick"] for strategy_id, each in again.items()}
    assert len(ticks["modest"]) == 3
    assert len(ticks["greedy"]) == (3 if renewed == "all" else 7)
    assert again["modest"].view(INFY.instrument_token) == 1

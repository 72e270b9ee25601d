"""Whether a price can be believed."""

import pytest
from builders import BUY, CLOSE, INFY, SELL, TEN_NS, batch, book, tick
from judging import judge, rule_of, why

from alphapanda.core import rules
from alphapanda.core.rules import Marks
from alphapanda.events import Depth, DepthLevel, Money

SPREAD = rules.WideSpread(Money(1))
JUMP = rules.PriceJump(Money(2))
FROZEN = rules.FrozenPrice(Money(10))


def depth(bid, offer):
    sides = ((DepthLevel(price, 10, 1),) if price is not None else () for price in (bid, offer))
    return Depth(*sides)


def after(check, *ticks, **keywords):
    risk = judge(check, price=None, **keywords)
    for at, one in ticks:
        risk.on(batch(one, at=at))
    return risk


@pytest.mark.parametrize(
    ("bid", "offer", "passes"),
    [
        (100.0, 100.95, True),
        (100.0, 101.0, True),
        (100.0, 101.05, False),
        (100.0, 100.0, False),
        (100.05, 100.0, False),
        (None, 100.0, False),
        (100.0, None, False),
        (0.0, 100.0, False),
        (float("nan"), 100.0, False),
    ],
)
def test_a_wide_crossed_or_one_sided_book_lets_no_entry_through(bid, offer, passes):
    risk = after(SPREAD, (0, tick(100.0, depth=depth(bid, offer))))
    assert rule_of(risk) == (None if passes else "max_spread_percent")


def test_without_a_book_there_is_no_spread_to_ask_about():
    assert rule_of(after(SPREAD, (0, tick()))) is None


@pytest.mark.parametrize(
    ("price", "passes"),
    [(101.95, True), (102.0, True), (102.05, False), (98.0, True), (97.95, False)],
)
def test_a_price_may_jump_as_far_as_the_limit(price, passes):
    risk = after(JUMP, (0, tick(100.0)), (1, tick(price)))
    assert rule_of(risk, last_price=price) == (None if passes else "max_price_jump_percent")


def test_a_jump_is_over_with_the_next_price():
    risk = after(JUMP, (0, tick(100.0)), (1, tick(110.0)), (2, tick(110.0)))
    assert rule_of(risk, last_price=110.0) is None
    within = judge(JUMP, price=None)
    within.on(batch(tick(100.0), tick(110.0)))
    assert rule_of(within, last_price=110.0) == "max_price_jump_percent"


def test_a_price_may_stand_still_as_long_as_the_limit_while_ticks_come():
    risk = after(FROZEN, (0, tick(100.0)), (5, tick(100.0)), (10, tick(100.0)))
    assert rule_of(risk) is None
    risk.on(batch(tick(100.0), at=10.5))
    assert why(risk) == "the price has stood still for 10.5 s, the limit is 10 s"
    risk.on(batch(tick(100.05), at=11))
    assert rule_of(risk) is None


def test_an_instrument_that_is_quiet_is_not_frozen():
    assert rule_of(after(FROZEN, (0, tick(100.0))), time_ns=TEN_NS + 10**12) is None


@pytest.mark.parametrize("check", [SPREAD, JUMP, FROZEN], ids=lambda check: check.code)
def test_an_unseen_price_is_refused_and_an_exit_is_not_asked(check):
    assert rule_of(judge(check, price=None)) == check.code
    wild = after(
        check,
        *((number, tick(100.0, depth=depth(100.0, 150.0))) for number in range(30)),
        (31, tick(150.0 if check is JUMP else 100.0, depth=depth(100.0, 150.0))),
        held=book(momentum_1=5),
    )
    assert rule_of(wild) == check.code
    assert rule_of(wild, SELL, position_effect=CLOSE) is None


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_is_no_price_changes_no_mark(price):
    marks = Marks()
    marks.watching = True
    marks.take(batch(tick(100.0)))
    before = marks.mark(INFY.instrument_token)
    marks.take(batch(tick(price), at=5))
    assert marks.mark(INFY.instrument_token) == before
    assert marks.price(INFY.instrument_token) == Money(100)


def test_movement_is_kept_only_while_a_rule_asks_for_it():
    marks = Marks()
    marks.take(batch(tick(100.0)))
    marks.take(batch(tick(120.0), at=1))
    assert marks.mark(INFY.instrument_token).before is None
    assert rule_of(judge(JUMP), BUY) is None


def test_what_was_seen_before_a_rule_was_switched_off_says_nothing_once_it_is_on_again():
    """The price moved while nobody looked: it has not stood still since before."""
    marks = Marks()
    marks.watching = True
    marks.take(batch(tick(100.0)))
    marks.watching = False
    for second in range(1, 30):
        marks.take(batch(tick(100.0 + second), at=second))
    marks.watching = True
    mark = marks.mark(INFY.instrument_token)
    assert (mark.price, mark.before, mark.changed_ns) == (129.0, None, None)
    marks.take(batch(tick(129.0), at=30))
    assert marks.mark(INFY.instrument_token).changed_ns == batch(tick(129.0), at=30).time_ns

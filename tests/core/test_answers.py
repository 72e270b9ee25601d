"""What a strategy may answer: signals with their terms, in its own name, and nothing else."""

import pytest
from builders import BUY, CLOSE, LIMIT, SELL, TEN_NS, batch, signal, tick
from diary import INFY_TOKEN, diary
from msgspec.structs import replace

from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import Money, OrderType, StrategyFailed, Timer, Validity


def test_a_strategy_cannot_speak_for_another():
    class Impostor(Strategy):
        def on_market_data(self, tick):
            return [signal(strategy_id="other", brokers=("elsewhere",), signal_id="S999999")]

    (made,) = StrategyRunner([Impostor("me", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert (made.strategy_id, made.brokers, made.signal_id) == ("me", ("paper",), "S000001")


class Undecided:
    """Arrays raise when they are asked whether they are true."""

    def __bool__(self):
        raise RuntimeError("neither yes nor no")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (5, "TypeError"),
        (signal(), "TypeError: a strategy answers with a list: write [signal] instead of signal"),
        (["BUY"], "TypeError: a strategy answers with a list of TradingSignal, not str"),
        ([signal(), None], "TypeError: a strategy answers with a list of TradingSignal, not NoneType"),
        ([signal(quantity=1.5)], "ValidationError: Expected `int`, got `float` - at `$[0].quantity`"),
        ([signal(quantity="1")], "ValidationError: Expected `int`, got `str` - at `$[0].quantity`"),
        ([signal(side="LONG")], "ValidationError: Invalid enum value 'LONG' - at `$[0].transaction_type`"),
        ([signal(price=object())], "TypeError: Encoding objects of type object is unsupported"),
        ([signal(last_price=float("nan"))], "ValueError: the price decided upon is nan"),
        ([signal(quantity=2**63)], "ValueError: quantity 9223372036854775808 is over 1000000000"),
        ([signal(price=Money("1E+999999"))], "ValueError: price 1E+999999 is over 1000000000"),
        ([signal(price=Money("-Infinity"))], "ValueError: price -Infinity is over 1000000000"),
        ([signal(price=Money("NaN"))], "ValueError: a price or trigger price is not a number"),
        ([signal(trigger_price=float("nan"))], "ValueError: a price or trigger price is not a number"),
        ([signal(reason="\ud800")], "UnicodeEncodeError"),
        ([signal(reason="x" * 201)], "ValueError: a reason has at most 200 characters"),
        ([signal()] * 1001, "TypeError: a strategy answers with a list of at most 1000 signals"),
        (Undecided(), "RuntimeError: neither yes nor no"),
    ],
)
@pytest.mark.parametrize("hook", ["on_market_data", "on_timer"])
def test_an_answer_that_is_no_list_of_signals_is_the_strategys_own_failure(answer, error, hook):
    class Odd(Strategy):
        pass

    setattr(Odd, hook, lambda *_: answer)
    neighbour = diary("neighbour")
    runner = StrategyRunner([Odd("odd", [INFY_TOKEN], ["paper"]), neighbour])
    outputs = runner.on(batch(tick()) if hook == "on_market_data" else Timer(TEN_NS))
    (failure,) = [output for output in outputs if isinstance(output, StrategyFailed)]
    assert failure.strategy_id == "odd"
    assert error in failure.error
    assert runner.hosted["odd"].state == "quarantined"
    assert len(neighbour.told) == 1


def test_a_float_limit_becomes_exact_rupees():
    class Limits(Strategy):
        def on_market_data(self, tick):
            return [replace(self.buy(tick, 1), order_type=LIMIT, price=99.95)]

    (made,) = StrategyRunner([Limits("limits", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert made.price == Money("99.95")
    assert type(made.price) is Money


@pytest.mark.parametrize(
    ("terms", "made"),
    [
        ({}, (OrderType.MARKET, None, None)),
        ({"price": 99.95}, (OrderType.LIMIT, Money("99.95"), None)),
        ({"price": Money("99.95")}, (OrderType.LIMIT, Money("99.95"), None)),
        ({"trigger_price": 101}, (OrderType.SL_M, None, Money(101))),
        ({"trigger_price": 100.1, "price": 100.3}, (OrderType.SL, Money("100.3"), Money("100.1"))),
    ],
)
def test_what_prices_are_given_makes_the_type_of_the_order(terms, made):
    strategy = Strategy("s", [INFY_TOKEN], ["paper"])
    bought, sold = strategy.buy(tick(), 1, **terms), strategy.sell(tick(), 1, CLOSE, "out", **terms)
    for asked in (bought, sold):
        assert (asked.order_type, asked.price, asked.trigger_price) == made
        assert (asked.validity, asked.validity_ttl) == (Validity.DAY, 0)
    assert (sold.transaction_type, sold.position_effect, sold.reason) == (SELL, CLOSE, "out")


def test_validity_is_a_word_or_the_value_and_anything_else_is_an_error():
    strategy = Strategy("s", [INFY_TOKEN], ["paper"])
    assert strategy.buy(tick(), 1, price=99.0, validity="IOC").validity is Validity.IOC
    resting = strategy.buy(tick(), 1, price=99.0, validity=Validity.TTL, validity_ttl=5)
    assert (resting.validity, resting.validity_ttl) == (Validity.TTL, 5)
    with pytest.raises(ValueError, match="GTC"):
        strategy.buy(tick(), 1, validity="GTC")


@pytest.mark.parametrize("term", ["prise", "limit", "product"])
def test_a_misspelt_term_is_no_market_order(term):
    with pytest.raises(TypeError, match=term):
        Strategy("momentum_1", [408065], ["paper"]).buy(tick(), 10, **{term: 95.0})


@pytest.mark.parametrize("terms", [{"trigger_price": 1e10}, {"validity_ttl": 10**30}])
def test_terms_that_no_journal_could_hold_are_the_strategys_own_failure(terms):
    class Wild(Strategy):
        def on_market_data(self, tick):
            return [self.buy(tick, 1, **terms)]

    (failure,) = StrategyRunner([Wild("wild", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert isinstance(failure, StrategyFailed)


def test_a_strategy_that_answers_nothing_is_no_failure():
    class Quiet(Strategy):
        def on_market_data(self, tick):
            return None

    assert StrategyRunner([Quiet("quiet", [INFY_TOKEN], ["paper"])]).on(batch(tick())) == []


def test_buy_and_sell_decide_on_the_tick_they_are_given():
    strategy = diary()
    made = strategy.sell(tick(101.5), 3, CLOSE, "it fell")
    assert (made.transaction_type, made.quantity, made.position_effect) == (SELL, 3, CLOSE)
    assert (made.last_price, made.reason, made.instrument_token) == (101.5, "it fell", INFY_TOKEN)
    assert strategy.buy(tick(), 1).transaction_type is BUY

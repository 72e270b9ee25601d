"""A RiskManager of one broker with the rules under test, and its word on one signal."""

from builders import INFY, TCS, batch, book, signal, tick
from msgspec.structs import replace

from alphapanda.core.limits import FIELDS, Limits
from alphapanda.core.risk import RiskManager
from alphapanda.events import Approved, Book, Money, Performance, Snapshot

TCS_TOKEN = TCS.instrument_token


def judge(*checks, held=None, price=100.0, broker="paper", **keywords):
    """INFY and TCS are seen at `price` at ten o'clock; `held` is the broker's book."""
    defaults = {"tag_seed": "test", "instruments": (INFY, TCS), "books": {broker: held or book()}}
    risk = RiskManager(checks, {broker: "MIS"}, **defaults | keywords)
    if price is not None:
        risk.on(batch(tick(price), tick(price, TCS_TOKEN)))
    return risk


def answers(risk, *args, **fields):
    return risk.on(signal(*args, **fields))


def rule_of(risk, *args, **fields):
    """None when every part is approved, else the rule that refuses."""
    first = answers(risk, *args, **fields)[0]
    return None if isinstance(first, Approved) else first.rule


def why(risk, *args, **fields):
    return answers(risk, *args, **fields)[0].why


def verdict(risk, *args, **fields):
    """None when the one part of it is approved, else the rule that refuses, and why."""
    (answer,) = answers(risk, *args, **fields)
    if isinstance(answer, Approved):
        return None
    assert answer.verdict == "refused"
    return answer.rule, answer.why


def all_limits(everywhere, overrides=()):
    """As [risk] has them: a key that is not named is at its default."""
    defaults = {key: field.default for key, field in FIELDS.items()}
    return Limits.of(defaults | everywhere, overrides)


def standing(held=None, *, starting_cash=10_000, strategy="momentum_1", **fields) -> Book:
    """A book whose strategy, and with it the account, stands as `fields` of a Performance say."""
    numbers = ("losses_in_a_row", "last_loss_ns", "rejected_in_a_row")
    exact = {name: value if name in numbers else Money(value) for name, value in fields.items()}
    performance = Performance(**exact)
    return replace(
        held or book(),
        performance={strategy: performance, "": performance},
        starting_cash=Money(starting_cash),
    )


def hear(risk, held, broker="paper"):
    risk.on(Snapshot({broker: held}))

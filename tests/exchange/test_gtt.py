"""Triggers that place an order: when they fire, what they place, and how they end."""

import json

import pytest

from alphapanda.events import Money
from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import Options
from alphapanda.times import DAY_NS, SECOND_NS, to_ist

YEAR_NS = 365 * DAY_NS


@pytest.fixture
def exchange():
    return Exchange(Options(), Script(()), wall=lambda: 0)


@pytest.fixture(scope="module")
def untouched():
    """For refusals, which leave nothing behind."""
    return Exchange(Options(), Script(()), wall=lambda: 0)


def now(exchange):
    return exchange.clock.now_ns


def infy(exchange):
    return exchange.market.listing.by_key("NSE:INFY")


def last(exchange):
    return exchange.market.last_price(infy(exchange).token, now(exchange))


def form(*values, side="BUY", price="1400", kind="single", **changes):
    """The fields of the call, as the official client sends them."""
    leg = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": side,
        "quantity": 1,
        "order_type": "LIMIT",
        "product": "CNC",
        "price": float(price),
    } | changes
    condition = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "trigger_values": [float(value) for value in values],
        "last_price": 1300.5,
    }
    return {"type": kind, "condition": json.dumps(condition), "orders": json.dumps([leg] * len(values))}


def placed(exchange, *values, **changes):
    return str(exchange.gtt.place(form(*values, **changes), now(exchange)))


def until_fired(exchange, trigger_id, seconds=1800):
    for _ in range(seconds):
        exchange.advance(now(exchange) + SECOND_NS)
        row = exchange.gtt.row(trigger_id)
        if row["status"] != "active":
            return row
    raise AssertionError(f"trigger {trigger_id} has not fired in {seconds} s of exchange time")


@pytest.mark.parametrize("way", [1, -1])
def test_a_trigger_fires_once_where_the_price_comes_to_it(exchange, way):
    value = last(exchange) + way * infy(exchange).instrument.tick_size
    trigger_id = placed(exchange, value, price=last(exchange) + 20)
    before = exchange.gtt.row(trigger_id)
    assert (before["status"], before["orders"][0]["result"]) == ("active", None)
    row = until_fired(exchange, trigger_id)
    result = row["orders"][0]["result"]
    assert row["status"] == "triggered"
    assert way * (Money(str(result["triggered_at"])) - value) >= 0
    (first, *_) = exchange.desk.order_history(result["order_result"]["order_id"], now(exchange))
    found = [first[name] for name in ("order_type", "price", "variety", "tag")]
    assert found == ["LIMIT", result["price"], "regular", None]
    exchange.advance(now(exchange) + 60 * SECOND_NS)
    assert len(exchange.desk.book(now(exchange))) == 1
    assert exchange.gtt.tokens() == set()


def test_one_leg_of_two_fires_and_the_other_never_does(exchange):
    price, tick = last(exchange), infy(exchange).instrument.tick_size
    trigger_id = placed(exchange, price - 50, price + tick, kind="two-leg", price=price + 30)
    row = until_fired(exchange, trigger_id)
    assert [order["result"] is None for order in row["orders"]] == [True, False]
    assert row["orders"][1]["result"]["order_result"]["status"] == "success"
    exchange.advance(now(exchange) + 60 * SECOND_NS)
    assert len(exchange.desk.book(now(exchange))) == 1


def test_an_order_that_is_refused_leaves_its_reason(exchange):
    """Here for want of leave to sell: what is rejected later stands in the order book."""
    strict = Exchange(Options(needs_authorisation=True), Script(()), wall=lambda: 0)
    itc = strict.market.listing.by_key("NSE:ITC")
    price = strict.market.last_price(itc.token, now(strict))
    words = form(price + itc.instrument.tick_size, side="SELL", price=price - 1, tradingsymbol="ITC")
    words["condition"] = words["condition"].replace("INFY", "ITC")
    row = until_fired(strict, str(strict.gtt.place(words, now(strict))))
    result = row["orders"][0]["result"]["order_result"]
    assert result == {
        "status": "failed",
        "order_id": "",
        "rejection_reason": "1 quantity needs authorisation at depository.",
    }


def test_a_trigger_is_changed_as_a_whole_and_only_while_it_waits(exchange):
    far = last(exchange) - 100
    trigger_id = placed(exchange, far)
    assert exchange.gtt.modify(trigger_id, form(far - 1, side="SELL"), now(exchange)) == int(trigger_id)
    row = exchange.gtt.row(trigger_id)
    assert row["condition"]["trigger_values"] == [float(far - 1)]
    assert row["orders"][0]["transaction_type"] == "SELL"
    exchange.gtt.delete(trigger_id, now(exchange))
    assert exchange.gtt.row(trigger_id)["status"] == "deleted"
    for change in (
        lambda: exchange.gtt.delete(trigger_id, now(exchange)),
        lambda: exchange.gtt.modify(trigger_id, form(far), now(exchange)),
    ):
        with pytest.raises(Refusal, match="deleted"):
            change()
    assert exchange.gtt.tokens() == set()


def test_a_trigger_lives_a_year_and_is_listed_for_a_week_more(exchange):
    start, far = now(exchange), last(exchange) - 100
    waiting, gone = placed(exchange, far), placed(exchange, far)
    exchange.gtt.delete(gone, start)
    row = exchange.gtt.row(waiting)
    assert (row["created_at"], row["expires_at"]) == ("2026-04-15 09:15:00", "2027-04-15 09:15:00")

    def ids(at):
        return [row["id"] for row in exchange.gtt.rows(at)]

    assert ids(start) == [int(gone), int(waiting)]
    assert ids(start + 7 * DAY_NS) == [int(waiting)]
    exchange.gtt.new_day(start + YEAR_NS - 1)
    assert exchange.gtt.row(waiting)["status"] == "active"
    exchange.gtt.new_day(start + YEAR_NS)
    assert exchange.gtt.row(waiting)["status"] == "expired"
    assert exchange.gtt.row(waiting)["updated_at"] == f"{to_ist(start + YEAR_NS):%Y-%m-%d %H:%M:%S}"
    assert exchange.gtt.tokens() == set()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (form("1200") | {"type": "three-leg"}, "type"),
        (form("1200") | {"condition": ""}, "condition"),
        (form("1200") | {"condition": "{"}, "condition"),
        (form("1200") | {"condition": "[1]"}, "condition"),
        (form("1200") | {"orders": "[]"}, "single trigger"),
        (form("1200", "1500"), "single trigger"),
        (form("1200", "1250", kind="two-leg"), "between"),
        (form("1500", "1200", kind="two-leg"), "between"),
        (form("-1"), "away"),
        (form("NaN"), "condition"),
        (form("1200") | {"condition": form("1200")["condition"].replace("1200.0", '"NaN"')}, "away"),
        (form("1200") | {"condition": form("1200")["condition"].replace("1200.0", '"1E999999"')}, "away"),
        (
            form("1200") | {"condition": form("1200")["condition"].replace("1300.5", '"1E999999"')},
            "last_price",
        ),
        (form("1200") | {"orders": form("1200")["orders"].replace("1400.0", '"1E999999"')}, "price"),
        (form("1200", quantity=10**30), "Quantity"),
        (form("1200", order_type="MARKET"), "LIMIT"),
        (form("1200", product="MIS"), "product"),
        (form("1200", quantity=0), "Quantity"),
        (form("1200", transaction_type="HOLD"), "orders"),
        (form("1200", tradingsymbol="TCS"), "instrument"),
        (form("1200") | {"condition": form("1200")["condition"].replace("INFY", "NOSUCH")}, "tradingsymbol"),
    ],
)
def test_what_makes_no_sense_is_refused(untouched, fields, words):
    exchange = untouched
    with pytest.raises(Refusal) as refused:
        exchange.gtt.place(fields, now(exchange))
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")
    assert words in refused.value.message
    assert exchange.gtt.rows(now(exchange)) == []


def test_there_are_only_so_many_at_once(exchange):
    far = last(exchange) - 100
    for _ in range(250):
        placed(exchange, far)
    with pytest.raises(Refusal, match="250"):
        placed(exchange, far)


def test_a_trigger_that_there_is_not_is_not_found(exchange):
    for name in ("7", "x", "", "0", "9" * 5000):
        with pytest.raises(Refusal) as refused:
            exchange.gtt.row(name)
        assert refused.value.code == 404

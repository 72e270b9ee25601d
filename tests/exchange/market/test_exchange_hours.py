"""When the exchange's instruments trade: the calendar's sessions, minute by minute."""

from datetime import datetime

from market_rules import INFY, seen_market

from alphapanda.core.sessions import Phase
from alphapanda.exchange.market.hours import NEVER
from alphapanda.times import IST, MINUTE_NS, day_of, number_of, to_ist, to_ns

HOURS = seen_market().hours
LISTING = seen_market().listing


def at(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=IST))


def test_a_regular_day_of_shares():
    infy = LISTING.by_token(INFY)
    now = at("2026-04-15 10:00")
    assert HOURS.phase(infy, now) is Phase.CONTINUOUS
    assert HOURS.may_enter(infy, now)
    assert HOURS.closes_ns(infy, now) == at("2026-04-15 15:30")
    assert HOURS.square_off_ns(infy, now) == at("2026-04-15 15:20")
    assert HOURS.next_open_ns(infy, now) == at("2026-04-16 09:15")
    assert HOURS.trading_day(now)
    assert not HOURS.trading_day(at("2026-04-14 10:00"))
    assert HOURS.may_enter(infy, at("2026-04-16 09:05")), "the pre-open takes orders"
    assert not HOURS.may_enter(infy, at("2026-04-16 09:10"))
    assert not HOURS.may_enter(infy, at("2026-04-15 15:45"))


def test_metals_trade_into_the_night_and_expired_contracts_never_again():
    gold, nifty = LISTING.by_key("MCX:GOLD26JUNFUT"), LISTING.by_key("NFO:NIFTY26APRFUT")
    assert HOURS.closes_ns(gold, at("2026-04-15 10:00")) == at("2026-04-15 23:30")
    assert HOURS.next_open_ns(nifty, at("2026-04-28 16:00")) == NEVER
    assert HOURS.closes_ns(nifty, at("2026-04-29 10:00")) is None
    assert HOURS.latest_day(nifty, at("2027-03-01 10:00")) == number_of(to_ist(at("2026-04-28 10:00")).date())


def test_the_minutes_of_a_day_are_those_of_its_sessions():
    infy = LISTING.by_token(INFY)
    minutes = HOURS.minutes(infy, day_of(at("2026-04-15 10:00")))
    assert (minutes[0], minutes[-1]) == (at("2026-04-15 09:15"), at("2026-04-15 15:29"))
    assert len(minutes) == 375
    assert len(HOURS.minutes(infy, day_of(at("2026-04-14 10:00")))) == 0
    twice = HOURS.minutes(infy, day_of(at("2024-03-02 10:00")))
    assert len(twice) == 45 + 60
    assert all(HOURS.phase(infy, minute) is Phase.CONTINUOUS for minute in twice)
    assert twice[45] - twice[44] == 91 * MINUTE_NS


def test_a_day_begins_at_six_for_its_figures():
    infy = LISTING.by_token(INFY)
    before, after = at("2026-04-16 05:59"), at("2026-04-16 06:00")
    assert HOURS.latest_day(infy, after) == HOURS.latest_day(infy, before) + 1


def test_the_brokers_square_off_still_finds_the_book():
    shares = LISTING.by_token(INFY)
    assert HOURS.square_off_ns(shares, at("2026-08-10 10:00")) == at("2026-08-10 15:14:50")
    assert HOURS.square_off_ns(shares, at("2026-12-08 10:00")) == at("2026-12-08 15:20")


def test_shares_without_derivatives_trade_on_through_the_closing_auctions():
    now = at("2026-08-10 10:00")
    assert HOURS.closes_ns(LISTING.by_token(INFY), now) == at("2026-08-10 15:15")
    assert HOURS.closes_ns(LISTING.by_key("NSE:RPOWER"), now) == at("2026-08-10 15:30")

"""What is listed without data: real names and tokens, contracts that fit the date, whole chains."""

from datetime import date

from market_rules import seen_market

from alphapanda.events import Money
from alphapanda.exchange.market import open_market
from alphapanda.exchange.options import Options
from alphapanda.kite.layout import SEGMENTS

LISTING = seen_market().listing


def test_known_names_have_their_real_tokens():
    tokens = {
        key: LISTING.by_key(key).token for key in ("NSE:INFY", "BSE:SBIN", "NSE:NIFTY 50", "BSE:SENSEX")
    }
    assert tokens == {"NSE:INFY": 408065, "BSE:SBIN": 128028676, "NSE:NIFTY 50": 256265, "BSE:SENSEX": 265}


def test_the_list_gives_an_index_no_tick_and_no_lot():
    assert LISTING.by_key("NSE:NIFTY 50").row == (
        "256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.0,0,EQ,INDICES,NSE"
    )
    assert LISTING.by_key("NSE:INFY").row == "408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE"


def test_a_token_is_the_exchange_token_and_its_segment():
    for listed in LISTING.all():
        segment = "indices" if listed.segment == "INDICES" else listed.instrument.exchange.lower()
        assert listed.token == listed.exchange_token << 8 | SEGMENTS[segment]
        assert LISTING.by_token(listed.token) is LISTING.by_key(listed.key) is listed


def test_there_is_something_of_everything_and_not_too_much():
    segments = {listed.segment for listed in LISTING.all()}
    assert segments == {
        *("NSE", "BSE", "INDICES", "NFO-FUT", "NFO-OPT", "BFO-FUT", "BFO-OPT"),
        *("CDS-FUT", "CDS-OPT", "BCD-FUT", "MCX-FUT"),
    }
    assert 300 <= len(LISTING.all()) <= 1200


def test_contracts_end_on_their_weekday_or_the_trading_day_before():
    ends = {
        "NFO:NIFTY26APRFUT": date(2026, 4, 28),
        "NFO:NIFTY26MAYFUT": date(2026, 5, 26),
        "NFO:NIFTY26JUNFUT": date(2026, 6, 30),
        "BFO:SENSEX26MAYFUT": date(2026, 5, 27),  # the 28th is a holiday
        "NFO:INFY26APRFUT": date(2026, 4, 28),
        "CDS:USDINR26APRFUT": date(2026, 4, 28),
        "MCX:CRUDEOIL26APRFUT": date(2026, 4, 20),
    }
    assert {key: LISTING.by_key(key).instrument.expiry for key in ends} == ends
    weekly = {
        listed.instrument.expiry
        for listed in LISTING.all()
        if listed.key.startswith(("NFO:NIFTY264", "NFO:NIFTY265"))
    }
    assert weekly == {date(2026, 4, 21), date(2026, 5, 5)}


def test_contracts_have_the_lots_ticks_and_multipliers_of_2026():
    found = {}
    for key in ("NFO:NIFTY26APRFUT", "NFO:BANKNIFTY26APRFUT", "BFO:SENSEX26APRFUT", "MCX:GOLD26JUNFUT"):
        listed = LISTING.by_key(key)
        found[key] = listed.instrument.lot_size, listed.instrument.tick_size, listed.multiplier
    assert found == {
        "NFO:NIFTY26APRFUT": (65, Money("0.10"), 1),
        "NFO:BANKNIFTY26APRFUT": (30, Money("0.20"), 1),
        "BFO:SENSEX26APRFUT": (20, Money("0.05"), 1),
        "MCX:GOLD26JUNFUT": (1, Money(1), 100),
    }


def test_a_chain_has_both_kinds_at_every_strike_around_the_money():
    chain = [each for each in LISTING.all() if each.key.startswith("NFO:BANKNIFTY26APR5")]
    strikes = {(each.strike, each.instrument.instrument_type) for each in chain if each.strike}
    middle = LISTING.by_key("NSE:NIFTY BANK").close
    assert {kind for _, kind in strikes} == {"CE", "PE"}
    assert min(strikes)[0] < middle < max(strikes)[0]
    assert all(
        each.instrument.tradingsymbol.endswith(f"{each.strike:.0f}{each.instrument.instrument_type}")
        for each in chain
        if each.strike
    )


def test_invented_names_fill_the_list_up_and_leave_the_rest_as_it_was():
    more = open_market(Options(instruments=3000)).listing.all()
    assert len(more) == 3000
    assert list(more[: len(LISTING.all())]) == list(LISTING.all())

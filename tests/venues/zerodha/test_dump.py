"""The day's instrument list: what is read of it, and everything for which it is not taken."""

import gzip
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listings import CALL, DAY, INFY, INFY_FUT, NIFTY_50, NIFTY_FUT, ROWS, TINY, changed, csv_of, share
from msgspec.structs import replace

from alphapanda.events import INDEX, Instrument, KnownDump, Money
from alphapanda.venues.zerodha.dump import HEADER, BadDump, changes, circuits, read_dump, relisted

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
MOCK = DATA / "kite-mocks" / "instruments_nse.csv"
REAL = DATA / "instruments" / "kite_instruments_NFO_BFO_2026-08-18.csv.gz"


def read(rows=ROWS, last=None, **fields):
    body = rows if isinstance(rows, bytes) else csv_of(rows)
    return read_dump(body, fields.pop("day", DAY), last, **{"least": 1} | fields)


def refusal(*args, **fields):
    with pytest.raises(BadDump) as caught:
        read(*args, **fields)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"the instrument list of {fields.get('day', DAY)} was not taken: ")
    return line.partition(": ")[2]


def known(dump, **fields):
    segments = dict(Counter(row.segment for row in dump.rows))
    return replace(KnownDump(dump.day, True, len(dump.rows), dump.size, dump.sha256, 0, segments), **fields)


def of(dump, key):
    (found,) = (row for row in dump.rows if row.key == key)
    return found


def test_every_row_is_read_with_what_an_order_needs():
    dump = read()
    assert [row.key for row in dump.rows[:3]] == ["NSE:INFY", "NSE:TINY", "NSE:NIFTY 50"]
    assert of(dump, "NFO:NIFTY26APR24500CE").instrument(DAY) == Instrument(
        14866946,
        "NFO",
        "NIFTY26APR24500CE",
        tick_size=Money("0.05"),
        lot_size=65,
        instrument_type="CE",
        name="NIFTY",
        expiry=date(2026, 4, 28),
        listed_on=DAY,
    )
    assert (dump.day, dump.size, dump.set_aside) == (DAY, len(csv_of()), ())


def test_a_share_is_not_called_by_its_company_and_knows_whether_there_are_futures_on_it():
    dump = read()
    infy, tiny = (of(dump, key).instrument(DAY) for key in ("NSE:INFY", "NSE:TINY"))
    assert (infy.name, infy.derivatives, infy.tick_size) == ("", True, Money("0.1"))
    assert tiny.derivatives is False
    assert of(read([INFY, TINY]), "NSE:INFY").derivatives is None


def test_an_index_is_quoted_and_not_traded():
    index = of(read(), "NSE:NIFTY 50").instrument(DAY)
    assert (index.instrument_type, index.lot_size) == (INDEX, 1)
    assert index.tick_size > 0


def test_line_ends_of_windows_and_names_with_commas_are_read():
    body = csv_of([INFY, changed(TINY, name='"TINY, LIMITED"')]).replace(b"\n", b"\r\n")
    assert of(read(body), "NSE:TINY").name == "TINY, LIMITED"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "its header is not the known one but ''"),
        (b"<html>Bad gateway</html>\n", "its header is not the known one but '<html>Bad gateway</html>'"),
        (csv_of().replace(b"lot_size", b"lots", 1), "its header is not the known one"),
        (f"{HEADER}\n".encode(), "it has no rows"),
        (csv_of()[:-1], "its last line is cut off"),
        (csv_of()[:-20], "its last line is cut off"),
        (csv_of([INFY, "1,2,3"]), "line 3 has 3 columns, not 12"),
        (csv_of([INFY, f"{TINY},x"]), "line 3 has 13 columns, not 12"),
        (csv_of([INFY, changed(TINY, name='"TINY')]), "after line 2: unexpected end of data"),
        (csv_of([INFY]) + b"\xff\n", "it is no text at byte"),
    ],
)
def test_what_is_not_whole_is_not_taken(body, said):
    assert refusal(body).startswith(said)


@given(st.integers(0, len(csv_of()) - 1))
def test_a_list_that_is_cut_anywhere_is_refused_or_is_one_of_whole_rows(cut):
    """What ends at the end of a line by chance is told by its size beside the list before."""
    body = csv_of()[:cut]
    if body.endswith(b"\n") and body.count(b"\n") > 1:
        assert csv_of().startswith(body)
        assert len(read(body).rows) == body.count(b"\n") - 1
    else:
        refusal(body)


@given(st.binary(max_size=300))
def test_noise_is_refused_in_one_line(noise):
    refusal(noise)
    refusal(csv_of() + noise + b",\n")


def test_too_few_rows_are_no_list():
    assert refusal(least=20_000) == "6 rows are too few to be all, at least 20,000 are"
    before = known(read(), rows=13)
    assert refusal(last=before) == "6 rows are under half of the 13 of 2026-04-15"
    assert read(last=replace(before, rows=12)).rows


def test_a_segment_that_is_gone_makes_it_no_list():
    many = [share(number) for number in range(300)]
    before = known(read([*many, *(share(n, exchange="BSE", segment="BSE") for n in range(300, 400))]))
    assert refusal(many, last=before) == "0 rows of BSE are under half of the 100 of 2026-04-15"
    few = known(read([*many, *(share(n, exchange="BSE", segment="BSE") for n in range(300, 399))]))
    assert len(read(many, last=few).rows) == 300


def test_a_contract_that_has_expired_makes_it_the_list_of_an_earlier_day():
    ended = changed(CALL, expiry="2026-04-14")
    assert refusal([INFY, ended]) == ("it is of an earlier day: NFO:NIFTY26APR24500CE expired on 2026-04-14")
    assert read([INFY, changed(CALL, expiry="2026-04-15")]).rows
    assert read([INFY, ended], day=DAY - timedelta(days=1)).rows


@pytest.mark.parametrize(
    "fields",
    [
        {"instrument_token": 0},
        {"instrument_token": -5},
        {"instrument_token": 2**32},
        {"instrument_token": "many"},
        {"exchange_token": ""},
        {"exchange_token": 2**63},
        {"exchange_token": -1},
        {"lot_size": 2**63},
        {"strike": "1E+400"},
        {"tradingsymbol": " "},
        {"tradingsymbol": "NSE:INFY"},
        {"exchange": ""},
        {"tick_size": 0.0},
        {"tick_size": -0.05},
        {"tick_size": "nan"},
        {"tick_size": "a tick"},
        {"strike": "inf"},
        {"lot_size": 0},
        {"lot_size": "1.5"},
        {"expiry": "soon"},
        {"instrument_type": "SWAP"},
        {"instrument_type": "FUT"},
    ],
)
def test_an_odd_row_is_set_aside_and_named_and_the_others_stay(fields):
    dump = read([changed(TINY, **fields), INFY])
    assert [row.key for row in dump.rows] == ["NSE:INFY"]
    (said,) = dump.set_aside
    assert "line 2" in said


def test_many_odd_rows_are_a_bad_list():
    odd = [share(number, tick_size=0) for number in range(11)]
    assert refusal([*odd, INFY]) == "11 rows are odd, the first: line 2 (NSE:S0): tick size 0 and lot size 1"
    assert len(read([*odd[:10], INFY]).set_aside) == 10


def test_a_token_of_two_symbols_is_traded_under_neither():
    dump = read([INFY, TINY, changed(NIFTY_FUT, instrument_token=408065)])
    assert [row.key for row in dump.rows] == ["NSE:TINY"]
    assert dump.set_aside == (
        "NSE:INFY: its token 408065 is also another's",
        "NFO:NIFTY26APRFUT: its token 408065 is also another's",
    )


def test_a_symbol_that_is_there_twice_is_not_traded():
    dump = read([INFY, TINY, changed(INFY, instrument_token=7)])
    assert [row.key for row in dump.rows] == ["NSE:TINY"]
    assert dump.set_aside == ("NSE:INFY is there 2 times",) * 2


tokens = st.dictionaries(st.integers(1, 60), st.integers(1, 40).map("S{}".format), max_size=40)


@given(tokens, tokens)
def test_what_has_moved_between_two_lists_is_named(before, now):
    """(each row a token and a symbol) No token or symbol that is there twice is in a list."""

    def unlike(listed):
        names = Counter(listed.values())
        return {token: name for token, name in listed.items() if names[name] == 1}

    before, now = unlike(before), unlike(now)
    if not now:
        return
    dump = read([changed(INFY, instrument_token=token, tradingsymbol=name) for token, name in now.items()])
    moved, reused = changes({f"NSE:{name}": token for token, name in before.items()}, dump)
    had, has = ({name: token for token, name in listed.items()} for listed in (before, now))
    assert set(moved) == {
        f"NSE:{name} had {had[name]}, has {has[name]}"
        for name in has
        if had.get(name, has[name]) != has[name]
    }
    assert set(reused) == {
        f"{token} was NSE:{before[token]}, is NSE:{name}"
        for token, name in now.items()
        if before.get(token, name) != name
    }


def quote(token, lower="90.5", upper=110.25):
    return SimpleNamespace(instrument_token=token, lower_circuit_limit=lower, upper_circuit_limit=upper)


def test_circuit_limits_come_from_quotes_and_only_news_are_told():
    infy, tiny, index = (row.instrument(DAY) for row in read([INFY, TINY, NIFTY_50]).rows)
    quotes = {"NSE:INFY": quote(408065), "NSE:NIFTY 50": quote(256265, 0, None)}
    (limited,) = circuits([infy, tiny, index], quotes)
    assert (limited.lower_circuit_limit, limited.upper_circuit_limit) == (Money("90.5"), Money("110.25"))
    assert limited.listed_on == DAY
    assert circuits([limited], quotes) == []
    (unlimited,) = circuits([limited], {"NSE:INFY": quote(408065, Money("NaN"), "Infinity")})
    assert (unlimited.lower_circuit_limit, unlimited.upper_circuit_limit) == (None, None)


@pytest.mark.parametrize("strike", ["24500", "24500.0", "24500.00", "2.4500E4", "0.00000245E10"])
def test_a_number_is_the_same_however_it_is_written(strike):
    assert read([changed(CALL, strike=strike)]).rows[0].strike == Money(24_500)


def test_a_quote_with_another_token_says_that_the_list_is_wrong():
    (infy,) = (row.instrument(DAY) for row in read([INFY]).rows)
    (wrong,) = circuits([infy], {"NSE:INFY": quote(7)})
    assert wrong.listed_on is None


def test_a_run_that_goes_on_hears_what_the_new_list_has_under_the_tokens_that_it_knows():
    infy, tiny, future = (row.instrument(DAY) for row in read([INFY, TINY, INFY_FUT]).rows)
    limited = replace(infy, upper_circuit_limit=Money(2000))
    later = DAY + timedelta(days=1)
    now = [
        row.instrument(later)
        for row in read([changed(INFY, tick_size=0.5), changed(TINY, instrument_token=9)]).rows
    ]
    assert relisted([limited, tiny, future], now) == [
        replace(limited, tick_size=Money("0.5"), listed_on=later, derivatives=None),
        replace(tiny, listed_on=None),
        replace(future, listed_on=None),
    ]


@pytest.mark.skipif(not MOCK.is_file(), reason="Kite's own mock is not beside the repository")
def test_kites_mock_is_read():
    dump = read(MOCK.read_bytes())
    assert (len(dump.rows), dump.set_aside) == (99, ())
    assert of(dump, "NSE:CENTRALBK-BE").instrument_token == 3813889


@pytest.mark.skipif(not REAL.is_file(), reason="the real list is not beside the repository")
def test_a_real_list_of_derivatives_is_read_whole():
    body = gzip.decompress(REAL.read_bytes())
    dump = read(body, day=date(2026, 8, 18), least=20_000)
    assert (len(dump.rows), dump.set_aside) == (39_941, ())
    assert of(dump, "NFO:NIFTY26AUGFUT").lot_size == 65
    assert "it is of an earlier day" in refusal(body, day=date(2026, 8, 19))

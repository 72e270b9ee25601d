"""`instruments search`: tables that fit, and words that mean nothing."""

import asyncio
import json

import pytest
from listings import CALL, DAY, INFY, ROWS, changed, csv_of
from running import write_config
from typer.testing import CliRunner

from alphapanda.cli.app import app
from alphapanda.store import Store, instruments
from alphapanda.venues.zerodha.dump import read_dump

LONG = "A COMPANY WITH A NAME THAT NO COLUMN OF A TABLE WOULD EVER HOLD AND LIMITED AT ITS END"


@pytest.fixture
def search(tmp_path, monkeypatch):
    """`instruments search` over six rows and a share with a long name."""
    monkeypatch.setenv("ALPHAPANDA_CONFIG", str(write_config(tmp_path)))
    monkeypatch.chdir(tmp_path)
    rows = (*ROWS, changed(INFY, instrument_token=9, tradingsymbol="LONGNAMEDSHARE-BE", name=LONG))

    async def main():
        (tmp_path / "var").mkdir()
        async with Store(tmp_path / "var" / "alphapanda.db") as store:
            await instruments.keep(store, read_dump(csv_of(rows), DAY, least=1), rehearsal=False)

    asyncio.run(main())
    return lambda *words: CliRunner().invoke(app, ["instruments", "search", *words])


def test_a_table_fits_whatever_a_company_is_called(search):
    lines = search("").stdout.splitlines()
    assert lines[0] == "Listed on 2026-04-15: 7 instruments"
    assert max(map(len, lines)) <= 100
    assert any("NSE:LONGNAMEDSHARE-BE" in line for line in lines)
    (index,) = (line for line in lines if line.startswith("NSE:NIFTY 50"))
    assert index.split()[2:] == ["NIFTY", "50", "index", "-", "-", "-", "-", "256265"]


def test_the_document_has_numbers_and_truths(search):
    (call,) = json.loads(search("24500", "--json").stdout)["instruments"]
    assert (call["strike"], call["tick_size"], call["lot_size"], call["derivatives"]) == (
        24500,
        0.05,
        65,
        None,
    )
    (infy,) = json.loads(search("nse:infy", "--json").stdout)["instruments"]
    assert infy["derivatives"] is True


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--type", "CE"), ["NIFTY26APR24500CE"]),
        (("--type", "FUT", "--limit", "1"), ["INFY26APRFUT"]),
        (("--exchange", "nfo", "--expiry", "2026-04-28", "--type", "PE"), []),
    ],
)
def test_what_is_found_is_narrowed(search, words, found):
    document = json.loads(search("", *words, "--json").stdout)
    assert [row["tradingsymbol"] for row in document["instruments"]] == found
    assert document["day"] == "2026-04-15"


@pytest.mark.parametrize(
    "words", [("--type", "SWAP"), ("--expiry", "soon"), ("--limit", "0"), ("--limit", "x")]
)
def test_what_makes_no_sense_is_a_wrong_use(search, words):
    assert search("infy", *words).exit_code == 2


def test_the_row_that_the_tests_share_is_there(search):
    assert CALL.split(",")[2] in search("ce").stdout

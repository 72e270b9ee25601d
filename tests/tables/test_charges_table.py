"""The table of charges against vectors worked out by hand, Kite's own answers and a contract note."""

import json
from datetime import date
from itertools import combinations
from pathlib import Path

import pytest

from alphapanda.core.charges import Part
from alphapanda.core.segments import Segment, segment_of
from alphapanda.events import Instrument, Money, TransactionType
from alphapanda.tables import charge_rates, tariff

ANSWERS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kite-mocks"
EXACT = Money("1e-9")
JUNE_2026 = date(2026, 6, 1)
JULY_2023 = date(2023, 7, 14)
JANUARY_2023 = date(2023, 1, 16)

VECTORS = """
NSE equity  CNC  BUY  15000   | 0   15   0.4605   0.015  0.0855873  2.25  17.8110873
NSE equity  CNC  SELL 15000   | 0   15   0.4605   0.015  0.0855873  0     15.5610873
NSE equity  MIS  BUY  15000   | 4.5 0    0.4605   0.015  0.8955873  0.45  6.3210873
NSE equity  MIS  SELL 15000   | 4.5 3.75 0.4605   0.015  0.8955873  0     9.6210873
NFO futures NRML BUY  1690000 | 20  0    30.927   1.69   9.4707558  33.8  95.8877558
NFO futures NRML SELL 1690000 | 20  845  30.927   1.69   9.4707558  0     907.0877558
NFO options NRML BUY  6500    | 20  0    2.30945  0.0065 4.01686983 0.195 26.52781983
NFO options NRML SELL 6500    | 20  9.75 2.30945  0.0065 4.01686983 0     36.08281983
"""
NOTES = """
2023-07-14 NSE equity            CNC  BUY  560  | 0      0.56   0.01876  0.00056  0.0033768  0.084  0.5826968
2023-07-14 MCX commodity_futures NRML SELL 5862 | 1.7586 0.5862 0.152412 0.005862 0.34503732 0      2.84811132
2023-07-14 NFO options           NRML BUY  150  | 20     0      0.07575  0.00015  3.613527   0.0045 23.689427
"""
"""A virtual contract note of July 2023. Its stamp duty is rounded to the rupee, here to none: so the total,
the last column, is without any. The column before it is the duty by the rate."""


def columns(line):
    """The sheet that the line asks for, and its figures; the exchange's is with IPFT, as Kite shows it."""
    asked, figures = line.split("|")
    *day, exchange, segment, product, side, turnover = asked.split()
    on = date.fromisoformat(day[0]) if day else JUNE_2026
    sheet = tariff().sheet(exchange, Segment(segment), product, TransactionType(side), Money(turnover), on)
    return sheet, [Money(figure) for figure in figures.split()]


def seen(sheet):
    return [sheet.brokerage, sheet.stt, sheet.exchange + sheet.ipft, sheet.sebi, sheet.gst, sheet.stamp]


def close(found, expected):
    return len(found) == len(expected) and all(
        abs(one - other) < EXACT for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("line", VECTORS.strip().splitlines())
def test_the_rates_of_2026_give_the_figures_worked_out_by_hand(line):
    sheet, figures = columns(line)
    assert close([*seen(sheet), sheet.total], figures)


@pytest.mark.parametrize("line", NOTES.strip().splitlines())
def test_the_rates_of_july_2023_give_a_virtual_contract_note_of_that_month_but_for_stamp_duty(line):
    sheet, figures = columns(line)
    assert close([*seen(sheet), sheet.total - sheet.stamp], figures)
    assert round(sheet.stamp) == 0  # the note's: to the whole rupee


def test_a_future_sold_in_june_2024_costs_what_its_contract_note_says():
    """But for GST: that note has IPFT in its base."""
    sheet = tariff().sheet(
        "NFO", Segment.FUTURES, "NRML", TransactionType.SELL, Money(727_200), date(2024, 6, 12)
    )
    paise = [round(figure, 2) for figure in seen(sheet)]
    assert [str(figure) for figure in paise] == ["20.00", "90.90", "14.40", "0.73", "6.19", "0.00"]


def answered(name):
    path = ANSWERS / name
    if not path.is_file():
        pytest.skip(f"Kite's answer is not here: {path}")
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Money, parse_int=Money)["data"]


def figures_of(charges):
    names = ("brokerage", "transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge")
    return [*(charges[name] for name in names), charges["gst"]["total"]]


def figures_without_ipft(sheet):
    """The margin answers of 2023 have none."""
    return [sheet.brokerage, sheet.stt, sheet.exchange, sheet.sebi, sheet.gst]


def test_kites_answer_on_a_share_of_january_2023_is_met_but_for_its_paisa_of_brokerage():
    (answer,) = answered("order_margins.json")
    sheet = tariff().sheet("NSE", Segment.EQUITY, "CNC", TransactionType.BUY, answer["total"], JANUARY_2023)
    # A contract note of delivery has at least one paisa of brokerage, which is a note's and not an order's.
    paisa, gst = Money("0.01"), Money("0.0018")
    expected = figures_without_ipft(sheet)
    expected[0] += paisa
    expected[-1] += gst
    charges = answer["charges"]
    assert close(figures_of(charges), expected)
    assert charges["stamp_duty"] == Money("0.22") == round(sheet.stamp, 2)
    stamp_rounding = sheet.stamp - charges["stamp_duty"]
    assert stamp_rounding == Money("0.0047")
    assert abs(sheet.total - sheet.ipft + paisa + gst - stamp_rounding - charges["total"]) < EXACT


@pytest.mark.parametrize(
    ("number", "side", "turnover", "stamp"), [(0, "SELL", "2673.75", "0"), (1, "BUY", "521.25", "0.0156375")]
)
def test_kites_answer_on_options_of_july_2023_is_met_but_for_stamp_duty(number, side, turnover, stamp):
    answer = answered("basket_margins.json")["orders"][number]
    traded = Instrument(1, answer["exchange"], answer["tradingsymbol"])
    sheet = tariff().sheet(
        traded.exchange, segment_of(traded), "NRML", TransactionType(side), Money(turnover), JULY_2023
    )
    charges = answer["charges"]
    assert close(figures_of(charges), figures_without_ipft(sheet))
    assert (charges["stamp_duty"], sheet.stamp) == (0, Money(stamp))  # rounded to the rupee there
    assert abs(sheet.total - sheet.ipft - sheet.stamp - charges["total"]) < EXACT


@pytest.mark.parametrize(
    ("day", "exchange", "segment", "percents"),
    [
        ("2023-03-31", "NSE", "equity", "0.00345 0.0000001"),
        ("2023-04-01", "NSE", "equity", "0.00325 0.0001"),
        ("2024-09-30", "NSE", "equity", "0.00322 0.0001"),
        ("2024-10-01", "NSE", "equity", "0.00297 0.0001"),
        ("2026-02-28", "NSE", "equity", "0.00297 0.0001"),
        ("2026-03-01", "NSE", "equity", "0.0030699 0.0000001"),
        ("2024-09-30", "NFO", "options", "0.0495 0.0005 0.0625"),
        ("2024-10-01", "NFO", "options", "0.03503 0.0005 0.1"),
        ("2026-03-31", "NFO", "options", "0.0355299 0.0000001 0.1"),
        ("2026-04-01", "NFO", "options", "0.0355299 0.0000001 0.15"),
        ("2024-09-30", "NFO", "futures", "0.00188 0.0001 0.0125"),
        ("2026-03-31", "NFO", "futures", "0.0018299 0.0000001 0.02"),
        ("2026-04-01", "NFO", "futures", "0.0018299 0.0000001 0.05"),
        ("2026-06-01", "BSE", "equity", "0.00375 0"),
        ("2026-06-01", "BFO", "futures", "0 0 0.05"),
        ("2026-06-01", "BFO", "options", "0.0325 0 0.15"),
        ("2026-06-01", "CDS", "currency_options", "0.0311 0 0"),
        ("2026-06-01", "MCX", "commodity_options", "0.0418 0 0.05"),
    ],
)
def test_a_change_of_rates_counts_from_its_day(day, exchange, segment, percents):
    """Exchange and IPFT of a sale, and STT where it has changed, as percents."""
    sheet = tariff().sheet(
        exchange, Segment(segment), "NRML", TransactionType.SELL, Money(100), date.fromisoformat(day)
    )
    expected = [Money(percent) for percent in percents.split()]
    assert [sheet.exchange, sheet.ipft, sheet.stt][: len(expected)] == expected


def test_fund_units_pay_the_tax_of_funds():
    def stt(product, side):
        return (
            tariff().sheet("NSE", Segment.ETF, product, TransactionType(side), Money(100_000), JUNE_2026).stt
        )

    assert [stt(p, s) for p in ("CNC", "MIS") for s in ("BUY", "SELL")] == [0, 1, 0, 25]


def test_the_depository_charges_its_rate_of_the_day():
    days = (date(2024, 9, 30), date(2024, 10, 1), JUNE_2026)
    assert [str(tariff().dp("NSE", Segment.EQUITY, day)) for day in days] == ["15.93", "15.34", "15.34"]


def test_every_row_has_a_source_and_no_two_rows_fight():
    rows = charge_rates()
    assert all(row.source.strip() for row in rows)
    assert {row.part for row in rows} == set(Part)
    for one, other in combinations(rows, 2):
        if (one.part, one.effective_from) == (other.part, other.effective_from):
            apart = (
                (one.exchanges and other.exchanges and not {*one.exchanges} & {*other.exchanges})
                or (one.segments and other.segments and not {*one.segments} & {*other.segments})
                or {one.trade, other.trade} == {"delivery", "intraday"}
                or {one.side, other.side} == {"BUY", "SELL"}
            )
            assert apart, f"both count on {one.effective_from}: {one} {other}"


@pytest.mark.parametrize("exchange", ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"])
def test_both_segments_of_an_exchange_have_rates(exchange):
    kinds = ("INFY", "NIFTYBEES") if exchange in ("NSE", "BSE") else ("X26DECFUT", "X26DEC100CE")
    for symbol in kinds:
        assert tariff().knows(exchange, segment_of(Instrument(1, exchange, symbol)))

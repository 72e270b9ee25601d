"""Tables and figures for people: nothing is cut, nothing is wider than it must be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.cli import output
from alphapanda.cli.output import coloured, counted, print_table, profit, rupees, wrapped

COLUMNS = ["order", "broker", "strategy", "symbol", "qty", "price", "profit", "why"]
ROW = ["O000001", "paper", "momentum_1", "BAJAJ-AUTO", "1,000", "₹12,34,567.50", "-₹98,76,543.21", ""]


@pytest.fixture
def table(monkeypatch, capsys):
    """The lines of a table, with colours off, on a terminal of so many columns."""

    def printed(room, rows, **changes):
        monkeypatch.setattr(output, "width", lambda: room)
        shape = {
            "numbers": ["qty", "price"],
            "profits": ["profit"],
            "whole": ["order"],
            "spare": ["broker", "strategy"],
            "below": "why",
        }
        print_table("2 orders", COLUMNS, rows, **shape | changes)
        return capsys.readouterr().out.splitlines()

    return printed


def changed(**values):
    return [values.get(name, cell) for name, cell in zip(COLUMNS, ROW, strict=True)]


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "₹0.00"),
        (-0.001, "₹0.00"),
        (999.999, "₹1,000.00"),
        (-1234.5, "-₹1,234.50"),
        (123456.5, "₹1,23,456.50"),
        (12345678.9, "₹1,23,45,678.90"),
        (1234567890.12, "₹1,23,45,67,890.12"),
        (None, "-"),
    ],
)
def test_rupees_are_grouped_by_three_and_then_by_twos(amount, shown):
    assert rupees(amount) == shown


@given(st.integers(-(10**13), 10**13))
def test_grouping_keeps_every_digit(paise):
    shown = rupees(paise / 100)
    assert float(shown.replace("₹", "").replace(",", "")) == paise / 100
    assert re.fullmatch(r"-?₹(\d{1,2},)*\d{1,3}\.\d\d", shown)


def test_a_profit_says_which_way_it_went():
    assert [profit(amount) for amount in (5.0, -5.0, 0.0, 0.001, None)] == [
        "+₹5.00",
        "-₹5.00",
        "₹0.00",
        "₹0.00",
        "-",
    ]
    assert (counted(1, "trade"), counted(1200, "trade")) == ("1 trade", "1,200 trades")


def test_a_table_that_fits_shows_every_column(table):
    title, head, rule, row, end = table(100, [ROW])
    assert title == "2 orders"
    assert head.split() == COLUMNS
    assert row.split() == [cell for cell in ROW if cell]
    assert set(rule) == {"─"}
    assert end == ""
    for name in ("qty", "price", "profit"):  # set right, so that figures stand under each other
        cell = ROW[COLUMNS.index(name)]
        assert row.index(cell) + len(cell) == head.index(name) + len(name)


def test_a_column_with_one_value_moves_to_the_title_when_room_is_short(table):
    title, head, *_ = table(80, [ROW, changed(strategy="breakout")])
    assert title == "2 orders · broker paper"
    assert "broker" not in head
    assert "strategy" in head


def test_a_column_with_several_values_is_left_out_and_the_title_says_so(table):
    rows = [ROW, changed(broker="zerodha", strategy="breakout")]
    title, head, *_ = table(76, rows)
    assert title == "2 orders · not shown: broker"
    assert "strategy" in head
    title, head, *_ = table(64, rows)
    assert title == "2 orders · not shown: broker, strategy"
    assert max(map(len, table(64, rows))) <= 64


WHY = "max_order_quantity: a quantity of 2000 is over the limit of 1000"


def test_a_long_reason_stands_under_its_row(table):
    lines = table(100, [changed(why=WHY), changed(why="short")])
    assert "why" in lines[1]
    assert lines[3].endswith(ROW[-2])
    assert lines[4] == f"    {WHY}"
    assert lines[5].endswith("short")
    narrow = table(80, [changed(why=WHY, strategy="breakout"), changed(why="short")])
    assert "why" not in narrow[1]
    assert narrow[4] == f"    {WHY}"
    assert narrow[6] == "    short"


def test_figures_and_ids_are_whole_even_where_nothing_fits(table):
    figures = {ROW[COLUMNS.index(name)] for name in ("order", "qty", "price", "profit")}
    assert any(figures <= set(line.split()) for line in table(20, [ROW]))


def test_a_text_is_folded_only_when_no_column_can_go(table):
    lines = table(72, [changed(strategy="s" * 32)], spare=[])
    assert sum(line.count("s" * 8) for line in lines) > 1
    assert sum(line.count("s") for line in lines[3:]) == 32
    assert all(figure in lines[3] for figure in ROW[4:7])


def test_a_title_that_has_much_to_say_takes_two_lines(table):
    lines = table(40, [changed(strategy="s" * 32)])
    assert lines[0] == "2 orders · broker paper · strategy"
    assert lines[1] == "s" * 32


def test_an_empty_table_is_its_title(table):
    assert table(80, []) == ["2 orders", ""]


def test_a_cell_cannot_speak_to_the_terminal(table):
    text = "\n".join(table(100, [changed(strategy="a\x1b[2Jb\rc\n")]))
    assert "\x1b" not in text
    assert "\r" not in text


def test_a_text_that_is_not_there_leaves_no_line_below(table):
    lines = table(64, [changed(why=None), changed(why=None, price=None)])
    assert len(lines) == 6
    assert lines[4].split()[-2] == "-"


def test_nothing_is_coloured_unless_it_is_seen():
    assert coloured("halted", "yellow") == "halted"
    assert coloured("-", "") == "-"


@given(st.text(st.sampled_from("ab é₹日 "), max_size=60), st.integers(2, 30))
def test_wrapped_text_keeps_its_letters_and_fits(text, room):
    lines = wrapped(text, room)
    assert all(output._width(line) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


cells = st.tuples(
    st.sampled_from(["O000001", "O1234567"]),
    st.sampled_from(["paper", "zerodha"]),
    st.text("abc_", min_size=1, max_size=32),
    st.sampled_from(["M&M", "NIFTY24DEC24000CE"]),
    st.integers(0, 10**6).map(str),
    st.integers(0, 10**9).map(rupees),
    st.integers(-(10**9), 10**9).map(profit),
    st.text("abc ", max_size=90),
).map(list)


@given(st.lists(cells, max_size=6), st.sampled_from([80, 100, 120]))
def test_a_terminal_of_80_columns_is_wide_enough_for_any_row(rows, room):
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "width", lambda: room)
        patch.setattr(output, "put", shown.append)
        print_table(
            "t",
            COLUMNS,
            rows,
            numbers=["qty", "price"],
            profits=["profit"],
            whole=["order"],
            spare=["broker", "strategy"],
            below="why",
        )
    assert max(map(len, shown)) <= room
    for row in rows:
        figures = [row[0], *row[4:7]]
        assert any(set(figures) <= set(line.split()) for line in shown), figures

"""Six mistakes that lose money, seeded one by one: the judge names the invariant that each of them breaks."""

import pytest
from exchange_server import exchange_server
from seeded_bugs import BUGS, TOKEN, flooded, left_alone, tried


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange"), "--access-token", TOKEN) as server:
        yield server


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught_by_its_invariant(tmp_path, exchange, bug):
    found = tried(tmp_path, exchange, bug)
    assert BUGS[bug] in {each.invariant for each in found.broken}, found


def test_a_day_without_a_bug_is_clean_in_every_situation(tmp_path, exchange):
    found = left_alone(tmp_path, exchange)
    assert found.broken == []
    assert found.undecided.keys() == {"I18", "I19"}


def test_a_flood_without_a_bug_is_clean(tmp_path):
    found = flooded(tmp_path, None)
    assert found.broken == []
    assert "I10" in found.decided

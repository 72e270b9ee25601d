"""Which connection carries which instrument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.errors import CannotStart
from alphapanda.venues.zerodha.shards import shards

tokens = st.lists(st.integers(1, 40), max_size=40)


@given(tokens)
def test_every_token_is_carried_once_and_no_connection_has_too_many(wanted):
    carried = shards(wanted, 8, 5)
    assert sorted(token for shard in carried for token in shard) == sorted(set(wanted))
    assert all(len(shard) <= 5 for shard in carried)
    assert len(carried) == max(1, -(-len(set(wanted)) // 5)), "no connection more than it needs"


@given(tokens, tokens)
def test_a_token_more_moves_no_other(before, more):
    first, then = shards(before, 8, 5), shards([*before, *more], 8, 5)
    assert all(new[: len(old)] == old for old, new in zip(first, then, strict=False))


def test_kites_own_limits():
    assert [len(shard) for shard in shards(range(9_000))] == [3_000, 3_000, 3_000]
    with pytest.raises(CannotStart, match=r"9,001 instruments .* 9,000 \(3 connections of 3,000\)"):
        shards(range(9_001))


def test_without_instruments_one_connection_hears_of_orders():
    assert shards(()) == ((),)

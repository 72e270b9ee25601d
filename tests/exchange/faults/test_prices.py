import pytest

from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.prices import LARGEST, Prices, crossable
from alphapanda.exchange.market.quote import Quote

SHARE, INDEX = 408_065, 256_265


def quote(**changes):
    shown = {
        "token": SHARE,
        "divisor": 100,
        "last": 157_000,
        "close": 156_000,
        "time_s": 1_776_224_700,
        "bids": [(5, 156_990, 1), (7, 156_980, 2)],
        "asks": [(9, 157_010, 3)],
    } | changes
    return Quote(**shown)


def spoil(do, shown, point="tick", prices=None, **parameters):
    return (prices or Prices()).spoil(shown, Fault(do=do, number=1, **parameters), point)


def word(packet, at, *, signed=False):
    return int.from_bytes(packet[at : at + 4], "big", signed=signed)


@pytest.mark.parametrize("do", ["frozen", "crossed", "zero", "negative", "absurd"])
@pytest.mark.parametrize("point", ["tick", "quote"])
def test_the_true_quote_stays_as_it_is(do, point):
    shown = quote()
    spoil(do, shown, point, factor=3.0)
    assert shown.but() == quote()


def test_a_frozen_quote_is_that_of_the_first_time_even_when_the_true_one_moves_in_place():
    prices, shown = Prices(), quote()
    first = spoil("frozen", shown, prices=prices).packet()
    shown.last, shown.encoded = 158_000, None
    shown.bids.pop()
    assert spoil("frozen", shown, prices=prices).packet() == first
    other = spoil("frozen", quote(token=SHARE + 256, last=1), prices=prices)
    assert other.last == 1


def test_a_crossed_quote_has_its_bids_above_its_asks():
    crossed = spoil("crossed", quote())
    assert crossed.bids[0][1] > crossed.asks[0][1]
    assert word(crossed.packet(), 64 + 4) > word(crossed.packet(), 124 + 4)


def test_only_a_whole_book_can_cross():
    assert crossable(quote())
    assert not crossable(quote(bids=[]))
    assert not crossable(quote(asks=[]))


def test_zero_takes_the_last_price_and_the_depth():
    zero = spoil("zero", quote())
    assert (zero.last, zero.bids, zero.asks) == (0, [(5, 0, 1), (7, 0, 2)], [(9, 0, 3)])
    assert zero.close == 156_000


def test_absurd_multiplies_and_stays_on_the_wire():
    assert spoil("absurd", quote(), factor=10.0).last == 1_570_000
    highest = spoil("absurd", quote(), factor=1000.0 * 1000)
    assert highest.last == LARGEST
    assert word(highest.packet(), 4) == LARGEST


def test_a_price_below_zero_is_a_negative_number_over_rest():
    below = spoil("negative", quote(), "quote")
    assert (below.last, below.asks) == (-157_000, [(9, -157_010, 3)])


def test_a_price_below_zero_is_in_twos_complement_on_the_wire():
    packet = spoil("negative", quote()).packet()
    assert word(packet, 4, signed=True) == -157_000
    assert word(packet, 64 + 4, signed=True) == -156_990
    assert word(packet, 124 + 4, signed=True) == -157_010
    assert word(packet, 64) == 5


def test_a_price_that_needs_all_the_bits_of_the_wire_can_be_below_zero_too():
    packet = spoil("negative", quote(last=4_000_000_000)).packet()
    assert word(packet, 4, signed=True) == -LARGEST


def test_an_index_can_be_below_zero_too():
    packet = spoil("negative", quote(token=INDEX, bids=[], asks=[])).packet()
    assert len(packet) == 32
    assert word(packet, 4, signed=True) == -157_000

"""The ticks of a minute, made before they come: prices that keep to its plan, and chance for all else."""

from array import array
from typing import NamedTuple

from alphapanda.exchange.market.chance import stream
from alphapanda.exchange.market.course import Minute
from alphapanda.exchange.market.day import Traded, TradingDay

BYTES = 5
"""Random bytes of a tick: spread and who came, volume, last quantity, and the two sides of the book."""
_MINUTES_OF_CHANCE = 2 << 24
_MINUTES_OF_A_DAY = 1440
_STRAY = (0,) * 128 + (1,) * 48 + (-1,) * 48 + (2,) * 16 + (-2,) * 16
"""How far a tick lies from the way of its minute, in price ticks."""


class MadeMinute(NamedTuple):
    """`plan` and `prices` are in ticks of the instrument; `bits` has `BYTES` bytes for each tick."""

    number: int
    plan: Minute
    prices: "array[int]"
    bits: bytes


def made_minute(traded: Traded, day: TradingDay, minute: int) -> MadeMinute:
    plan = day.plan(traded.course.minute(day.number, minute))
    chance = stream(traded.root + _MINUTES_OF_CHANCE + day.number * _MINUTES_OF_A_DAY + minute)
    ticks = traded.manner.ticks
    turn = 1 + chance.getrandbits(16) % (ticks - 3)
    back = turn + 1 + chance.getrandbits(16) % (ticks - 2 - turn)
    up = bool(chance.getrandbits(1))
    prices = _way(plan, turn, back, up, chance.randbytes(ticks))
    return MadeMinute(minute, plan, array("i", prices), chance.randbytes(BYTES * ticks))


def _way(plan: Minute, turn: int, back: int, up: bool, strays: bytes) -> list[int]:
    """The prices of a minute's ticks: from its open over both extremes to its close, and near the way.

    The extremes are reached at `turn` and `back`, the high first when it goes `up`.
    """
    opens, high, low, closes = plan[:4]
    first, second = (high, low) if up else (low, high)
    last = len(strays) - 1
    way = [opens + (first - opens) * part // turn for part in range(turn)]
    way += [first + (second - first) * part // (back - turn) for part in range(back - turn)]
    way += [second + (closes - second) * part // (last - back) for part in range(last - back)]
    prices = [
        high if (price := at + _STRAY[stray]) > high else max(price, low)
        for at, stray in zip(way, strays, strict=False)
    ]
    prices.append(closes)
    prices[0], prices[turn], prices[back] = opens, first, second
    return prices

"""One name's walk through the session: its moods, its trades and its order book.

A fair price wanders. The book stands around it, and trades happen at the best bid or the best ask. Prices are
counted in ticks of the name; every draw comes from the name's own stream.
"""

from datetime import datetime

from alphapanda.events import Depth, DepthLevel, Instrument, MarketTick
from alphapanda.venues.simulated.day import (
    ACTIVITY,
    ROOT_OF_SECONDS,
    ROUGHNESS,
    SECONDS,
    VOLUME,
    Index,
    jump,
    next_jump,
    noise,
    root,
    stream,
)
from alphapanda.venues.simulated.listing import Listing

SCALE = 0.77
"""Brings the parts below to a usual day's move of one; found by trial."""
GAP, WALK, JUMP, DRIFT = 0.3 * SCALE, 0.62 * SCALE, 0.28 * SCALE, 0.28 * SCALE
"""In usual days' moves: the own part of the opening gap, of the walk, of a jump; a trend in 20 minutes."""
MOST = 0.19
"""The furthest from yesterday's close, as a part of it: the exchange's price band is 20 percent."""
RETURN_S = 150
"""How slowly a price that reverts comes back, in seconds."""
MOOD_S = (300, 2100)
"""The least length of a mood, and what chance adds at most."""
PAUSE = (0.0, 1.4, 2.0, 3.2, 6.0)
"""Mean seconds between ticks at the busiest time, by grade."""
WIDTH = (0.0, 1.1, 1.5, 4.0, 6.0)
"""How many ticks the spread may be wider than one when the market is as rough as usual, by grade."""
QUOTED = 0.2
"""The part of ticks that change the book only, where the last price still fits between bid and ask."""
BURST = 3.45
"""A squared draw is a third on average, and ticks that change the book only trade nothing."""
ROOTS = tuple(root(seconds) for seconds in range(64))
USUAL = 0.015
"""The move at which spreads are as wide as `WIDTH` says."""


class Share:
    """`due` is the second of its next tick. `usual` is the size of a day's move, as a part of the price."""

    def __init__(
        self, listing: Listing, instrument: Instrument, *, seed: int, usual: float, index: Index
    ) -> None:
        chance = stream(seed, listing.key)
        self._chance = chance
        self._token = instrument.instrument_token
        self._grade = listing.grade
        self._tick = listing.tick
        self._usual = usual
        self._beta = listing.beta
        self._index = index.moves
        self._gap = noise(chance) * usual * GAP + index.gap * listing.beta
        # Half a tick up: without any volatility prices bounce between bid and ask.
        self._base = listing.close // listing.tick + 0.5
        self._volume_rate = listing.volume / SECONDS
        self._queue = 1 + int(self._volume_rate * 40.0)
        self._step = 1 if listing.grade < 3 else 2
        self._calm = WIDTH[listing.grade] * 0.4
        self._nerves = WIDTH[listing.grade] * 0.6 * usual / USUAL
        self._previous = 0
        self._own = 0.0
        self._jump_at = next_jump(chance, 0)
        self._mood_until = 0
        self._drift = self._pull = self._anchor = 0.0
        self._stir = 1.0
        self._close = listing.close / 100
        self._open = self._high = self._low = self._last = 0
        self._volume = 0
        self.due = self._later(0) - 1

    def tick(self, second: int, timestamp: datetime) -> MarketTick:
        """What happened since the last one; also sets when the next is due."""
        chance = self._chance.random
        if second >= self._mood_until:
            self._change_mood(second)
        roughness = ROUGHNESS[second // 60] * self._stir
        middle = self._moved(second, roughness)
        wide = chance()
        spread = 1 + int(wide * wide * (self._calm + self._nerves * roughness * roughness))
        bid = int(middle - spread * 0.5 + 0.5)
        ask = bid + spread
        if not self._volume or chance() >= QUOTED or not bid <= self._last <= ask:
            self._trade(bid, ask, middle, second)
        self._previous = second
        self.due = self._later(second)
        unit = self._tick
        return MarketTick(
            instrument_token=self._token,
            timestamp=timestamp,
            last_price=self._last * unit / 100,
            open=self._open * unit / 100,
            high=self._high * unit / 100,
            low=self._low * unit / 100,
            close=self._close,
            volume=self._volume,
            depth=self._depth(bid, ask),
        )

    def _later(self, second: int) -> int:
        pause = PAUSE[self._grade] / (ACTIVITY[second // 60] * (0.6 + 0.4 * self._stir))
        return second + 1 + int(self._chance.random() * (2.0 * pause - 1.0))

    def _change_mood(self, second: int) -> None:
        """Trend, reversion to where it stands, or quiet: by chance, for a while."""
        draw, chance = self._chance.random(), self._chance.random
        least, more = MOOD_S
        self._mood_until = second + least + int(chance() * more)
        self._drift, self._pull, self._stir = 0.0, 0.0, 1.0
        self._anchor = self._own
        if draw < 0.4:
            self._drift = jump(self._chance) * self._usual * DRIFT / 1200
        elif draw < 0.7:
            self._pull, self._stir = 1 / RETURN_S, 1.25
        else:
            self._stir = 0.5

    def _moved(self, second: int, roughness: float) -> float:
        """The fair price now, in ticks."""
        chance, passed = self._chance, second - self._previous
        own = self._own + self._drift * passed
        own += (self._anchor - own) * self._pull * passed
        own += noise(chance) * self._usual * WALK / ROOT_OF_SECONDS * roughness * ROOTS[passed]
        if second >= self._jump_at:
            leap = jump(chance) * self._usual * JUMP
            own += leap
            self._anchor += leap
            self._jump_at = next_jump(chance, second)
        shared = self._gap + self._beta * self._index[second]
        own = min(max(own, -MOST - shared), MOST - shared)
        self._own = own
        return self._base * (1.0 + shared + own)

    def _trade(self, bid: int, ask: int, middle: float, second: int) -> None:
        """A buyer pays the ask or a seller takes the bid: more often the one that is nearer."""
        chance = self._chance.random
        bought = (ask - middle) < chance() * (ask - bid)
        last = self._last = ask if bought else bid
        draw = chance()
        passed = second - self._previous
        self._volume += 1 + int(self._volume_rate * passed * VOLUME[second // 60] * BURST * draw * draw)
        if not self._open:
            self._open = self._high = self._low = last
        elif last > self._high:
            self._high = last
        elif last < self._low:
            self._low = last

    def _depth(self, bid: int, ask: int) -> Depth:
        bits, step = self._chance.getrandbits(60), self._step
        return Depth(
            self._side(bits, range(bid, bid - 5 * step, -step)),
            self._side(bits >> 30, range(ask, ask + 5 * step, step)),
        )

    def _side(self, bits: int, prices: range) -> tuple[DepthLevel, ...]:
        """Five levels of six random bits each; more waits further from the best price."""
        unit, queue, levels = self._tick, self._queue, []
        for far, price in enumerate(prices, 3):
            draw = bits & 63
            bits >>= 6
            beyond = queue * draw * far >> 7
            levels.append(DepthLevel(price * unit / 100, 1 + beyond, 1 + min(beyond, draw * far >> 3)))
        return tuple(levels)

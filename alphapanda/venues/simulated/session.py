"""SimulatedSession: one invented trading day as a finite feed, a row a second."""

from collections.abc import Generator, Iterable
from datetime import timedelta
from functools import cached_property
from hashlib import sha256

from alphapanda.events import Instrument, Money, TickBatch
from alphapanda.times import SECOND_NS, to_ns
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.simulated.day import OPENS, SECONDS, VERSION, index_of
from alphapanda.venues.simulated.listing import listing_of
from alphapanda.venues.simulated.share import Share


class SimulatedSession:
    """09:15:00 up to 15:30:00 IST of one fixed day. Each row is what Kite sends in one frame: the names that
    traded or were quoted in that second, one tick each, and none in a quiet one. So row n is the same second
    whatever names there are.

    `keys` are `EXCHANGE:SYMBOL`, in any order. `volatility` is the usual size of a name's move in a day, in
    percent. The tokens are the book's. DataError when two names have one token.
    """

    def __init__(self, keys: Iterable[str], book: InstrumentBook, *, seed: int, volatility: Money) -> None:
        self._listings = sorted({listing_of(key) for key in keys}, key=lambda listing: listing.key)
        self._instruments = [book.by_key(listing.key) for listing in self._listings]
        self._seed = seed
        self._volatility = volatility
        self._walked = 0

    @cached_property
    def identity(self) -> str:
        """Of all that changes a name's prices. Which names there are does not: who adds one to a day that is
        half walked goes on in the middle of it.
        """
        above, below = self._volatility.as_integer_ratio()
        return sha256(f"simulated {VERSION} {self._seed} {above}/{below}".encode()).hexdigest()

    def continues(self, identity: str) -> bool:
        return identity == self.identity

    def batches(self) -> Generator[TickBatch]:
        shares = self._shares()
        due: list[list[int]] = [[] for _ in range(SECONDS)]
        for number, share in enumerate(shares):
            due[share.due].append(number)
        opens_ns = to_ns(OPENS)
        met: set[int] = set()
        for second, numbers in enumerate(due):
            self._walked = second + 1
            numbers.sort()
            timestamp, ticks = OPENS + timedelta(seconds=second), []
            for number in numbers:
                share = shares[number]
                ticks.append(share.tick(second, timestamp))
                if share.due < SECONDS:
                    due[share.due].append(number)
            yield TickBatch(
                time_ns=opens_ns + second * SECOND_NS,
                ticks=tuple(ticks),
                row=second + 1,
                listed=self._listed(numbers, met) if len(met) < len(shares) else (),
            )

    def _shares(self) -> list[Share]:
        above, below = self._volatility.as_integer_ratio()
        usual = above / (below * 100)
        index = index_of(self._seed, usual)
        return [
            Share(listing, instrument, seed=self._seed, usual=usual, index=index)
            for listing, instrument in zip(self._listings, self._instruments, strict=True)
        ]

    def _listed(self, numbers: Iterable[int], met: set[int]) -> tuple[Instrument, ...]:
        new = [number for number in numbers if number not in met]
        met.update(new)
        return tuple(self._instruments[number] for number in new)

    def fraction_read(self) -> float:
        return self._walked / SECONDS

    def warnings(self) -> list[str]:
        return []

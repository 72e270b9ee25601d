"""Holdings: the shares of the demat account, those on their way into it (T1), and leave to sell them.

A CNC sale of today is a position below zero until the night: the holding shows it as `used_quantity`, settled
shares first. Sixty settled and 40 T1 of which 50 are sold are shown as 10, 40 and 50.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from alphapanda.core.segments import segment_of
from alphapanda.events import Money
from alphapanda.exchange.listing import Listed, Listing
from alphapanda.exchange.notation import number

ZERO = Money(0)
HUNDRED = Money(100)
AT_FIRST = (("NSE:ITC", 40, 0, Money("296.40")), ("NSE:TATASTEEL", 60, 40, Money("171.55")))
"""Key, settled shares, T1 shares, average price: two rows, so that holdings have some from the first day."""


def share_of(listed: Listed) -> str:
    """What a share is told apart by: its ISIN, which NSE and BSE share; its key where it has none."""
    return listed.isin or listed.key


class Holding(Struct, kw_only=True):
    """`settled` and `t1` are shares as the day began; `average_price` is of both."""

    listed: Listed
    settled: int = 0
    t1: int = 0
    average_price: Money = ZERO
    authorised: int = 0
    authorised_date: str = ""
    """When shares were last authorised, as Kite writes a time."""

    @property
    def isin(self) -> str:
        return share_of(self.listed)

    @property
    def opening(self) -> int:
        return self.settled + self.t1

    def buy(self, quantity: int, price: Money) -> None:
        """The day's purchase has become a holding, T1."""
        total = self.opening * self.average_price + quantity * price
        self.t1 += quantity
        self.average_price = total / self.opening

    def sell(self, quantity: int) -> None:
        """The day's sale has left, settled shares first."""
        settled = min(quantity, self.settled)
        self.settled -= settled
        self.t1 -= min(quantity - settled, self.t1)

    def row(self, used: int, last: Money, close: Money, today: str) -> dict[str, Any]:
        """Kite's row; `used` of it was sold today."""
        settled, t1 = self.after(used)
        change = last - close
        return {
            "tradingsymbol": self.listed.instrument.tradingsymbol,
            "exchange": self.listed.instrument.exchange,
            "instrument_token": self.listed.token,
            "isin": self.listed.isin,
            "product": "CNC",
            "price": 0,
            "quantity": settled,
            "used_quantity": used,
            "t1_quantity": t1,
            "realised_quantity": self.settled,
            "authorised_quantity": self.authorised,
            "authorised_date": self.authorised_date or f"{today} 00:00:00",
            "authorisation": {},
            "opening_quantity": self.opening,
            "short_quantity": 0,
            "collateral_quantity": 0,
            "collateral_type": "",
            "discrepancy": False,
            "average_price": number(self.average_price),
            "last_price": number(last),
            "close_price": number(close),
            "pnl": number((last - self.average_price) * (settled + t1)),
            "day_change": number(change),
            "day_change_percentage": number(change * HUNDRED / close if close else ZERO),
            "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
        }

    def after(self, used: int) -> tuple[int, int]:
        """Settled and T1 shares that are left of the day's opening."""
        return max(0, self.settled - used), self.t1 - max(0, used - self.settled)


class Holdings:
    """One row a share, whichever exchange it was bought on."""

    def __init__(self) -> None:
        self._held: dict[str, Holding] = {}

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._held.values())

    def of(self, listed: Listed) -> Holding | None:
        return self._held.get(share_of(listed))

    def by_isin(self, isin: str) -> Holding | None:
        return self._held.get(isin)

    def take(self, listed: Listed) -> Holding:
        """The holding of this share, made where there is none."""
        return self._held.setdefault(share_of(listed), Holding(listed=listed))

    def settle(self) -> None:
        """A trading day has passed: what was T1 is in the demat account."""
        for holding in self._held.values():
            holding.settled += holding.t1
            holding.t1 = 0

    def sweep(self) -> None:
        """Holdings of nothing are gone; leave to sell ends with its day."""
        self._held = {key: holding for key, holding in self._held.items() if holding.opening}
        for holding in self._held.values():
            holding.authorised = 0


def held_at_first(listing: Listing) -> Holdings:
    """What the account begins with. Where the names are not listed the first shares that are stand in, at
    yesterday's close.
    """
    holdings, wanted = Holdings(), [listing.by_key(key) for key, *_ in AT_FIRST]
    others = (
        listed
        for listed in listing.all()
        if listed.tradable
        and listed not in wanted
        and holdings.of(listed) is None
        and not segment_of(listed.instrument).derivative
    )
    for listed, (_, settled, t1, price) in zip(wanted, AT_FIRST, strict=True):
        share = listed or next(others, None)
        if share is not None:
            holding = holdings.take(share)
            holding.settled, holding.t1 = settled, t1
            holding.average_price = price if listed else share.close
    return holdings

"""Leave to sell shares from the demat account, which the depository gives for a day (CDSL, TPIN).

A request names ISINs and quantities, or nothing, which is all that is held. It is granted when its page is
opened: the depository's own pages and its PIN are not played.
"""

from collections.abc import Sequence

from alphapanda.exchange.account.holdings import Holdings
from alphapanda.exchange.calls import invalid
from alphapanda.exchange.notation import stamp, whole


class Requests:
    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._asked: dict[str, list[tuple[str, int]]] = {}

    def ask(self, isins: Sequence[str], quantities: Sequence[str]) -> str:
        """The number of the request: as long as Kite's, and counted. Refusal for what is not held."""
        if len(isins) != len(quantities):
            raise invalid("Each `isin` needs its `quantity`.")
        wanted = []
        for isin, text in zip(isins, quantities, strict=True):
            holding = self._holdings.by_isin(isin)
            if holding is None:
                raise invalid(f"Invalid `isin`: {isin} is not held.")
            quantity = whole(text.removesuffix(".0")) or 0
            if not 0 < quantity <= holding.settled:
                raise invalid(f"Invalid `quantity` for {isin}: {holding.settled} can be authorised.")
            wanted.append((isin, quantity))
        if not isins:
            wanted = [(holding.isin, holding.settled) for holding in self._holdings]
        number = f"{len(self._asked) + 1:032d}"
        self._asked[number] = wanted
        return number

    def grant(self, request_id: str, now_ns: int) -> bool:
        """False when there is no such request of today."""
        wanted = self._asked.get(request_id)
        for isin, quantity in wanted or ():
            holding = self._holdings.by_isin(isin)
            if holding is not None:
                holding.authorised = max(holding.authorised, quantity)
                holding.authorised_date = stamp(now_ns)
        return wanted is not None

    def expire(self) -> None:
        """What was asked ends with its day; the numbers are not used again."""
        self._asked = {number: [] for number in self._asked}

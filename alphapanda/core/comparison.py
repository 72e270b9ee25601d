"""Our book against the broker's, position by position, and what to do about it.

A position is told by exchange, symbol and product. Delivery shares (CNC) are told by symbol alone: bought on
one exchange, the broker may show them on the other the day after. What an account holds is ours, or it is
external: held before we came, or traded by somebody else. Both together are the broker's net position.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from alphapanda.events import (
    CNC,
    ChargesCompared,
    Compared,
    Difference,
    ExternalOrder,
    ExternalSeen,
    Fill,
    Money,
    OrderAccepted,
    OrderFound,
    Position,
)
from alphapanda.times import day_of

Key = tuple[str, str, str]
"""(exchange, tradingsymbol, product); the exchange of CNC is empty."""
Net = Mapping[Key, int]
"""Signed units; what is not there is flat."""
OfComparison = ExternalSeen | ExternalOrder | Compared | ChargesCompared | OrderFound | OrderAccepted
"""What of this is written down."""

IN_A_ROW = 2
"""So often a position differs, or agrees again, before anything follows from it."""
NOTABLE = Money(1)
"""Rupees an order: charges that differ by more are of wrong rates, not of rounding."""
MOST_FROZEN = 3
"""So many frozen symbols, and it is the book that is wrong."""
NEVER = -1
SHARES = ("NSE", "BSE")

OPENING, OVERNIGHT, TRADE, OPERATOR = "opening", "overnight", "trade", "operator"
START, RUNNING, END_OF_DAY = "start", "running", "end_of_day"


def key_of(exchange: str, tradingsymbol: str, product: str) -> Key:
    return ("" if product == CNC else exchange, tradingsymbol, product)


def names_of(key: Key) -> tuple[str, ...]:
    """EXCHANGE:SYMBOL of what may trade as this position."""
    return tuple(f"{exchange}:{key[1]}" for exchange in ((key[0],) if key[0] else SHARES))


def held_by(positions: Iterable[Position | Fill]) -> dict[Key, int]:
    """The sum over strategies; of fills, what they leave open. Flat ones are left out."""
    net: dict[Key, int] = {}
    for each in positions:
        key = key_of(each.instrument.exchange, each.instrument.tradingsymbol, each.product)
        quantity = each.signed_quantity if isinstance(each, Fill) else each.quantity
        net[key] = net.get(key, 0) + quantity
    return {key: quantity for key, quantity in net.items() if quantity}


def compare(ours: Net, theirs: Net, external: Net, left_out: Collection[Key] = ()) -> tuple[Difference, ...]:
    """Every position of which `theirs` is not `ours + external`, by name."""
    return tuple(
        Difference(
            exchange=key[0],
            tradingsymbol=key[1],
            product=key[2],
            ours=ours.get(key, 0),
            external=external.get(key, 0),
            theirs=theirs.get(key, 0),
        )
        for key in sorted({*ours, *theirs, *external}.difference(left_out))
        if theirs.get(key, 0) != ours.get(key, 0) + external.get(key, 0)
    )


def place_of(difference: Difference) -> Key:
    return difference.exchange, difference.tradingsymbol, difference.product


def unwatched(differences: Collection[Difference], why: str) -> list[Difference]:
    """The differences that may be taken for external, since nobody could see them come about.

    At the opening of an account that is all of them. Over a night it is those of symbols of which what we
    hold agrees, or is nothing: the owner may have traded, or converted, or been given shares. Where ours does
    not agree, what appears in another product may be ours: intraday positions that the broker could not close
    are delivered.
    """
    if why == OPENING:
        return list(differences)
    if why != OVERNIGHT:
        return []
    in_question = {each.tradingsymbol for each in differences if each.ours}
    return [each for each in differences if each.tradingsymbol not in in_question]


class Step(Struct, frozen=True):
    """What follows from one comparison: symbols (EXCHANGE:SYMBOL) to hold back with the reason, symbols to
    let go, and why everything has to halt.
    """

    hold: dict[str, str] = {}
    release: tuple[str, ...] = ()
    halt: str = ""


class Drift:
    """Counts differences in a row. One may be a race; two freeze the symbol; three frozen symbols halt."""

    def __init__(self) -> None:
        self._differs: dict[Key, int] = {}
        self._agrees: dict[Key, int] = {}
        """Of frozen positions: how often they have agreed again."""
        self._frozen: dict[Key, str] = {}
        self._halted = False

    @property
    def frozen(self) -> tuple[str, ...]:
        return tuple(sorted({name for key in self._frozen for name in names_of(key)}))

    @property
    def unsettled(self) -> bool:
        """Something has differed, or agreed again, and the next comparison decides: it should come soon."""
        return bool(self._differs.keys() - self._frozen.keys() or self._agrees)

    def on(self, differences: Iterable[Difference], left_out: Collection[Key] = ()) -> Step:
        """`left_out` were not compared: nothing is known of them, and their count stands."""
        found = {place_of(each): each for each in differences}
        before = set(self.frozen)
        reasons: dict[str, str] = {}
        for key, difference in found.items():
            self._agrees.pop(key, None)
            self._differs[key] = self._differs.get(key, 0) + 1
            if self._differs[key] >= IN_A_ROW and key not in self._frozen:
                self._frozen[key] = str(difference)
                reasons |= dict.fromkeys(names_of(key), str(difference))
        for key in self._differs.keys() - found.keys() - set(left_out):
            self._agree(key)
        frozen = set(self.frozen)
        hold = {name: why for name, why in reasons.items() if name not in before}
        return Step(hold, tuple(sorted(before - frozen)), self._halt())

    def _agree(self, key: Key) -> None:
        if key not in self._frozen:
            del self._differs[key]
            return
        self._agrees[key] = self._agrees.get(key, 0) + 1
        if self._agrees[key] >= IN_A_ROW:
            del self._differs[key], self._agrees[key], self._frozen[key]

    def _halt(self) -> str:
        """Said once; a symbol that differs in two products is one."""
        symbols = {key[1] for key in self._frozen}
        if len(symbols) < MOST_FROZEN:
            self._halted = False
            return ""
        if self._halted:
            return ""
        self._halted = True
        return f"{len(symbols)} symbols differ from the broker's book: " + "; ".join(self._frozen.values())


class Reconciled(Struct):
    """What the journal says of one broker. `taken` are units of trades that were not ours and changed the
    external position: (broker_order_id, trade_id) -> units. `day` is that of the last comparison. `orders`
    are those of the newest day that are not ours, by the broker's id; `found` those of ours that had ended,
    were found at the broker, and wait for the operator's word, by our id.
    """

    external: dict[Key, int] = {}
    taken: dict[tuple[str, str], int] = {}
    charged: set[str] = set()
    day: int = NEVER
    orders: dict[str, ExternalOrder] = {}
    orders_day: int = NEVER
    found: dict[str, OrderFound] = {}

    def on(self, event: OfComparison) -> None:
        match event:
            case ExternalOrder():
                if day_of(event.time_ns) > self.orders_day:
                    self.orders, self.orders_day = {}, day_of(event.time_ns)
                self.orders[event.broker_order_id] = event
            case OrderFound():
                self.found[event.order_id] = event
            case OrderAccepted():
                self.found.pop(event.order_id, None)
            case ExternalSeen():
                key = event.exchange, event.tradingsymbol, event.product
                self.external[key] = event.quantity
                if event.trade_id:
                    trade = event.broker_order_id, event.trade_id
                    self.taken[trade] = self.taken.get(trade, 0) + abs(event.change)
            case Compared():
                self.day = day_of(event.time_ns)
            case ChargesCompared():
                self.charged.add(event.broker_order_id)

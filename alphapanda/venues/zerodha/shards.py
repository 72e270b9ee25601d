"""Which connection of the ticker carries which instrument.

Kite takes three connections of an api_key, with 3,000 instruments each (Kite Connect documentation,
"WebSocket streaming"). One is filled before the next is begun: whoever watches few instruments leaves the
other connections to other programs of theirs.
"""

from collections.abc import Iterable

from alphapanda.errors import CannotStart

CONNECTIONS, EACH = 3, 3_000


def shards(
    tokens: Iterable[int], connections: int = CONNECTIONS, each: int = EACH
) -> tuple[tuple[int, ...], ...]:
    """The tokens of each connection, at least one of them: it also hears of orders.

    In the order given, once each, so that tokens added behind leave all others where they are. Raises
    CannotStart when there are more than fit.
    """
    wanted = tuple(dict.fromkeys(tokens))
    if len(wanted) > connections * each:
        raise CannotStart(
            f"{len(wanted):,} instruments are wanted, and Zerodha's ticker takes {connections * each:,}"
            f" ({connections} connections of {each:,}); take some from the strategies' instruments"
        )
    return tuple(wanted[start : start + each] for start in range(0, len(wanted), each)) or ((),)

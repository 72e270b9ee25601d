"""Where faults strike: Kite's calls by the names of their routes, and the points of the WebSocket."""

CALLS = frozenset(
    {
        *("login", "session.token", "session.end", "session.renew"),
        *("profile", "profile.full", "margins"),
        *("order.place", "order.modify", "order.cancel"),
        *("orders", "order.history", "order.trades", "trades"),
        *("positions", "positions.convert"),
        *("holdings", "holdings.authorise", "holdings.auctions", "holdings.summary", "holdings.compact"),
        *("instruments", "quote", "ohlc", "ltp", "historical", "trigger_range"),
        *("order.margins", "basket.margins", "charges"),
        "mf",
        *("gtt.place", "gtt.list", "gtt.get", "gtt.modify", "gtt.delete"),
    }
)
BOOK = frozenset({"orders", "order.history", "order.trades", "trades", "positions", "holdings"})
ORDER = frozenset({"order.place", "order.modify", "order.cancel"})
QUOTES = frozenset({"quote", "ohlc", "ltp"})

CONNECT, MESSAGE, FRAME, TICK, UPDATE = "ws.connect", "ws.message", "frame", "tick", "update"
SOCKET = frozenset({CONNECT, MESSAGE, FRAME, UPDATE})
PRICES = QUOTES | {TICK}

HAVE_SYMBOL = frozenset({*PRICES, *ORDER, "order.history", "order.trades", UPDATE})
HAVE_TAG = frozenset({*ORDER, "order.history", "order.trades", UPDATE})

GROUPS = {"any": CALLS, "book": BOOK, "order": ORDER, "prices": PRICES}
"""Names for several points at once. `order` is the three calls that change an order."""


def points_of(on: str) -> frozenset[str]:
    """The points that a script names with this word; empty where it names none."""
    if on in GROUPS:
        return GROUPS[on]
    if on in CALLS | SOCKET | {TICK}:
        return frozenset({on})
    prefix = on.removesuffix(".*") + "."
    return frozenset(call for call in CALLS if call.startswith(prefix))


def names() -> str:
    """All that `on` may say, for a message."""
    prefixes = {call.partition(".")[0] for call in CALLS if "." in call} - CALLS
    return ", ".join(sorted({*GROUPS, *prefixes, *CALLS, *SOCKET, TICK}))

"""Which orders and positions a request means: those of its symbol, broker and strategy, as far as named."""

from collections.abc import Mapping
from typing import Any

from alphapanda.events import Instrument, Order, Position
from alphapanda.live.opening import Opened

Request = Mapping[str, Any]
"""What came by the control socket."""


def check_filters(opened: Opened, request: Request) -> None:
    """A misspelt filter would match nothing, and look as if there were nothing to do. Raises ValueError."""
    broker, strategy_id = request.get("broker"), request.get("strategy_id")
    if request.get("symbol") is not None and not str(request["symbol"]).strip():
        raise ValueError("the symbol is empty; leave it out to mean every symbol")
    if broker is not None and broker not in opened.brokers:
        raise ValueError(f"no broker {broker!r} is active; there are: {', '.join(opened.brokers)}")
    owners = {*opened.cores.strategy.hosted, *(p.strategy_id for p in opened.cores.portfolio.positions())}
    if strategy_id is not None and strategy_id not in owners:
        raise ValueError(f"no strategy {strategy_id!r}; there are: {', '.join(sorted(owners)) or 'none'}")


def _wanted(request: Request, of: Order | Position) -> bool:
    """Is it of the symbol, broker and strategy that were asked for? One that is not named is any."""
    symbol, instrument = request.get("symbol"), of.instrument
    return (
        request.get("broker") in (None, of.broker)
        and request.get("strategy_id") in (None, of.strategy_id)
        and (symbol is None or str(symbol).casefold() in _names(instrument))
    )


def _names(instrument: Instrument) -> tuple[str, str]:
    return instrument.tradingsymbol.casefold(), instrument.key.casefold()


def held_of(opened: Opened, request: Request) -> list[Position]:
    """At brokers that can be reached."""
    return [
        p
        for p in opened.cores.portfolio.positions()
        if p.quantity and opened.reaches(p.broker) and _wanted(request, p)
    ]


def resting_of(opened: Opened, request: Request) -> list[Order]:
    return [order for order in opened.cores.execution.open_orders() if _wanted(request, order)]


def nothing_of(opened: Opened, request: Request) -> str:
    symbols = sorted({p.instrument.tradingsymbol for p in opened.cores.portfolio.positions() if p.quantity})
    where = "".join(
        f" {word} {request[key]}"
        for key, word in (("broker", "at"), ("strategy_id", "of"))
        if request.get(key)
    )
    open_are = ", ".join(symbols) or "none"
    return f"no open position in {request['symbol']}{where}; open positions are: {open_are}"

"""The operator's word on what our book and a broker's say differently: `reconcile adopt` and `ignore`.

The books are read first, and decided upon between two turns. Nothing of it is an order: what is adopted is
booked as it stands at the broker.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import InvalidOperation
from typing import Any

from loguru import logger

from alphapanda.core.money import exact
from alphapanda.errors import Transient
from alphapanda.events import Difference, Instrument, Money, OrderAdopted
from alphapanda.live.opening import Opened
from alphapanda.live.walk import Walk
from alphapanda.venues.zerodha.comparing import Look
from alphapanda.venues.zerodha.settling import Settling

audit = logger.bind(channel="audit")

Request = Mapping[str, Any]
Carry = Callable[[Sequence[object]], Awaitable[None]]
BROKER = "zerodha"
HIGHEST = Money(10**9)


class Reconciling:
    """`ready`, `between_turns` and `carry` are the operator's; `who` and `why` read a request."""

    def __init__(
        self,
        ready: Callable[[], tuple[Opened, Walk]],
        between_turns: Callable[[], AbstractAsyncContextManager[tuple[Opened, Walk]]],
        carry: Carry,
        who: Callable[[Request], str],
        why: Callable[[Request], str],
    ) -> None:
        self._ready = ready
        self._between_turns = between_turns
        self._carry = carry
        self._who = who
        self._why = why

    def commands(self) -> dict[str, Callable[[Request], Awaitable[Any]]]:
        return {"reconcile_ignore": self.ignore, "reconcile_adopt": self.adopt}

    async def ignore(self, request: Request) -> dict[str, Any]:
        """What differs is external from now on: our book stays as it is."""
        by, reason, subject = self._asked(request)
        if ":" not in subject:
            raise ValueError(
                f"{subject!r} is no EXCHANGE:SYMBOL; an order of ours is followed whatever is said: "
                "`reconcile adopt ORDER_ID` lets the symbol of one that was found trade again"
            )
        settling, look = await self._look()
        async with self._between_turns() as (opened, _):
            _the_same(opened, settling)
            seen = settling.ignored(look, subject, _product(request), by, reason)
            audit.warning(
                "reconcile: {} of {} {} are external now, {} in all (by {}: {})",
                *(seen.change, subject, seen.product, seen.quantity, by, reason),
            )
            await self._carry([seen])
        change = {"product": seen.product, "change": seen.change, "external": seen.quantity}
        return {"action": "ignore", "symbol": subject, **change} | await self._settled(settling)

    async def adopt(self, request: Request) -> dict[str, Any]:
        """What is not ours, or differs, is a strategy's from now on; or an order that was found is."""
        by, reason, subject = self._asked(request)
        if ":" not in subject:
            return await self._accept(subject, by, reason)
        settling, look = await self._look()
        async with self._between_turns() as (opened, _):
            _the_same(opened, settling)
            strategy_id = str(request.get("strategy_id") or "")
            outputs = settling.adopted(
                look,
                _traded_by(opened, strategy_id, subject),
                strategy_id,
                product=_product(request),
                price=_price(request),
                by=by,
                reason=reason,
            )
            (order,) = (each.order for each in outputs if isinstance(each, OrderAdopted))
            audit.warning(
                "reconcile: {} {} {} are adopted for {} at {} (by {}: {})",
                *(order.transaction_type, order.quantity, subject, strategy_id, order.reference_price),
                *(by, reason),
            )
            await self._carry(outputs)
        found = {
            "action": "adopt",
            "symbol": subject,
            "product": order.product,
            "strategy_id": strategy_id,
            "order_id": order.order_id,
            "change": order.transaction_type.sign * order.quantity,
            "price": float(order.reference_price),
        }
        return found | await self._settled(settling)

    async def _accept(self, order_id: str, by: str, reason: str) -> dict[str, Any]:
        async with self._between_turns() as (opened, _):
            symbol = _settling(opened).accept(order_id, by, reason)
            audit.warning("reconcile: order {} is accepted (by {}: {})", order_id, by, reason)
            await self._carry([])
        return {"action": "adopt", "order_id": order_id, "symbol": symbol, "differences": []}

    def _asked(self, request: Request) -> tuple[str, str, str]:
        by, reason, subject = (
            self._who(request),
            self._why(request),
            str(request.get("subject") or "").strip(),
        )
        if not reason:
            raise ValueError("it needs a reason")
        return by, reason, subject

    async def _look(self) -> tuple[Settling, Look]:
        opened, _ = self._ready()
        settling = _settling(opened)
        try:
            return settling, await settling.comparer.look()
        except Transient as error:
            raise ValueError(f"{BROKER}'s books cannot be read: {error}") from error

    async def _settled(self, settling: Settling) -> dict[str, Any]:
        """Compared until a symbol that agrees is let go. What still differs is part of the answer."""
        try:
            await settling.comparer.settle()
        except Transient as error:
            audit.warning("{}: not compared again yet: {}", BROKER, error)
        return {"differences": [_shown(each) for each in settling.comparer.differences]}


def _settling(opened: Opened) -> Settling:
    settling = opened.account.settling if opened.account is not None else None
    if settling is None:
        raise ValueError(f"{BROKER} is not active here: only its book is held against ours")
    return settling


def _the_same(opened: Opened, settling: Settling) -> None:
    if _settling(opened) is not settling:
        raise ValueError("the line began anew meanwhile; ask again")


def _product(request: Request) -> str | None:
    product = request.get("product")
    return None if product is None else str(product).strip().upper()


def _price(request: Request) -> Money | None:
    said = request.get("price")
    if said is None:
        return None
    try:
        price = exact(float(said))
    except (TypeError, ValueError, InvalidOperation):
        raise ValueError(f"{said!r} is no price") from None
    if not 0 < price < HIGHEST:
        raise ValueError(f"{said!r} is no price")
    return price


def _traded_by(opened: Opened, strategy_id: str, symbol: str) -> Instrument:
    """The instrument. Who does not trade it there could not close it, and sees no price of it."""
    hosted = opened.cores.strategy.hosted
    if strategy_id not in hosted:
        raise ValueError(
            f"no strategy {strategy_id!r} runs here; there are: {', '.join(hosted) or 'none'}: say --strategy"
        )
    strategy = hosted[strategy_id].strategy
    for instrument in opened.traded:
        if instrument.key == symbol and instrument.instrument_token in strategy.instruments:
            if BROKER in strategy.brokers:
                return instrument
            raise ValueError(f"{strategy_id} does not trade at {BROKER}")
    raise ValueError(f"{strategy_id} does not trade {symbol}: add it to its instruments first")


def _shown(each: Difference) -> dict[str, Any]:
    return {
        "exchange": each.exchange,
        "tradingsymbol": each.tradingsymbol,
        "product": each.product,
        "ours": each.ours,
        "external": each.external,
        "theirs": each.theirs,
    }

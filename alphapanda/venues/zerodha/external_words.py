"""What is said aloud of the account's trades and positions that are not ours."""

from collections.abc import Sequence

from alphapanda.core.comparison import OPENING, OVERNIGHT
from alphapanda.events import ExternalSeen, OrderAdopted, Report
from alphapanda.venues.zerodha.external_trade import ExternalTrade


def told(trade: ExternalTrade, outputs: Sequence[ExternalSeen | OrderAdopted | Report]) -> str:
    of = [
        f"{output.order.quantity} of {output.order.strategy_id}"
        for output in outputs
        if isinstance(output, OrderAdopted)
    ]
    whose = f"closes {', '.join(of)}" if of else "changes no strategy's position"
    return (
        f"{trade.transaction_type} {trade.quantity} {trade.exchange}:{trade.tradingsymbol} {trade.product} "
        f"at {trade.price} is not ours (order {trade.order_id}, by {trade.by}): it {whose}"
    )


def words_of(seen: ExternalSeen) -> str:
    name = f"{seen.exchange}:{seen.tradingsymbol}" if seen.exchange else seen.tradingsymbol
    return f"{seen.quantity} {name} {seen.product} are not ours (since the {_SINCE[seen.why]})"


_SINCE = {OPENING: "opening of the account here", OVERNIGHT: "night"}

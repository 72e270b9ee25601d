"""Why the simulated broker rejects an order: Kite's checks, in its words where they are known."""

from alphapanda.core.market.account import SimulatedAccount
from alphapanda.core.money import to_paisa
from alphapanda.events import CNC, PRICED, STOPS, Money, Order, OrderType, TransactionType, Validity

WITHOUT_IOC = ("MCX",)


def malformed(order: Order, last_price: Money | None) -> str | None:
    """What is wrong with the order itself. `last_price` is that of its instrument, None where not known."""
    instrument = order.instrument
    if order.quantity % instrument.lot_size:
        return f"Quantity {order.quantity} is not a multiple of the lot size of {instrument.lot_size}."
    if order.validity is Validity.IOC and instrument.exchange in WITHOUT_IOC:
        return f"IOC orders are not accepted on {instrument.exchange}."
    if order.validity is Validity.TTL and order.validity_ttl <= 0:
        return f"A TTL order needs a validity of one minute or more, not {order.validity_ttl}."
    if order.order_type in PRICED and order.price is not None:
        why = _mispriced(order, order.price)
        if why is not None:
            return why
    return _mistriggered(order, last_price) if order.order_type in STOPS else None


def _mispriced(order: Order, price: Money) -> str | None:
    instrument = order.instrument
    if price % instrument.tick_size:
        return f"The price {price} is not a multiple of the tick size of {instrument.tick_size}."
    lower, upper = instrument.lower_circuit_limit, instrument.upper_circuit_limit
    beyond = "Place an order within the daily range."
    if lower is not None and price < lower:
        return f"Your order price is lower than the current lower circuit limit of {lower}. {beyond}"
    if upper is not None and price > upper:
        return f"Your order price is higher than the current upper circuit limit of {upper}. {beyond}"
    return None


def _mistriggered(order: Order, last_price: Money | None) -> str | None:
    trigger, buys = order.trigger_price, order.transaction_type is TransactionType.BUY
    if trigger is None:
        return f"The trigger price of the {order.order_type} order is missing."
    if trigger % order.instrument.tick_size:
        return (
            f"The trigger price {trigger} is not a multiple of the tick size of {order.instrument.tick_size}."
        )
    limit = order.price if order.order_type is OrderType.SL else None
    if limit is not None and (trigger - limit) * order.transaction_type.sign > 0:
        return f"Trigger price can't be {'higher' if buys else 'lesser'} than price."
    if last_price is not None and (trigger - last_price) * order.transaction_type.sign <= 0:
        return (
            f"Trigger price for stoploss {'buy' if buys else 'sell'} orders should be "
            f"{'higher' if buys else 'lower'} than the last traded price of {last_price}."
        )
    return None


def uncovered(order: Order, account: SimulatedAccount, resting: list[Order]) -> str | None:
    """What the account lacks for the order: shares of its own to deliver, or funds."""
    if order.product == CNC and order.transaction_type is TransactionType.SELL:
        mine = account.deliverable(order.instrument.instrument_token, resting)
        if order.quantity > mine:
            return (
                f"Insufficient holdings. Required quantity is {order.quantity} but available quantity is "
                f"{max(0, mine)}. Check the orderbook for open orders."
            )
    required = to_paisa(account.required(order))
    if not required:
        return None
    available = to_paisa(account.available(resting))
    if required <= available:
        return None
    return (
        f"Insufficient funds. Required margin is {required} but available margin is {available}. "
        "Check the orderbook for open orders."
    )

"""Small builders of core values: every field has a sensible default, keywords override it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from alphapanda.events import (
    Book,
    Depth,
    DepthLevel,
    Fill,
    Instrument,
    MarketTick,
    Money,
    Order,
    OrderType,
    PositionEffect,
    Report,
    ReportKind,
    TickBatch,
    TradingSignal,
    TransactionType,
    Validity,
)
from alphapanda.times import IST, to_ns

OPEN, CLOSE = PositionEffect.OPEN, PositionEffect.CLOSE
BUY, SELL = TransactionType.BUY, TransactionType.SELL
LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M
IOC, TTL = Validity.IOC, Validity.TTL

SECOND = 1_000_000_000
TEN = datetime(2024, 6, 3, 10, 0, tzinfo=IST)
"""A Monday, in the session."""
TEN_NS = to_ns(TEN)

INFY = Instrument(408065, "NSE", "INFY")
TCS = Instrument(2953217, "NSE", "TCS")


def tick(price: float = 100.0, token: int = INFY.instrument_token, **fields: Any) -> MarketTick:
    return MarketTick(**{"instrument_token": token, "timestamp": TEN, "last_price": price} | fields)


def bar(
    opened: float = 100.0,
    closed: float = 100.0,
    *,
    high: float | None = None,
    low: float | None = None,
    **fields: Any,
) -> MarketTick:
    """One bar of a file, seen at its end."""
    reach = {
        "open": opened,
        "high": max(opened, closed) if high is None else high,
        "low": min(opened, closed) if low is None else low,
        "close": closed,
    }
    return tick(closed, **({"bar": True} | reach | fields))


def book_of(bids: Iterable[tuple[float, int]], asks: Iterable[tuple[float, int]]) -> Depth:
    """An order book of (price, quantity), best first."""
    return Depth(
        *(tuple(DepthLevel(price, quantity, 1) for price, quantity in side) for side in (bids, asks))
    )


def batch(*ticks: MarketTick, at: float = 0.0, row: int = 0, **fields: Any) -> TickBatch:
    """`at` is seconds after ten o'clock."""
    return TickBatch(**{"time_ns": TEN_NS + round(at * SECOND), "ticks": ticks, "row": row} | fields)


def signal(side: TransactionType = BUY, quantity: int = 1, **fields: Any) -> TradingSignal:
    """A market order as the runner sends it: with its id, brokers and time."""
    defaults = {
        "strategy_id": "momentum_1",
        "instrument_token": INFY.instrument_token,
        "transaction_type": side,
        "quantity": quantity,
        "last_price": 100.0,
        "signal_id": "S000001",
        "brokers": ("paper",),
        "time_ns": TEN_NS,
    }
    return TradingSignal(**defaults | fields)


def order(side: TransactionType = BUY, quantity: int = 10, sequence: int = 1, **fields: Any) -> Order:
    """An order as risk makes it: PREPARED."""
    defaults = {
        "order_id": f"O{sequence:06d}",
        "tag": f"test{sequence:08d}",
        "sequence": sequence,
        "signal_id": f"S{sequence:06d}",
        "strategy_id": "momentum_1",
        "broker": "paper",
        "instrument": INFY,
        "transaction_type": side,
        "quantity": quantity,
        "position_effect": OPEN,
        "order_type": MARKET,
        "product": "MIS",
        "reference_price": Money(100),
        "created_ns": TEN_NS,
        "updated_ns": TEN_NS,
    }
    return Order(**defaults | fields)


def fill(
    side: TransactionType = BUY, quantity: int = 10, price: str = "100", trade: int = 1, **fields: Any
) -> Fill:
    defaults = {
        "trade_id": f"T{trade:06d}",
        "order_id": "O000001",
        "broker": "paper",
        "strategy_id": "momentum_1",
        "instrument": INFY,
        "product": "MIS",
        "transaction_type": side,
        "quantity": quantity,
        "price": Money(price),
        "charges": Money(0),
        "traded_ns": TEN_NS,
    }
    return Fill(**defaults | fields)


def report(kind: ReportKind = ReportKind.ACCEPTED, order_id: str = "O000001", **fields: Any) -> Report:
    """A FILL needs its `quantity`; its price is 100 and its trade id T000001 unless given."""
    trade = {"trade_id": "T000001", "price": Money(100)} if kind is ReportKind.FILL else {}
    return Report(**{"order_id": order_id, "kind": kind, "time_ns": TEN_NS} | trade | fields)


def book(free_cash: int = 1_000_000, *orders: Order, accounted: int = 0, **positions: int) -> Book:
    """Positions in INFY by strategy id: `book(1000, momentum_1=5)`."""
    return Book(
        accounted=accounted,
        free_cash=Money(free_cash),
        positions={(owner, INFY.instrument_token): held for owner, held in positions.items()},
        orders={one.order_id: one for one in orders},
    )

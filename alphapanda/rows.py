"""Events as flat rows: one shape for the store's columns, for `--json` and for tables.

Money is decimal text here (exact), times are nanoseconds in columns that end in `_ns`. `for_people` turns a
row into what users and scripts are promised: numbers rounded to the paisa, ISO 8601 times in IST.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import json

from alphapanda.core.money import to_average, to_paisa
from alphapanda.core.portfolio import Standing
from alphapanda.events import (
    Approved,
    Balance,
    ChargesCompared,
    Compared,
    ExternalOrder,
    ExternalSeen,
    Figures,
    Fill,
    Instrument,
    Money,
    Order,
    OrderFound,
    Position,
    Refused,
    TradingSignal,
    Valued,
    Verdict,
)
from alphapanda.times import to_ist

Row = dict[str, Any]

MONEY = frozenset(
    {
        "price",
        "trigger_price",
        "average_price",
        "last_price",
        "charges",
        "realized_pnl",
        "unrealized_pnl",
        "starting_cash",
        "cash",
        "equity",
        "gross_exposure",
        "net_exposure",
        "net_pnl",
        "day_net_pnl",
        "drawdown",
        "start_equity",
        "end_equity",
        "turnover",
        "max_drawdown",
    }
)


def text(amount: Money | None) -> str | None:
    return None if amount is None else format(amount, "f")


def order_row(order: Order) -> Row:
    average = order.average_price
    return {
        "order_id": order.order_id,
        "tag": order.tag,
        "broker": order.broker,
        "broker_order_id": order.broker_order_id,
        "strategy_id": order.strategy_id,
        "instrument_token": order.instrument.instrument_token,
        "tradingsymbol": order.instrument.tradingsymbol,
        "exchange": order.instrument.exchange,
        "transaction_type": order.transaction_type.value,
        "order_type": order.order_type.value,
        "product": order.product,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "price": text(order.price),
        "average_price": None if average is None else text(to_average(average)),
        "status": order.status.value,
        "reason": order.reason,
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
        "trigger_price": text(order.trigger_price),
        "validity": order.validity.value,
    }


def trade_row(fill: Fill) -> Row:
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "broker": fill.broker,
        "strategy_id": fill.strategy_id,
        "tradingsymbol": fill.instrument.tradingsymbol,
        "transaction_type": fill.transaction_type.value,
        "quantity": fill.quantity,
        "price": text(fill.price),
        "charges": text(fill.charges),
        "traded_ns": fill.traded_ns,
    }


def position_row(position: Position) -> Row:
    return {
        "broker": position.broker,
        "strategy_id": position.strategy_id,
        "tradingsymbol": position.instrument.tradingsymbol,
        "exchange": position.instrument.exchange,
        "product": position.product,
        "quantity": position.quantity,
        "average_price": text(to_average(position.average_price)),
        "last_price": text(position.last_price),
        "realized_pnl": text(position.realized_pnl),
        "unrealized_pnl": text(position.unrealized_pnl),
        "overnight_quantity": position.overnight_quantity,
        "t1_quantity": position.t1_quantity,
    }


def balance_row(balance: Balance) -> Row:
    return {
        "broker": balance.broker,
        "starting_cash": text(balance.starting_cash),
        "cash": text(balance.cash),
        "realized_pnl": text(balance.realized_pnl),
        "charges": text(balance.charges),
    }


def figures_row(figures: Figures) -> Row:
    return {
        "realized_pnl": text(figures.realized_pnl),
        "unrealized_pnl": text(figures.unrealized_pnl),
        "charges": text(figures.charges),
        "gross_exposure": text(figures.gross_exposure),
        "net_exposure": text(figures.net_exposure),
    }


def equity_rows(point: Valued) -> list[Row]:
    """A point of the curve: the account's row, under the empty name, and one a strategy."""
    at = {"broker": point.broker, "strategy_id": "", "at_ns": point.time_ns}
    cash = {"cash": text(point.cash), "equity": text(point.equity)}
    return [at | cash | figures_row(point.figures)] + [
        at | {"strategy_id": name, "cash": None, "equity": None} | figures_row(figures)
        for name, figures in point.strategies.items()
    ]


def comparison_row(compared: Compared) -> Row:
    """`differences` and `frozen` are JSON: what differs has no more than a few rows."""
    return {
        "broker": compared.broker,
        "at_ns": compared.time_ns,
        "occasion": compared.occasion,
        "compared": compared.count,
        "left_out": compared.left_out,
        "differences": json.encode(compared.differences).decode(),
        "frozen": json.encode(compared.frozen).decode(),
    }


def charges_row(compared: ChargesCompared) -> Row:
    return {
        "broker": compared.broker,
        "broker_order_id": compared.broker_order_id,
        "exchange": compared.exchange,
        "tradingsymbol": compared.tradingsymbol,
        "ours": text(compared.ours),
        "beside": text(compared.beside),
        "theirs": text(compared.theirs),
        "difference": text(compared.difference),
        "at_ns": compared.time_ns,
    }


def external_row(seen: ExternalSeen) -> Row:
    return {
        "broker": seen.broker,
        "exchange": seen.exchange,
        "tradingsymbol": seen.tradingsymbol,
        "product": seen.product,
        "quantity": seen.quantity,
        "changed_ns": seen.time_ns,
    }


def external_order_row(order: ExternalOrder) -> Row:
    return {
        "broker": order.broker,
        "broker_order_id": order.broker_order_id,
        "exchange": order.exchange,
        "tradingsymbol": order.tradingsymbol,
        "product": order.product,
        "transaction_type": order.transaction_type,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "price": text(order.price) if order.price else None,
        "average_price": text(order.average_price) if order.average_price else None,
        "status": order.status,
        "reason": order.reason,
        "placed_by": order.placed_by,
        "changed_ns": order.time_ns,
    }


def found_row(found: OrderFound) -> Row:
    return {
        "broker": found.broker,
        "order_id": found.order_id,
        "broker_order_id": found.broker_order_id,
        "exchange": found.exchange,
        "tradingsymbol": found.tradingsymbol,
        "was": found.was,
        "found_ns": found.time_ns,
    }


def standing_row(standing: Standing) -> Row:
    return {
        "starting_cash": text(standing.starting_cash),
        "cash": text(standing.cash),
        "equity": text(standing.equity),
        "realized_pnl": text(standing.realized_pnl),
        "unrealized_pnl": text(standing.unrealized_pnl),
        "charges": text(standing.charges),
    }


def signal_row(verdict: Approved | Refused) -> Row:
    """One signal at one broker."""
    if isinstance(verdict, Approved):
        order = verdict.order
        return _signal(verdict.signal, order.broker, order.instrument, order.quantity) | {
            "verdict": Verdict.APPROVED.value,
            "rule": None,
            "reason": verdict.signal.reason,
        }
    return _signal(verdict.signal, verdict.broker, verdict.instrument, verdict.quantity) | {
        "verdict": verdict.verdict.value,
        "rule": verdict.rule,
        "reason": verdict.why,
    }


def signal_rows(verdicts: Iterable[Approved | Refused]) -> list[Row]:
    """One row a signal and broker, as the store has them: the last verdict, the quantity of all parts."""
    found: dict[tuple[str, str], Row] = {}
    for verdict in verdicts:
        row = signal_row(verdict)
        before = found.get((row["signal_id"], row["broker"]))
        if before is not None and isinstance(verdict, Approved) and verdict.part > 1:
            row["quantity"] += before["quantity"]
        found[row["signal_id"], row["broker"]] = row
    return list(found.values())


def verdict_row(verdict: Approved | Refused) -> Row:
    """What one broker's part of `why` is made of."""
    row = signal_row(verdict)
    return {name: row[name] for name in ("broker", "verdict", "rule", "reason", "quantity")}


def asked_row(signal: TradingSignal, instrument: Instrument | None) -> Row:
    """One signal as it was asked, for all of its brokers."""
    return {
        "signal_id": signal.signal_id,
        "strategy_id": signal.strategy_id,
        "tradingsymbol": _symbol(signal, instrument),
        "transaction_type": signal.transaction_type.value,
        "quantity": signal.quantity,
        "position_effect": signal.position_effect.value,
        "order_type": signal.order_type.value,
        "price": text(signal.price),
        "last_price": str(signal.last_price) if signal.last_price else None,
        "reason": signal.reason,
        "by": signal.by or None,
        "at_ns": signal.time_ns,
    }


def _symbol(signal: TradingSignal, instrument: Instrument | None) -> str:
    """An instrument that was never listed is named by its token."""
    return instrument.tradingsymbol if instrument else str(signal.instrument_token)


def _signal(signal: TradingSignal, broker: str, instrument: Instrument | None, quantity: int) -> Row:
    return {
        "signal_id": signal.signal_id,
        "strategy_id": signal.strategy_id,
        "broker": broker,
        "tradingsymbol": _symbol(signal, instrument),
        "transaction_type": signal.transaction_type.value,
        "quantity": quantity,
        "at_ns": signal.time_ns,
    }


def for_people(row: Row) -> Row:
    """Money as a number of whole paise, `traded_ns` as `traded_at` in ISO 8601 with +05:30."""
    shown: Row = {}
    for name, value in row.items():
        if name.endswith("_ns"):
            key = "at" if name == "at_ns" else name.removesuffix("_ns") + "_at"
            shown[key] = to_ist(value).isoformat()
        elif name in MONEY and value is not None:
            shown[name] = float(to_paisa(Money(value)))
        else:
            shown[name] = value
    return shown

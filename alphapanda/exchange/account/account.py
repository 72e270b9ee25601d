"""The account as the exchange's other parts see it: what an order lacks, and what Kite shows of it."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from alphapanda.core.money import to_paisa
from alphapanda.events import CNC, MIS, Money, TransactionType
from alphapanda.exchange.account.authorisation import Requests
from alphapanda.exchange.account.conversion import convert
from alphapanda.exchange.account.estimates import Estimates
from alphapanda.exchange.account.funds import DELIVERED, SEGMENTS, insufficient, purse_of
from alphapanda.exchange.account.ledger import Ledger
from alphapanda.exchange.account.night import new_day
from alphapanda.exchange.account.positions import Position
from alphapanda.exchange.account.statement import statement
from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market
from alphapanda.exchange.notation import number, plain
from alphapanda.exchange.options import USER_ID, Options
from alphapanda.exchange.order import Order, Trade
from alphapanda.times import to_ist

ZERO, HUNDRED = Money(0), Money(100)


class Account:
    """Of open orders it hears through `ledger.open_groups`, which whoever puts the exchange together sets."""

    def __init__(self, options: Options, market: Market) -> None:
        self.ledger = Ledger(options.cash, market)
        self.estimates = Estimates(self.ledger)
        self.authorisations = Requests(self.ledger.stock)
        self._needs_authorisation = options.needs_authorisation

    def on_trade(self, trade: Trade) -> None:
        self.ledger.on_trade(trade)

    def refuse(self, order: Order, now_ns: int) -> tuple[str, str] | None:
        """Why the account cannot carry this order: the words of its row and the risk desk's own; None when
        it can. The order itself may be among the open ones or not.
        """
        if order.product in DELIVERED and order.transaction_type is TransactionType.SELL:
            return self._refuse_sale(order)
        required = self.ledger.increase_by(order, now_ns)
        available = self.ledger.available(purse_of(order.listed), now_ns, without=order)
        if required <= max(available, ZERO):
            return None
        return insufficient(required, available), (
            f"RMS:Margin Exceeds,Required:{to_paisa(required)}, Available:{to_paisa(available)} "
            f"for entity account-{USER_ID} across exchange across segment across product "
        )

    def _refuse_sale(self, order: Order) -> tuple[str, str] | None:
        deliverable = self.ledger.deliverable(order.listed, order.product, without=order.order_id)
        if order.pending_quantity <= deliverable:
            return None
        words = (
            f"Insufficient holdings. Required quantity is {order.pending_quantity} but available quantity is "
            f"{max(0, deliverable)}. Check the orderbook for open orders."
        )
        return words, (
            f"RMS:Rule: Check holdings including BTST for entity account-{USER_ID} across exchange across "
            f"segment across product "
        )

    def needs_authorisation(self, order: Order) -> str | None:
        """Kite's words where shares may not leave the demat account yet (HTTP 428)."""
        sale = order.product == CNC and order.transaction_type is TransactionType.SELL
        holding = self.ledger.stock.of(order.listed)
        if not self._needs_authorisation or not sale or holding is None:
            return None
        leaving = order.pending_quantity + self.ledger.resting_sales(order.listed, CNC, order.order_id)
        leaving -= self.ledger.delivered(order.listed)
        lacking = min(leaving, holding.settled) - holding.authorised
        if lacking <= 0:
            return None
        return f"{min(lacking, order.pending_quantity)} quantity needs authorisation at depository."

    def positions(self, now_ns: int, disagree: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Kite's `net` and `day`. With `disagree` the first row has one lot that no trade made (a fault)."""
        held = [position for position in self.ledger.book.values() if position.shown]
        if disagree:
            held = self._with_a_lot_too_many(held, now_ns)
        prices = [self.ledger.last_and_close(position.listed, now_ns) for position in held]
        return {
            "net": [plain(one.net_row(*now)) for one, now in zip(held, prices, strict=True)],
            "day": [
                plain(one.day_row(*now)) for one, now in zip(held, prices, strict=True) if one.traded_today
            ],
        }

    def open_positions(self) -> list[tuple[Listed, str, int]]:
        """What is not flat: listed, product, signed quantity."""
        return [(one.listed, one.product, one.quantity) for one in self.ledger.book.values() if one.quantity]

    def holdings(self, now_ns: int) -> list[dict[str, Any]]:
        today = str(to_ist(now_ns).date())
        return [
            holding.row(self.ledger.sold(holding), *self.ledger.last_and_close(holding.listed, now_ns), today)
            for holding in self.ledger.stock
        ]

    def holdings_summary(self, now_ns: int) -> dict[str, Any]:
        """What all holdings cost, are worth and have gained; `today` since the previous close."""
        invested = worth = before = ZERO
        for holding in self.ledger.stock:
            last, close = self.ledger.last_and_close(holding.listed, now_ns)
            units = sum(holding.after(self.ledger.sold(holding)))
            invested += units * holding.average_price
            worth += units * last
            before += units * close
        gained, today = worth - invested, worth - before
        return {
            "total_pnl": number(gained),
            "total_pnl_percent": number(gained * HUNDRED / invested if invested else ZERO),
            "today_pnl": number(today),
            "today_pnl_percent": number(today * HUNDRED / before if before else ZERO),
            "invested_amount": number(invested),
            "current_value": number(worth),
        }

    def margins(self, now_ns: int) -> dict[str, Any]:
        """Both segments of funds."""
        return {segment: statement(self.ledger, segment, now_ns) for segment in SEGMENTS}

    def convert(self, fields: Mapping[str, str], now_ns: int) -> bool:
        """Part of a position becomes another product's. Refusal where it may not."""
        return convert(self.ledger, fields, now_ns)

    def new_day(self, now_ns: int) -> None:
        new_day(self.ledger, now_ns)
        self.authorisations.expire()

    def _with_a_lot_too_many(self, held: list[Position], now_ns: int) -> list[Position]:
        if held:
            first = copy(held[0])
            first.lots = first.lots.copy()
        else:
            listed = next(one for one in self.ledger.market.listing.all() if one.tradable)
            first = Position(listed=listed, product=MIS, claims=self.ledger.claims.of)
        last, _ = self.ledger.last_and_close(first.listed, now_ns)
        first.add(first.listed.lot, last, now_ns)
        return [first, *held[1:]]

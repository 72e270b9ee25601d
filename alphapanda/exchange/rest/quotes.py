"""What is listed and what it costs: instrument lists, quotes, candles and trigger ranges."""

from datetime import datetime, timedelta
from typing import Any

from alphapanda.events import TransactionType
from alphapanda.exchange.calls import CSV, Call, Refusal, Reply, invalid
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.listing import HEADER, Listed, Listing
from alphapanda.exchange.market import Quote
from alphapanda.exchange.notation import stamp
from alphapanda.exchange.rest.route import Route
from alphapanda.kite.layout import LEVELS, NO_LEVEL
from alphapanda.times import SECOND_NS, date_of, day_of, to_ns

MOST_QUOTES, MOST_PRICES = 500, 1000
"""Instruments in one request of whole quotes, and of prices (Kite Connect documentation, market quotes)."""
MOST_DAYS = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
"""Days in one request of candles, by interval (Kite forum, discussion 3105)."""
CONTINUOUS = ("NFO-FUT", "MCX-FUT")
"""Segments with candles over one contract after the other (Kite Connect documentation, historical data)."""
TOKEN_DIGITS = 10
"""A token has 32 bits."""
TRIGGER_PERCENT = 10
"""A stop of a cover order may lie so far from the price."""

Row = dict[str, Any]


def instruments(exchange: Exchange, call: Call) -> Reply:
    """The day's instrument list, of one exchange where the path names it."""
    only, listing = call.path.get("exchange"), exchange.market.listing
    body = listing.csv(date_of(day_of(call.now_ns)), only)
    if call.effects.dump:
        body = _spoilt(listing, body, only, call)
    return Reply(body=body, content_type=CSV)


def quote(exchange: Exchange, call: Call) -> dict[str, Row]:
    found = _asked(exchange, call, MOST_QUOTES)
    return {name: _quote(exchange, call, listed) for name, listed in found.items()}


def ohlc(exchange: Exchange, call: Call) -> dict[str, Row]:
    found = _asked(exchange, call, MOST_PRICES)
    return {name: _ohlc(_now(exchange, call, each)) for name, each in found.items()}


def ltp(exchange: Exchange, call: Call) -> dict[str, Row]:
    found = _asked(exchange, call, MOST_PRICES)
    return {name: _ltp(_now(exchange, call, each)) for name, each in found.items()}


def historical(exchange: Exchange, call: Call) -> dict[str, list[list[Any]]]:
    """Candles between `from` and `to`, both included, named by their start."""
    interval, fields = call.path["interval"], call.fields
    if interval not in MOST_DAYS:
        raise invalid("invalid interval")
    listed = _by_token(exchange.market.listing, call.path["token"])
    if listed is None:
        raise invalid("invalid token")
    continuous = fields.get("continuous") == "1"
    if continuous and (interval != "day" or listed.segment not in CONTINUOUS):
        raise invalid("continuous data is given only for day candles of futures of NFO and MCX")
    first, last = _moment(fields, "from"), _moment(fields, "to")
    if first > last:
        raise invalid("from date cannot be after to date")
    if last - first > timedelta(days=MOST_DAYS[interval]):
        raise invalid(f"interval exceeds max limit: {MOST_DAYS[interval]} days")
    rows = exchange.market.candles(
        listed.token,
        interval,
        to_ns(first),
        to_ns(last),
        oi=fields.get("oi") == "1",
        continuous=continuous,
        now_ns=call.now_ns,
    )
    return {"candles": rows}


def trigger_range(exchange: Exchange, call: Call) -> dict[str, Row]:
    """Where the stop of a cover order may lie: below the price of a buy, above that of a sale."""
    side = call.path["side"].upper()
    if side not in set(TransactionType):
        raise invalid("invalid transaction type: it is BUY or SELL")
    found: dict[str, Row] = {}
    for name, listed in _asked(exchange, call, MOST_PRICES).items():
        now = exchange.market.quote(listed.token, call.now_ns)
        far = now.last * TRIGGER_PERCENT // 100
        far -= far % max(1, int(listed.instrument.tick_size * now.divisor))
        lower, upper = (now.last - far, now.last) if side == "BUY" else (now.last, now.last + far)
        found[name] = {
            "instrument_token": listed.token,
            "lower": now.rupees(lower),
            "upper": now.rupees(upper),
            "percentage": TRIGGER_PERCENT,
        }
    return found


def _asked(exchange: Exchange, call: Call, most: int) -> dict[str, Listed]:
    """The instruments of `i`, EXCHANGE:SYMBOL or a token, by what was asked; unknown ones are left out."""
    names = call.every("i")
    if len(names) > most:
        raise invalid(f"Maximum of {most} instruments are allowed in a request.")
    listing, found = exchange.market.listing, {}
    for name in names:
        listed = listing.by_key(name) or _by_token(listing, name)
        if listed is not None:
            found[name] = listed
    return found


def _by_token(listing: Listing, text: str) -> Listed | None:
    return listing.by_token(int(text)) if text.isdecimal() and len(text) <= TOKEN_DIGITS else None


def _now(exchange: Exchange, call: Call, listed: Listed) -> Quote:
    """What the instrument shows, as a fault has it shown."""
    now = exchange.market.quote(listed.token, call.now_ns)
    return now if call.effects.unseen else exchange.faults.quoted(call.kind, now, listed.key, call.now_ns)


def _ltp(now: Quote) -> Row:
    return {"instrument_token": now.token, "last_price": now.rupees(now.last)}


def _ohlc(now: Quote) -> Row:
    return {**_ltp(now), "ohlc": _day(now)}


def _quote(exchange: Exchange, call: Call, listed: Listed) -> Row:
    now = _now(exchange, call, listed)
    lower, upper = exchange.market.circuit(listed.token, call.now_ns)
    return {
        "instrument_token": now.token,
        "timestamp": stamp(now.time_s * SECOND_NS),
        "last_trade_time": stamp(now.last_trade_s * SECOND_NS),
        "last_price": now.rupees(now.last),
        "last_quantity": now.last_quantity,
        "buy_quantity": now.buy,
        "sell_quantity": now.sell,
        "volume": now.volume,
        "average_price": now.rupees(now.average),
        "oi": now.oi,
        "oi_day_high": now.oi_high,
        "oi_day_low": now.oi_low,
        "net_change": now.rupees(now.last - now.close),
        "lower_circuit_limit": lower,
        "upper_circuit_limit": upper,
        "ohlc": _day(now),
        "depth": {"buy": _levels(now, now.bids), "sell": _levels(now, now.asks)},
    }


def _day(now: Quote) -> Row:
    prices = {"open": now.open, "high": now.high, "low": now.low, "close": now.close}
    return {name: now.rupees(units) for name, units in prices.items()}


def _levels(now: Quote, levels: list[tuple[int, int, int]]) -> list[Row]:
    padded = [*levels, *(NO_LEVEL,) * (LEVELS - len(levels))]
    return [
        {"price": now.rupees(price), "quantity": quantity, "orders": orders}
        for quantity, price, orders in padded
    ]


def _moment(fields: dict[str, str], name: str) -> datetime:
    """A time as the client sends it, or a day alone."""
    try:
        return datetime.fromisoformat(fields.get(name, "").strip()).replace(tzinfo=None)
    except ValueError:
        raise invalid(f"invalid {name} date") from None


def _spoilt(listing: Listing, body: bytes, only: str | None, call: Call) -> bytes:
    """The list under a fault: missing, cut off, yesterday's, or with one token on two names."""
    rows = body.decode().splitlines()
    match call.effects.dump:
        case "missing":
            raise Refusal(404, "GeneralException", "The instrument list is not available.")
        case "truncated":
            return body[: len(body) * 2 // 3 - 1]
        case "reused":
            cells = rows[-1].split(",")
            cells[0] = rows[1].split(",")[0]
            return "\n".join([*rows[:-1], ",".join(cells), ""]).encode()
        case _:
            return "\n".join([HEADER, *_of_yesterday(listing, only, call.now_ns), ""]).encode()


def _of_yesterday(listing: Listing, only: str | None, now_ns: int) -> list[str]:
    """The nearest contract of each underlying had ended the day before; the farthest are not listed yet."""
    today = date_of(day_of(now_ns))
    before = (today - timedelta(days=1)).isoformat()
    shown = listing.on(today, only)
    ends: dict[tuple[str, str], list[str]] = {}
    for each in shown:
        if each.instrument.expiry is not None:
            key = each.instrument.exchange, each.instrument.name
            ends.setdefault(key, []).append(each.instrument.expiry.isoformat())
    rows = []
    for each in shown:
        days = ends.get((each.instrument.exchange, each.instrument.name), [])
        expiry = each.instrument.expiry.isoformat() if each.instrument.expiry else ""
        if days and min(days) != max(days) == expiry:
            continue
        rows.append(each.row.replace(expiry, before) if days and expiry == min(days) else each.row)
    return rows


ROUTES = (
    Route("GET", "/instruments", "instruments", instruments),
    Route("GET", "/instruments/{exchange}", "instruments", instruments),
    Route("GET", "/instruments/historical/{token}/{interval}", "historical", historical, bucket="historical"),
    Route("GET", "/instruments/trigger_range/{side}", "trigger_range", trigger_range, bucket="quote"),
    Route("GET", "/quote", "quote", quote, bucket="quote"),
    Route("GET", "/quote/ohlc", "ohlc", ohlc, bucket="quote"),
    Route("GET", "/quote/ltp", "ltp", ltp, bucket="quote"),
)

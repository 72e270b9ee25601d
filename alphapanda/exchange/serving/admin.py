"""The admin door: read the history, add faults, trade as the account's owner, hold and move the clock.

It is for whoever rehearses, not for the program that is rehearsed: it knows no token, and answers plain JSON.
A mistake is a 400 with one line.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, time
from typing import Any

import anyio.lowlevel
import msgspec
from aiohttp import web

from alphapanda.errors import DataError
from alphapanda.exchange.calls import JSON, Refusal
from alphapanda.exchange.clock import FASTEST, MAX, SLOWEST, Clock
from alphapanda.exchange.faults import read_script
from alphapanda.exchange.history import KINDS
from alphapanda.exchange.notation import whole
from alphapanda.exchange.serving.http import body_of, form_of
from alphapanda.exchange.serving.pump import PUMP, Pump
from alphapanda.times import DAY_NS, IST, SECOND_NS, to_ist, to_ns

NDJSON = "application/x-ndjson"
DOORS = {
    "GET /admin/": "this list",
    "GET /admin/history": "everything seen and done, a JSON object a line; ?after=SEQ and ?kind=order,trade",
    "GET /admin/faults": "the faults there are with their counts, and the kinds that there can be",
    "POST /admin/faults": "more faults, as TOML or JSON",
    "POST /admin/orders": 'an order by the owner, with the fields of POST /orders: {"exchange": "NSE", …}',
    "GET /admin/clock": "the exchange's time, its speed, whether it is paused, and which exchange it is",
    "POST /admin/clock": 'one of {"pause": true}, {"resume": true}, {"step": SECONDS}, {"to": "15:20:00"}, '
    '{"speed": 10} and {"speed": "max"}',
}


NUMBER = web.AppKey("NUMBER", str)
"""Of this process and no other: a book that was made at one exchange does not go on at the next."""


class Mistake(ValueError):  # noqa: N818 - the caller's, not ours
    """What the caller has to change, in one line."""


def routes() -> list[web.RouteDef]:
    answered = [
        web.get("/admin/", _list),
        web.get("/admin", _list),
        web.get("/admin/history", _history),
        web.get("/admin/faults", _faults),
        web.post("/admin/faults", _add_faults),
        web.post("/admin/orders", _order),
        web.get("/admin/clock", _clock),
        web.post("/admin/clock", _set_clock),
        web.route("*", "/admin/{rest:.*}", _unknown),
    ]
    return [web.route(each.method, each.path, _forgiving(each.handler)) for each in answered]


Door = Callable[[web.Request], Awaitable[web.Response]]


def _forgiving(door: Any) -> Door:
    """What the door says of a mistake."""

    async def answer(request: web.Request) -> web.Response:
        try:
            _check_query(request)
            response: web.Response = await door(request)
        except (Mistake, DataError) as error:
            return _json({"error": str(error)}, status=400)
        except Refusal as refusal:
            return _json({"error": refusal.message, "error_type": refusal.error_type}, status=400)
        return response

    return answer


def _check_query(request: web.Request) -> None:
    known = ("after", "kind") if request.path == "/admin/history" else ()
    if unknown := sorted(set(request.query) - set(known)):
        raise Mistake(f"{request.path} knows no {unknown[0]!r}; it takes {' and '.join(known) or 'no query'}")


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(data) + b"\n", content_type=JSON)


async def _list(request: web.Request) -> web.Response:  # noqa: ARG001 - as every door
    return _json(DOORS)


async def _unknown(request: web.Request) -> web.Response:
    return _json({"error": f"there is no {request.method} {request.path}; see GET /admin/"}, status=404)


async def _history(request: web.Request) -> web.Response:
    named_line = request.query.get("after", "0")
    after = whole(named_line)
    if after is None:
        raise Mistake(f"after={named_line!r} is not the number of a line")
    named = (kind for words in request.query.getall("kind", []) for kind in words.split(","))
    kinds = frozenset(kind.strip() for kind in named if kind.strip())
    if unknown := sorted(kinds - KINDS):
        raise Mistake(f"there is no kind {unknown[0]!r}; there are {', '.join(sorted(KINDS))}")
    pump = request.app[PUMP]
    pump.catch_up()
    pump.wake()
    return web.Response(body=b"".join(pump.exchange.history.lines(after, kinds)), content_type=NDJSON)


async def _faults(request: web.Request) -> web.Response:
    return _json(request.app[PUMP].exchange.faults.report())


async def _add_faults(request: web.Request) -> web.Response:
    pump = request.app[PUMP]
    try:
        text = (await body_of(request)).decode()
    except UnicodeDecodeError:
        raise Mistake("the body is not UTF-8") from None
    script = read_script(text, "the script")
    pump.catch_up()
    added = pump.exchange.faults.add(script)
    numbers = [row["fault"] for row in added["added"]]
    exchange = pump.exchange
    exchange.history.add("faults", exchange.clock.now_ns, added=numbers, cleared=added["cleared"])
    pump.wake()
    return _json(added)


async def _order(request: web.Request) -> web.Response:
    """The fields as JSON, or as a form; what is posted without a word about its type is called a form too."""
    is_form = request.content_type == "application/x-www-form-urlencoded"
    body = await body_of(request)
    given = dict(form_of(body)) if is_form and not body.lstrip().startswith(b"{") else _object(body)
    fields = {name: _word(name, value) for name, value in given.items() if value is not None}
    pump = request.app[PUMP]
    pump.catch_up()
    placed = pump.exchange.place_by_hand(fields, pump.exchange.clock.now_ns)
    pump.wake()
    return _json(placed)


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mistake(f"{name} has to be text or a number, not {msgspec.json.encode(value).decode()}")
    return str(value)


async def _clock(request: web.Request) -> web.Response:
    pump = request.app[PUMP]
    pump.catch_up()
    pump.wake()
    return _json(_shown(pump.exchange.clock) | {"exchange": request.app[NUMBER]})


async def _set_clock(request: web.Request) -> web.Response:
    given = _object(await body_of(request))
    if len(given) != 1 or (name := next(iter(given))) not in ("pause", "resume", "step", "to", "speed"):
        raise Mistake(f"the clock takes {DOORS['POST /admin/clock']}")
    value, pump = given[name], request.app[PUMP]
    wall_ns, clock = pump.catch_up(), pump.exchange.clock
    if name in ("pause", "resume"):
        if not isinstance(value, bool):
            raise Mistake(f'"{name}" has to be true or false')
        (clock.pause if value == (name == "pause") else clock.resume)(wall_ns)
    elif name == "speed":
        clock.set_speed(_speed(value), wall_ns)
    else:
        await _walk(pump, _moment(clock, name, value))
    pump.exchange.history.add("clock", clock.now_ns, do=name, value=value)
    pump.wake()
    return _json(_shown(clock))


async def _walk(pump: Pump, until_ns: int) -> None:
    """All that is due on the way happens; the clock goes on from there as it did before."""
    exchange = pump.exchange
    while exchange.step_towards(until_ns):
        await anyio.lowlevel.checkpoint()
        await pump.readers()
    exchange.clock.set_speed(exchange.clock.speed, pump.catch_up())
    pump.wake()


def _speed(value: Any) -> float:
    if value == "max":
        return MAX
    if isinstance(value, bool) or not isinstance(value, int | float) or not SLOWEST <= value <= FASTEST:
        raise Mistake(f'"speed" has to be a number from {SLOWEST:g} to {FASTEST:,.0f}, or "max"')
    return float(value)


def _moment(clock: Clock, name: str, value: Any) -> int:
    """The exchange time that a step or a time of day means: tomorrow's where today's is past."""
    if name == "step":
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 10 * 86_400:
            raise Mistake('"step" has to be a number of seconds above 0, at most ten days')
        return clock.now_ns + round(value * SECOND_NS)
    now = to_ist(clock.now_ns)
    try:
        of_day = len(value) <= 15
        named = (
            datetime.combine(now.date(), time.fromisoformat(value))
            if of_day
            else datetime.fromisoformat(value)
        )
    except (TypeError, ValueError):
        raise Mistake('"to" has to be a time of day or a date and time, such as "15:20:00"') from None
    until_ns = to_ns(named if named.tzinfo else named.replace(tzinfo=IST))
    if of_day and until_ns < clock.now_ns:
        until_ns += DAY_NS
    if not 0 <= until_ns - clock.now_ns <= 10 * 86_400 * SECOND_NS:
        raise Mistake(f'"to" {value} is not within ten days after {now.isoformat()}, which it is now')
    return until_ns


def _shown(clock: Clock) -> dict[str, Any]:
    speed: Any = "max" if clock.speed == MAX else clock.speed
    return {"now": to_ist(clock.now_ns).isoformat(), "speed": speed, "paused": clock.paused}


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Mistake(f"the body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise Mistake("the body has to be a JSON object")
    return given

"""Two exchanges with one seed and the same requests write the same history, but for the wall clock."""

import json
import re
from contextlib import suppress

import requests
from kite_trader import DEAR, INDEX, KEY, SHARE, trading
from kiteconnect.exceptions import KiteException
from running import eventually
from websockets.sync.client import connect

WALL = re.compile(rb',"wall_ns":\d+')
SCRIPT = """
[[fault]]
on = "order.place"
do = "status"
code = 500
p = 0.2

[[fault]]
on = "order.place"
do = "drop_after"
p = 0.15

[[fault]]
on = "orders"
do = "partial_book"
p = 0.5

[[fault]]
on = "update"
do = "lose_update"
p = 0.3

[[fault]]
on = "frame"
do = "malformed"
sort = "truncated"
p = 0.1
"""


def attempt(call, *words, **fields):
    """The answer, or None where a fault came between."""
    with suppress(KiteException, requests.ConnectionError):
        return call(*words, **fields)
    return None


def a_morning(folder, seed):
    """A program that trades and watches while faults strike: the history, line by line as bytes."""
    folder.mkdir()
    script, history = folder / "faults.toml", folder / "history.jsonl"
    script.write_text(SCRIPT)
    words = ("--seed", seed, "--script", script, "--history", history)
    with trading(folder, *words) as trader:
        future = trader.first("NFO", "FUT")
        lot = trader.listed(future)["lot_size"]
        token = trader.kite.access_token
        tokens = [trader.listed(key)["instrument_token"] for key in (SHARE, INDEX, future)]
        price = trader.price(DEAR, 0.97)
        url = f"{trader.url.replace('http', 'ws', 1)}/ws?api_key={KEY}&access_token={token}"
        with connect(url, max_queue=None) as socket:  # which reads all there is, whoever asks for it
            for message in ({"a": "subscribe", "v": tokens}, {"a": "mode", "v": ["full", tokens]}):
                before = len(trader.history("ws_message"))
                socket.send(json.dumps(message))
                eventually(lambda before=before: len(trader.history("ws_message")) > before)
            for number in range(12):
                attempt(trader.place, SHARE, ("BUY", "SELL")[number % 2], quantity=10 + number, product="MIS")
                attempt(trader.place, future, quantity=lot, product="NRML", tag=f"n{number}")
                order_id = attempt(trader.place, DEAR, order_type="LIMIT", price=price, product="MIS")
                trader.step(0.4)
                attempt(trader.kite.modify_order, "regular", order_id or "1", quantity=5)
                trader.step(3)
                attempt(trader.kite.cancel_order, "regular", order_id or "1")
                for call in (trader.kite.orders, trader.kite.positions, trader.kite.margins):
                    attempt(call)
            trader.kite.quote(SHARE, INDEX, future)
        eventually(lambda: trader.history("ws_close"))
        trader.step(1_800)
        trader.kite.orders()
        trader.admin("clock", {"to": "15:45:00"})
        trader.kite.positions()
        written = history.read_bytes()
        assert [json.loads(line) for line in written.splitlines()] == trader.history()
    return [WALL.sub(b"", line) for line in written.splitlines()]


def test_one_seed_gives_one_history_and_another_seed_another(tmp_path):
    once, again, other = (
        a_morning(tmp_path / name, seed) for name, seed in (("once", 7), ("again", 7), ("other", 8))
    )
    kinds = {json.loads(line)["kind"] for line in once}
    assert {"request", "reply", "order", "trade", "fault", "ws_message", "ws_update", "ticks"} <= kinds
    assert once == again
    assert [json.loads(line)["seq"] for line in once] == list(range(1, len(once) + 1))
    trades = [[line for line in history if b'"kind":"trade"' in line] for history in (once, other)]
    assert trades[0] != trades[1]

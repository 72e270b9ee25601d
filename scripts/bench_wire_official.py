"""A program as people write it: KiteTicker, a decision in `on_ticks`, KiteConnect's place_order in a thread.

`python bench_wire_official.py REST WS FILE`: the JSON file has the connections' tokens and the symbols that
may be traded. It says "ready" once every token has ticked, and counts as JSON when its stdin is closed.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from bench_wire_decision import Decision
from kiteconnect import KiteConnect, KiteTicker
from trial_children import API_KEY, TOKEN


class Program:
    def __init__(self, rest: str, ws: str, given: dict[str, Any]) -> None:
        self._kite = KiteConnect(API_KEY, TOKEN, root=rest)
        self._symbols = {int(token): symbol for token, symbol in given["symbols"].items()}
        self._decision = Decision(set(self._symbols))
        self._wanted = {token for part in given["parts"] for token in part}
        self.received = self.errors = self.placed = 0
        self.first_error = ""
        self._tickers = [self._ticker(ws, part) for part in given["parts"]]

    def _ticker(self, ws: str, tokens: list[int]) -> KiteTicker:
        ticker = KiteTicker(API_KEY, TOKEN, root=ws)

        def connected(socket: KiteTicker, _response: object) -> None:
            socket.subscribe(tokens)
            socket.set_mode(socket.MODE_FULL, tokens)

        ticker.on_connect = connected
        ticker.on_ticks = self._on_ticks
        ticker.connect(threaded=True)
        return ticker

    def _on_ticks(self, _ws: object, ticks: list[dict[str, Any]]) -> None:
        if self._wanted:
            self._wanted.difference_update(tick["instrument_token"] for tick in ticks)
            if not self._wanted:
                print("ready", flush=True)
        self.received += len(ticks)
        for tick in ticks:
            token = tick["instrument_token"]
            side = self._decision.side(token, tick["last_price"], tick.get("volume_traded", 0))
            if side:
                threading.Thread(target=self._place, args=(self._symbols[token], side), daemon=True).start()

    def _place(self, symbol: str, side: int) -> None:
        try:
            self._kite.place_order(
                variety="regular",
                exchange="NSE",
                tradingsymbol=symbol,
                transaction_type="BUY" if side > 0 else "SELL",
                quantity=1,
                product="MIS",
                order_type="MARKET",
                market_protection=-1,
            )
            self.placed += 1
        except Exception as error:  # noqa: BLE001 - it raises many kinds
            self.errors += 1
            self.first_error = self.first_error or repr(error)


if __name__ == "__main__":
    program = Program(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")))
    sys.stdin.read()
    names = ("received", "placed", "errors", "first_error")
    print(json.dumps({name: getattr(program, name) for name in names}), flush=True)

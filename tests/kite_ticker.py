"""The official KiteTicker in a process of its own, because Twisted's reactor runs once in a process.

`python kite_ticker.py URL API_KEY ACCESS_TOKEN` writes what each callback was given as a JSON line on stdout,
and does what lines of JSON on stdin say, such as `["subscribe", [408065]]`. `Ticker` is the other end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

FINISH_S = 60


def main(url: str, api_key: str, access_token: str) -> None:
    from kiteconnect import KiteTicker  # noqa: PLC0415 - the parent imports this file without Twisted
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs it

    ticker = KiteTicker(api_key, access_token, root=url)

    def tell(name: str, **facts: Any) -> None:
        print(json.dumps({"on": name, **facts}, default=str), flush=True)  # noqa: T201 - the parent reads it

    def do(method: str, *words: Any) -> None:
        if method == "stop":
            ticker.close()
            reactor.callLater(0.2, reactor.stop)
        else:
            getattr(ticker, method)(*words)
            tell("done", method=method)

    def obey() -> None:
        for line in sys.stdin:
            reactor.callFromThread(do, *json.loads(line))
        reactor.callFromThread(reactor.stop)

    ticker.on_connect = lambda _, response: tell("connect", protocol=response.protocol)
    ticker.on_open = lambda _: tell("open")
    ticker.on_close = lambda _, code, reason: tell("close", code=code, reason=reason)
    ticker.on_error = lambda _, code, reason: tell("error", code=code, reason=reason)
    ticker.on_reconnect = lambda _, attempts: tell("reconnect", attempts=attempts)
    ticker.on_ticks = lambda _, ticks: tell("ticks", ticks=ticks)
    ticker.on_order_update = lambda _, data: tell("order", data=data)
    ticker.on_message = lambda _, payload, binary: (
        tell("heartbeat", bytes=len(payload))
        if binary and len(payload) < 2
        else None
        if binary
        else tell("text", text=payload.decode())
    )
    Thread(target=obey, daemon=True).start()
    ticker.connect()


class Ticker:
    """What the child has told so far, and a way to tell it what to do."""

    def __init__(self, process: subprocess.Popen[str], told: Path) -> None:
        self.process = process
        self._told = told

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each callback in its order; a line that is still being written is left for later."""
        whole, _, _ = self._told.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def say(self, *words: Any) -> None:
        assert self.process.stdin is not None
        print(json.dumps(words), file=self.process.stdin, flush=True)

    def of(self, name: str, after: int = 0) -> list[dict[str, Any]]:
        """The lines of one callback, of those after the first so many."""
        return [line for line in self.lines[after:] if line["on"] == name]

    def ticks(self, after: int = 0) -> list[dict[str, Any]]:
        return [tick for line in self.of("ticks", after) for tick in line["ticks"]]


@contextmanager
def ticking(folder: Path, url: str, api_key: str, access_token: str) -> Iterator[Ticker]:
    """A KiteTicker that connects at once and does not outlive the block; its times are in IST."""
    told, log = folder / "ticker.jsonl", folder / "ticker.log"
    with told.open("w") as output, log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, url.replace("http", "ws", 1) + "/ws", api_key, access_token],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            text=True,
            env=os.environ | {"TZ": "Asia/Kolkata"},
        )
    try:
        yield Ticker(process, told)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        process.wait(FINISH_S)


if __name__ == "__main__":
    main(*sys.argv[1:])

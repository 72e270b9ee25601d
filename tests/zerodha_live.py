"""A daemon at an exchange of its own, whose strategy does what a test tells it, once a second.

Its signals come with the clock and not with a tick, so that it also asks for orders while no prices come.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchange_server import ExchangeServer
from running import Daemon, answer, daemon, run, select, write_config

from alphapanda.live.control import ask

TOLD = '''
import json
from pathlib import Path

from alphapanda.core.strategy import Strategy
from alphapanda.events import PositionEffect
from msgspec import Struct


class ToldStrategy(Strategy):
    """Each line of the file is one order, or so many alike: the newest price of its first instrument, and
    `part` of it as the limit.
    """

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        path: str

    def prepare(self):
        self.tick = None
        path = Path(self.params.path)
        self.done = len(path.read_text().splitlines()) if path.exists() else 0

    def on_market_data(self, tick):
        self.tick = tick
        return []

    def on_timer(self, now):
        path = Path(self.params.path)
        if self.tick is None or not path.exists():
            return []
        lines = path.read_text().splitlines()
        new, self.done = lines[self.done :], len(lines)
        return [signal for line in new for signal in self.signals(**json.loads(line))]

    def signals(self, side, quantity=1, part=None, times=1, close=False):
        effect = PositionEffect.CLOSE if close else PositionEffect.OPEN
        terms = {} if part is None else {"price": round(int(self.tick.last_price * part * 10) / 10, 1)}
        act = self.buy if side == "BUY" else self.sell
        return [act(self.tick, quantity, effect, **terms) for _ in range(times)]
'''
FREE = {
    "max_orders_per_second": 0,
    "max_orders_per_minute": 0,
    "duplicate_window_s": 0.0,
    "max_price_deviation_percent": 0.0,
    "max_price_age_s": 0.0,
}
"""No limit of ours comes before what is tried."""
ANSWER_S = 10.0
RESTS = 0.97
"""Such a part of the price no seller takes."""


def told(folder: Path, server: ExchangeServer, broker: str = "zerodha", **sections: Any) -> Path:
    """The strategy and its configuration in `folder`, and a login at the exchange: the token's file."""
    (folder / "strategies").mkdir()
    (folder / "strategies" / "told.py").write_text(TOLD)
    hosted = {"id": "told", "class": "strategies.told:ToldStrategy", "instruments": ["NSE:INFY"]}
    params = {"path": str(folder / "orders.txt")}
    write_config(
        folder,
        **{
            "active_brokers": [broker],
            "feed": {"source": "zerodha"},
            "zerodha": {"enabled": broker == "zerodha"},
            "risk": FREE,
            "strategies": [hosted | {"brokers": [broker], "params": params}],
        }
        | sections,
    )
    log_in(folder, server)
    return folder / "var" / "zerodha-rehearsal.token"


def log_in(folder: Path, server: ExchangeServer) -> None:
    done = run(folder, "login", "--rehearsal-url", server.url)
    assert done.code == 0, done


def at_work(folder: Path, server: ExchangeServer, before: Sequence[str] = ()) -> Any:
    """A daemon that trades there; see `running.daemon`."""
    return daemon(folder, "--rehearsal-url", server.url, before=before)


def tell(folder: Path, **words: Any) -> None:
    """One more order for the strategy: `side`, and what its `signals` take."""
    with (folder / "orders.txt").open("a", encoding="utf-8") as file:
        file.write(json.dumps(words) + "\n")


def until_ticking(one: Daemon) -> None:
    """Asked over its socket: a command for each look would take longer than what is waited for."""
    one.until(lambda: _asked(one.folder)["ticks"]["received"])


def _asked(folder: Path) -> Any:
    return ask(folder / "var" / "control.sock", {"command": "status"}, ANSWER_S)["result"]


def until_orders(one: Daemon, *wanted: str) -> list[dict[str, Any]]:
    """The orders once each of these statuses is there, as often as it is named."""

    def there() -> bool:
        found = [status for (status,) in select(one.folder, "SELECT status FROM orders")]
        return all(found.count(each) >= wanted.count(each) for each in wanted)

    one.until(there)
    rows: list[dict[str, Any]] = answer(one.folder, "orders")
    return rows


def zerodha(folder: Path) -> Any:
    """What `status` says of the broker; asked over its socket."""
    return _asked(folder)["brokers"]["zerodha"]


def calls(server: ExchangeServer, *kinds: str, after: int = 0) -> list[str]:
    """What was asked of the exchange since that line of its history, logins left out."""
    rows = server.history("request", "ws_connect", "ws_refused", after=after)
    names = [row.get("call") or row["kind"] for row in rows]
    return [name for name in names if name not in ("login", "session.token") and name in (kinds or (name,))]


def newest(server: ExchangeServer) -> int:
    """The number of the last line of its history."""
    found: int = server.history()[-1]["seq"]
    return found

"""Our side of `bench wire`: the whole daemon, journal on, with its default rules but for some counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trial_children import Usage
from trial_daemon import running

STRATEGY = "wire_1"


@contextmanager
def daemon(roots: dict[str, str], market: Any, folder: Path, cores: list[int]) -> Iterator[Any]:
    """As bench_wire.official."""
    config = {
        "active_brokers": ["zerodha"],
        "feed": {"source": "zerodha"},
        "zerodha": {
            "enabled": True,
            "api_root": roots["rest"],
            "ws_root": roots["ws"],
            "login_root": roots["rest"],
        },
        "risk": {
            "max_orders_per_minute": 0,
            "max_orders_per_day": 0,
            "max_open_positions": 0,
        },
        "strategies": [
            {
                "id": STRATEGY,
                "class": "trial_strategies:Tapped",
                "instruments": market.keys,
                "brokers": ["zerodha"],
                "params": {"tradable": sorted(market.symbols)},
            }
        ],
    }
    with running(folder, config, cores=cores) as started:

        def counts() -> dict[str, Any]:
            status = started.answer("status")
            queues = [stage.get("queue", {}) for stage in status["stages"].values()]
            return {
                "received": status["ticks"]["received"],
                "folded": sum(queue.get("folded", 0) for queue in queues),
                "placed": status["brokers"]["zerodha"]["orders_total"],
                "own_latency_us": status["latency_us"],
            }

        started.until(
            lambda: started.answer("status")["ticks"]["instruments"] >= len(market.keys), "every token ticks"
        )
        yield Usage(started.process.pid), counts

"""run: the garbage collector while a daemon starts, and while it trades."""

import gc

from running import run, write_config, write_ticks, zigzag

SEES = """
import gc
from pathlib import Path

from alphapanda.core.strategy import Strategy


def note(when):
    Path(when).write_text(str(gc.get_threshold()[0]))


class SeesStrategy(Strategy):
    def on_start(self, positions, orders):
        note("starting")

    def on_market_data(self, tick):
        note("trading")
        return []
"""


def test_collections_are_rare_until_it_is_ready_and_as_usual_from_then_on(tmp_path):
    (tmp_path / "sees.py").write_text(SEES)
    sees = {"id": "sees", "class": "sees:SeesStrategy", "instruments": ["NSE:INFY"]}
    write_config(tmp_path, strategies=[sees])
    write_ticks(tmp_path, zigzag(1))
    done = run(tmp_path, "run", "--until-end", "--no-calendar")
    assert done.code == 0, done
    starting, trading = (int((tmp_path / when).read_text()) for when in ("starting", "trading"))
    assert trading == gc.get_threshold()[0]
    assert starting > 10 * trading
